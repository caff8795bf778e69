"""Ray casting against a loop over all triangles."""

import gc
import weakref

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from scenetex.scene.mesh import Mesh
from scenetex.views.raycast import RayCaster


def loop_cast(vertices, faces, origin, direction):
    """First hit by Moeller and Trumbore 1997: (face, distance, u, v), face -1 for none. None where rounding decides."""
    hits, doubtful = [(np.inf, -1, 0.0, 0.0)], np.inf
    for i, (a, b, c) in enumerate(vertices[faces]):
        p = np.cross(direction, c - a)
        det = (b - a) @ p
        if abs(det) < 1e-3:
            return None
        u = ((origin - a) @ p) / det
        q = np.cross(origin - a, b - a)
        v, t = (direction @ q) / det, ((c - a) @ q) / det
        inside = min(u, v, 1 - u - v)
        if abs(inside) < 1e-3 or (inside > 0 and abs(t) < 1e-3):
            doubtful = min(doubtful, abs(t))
        elif inside > 0 and t > 0:
            hits.append((t, i, u, v))
    hits.sort()
    close = len(hits) > 2 and hits[1][0] < hits[0][0] * 1.001
    if close or doubtful < hits[0][0] * 1.001:
        return None
    return hits[0][1], hits[0][0], *hits[0][2:]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6))
def test_it_agrees_with_a_loop(seed):
    rng = np.random.default_rng(seed)
    vertices, faces = rng.uniform(-1, 1, (24, 3)), rng.permutation(24).reshape(8, 3)
    origins, targets = rng.normal(0, 2, (40, 3)), rng.normal(0, 0.5, (40, 3))
    hit = RayCaster(vertices, faces).cast(origins, targets - origins)
    compared = 0
    for i in range(40):
        expected = loop_cast(vertices, faces, origins[i], targets[i] - origins[i])
        if expected is None:
            continue
        compared += 1
        assert hit["face"][i] == expected[0]
        if expected[0] >= 0:
            np.testing.assert_allclose(hit["distance"][i], expected[1], rtol=1e-3, atol=1e-5)
            np.testing.assert_allclose([hit["u"][i], hit["v"][i]], expected[2:], atol=5e-3)
    assert compared > 0


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6))
def test_a_ray_is_blocked_where_its_first_hit_is_within_reach(seed):
    rng = np.random.default_rng(seed)
    caster = RayCaster(rng.uniform(-1, 1, (60, 3)), rng.permutation(60).reshape(20, 3))
    origins, directions = rng.normal(0, 2, (200, 3)), rng.normal(0, 2, (200, 3))
    hit = caster.cast(origins, directions)
    for reach in (rng.uniform(0, 2, 200), 0.8, 0.0):
        near = hit["distance"] / np.maximum(reach, 1e-9)
        clear = np.abs(near - 1) > 1e-4
        within = (hit["face"] >= 0) & (near < 1)
        assert (caster.blocked(origins, directions, reach) == within)[clear].all()


def test_distance_counts_in_lengths_of_the_direction():
    caster = RayCaster(np.array([[-1.0, -1, 4], [3, -1, 4], [-1, 3, 4]]), np.array([[0, 1, 2]]))
    hit = caster.cast(np.zeros((3, 3)), np.array([[0, 0, 1.0], [0, 0, 0.5], [0, 0, -1]]))
    np.testing.assert_allclose(hit["distance"][:2], [4, 8])
    np.testing.assert_array_equal(hit["face"], [0, 0, -1])
    np.testing.assert_allclose([hit["u"][0], hit["v"][0]], [0.25, 0.25], atol=1e-6)


def test_faces_with_a_nan_corner_are_never_hit_and_ids_stay():
    square = np.array([[-1.0, -1, 2], [1, -1, 2], [1, 1, 2], [-1, 1, 2]])
    for nan_at in (0, 4):  # before and after the finite vertices
        vertices = np.insert(square, nan_at, np.nan, axis=0)
        a, b, c, d = (i + (nan_at == 0) for i in range(4))
        faces = np.array([[a, b, nan_at], [a, b, c], [nan_at, nan_at, nan_at], [a, c, d]])
        x, y = np.meshgrid(np.linspace(-0.4, 0.4, 9), np.linspace(-0.4, 0.4, 9) + 0.013)
        directions = np.stack([x.ravel(), y.ravel(), np.ones(x.size)], 1)
        hit = RayCaster(vertices, faces).cast(np.zeros_like(directions), directions)
        np.testing.assert_array_equal(hit["face"], np.where(directions[:, 0] > directions[:, 1], 1, 3))


def test_no_rays_no_hits():
    hit = RayCaster(np.eye(3), np.array([[0, 1, 2]])).cast(np.zeros((0, 3)), np.zeros((0, 3)))
    assert len(hit["face"]) == len(hit["distance"]) == 0
    assert len(RayCaster(np.eye(3), np.array([[0, 1, 2]])).blocked(np.zeros((0, 3)), np.zeros((0, 3)), 1.0)) == 0


def test_a_meshs_caster_is_about_its_middle_built_once_and_gone_with_it():
    mesh = Mesh(np.array([[9.0, 9, 4], [13, 9, 4], [9, 13, 4]]), np.array([[0, 1, 2]], np.int32))
    caster = RayCaster.of(mesh)
    assert RayCaster.of(mesh) is caster
    eye = np.array([[10.0, 10, 0]]) - mesh.extent.middle
    assert caster.cast(eye, np.array([[0.0, 0, 1]]))["distance"].tolist() == [4.0]
    gone = weakref.ref(caster)
    del mesh, caster
    gc.collect()
    assert gone() is None
