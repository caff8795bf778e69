"""Patches: the same surface and layout in short edges, without cracks."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from painted_box import box

from scenetex import unwrap
from scenetex.scene.mesh import Mesh
from scenetex.texture.atlas import Atlas
from scenetex.texture.subdivide import patches
from scenetex.texture.weld import face_adjacency


def edge_lengths(mesh: Mesh) -> np.ndarray:
    return np.linalg.norm(mesh.triangles - np.roll(mesh.triangles, -1, axis=1), axis=2)


def signed_uv_area(atlas) -> np.ndarray:
    a, b, c = (atlas.uv[atlas.faces[:, i]].astype(float) for i in range(3))
    area = 0.5 * ((b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0])
    return np.where(atlas.page >= 0, area, 0)


@pytest.mark.parametrize("longest", [1.1, 0.4])
@pytest.mark.parametrize("offset", [0.0, 5e5])
def test_a_box_is_cut_without_a_crack(longest, offset):
    mesh = box(np.zeros(3) + offset, np.array([4.0, 3.0, 2.4]) + offset)
    atlas = unwrap(mesh, 128)
    cut = patches(mesh, longest)
    small, layout = cut.mesh, cut.layout(atlas)
    assert edge_lengths(small).max() <= longest
    # A closed surface stays closed: every edge has exactly two faces, so no corner lies inside another's edge.
    assert len(face_adjacency(small.faces)) * 2 == 3 * len(small.faces)
    assert len(np.unique(small.vertices, axis=0)) == len(small.vertices)
    # Euler: still one sphere.
    assert len(small.vertices) - 3 * len(small.faces) // 2 + len(small.faces) == 2
    np.testing.assert_allclose(small.face_areas.sum(), mesh.face_areas.sum(), rtol=1e-9)
    for axis in range(3):  # the normals say which side each patch came from
        for sign in (1, -1):
            was, now = (m.face_areas[m.face_normals[:, axis] * sign > 0.99].sum() for m in (mesh, small))
            np.testing.assert_allclose(now, was, rtol=1e-6)
    np.testing.assert_allclose(signed_uv_area(layout).sum(), signed_uv_area(atlas).sum(), rtol=1e-5)
    assert (signed_uv_area(layout) > 0).all(), "orientation in the atlas is kept"
    np.testing.assert_array_equal(layout.vertices[layout.faces], small.faces)


def test_short_edges_leave_the_mesh_as_it_is():
    mesh = box()
    atlas = unwrap(mesh, 128)
    cut = patches(mesh, 10.0)
    layout = cut.layout(atlas)
    np.testing.assert_array_equal(cut.mesh.triangles, mesh.triangles)
    np.testing.assert_array_equal(cut.parent, np.arange(len(mesh.faces)))
    np.testing.assert_array_equal(layout.uv[layout.faces], atlas.uv[atlas.faces])
    np.testing.assert_array_equal(layout.page, atlas.page)
    np.testing.assert_array_equal(layout.chart, atlas.chart)


def test_dirt_goes_and_layout_follows_the_faces_that_stay():
    clean = box()
    n = len(clean.vertices)
    vertices = np.concatenate([clean.vertices, clean.vertices, [[np.nan] * 3]])
    faces = np.concatenate([[[0, 1, 1], [0, 2 * n, 1]], clean.faces[:6], clean.faces[6:] + n]).astype(np.int32)
    mesh = Mesh(vertices, faces)
    atlas = unwrap(mesh, 128)
    cut = patches(mesh, 1.0)
    small, layout = cut.mesh, cut.layout(atlas)
    assert set(cut.parent) == set(range(2, len(faces)))
    assert np.isfinite(small.vertices).all() and (layout.page >= 0).all()
    assert len(face_adjacency(small.faces)) * 2 == 3 * len(small.faces), "the two halves are welded"
    np.testing.assert_allclose(small.face_areas.sum(), clean.face_areas.sum())


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 12), st.floats(0.05, 1.5))
def test_uv_and_place_stay_together(seed, count, longest):
    """On every patch, uv is still the affine function of place that it was on the face it came from."""
    rng = np.random.default_rng(seed)
    vertices = rng.uniform(-1, 1, (count + 3, 3))
    faces = np.array([rng.choice(len(vertices), 3, replace=False) for _ in range(count)], np.int32)
    mesh = Mesh(vertices, faces)
    uv = rng.uniform(0, 1, (3 * count, 2)).astype(np.float32)
    number = np.arange(count, dtype=np.int32)
    atlas = Atlas(uv, np.arange(3 * count).reshape(-1, 3), faces.ravel(), number % 3, number, 128, 3, 10.0)
    cut = patches(mesh, longest)
    small, layout = cut.mesh, cut.layout(atlas)
    assert edge_lengths(small).max() <= longest * (1 + 1e-12)
    np.testing.assert_array_equal(layout.chart, cut.parent)
    np.testing.assert_array_equal(layout.page, cut.parent % 3)
    np.testing.assert_array_equal(layout.vertices[layout.faces], small.faces)
    placed = np.einsum("kij,kjc->kic", cut.weights.astype(float), mesh.triangles[cut.parent])
    np.testing.assert_allclose(placed, small.triangles, atol=1e-12)
    for i in range(count):
        mine = np.flatnonzero(cut.parent == i)
        np.testing.assert_allclose(small.face_areas[mine].sum(), mesh.face_areas[i], rtol=1e-6, atol=1e-12)
        parallel = small.face_cross[mine] @ mesh.face_cross[i]
        assert (parallel > 0).all() and np.linalg.norm(small.face_cross[mine], axis=1).min() > 0
        edges = mesh.triangles[i, 1:] - mesh.triangles[i, 0]
        corner = small.triangles[mine].reshape(-1, 3)
        weights = np.linalg.lstsq(edges.T, (corner - mesh.triangles[i, 0]).T, rcond=None)[0].T
        corners_uv = uv[3 * i : 3 * i + 3].astype(float)
        expected = corners_uv[0] + weights @ (corners_uv[1:] - corners_uv[0])
        slim = mesh.face_areas[i] < 1e-3  # least squares on a needle says little
        np.testing.assert_allclose(layout.uv[layout.faces[mine]].reshape(-1, 2), expected, atol=1e-2 if slim else 1e-5)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.floats(0.05, 0.8))
def test_neighbours_share_their_edges(seed, longest):
    rng = np.random.default_rng(seed)
    ring = np.sort(rng.uniform(0, 2 * np.pi, 7))
    vertices = np.concatenate([[[0, 0, 0.3]], np.stack([np.cos(ring), np.sin(ring), rng.uniform(-1, 1, 7)], 1)])
    faces = np.array([[0, i + 1, (i + 1) % 7 + 1] for i in range(7)], np.int32)
    mesh = Mesh(vertices, faces)
    small = patches(mesh, longest).mesh
    # Open edges of the fan are its seven outer ones, cut into pieces; a crack inside would add to their length.
    edges = np.sort(np.stack([small.faces, np.roll(small.faces, -1, 1)], 2).reshape(-1, 2), 1)
    pairs, count = np.unique(edges, axis=0, return_counts=True)
    border = pairs[count == 1]
    rim = np.linalg.norm(small.vertices[border[:, 0]] - small.vertices[border[:, 1]], axis=1).sum()
    outer = np.linalg.norm(vertices[1:] - np.roll(vertices[1:], -1, axis=0), axis=1).sum()
    np.testing.assert_allclose(rim, outer, rtol=1e-9)
    assert count.max() == 2
