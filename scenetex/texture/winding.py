"""Which faces turn their back to all who see them: where a scan's winding is inconsistent, or all of it is inverted."""

import numpy as np
import scipy.sparse as sp
from scipy.sparse.csgraph import connected_components

from ..scene.mesh import Mesh
from ..views.viewset import ViewSet
from .twins import first_of_twins, is_turned
from .weld import solid_faces, weld

_STRIDE = 4  # pixels of a view from look to look
_FEW = 3  # looks that decide on a piece
_CLEAR = 2.0  # times as often from behind as from the front: turned away
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
    stays as it is, and so do the two sides of a wall that has both. What is hardly seen follows its neighbours, and
    without any, most of the mesh. Of a scan that hardly shows its backs, none is turned.

    Args:
        mesh: the mesh.
        front, behind: (f,) int, how often each face is seen so, see `looks`.
    """
    turned = np.zeros(len(mesh.faces), bool)
    if behind.sum() <= _SOUND * (front.sum() + behind.sum()):
        return turned
    kept = solid_faces(mesh)
    welded = weld(mesh, kept)[1]
    first = first_of_twins(welded)
    leads, twin = np.unique(first, return_inverse=True)
    # What is there both ways round need not be turned, and which of the two a ray is said to hit is left to chance;
    # but its neighbours learn of each other through it.
    both = np.bincount(twin, is_turned(welded, welded[first]), len(leads)) > 0
    front, behind = (np.where(both, 0, np.bincount(twin, part[kept], len(leads))) for part in (front, behind))
    pairs, same = _neighbours(welded[leads])
    piece = _pieces(len(leads), pairs[same])
    seen, hidden = np.bincount(piece, front), np.bincount(piece, behind)
    sign = _decided(seen, hidden, _FEW)[piece]
    graph = _graph(len(leads), pairs, np.where(same, 1, -1))
    sign = _spread(sign, graph)
    sign = _spread(np.where(sign == 0, _decided(seen, hidden, 1)[piece], sign), graph)
    # Where nothing is known, faces become consistent at least.
    most = -1 if behind.sum() > _CLEAR * front.sum() else 1
    _, first = np.unique(_pieces(len(leads), pairs), return_index=True)
    sign[first] = np.where(sign[first] == 0, most, sign[first])
    turned[kept] = ((_spread(sign, graph) < 0) & ~both)[twin]
    return turned


def _decided(front: np.ndarray, behind: np.ndarray, least: int) -> np.ndarray:
    """-1 for what is turned away, 1 for what is not, 0 where fewer than `least` looks, or the looks, do not tell."""
    away = behind > _CLEAR * front
    return np.where((front + behind >= least) & (away | (front >= behind)), np.where(away, -1, 1), 0)


def with_faces_turned(mesh: Mesh, turned: np.ndarray) -> Mesh:
    """The mesh with those faces (f,) bool wound the other way; itself where there are none."""
    return mesh.turned(turned) if turned.any() else mesh


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
    return connected_components(_graph(count, pairs, np.ones(len(pairs))), directed=False)[1]


def _spread(sign: np.ndarray, graph: sp.csr_matrix) -> np.ndarray:
    """Signs (k,) of faces, those unknown (0) taken from their neighbours in the `graph`, the opposite where its weight
    is negative; those that no known one can be reached from stay 0."""
    while True:
        new = np.where(sign == 0, np.sign(graph @ sign), sign)
        if (new == sign).all():
            return sign
        sign = new


def _graph(count: int, pairs: np.ndarray, weight: np.ndarray) -> sp.csr_matrix:
    one, other = np.concatenate([pairs, pairs[:, ::-1]]).T
    return sp.coo_matrix((np.tile(weight, 2), (one, other)), (count, count)).tocsr()
