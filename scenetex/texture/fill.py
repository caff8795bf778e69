"""Colour where no view saw the surface: diffusion over the surface, then padding around the charts."""

from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import scipy.sparse as sp
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import cg
from scipy.spatial import cKDTree

from ..process.threads import threads


def diffuse(positions: np.ndarray, faces: np.ndarray, colors: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Smoothest continuation of vertex colours over a surface (discrete Laplace equation, weights 1 / edge length).

    Pieces of surface without any known vertex take the colour of the nearest known one.

    Args:
        positions: (n, 3) float, metres.
        faces: (f, 3) int.
        colors: (n, c) float, read where `known`.
        known: (n,) bool.

    Returns:
        (n, c) float64; `colors` where known. All zeros if nothing is known.
    """
    out = np.where(known[:, None], colors, 0.0)
    if known.all() or not known.any():
        return out
    both = np.sort(faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1).astype(np.int64)
    key = np.unique(both[:, 0] * len(positions) + both[:, 1])
    ends = np.stack([key // len(positions), key % len(positions)], 1)
    length = np.linalg.norm(positions[ends[:, 0]] - positions[ends[:, 1]], axis=1)
    # Against edges of no length; the middle length, not the greatest, so that one long edge does not set the measure.
    least = 1e-5 * float(np.median(length[length > 0])) if length.any() else 1.0
    weight = 1 / np.maximum(length, least)
    n = len(positions)
    graph = sp.coo_matrix(
        (np.r_[weight, weight], (np.r_[ends[:, 0], ends[:, 1]], np.r_[ends[:, 1], ends[:, 0]])), (n, n)
    )
    graph = graph.tocsr()

    _, piece = connected_components(graph, directed=False)
    stranded = ~np.isin(piece, np.unique(piece[known]))
    if stranded.any():
        source = np.flatnonzero(known)
        out[stranded] = colors[source[cKDTree(positions[source]).query(positions[stranded])[1]]]
    free = np.flatnonzero(~known & ~stranded)
    if not len(free):
        return out
    degree = np.asarray(graph.sum(1)).ravel()[free]
    rows = graph[free]
    system = (sp.diags(degree) - rows[:, free]).tocsr()
    target = rows @ out - rows[:, free] @ out[free]
    start = np.broadcast_to(colors[known].mean(0), (len(free), colors.shape[1]))
    jacobi = sp.diags(1 / degree)

    def solve(c: int) -> np.ndarray:
        # Well below a grey level.
        return cg(system, target[:, c], x0=start[:, c], M=jacobi, rtol=1e-4, maxiter=2000)[0]

    with ThreadPoolExecutor(threads()) as pool:
        out[free] = np.stack(list(pool.map(solve, range(colors.shape[1]))), 1)
    return out


def pad(page: np.ndarray, painted: np.ndarray) -> np.ndarray:
    """Extends the painted texels over the whole page, each empty texel taking the nearest painted one's colour.

    Args:
        page: (s, s, 3) uint8.
        painted: (s, s) bool.
    """
    if painted.all() or not painted.any():
        return page
    _, label = cv2.distanceTransformWithLabels(
        (~painted).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    palette = np.zeros((int(label.max()) + 1, 3), np.uint8)
    palette[label[painted]] = page[painted]
    return palette[label]
