"""Values that are interpolated between the nodes of a lattice over an image."""

import cv2
import numpy as np
import scipy.sparse as sp


class Gram:
    """``(shares.T @ diag(w) @ shares).toarray()`` for ever new weights w, many times as quick.

    Rows that name the same nodes are summed up before their products are spread over the matrix.

    Args:
        shares: (k, nodes), as many entries in each row, such as the four of bilinear interpolation.

    Example:
        >>> import numpy as np, scipy.sparse as sp
        >>> shares = sp.csr_matrix([[0.5, 0.5, 0], [0, 1, 3]])
        >>> of_ones, = Gram(sp.csr_matrix((shares.data, shares.indices, [0, 2, 4]), (2, 3)))(np.ones(2))
        >>> of_ones.diagonal().tolist()
        [0.25, 1.25, 9.0]
    """

    def __init__(self, shares: sp.csr_matrix):
        count, self._nodes = shares.shape
        entries = len(shares.data) // max(count, 1)
        node, share = (x.reshape(count, entries).T for x in (shares.indices.astype(np.int64), shares.data))
        key = np.zeros(count, np.int64)
        for column in node:
            key = np.unique(key * self._nodes + column, return_inverse=True)[1]
        _, first, cell = np.unique(key, return_index=True, return_inverse=True)
        pairs = [(a, b) for a in range(len(node)) for b in range(a + 1)]
        self._cells = sp.csr_matrix((np.ones(count), (cell, np.arange(count))), (len(first), count))
        # What is counted on one side of the diagonal comes to the other when the two halves are added.
        products = [share[a] * share[b] * (0.5 if a == b else 1.0) for a, b in pairs]
        self._products = np.reshape(products, (len(pairs), count)).T.copy()
        at = [(node[a] * self._nodes + node[b])[first] for a, b in pairs]
        self._at = np.reshape(at, (len(pairs), len(first))).T.ravel().astype(np.int64)

    def __call__(self, *weights: np.ndarray) -> list[np.ndarray]:
        """(nodes, nodes) float64 for each of the `weights` (k,) of the rows."""
        halves = []
        for weight in weights:
            of_cells = self._cells @ (self._products * weight[:, None])
            halves.append(np.bincount(self._at, of_cells.ravel(), self._nodes**2).reshape(self._nodes, -1))
        return [half + half.T for half in halves]


def on_finer(values: np.ndarray, lattice: tuple[int, int]) -> np.ndarray:
    """Values (rows, columns, n) at the nodes of a lattice of so many rows and columns over the same image."""
    row, column = (
        np.linspace(0, old - 1, new, dtype=np.float32) for old, new in zip(values.shape[:2], lattice, strict=True)
    )
    return cv2.remap(values, *np.meshgrid(column, row), cv2.INTER_LINEAR)
