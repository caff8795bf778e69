"""Which faces turn their back to all who see them: where a scan's winding is inconsistent, or all of it is inverted."""

from dataclasses import replace

import numpy as np
import scipy.sparse as sp
from scipy.sparse.csgraph import connected_components

from ..scene.mesh import Mesh
from ..views.viewset import ViewSet
from .weld import solid_faces, weld

_STRIDE = 4  # pixels of a view from look to look
_FEW = 3  # looks that decide on a piece
_CLEAR = 2.0  # times as often from behind as from the front: turned away; walls are seen from both sides
_SOUND = 0.002  # of all looks; sound scans show as much of their backs, through holes


def turned_to_views(mesh: Mesh, views: ViewSet) -> np.ndarray:
    """`turned_away` by what a mesh's views see: (f,) bool."""
    face = views.face_id[:, ::_STRIDE, ::_STRIDE]
    view, row, column = np.nonzero(face >= 0)
    return turned_away(mesh, *looks(mesh, face[view, row, column], views.cam_to_world[view, :3, 3]))


def looks(mesh: Mesh, face: np.ndarray, eye: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How often each face is seen from the front and from behind, (f,) int64 each, by looks at `face` (n,) from `eye`
    (n, 3)."""
    corner = mesh.vertices[mesh.faces[face, 0]]
    front = np.einsum("ij,ij->i", mesh.face_cross[face], eye - corner) > 0
    count = len(mesh.faces)
    return np.bincount(face[front], minlength=count), np.bincount(face[~front], minlength=count)


def turned_away(mesh: Mesh, front: np.ndarray, behind: np.ndarray) -> np.ndarray:
    """Faces to turn around, so that they face who sees them: (f,) bool.

    Decided piece by piece, a piece being what hangs together with one winding: a wall that is seen from both sides
    stays as it is, and so do the two sides of a wall that has both. Pieces that are hardly seen follow their neighbours,
    and without any, all others together. Of a scan that hardly shows its backs, none is turned.

    Args:
        mesh: the mesh.
        front, behind: (f,) int, how often each face is seen so, see `looks`.
    """
    turned = np.zeros(len(mesh.faces), bool)
    if behind.sum() <= _SOUND * (front.sum() + behind.sum()):
        return turned
    kept = solid_faces(mesh)
    pairs, same = _neighbours(weld(mesh, kept)[1])
    piece = _pieces(len(kept), pairs[same])
    seen, hidden = np.bincount(piece, front[kept]), np.bincount(piece, behind[kept])
    away = hidden > _CLEAR * seen
    known = (seen + hidden >= _FEW) & (away | (seen >= hidden))
    sign = np.where(known, np.where(away, -1, 1), 0)
    sign = _spread(sign, piece[pairs[~same]])
    most = -1 if behind.sum() > _CLEAR * front.sum() else 1
    turned[kept] = (np.where(sign == 0, most, sign) < 0)[piece]
    return turned


def with_faces_turned(mesh: Mesh, turned: np.ndarray) -> Mesh:
    """The mesh with those faces (f,) bool wound the other way; itself where there are none."""
    if not turned.any():
        return mesh
    faces = mesh.faces.copy()
    faces[turned] = faces[turned][:, ::-1]
    return replace(mesh, faces=faces)


def _neighbours(faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pairs (e, 2) of faces that alone share an edge, and whether they are wound alike (e,) bool."""
    start, end = faces.ravel().astype(np.int64), np.roll(faces, -1, axis=1).ravel().astype(np.int64)
    key = np.minimum(start, end) * (int(faces.max(initial=0)) + 1) + np.maximum(start, end)
    order = np.argsort(key, kind="stable")
    ordered = key[order]
    first = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    two = first[np.diff(np.r_[first, len(ordered)]) == 2]
    one, other = order[two], order[two + 1]
    # Neighbours of one winding run along their edge in opposite directions.
    return np.stack([one // 3, other // 3], 1), start[one] != start[other]


def _pieces(count: int, pairs: np.ndarray) -> np.ndarray:
    graph = sp.coo_matrix((np.ones(len(pairs), bool), (pairs[:, 0], pairs[:, 1])), (count, count))
    return connected_components(graph, directed=False)[1]


def _spread(sign: np.ndarray, across: np.ndarray) -> np.ndarray:
    """Signs (p,) of pieces, those unknown (0) taken from their neighbours `across` (e, 2) an edge of opposite winding;
    those that no known one can be reached from stay 0."""
    count = len(sign)
    one, other = np.concatenate([across, across[:, ::-1]]).T
    graph = sp.coo_matrix((np.ones(len(one)), (one, other)), (count, count)).tocsr()
    while True:
        told = np.sign(-(graph @ sign))
        new = np.where(sign == 0, told, sign)
        if (new == sign).all():
            return sign
        sign = new
