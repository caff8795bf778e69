"""What differs between views of one surface: exposure and white balance, and how sharp each photo is."""

import numpy as np
import scipy.sparse as sp

_ROUNDS = 6


def view_offsets(values: np.ndarray, weights: sp.csr_matrix, scale: float, prior: float = 1e-3) -> np.ndarray:
    """Fits values[f, v] = surface[f] - offset[v] robustly, jointly over all faces and views.

    Eliminating the surface leaves one small linear system over the views (a weighted graph Laplacian); iteratively
    reweighted with Huber's weights, so that highlights and moving things count little.

    Args:
        values: (nnz,) one value per stored entry of `weights`, in its order.
        weights: (f, v) CSR, how much each sighting of a face counts; > 0.
        scale: residual beyond which a sighting counts as an outlier, in the values' unit.
        prior: pull towards zero, as a share of a view's own weight: keeps views without overlap where they are.

    Returns:
        (v,) float64 offsets to add to the values; their weighted mean is zero.
    """
    count = weights.shape[1]
    rows = np.repeat(np.arange(weights.shape[0]), np.diff(weights.indptr))
    columns = weights.indices
    current = weights.data.astype(np.float64)
    for _ in range(_ROUNDS):
        w = sp.csr_matrix((current, columns, weights.indptr), shape=weights.shape)
        per_face = np.maximum(np.asarray(w.sum(1)).ravel(), 1e-12)
        per_view = np.asarray(w.sum(0)).ravel()
        mean = np.bincount(rows, current * values, len(per_face)) / per_face
        system = np.diag(per_view * (1 + prior) + 1e-9) - (w.T @ sp.diags(1 / per_face) @ w).toarray()
        residual = values - mean[rows]
        offsets = -np.linalg.solve(system, np.bincount(columns, current * residual, count))
        offsets -= np.average(offsets, weights=per_view + 1e-12)
        shifted = values + offsets[columns]
        surface = np.bincount(rows, current * shifted, len(per_face)) / per_face
        current = weights.data / np.maximum(np.abs(shifted - surface[rows]) / scale, 1)
    return offsets
