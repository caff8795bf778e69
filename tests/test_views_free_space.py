"""Places in a scene's air, and what of the surface they see: rooms whose inside is known exactly."""

from dataclasses import replace

import numpy as np
import pytest
from synthetic_rooms import quick_room, small_camera
from test_scene_shell import box_room

import scenetex
from scenetex.scene.frame import Frame
from scenetex.scene.mesh import Mesh
from scenetex.scene.scene import Scene
from scenetex.synthetic import walk
from scenetex.views.free_space import FreeSpace, looked_through, sphere


def furnished(seed: int) -> Scene:
    """A closed room with its furniture, exactly, and cameras that walked through it."""
    room, camera = quick_room(seed), small_camera()
    poses = walk(room, 8, np.random.default_rng(seed), camera)
    return Scene("room", room.mesh, tuple(Frame(i, pose, camera) for i, pose in enumerate(poses)))


def test_places_of_an_empty_box_fill_it():
    """A box of 4 x 3 x 2.5 m with a table top of 2 x 1 m in it, which is thin; nothing of it is unreachable."""
    scene, _ = box_room(np.eye(3), np.zeros(3), False)
    mesh = scene.mesh
    inwards = np.einsum("ij,ij->i", mesh.face_normals, [2, 1.5, 1.25] - mesh.triangles.mean(1)) > 0
    faces = np.where(inwards[:, None], mesh.faces, mesh.faces[:, ::-1])
    scene = replace(scene, mesh=replace(mesh, faces=faces))
    space = FreeSpace(scene)
    assert len(space.places) > 0.6 * (4 / 0.25) * (3 / 0.25) * (2.5 / 0.25)
    assert (space.places > 0).all() and (space.places < [4, 3, 2.5]).all()
    walls = scene.mesh.triangles.mean(1)
    shell = (np.abs(walls - [2, 1.5, 1.25]) > [1.99, 1.49, 1.24]).any(1)
    assert space.reachable()[shell].mean() > 0.97


@pytest.mark.parametrize("seed", [3, 11, 14])
def test_no_place_lies_in_matter_or_outside(seed):
    scene = furnished(seed)
    space = FreeSpace(scene)
    assert len(space.places) > 100
    # From the open air of a closed room, straight steps lead to a camera: from a wardrobe's inside they do not.
    eyes = np.array([frame.cam_to_world[:3, 3] for frame in scene.frames])
    directions = sphere(200)
    for place in space.places[:: len(space.places) // 40]:
        face, _, facing = space.cast(place, directions)
        assert (face >= 0).mean() > 0.97 and (facing < 0).mean() < 0.3
    assert space.blocked(space.places[:1], eyes[:1] + 100).all()
    low, high = scene.mesh.vertices.min(0), scene.mesh.vertices.max(0)
    assert (space.places > low).all() and (space.places < high).all()


def test_what_cameras_looked_through_is_air_up_to_what_they_saw():
    wall = Mesh(
        np.array([[-5, -5, 2.0], [5, -5, 2], [5, 5, 2], [-5, 5, 2]]), np.array([[0, 2, 1], [0, 3, 2]], np.int32)
    )
    scene = Scene("wall", wall, (Frame(0, np.eye(4), small_camera()),))
    places = np.array([[0, 0, 1.0], [0, 0, 1.9], [0, 0, 2.1], [0, 0, -1.0], [9, 0, 1.0]])
    assert looked_through(scene, places).tolist() == [True, True, False, False, False]


def test_a_scan_of_one_wall_has_air_in_front_of_it_and_none_behind():
    n = 20
    x, y = np.meshgrid(np.linspace(-2, 2, n + 1), np.linspace(-1, 1, n + 1), indexing="ij")
    at = np.arange((n + 1) ** 2).reshape(n + 1, n + 1)
    p, q, r, s = at[:-1, :-1].ravel(), at[1:, :-1].ravel(), at[1:, 1:].ravel(), at[:-1, 1:].ravel()
    faces = np.concatenate([np.stack([p, r, q], 1), np.stack([p, s, r], 1)]).astype(np.int32)
    mesh = Mesh(np.stack([x.ravel(), y.ravel(), np.full(x.size, 2.0)], 1), faces)
    poses = np.tile(np.eye(4), (5, 1, 1))
    poses[:, 0, 3] = np.linspace(-1, 1, 5)
    scene = Scene("wall", mesh, tuple(Frame(i, pose, small_camera()) for i, pose in enumerate(poses)))
    space = FreeSpace(scene)
    assert len(space.places) and (space.places[:, 2] < 2).all()
    assert space.reachable().mean() > 0.95


def test_nothing_to_stand_in():
    scene = scenetex.Scene("none", Mesh(np.zeros((0, 3)), np.zeros((0, 3), np.int32)), ())
    space = FreeSpace(scene)
    assert space.places.shape == (0, 3) and space.reachable().shape == (0,)
