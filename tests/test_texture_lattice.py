"""Values between the nodes of a lattice, and the quick normal equations against the plain product."""

import numpy as np
import pytest
import scipy.sparse as sp

from scenetex.texture.lattice import Gram, on_finer


@pytest.mark.parametrize(("count", "entries"), [(0, 4), (1, 4), (500, 4), (40, 1)])
def test_they_are_the_plain_product(count, entries):
    rng = np.random.default_rng(count)
    node = np.array([rng.permutation(12)[:entries] for _ in range(count)], int).reshape(count, entries)
    start = np.arange(0, entries * count + 1, entries)
    shares = sp.csr_matrix((rng.uniform(-1, 1, node.size), node.ravel(), start), (count, 12))
    weights = rng.normal(size=(3, count))
    for found, weight in zip(Gram(shares)(*weights), weights, strict=True):
        np.testing.assert_allclose(found, (shares.T @ sp.diags(weight) @ shares).toarray(), atol=1e-12)


def test_a_row_may_name_a_node_twice():
    """At the lattice's edge two of the four may be one."""
    shares = sp.csr_matrix((np.array([0.5, 0.25, 0.25]), np.array([1, 2, 2]), np.array([0, 3])), (1, 4))
    plain = shares.toarray()
    np.testing.assert_allclose(Gram(shares)(np.ones(1))[0], plain.T @ plain)


def test_a_finer_lattice_has_the_same_values_between_its_nodes():
    row, column = np.linspace(0, 1, 3)[:, None], np.linspace(0, 1, 4)[None]
    coarse = np.stack([2 * row + 3 * column, row - column], 2).astype(np.float32)
    fine = on_finer(coarse, (9, 7))
    row, column = np.linspace(0, 1, 9)[:, None], np.linspace(0, 1, 7)[None]
    np.testing.assert_allclose(fine, np.stack([2 * row + 3 * column, row - column], 2), atol=0.02)
    np.testing.assert_allclose(on_finer(coarse, (3, 4)), coarse, atol=1e-6)
