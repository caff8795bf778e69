"""Views that the trajectory never had: where to look to see what is still missing."""

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from ..errors import InputError
from ..scene.camera import resize_intrinsics
from ..scene.scene import Scene
from .free_space import FAR, STEEP, FreeSpace, sphere
from .viewset import ViewSet, cast_views

_PLACES = 160  # that are looked around from, and as many more close to what is missing
_DIRECTIONS = 6000  # on the sphere around each
_YAWS = 12
_PITCHES = np.radians((-70.0, -45.0, -20.0, 5.0, 30.0, 55.0))  # up is positive
_ROOMY, _NARROW = 0.3, 0.15  # metres to the nearest surface, for a camera; where it has to come close
_PATCH = 0.12  # metres, side of the pieces of surface that are counted
_SQUARE = np.cos(np.radians(45))  # off a face's normal, up to which it counts in full
_NEAR = 0.35  # metres
_KNOWN = 0.25  # of a view that has to be there already, to go on from
_LEAST = 0.02  # square metres that a view has to add
_TRIED = 24  # places for each piece that is missing


@dataclass(frozen=True, eq=False)
class _Rings:
    """What is seen from every place, in all directions: (p, d) each.

    Attributes:
        patch: the piece of surface, -1 for none.
        worth: how well it is seen, 0..1, shared among the directions in which the same piece is.
        seen: whether a surface's front is there at all.
    """

    patch: np.ndarray
    worth: np.ndarray
    seen: np.ndarray


def select_views(
    scene: Scene,
    seen: np.ndarray,
    size: tuple[int, int] = (256, 192),
    most: int = 40,
    space: FreeSpace | None = None,
    least: float = _LEAST,
) -> ViewSet:
    """Chooses views of what is missing: next best views, one after the other, each with enough to continue from.

    Cameras stand upright in the scene's free space, 0.3 m from everything (0.15 m where they have to come close), look
    along any of twelve headings and six pitches, and have the field of view of the trajectory's first camera. Each view
    is the one that shows most of what neither `seen` nor the views before it show, at a good angle and from near
    enough, and in which at least a quarter is known by then. The same arguments give the same views.

    Args:
        scene: of which the faces are turned the right way.
        seen: (f,) 0..1 per face of the mesh, how much of it is painted already; bool will do.
        size: (width, height) of the views, pixels.
        most: views at most.
        space: of the scene, if there is one already.
        least: square metres that a view has to add.

    Returns:
        The views, with `frame_ids` that go on after the scene's last; none where nothing that is missing can be seen.

    Raises:
        InputError: `seen` of another length, a scene without frames.

    Example:
        >>> import numpy as np, scenetex
        >>> scene = scenetex.load_scene("scenes/sample_room")
        >>> seen = np.zeros(len(scene.mesh.faces), bool)
        >>> photographed = scenetex.render_views(scene, [0, 60, 120], size=(160, 120)).face_id
        >>> seen[photographed[photographed >= 0]] = True
        >>> len(scenetex.select_views(scene, seen, most=3))
        3
    """
    seen = np.asarray(seen, np.float64)
    if seen.shape != (len(scene.mesh.faces),):
        raise InputError(f"select_views: seen is {seen.shape}, but the mesh has {len(scene.mesh.faces):,} faces")
    if not scene.frames:
        raise InputError(f"{scene.name}: has no frames; what is free space is told from where its cameras were")
    space = space or FreeSpace(scene)
    camera = scene.frames[0].camera
    intrinsics = resize_intrinsics(camera.intrinsics, camera.size, size)
    patch, missing, known = _pieces(scene, seen)
    places = _spread(space.places[space.clearance >= _ROOMY], _PLACES)
    places = np.unique(np.concatenate([places, _close(space, scene, patch, missing)]), axis=0)
    directions = sphere(_DIRECTIONS)
    turns = _turns(scene)
    shown = _shown(turns, intrinsics, size, directions)
    chosen = []
    if most and missing.any():
        chosen = _choose(_look_around(space, places, directions, patch), shown, missing, known, most, least)
    poses = np.tile(np.eye(4), (len(chosen), 1, 1))
    for pose, (place, turn) in zip(poses, chosen, strict=True):
        pose[:3, :3], pose[:3, 3] = turns[turn], places[place]
    first = scene.frames[-1].id + 1
    numbers = tuple(range(first, first + len(chosen)))
    return cast_views(scene.mesh, np.repeat(intrinsics[None], len(chosen), 0), poses, size, numbers)


def _choose(
    rings: _Rings, shown: np.ndarray, missing: np.ndarray, known: np.ndarray, most: int, least: float
) -> list[tuple[int, int]]:
    """(place, turn) of the views, best first."""
    chosen, missing, known = [], missing.copy(), known.copy()
    shown = shown.astype(np.float32)
    in_view = rings.seen.astype(np.float32) @ shown.T
    for _ in range(most if len(rings.patch) else 0):
        gain = (np.where(rings.patch >= 0, missing[rings.patch], 0) * rings.worth) @ shown.T
        there = np.where(rings.seen, known[rings.patch], 0) @ shown.T
        gain = np.where(there >= _KNOWN * np.maximum(in_view, 1), gain, 0)
        best = int(gain.argmax())
        place, turn = divmod(best, len(shown))
        if gain[place, turn] < least:
            break
        chosen.append((place, turn))
        looked = (shown[turn] > 0) & rings.seen[place]
        pieces, worth = rings.patch[place][looked], rings.worth[place][looked]
        told = np.bincount(pieces, worth, len(missing))
        missing *= 1 - np.minimum(told, 1)
        known = np.maximum(known, np.minimum(told, 1))
    return chosen


def _pieces(scene: Scene, seen: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pieces of surface, for which there are enough rays: of each face its piece (f,); the area that is missing of each
    piece, square metres; and how much of it is known, 0..1."""
    mesh = scene.mesh
    area = np.nan_to_num(mesh.face_areas)
    centre, normal = np.nan_to_num(mesh.triangles.mean(1)), np.nan_to_num(mesh.face_normals)
    cell = np.floor((centre - mesh.extent.middle) / _PATCH).astype(np.int64)
    side = np.abs(normal).argmax(1) * 2 + (np.take_along_axis(normal, np.abs(normal).argmax(1)[:, None], 1)[:, 0] > 0)
    _, patch = np.unique(np.column_stack([cell, side]), axis=0, return_inverse=True)
    patch = patch.ravel()
    total = np.bincount(patch, area)
    missing = np.bincount(patch, area * (1 - seen))
    return patch, missing, 1 - missing / np.maximum(total, 1e-12)


def _close(space: FreeSpace, scene: Scene, patch: np.ndarray, missing: np.ndarray) -> np.ndarray:
    """(p, 3) places from which pieces that are missing are seen best, those of the largest pieces; `patch` (f,) is the
    piece of each face."""
    places = space.places[space.clearance >= _NARROW]
    mesh = scene.mesh
    faces = np.flatnonzero((mesh.face_areas > 0) & np.isfinite(mesh.triangles).all((1, 2)) & (missing[patch] > 0))
    if not len(places) or not len(faces):
        return np.zeros((0, 3))
    # Of each piece the face in its middle stands for all.
    _, first = np.unique(patch[faces], return_index=True)
    faces = faces[first]
    faces = faces[np.argsort(-missing[patch[faces]], kind="stable")][: 4 * _PLACES]
    centre, normal = mesh.triangles[faces].mean(1), mesh.face_normals[faces]
    far, near = cKDTree(places).query(centre, k=min(_TRIED, len(places)))
    far, near = far.reshape(len(faces), -1), near.reshape(len(faces), -1)
    best, which = np.zeros(len(faces)), np.full(len(faces), -1)
    for k in range(near.shape[1]):
        place = places[near[:, k]]
        worth = np.einsum("ij,ij->i", place - centre, normal) / np.maximum(far[:, k], 1e-9)
        worth *= np.minimum(1, 2 / np.maximum(far[:, k], 1e-9)) * (far[:, k] > _NEAR)
        worth[~space.sees(place, centre, normal)] = 0
        better = worth > best
        best[better], which[better] = worth[better], near[better, k]
    _, order = np.unique(which[which >= 0], return_index=True)
    return places[which[which >= 0][np.sort(order)][:_PLACES]]


def _look_around(space: FreeSpace, places: np.ndarray, directions: np.ndarray, patch: np.ndarray) -> _Rings:
    shape = len(places), len(directions)
    rings = _Rings(np.full(shape, -1, np.int64), np.zeros(shape, np.float32), np.zeros(shape, bool))
    for i, place in enumerate(places):
        face, distance, facing = space.cast(place, directions)
        front = (face >= 0) & (facing > 0)
        rings.seen[i] = front
        rings.patch[i] = np.where(front, patch[face], -1)
        good = np.clip((facing - STEEP) / (_SQUARE - STEEP), 0, 1) * ((distance > _NEAR) & (distance < FAR))
        # Half as far is twice as fine, but what is finer than from two metres gains nothing.
        good *= np.minimum(1, 2 / np.maximum(distance, 1e-6))
        times = np.bincount(rings.patch[i][front], minlength=int(patch.max(initial=0)) + 1)
        rings.worth[i] = np.where(front, good / np.maximum(times[rings.patch[i]], 1), 0)
    return rings


def _turns(scene: Scene) -> np.ndarray:
    """(t, 3, 3) camera-to-world rotations of upright cameras."""
    up = scene.axis_alignment[2, :3] / np.linalg.norm(scene.axis_alignment[2, :3])
    ahead = np.cross(up, [1.0, 0, 0] if abs(up[0]) < 0.9 else [0, 1.0, 0])
    ahead /= np.linalg.norm(ahead)
    aside = np.cross(ahead, up)
    out = []
    for pitch in _PITCHES:
        for yaw in np.arange(_YAWS) * 2 * np.pi / _YAWS:
            level = np.cos(yaw) * ahead + np.sin(yaw) * aside
            forward = np.cos(pitch) * level + np.sin(pitch) * up
            right = np.cross(level, up)
            out.append(np.stack([right, np.cross(forward, right), forward], 1))
    return np.array(out)


def _shown(turns: np.ndarray, intrinsics: np.ndarray, size: tuple[int, int], directions: np.ndarray) -> np.ndarray:
    """(t, d) bool: which directions lie in the image of a camera that is turned so."""
    seen = np.einsum("tji,dj->tdi", turns, directions)
    z = np.maximum(seen[..., 2], 1e-9)
    pixel = seen[..., :2] / z[..., None] * [intrinsics[0, 0], intrinsics[1, 1]] + intrinsics[:2, 2]
    inside = (pixel > -0.5) & (pixel < np.array(size) - 0.5)
    return inside.all(-1) & (seen[..., 2] > 0)


def _spread(places: np.ndarray, count: int) -> np.ndarray:
    """At most `count` of the places, each the farthest from those before it, the first the nearest to the middle."""
    if len(places) <= count:
        return places
    far = np.linalg.norm(places - places.mean(0), axis=1)
    at = [int(far.argmin())]
    apart = np.linalg.norm(places - places[at[0]], axis=1)
    while len(at) < count:
        at.append(int(apart.argmax()))
        apart = np.minimum(apart, np.linalg.norm(places - places[at[-1]], axis=1))
    return places[at]
