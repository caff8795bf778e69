"""The scan-like mesh departs from the exact room as its settings say, and no further."""

from dataclasses import replace

import numpy as np
import pytest
from synthetic_rooms import quick_room, small_camera

from scenetex.synthetic import ScanNoise, scan_mesh, walk

CLEAN = ScanNoise(spacing=0.15, wall_spacing=0.25, noise=0.0, holes=0, floaters=0, duplicates=0.0)


@pytest.fixture(scope="module")
def scanned():
    room, camera = quick_room(3, kind="study"), small_camera()
    poses = walk(room, 8, np.random.default_rng(0), camera)

    def scan(**changes):
        return scan_mesh(room, poses, camera, replace(CLEAN, **changes), np.random.default_rng(7))

    return room, poses, camera, scan, scan()


def edge_use(faces: np.ndarray) -> np.ndarray:
    """How many faces share each edge."""
    edges = np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), axis=1)
    return np.unique(edges, axis=0, return_counts=True)[1]


def test_without_noise_the_scan_lies_on_the_room(scanned):
    room, _, _, _, mesh = scanned
    distance = room.closest(mesh.vertices)[2]
    assert np.quantile(distance, 0.99) < 1e-4
    assert distance.max() < 0.005, "bent cells of leaves and cushions are no planes"
    middle = mesh.triangles.mean(1)
    assert np.quantile(room.closest(middle)[2], 0.99) < 0.006
    assert mesh.face_areas.min() > 0 and mesh.colors.shape == mesh.vertices.shape
    assert np.abs(room.color_at(mesh.vertices) - mesh.colors).max() <= 1


def test_vertices_are_joined_and_spaced_as_asked(scanned):
    _, _, _, _, mesh = scanned
    assert len(np.unique(np.rint(mesh.vertices / 1e-4), axis=0)) == len(mesh.vertices)
    edges = np.linalg.norm(mesh.triangles - np.roll(mesh.triangles, 1, axis=1), axis=2)
    assert edges.max() < 0.25 * np.sqrt(2) + 0.01
    assert (edge_use(mesh.faces) == 2).mean() > 0.7


def test_faces_face_the_room(scanned):
    room, _, _, _, mesh = scanned
    _, face, _ = room.closest(mesh.triangles.mean(1))
    agree = (room.mesh.face_normals[face] * mesh.face_normals).sum(1)
    assert (agree > 0.5).mean() > 0.98


def test_noise_moves_vertices_by_its_deviation_along_the_normal(scanned):
    room, _, _, scan, mesh = scanned
    noisy = scan(noise=0.003)
    assert noisy.vertices.shape == mesh.vertices.shape
    moved = np.linalg.norm(noisy.vertices - mesh.vertices, axis=1)
    assert np.sqrt((moved**2).mean()) == pytest.approx(0.003, rel=0.05)
    floor = (np.abs(mesh.vertices[:, 2]) < 1e-6) & room.plan.inside(mesh.vertices[:, :2], 0.05)
    sideways = np.abs((noisy.vertices - mesh.vertices)[floor, :2]).max(1)
    assert np.median(sideways) < 1e-9, "where furniture meets the floor, normals are those of both"


def test_only_seen_faces_remain(scanned):
    room, poses, camera, scan, mesh = scanned
    everything = scan(unseen=True)
    assert len(mesh.faces) < 0.8 * len(everything.faces)
    behind = scan_mesh(room, poses[:1], camera, CLEAN, np.random.default_rng(7))
    local = (behind.triangles.mean(1) - poses[0, :3, 3]) @ poses[0, :3, :3]
    assert (local[:, 2] > 0).all() and len(behind.faces) < 0.5 * len(mesh.faces)


def test_holes_take_faces_away_within_their_size(scanned):
    _, _, _, scan, mesh = scanned
    holed = scan(holes=20, hole_size=0.3)
    assert len(holed.faces) < len(mesh.faces)
    assert len(holed.faces) > 0.5 * len(mesh.faces)
    more = scan(holes=40, hole_size=0.3)
    assert len(more.faces) < len(holed.faces)


def test_floaters_are_small_loose_pieces_near_the_surface(scanned):
    room, _, _, scan, mesh = scanned
    with_debris = scan(floaters=5)
    added = with_debris.vertices[len(mesh.vertices) :]
    assert len(added) == 5 * 16 and len(with_debris.faces) == len(mesh.faces) + 5 * 18
    np.testing.assert_array_equal(with_debris.faces[: len(mesh.faces)], mesh.faces)
    assert with_debris.faces[len(mesh.faces) :].min() >= len(mesh.vertices)
    assert room.closest(added)[2].max() < 0.15
    for blob in added.reshape(5, 16, 3):
        assert np.ptp(blob, axis=0).max() < 0.1


def test_duplicates_give_faces_vertices_of_their_own(scanned):
    _, _, _, scan, mesh = scanned
    unmerged = scan(duplicates=0.2)
    assert len(unmerged.faces) == len(mesh.faces)
    np.testing.assert_allclose(unmerged.triangles, mesh.triangles)
    extra = len(unmerged.vertices) - len(mesh.vertices)
    assert extra == pytest.approx(0.2 * 3 * len(mesh.faces), rel=0.15)
