"""Floor, walls and ceiling from directions and heights, against rooms whose truth is known."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation
from synthetic_rooms import quick_room, small_camera

from scenetex.scene.frame import Frame
from scenetex.scene.mesh import Mesh
from scenetex.scene.scene import Scene
from scenetex.scene.shell import find_shell
from scenetex.synthetic import walk
from scenetex.synthetic.scan_noise import ScanNoise, scan_mesh

NEUTRAL = {"window", "door", "skirting", "rug", "picture", "curtains"}  # flat on a wall or floor, or set into it


def scanned(seed: int) -> tuple[Scene, np.ndarray]:
    """A scan of a room, and what each of its faces belongs to."""
    room, camera = quick_room(seed), small_camera()
    poses = walk(room, 8, np.random.default_rng(seed), camera)
    mesh = scan_mesh(room, poses, camera, ScanNoise(spacing=0.12, wall_spacing=0.15), np.random.default_rng(seed))
    frames = tuple(Frame(i, pose, camera) for i, pose in enumerate(poses))
    _, face, _ = room.closest(mesh.triangles.mean(1))
    return Scene("room", mesh, frames), np.array(room.parts, object)[room.face_part[face]]


def overlap(mask: np.ndarray, truth: np.ndarray, area: np.ndarray) -> float:
    return float(area[mask & truth].sum() / area[mask | truth].sum())


@pytest.mark.parametrize("seed", [3, 11, 12])
def test_the_shell_of_scanned_rooms(seed):
    scene, part = scanned(seed)
    area = np.where([name in NEUTRAL for name in part], 0, scene.mesh.face_areas)
    floor, walls, ceiling = find_shell(scene)
    assert overlap(floor, part == "floor", area) > 0.9
    assert overlap(walls, part == "walls", area) > 0.75
    if area[part == "ceiling"].sum() > 1:
        assert overlap(ceiling, part == "ceiling", area) > 0.9
    assert not (floor & walls).any() and not (walls & ceiling).any() and not (floor & ceiling).any()


def box_room(turn: np.ndarray, shift: np.ndarray, flipped: bool) -> tuple[Scene, np.ndarray]:
    """A box of 4 x 3 x 2.5 m with a table in it, moved anywhere; which faces are floor, walls, ceiling, table."""

    def quad(a, b, c, n=12):
        u, v = np.meshgrid(np.linspace(0, 1, n + 1), np.linspace(0, 1, n + 1), indexing="ij")
        points = np.asarray(a) + u[..., None] * np.subtract(b, a) + v[..., None] * np.subtract(c, a)
        at = np.arange((n + 1) ** 2).reshape(n + 1, n + 1)
        p, q, r, s = at[:-1, :-1].ravel(), at[1:, :-1].ravel(), at[1:, 1:].ravel(), at[:-1, 1:].ravel()
        return points.reshape(-1, 3), np.concatenate([np.stack([p, q, r], 1), np.stack([p, r, s], 1)])

    quads = [
        ((0, 0, 0), (4, 0, 0), (0, 3, 0)),
        *(((0, 0, 0), (0, 3, 0), (0, 0, 2.5)), ((4, 0, 0), (4, 0, 2.5), (4, 3, 0))),
        *(((0, 0, 0), (0, 0, 2.5), (4, 0, 0)), ((0, 3, 0), (4, 3, 0), (0, 3, 2.5))),
        ((0, 0, 2.5), (0, 3, 2.5), (4, 0, 2.5)),
        *(((1, 1, 0.7), (3, 1, 0.7), (1, 2, 0.7)), ((1, 1, 0), (3, 1, 0), (1, 1, 0.7))),
    ]
    kinds = np.repeat([0, 1, 1, 1, 1, 2, 3, 3], 288)
    vertices, faces = [], []
    for corners in quads:
        points, part = quad(*corners)
        faces.append(part + sum(map(len, vertices)))
        vertices.append(points)
    faces = np.concatenate(faces).astype(np.int32)
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = turn, shift
    mesh = Mesh(np.concatenate(vertices), faces[:, ::-1] if flipped else faces).transformed(pose)
    eyes = np.tile(np.eye(4), (3, 1, 1))
    eyes[:, :3, 3] = [[1, 1, 1.5], [2, 2, 1.4], [3, 1, 1.6]]
    return Scene("box", mesh, tuple(Frame(i, pose @ eye, small_camera()) for i, eye in enumerate(eyes))), kinds


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 2**31), st.booleans())
def test_wherever_the_world_lies_and_whichever_way_faces_are_wound(seed, flipped):
    rng = np.random.default_rng(seed)
    scene, kinds = box_room(Rotation.random(random_state=seed % 2**31).as_matrix(), rng.uniform(-50, 50, 3), flipped)
    for kind, mask in enumerate(find_shell(scene)):
        assert (mask == (kinds == kind)).mean() > 0.99


def test_a_scene_of_nothing_has_no_shell():
    scene = Scene("none", Mesh(np.zeros((0, 3)), np.zeros((0, 3), np.int32)), ())
    assert [len(mask) for mask in find_shell(scene)] == [0, 0, 0]
    scene, kinds = box_room(np.eye(3), np.zeros(3), False)
    torn = scene.mesh.vertices.copy()
    torn[::50] = np.nan
    found = find_shell(replace(scene, mesh=replace(scene.mesh, vertices=torn), frames=()))
    assert all((mask & (kinds == kind)).sum() > 0.7 * (kinds == kind).sum() for kind, mask in enumerate(found))
