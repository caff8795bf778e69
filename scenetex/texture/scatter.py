"""Points all over a surface, at which photos are compared."""

import numpy as np


def scatter(triangles: np.ndarray, areas: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Spreads points evenly over triangles; the same ones every time.

    Args:
        triangles: (f, 3, 3) corners.
        areas: (f,) by which they get their share, in any unit.
        count: of points.

    Returns:
        (count,) triangle of each point, and (count, 3) where it lies.
    """
    rng = np.random.default_rng(0)
    share = np.cumsum(areas)
    face = np.searchsorted(share, rng.uniform(0, share[-1], count)).clip(0, len(share) - 1)
    a, b = rng.uniform(size=(2, count, 1))
    a, b = np.where(a + b > 1, 1 - a, a), np.where(a + b > 1, 1 - b, b)
    first, second, third = triangles[face].transpose(1, 0, 2)
    return face, first + a * (second - first) + b * (third - first)
