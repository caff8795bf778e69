"""By how much all photos of a point have moved it on the surface, which says nothing of the surface."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from .projection import NEAREST


@dataclass(frozen=True, eq=False)
class Moved:
    """What one photo shows elsewhere than its given camera would.

    Attributes:
        index: (k,) the points it shows.
        by_tangent: (k, 2 pixel, 2 tangent) pixels by which they move along two tangents of the surface, per metre.
        pixel: (k, 2) pixels by which it shows them elsewhere.
    """

    index: np.ndarray
    by_tangent: np.ndarray
    pixel: np.ndarray


@dataclass(frozen=True, eq=False)
class Drift:
    """What all photos of a point have in common.

    Attributes:
        metres: (n, 2) along the point's two tangents.
        photos: (n,) how many show it.
        chance: share of the drift, in squares, that as many moves leave which know nothing of each other.
    """

    metres: np.ndarray
    photos: np.ndarray
    chance: float


def common_drift(count: int, moves: Iterable[Moved]) -> Drift:
    """By how much all photos of a point together have moved it, for each of `count` points."""
    xx, xy, yy, x, y, square, photos = np.zeros((7, count))
    for move in moves:
        (ux, vx), (uy, vy) = move.by_tangent[..., 0].T, move.by_tangent[..., 1].T
        u, v = move.pixel.T
        xx[move.index] += ux * ux + vx * vx
        xy[move.index] += ux * uy + vx * vy
        yy[move.index] += uy * uy + vy * vy
        x[move.index] += ux * u + vx * v
        y[move.index] += uy * u + vy * v
        square[move.index] += u * u + v * v
        photos[move.index] += 1
    pull = 1e-3 * np.maximum(xx + yy, 1e-9)
    xx, yy = xx + pull, yy + pull
    metres = np.stack([yy * x - xy * y, xx * y - xy * x], 1) / (xx * yy - xy * xy)[:, None]
    # In squared pixels, summed over the photos: what the drift explains, and what of that its two numbers explain of
    # any moves.
    explained = x * metres[:, 0] + y * metres[:, 1]
    shared = photos > 2
    left = np.maximum(square - explained, 0)[shared] / (photos[shared] - 1)
    return Drift(metres, photos, float(min(left.sum() / max(explained[shared].sum(), 1e-9), 1)))


def motion(local: np.ndarray, velocity: np.ndarray, intrinsics: np.ndarray) -> np.ndarray:
    """Pixels (..., k, 2) by which a camera's points `local` (k, 3) move that go by `velocity` (..., k, 3), metres."""
    z = np.maximum(local[:, 2:], NEAREST)
    return (velocity[..., :2] - velocity[..., 2:] * (local[:, :2] / z)) * (np.diag(intrinsics)[:2] / z)


def tangents(normals: np.ndarray) -> np.ndarray:
    """(2, n, 3) unit vectors at right angles to unit normals (n, 3) and to each other."""
    axis = np.where(np.abs(normals[:, :1]) < 0.8, np.float32([[1, 0, 0]]), np.float32([[0, 1, 0]]))
    first = np.cross(normals, axis)
    first /= np.maximum(np.linalg.norm(first, axis=1, keepdims=True), 1e-9)
    return np.stack([first, np.cross(normals, first)])
