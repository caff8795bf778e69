"""Welding: soups become surfaces, dirt goes, the original's faces stay in order."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from painted_box import box

from scenetex import InputError
from scenetex.scene.mesh import Mesh
from scenetex.texture.weld import face_adjacency, solid_faces, weld


def soup(mesh: Mesh) -> Mesh:
    """The same triangles without shared vertices."""
    return Mesh(mesh.triangles.reshape(-1, 3), np.arange(3 * len(mesh.faces), dtype=np.int32).reshape(-1, 3))


@pytest.mark.parametrize("offset", [0.0, 5e5])
def test_a_soup_becomes_a_surface(offset):
    mesh = soup(box(np.zeros(3) + offset, np.array([1.0, 2.0, 3.0]) + offset))
    positions, faces, first = weld(mesh, solid_faces(mesh))
    assert len(positions) == 8 and positions.dtype == np.float32
    np.testing.assert_array_equal(mesh.vertices[first[faces]], mesh.triangles)
    # Relative to the middle, float32 keeps the shape to a fraction of a micrometre.
    np.testing.assert_allclose(positions[faces], mesh.triangles - mesh.extent.middle)
    assert len(face_adjacency(faces)) == 18  # every edge of the closed box has two faces


def test_both_zeros_are_one_place():
    vertices = np.array([[0.0, 0.0, 0], [1, 0, 0], [0, 1, 0], [-0.0, -0.0, -0.0], [1, 0, -0.0], [0, -1, 0]])
    # The middle of this mesh is the origin in y and z, so that signed zeros survive centring.
    mesh = Mesh(np.concatenate([vertices, [[-1.0, 0, 0]]]), np.array([[0, 1, 2], [3, 5, 4], [0, 2, 6]], np.int32))
    positions, faces, _ = weld(mesh, solid_faces(mesh))
    assert len(positions) == 5
    assert faces[0, 0] == faces[1, 0] and faces[0, 1] == faces[1, 2]


def test_faces_without_area_or_with_corners_nowhere_go_and_the_others_keep_their_order():
    vertices = np.array(
        [[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 1, 0], [2, 0, 0], [np.nan, 0, 0], [np.inf, 1, 1], [1, 2, 3]]
    )
    faces = np.array([[0, 1, 1], [1, 3, 2], [0, 1, 4], [0, 5, 1], [0, 1, 2], [0, 6, 7], [3, 3, 3]], np.int32)
    mesh = Mesh(vertices, faces)
    kept = solid_faces(mesh)
    np.testing.assert_array_equal(kept, [1, 4])
    positions, welded, first = weld(mesh, kept)
    assert np.isfinite(positions).all()
    np.testing.assert_array_equal(first[welded], faces[kept])


@pytest.mark.parametrize(
    "mesh",
    [
        Mesh(np.zeros((3, 3)), np.array([[0, 1, 2]], np.int32)),
        Mesh(np.full((3, 3), np.nan), np.array([[0, 1, 2]], np.int32)),
        Mesh(np.eye(3), np.zeros((0, 3), np.int32)),
        Mesh(np.zeros((0, 3)), np.zeros((0, 3), np.int32)),
    ],
    ids=["points", "nan", "no faces", "no vertices"],
)
def test_a_mesh_without_area_is_an_input_error(mesh):
    with pytest.raises(InputError, match=r"no face has an area.*check the mesh file"):
        solid_faces(mesh)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 30), st.integers(1, 40))
def test_welded_faces_lie_where_the_originals_do(seed, places, faces):
    rng = np.random.default_rng(seed)
    spots = rng.integers(-2, 3, (places, 3)).astype(float) * 0.25
    vertices = spots[rng.integers(0, places, 50)]
    mesh = Mesh(vertices, rng.integers(0, 50, (faces, 3)).astype(np.int32))
    try:
        kept = solid_faces(mesh)
    except InputError:
        assert not (mesh.face_areas > 0).any()
        return
    positions, welded, first = weld(mesh, kept)
    np.testing.assert_array_equal(mesh.vertices[first[welded]], mesh.triangles[kept])
    assert len(np.unique(mesh.vertices[first], axis=0)) == len(positions), "one vertex per place"
    np.testing.assert_array_equal(kept, np.flatnonzero(mesh.face_areas > 0))


def adjacency_by_loop(faces: np.ndarray) -> list[tuple[int, int]]:
    around: dict[tuple[int, int], list[int]] = {}
    for i, face in enumerate(faces.tolist()):
        for a, b in zip(face, face[1:] + face[:1], strict=True):
            around.setdefault((min(a, b), max(a, b)), []).append(i)
    return sorted((a, b) for edge in around.values() for a, b in pairwise(edge))


def test_an_edge_of_three_faces_pairs_each_with_the_next():
    faces = np.array([[0, 1, 2], [1, 0, 3], [0, 1, 4], [2, 1, 5]], np.int32)
    assert sorted(map(tuple, face_adjacency(faces).tolist())) == [(0, 1), (0, 3), (1, 2)]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 40), st.integers(3, 20), st.sampled_from([1, 10**8]))
def test_adjacency_agrees_with_a_loop(seed, count, vertices, apart):
    """Also where vertices' numbers are too large to be sorted together with faces' places."""
    rng = np.random.default_rng(seed)
    faces = np.array([rng.choice(vertices, 3, replace=False) for _ in range(count)], np.int32) * np.int32(apart)
    assert sorted(map(tuple, face_adjacency(faces).tolist())) == adjacency_by_loop(faces)
