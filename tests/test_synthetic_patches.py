"""Building blocks: closed, outward, and with surface coordinates in metres."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenetex.synthetic.patches import (
    box,
    curtain,
    cushion,
    cylinder,
    image_panel,
    lathe,
    leaf,
    panel,
    pierced_panel,
    pose,
    rod,
)

SHAPES = {
    "box": box((0.3, -0.2, 0.5), (1.0, 0.4, 0.7), "x"),
    "cushion": cushion((0.1, 0.2, 0.3), (0.9, 0.5, 0.2), 0.06, "x"),
    "puffed cushion": cushion((0, 0, 0), (0.6, 0.6, 0.2), 0.05, "x", bulge=0.03),
    "lathe": lathe([(0, 0), (0.3, 0), (0.2, 0.5), (0, 0.5)], "x"),
    "rod": rod((0, 0, 0), (0.5, 0.2, 1), 0.05, "x"),
    "level rod": rod((0, 0, 0), (1, 0, 0), 0.05, "x"),
    "curtain": curtain(0.4, 2.0, 3, 0.06, "x"),
    "leaf": leaf(0.4, 0.1, 0.1, "x"),
    "panel": panel((1, 0, 0), (0, 2, 0), (0, 0, 1), "x"),
}


def triangles(patches) -> np.ndarray:
    """(n, 3, 3) corners, in the order that the mesh uses."""
    p = patches.points
    a, b, c, d = p[:, :-1, :-1], p[:, 1:, :-1], p[:, 1:, 1:], p[:, :-1, 1:]
    return np.concatenate([np.stack(t, -2).reshape(-1, 3, 3) for t in ((a, b, c), (a, c, d))])


def volume(patches) -> float:
    """Signed volume inside; positive only if closed and turned outwards."""
    t = triangles(patches)
    return float(np.einsum("ni,ni->n", t[:, 0], np.cross(t[:, 1], t[:, 2])).sum() / 6)


@pytest.mark.parametrize("name", SHAPES)
def test_normals_agree_with_the_order_of_corners(name):
    shape = SHAPES[name]
    p, n = shape.points, shape.normals
    across = np.cross(p[:, 1:, 1:] - p[:, :-1, :-1], p[:, :-1, 1:] - p[:, 1:, :-1])
    area = np.linalg.norm(across, axis=-1)
    mean = n[:, :-1, :-1] + n[:, 1:, 1:] + n[:, :-1, 1:] + n[:, 1:, :-1]
    cosine = (across * mean).sum(-1) / np.maximum(area * np.linalg.norm(mean, axis=-1), 1e-12)
    assert cosine[area > 1e-9].min() > 0.9
    np.testing.assert_allclose(np.linalg.norm(n, axis=-1), 1, atol=1e-9)


@given(st.tuples(*[st.floats(0.05, 3)] * 3), st.tuples(*[st.floats(-5, 5)] * 3))
def test_a_box_encloses_its_volume(size, center):
    assert volume(box(center, size, "x")) == pytest.approx(np.prod(size), rel=1e-6)


@given(st.floats(0.05, 1), st.floats(0.05, 2), st.integers(6, 40))
def test_a_cylinder_encloses_its_volume(radius, height, segments):
    prism = 0.5 * segments * np.sin(2 * np.pi / segments) * radius**2 * height
    assert volume(cylinder(radius, 0.2, 0.2 + height, "x", segments=segments)) == pytest.approx(prism, rel=1e-6)


def test_a_cushion_lies_inside_its_box_and_a_bulge_adds_to_it():
    size = np.array([0.8, 0.6, 0.2])
    flat = cushion((0, 0, 0), size, 0.05, "x")
    np.testing.assert_allclose(np.abs(flat.points).reshape(-1, 3).max(0), size / 2, atol=1e-9)
    assert 0.9 * size.prod() < volume(flat) < size.prod()
    assert volume(cushion((0, 0, 0), size, 0.05, "x", bulge=0.04)) > volume(flat) * 1.05


def test_a_move_turns_points_and_normals_alike():
    transform = pose(1, 2, 3, yaw=np.pi / 2)
    moved = panel((0, 0, 0), (1, 0, 0), (0, 0, 1), "x").moved(transform)
    np.testing.assert_allclose(moved.points[0, 1, 0], (1, 3, 3), atol=1e-12)
    np.testing.assert_allclose(moved.normals[0, 0, 0], (1, 0, 0), atol=1e-12)


def test_surface_coordinates_are_metres():
    wall = panel((0, 0, 0), (3, 0, 0), (0, 0, 2), "x", st_origin=(0.5, 1.0))
    np.testing.assert_allclose(wall.st[0, 1, 1] - wall.st[0, 0, 0], (3, 2))
    np.testing.assert_allclose(wall.st[0, 0, 0], (0.5, 1.0))
    beam = box((0, 0, 0), (2.0, 0.1, 0.1), "x")
    top = beam.st[4].reshape(-1, 2)
    np.testing.assert_allclose(np.ptp(top, axis=0), (2.0, 0.1))


def test_a_picture_hangs_head_up():
    picture = image_panel((0, 0, 2), 0.6, 0.4, "x")
    top = picture.points[..., 2] == 2
    np.testing.assert_allclose(picture.st[top][:, 1], 0)
    left = picture.points[..., 0] == 0
    np.testing.assert_allclose(picture.st[left][:, 0], 0)
    np.testing.assert_allclose(picture.normals[0, 0, 0], (0, -1, 0))


def test_a_pierced_panel_keeps_the_cells_asked_for():
    keep = np.array([[True, False], [True, True]])
    sheet = pierced_panel((0, 0, 0), (1, 0, 0), [0, 1, 3], (0, 0, 1), [0, 2, 2.5], keep, "x")
    assert sheet.points.shape == (1, 3, 3, 3)
    np.testing.assert_array_equal(sheet.keep[0], keep)
    np.testing.assert_allclose(sheet.points[0, 2, 2], (3, 0, 2.5))
    np.testing.assert_allclose(sheet.normals[0, 0, 0], (0, -1, 0))
