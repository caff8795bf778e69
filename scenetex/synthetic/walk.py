"""A hand-held walk through a room, as someone scans it: smooth, at eye height, looking for what is not seen yet."""

from itertools import pairwise

import cv2
import numpy as np
from scipy.ndimage import gaussian_filter1d, label
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import dijkstra
from scipy.spatial.transform import Rotation

from ..scene.camera import Camera
from .room import Room
from .surface import grid_shape, sample_lattice

CLEARANCE = 0.28
_CELL = 0.1
_PITCHES = np.radians([-48, -32, -18, -6, 8, 20])
_STRAYED = np.radians((-70, 55))
_TURNS = np.radians([-50, -36, -24, -14, -6, 0, 6, 14, 24, 36, 50])


def walk(room: Room, count: int, rng: np.random.Generator, camera: Camera | None = None) -> np.ndarray:
    """Poses along a walk that looks all around a room.

    Args:
        room: the room.
        count: number of frames.
        rng: draws another walk for another state.
        camera: the camera, for what it sees; default one of 64 by 48 degrees.

    Returns:
        (count, 4, 4) float64 cam_to_room, OpenCV axes, metres: at 1.2 to 1.7 m height, never closer than `CLEARANCE` to
        walls and furniture (half of that in rooms too full for more).

    Raises:
        ValueError: furniture leaves no floor to walk on, which `make_room` never does.
    """
    path = _path(room, count, rng)
    height = 1.45 + 0.18 * _wander(rng, count, 5.0)
    # The lower bound leaves room for a hanging lamp above; the camera is carried, not flown.
    positions = np.column_stack([path, np.clip(height, 1.22, 1.68)])
    yaw, pitch = _look_around(room, positions, rng, camera)
    roll = 0.025 * _wander(rng, count, 1.5)
    return _poses(positions, yaw, pitch, roll)


def strayed(room: Room, poses: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """Poses (n, 4, 4) as of `walk`, of which about a share `share` look elsewhere instead: from any height above or
    below the same place, 70 degrees down to 55 up, as views that complete a scene do."""
    poses = poses.copy()
    chosen, pitch, height = rng.random(len(poses)) < share, rng.uniform(*_STRAYED, len(poses)), rng.random(len(poses))
    eyes = poses[:, :3, 3].astype(np.float32)
    above, below = (
        room.caster.cast(eyes, np.tile(np.float32([0, 0, way]), (len(eyes), 1)))["distance"] - CLEARANCE
        for way in (1, -1)
    )
    for i in np.flatnonzero(chosen & (above > 0) & (below > 0)):
        x, y, _ = poses[i, :3, 2]
        place = poses[i, :3, 3] + [0, 0, height[i] * (above[i] + below[i]) - below[i]]
        poses[i] = _poses(place[None], np.arctan2(y, x)[None], pitch[i : i + 1], np.zeros(1))[0]
    return poses


def _wander(rng: np.random.Generator, count: int, smooth: float) -> np.ndarray:
    """Smooth noise (count,) within about -1 to 1."""
    noise = gaussian_filter1d(rng.standard_normal(count + 40), smooth, mode="wrap")[20 : count + 20]
    return np.clip(noise / (noise.std() + 1e-9) * 0.5, -1, 1) if count > 1 else np.zeros(count)


def free_floor(room: Room) -> tuple[np.ndarray, np.ndarray]:
    """Distance in metres from each floor cell to the nearest wall or furniture: map (rows, columns), origin (2,).

    Cells are 0.1 m wide; the middle of cell (row, column) lies at origin + 0.1 * (column, row).
    """
    corners = np.array(room.plan.corners)
    origin = corners.min(0)
    columns, rows = np.ceil((corners.max(0) - origin) / _CELL).astype(int) + 1
    # Four times finer for exact distances.
    fine = 4
    scale = fine / _CELL
    image = np.zeros((rows * fine, columns * fine), np.uint8)
    shift = 0.5 * fine
    cv2.fillPoly(image, [np.rint((corners - origin) * scale + shift).astype(np.int32)], 1)
    for outline in room.obstacles[_doors(room) :]:
        cv2.fillPoly(image, [np.rint((outline - origin) * scale + shift).astype(np.int32)], 0)
    distance = cv2.distanceTransform(image, cv2.DIST_L2, 5) / scale
    return distance[fine // 2 :: fine, fine // 2 :: fine].astype(np.float64), origin


def _doors(room: Room) -> int:
    """Doorways come first among the obstacles; one may walk there."""
    return sum(o.kind == "door" for o in room.plan.openings)


def _path(room: Room, count: int, rng: np.random.Generator) -> np.ndarray:
    """Positions (count, 2) at even steps along a smooth tour of the free floor."""
    distance, origin = free_floor(room)
    for clearance in (CLEARANCE + 0.12, CLEARANCE + 0.05, CLEARANCE, CLEARANCE / 2):
        blobs, number = label(distance > clearance)
        if number:
            sizes = np.bincount(blobs.ravel())[1:]
            if sizes.max() >= 12 or clearance < CLEARANCE:
                break
    if not number:
        raise ValueError("this room has no free floor to walk on")
    free = blobs == 1 + int(np.argmax(sizes))
    cells = np.argwhere(free)
    index = np.full(free.shape, -1)
    index[free] = np.arange(len(cells))
    graph = _graph(index, distance)
    stops = _spread(cells, min(7, len(cells)), rng)
    lengths, before = dijkstra(graph, indices=stops, return_predecessors=True)
    order = _tour(lengths[:, stops], rng)
    route = [stops[order[0]]]
    for a, b in pairwise(order):
        leg, at = [], stops[b]
        while at != stops[a]:
            leg.append(at)
            at = before[a, at]
        route += leg[::-1]
    line = origin + cells[np.array(route)][:, ::-1] * _CELL
    for smooth in (6.0, 3.0, 1.5, 0.0):
        soft = _resample(_smoothed(line, smooth), count)
        row, column = np.rint((soft - origin) / _CELL).astype(int)[:, ::-1].T
        if (distance[row, column] > clearance - 0.03).all():
            break
    return soft


def _graph(index: np.ndarray, distance: np.ndarray):
    """Links between neighbouring free cells; passing close to things costs more."""
    links = []
    h, w = index.shape
    for dy, dx, length in ((0, 1, 1.0), (1, 0, 1.0), (1, 1, 1.4142), (1, -1, 1.4142)):
        a = (slice(0, h - dy), slice(max(-dx, 0), w - max(dx, 0)))
        b = (slice(dy, h), slice(max(dx, 0), w + min(dx, 0)))
        both = (index[a] >= 0) & (index[b] >= 0)
        cost = length * (1 + 0.25 / np.maximum(distance[a], 0.05))
        links.append((index[a][both], index[b][both], cost[both]))
    start, end, cost = (np.concatenate(x) for x in zip(*links, strict=True))
    size = index.max() + 1
    return coo_matrix((np.tile(cost, 2), (np.r_[start, end], np.r_[end, start])), shape=(size, size)).tocsr()


def _spread(cells: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Cells far apart from each other, a random one first."""
    chosen = [int(rng.integers(len(cells)))]
    far = np.linalg.norm(cells - cells[chosen[0]], axis=1)
    while len(chosen) < count:
        chosen.append(int(np.argmax(far)))
        far = np.minimum(far, np.linalg.norm(cells - cells[chosen[-1]], axis=1))
    return np.array(chosen)


def _tour(lengths: np.ndarray, rng: np.random.Generator) -> list[int]:
    """A short way through all stops: nearest neighbour, then reversals that shorten it."""
    order = [0]
    while len(order) < len(lengths):
        rest = [i for i in range(len(lengths)) if i not in order]
        order.append(min(rest, key=lambda i: lengths[order[-1], i]))
    improved = True
    while improved:
        improved = False
        for i in range(len(order) - 1):
            for j in range(i + 2, len(order) + 1):
                other = order[:i] + order[i:j][::-1] + order[j:]
                if _length(lengths, other) < _length(lengths, order) - 1e-9:
                    order, improved = other, True
    return order


def _length(lengths: np.ndarray, order: list[int]) -> float:
    return float(lengths[order[:-1], order[1:]].sum())


def _smoothed(line: np.ndarray, sigma: float) -> np.ndarray:
    return gaussian_filter1d(line, sigma, axis=0, mode="nearest") if sigma and len(line) > 2 else line


def _resample(line: np.ndarray, count: int) -> np.ndarray:
    """`count` points at even steps along a polyline (n, 2)."""
    step = np.linalg.norm(np.diff(line, axis=0), axis=1) if len(line) > 1 else np.zeros(0)
    at = np.concatenate([[0], np.cumsum(step)])
    where = np.linspace(0, at[-1], count)
    return np.stack([np.interp(where, at, line[:, k]) for k in (0, 1)], 1)


def _look_around(room: Room, positions: np.ndarray, rng: np.random.Generator, camera: Camera | None):
    """Yaw and pitch (n,) radians: each frame turns, not too fast, to where most is left to see."""
    field_x, field_y = np.tan(np.radians([32.0, 24.0]))
    if camera is not None:
        field_x = 0.5 * camera.width / camera.intrinsics[0, 0]
        field_y = 0.5 * camera.height / camera.intrinsics[1, 1]
    points, normals, weight = _targets(room)
    unseen = np.ones(len(points), np.float32)
    yaw, pitch = np.empty(len(positions)), np.empty(len(positions))
    last_yaw, last_pitch = rng.uniform(-np.pi, np.pi), -0.2
    sway = np.sign(rng.standard_normal())
    turns, pitches = (a.ravel() for a in np.meshgrid(_TURNS, _PITCHES, indexing="ij"))
    for i, eye in enumerate(positions):
        way = points - eye.astype(np.float32)
        distance = np.linalg.norm(way, axis=1)
        cosine = -(way * normals).sum(1) / distance
        near = (cosine > 0.15) & (distance > 0.4)
        hit = room.caster.cast(np.broadcast_to(eye, way[near].shape), way[near])["distance"]
        value = np.zeros(len(points), np.float32)
        # Good views are square on and neither too far nor too close.
        quality = cosine * np.minimum(distance / 1.2, 1) / (1 + (distance / 3.5) ** 2)
        value[near] = (hit > 0.985) * (weight * unseen * quality)[near]
        left = np.flatnonzero(value > 0)
        turn = turns if i else np.linspace(-np.pi, np.pi, len(turns), endpoint=False)
        rotation = _poses(np.zeros((len(turn), 3)), last_yaw + turn, pitches, np.zeros(len(turn)))[:, :3, :3]
        local = way[left] @ rotation.astype(np.float32)
        inside = (np.abs(local[..., 0]) < field_x * local[..., 2]) & (np.abs(local[..., 1]) < field_y * local[..., 2])
        gain = inside @ value[left]
        # A hand turns steadily: jerks back and quick nods cost something, and level views are preferred.
        steady = 1 - 0.10 * np.abs(pitches - last_pitch) / 0.3 - 0.08 * np.abs(pitches + 0.2) / 0.3
        if i:
            steady -= 0.20 * (turn * sway < -0.05) + 0.10 * np.abs(turn) / 0.6
        best = int(np.argmax(gain * np.maximum(steady, 0.05)))
        unseen[left[inside[best]]] *= 0.45
        if abs(turn[best]) > 0.05 and i:
            sway = np.sign(turn[best])
        last_yaw, last_pitch = last_yaw + turn[best], pitches[best]
        yaw[i], pitch[i] = last_yaw, last_pitch
    if len(positions) > 3:
        yaw, pitch = gaussian_filter1d(yaw, 0.6, mode="nearest"), gaussian_filter1d(pitch, 0.6, mode="nearest")
    return yaw, pitch


def _targets(room: Room) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sparse surface samples (n, 3), their normals, and how much each matters: its area, ceilings for less."""
    shape = np.concatenate([grid_shape(g, np.full(len(g.points), 0.45), 2, 20) for g in room.surface.grids])
    lattice = sample_lattice(room.surface.grids, shape, inset=0.1)
    area = np.bincount(room.surface.face_patch, room.mesh.face_areas, len(shape))
    weight = (area / shape.prod(1))[lattice.patch]
    ceiling = (lattice.normals[:, 2] < -0.9) & (lattice.points[:, 2] > room.plan.height - 0.01)
    weight = np.where(ceiling, 0.35 * weight, weight)
    keep = weight > 0.004
    return tuple(a[keep].astype(np.float32) for a in (lattice.points, lattice.normals, weight))


def _poses(positions: np.ndarray, yaw: np.ndarray, pitch: np.ndarray, roll: np.ndarray) -> np.ndarray:
    """(n, 4, 4) camera poses: `yaw` about z (0 looks along +x), `pitch` above the horizon, tilted by `roll`."""
    # Camera axes at yaw 0: right is -y, down is -z, forward is +x.
    base = Rotation.from_matrix(np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]]))
    turn = Rotation.from_euler("ZYX", np.column_stack([yaw, -pitch, roll]))
    out = np.tile(np.eye(4), (len(positions), 1, 1))
    out[:, :3, :3] = (turn * base).as_matrix()
    out[:, :3, 3] = positions
    return out
