"""Stitching: exact spheres come back, the loop-written reference agrees, nothing jumps at +-180 degrees."""

import numpy as np
import pytest
from PIL import Image
from tiny_panorama import column_steps, sphere, sphere_panorama, sphere_views

from scenetex import InputError
from scenetex.panorama import VIEWS, ring_intrinsics, ring_rotations, stitch
from scenetex.panorama.poles import fill_pole


def shown_by(direction: np.ndarray, size: int) -> list[tuple[int, float, float]]:
    """View, column and row of a direction in each view that has it between its outermost pixel centres."""
    found = []
    for i in range(VIEWS):
        x, y, z = ring_rotations()[i].T @ direction
        if z > 0:
            column, row, _ = ring_intrinsics(size) @ [x / z, y / z, 1]
            if 0 < column < size - 1 and 0 < row < size - 1:
                found.append((i, column, row))
    return found


def loops(views: np.ndarray, height: int) -> np.ndarray:
    """The panorama pixel by pixel; NaN where no view shows anything."""
    size = views.shape[1]
    middle = (size - 1) / 2

    def pixel(view, column, row):
        """Linear beyond the border."""
        for axis, at in ((0, row), (1, column)):
            if at in (-1, size):
                edge, inner = (0, 1) if at == -1 else (size - 1, size - 2)
                near = (column, edge) if axis == 0 else (edge, row)
                far = (column, inner) if axis == 0 else (inner, row)
                return 2 * pixel(view, *near) - pixel(view, *far)
        return views[view, row, column].astype(np.float64)

    def kernel(t):
        t = abs(t)
        if t < 1:
            return 1.5 * t**3 - 2.5 * t**2 + 1
        return -0.5 * t**3 + 2.5 * t**2 - 4 * t + 2 if t < 2 else 0.0

    out = np.full((height, 2 * height, 3), np.nan)
    for r in range(height):
        latitude = np.pi / 2 - (r + 0.5) * np.pi / height
        for c in range(2 * height):
            longitude = (c + 0.5) * np.pi / height - np.pi
            direction = np.array(
                [np.sin(longitude) * np.cos(latitude), -np.sin(latitude), np.cos(longitude) * np.cos(latitude)]
            )
            total, color = 0.0, np.zeros(3)
            for view, x, y in shown_by(direction, size):
                weight = ((1 - abs(x - middle) / middle) * (1 - abs(y - middle) / middle)) ** 3
                left, top = int(np.floor(x)), int(np.floor(y))
                for j in range(left - 1, left + 3):
                    for i in range(top - 1, top + 3):
                        color += weight * kernel(x - j) * kernel(y - i) * pixel(view, j, i)
                total += weight
            if total:
                out[r, c] = color / total
    return out


@pytest.mark.parametrize(("size", "height"), [(5, 12), (8, 16), (4, 20)])
def test_stitching_is_what_loops_give(size, height):
    views = np.random.default_rng(size).random((VIEWS, size, size, 3)).astype(np.float32)
    expected = loops(views, height)
    seen = ~np.isnan(expected[..., 0])
    assert 0.3 < seen.mean() < 0.6
    assert np.abs(stitch(views, height)[seen] - expected[seen].clip(0, 1)).max() < 1e-5


@pytest.mark.parametrize(("size", "tolerance"), [(32, 2e-4), (64, 2e-5), (128, 3e-6)])
@pytest.mark.parametrize("share", [1, 2])
def test_a_smooth_sphere_comes_back(size, tolerance, share):
    """Wherever a view shows it: to 42.7 degrees of latitude all around, less the half pixel at the views' border."""
    truth, latitude = sphere_panorama(share * size)
    found = stitch(sphere_views(size), share * size)
    seen = np.abs(np.degrees(latitude[:, 0])) < 42.7 - 60 / size
    assert seen.mean() > 0.4
    assert np.abs(found - truth)[seen].max() < tolerance


def test_columns_at_180_degrees_are_neighbours_like_any_others():
    """Turned by whole eighths, each pair of columns comes to lie there once: the steps are the same ones."""
    views = sphere_views(32)
    steps = column_steps(stitch(views))
    assert steps[0] <= steps[1:].max()
    for turn in range(1, VIEWS):
        turned = stitch(np.roll(views, turn, 0))
        assert np.abs(turned - np.roll(stitch(views), 16 * turn, 1)).max() < 1e-6
        assert np.allclose(column_steps(turned), np.roll(steps, 16 * turn), atol=1e-6)


@pytest.mark.parametrize("seed", range(4))
def test_no_seam_between_views_that_disagree(seed):
    """Every view of another colour: where one ends and another begins, the panorama changes slowly."""
    colors = np.random.default_rng(seed).random((VIEWS, 1, 1, 3)).astype(np.float32)
    found = stitch(np.broadcast_to(colors, (VIEWS, 48, 48, 3)))
    # To 36 degrees of latitude; towards 42.7 the fading narrows, as there is only one view on either side of a border.
    band = found[29:-29]
    contrast = np.abs(colors - np.roll(colors, 1, 0)).max()
    assert np.abs(band - np.roll(band, 1, 1)).max() < 0.18 * contrast
    assert np.abs(np.diff(band, axis=0)).max() < 0.18 * contrast


def test_first_view_is_in_the_middle_and_the_next_to_the_right():
    colors = np.linspace(0, 0.7, VIEWS)[:, None, None, None] + np.zeros((VIEWS, 16, 16, 3))
    row = stitch(colors)[16, :, 0]
    assert np.allclose(row[[32, 40, 48, 56, 0, 8, 16, 24]], np.linspace(0, 0.7, VIEWS), atol=1e-3)


def test_up_is_up():
    views = np.zeros((VIEWS, 16, 16, 3))
    views[:, :8] = 1
    found = stitch(views)
    assert (found[:12] > 0.9).all() and (found[-12:] < 0.1).all()


def test_poles_continue_the_rim_without_a_jump():
    found = stitch(np.full((VIEWS, 32, 32, 3), 0.25, np.float32))
    assert np.allclose(found, 0.25, atol=1e-6)
    found = stitch(sphere_views(64))
    assert found.min() >= 0 and found.max() <= 1
    # At the pole, all columns have become one colour: the mean of the rim.
    assert found[0].std(0).max() < 0.02 < found[30].std(0).max()
    steps = np.abs(np.diff(found, axis=0)).max((1, 2))
    assert steps.max() < 0.06


def test_harmonics_of_the_rim_fade_as_on_a_disc():
    h, w, k = 60, 120, 3
    angle = 2 * np.pi * np.arange(w) / w
    color = np.zeros((h, w, 1))
    seen = np.zeros((h, w), bool)
    seen[20:] = True
    color[20:] = np.cos(k * angle)[:, None]
    fill_pole(color, seen)
    polar = (np.arange(h) + 0.5) * np.pi / h
    radius = np.tan(polar / 2) / np.tan(polar[20] / 2)
    assert np.abs(color[:20, :, 0] - radius[:20, None] ** k * np.cos(k * angle)).max() < 2e-3


def test_images_of_all_kinds():
    views = sphere_views(16)
    narrow = np.round(views * 255).astype(np.uint8)
    assert np.abs(stitch(narrow) - stitch(views)).max() < 0.01
    assert np.array_equal(stitch([Image.fromarray(v) for v in narrow]), stitch(narrow))
    assert stitch(views).dtype == np.float32 and stitch(views).shape == (32, 64, 3)


def test_rotations_turn_to_the_right():
    for i, rotation in enumerate(ring_rotations()):
        yaw = np.radians(45 * i)
        assert np.allclose(rotation @ [0, 0, 1], [np.sin(yaw), 0, np.cos(yaw)]) and np.allclose(rotation[1], [0, 1, 0])
        assert np.allclose(rotation.T @ rotation, np.eye(3)) and np.linalg.det(rotation) > 0
    corner = np.linalg.inv(ring_intrinsics(10)) @ [-0.5, 9.5, 1]
    assert np.allclose(corner, [-1, 1, 1])
    assert np.allclose(sphere(np.array([0, 0, 1.0])), sphere(ring_rotations()[0] @ [0, 0, 1]))


@pytest.mark.parametrize(
    ("images", "height", "words"),
    [
        (np.zeros((7, 8, 8, 3)), None, "7 images; pass the 8 views"),
        (np.zeros((8, 8, 6, 3)), None, "view 0 is 8 x 6 x 3, not square"),
        ([np.zeros((8, 8, 3))] * 7 + [np.zeros((6, 6, 3))], None, "view 7 is 6 x 6 x 3, the first one is not"),
        (np.zeros((8, 8, 8)), None, "view 0 is 8 x 8 of float64"),
        (np.zeros((8, 8, 8, 3), int), None, "int64"),
        (np.zeros((8, 8, 8, 3)), 30, "30 rows; pass a multiple of 4"),
        (np.zeros((8, 8, 8, 3)), 0, "0 rows"),
    ],
)
def test_input_that_does_not_fit(images, height, words):
    with pytest.raises(InputError, match=words) as caught:
        stitch(images, height)
    assert "\n" not in str(caught.value)
