"""Quantities derived from a mesh, and cutting polygons into triangles."""

import numpy as np
import pytest
import trimesh

from scenetex.scene.mesh import Mesh, fan_triangles, used_vertices


def test_areas_and_normals_of_known_triangles():
    vertices = np.array([[0, 0, 0], [2, 0, 0], [0, 3, 0], [4, 0, 0], [np.nan, 0, 0]])
    mesh = Mesh(vertices, np.array([[0, 1, 2], [0, 2, 1], [0, 1, 3], [0, 1, 4]], np.int32))
    np.testing.assert_array_equal(mesh.face_areas[:3], [3, 3, 0])
    assert np.isnan(mesh.face_areas[3])
    np.testing.assert_array_equal(mesh.face_normals, [[0, 0, 1], [0, 0, -1], [0, 0, 0], [0, 0, 0]])


@pytest.mark.parametrize("count", [0, 1, 50])
def test_used_vertices_are_those_that_sorting_finds(count):
    faces = np.random.default_rng(count).integers(0, 90, (count, 3)).astype(np.int32)
    used, corners = np.unique(faces, return_inverse=True)
    found, places = used_vertices(faces)
    np.testing.assert_array_equal(found, used)
    np.testing.assert_array_equal(places, corners.reshape(-1, 3))


def test_of_takes_meshes_of_others_as_they_are():
    box = trimesh.creation.box()
    mesh = Mesh.of(box)
    np.testing.assert_array_equal(mesh.vertices, box.vertices)
    np.testing.assert_array_equal(mesh.faces, box.faces)
    assert mesh.faces.dtype == np.int32
    assert Mesh.of(mesh) is mesh


def test_moving_a_mesh_keeps_where_its_alignment_leads():
    rng = np.random.default_rng(0)
    turn = trimesh.transformations.random_rotation_matrix(rng.random(3))
    turn[:3, 3] = 1, 2, 3
    up = trimesh.transformations.random_rotation_matrix(rng.random(3))
    up[:3, 3] = -4, 0, 1
    mesh = Mesh(rng.normal(size=(5, 3)), np.array([[0, 1, 2]], np.int32), axis_alignment=up)
    moved = mesh.transformed(turn)
    np.testing.assert_allclose(
        moved.transformed(moved.axis_alignment).vertices, mesh.transformed(up).vertices, atol=1e-12
    )
    np.testing.assert_allclose(mesh.transformed(up).axis_alignment, np.eye(4), atol=1e-12)


def test_fans_cut_every_polygon_from_its_first_corner():
    counts = np.array([3, 5, 2, 4])
    corners = np.array([0, 1, 2, 10, 11, 12, 13, 14, 7, 8, 20, 21, 22, 23])
    expected = [[0, 1, 2], [10, 11, 12], [10, 12, 13], [10, 13, 14], [20, 21, 22], [20, 22, 23]]
    np.testing.assert_array_equal(fan_triangles(counts, corners), expected)
    assert fan_triangles(np.array([], int), np.array([], int)).shape == (0, 3)
