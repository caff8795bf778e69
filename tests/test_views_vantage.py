"""The first view of a room is from inside it."""

import numpy as np
import pytest
from painted_box import box

from scenetex.scene.mesh import Mesh
from scenetex.views.vantage import inside_view


def extent(mesh: Mesh) -> np.ndarray:
    return np.stack([mesh.vertices.min(0), mesh.vertices.max(0)])


@pytest.mark.parametrize("moved", [np.zeros(3), np.array([500.0, -70, 30])])
def test_from_inside_and_level(moved):
    mesh = box()
    mesh = Mesh(mesh.vertices + moved, mesh.faces)
    eye, target = inside_view(mesh)
    low, high = extent(mesh)
    assert ((eye > low + 0.2) & (eye < high - 0.2)).all()
    assert target[2] == eye[2] and np.linalg.norm(target - eye) == pytest.approx(1)


def test_of_places_the_one_with_the_most_room():
    low, high = extent(box())
    middle = (low + high) / 2
    corner, outside = low + 0.05 * (high - low), high + (high - low)
    eye, target = inside_view(box(), [corner, middle, outside])
    np.testing.assert_array_equal(eye, middle)
    eye, target = inside_view(box(), [corner])
    # From a corner one sees farthest into the opposite one.
    assert ((target - eye)[:2] > 0.3).all()


def test_a_wall_is_looked_at_from_its_front():
    low, high = extent(box())
    inner = box()
    shell = Mesh(inner.vertices * 3 - low, inner.faces[:, ::-1])  # seen from outside only
    both = Mesh(
        np.concatenate([inner.vertices, shell.vertices]),
        np.concatenate([inner.faces, shell.faces + len(inner.vertices)]),
    )
    between = (high + 0.2)[None]
    eye, _ = inside_view(both, [*between, (low + high) / 2])
    np.testing.assert_array_equal(eye, (low + high) / 2)


def test_where_there_is_no_inside_it_is_the_middle():
    flat = Mesh(np.array([[0.0, 0, 0], [2, 0, 0], [0, 2, 0]]), np.array([[0, 1, 2]], np.int32))
    eye, target = inside_view(flat)
    np.testing.assert_array_equal(eye, [1, 1, 0])
    assert np.isfinite(target).all()
