"""The middle and the radius of a mesh: whatever lies far away does not count, and units and places scale along."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from painted_box import box

from scenetex.scene.mesh import Mesh


def dented_room(seed: int) -> Mesh:
    """A box with a thousand small faces strewn in it."""
    rng = np.random.default_rng(seed)
    room, bits = box(), rng.uniform(-1, 1, (1000, 1, 3)) + rng.normal(0, 0.02, (1000, 3, 3))
    faces = np.concatenate([room.faces, len(room.vertices) + np.arange(3000).reshape(-1, 3)])
    return Mesh(np.concatenate([room.vertices, bits.reshape(-1, 3)]), faces.astype(np.int32))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.floats(-4, 4), st.floats(-6e6, 6e6))
def test_units_and_places_scale_along(seed, power, shift):
    mesh, scale = dented_room(seed), 10.0**power
    here, there = mesh.extent, Mesh(scale * (mesh.vertices + shift), mesh.faces).extent
    np.testing.assert_allclose(there.middle, scale * (here.middle + shift), rtol=1e-12, atol=1e-6 * scale)
    assert there.radius == pytest.approx(scale * here.radius, rel=1e-6)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.floats(1e2, 1e9), st.booleans())
def test_vertices_without_faces_never_count_and_few_faces_far_away_hardly(seed, away, used):
    mesh = dented_room(seed)
    rng = np.random.default_rng(seed)
    more = np.array([*rng.normal(0, away, (6, 3)), [np.nan] * 3, [np.inf, 0, 0]])
    count = len(mesh.vertices)
    # Slivers from the room to far away, and a large face out there.
    faces = np.array([[0, 1, count], [100, 101, count + 1], [count + 3, count + 4, count + 5]])
    both = Mesh(np.concatenate([mesh.vertices, more]), np.concatenate([mesh.faces, faces[: 3 * used]]).astype(np.int32))
    # As in the mesh alone, where the same part of the corners is looked at.
    if used:
        assert np.linalg.norm(both.extent.middle - mesh.extent.middle) < 0.5 * mesh.extent.radius
        assert 0.5 < both.extent.radius / mesh.extent.radius < 2
    else:
        np.testing.assert_array_equal(both.extent.middle, mesh.extent.middle)
        assert both.extent.radius == mesh.extent.radius


def test_a_statue_in_a_coarse_hall_does_not_hide_the_hall():
    hall, statue = box(), np.random.default_rng(0).normal(0, 0.002, (1000, 3, 3))
    faces = np.concatenate([hall.faces, len(hall.vertices) + np.arange(3000).reshape(-1, 3)])
    mesh = Mesh(np.concatenate([10 * hall.vertices, statue.reshape(-1, 3)]), faces.astype(np.int32))
    assert mesh.extent.radius > 0.3


@pytest.mark.parametrize("faces", [[[0, 1, 2]], [[0, 1, 2], [0, 0, 0]], [[0, 0, 0]], []])
def test_meshes_of_hardly_anything_have_an_extent(faces):
    mesh = Mesh(np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0]]), np.array(faces, np.int32).reshape(-1, 3))
    assert np.isfinite(mesh.extent.middle).all() and np.isfinite(mesh.extent.radius)
    assert (mesh.extent.radius > 0) == ([0, 1, 2] in faces)
