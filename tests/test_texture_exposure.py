"""Joint offsets of views: recovered exactly, robustly, and per group of views that see the same things."""

import numpy as np
import pytest
import scipy.sparse as sp

from scenetex.texture.exposure import view_offsets


def sightings(faces: int, views: int, share: float = 0.4, seed: int = 0) -> sp.csr_matrix:
    """(faces, views) weights; each view sees a share of the faces."""
    rng = np.random.default_rng(seed)
    seen = rng.uniform(size=(faces, views)) < share
    return sp.csr_matrix(seen * rng.uniform(0.5, 2.0, (faces, views)))


def observe(weights: sp.csr_matrix, surface: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    rows = np.repeat(np.arange(weights.shape[0]), np.diff(weights.indptr))
    return surface[rows] - offsets[weights.indices]


def centered(offsets: np.ndarray, weights: sp.csr_matrix) -> np.ndarray:
    return offsets - np.average(offsets, weights=np.asarray(weights.sum(0)).ravel())


def test_exact_data_give_exact_offsets():
    rng = np.random.default_rng(1)
    weights = sightings(2000, 12)
    truth = rng.normal(0, 0.3, 12)
    values = observe(weights, rng.normal(0, 1, 2000), truth)
    # Without a pull towards zero the answer is exact; up to a common offset, which nothing can tell.
    found = view_offsets(values, weights, 0.1, prior=0.0)
    np.testing.assert_allclose(centered(found, weights), centered(truth, weights), atol=1e-8)
    np.testing.assert_allclose(np.average(found, weights=np.asarray(weights.sum(0)).ravel()), 0, atol=0.02)
    assert np.abs(centered(view_offsets(values, weights, 0.1), weights) - centered(truth, weights)).max() < 0.005


def test_ten_per_cent_outliers_do_little():
    rng = np.random.default_rng(2)
    weights = sightings(3000, 10)
    truth = rng.normal(0, 0.3, 10)
    values = observe(weights, rng.normal(0, 1, 3000), truth)
    wrong = rng.uniform(size=len(values)) < 0.1
    wrong &= weights.indices < 5  # one-sided and in half of the views, so that they do not cancel out
    values[wrong] += 2.0
    found = centered(view_offsets(values, weights, 0.1), weights)
    assert np.abs(found - centered(truth, weights)).max() < 0.03
    plain = centered(view_offsets(values, weights, 1e9), weights)
    assert np.abs(plain - centered(truth, weights)).max() > 0.05, "least squares alone would be off"


def test_groups_that_share_nothing_keep_their_own_level():
    rng = np.random.default_rng(3)
    a, b = sightings(800, 4, seed=1), sightings(800, 5, seed=2)
    weights = sp.block_diag([a, b]).tocsr()
    truth = rng.normal(0, 0.2, 9)
    found = view_offsets(observe(weights, rng.normal(0, 1, 1600), truth), weights, 0.1)
    for views, part in ((slice(0, 4), a), (slice(4, 9), b)):
        np.testing.assert_allclose(centered(found[views], part), centered(truth[views], part), atol=0.005)
        # Nothing relates the groups: neither may drift away from the other.
        assert abs(np.average(found[views], weights=np.asarray(part.sum(0)).ravel())) < 0.02


def test_a_view_that_sees_nothing_stays_where_it_is():
    rng = np.random.default_rng(4)
    weights = sp.hstack([sightings(300, 3), sp.csr_matrix((300, 1))]).tocsr()
    truth = np.array([0.2, -0.1, 0.05, 0.0])
    found = view_offsets(observe(weights, rng.normal(0, 1, 300), truth), weights, 0.1)
    assert np.isfinite(found).all()
    assert abs(found[3]) < 0.1
    np.testing.assert_allclose(centered(found[:3], weights[:, :3]), centered(truth[:3], weights[:, :3]), atol=0.005)


def test_a_single_view_gets_no_offset():
    weights = sightings(50, 1, share=1.0)
    np.testing.assert_allclose(view_offsets(np.random.default_rng(0).normal(size=50), weights, 0.1), [0], atol=1e-9)


@pytest.mark.parametrize("swap", [False, True])
def test_heavier_sightings_decide(swap):
    # Two faces disagree on the difference between two views; the heavier one is believed more.
    heavy, light = (1, 0) if swap else (0, 1)
    dense = np.ones((2, 2))
    dense[heavy] = 10
    values = np.zeros((2, 2))
    values[heavy, 1], values[light, 1] = 0.02, -0.02
    found = view_offsets(values.ravel(), sp.csr_matrix(dense), 1.0)
    assert found[1] - found[0] == pytest.approx(-0.02 * (10 - 1) / (10 + 1), rel=0.02)
