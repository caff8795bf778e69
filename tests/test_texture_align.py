"""Shifts within photos: found where photos are bent, none where they are exact, and no drift of the texture."""

from functools import cache

import cv2
import numpy as np
from painted_box import box, photograph, pinhole, smooth_color, views_of, walk_around

from scenetex.texture.align import align
from scenetex.texture.exposure import Exposure
from scenetex.texture.projection import Surface, on_lattice, photos, sample
from scenetex.texture.selection import choose
from scenetex.texture.subdivide import patches
from scenetex.texture.working_frame import WorkingFrame

SIZE = (160, 120)
POSES = walk_around(16)
EXPOSURE = Exposure(np.ones((16, 3), np.float32), np.zeros(2))


def speckled_color(points: np.ndarray) -> np.ndarray:
    waves = sum(np.sin(points @ np.array(k) + i) for i, k in enumerate(([9, 7, 11], [-5, 8, 3], [4, -11, 6.0])))
    return smooth_color(points) + 18 * waves[:, None]


@cache
def exact() -> list[np.ndarray]:
    return photograph(box(), POSES, pinhole(SIZE), SIZE, speckled_color)


def shots_of(images):
    return photos(views_of(box(), POSES, pinhole(SIZE), SIZE), images, WorkingFrame(np.zeros(3), 1.0))


def aligned(images):
    return align(Surface.of(patches(box(), 0.25).mesh), shots_of(images), EXPOSURE)


def missed(shots) -> float:
    return choose(Surface.of(patches(box(), 0.25).mesh), shots, 0.6, 7.5).misregistration


def bent(image: np.ndarray, i: int) -> tuple[np.ndarray, np.ndarray]:
    """A photo read row by row by a camera that turns, and how far its rows lie off (h,), pixels to the right."""
    row = (np.arange(SIZE[1]) - 59.5) / 60 * (1.5 if i % 2 else -1.5) * (1 + i % 3) / 3
    v, u = np.mgrid[: SIZE[1], : SIZE[0]].astype(np.float32)
    return cv2.remap(image, u - row[:, None].astype(np.float32), v, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT), row


def shift_at(shot, u, v) -> np.ndarray:
    if shot.shift is None:
        return np.zeros((len(u), 2), np.float32)
    return sample(shot.shift, *on_lattice(shot.shift.shape, shot.image.shape, u, v))


def test_exact_photos_keep_their_place():
    for shot in aligned(exact()):
        assert shot.shift is None or np.abs(shot.shift).mean() < 0.05


def test_rolling_shutters_are_undone_in_part():
    images, rows = zip(*[bent(image, i) for i, image in enumerate(exact())], strict=True)
    left, given = [], []
    v, u = (x.ravel().astype(np.float32) for x in np.mgrid[10:110:5, 10:150:5])
    for shot, row in zip(aligned(list(images)), rows, strict=True):
        truth = np.stack([row[v.astype(int)], np.zeros(len(v))], 1)
        left.append(np.abs(shift_at(shot, u, v) - truth).mean())
        given.append(np.abs(truth).mean())
    # Only what photos differ by can be seen, and a stiff lattice follows it in part.
    assert np.mean(left) < 0.92 * np.mean(given)
    assert missed(aligned(list(images))) < 0.8 * missed(shots_of(list(images)))


def test_a_photo_of_something_else_keeps_its_place():
    images = [image.copy() for image in exact()]
    images[5] = np.random.default_rng(0).integers(0, 255, images[5].shape, np.uint8)
    shots = aligned(images)
    assert shots[5].shift is None
    assert np.mean([0 if s.shift is None else np.abs(s.shift).mean() for s in shots]) < 0.1


def test_one_photo_alone_is_left_alone():
    shots = photos(views_of(box(), POSES[:1], pinhole(SIZE), SIZE), exact()[:1], WorkingFrame(np.zeros(3), 1.0))
    assert align(Surface.of(box()), shots, EXPOSURE)[0].shift is None
