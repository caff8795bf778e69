"""Values that are interpolated between the nodes of a lattice over an image."""

import cv2
import numpy as np
import scipy.sparse as sp


def gram(shares: sp.csr_matrix, *weights: np.ndarray) -> list[np.ndarray]:
    """``(shares.T @ diag(w) @ shares).toarray()`` for each of the `weights` (k,), some times as quick.

    Args:
        shares: (k, nodes), as many entries in each row, such as the four of bilinear interpolation.
        weights: of the rows.

    Returns:
        (nodes, nodes) float64 for each of the weights.
    """
    count, nodes = shares.shape
    out = [np.zeros(nodes * nodes) for _ in weights]
    if not count:
        return [total.reshape(nodes, nodes) for total in out]
    node, share = shares.indices.reshape(count, -1).T.astype(np.int64), shares.data.reshape(count, -1).T
    for a in range(len(node)):
        for b in range(a + 1):
            at, product = node[a] * nodes + node[b], share[a] * share[b]
            for total, weight in zip(out, weights, strict=True):
                # What is counted on one side of the diagonal comes to the other when the two halves are added.
                total += np.bincount(at, product * weight * (0.5 if a == b else 1.0), nodes * nodes)
    return [half + half.T for half in (total.reshape(nodes, nodes) for total in out)]


def on_finer(values: np.ndarray, lattice: tuple[int, int]) -> np.ndarray:
    """Values (rows, columns, n) at the nodes of a lattice of so many rows and columns over the same image."""
    row, column = (
        np.linspace(0, old - 1, new, dtype=np.float32) for old, new in zip(values.shape[:2], lattice, strict=True)
    )
    return cv2.remap(values, *np.meshgrid(column, row), cv2.INTER_LINEAR)
