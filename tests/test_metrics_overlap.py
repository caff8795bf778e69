"""Overlap PSNR against exact cases and a plain loop."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from painted_box import box, photograph, pinhole, views_of, walk_around

from scenetex import InputError
from scenetex.metrics import overlap_psnr, overlap_scores
from scenetex.views.reprojection import correspond
from scenetex.views.viewset import ViewSet

SIZE = (48, 36)


def plane_views(shifts=(0.0, 0.5), size=SIZE, depth=2.0, focal=40.0) -> ViewSet:
    """Cameras side by side that look square at one plane: a step of 0.05 m is one pixel."""
    m, (w, h) = len(shifts), size
    poses = np.tile(np.eye(4), (m, 1, 1))
    poses[:, 0, 3] = shifts
    intrinsics = np.array([[focal, 0, (w - 1) / 2], [0, focal, (h - 1) / 2], [0, 0, 1.0]])
    return ViewSet(
        tuple(range(m)),
        np.stack([intrinsics] * m),
        poses,
        np.full((m, h, w), depth, np.float32),
        np.zeros((m, h, w), np.int32),
        np.array([[0, 0, -1.0]], np.float32),
    )


def box_views(count: int = 5, seed: int = 0) -> ViewSet:
    return views_of(box(), walk_around(count, seed=seed), pinhole(SIZE), SIZE)


def random_images(m: int, seed: int = 0) -> list[np.ndarray]:
    return list(np.random.default_rng(seed).integers(0, 256, (m, SIZE[1], SIZE[0], 3), dtype=np.uint8))


def loop_seen(views, i, j, row, column):
    """Place in view j of a pixel of view i, or None; straight from the definition."""
    h, w = views.depth.shape[1:]
    d = float(views.depth[i, row, column])
    if not d > 0:
        return None
    local = np.linalg.inv(views.intrinsics[i]) @ [column, row, 1.0] * d
    world = views.cam_to_world[i] @ [*local, 1.0]
    x, y, z = (np.linalg.inv(views.cam_to_world[j]) @ world)[:3]
    if z <= 0:
        return None
    u, v, one = views.intrinsics[j] @ [x, y, z]
    u, v = u / one, v / one
    u, v = (round(a) if abs(a - round(a)) < 1e-6 else a for a in (u, v))
    if not (0 <= u <= w - 1 and 0 <= v <= h - 1):
        return None
    inverse = 0.0
    for r, c, share in loop_corners(u, v):
        if share:
            if not views.depth[j, r, c] > 0:
                return None
            inverse += share / float(views.depth[j, r, c])
    return (u, v) if abs(inverse * z - 1) <= 0.01 else None


def loop_corners(u, v):
    left, top = int(np.floor(u)), int(np.floor(v))
    fx, fy = u - left, v - top
    return [
        (top, left, (1 - fx) * (1 - fy)),
        (top, left + 1, fx * (1 - fy)),
        (top + 1, left, (1 - fx) * fy),
        (top + 1, left + 1, fx * fy),
    ]


def loop_psnr(views, images, i, j):
    total, count = 0.0, 0
    for a, b in ((i, j), (j, i)):
        for row in range(SIZE[1]):
            for column in range(SIZE[0]):
                place = loop_seen(views, a, b, row, column)
                if place is None:
                    continue
                value = np.zeros(3)
                for r, c, share in loop_corners(*place):
                    if share:
                        value += share * images[b][r, c].astype(float)
                total += float(((value - images[a][row, column]) ** 2).sum())
                count += 3
    return 10 * np.log10(255**2 / (total / count))


def test_identical_views_agree_infinitely():
    views = plane_views((0.0, 0.0))
    image = random_images(1)[0]
    score = overlap_psnr(views, [image, image])
    assert score.psnr.tolist() == [np.inf] and score.mean == np.inf
    turned = replace(box_views(2), cam_to_world=np.repeat(walk_around(1), 2, 0))
    same = replace(turned, depth=np.repeat(box_views(1).depth, 2, 0))
    assert overlap_psnr(same, [image, image]).mean == np.inf


@pytest.mark.parametrize("sigmas", [(8.0, 0.0), (8.0, 8.0)])
def test_known_noise_gives_the_known_psnr(sigmas):
    """Whole-pixel shifts mix no pixels, so that errors add up: MSE is the sum of both variances."""
    size = (200, 150)
    rng = np.random.default_rng(1)
    views = plane_views((0.0, 0.5), size)
    images = [128 + rng.normal(0, s, (150, 200, 3)) if s else np.full((150, 200, 3), 128.0) for s in sigmas]
    expected = 10 * np.log10(255**2 / (sigmas[0] ** 2 + sigmas[1] ** 2))
    assert overlap_psnr(views, images).mean == pytest.approx(expected, abs=0.06)


def test_a_shifted_texture_fits_where_it_belongs_and_nowhere_else():
    """The second camera stands ten pixels to the right: it sees the first one's columns from 10 on."""
    texture = np.concatenate([random_images(1)[0], random_images(1, 1)[0]], axis=1)
    right, wrong = [texture[:, :48], texture[:, 10:58]], [texture[:, :48], texture[:, 11:59]]
    views = plane_views((0.0, 0.5))
    assert overlap_psnr(views, right).mean == np.inf
    found = overlap_psnr(views, wrong).mean
    assert found == pytest.approx(loop_psnr(views, wrong, 0, 1), abs=1e-4)
    # Independent bytes differ by a mean square of (256^2 - 1) / 6.
    assert found == pytest.approx(10 * np.log10(255**2 / ((256**2 - 1) / 6)), abs=0.2)


@settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 1000))
def test_agrees_with_the_loop(seed):
    views, images = box_views(3, seed), random_images(3, seed)
    score = overlap_psnr(views, images, least=0.01)
    for (i, j), value in zip(score.pairs, score.psnr, strict=True):
        assert value == pytest.approx(loop_psnr(views, images, i, j), abs=1e-4)


def test_true_photos_agree_nearly_perfectly():
    views = box_views(6)
    photos = photograph(box(), views.cam_to_world, views.intrinsics, SIZE)
    score = overlap_psnr(views, photos)
    assert len(score.pairs) >= 3 and score.psnr.min() > 38
    one_pixel_off = [np.roll(p, 1, axis=1) for p in photos]
    assert overlap_psnr(views, one_pixel_off).mean < score.mean - 3


def step_views() -> ViewSet:
    """A post at 1 m before a wall at 2 m, seen by two cameras side by side: columns 20 to 25 and, shifted, 10 to 15."""
    views = plane_views((0.0, 0.25))
    views.depth[0, :, 20:26] = 1.0
    views.depth[1, :, 10:16] = 1.0
    return views


def test_occluded_pixels_are_left_out():
    """5 columns of shift on the wall, 10 on the post: the wall's columns 15 to 20 of the first view are hidden."""
    pixel, place, surface = correspond(step_views(), 0, 1)
    columns = set((pixel % SIZE[0]).tolist())
    assert surface == SIZE[0] * SIZE[1]
    assert columns == set(range(5, 48)) - set(range(15, 20))
    on_post = (pixel % SIZE[0] >= 20) & (pixel % SIZE[0] < 26)
    assert np.allclose(place[on_post, 0], pixel[on_post] % SIZE[0] - 10)
    images = [np.full((36, 48, 3), 50.0), np.full((36, 48, 3), 50.0)]
    images[0][:, 15:20] = 255  # what only the first view sees may look like anything
    assert overlap_psnr(step_views(), images).mean == np.inf


def test_places_between_two_surfaces_are_left_out():
    """Half a pixel further on, pixels at the post's rims would be mixed of post and wall."""
    views = step_views()
    views.cam_to_world[1, 0, 3] += 0.0125
    pixel, place, _ = correspond(views, 0, 1)
    left = np.floor(place[:, 0]).astype(int)
    near = [set(views.depth[1, 0, [x, min(x + 1, 47)]].tolist()) for x in left]
    assert all(len(depths) == 1 for depths, u in zip(near, place[:, 0], strict=True) if u % 1)
    assert len(pixel)


def test_holes_in_the_depth_do_not_count():
    views = plane_views((0.0, 0.5))
    views.depth[1, :, 30:] = 0
    images = random_images(2)
    images[1][:, 30:] = 0
    spoilt = [images[0], np.where(np.arange(48)[:, None] >= 30, np.uint8(255), images[1])]
    assert overlap_psnr(views, images).mean == overlap_psnr(views, spoilt).mean


def test_pairs_count_once_and_only_with_enough_overlap():
    views = plane_views((0.0, 0.5, 2.3))  # 10, 46 and 36 of 48 columns apart
    images = random_images(3)
    assert overlap_psnr(views, images).pairs.tolist() == [[0, 1], [1, 2]]
    assert overlap_psnr(views, images, least=0.5).pairs.tolist() == [[0, 1]]
    chosen = overlap_psnr(views, images, pairs=[(2, 1)])
    assert chosen.pairs.tolist() == [[1, 2]]
    assert chosen.psnr[0] == overlap_psnr(views, images).psnr[1]
    both = overlap_psnr(views, images)
    assert both.mean == pytest.approx(both.psnr.mean())


def test_no_overlap_is_no_number():
    views = plane_views((0.0, 9.0))
    score = overlap_psnr(views, random_images(2))
    assert len(score.pairs) == 0 and np.isnan(score.mean)


def test_several_sets_at_once_are_what_they_are_alone():
    views, sets = box_views(4), [random_images(4, 1), random_images(4, 2)]
    calls = []
    together = overlap_scores(views, sets, done=lambda: calls.append(1))
    assert len(calls) == 6
    for images, score in zip(sets, together, strict=True):
        alone = overlap_psnr(views, images)
        assert np.array_equal(score.pairs, alone.pairs) and np.array_equal(score.psnr, alone.psnr)


@pytest.mark.parametrize("images", [random_images(1), [im[:20] for im in random_images(2)]])
def test_images_that_do_not_fit_are_refused(images):
    with pytest.raises(InputError, match=r"overlap: "):
        overlap_psnr(plane_views(), images)
