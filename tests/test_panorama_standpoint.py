"""Where a scene's panorama is taken from, and what its views see."""

from dataclasses import replace

import numpy as np
import pytest
import tiny_scan

from scenetex import InputError, load_scene, panorama_views
from scenetex.panorama import choose_position, ring_rotations
from scenetex.scene.frame import Frame
from scenetex.scene.mesh import Mesh


@pytest.fixture
def scene(scan):
    return load_scene(scan)


def looking_from(scene, poses):
    """The scene with other camera poses."""
    camera = scene.frames[0].camera
    return replace(scene, frames=tuple(Frame(i, pose, camera) for i, pose in enumerate(poses)))


def test_views_see_the_room_exactly(scene):
    """Depth of every pixel against the four walls and the floor."""
    views = panorama_views(scene, (0.53, -0.21, 0.13), size=16)
    assert views.frame_ids == tuple(range(8)) and views.size == (16, 16) and len(views) == 8
    for i in range(8):
        for row in range(16):
            for column in range(16):
                ray = views.cam_to_world[i, :3, :3] @ [(column - 7.5) / 8, (row - 7.5) / 8, 1]
                start = views.cam_to_world[i, :3, 3]
                wall = np.where(ray > 0, [2, 2, np.inf], [-2, -2, -1])
                hit = min((w - s) / r for w, s, r in zip(wall, start, ray, strict=True) if abs(r) > 1e-9)
                open_above = (start + hit * ray)[2] > 1
                assert views.depth[i, row, column] == pytest.approx(0 if open_above else hit, abs=1e-4)


def test_ring_is_level_and_heads_where_the_nearest_camera_does(scene):
    tilt = np.eye(4)
    tilt[:3, :3] = [[1, 0, 0], [0, 0.8, -0.6], [0, 0.6, 0.8]]
    turned = looking_from(scene, [tiny_scan.look(0.0, (1, 1, 0)), tiny_scan.look(2.0, (-1, -1, 0)) @ tilt])
    views = panorama_views(turned, (-0.9, -0.9, 0.2), size=8)
    assert np.allclose(views.cam_to_world[:, :3, 3], [-0.9, -0.9, 0.2])
    assert np.allclose(views.cam_to_world[0, :3, :3], tiny_scan.look(2.0)[:3, :3], atol=1e-6)
    base = views.cam_to_world[0, :3, :3]
    assert np.allclose(base.T @ views.cam_to_world[:, :3, :3], ring_rotations(), atol=1e-9)
    assert np.allclose(views.cam_to_world[:, :3, 1], [0, 0, -1], atol=1e-9)


def test_ring_is_level_in_the_aligned_frame(scene):
    """A scan that lies on its side, and knows it."""
    side = np.eye(4)
    side[:3, :3] = [[1, 0, 0], [0, 0, 1], [0, -1, 0]]
    lying = replace(
        scene,
        mesh=scene.mesh.transformed(side),
        frames=tuple(replace(f, cam_to_world=side @ f.cam_to_world) for f in scene.frames),
    )
    views, expected = panorama_views(lying, size=8), panorama_views(scene, size=8)
    assert np.allclose(views.cam_to_world, side @ expected.cam_to_world, atol=1e-9)
    assert np.allclose(views.depth, expected.depth, atol=1e-5)


@pytest.mark.parametrize("straight", [1, -1])
def test_cameras_that_look_straight_down_or_up_still_head_somewhere(scene, straight):
    pose = np.eye(4)
    pose[:3, :3] = np.array([[1, 0, 0], [0, straight, 0], [0, 0, straight]]) if straight > 0 else np.diag([1, -1, -1.0])
    views = panorama_views(looking_from(scene, [pose]), size=8)
    # What is at the top of its image is ahead.
    assert np.allclose(views.cam_to_world[0, :3, 2], [0, -straight, 0], atol=1e-9)


def test_the_position_is_where_there_is_room(scene):
    poses = [tiny_scan.look(0, p) for p in ((1.9, 0, 0), (1.9, 1.9, 0), (0.1, 0, 0), (-1.8, 0.3, 0), (1.5, -1.9, 0))]
    assert np.allclose(choose_position(looking_from(scene, poses)), (0.1, 0, 0))


def test_something_close_beside_a_camera_counts(scene):
    """A box around the middle of the room, which a camera stands next to."""
    box = np.array([[x, y, z] for x in (0.1, 0.8) for y in (-0.8, 0.8) for z in (-1, 1)])
    mesh = Mesh(
        np.concatenate([scene.mesh.vertices, box]), np.concatenate([scene.mesh.faces, tiny_scan.ROOM_FACES + 8])
    )
    crowded = replace(looking_from(scene, [tiny_scan.look(0, p) for p in ((0, 0, 0), (-1, 0, 0))]), mesh=mesh)
    assert np.allclose(choose_position(crowded), (-1, 0, 0))


def test_of_equal_positions_the_most_central(scene):
    """A hall where walls are farther than counts everywhere."""
    hall = replace(scene, mesh=Mesh(scene.mesh.vertices * 20, scene.mesh.faces))
    poses = [tiny_scan.look(0, (x, 0, 0)) for x in (-3.0, 0.2, 3.0)]
    assert np.allclose(choose_position(looking_from(hall, poses)), (0.2, 0, 0))


@pytest.mark.parametrize("position", [(1, 2), "here", (0, np.nan, 0), None])
def test_bad_positions_are_named(scene, position):
    if position is None:
        scene, position = replace(scene, mesh=Mesh(scene.mesh.vertices, scene.mesh.faces[:1])), (50.0, 50.0, 50.0)
        words = "nothing of the mesh is seen from position 50,50,50"
    else:
        words = "three numbers"
    with pytest.raises(InputError, match=words):
        panorama_views(scene, position, size=8)


def test_other_bad_input_is_named(scene):
    with pytest.raises(InputError, match="size 0"):
        panorama_views(scene, size=0)
    with pytest.raises(InputError, match="has no frames"):
        panorama_views(replace(scene, frames=()))
    outside = looking_from(scene, [tiny_scan.look(0, (0, 0, 50))])
    with pytest.raises(InputError, match="no frame sees the mesh"):
        panorama_views(replace(outside, mesh=Mesh(scene.mesh.vertices, scene.mesh.faces[:0])))


def test_without_frames_a_position_will_do(scene):
    assert (panorama_views(replace(scene, frames=()), (0, 0, 0), size=8).face_id >= 0).any()
