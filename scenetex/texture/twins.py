"""Faces that coincide, by position and whichever way they turn, are one piece of surface: laid out and painted once."""

import numpy as np
import scipy.sparse as sp
from scipy.sparse.csgraph import connected_components

from ..scene.mesh import Mesh
from ..views.viewset import ViewSet
from .weld import shared_edges, solid_faces, weld

_MOST_PACKED = 1 << 21  # vertices whose indices fit into one 64-bit number, three at a time


def surface_faces(mesh: Mesh, views: ViewSet) -> np.ndarray:
    """(k,) ascending indices of faces that have area, one of each that coincide: with its front where it is seen from.

    Raises:
        InputError: the mesh has no face with area.
    """
    kept = solid_faces(mesh)
    _, faces, _ = weld(mesh, kept)
    return kept[np.sort(one_of_each(faces, lambda: _sight(mesh, views)[kept])[0])]


def one_of_each(faces: np.ndarray, sight=lambda: None) -> tuple[np.ndarray, np.ndarray]:
    """Chooses one of each set of faces that coincide.

    Where they turn both ways, the one that turns as its neighbours do is chosen; where all around do, the side that is
    seen most, or that comes first.

    Args:
        faces: (k, 3) int, welded.
        sight: gives (k,) how much more each face's front is seen than its back, or None; called if it matters.

    Returns:
        (d,) int64 the chosen faces, in the order of the first of each set; (k,) int64 which of the d sets a face is in.
    """
    first = first_of_twins(faces)
    leads, twin = np.unique(first, return_inverse=True)
    if len(leads) == len(faces):
        return leads, twin
    turned = np.flatnonzero(is_turned(faces, faces[first]))
    if not len(turned):
        return leads, twin
    # Which of several coinciding faces a ray is said to hit is left to chance: all are counted together.
    seen, votes = sight(), np.zeros(len(leads))
    if seen is not None:
        sign = np.ones(len(faces))
        sign[turned] = -1
        votes = np.bincount(twin, sign * seen, len(leads))
    sets, at = np.unique(twin[turned], return_index=True)
    both = np.zeros(len(leads), bool)
    both[sets] = True
    over = _turned_over(faces[leads], both, votes)[sets]
    chosen = leads.copy()
    chosen[sets[over]] = turned[at[over]]
    return chosen, twin


def first_of_twins(faces: np.ndarray) -> np.ndarray:
    """(k,) int64: for each of the welded faces (k, 3) the first one with the same corners, whichever way they turn."""
    low, mid, high = np.sort(faces, axis=1).astype(np.int64).T
    if len(faces) and high.max() < _MOST_PACKED:
        order = np.argsort((low * _MOST_PACKED + mid) * _MOST_PACKED + high, kind="stable")
    else:
        order = np.lexsort((high, mid, low))
    ends = np.stack([low, mid, high], 1)[order]
    new = np.ones(len(faces), bool)
    new[1:] = (ends[1:] != ends[:-1]).any(1)
    first = np.empty(len(faces), np.int64)
    first[order] = order[np.flatnonzero(new)[np.cumsum(new) - 1]]
    return first


def corner_places(faces: np.ndarray, others: np.ndarray) -> np.ndarray:
    """(k, 3) int64: where in `others` (k, 3) the corners of `faces` (k, 3) are; row by row both have the same."""
    return (faces[:, :, None] == others[:, None, :]).argmax(2)


def is_turned(faces: np.ndarray, others: np.ndarray) -> np.ndarray:
    """(k,) bool: whether faces (k, 3) run round their corners the other way than others (k, 3) round the same ones."""
    place = corner_places(faces, others)
    return (place[:, 1] - place[:, 0]) % 3 == 2


def _turned_over(faces: np.ndarray, both: np.ndarray, votes: np.ndarray) -> np.ndarray:
    """Which faces to turn over, of those that may be, so that neighbours turn alike.

    Args:
        faces: (d, 3) int, welded, no two of which coincide.
        both: (d,) bool, faces that may turn either way.
        votes: (d,) for each face as it is, against it turned over.

    Returns:
        (d,) bool.
    """
    count = len(faces)
    one, two = shared_edges(faces)
    ends = faces.ravel()
    # Neighbours run along their common edge in opposite directions; of two that cannot turn, none is to.
    alike = (ends[one] != ends[two]) | ~(both[one // 3] | both[two // 3])
    one, two = one // 3, two // 3
    # Every face twice, as it is and turned over: what is linked goes together.
    start = np.concatenate([one, one + count])
    end = np.concatenate([two + count * ~alike, two + count * alike])
    graph = sp.coo_matrix((np.ones(len(start), bool), (start, end)), (2 * count, 2 * count))
    label = connected_components(graph, directed=False)[1]
    fixed = np.where(both, votes, 1 + np.abs(votes).sum())
    score = np.bincount(label, np.concatenate([fixed, -fixed]))
    as_is, over = label[:count], label[count:]
    better = (score[over] > score[as_is]) | ((score[over] == score[as_is]) & (over < as_is))
    return both & better


def _sight(mesh: Mesh, views: ViewSet) -> np.ndarray:
    """(f,) float64 per face: pixels that see its front less those that see its back."""
    total = np.zeros(len(mesh.faces))
    for pose, face_id in zip(views.cam_to_world, views.face_id, strict=True):
        face, count = np.unique(face_id[face_id >= 0], return_counts=True)
        away = pose[:3, 3] - mesh.triangles[face].mean(1)
        total[face] += count * np.sign(np.einsum("ij,ij->i", away, mesh.face_cross[face]))
    return total
