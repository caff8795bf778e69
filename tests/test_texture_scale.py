"""One scene in other units, far from the origin, turned, with strays: the same texture, the same keyframes."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from scenetex import load_scene, select_keyframes
from scenetex.job.run import Result, run_stages
from scenetex.scene.scene import Scene
from scenetex.texture.render import render_textured

ROOM = Path(__file__).parents[1] / "scenes" / "sample_room"
UTM = (500_000.0, 5_400_000.0, 300.0)


def moved(scene: Scene, scale: float = 1.0, turn=(0.0, 0, 0), shift=(0.0, 0, 0)) -> Scene:
    """The scene turned by a rotation vector, shifted, and then in another unit."""
    move, size = np.eye(4), np.diag([scale, scale, scale, 1.0])
    move[:3, :3], move[:3, 3] = Rotation.from_rotvec(turn).as_matrix(), shift
    frames = tuple(
        replace(frame, **{name: size @ move @ getattr(frame, name) @ np.linalg.inv(size) for name in POSES})
        for frame in scene.frames
    )
    vertices = scale * (scene.mesh.vertices @ move[:3, :3].T + move[:3, 3])
    return replace(scene, mesh=replace(scene.mesh, vertices=vertices), frames=frames)


def with_strays(scene: Scene, corners, faces=()) -> Scene:
    """The scene with more vertices, and faces that name them from -1 on downwards, other vertices from 0 on."""
    vertices = np.concatenate([scene.mesh.vertices, corners])
    more = np.array(faces, np.int32).reshape(-1, 3)
    more = np.where(more < 0, len(vertices) + more, more)
    mesh = replace(
        scene.mesh, vertices=vertices, colors=None, faces=np.concatenate([scene.mesh.faces, more]).astype(np.int32)
    )
    return replace(scene, mesh=mesh)


POSES = ("cam_to_world", "depth_cam_to_world")
CASES = {
    "millimetres": lambda room: moved(room, 1000.0),
    "kilometres": lambda room: moved(room, 0.001),
    "feet": lambda room: moved(room, 3.28084),
    "UTM": lambda room: moved(room, shift=UTM),
    "UTM in kilometres": lambda room: moved(room, 0.001, shift=UTM),
    "turned": lambda room: moved(room, turn=(0.5, -0.8, 1.1), shift=(3.0, -2, 1)),
    "unused vertices": lambda room: with_strays(room, [[1e5, 0, 0], [np.nan, 0, 1], [0, -1e7, 1e3]]),
    "a vertex astray": lambda room: with_strays(room, [[1e5, 0, 0]], [[*room.mesh.faces[0, :2], -1]]),
    "a face far away": lambda room: with_strays(room, [[1e4, 0, 0], [1e4, 0.02, 0], [1e4, 0, 0.02]], [[-3, -2, -1]]),
}


@pytest.fixture(scope="module")
def room() -> Scene:
    scene = load_scene(ROOM)
    return replace(scene, frames=scene.frames[::4])


def textured(scene: Scene, **options) -> Result:
    return run_stages(scene, texture_size=512, keyframes="all", **options)


def error(scene: Scene, result: Result) -> float:
    """PSNR of renders of the result against the photos, dB."""
    squared = []
    for frame in scene.frames[::2]:
        lens = frame.camera.resized((160, 120)).intrinsics
        photo = frame.read_color().reshape(120, 4, 160, 4, 3).mean((1, 3))
        render = render_textured(result.mesh, lens, frame.cam_to_world, (160, 120))
        squared.append(np.square(render - photo).mean())
    return float(10 * np.log10(255**2 / np.mean(squared)))


@pytest.fixture(scope="module")
def truth(room) -> tuple[float, float, int]:
    return measured(room, textured(room, refine_poses=False))


def measured(scene: Scene, result: Result) -> tuple[float, float, int]:
    """PSNR, part of the texels that is seen, charts."""
    seen = sum(page.sum() for page in result.mesh.coverage) / result.mesh.texels
    return error(scene, result), seen, len(np.unique(result.mesh.atlas.chart))


@pytest.mark.parametrize("case", CASES)
def test_a_texture_does_not_depend_on_where_and_in_which_unit_the_scene_is(case, room, truth):
    scene = CASES[case](room)
    psnr, seen, charts = measured(scene, textured(scene, refine_poses=False))
    assert abs(psnr - truth[0]) < 0.1 and abs(seen - truth[1]) < 0.01 and abs(charts - truth[2]) <= 2


@pytest.mark.parametrize("case", ["UTM in kilometres", "a vertex astray"])
def test_poses_are_refined_to_the_same_places(case, room):
    """Photos from cameras that are off by two centimetres: what refinement finds is the same in every unit."""
    rng = np.random.default_rng(0)
    off = []
    for frame in room.frames:
        pose = frame.cam_to_world.copy()
        pose[:3, 3] += rng.normal(0, 0.02, 3)
        off.append(replace(frame, cam_to_world=pose))
    shaken = replace(room, frames=tuple(off))
    here, there = (textured(scene, refine_poses=True).refinement for scene in (shaken, CASES[case](shaken)))
    assert here.accepted and there.accepted
    assert there.error_before == pytest.approx(here.error_before, rel=0.02)
    assert there.error_after == pytest.approx(here.error_after, rel=0.02)


@pytest.mark.parametrize("case", [case for case in CASES if case != "a vertex astray"])  # its face is seen, a sliver
def test_keyframes_are_the_same(case):
    scene = load_scene(ROOM)
    other = CASES[case](scene)
    for count in (None, 8):
        assert select_keyframes(other, count) == select_keyframes(scene, count)
