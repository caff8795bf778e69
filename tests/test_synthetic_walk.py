"""Walks: inside, clear of things, smooth, and looking at most of the room."""

import numpy as np
import pytest
from synthetic_rooms import quick_room, small_camera

from scenetex.synthetic import render_room, walk
from scenetex.synthetic.walk import free_floor, strayed


@pytest.mark.parametrize("seed", range(5))
def test_walks_stay_inside_at_eye_height_and_clear_of_things(seed):
    room = quick_room(seed)
    poses = walk(room, 20, np.random.default_rng(seed))
    eyes = poses[:, :3, 3]
    assert room.plan.inside(eyes[:, :2], 0.2).all()
    assert eyes[:, 2].min() >= 1.2 and eyes[:, 2].max() <= 1.7
    assert room.closest(eyes)[2].min() > 0.2
    assert np.linalg.norm(np.diff(eyes, axis=0), axis=1).max() < 0.6


def test_poses_are_rigid_level_and_the_right_way_up():
    poses = walk(quick_room(0), 16, np.random.default_rng(1))
    np.testing.assert_allclose(np.linalg.det(poses[:, :3, :3]), 1, atol=1e-9)
    np.testing.assert_allclose(
        poses[:, :3, :3] @ poses[:, :3, :3].transpose(0, 2, 1), np.tile(np.eye(3), (16, 1, 1)), atol=1e-9
    )
    assert (poses[:, 2, 1] < -0.6).all(), "the image's down is the room's down"
    assert np.abs(poses[:, 2, 0]).max() < 0.06, "the horizon is level but for a hand's sway"


def test_the_same_state_walks_the_same_way():
    room = quick_room(1)
    one, two, other = (walk(room, 8, np.random.default_rng(s)) for s in (5, 5, 6))
    np.testing.assert_array_equal(one, two)
    assert np.abs(one - other).max() > 0.05


@pytest.mark.parametrize("seed", range(3))
def test_views_that_stray_stay_in_the_room_and_look_up_and_down_from_any_height(seed):
    room = quick_room(seed)
    poses = walk(room, 60, np.random.default_rng(seed))
    found = strayed(room, poses, 0.5, np.random.default_rng(seed))
    moved = (found != poses).any((1, 2))
    assert 18 <= moved.sum() <= 42, "about half of them"
    np.testing.assert_allclose(found[:, :2, 3], poses[:, :2, 3], atol=1e-9)
    assert room.closest(found[:, :3, 3])[2].min() > 0.2, "in free space"
    np.testing.assert_allclose(np.linalg.det(found[:, :3, :3]), 1, atol=1e-9)
    assert np.abs(found[moved, 2, 0]).max() < 1e-9 and (found[moved, 2, 1] < 0).all(), "upright"
    pitch = np.degrees(np.arcsin(found[moved, 2, 2]))
    assert -71 < pitch.min() < -45 and 35 < pitch.max() < 56
    assert np.ptp(found[moved, 2, 3]) > 1.2 and np.ptp(poses[:, 2, 3]) < 0.5
    heading = (found[moved, :2, 2] * poses[moved, :2, 2]).sum(1)
    assert (heading > 0).all(), "where it goes to stays"
    np.testing.assert_array_equal(found, strayed(room, poses, 0.5, np.random.default_rng(seed)))
    np.testing.assert_array_equal(poses, strayed(room, poses, 0.0, np.random.default_rng(seed)))


@pytest.mark.parametrize("count", [1, 2, 3])
def test_short_walks_work(count):
    assert walk(quick_room(1), count, np.random.default_rng(0)).shape == (count, 4, 4)


def test_neighbours_overlap_and_the_walk_sees_most_of_the_room():
    room, camera = quick_room(2), small_camera(96, 72)
    poses = walk(room, 36, np.random.default_rng(0), camera)
    forward = poses[:, :3, 2]
    turn = np.degrees(np.arccos(np.clip((forward[1:] * forward[:-1]).sum(1), -1, 1)))
    assert np.median(turn) < 35 and turn.max() < 70
    _, _, face = render_room(room, camera, poses)
    area = room.mesh.face_areas
    shell = np.isin(room.face_part, [room.parts.index("floor"), room.parts.index("walls")])
    seen = np.zeros(len(area), bool)
    seen[face.ravel()] = True
    assert area[seen & shell].sum() > 0.85 * area[shell].sum()


def test_the_map_of_free_floor_measures_distances():
    room = quick_room(3)
    distance, origin = free_floor(room)
    for row, column in np.argwhere(distance > 0.3)[::7]:
        x, y = origin + 0.1 * np.array([column, row])
        # Distance to the nearest wall or footprint, written out.
        near = min(
            np.linalg.norm(np.array([x, y]) - (a + t * (b - a)))
            for outline in [np.array(room.plan.corners), *room.obstacles[1:]]
            for a, b in zip(outline, np.roll(outline, -1, 0), strict=True)
            for t in [np.clip(np.dot([x, y] - a, b - a) / np.dot(b - a, b - a), 0, 1)]
        )
        assert distance[row, column] == pytest.approx(near, abs=0.06)
