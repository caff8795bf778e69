"""People before the surface: found where few photos look, and nothing found where there are none."""

from functools import cache

import cv2
import numpy as np
from painted_box import box, photograph, pinhole, texel_points, views_of, walk_around
from test_texture_align import speckled_color

from scenetex import unwrap
from scenetex.texture.bake import paint, survey
from scenetex.texture.exposure import Exposure
from scenetex.texture.passersby import without_passersby
from scenetex.texture.projection import Surface, photos
from scenetex.texture.subdivide import patches
from scenetex.texture.working_frame import WorkingFrame

SIZE = (320, 240)
POSES = walk_around(12)
LENS = pinhole(SIZE)
VISITED = (3, 4, 5)


@cache
def exact() -> list[np.ndarray]:
    return photograph(box(), POSES, LENS, SIZE, speckled_color)


def somebody(i: int) -> np.ndarray:
    """(h, w) bool: who stands there in photo i, a tenth of it."""
    body = np.zeros(SIZE[::-1], np.uint8)
    cv2.ellipse(body, (90 + 45 * (i % 4), 125), (28, 92), 0, 0, 360, 1, -1)
    return body > 0


def visited(which=VISITED) -> list[np.ndarray]:
    out = [photo.copy() for photo in exact()]
    for i in which:
        out[i][somebody(i)] = (20, 30, 190)
    return out


def views_and(which: list[int]):
    return views_of(box(), POSES[which], LENS, SIZE)


def left(images, which: list[int]):
    shots = photos(views_and(which), images, WorkingFrame(np.zeros(3), 1.0))
    plain = Exposure(np.ones((len(which), 3), np.float32), np.zeros(2))
    return shots, *without_passersby(Surface.of(patches(box(), 0.25).mesh), shots, plain)


def test_exact_photos_stay_whole():
    shots, out, share = left(exact(), list(range(12)))
    assert not share.any() and all(a is b for a, b in zip(out, shots, strict=True))


def test_who_walks_by_is_left_out_and_little_else():
    shots, out, share = left(visited(), list(range(12)))
    for i, (shot, clear) in enumerate(zip(shots, out, strict=True)):
        gone = (shot.depth > 0) & (clear.depth == 0)
        if i not in VISITED:
            assert clear is shot and share[i] == 0
            continue
        body = somebody(i)
        assert gone[body].mean() > 0.9
        assert gone[~cv2.dilate(body.astype(np.uint8), np.ones((17, 17))).astype(bool)].mean() < 0.01
        assert clear.clearance[gone].max() == 0 and clear.clearance.max() > 5


def test_of_two_photos_that_disagree_it_is_the_one_with_somebody_in_it():
    """Nobody is outvoted: what is around tells."""
    which = [3, 4]
    images = [visited((3,))[3], exact()[4]]
    _, _, share = left(images, which)
    assert share[0] > 0.03 and share[1] == 0


def test_it_is_the_same_every_time():
    first, again = (left(visited(), list(range(12)))[1] for _ in range(2))
    assert all((a.depth == b.depth).all() for a, b in zip(first, again, strict=True))


def test_the_texture_is_nearer_to_the_truth():
    mesh, views = box(), views_and(list(range(12)))
    atlas = unwrap(mesh, 256)
    pixel, points = texel_points(mesh, atlas)
    error = []
    for passersby in (True, False):
        seen_by = survey(mesh, views, visited(), passersby=passersby)
        textured = paint(mesh, atlas, seen_by)
        color = textured.textures[0].reshape(-1, 3)[pixel].astype(float)
        error.append(np.mean(np.abs(color - speckled_color(points)).max(1) > 40))
    assert error[0] < 0.2 * error[1] and error[1] > 0.01
