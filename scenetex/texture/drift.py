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
    normal, side = np.zeros((count, 2, 2)), np.zeros((count, 2))
    square, photos = np.zeros(count), np.zeros(count)
    for move in moves:
        turned = move.by_tangent.transpose(0, 2, 1)
        normal[move.index] += turned @ move.by_tangent
        side[move.index] += (turned @ move.pixel[..., None])[..., 0]
        square[move.index] += np.einsum("ij,ij->i", move.pixel, move.pixel)
        photos[move.index] += 1
    normal += 1e-3 * np.maximum(normal[:, 0, 0] + normal[:, 1, 1], 1e-9)[:, None, None] * np.eye(2)
    metres = np.linalg.solve(normal, side[..., None])[..., 0]
    # In squared pixels, summed over the photos: what the drift explains, and what of that its two numbers explain of
    # any moves.
    explained = np.einsum("ij,ij->i", side, metres)
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
