"""A clean working copy of a scan's mesh: what unwrapping and surface diffusion need, in the original's face order."""

import numpy as np

from ..errors import InputError
from ..scene.mesh import Mesh

MIN_RELATIVE_AREA = 1e-12


def solid_faces(mesh: Mesh) -> np.ndarray:
    """(k,) indices of faces that have area and finite corners, ascending.

    Raises:
        InputError: the mesh has no such face.
    """
    finite = np.isfinite(mesh.vertices).all(1)
    extent = float(np.ptp(mesh.vertices[finite], axis=0).max()) if finite.any() else 0.0
    with np.errstate(invalid="ignore"):
        large = mesh.face_areas > MIN_RELATIVE_AREA * extent**2
    kept = np.flatnonzero(large & finite[mesh.faces].all(1))
    if not len(kept):
        raise InputError("mesh: no face has an area; nothing can be textured, check the mesh file")
    return kept


def weld(mesh: Mesh, kept: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Merges vertices at one place, so that a scan's triangle soup becomes a surface.

    Args:
        mesh: the mesh.
        kept: (k,) face indices from `solid_faces`.

    Returns:
        positions (n, 3) float32 in metres relative to the mesh's centre (float32 is then precise far from the origin),
        faces (k, 3) int32 into them, row i for face ``kept[i]``, and (n,) the mesh vertex each position was taken from.
    """
    used, corners = np.unique(mesh.faces[kept], return_inverse=True)
    positions = mesh.vertices[used]
    positions = (positions - 0.5 * (positions.min(0) + positions.max(0))).astype(np.float32) + np.float32(0)
    # Equal bytes mean equal places (adding zero has turned -0 into 0): one sort of 12-byte records.
    _, first, merged = np.unique(positions.view("V12").ravel(), return_index=True, return_inverse=True)
    return positions[first], merged[corners].reshape(-1, 3).astype(np.int32), used[first]


def face_adjacency(faces: np.ndarray) -> np.ndarray:
    """(e, 2) int32 pairs of faces that share an edge; an edge with more than two faces pairs each with the next."""
    edges = np.sort(faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1).astype(np.int64)
    key = edges[:, 0] * (int(faces.max()) + 1) + edges[:, 1]
    order = np.argsort(key, kind="stable")
    same = np.flatnonzero(key[order[1:]] == key[order[:-1]])
    return np.stack([order[same] // 3, order[same + 1] // 3], 1).astype(np.int32)
