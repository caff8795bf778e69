"""The exact surface: coordinates, samples, nearest points."""

from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic_rooms import quick_room

from scenetex.scene.mesh import Mesh
from scenetex.synthetic.closest_point import ClosestFace, closest_on_triangles
from scenetex.synthetic.patches import box, cushion, pierced_panel
from scenetex.synthetic.surface import build_surface, sample_lattice


@cache
def _build():
    keep = np.array([[True, True], [True, False]])
    parts = [
        [box((0, 0, 0.5), (1.0, 0.6, 1.0), "a")],
        [
            cushion((0, 0, 1.3), (0.5, 0.4, 0.2), 0.05, "b", tint=(0.5, 0.6, 0.7), bulge=0.02),
            pierced_panel((-2, -2, 0), (1, 0, 0), [0, 1, 4], (0, 1, 0), [0, 2, 3], keep, "a"),
        ],
    ]
    return build_surface(parts, {"a": 0, "b": 1}, np.array([[2.0, 1.0], [0.5, 0.5]]), 0.1)


@pytest.fixture(name="surface")
def _surface():
    return _build()


def corner_values(surface):
    """What the face maps give at the faces' own corners: (f, 3, 4)."""
    corners = surface.mesh.triangles
    return np.einsum("fij,fcj->fci", surface.face_map[..., :3], corners) + surface.face_map[:, None, :, 3]


def test_face_maps_give_periods_and_light_samples(surface):
    values = corner_values(surface)
    patch = surface.face_patch
    low = surface.light_origin[patch][:, None]
    high = low + surface.light_shape[patch][:, None] - 1
    assert (values[..., 2:] > low - 1e-3).all() and (values[..., 2:] < high + 1e-3).all()
    # The box's top is 1 m x 0.6 m of a material that repeats after 2 m and 1 m.
    top = (surface.part[patch] == 0) & (surface.mesh.face_normals[:, 2] > 0.9)
    np.testing.assert_allclose(np.ptp(values[top][..., :2].reshape(-1, 2), axis=0), (0.5, 0.6), atol=1e-5)


def test_parts_materials_and_tints_follow_their_patches(surface):
    assert set(surface.part) == {0, 1} and set(surface.material) == {0, 1}
    np.testing.assert_allclose(surface.tint[surface.material == 1], np.tile([0.5, 0.6, 0.7], (6, 1)), rtol=1e-6)
    assert surface.mesh.face_areas.min() > 0
    assert surface.mesh.face_areas[surface.mesh.triangles[..., 2].max(1) == 0].sum() >= 4 * 3 - 3


def test_holes_have_no_faces(surface):
    flat = surface.mesh.triangles[(np.abs(surface.mesh.triangles[..., 2]) < 1e-9).all(1)]
    sheet = flat[(flat[..., 0].min(1) < -0.9) | (flat[..., 0].max(1) > 0.9)]
    middle = sheet.mean(1)
    assert not ((middle[:, 0] > -1) & (middle[:, 1] > 0)).any()
    assert ((middle[:, 0] > -1) & (middle[:, 1] < 0)).any()


@given(st.sampled_from([0.0, 0.001, 0.02]), st.integers(2, 9))
@settings(max_examples=20, deadline=None)
def test_lattice_samples_lie_on_the_surface(inset, count):
    surface = _build()
    shape = np.full((len(surface.material), 2), count)
    lattice = sample_lattice(surface.grids, shape, inset)
    assert len(lattice.points) == shape.prod(1).sum()
    flat = surface.part[lattice.patch] == 0
    half = np.abs(lattice.points[flat] - (0, 0, 0.5)) / (0.5, 0.3, 0.5)
    np.testing.assert_allclose(half.max(1), 1, atol=1e-9)
    if inset:
        # Of each sample on the box, only the coordinate across its face may reach the box's side.
        assert np.sort(half, axis=1)[:, 1].max() < 1
    np.testing.assert_allclose(np.linalg.norm(lattice.normals, axis=1), 1, atol=1e-6)
    i = lattice.start[lattice.patch] + lattice.row * count + lattice.column
    np.testing.assert_array_equal(i, np.arange(len(i)))


def test_light_maps_do_not_share_samples():
    surface = quick_room().surface
    width, height = surface.light_size
    page = np.zeros((height, width), int)
    for (x, y), (w, h) in zip(surface.light_origin, surface.light_shape, strict=True):
        page[y : y + h, x : x + w] += 1
    assert page.max() == 1


@given(st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_nearest_points_are_those_of_all_faces(seed):
    rng = np.random.default_rng(seed)
    corners = rng.uniform(-1, 1, (12, 1, 3)) + rng.uniform(-0.4, 0.4, (12, 3, 3)) * rng.uniform(0.05, 1, (12, 1, 3))
    mesh = Mesh(corners.reshape(-1, 3), np.arange(36).reshape(-1, 3))
    weights = rng.dirichlet([1, 1, 1], 40)
    points = np.einsum("nc,ncd->nd", weights, corners[rng.integers(0, 12, 40)]) + rng.normal(0, 0.003, (40, 3))
    nearest, face, distance = ClosestFace(mesh, np.ones(12, bool))(points)
    every = closest_on_triangles(np.repeat(points, 12, 0), np.tile(corners, (40, 1, 1))).reshape(40, 12, 3)
    all_distances = np.linalg.norm(every - points[:, None], axis=2)
    np.testing.assert_allclose(distance, all_distances.min(1), atol=1e-9)
    np.testing.assert_allclose(distance, np.linalg.norm(nearest - points, axis=1), atol=1e-12)
    np.testing.assert_allclose(all_distances[np.arange(40), face], distance, atol=1e-9)


def test_faces_left_out_are_never_nearest():
    corners = np.array([[[0, 0, 0], [1, 0, 0], [0, 1, 0]], [[0, 0, 0.001], [1, 0, 0.001], [0, 1, 0.001]]])
    mesh = Mesh(corners.reshape(-1, 3), np.arange(6).reshape(-1, 3))
    _, face, distance = ClosestFace(mesh, np.array([False, True]))(np.array([[0.2, 0.2, 0.0]]))
    assert face[0] == 1 and distance[0] == pytest.approx(0.001)


def test_what_nobody_sees_is_found_hidden():
    room = quick_room()
    surface = room.surface
    skirting = room.parts.index("skirting")
    normals, part = room.mesh.face_normals, room.face_part
    hidden = room.hidden[surface.face_patch]
    under = (part == skirting) & (normals[:, 2] < -0.9)
    above = (part == skirting) & (normals[:, 2] > 0.9)
    assert under.any() and hidden[under].all() and not hidden[above].any()
    for name in ("floor", "ceiling", "walls"):
        assert not hidden[part == room.parts.index(name)].any()
