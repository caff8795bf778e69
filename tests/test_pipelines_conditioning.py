"""What a small UNet is told of the surface: exact in a room of known walls, upright, the same in any order."""

from dataclasses import replace

import numpy as np
import pytest
import tiny_scan
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation
from tiny_pipeline import room_views, some_of

from scenetex.pipelines.conditioning import (
    depth_channel,
    floor_height,
    make_guide,
    surface_by_view,
    surface_channels,
    surface_fields,
    surface_maps,
)
from scenetex.scene.mesh import Mesh
from scenetex.views.viewset import cast_views

ROOM = Mesh(tiny_scan.ROOM_VERTICES, tiny_scan.ROOM_FACES)  # x and y in -2..2, floor at z = -1, height 2, no ceiling


def views_from(poses, size=(64, 48), mesh=ROOM):
    poses = np.stack(poses)
    return cast_views(mesh, np.stack([tiny_scan.INTRINSICS] * len(poses)), poses, size, tuple(range(len(poses))))


def pixels(maps: torch.Tensor, factor: int = 8) -> np.ndarray:
    """(m, 5, h / 2, w / 2) components of folded maps, each cell written back by hand."""
    m, _, h, w = maps.shape
    side = factor // 2
    out = np.zeros((m, 5, h * side, w * side), np.float32)
    for k in range(5):
        for a in range(side):
            for b in range(side):
                out[:, k, a::side, b::side] = maps[:, k * side * side + a * side + b]
    return out


def tilted(yaw: float, pitch: float, roll: float, place=(0.0, 0.0, 0.3)) -> np.ndarray:
    """A camera that looks `pitch` below the horizon, then is rolled about its axis."""
    pose = tiny_scan.look(yaw, place)
    pose[:3, :3] = pose[:3, :3] @ Rotation.from_euler("xz", [-pitch, roll]).as_matrix()
    return pose


def test_channels_and_shape():
    maps = surface_maps(room_views(3), 8)
    assert maps.shape == (3, surface_channels(8), 6, 8) == (3, 80, 6, 8) and maps.dtype == torch.float32
    assert surface_channels(4) == 20


def test_walls_floor_and_distance_are_those_of_the_room():
    # Looking level along +x at 1.3 m above the floor: the wall is 3.5 m ahead.
    views = views_from([tiny_scan.look(0.0, (-1.5, 0, 0.3))])
    inverse, right, forward, up, height = pixels(surface_maps(views, 8))[0]
    ahead = np.s_[10:12, 14:18]
    assert np.allclose(inverse[ahead], 1 / 3.5, atol=1e-5)
    assert np.allclose([right[ahead], up[ahead]], 0, atol=1e-6) and np.allclose(forward[ahead], -1, atol=1e-6)
    floor = np.s_[22:24, 14:18]
    assert np.allclose(up[floor], 1, atol=1e-6) and np.allclose([right[floor], forward[floor]], 0, atol=1e-6)
    # Heights count from 1.25 m above the floor, in units of that; row 22.5 is one pixel above the horizon.
    assert np.allclose(height[floor], -1, atol=0.01)
    assert np.allclose(height[11, 14:18], (1.3 + 3.5 / 40 - 1.25) / 1.25, atol=0.01)
    # The wall on the right faces left.
    turned = pixels(surface_maps(views_from([tiny_scan.look(0.0, (0, -1.7, 0.3))]), 8))[0]
    assert np.allclose(turned[1][10:12, -2:], -1, atol=1e-6)


@given(st.floats(-3, 3), st.floats(-0.5, 0.6), st.floats(-0.4, 0.4))
@settings(max_examples=25, deadline=None)
def test_up_is_up_however_the_camera_is_held(yaw, pitch, roll):
    views = views_from([tilted(yaw, pitch, roll)])
    _, right, forward, up, _ = pixels(surface_maps(views, 2), 2)[0]
    unit = right**2 + forward**2 + up**2
    # Within a face of the room (pairs of pixels that see one face) normals are whole, elsewhere a mean.
    one = np.ptp(views.face_id[0].reshape(24, 2, 32, 2), axis=(1, 3)) == 0
    seen = one & (views.face_id[0][::2, ::2] >= 0)
    assert np.allclose(unit[seen], 1, atol=1e-5)
    assert np.isin(np.round(up[seen], 4), [0, 1]).all(), "walls and floor, whatever pitch and roll"


@given(st.floats(-3, 3))
@settings(max_examples=15, deadline=None)
def test_turning_the_world_about_the_vertical_changes_nothing(angle):
    turn = np.eye(4)
    turn[:3, :3] = Rotation.from_euler("z", angle).as_matrix()
    poses = [tilted(0.4, 0.3, 0.1), tilted(1.2, 0.2, -0.1)]
    mesh = Mesh(ROOM.vertices @ turn[:3, :3].T, ROOM.faces)
    straight, turned = (
        surface_maps(views_from(poses), 8),
        surface_maps(views_from([turn @ p for p in poses], mesh=mesh), 8),
    )
    # Pixels on an edge may fall to either face.
    assert np.quantile((straight - turned).abs(), 0.98) < 1e-4


def test_a_world_that_is_not_upright_is_set_upright():
    tip = np.eye(4)
    tip[:3, :3] = Rotation.from_euler("xyz", [0.9, -0.4, 2.0]).as_matrix()
    tip[:3, 3] = [5, -3, 7]
    poses = [tilted(0.4, 0.3, 0.1), tilted(1.2, 0.2, -0.1)]
    mesh = Mesh(ROOM.vertices @ tip[:3, :3].T + tip[:3, 3], ROOM.faces, axis_alignment=np.linalg.inv(tip))
    views = views_from([tip @ p for p in poses], mesh=mesh)
    assert np.quantile((surface_maps(views, 8) - surface_maps(views_from(poses), 8)).abs(), 0.98) < 1e-4


def test_the_order_of_views_is_that_of_their_maps():
    views, order = room_views(4), [2, 0, 3, 1]
    assert torch.equal(surface_maps(some_of(views, order), 8), surface_maps(views, 8)[order])


def test_holes_are_closed_by_the_surface_around():
    views = room_views(2)
    whole = surface_fields(views)
    depth = views.depth.copy()
    depth[0, 20:30, 24:36] = 0
    holed = surface_fields(replace(views, depth=depth, floor=floor_height(views)))
    assert torch.equal(holed[1], whole[1])
    there = torch.from_numpy(depth[0] > 0)
    assert torch.equal(holed[0][:, there], whole[0][:, there])
    # Behind the hole there was a wall: it goes on.
    assert (holed[0] - whole[0])[:, 20:30, 24:36].abs().mean() < 0.05


def test_nothing_is_zero_where_a_view_sees_next_to_nothing():
    views = room_views(2)
    depth = views.depth.copy()
    depth[:, :, 12:] = 0
    maps = surface_fields(replace(views, depth=depth)).numpy()
    assert (maps.transpose(0, 2, 3, 1)[depth == 0] == 0).all() and np.isfinite(maps).all()


def test_very_near_surfaces_are_cut_off():
    views = views_from([tiny_scan.look(0.0, (1.9, 0, 0.3))])
    assert pixels(surface_maps(views, 8))[0, 0].max() == pytest.approx(4)


def test_one_channel_is_depth_and_more_are_the_surface():
    views = room_views(2)
    assert torch.equal(make_guide(views, 1, 8), depth_channel(views.depth, 8))
    assert torch.equal(make_guide(views, 80, 8), surface_maps(views, 8))


def test_one_view_after_the_other_is_all_of_them():
    views = views_from([tilted(0.3 * i, 0.5 - 0.4 * i, 0.0) for i in range(3)])
    whole = surface_fields(views)
    assert torch.equal(torch.stack(list(surface_by_view(views))), whole)
    # By itself, the view that looks up would take what it sees for the floor.
    assert not torch.equal(surface_fields(views.at([2]))[0], whole[2])
