"""Views of what is missing: they see it, from where a camera can be, and have something to go on from."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from test_views_free_space import furnished

import scenetex
from scenetex.errors import InputError
from scenetex.views.free_space import FreeSpace, sphere

SAMPLE = Path(__file__).resolve().parents[1] / "scenes" / "sample_room"


def seen_by(scene, views) -> np.ndarray:
    seen = np.zeros(len(scene.mesh.faces), bool)
    seen[views.face_id[views.face_id >= 0]] = True
    return seen


def test_they_see_what_the_trajectory_has_not():
    scene = scenetex.load_scene(SAMPLE)
    first = scenetex.render_views(scene, [frame.id for frame in scene.frames[: len(scene.frames) // 2]], (160, 120))
    seen, area = seen_by(scene, first), scene.mesh.face_areas
    space = FreeSpace(scene)
    reachable = space.reachable()
    views = scenetex.select_views(scene, seen, (160, 120), space=space)
    after = seen | seen_by(scene, views)

    def share(mask: np.ndarray) -> float:
        return float(area[mask & reachable].sum() / area[reachable].sum())

    assert share(after) > share(seen) + 0.7 * (0.99 - share(seen)), (share(seen), share(after))
    # Each has something to go on from when its turn comes.
    known = seen.copy()
    for face in views.face_id:
        there = face >= 0
        assert known[face[there]].mean() > 0.1
        known[face[there]] = True
    up = scene.axis_alignment[2, :3]
    assert np.abs(views.cam_to_world[:, :3, 0] @ up).max() < 1e-6  # level
    assert (views.cam_to_world[:, :3, 1] @ up < 0).all()  # and not upside down
    eyes = views.cam_to_world[:, :3, 3]
    assert np.linalg.norm(space.places[:, None] - eyes, axis=2).min(0).max() < 1e-6
    assert views.frame_ids == tuple(range(scene.frames[-1].id + 1, scene.frames[-1].id + 1 + len(views)))


@pytest.mark.parametrize("seed", [3, 11])
def test_they_are_the_same_every_time_and_stand_clear(seed):
    scene = furnished(seed)
    seen = seen_by(scene, scenetex.render_views(scene, [0, 1, 2], (64, 48)))
    views, again = (scenetex.select_views(scene, seen, (64, 48), most=6) for _ in range(2))
    assert len(views) and (views.cam_to_world == again.cam_to_world).all()
    # Whatever the caller sees nearest is a step away at least.
    assert min(depth[depth > 0].min() for depth in views.depth) > 0.1


def test_nothing_is_missing():
    scene = scenetex.load_scene(SAMPLE)
    assert len(scenetex.select_views(scene, np.ones(len(scene.mesh.faces)), (64, 48))) == 0


def test_bad_input():
    scene = scenetex.load_scene(SAMPLE)
    with pytest.raises(InputError, match=r"select_views: seen is \(3,\), but the mesh has 64,156 faces"):
        scenetex.select_views(scene, np.ones(3))
    with pytest.raises(InputError, match="has no frames"):
        scenetex.select_views(replace(scene, frames=()), np.ones(len(scene.mesh.faces)))


@pytest.mark.parametrize("name", ["redkitchen", "livingroom"])
def test_views_of_real_scans_stand_in_the_air_of_the_room(shared_data, name):
    scene = scenetex.check_scene(scenetex.load_scene(shared_data / name)).scene
    seen = seen_by(scene, scenetex.render_views(scene, [frame.id for frame in scene.frames[::4]], (80, 60)))
    space = FreeSpace(scene)
    views = scenetex.select_views(scene, seen, (80, 60), most=20, space=space)
    assert len(views) > 3
    eyes, directions = views.cam_to_world[:, :3, 3], sphere(400)
    cameras = np.array([frame.cam_to_world[:3, 3] for frame in scene.frames])
    for eye in eyes:
        face, distance, facing = space.cast(eye, directions)
        met = face >= 0
        # In matter and behind walls one looks at backs.
        assert (facing < 0).mean() < 0.25 and distance[met].min() > 0.1
        near = cameras[np.argsort(np.linalg.norm(cameras - eye, axis=1))]
        assert np.linalg.norm(near[0] - eye) < 4
