"""A room's shell, told from the directions and heights of its faces: floor, walls, ceiling."""

import numpy as np

from .extent import weighted_quantile
from .scene import Scene

_LEVEL = np.cos(np.radians(30))  # how far a floor's or ceiling's faces may lean
_UPRIGHT = np.sin(np.radians(20))  # and a wall's
_BIN = 0.05  # metres, of heights and of walls' distances
_THICK = 0.1  # metres from its level within which a face belongs to the floor or the ceiling,
_FLAT = 0.08  # and from its plane to a wall
_TURN = np.radians(3.0)
_ALIKE = np.cos(np.radians(20))  # between a wall's direction and its faces'
_SHARE = 0.25  # of the largest level's area that the lowest has to have
_LEAST_AREA = 1.0  # square metres of a wall
_LEAST_HIGH = 1.8  # metres between floor and ceiling
_REACH = 0.85  # of the room's height that a wall has to come up to
_MOST_WALLS = 40


def find_shell(scene: Scene) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Which faces are floor, walls and ceiling.

    The floor is the lowest level of any size that faces upwards, the ceiling the highest that faces downwards; walls
    are upright planes that come up to the ceiling, or to as high as the scan goes, and behind which no other such plane
    lies: a wardrobe's front is none.

    Args:
        scene: its `axis_alignment` says where up is.

    Returns:
        Three (f,) bool masks of `scene.mesh`'s faces; all False where there is none.
    """
    to_room = scene.axis_alignment
    centre = scene.mesh.triangles.mean(1) @ to_room[:3, :3].T + to_room[:3, 3]
    normal = scene.mesh.face_normals @ to_room[:3, :3].T
    area = np.where(np.isfinite(centre).all(1), scene.mesh.face_areas, 0.0)
    normal, centre = np.nan_to_num(normal), np.nan_to_num(centre)
    cameras = np.array([to_room[:3, :3] @ frame.cam_to_world[:3, 3] + to_room[:3, 3] for frame in scene.frames])
    eye = np.median(cameras[:, 2]) if len(cameras) else np.inf
    z = centre[:, 2]
    # Seen from below, whatever the winding, is what lies above the cameras.
    floor = _level(z, area * ((np.abs(normal[:, 2]) > _LEVEL) & (z < eye)))
    is_floor = (area > 0) & (np.abs(normal[:, 2]) > _LEVEL) & (np.abs(z - floor) < _THICK)
    above = area * ((np.abs(normal[:, 2]) > _LEVEL) & (z > max(floor + _LEAST_HIGH, eye if len(cameras) else floor)))
    ceiling = _level(-z, above, least=0.5)
    is_ceiling = (area > 0) & (np.abs(normal[:, 2]) > _LEVEL) & (np.abs(z + ceiling) < _THICK)
    top = -ceiling if np.isfinite(ceiling) else weighted_quantile(z, area, 0.99)
    # Large triangles reach higher than their centres.
    high = np.nan_to_num(scene.mesh.triangles @ to_room[2, :3] + to_room[2, 3]).max(1)
    is_wall = _walls(centre, high, normal, area, floor if np.isfinite(floor) else z.min(initial=0), top, cameras)
    return is_floor, is_wall & ~is_floor & ~is_ceiling, is_ceiling


def _level(z: np.ndarray, weight: np.ndarray, least: float = 0.2) -> float:
    """The height of the lowest level with at least a share of the largest one's area; NaN where there is none."""
    used = weight > 0
    if weight.sum() < least:
        return np.nan
    start = z[used].min()
    count = np.bincount(((z[used] - start) / _BIN).astype(np.int64), weight[used])
    smooth = np.convolve(count, np.ones(3), "same")
    peak = int(np.flatnonzero(smooth >= _SHARE * smooth.max())[0])
    # From where the share is first reached up to the level itself.
    while peak + 1 < len(smooth) and smooth[peak + 1] > smooth[peak]:
        peak += 1
    near = used & (np.abs(z - (start + (peak + 0.5) * _BIN)) < 1.5 * _BIN)
    return weighted_quantile(z[near], weight[near], 0.5)


def _walls(centre, high, normal, area, floor: float, top: float, cameras: np.ndarray) -> np.ndarray:
    """(f,) bool, the faces of walls between the heights `floor` and `top`."""
    upright = (np.abs(normal[:, 2]) < _UPRIGHT) & (area > 0)
    index = np.flatnonzero(upright)
    planes = []
    left = np.ones(len(index), bool)
    for _ in range(_MOST_WALLS):
        found = _plane(centre[index[left], :2], normal[index[left], :2], area[index[left]])
        if found is None:
            break
        direction, distance = found
        on = _on_plane(centre[index, :2], normal[index, :2], direction, distance)
        mine = index[on & left]
        if area[mine].sum() < _LEAST_AREA:
            break
        left &= ~on
        planes.append((direction, distance, mine))
    tall = [plane for plane in planes if _comes_up(high[plane[2]], area[plane[2]], floor, top)]
    walls = [plane for plane in tall if not _hides(plane, tall, centre, area, cameras)]
    out = np.zeros(len(centre), bool)
    for _, _, mine in walls:
        out[mine] = True
    return out


def _plane(place: np.ndarray, normal: np.ndarray, area: np.ndarray) -> tuple[np.ndarray, float] | None:
    """The upright plane with most area: a unit direction (2,) and its distance from the origin."""
    if not len(place):
        return None
    angle = np.arctan2(normal[:, 1], normal[:, 0]) % np.pi
    middle = np.average(place, axis=0, weights=area)
    turns = round(np.pi / _TURN)
    which = np.round(angle / np.pi * turns).astype(np.int64) % turns
    best, found = 0.0, None
    reach = np.abs(place - middle).sum(1).max() + _BIN
    cells = int(2 * reach / _BIN) + 2
    for k in np.flatnonzero(np.bincount(which, area, turns) > 0):
        # Faces of the two neighbouring directions count, too.
        near = np.isin(which, [(k - 1) % turns, k, (k + 1) % turns])
        d = np.array([np.cos(k * np.pi / turns), np.sin(k * np.pi / turns)])
        at = (((place[near] - middle) @ d + reach) / _BIN).astype(np.int64)
        count = np.convolve(np.bincount(at, area[near], cells), np.ones(2), "full")[1:]
        cell = int(count.argmax())
        if count[cell] > best:
            best, found = count[cell], (d, (cell + 1) * _BIN - reach + middle @ d)
    if found is None:
        return None
    # Its exact direction is that of its faces' middle line.
    on = _on_plane(place, normal, *found)
    if not on.any():
        return None
    spot = np.average(place[on], axis=0, weights=area[on])
    off = (place[on] - spot) * np.sqrt(area[on])[:, None]
    _, axes = np.linalg.eigh(off.T @ off)
    d = axes[:, 0] if axes[:, 0] @ found[0] > 0 else -axes[:, 0]
    if d @ found[0] < _ALIKE:
        d = found[0]
    return d, float(spot @ d)


def _on_plane(place: np.ndarray, normal: np.ndarray, direction: np.ndarray, distance: float) -> np.ndarray:
    return (np.abs(place @ direction - distance) < _FLAT) & (np.abs(normal @ direction) > _ALIKE * 0.94)


def _comes_up(z: np.ndarray, area: np.ndarray, floor: float, top: float) -> bool:
    return weighted_quantile(z, area, 0.97) > floor + _REACH * (top - floor)


def _hides(plane, others, centre: np.ndarray, area: np.ndarray, cameras: np.ndarray) -> bool:
    """Whether a plane stands in front of a wall: another behind it along most of its length."""
    direction, distance, mine = plane
    if not len(cameras):
        return False
    side = np.sign(np.median(cameras[:, :2] @ direction) - distance)
    along = np.array([-direction[1], direction[0]])
    spread = centre[mine, :2] @ along
    low, high = weighted_quantile(spread, area[mine], 0.02), weighted_quantile(spread, area[mine], 0.98)
    for other_direction, other_distance, theirs in others:
        turn = 1.0 if other_direction @ direction > 0 else -1.0
        behind = side * (distance - turn * other_distance)
        if abs(other_direction @ direction) < _ALIKE or not 0.15 < behind < 1.2:
            continue
        reach = centre[theirs, :2] @ along
        if area[theirs].sum() < area[mine].sum():
            continue
        first, last = (weighted_quantile(reach, area[theirs], share) for share in (0.02, 0.98))
        if min(high, last) - max(low, first) > 0.6 * (high - low):
            return True
    return False
