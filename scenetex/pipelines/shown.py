"""What other views show of a view's surface: which of them, where in their images, and how finely."""

import cv2
import numpy as np

from ..views.correspond import correspond, lattice_step
from ..views.viewset import ViewSet

_SMOOTH = (5, 5)  # pixels over which fineness is averaged: rounded depth makes it jump


def showing_most(views: ViewSet, i: int, others: np.ndarray, most: int) -> np.ndarray:
    """Up to `most` of the views `others` (n,) int64 that show most of what view i shows, best first."""
    step = lattice_step(views)
    seen = np.array([len(correspond(views, i, k, step)[0]) for k in others], np.int64)
    best = np.argsort(-seen, kind="stable")[:most]
    return others[best[seen[best] > 0]]


def places(views: ViewSet, i: int, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Which pixels of view i view k sees, (h, w) bool, and where: (h, w, 2) float32 column and row, 0 elsewhere."""
    (w, h), (pixel, place, _) = views.size, correspond(views, i, k)
    there, at = np.zeros(h * w, bool), np.zeros((h * w, 2), np.float32)
    there[pixel], at[pixel] = True, place
    return there.reshape(h, w), at.reshape(h, w, 2)


def fineness(place: np.ndarray, there: np.ndarray) -> np.ndarray:
    """Pixels of the other view along one of this, in the direction with fewest: the least singular value of the map's
    Jacobian.

    Args:
        place, there: from `places`.

    Returns:
        (h, w) float32, 0 where there is none.
    """
    known = np.where(there[..., None], place, np.nan)
    down, across = np.gradient(known, axis=(0, 1))
    a, b, c = (across**2).sum(-1), (down**2).sum(-1), (across * down).sum(-1)
    least = np.sqrt(np.maximum(a + b - np.sqrt((a - b) ** 2 + 4 * c**2), 0) / 2)
    inner = np.isfinite(least)
    total, count = (cv2.blur(x.astype(np.float32), _SMOOTH) for x in (np.where(inner, least, 0), inner))
    return np.where(there & (count > 0), total / np.maximum(count, 1e-6), 0)


def ramp(there: np.ndarray, width: float) -> np.ndarray:
    """(h, w) float32: 0 outside, rising to 1 over `width` pixels inside; the image's own border is no border of it."""
    if there.all():
        return np.ones(there.shape, np.float32)
    return np.clip(cv2.distanceTransform(there.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_3) / width, 0, 1)
