"""Faces are turned towards who sees them, and only those."""

from dataclasses import replace

import numpy as np
import pytest
from broken_scans import half, sample, with_faces
from painted_box import box, look_at, photograph, pinhole, smooth_color, views_of, walk_around

import scenetex
from scenetex.checks.faces import turn_faces
from scenetex.checks.look import look_at as look_at_scene
from scenetex.scene.mesh import Mesh
from scenetex.texture.bake import bake
from scenetex.texture.unwrap import unwrap
from scenetex.texture.winding import turned_to_views, with_faces_turned

SIZE = 160, 120
K = pinhole(SIZE)


def grid(z: float = 0.0, count: int = 12, up: bool = True) -> Mesh:
    """A square of 2 x 2 m at a height, its front up or down."""
    x, y = np.meshgrid(np.linspace(-1, 1, count), np.linspace(-1, 1, count), indexing="ij")
    index = np.arange(count * count).reshape(count, count)
    a, b, c, d = index[:-1, :-1].ravel(), index[1:, :-1].ravel(), index[1:, 1:].ravel(), index[:-1, 1:].ravel()
    faces = np.concatenate([np.stack([a, b, c], 1), np.stack([a, c, d], 1)]).astype(np.int32)
    vertices = np.stack([x.ravel(), y.ravel(), np.full(x.size, z)], 1)
    return Mesh(vertices, faces if up else faces[:, ::-1])


def joined(one: Mesh, other: Mesh) -> Mesh:
    return Mesh(
        np.concatenate([one.vertices, other.vertices]), np.concatenate([one.faces, other.faces + len(one.vertices)])
    )


def eyes(*heights: float) -> np.ndarray:
    return np.stack([look_at([0.3, 0.2 * k, z], [0, 0, 0]) for k, z in enumerate(heights)])


def turned(mesh: Mesh, poses: np.ndarray) -> np.ndarray:
    return turned_to_views(mesh, views_of(mesh, poses, K, SIZE))


def test_a_sound_mesh_stays_itself():
    mesh = box()
    found = turned(mesh, walk_around())
    assert not found.any()
    assert with_faces_turned(mesh, found) is mesh


@pytest.mark.parametrize("seed", range(4))
def test_any_faces_that_were_turned_are_turned_back(seed):
    """Also those that no view sees: they follow their neighbours."""
    mesh = grid()
    wrong = np.random.default_rng(seed).random(len(mesh.faces)) < (0.3, 0.5, 0.7, 1.0)[seed]
    worse = with_faces_turned(mesh, wrong)
    assert (turned(worse, eyes(0.8, 1.0)) == wrong).all()


def test_a_wall_that_is_seen_from_both_sides_stays():
    assert not turned(grid(), eyes(1.5, -1.5)).any()


def test_both_sides_of_a_wall_stay():
    wall = joined(grid(0.05), grid(-0.05, up=False))
    assert not turned(wall, eyes(1.5, -1.5)).any()
    inverted = Mesh(wall.vertices, wall.faces[:, ::-1])
    assert turned(inverted, eyes(1.5, -1.5)).all()


def test_baking_does_not_depend_on_winding():
    mesh, poses = box(), walk_around()
    photos = photograph(mesh, poses, K, SIZE, smooth_color)
    coverage, textures = [], []
    for wrong in (np.zeros(12, bool), np.ones(12, bool), np.arange(12) % 2 == 0):
        worse = with_faces_turned(mesh, wrong)
        baked = bake(worse, unwrap(worse, 256), views_of(worse, poses, K, SIZE), photos)
        coverage.append(sum(c.sum() for c in baked.coverage) / baked.texels)
        textures.append(np.concatenate([t[c] for t, c in zip(baked.textures, baked.coverage, strict=True)]).mean(0))
    assert np.ptp(coverage) < 0.01 and coverage[0] > 0.5
    assert np.ptp(textures, axis=0).max() < 4


def test_a_scan_wound_any_way_gives_what_the_sound_one_gives():
    sound = replace(sample(), frames=sample().frames[::2])
    every = np.ones(len(sound.mesh.faces), bool)
    seen, charts, normals = [], [], []
    for scene in (sound, with_faces(sound, every), with_faces(sound, half(sound))):
        with pytest.warns() if scene is not sound else _silence():
            room = scenetex.texture_scene(scene, texture_size=512, refine_poses=False, keyframes="all")
        seen.append(100 * sum(c.sum() for c in room.coverage) / room.texels)
        charts.append(len(np.unique(room.atlas.chart)))
        normals.append((room.mesh.face_normals * sound.mesh.face_normals).sum(1))
        assert (np.sort(room.mesh.faces, 1) == np.sort(sound.mesh.faces, 1)).all()
    assert np.ptp(seen) < 1, seen
    assert max(charts) < 1.1 * charts[0]
    area = sound.mesh.face_areas
    for cosine in normals:
        assert area[cosine > 0.9].sum() > 0.98 * area.sum()


def test_faces_that_are_there_twice_do_not_part_their_neighbours():
    """Some doubled the other way round, and all wound at random, lie in as few charts as the sound mesh."""
    sound, rng = sample(), np.random.default_rng(1)
    faces = sound.mesh.faces
    again = np.flatnonzero(rng.random(len(faces)) < 0.3)
    every = np.concatenate([faces, faces[again][:, ::-1]])
    wound = rng.random(len(every)) < 0.5
    every[wound] = every[wound][:, ::-1]
    scene = replace(sound, mesh=replace(sound.mesh, faces=every))
    found = turn_faces(scene, look_at_scene(scene))[0].mesh
    charts = [len(np.unique(unwrap(mesh, 512).chart)) for mesh in (sound.mesh, found)]
    assert charts[1] < 1.1 * charts[0]
    single = np.ones(len(every), bool)
    single[again] = single[len(faces) :] = False
    same = (found.face_normals * np.concatenate([sound.mesh.face_normals, sound.mesh.face_normals[again]])).sum(1) > 0
    area = found.face_areas[single]
    assert area[same[single]].sum() > 0.98 * area.sum()


def _silence():
    import contextlib

    return contextlib.nullcontext()


def test_turning_again_turns_nothing():
    scene = with_faces(sample(), half(sample()))
    once, share = turn_faces(scene, look_at_scene(scene, photos=False))
    again, rest = turn_faces(once, look_at_scene(once, photos=False))
    assert 0.4 < share < 0.6 and rest < 0.001
    assert (again.mesh.faces != once.mesh.faces).any(1).mean() < 0.001
