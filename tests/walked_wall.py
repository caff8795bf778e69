"""Trajectories along a wall, and others, whose views are known exactly; and how much of the surface frames see."""

import numpy as np
from tiny_scan import ROOM_FACES, ROOM_VERTICES, look

from scenetex import Camera, Frame, Mesh, Scene
from scenetex.views.coverage import measure_coverage
from scenetex.views.sightings import Sightings

DEPTH = 2.0  # metres from camera to wall
CAMERA = Camera(np.array([[64.0, 0, 31.5], [0, 64.0, 23.5], [0, 0, 1]]), 64, 48)  # sees 2 m of the wall's width


def wall(cells: int = 1) -> Mesh:
    """40 x 8 m of wall in the plane x = 2, of `cells` x `cells` squares."""
    y, z = np.meshgrid(np.linspace(-20, 20, cells + 1), np.linspace(-4, 4, cells + 1), indexing="ij")
    vertices = np.stack([np.full(y.size, DEPTH), y.ravel(), z.ravel()], 1)
    corner = (np.arange(cells)[:, None] * (cells + 1) + np.arange(cells)).ravel()
    quads = np.stack([corner, corner + 1, corner + cells + 2, corner + cells + 1], 1)
    return Mesh(vertices, np.concatenate([quads[:, :3], quads[:, [0, 2, 3]]]).astype(np.int32))


def along(positions, mesh: Mesh | None = None, yaw: float = 0.0, first_id: int = 0) -> Scene:
    """Cameras that look at the wall from y = each of `positions`."""
    frames = tuple(Frame(first_id + k, look(yaw, (0, y, 0)), CAMERA) for k, y in enumerate(positions))
    return Scene("wall", mesh or wall(), frames)


def covered(scene: Scene, keys: list[int]) -> float:
    """Share of the surface that frames see the front of."""
    at = {frame.id: i for i, frame in enumerate(scene.frames)}
    sightings = Sightings(scene)
    return measure_coverage(sightings.of([at[key] for key in keys]), sightings.points).share_seen(range(len(keys)))


def equal_steps(scene: Scene, count: int) -> list[list[int]]:
    """`count` frames at equal steps, in the ways in which that is done."""
    n = len(scene.frames)
    ends = [scene.frames[i].id for i in np.linspace(0, n - 1, count).round().astype(int)]
    return [ends, [f.id for f in scene.frames[:: -(-n // count)]], [f.id for f in scene.frames[:: n // count]][:count]]


def wander(seed: int, count: int) -> Scene:
    """A random walk in a room with a screen in the middle, that dwells at times and looks anywhere."""
    rng = np.random.default_rng(seed)
    dwell = rng.random(count) < rng.uniform(0, 0.8)
    yaw = np.cumsum(np.where(dwell, 0, rng.normal(0, 0.4, count)))
    place = 1.5 * np.tanh(np.cumsum(np.where(dwell, 0, rng.normal(0, 0.3, (2, count))), 1))
    screen = np.array([[0, -1, -1], [0, 1, -1], [0, 1, 1], [0, -1, 1]], float)
    mesh = Mesh(
        np.concatenate([ROOM_VERTICES, screen]),
        np.concatenate([ROOM_FACES, [[8, 9, 10], [8, 10, 11], [8, 10, 9], [8, 11, 10]]]).astype(np.int32),
    )
    frames = (Frame(3 * i, look(yaw[i], (*place[:, i], 0)), CAMERA) for i in range(count))
    return Scene("room", mesh, tuple(frames))
