"""Filling: harmonic over the surface, nearest for what is cut off, and padding around charts."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scenetex.texture.fill import diffuse, pad


def strip(columns: np.ndarray, rows: int = 2, z: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """A flat strip with vertices at the given x, and its faces."""
    x, y = np.meshgrid(columns, np.linspace(0, 1, rows + 1), indexing="ij")
    n = rows + 1
    a = (np.arange(len(columns) - 1)[:, None] * n + np.arange(rows)).ravel()
    faces = np.concatenate([np.stack([a, a + n, a + n + 1], 1), np.stack([a, a + n + 1, a + 1], 1)])
    return np.stack([x.ravel(), y.ravel(), np.full(x.size, z)], 1), faces


def tube(x: np.ndarray, around: int = 6) -> tuple[np.ndarray, np.ndarray]:
    """Rings of vertices at the given x, and the faces between them: every vertex has the same neighbourhood."""
    turn = 2 * np.pi * np.arange(around) / around
    ring = np.tile(np.stack([np.cos(turn), np.sin(turn)], 1), (len(x), 1))
    a = np.arange(len(x) - 1)[:, None] * around + np.arange(around)
    d = np.arange(len(x) - 1)[:, None] * around + (np.arange(around) + 1) % around
    a, b, c, d = (corner.ravel() for corner in (a, a + around, d + around, d))
    return np.c_[np.repeat(x, around), ring], np.concatenate([np.stack([a, b, c], 1), np.stack([a, c, d], 1)])


def test_a_linear_function_along_a_tube_is_continued():
    positions, faces = tube(np.linspace(0, 30, 301))
    truth = np.stack([5 + 8 * positions[:, 0], 250 - 8 * positions[:, 0]], 1)
    known = (positions[:, 0] < 0.45) | (positions[:, 0] > 29.55)
    found = diffuse(positions, faces, np.where(known[:, None], truth, 7e5), known)
    np.testing.assert_array_equal(found[known], truth[known])
    np.testing.assert_allclose(found, truth, atol=0.5)


def test_uneven_edges_are_weighted_by_their_length():
    # Along a single row of edges 1 / length makes a linear function harmonic whatever the spacing.
    x = np.r_[0, 0.1, 0.15, 0.6, 0.65, 1.5, 2.0]
    chain = np.stack([x, 0 * x, 0 * x], 1)
    faces = np.stack([np.arange(6), np.arange(1, 7), np.arange(1, 7)], 1)
    known = np.isin(np.arange(7), [0, 6])
    found = diffuse(chain, faces, np.where(known, 100 * x, 0)[:, None], known)
    np.testing.assert_allclose(found[:, 0], 100 * x, atol=0.2)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(3, 60), st.floats(0.05, 0.95))
def test_nothing_is_brighter_or_darker_than_what_is_known(seed, count, share):
    rng = np.random.default_rng(seed)
    positions = rng.normal(size=(count, 3))
    faces = rng.integers(0, count, (2 * count, 3))
    known = rng.uniform(size=count) < share
    known[0] = True
    colors = rng.uniform(0, 255, (count, 3))
    found = diffuse(positions, faces, colors, known)
    np.testing.assert_array_equal(found[known], colors[known])
    low, high = colors[known].min(0), colors[known].max(0)
    assert (found >= low - 0.5).all() and (found <= high + 0.5).all()


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6))
def test_it_solves_the_laplace_equation(seed):
    """Against a dense solve written from the definition."""
    rng = np.random.default_rng(seed)
    positions = rng.normal(size=(30, 3))
    faces = np.stack([np.arange(28), np.arange(1, 29), np.arange(2, 30)], 1)
    known = rng.uniform(size=30) < 0.2
    known[rng.integers(30)] = True
    colors = rng.uniform(0, 255, (30, 2))
    weight = np.zeros((30, 30))
    for face in faces:
        for a, b in ((0, 1), (1, 2), (2, 0)):
            i, j = face[a], face[b]
            weight[i, j] = weight[j, i] = 1 / np.linalg.norm(positions[i] - positions[j])
    free = ~known
    laplace = np.diag(weight.sum(1)) - weight
    expected = colors.copy()
    expected[free] = np.linalg.solve(laplace[np.ix_(free, free)], weight[np.ix_(free, known)] @ colors[known])
    np.testing.assert_allclose(diffuse(positions, faces, colors, known), expected, atol=0.5)


def test_colour_follows_the_surface_and_not_space():
    """Two sheets a millimetre apart, joined at their far end only."""
    x = np.linspace(0, 2, 41)
    lower, faces = strip(x)
    upper, _ = strip(x, z=0.001)
    n = len(lower)
    last = np.arange(n - 3, n)
    bridge = np.array([[last[0], last[1], last[0] + n], [last[1], last[2], last[1] + n]])
    positions, faces = np.concatenate([lower, upper]), np.concatenate([faces, faces + n, bridge])
    known = np.zeros(2 * n, bool)
    known[:3] = known[n : n + 3] = True  # the open ends: 0 below, 100 above
    colors = np.where(np.arange(2 * n) < n, 0.0, 100.0)[:, None]
    found = diffuse(positions, faces, colors, known)[:, 0]
    # In space the middle would be 50 on both; over the surface it is a quarter and three quarters of the way.
    middle = np.abs(positions[:, 0] - 1) < 0.01
    np.testing.assert_allclose(found[:n][middle[:n]], 25, atol=2)
    np.testing.assert_allclose(found[n:][middle[n:]], 75, atol=2)


def test_a_piece_without_colour_takes_the_nearest():
    one, faces = strip(np.linspace(0, 1, 5))
    two, three = one + np.array([1.3, 0, 0]), one + np.array([9.0, 0, 0])
    n = len(one)
    positions, faces = np.concatenate([one, two, three]), np.concatenate([faces, faces + n, faces + 2 * n])
    known = np.zeros(3 * n, bool)
    known[:n] = True
    colors = np.zeros((3 * n, 3))
    colors[:n, 0] = 200 * one[:, 0]
    found = diffuse(positions, faces, colors, known)
    for i in range(n, 3 * n):
        nearest = np.argmin(np.linalg.norm(positions[:n] - positions[i], axis=1))
        np.testing.assert_array_equal(found[i], colors[nearest])


def test_all_known_or_nothing_known():
    positions, faces = strip(np.linspace(0, 1, 4))
    colors = np.random.default_rng(0).uniform(size=(len(positions), 3))
    np.testing.assert_array_equal(diffuse(positions, faces, colors, np.ones(len(positions), bool)), colors)
    np.testing.assert_array_equal(diffuse(positions, faces, colors, np.zeros(len(positions), bool)), 0 * colors)


def test_edges_without_length_do_no_harm():
    positions, faces = tube(np.r_[0, 1, 1, 1, 2.0])
    known = positions[:, 0] != 1
    found = diffuse(positions, faces, 100 * positions[:, :1], known)
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found[~known], 100, atol=1)


def test_padding_takes_the_nearest_texel():
    rng = np.random.default_rng(0)
    page = rng.integers(1, 255, (40, 50, 3)).astype(np.uint8)
    painted = np.zeros((40, 50), bool)
    painted[5:15, 8:20] = painted[25:36, 22:45] = True
    page[~painted] = 0
    padded = pad(page, painted)
    np.testing.assert_array_equal(padded[painted], page[painted])
    at = np.argwhere(painted)
    for y, x in np.argwhere(~painted):
        distance = np.hypot(*(at - (y, x)).T)
        # The 5 x 5 chamfer distance is right to a few per cent.
        close = at[distance <= distance.min() * 1.05 + 1e-9]
        assert (padded[y, x] == page[tuple(close.T)]).all(1).any(), (y, x)


@pytest.mark.parametrize("value", [True, False])
def test_pages_that_are_full_or_empty_stay(value):
    page = np.random.default_rng(0).integers(0, 255, (8, 8, 3)).astype(np.uint8)
    np.testing.assert_array_equal(pad(page, np.full((8, 8), value)), page)
