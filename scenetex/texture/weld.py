"""A clean working copy of a scan's mesh: what unwrapping and surface diffusion need, in the original's face order."""

import numpy as np

from ..errors import InputError
from ..scene.mesh import Mesh, used_vertices

MIN_RELATIVE_AREA = 1e-12  # of the square of the mesh's size, three times its radius
_OVERSIZED = 30.0  # radii; longer edges lead to vertices that are not where they should be
_ASTRAY = 300.0  # radii from the middle, where the precision of float32 ends to suffice


def solid_faces(mesh: Mesh) -> np.ndarray:
    """(k,) indices of faces that have area and finite corners, ascending.

    Raises:
        InputError: the mesh has no such face.
    """
    with np.errstate(invalid="ignore"):
        large = mesh.face_areas > MIN_RELATIVE_AREA * (3 * mesh.extent.radius) ** 2
    kept = np.flatnonzero(large & np.isfinite(mesh.vertices).all(1)[mesh.faces].all(1))
    if not len(kept):
        raise InputError("mesh: no face has an area; nothing can be textured, check the mesh file")
    return kept


def weld(mesh: Mesh, kept: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Merges vertices at one place, so that a scan's triangle soup becomes a surface.

    Args:
        mesh: the mesh.
        kept: (k,) face indices from `solid_faces`.

    Returns:
        positions (n, 3) float32 in metres relative to the mesh's middle (float32 is then precise far from the origin),
        faces (k, 3) int32 into them, row i for face ``kept[i]``, and (n,) the mesh vertex each position was taken from.
    """
    used, corners = used_vertices(mesh.faces[kept])
    positions = (mesh.vertices[used] - mesh.extent.middle).astype(np.float32) + np.float32(0)
    # Equal bytes mean equal places (adding zero has turned -0 into 0): one sort of 12-byte records.
    _, first, merged = np.unique(positions.view("V12").ravel(), return_index=True, return_inverse=True)
    return positions[first], merged[corners].astype(np.int32), used[first]


def oversized(mesh: Mesh, kept: np.ndarray) -> np.ndarray:
    """(k,) bool: which of the faces `kept` (k,) are far larger than the mesh is, or far away from it: nothing else may
    depend on them."""
    reach, far = _OVERSIZED * mesh.extent.radius, _ASTRAY * mesh.extent.radius
    used = mesh.vertices[used_vertices(mesh.faces[kept])[0]] - mesh.extent.middle
    low, high = used.min(0, initial=np.inf), used.max(0, initial=-np.inf)
    if np.linalg.norm(high - low) <= reach and max(-low.min(), high.max()) <= far:
        return np.zeros(len(kept), bool)  # as nearly always
    corners = mesh.triangles[kept]
    longest = np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=2).max(1, initial=0)
    away = np.abs(corners - mesh.extent.middle).max((1, 2), initial=0)
    return (longest > reach) | (away > far)


def usual(mesh: Mesh, kept: np.ndarray) -> np.ndarray:
    """Those of the faces `kept` (k,) that are not oversized; all of them where there are no others."""
    large = oversized(mesh, kept)
    return kept[~large] if large.any() and not large.all() else kept


def face_adjacency(faces: np.ndarray) -> np.ndarray:
    """(e, 2) int32 pairs of faces that share an edge; an edge with more than two faces pairs each with the next."""
    return np.stack([half // 3 for half in shared_edges(faces)], 1).astype(np.int32)


def shared_edges(faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The same pairs as half-edges, 3 * face + the corner that the face's edge starts from: (e,) and (e,) int64."""
    start, end = faces.astype(np.int64), np.roll(faces, -1, axis=1).astype(np.int64)
    key = (np.minimum(start, end) * (int(faces.max(initial=0)) + 1) + np.maximum(start, end)).ravel()
    bits = len(key).bit_length()
    if int(key.max(initial=0)).bit_length() + bits < 64:
        # Numbers that end in their place are sorted some times as fast as places by numbers.
        key = np.sort((key << bits) | np.arange(len(key)))
        order, key = key & ((1 << bits) - 1), key >> bits
    else:
        order = np.argsort(key, kind="stable")
        key = key[order]
    same = np.flatnonzero(key[1:] == key[:-1])
    return order[same], order[same + 1]
