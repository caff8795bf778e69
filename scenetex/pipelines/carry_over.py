"""Given images carried over: views between show what their keys show, as the keys show it."""

import cv2
import numpy as np

from ..views.correspond import correspond
from ..views.viewset import ViewSet

# Of more keys' mean, detail blurs.
_KEYS = 2
_LATTICE = 48  # pixels along the shorter side that tell which keys show most
# Pixels from the border of what is carried over to where it counts in full.
_RAMP = 6.0
# Pixels of a key along one of the view, in the direction with fewest: below the first it shows too little to be carried
# over, from the second on it shows as much as the view itself could.
_COARSE, _FINE = 0.35, 0.75
# How much the key with more of them outweighs the other.
_POWER = 4


def carry_over(images: np.ndarray, given: np.ndarray, views: ViewSet) -> np.ndarray:
    """Images in which the views that are not given show the surface as the given ones show it.

    Latents that agree are still decoded view by view; here pixels come to agree. Each view takes over what the two
    given ones that show most of its surface show of it, where they show it about as finely; towards the border of that
    its own pixels fade in.

    Args:
        images: (m, h, w, 3) float32 of the views.
        given: (m,) bool.
        views: m views with their depth.

    Returns:
        (m, h, w, 3) float32.
    """
    out, keys = images.copy(), np.flatnonzero(given)
    for i in np.flatnonzero(~given):
        shown, share = _shown(images, i, _nearest(views, i, keys), views)
        out[i] += share[..., None] * (shown - images[i])
    return out


def _nearest(views: ViewSet, i: int, keys: np.ndarray) -> np.ndarray:
    """The keys that show most of what view i shows."""
    step = max(1, min(views.size) // _LATTICE)
    seen = np.array([len(correspond(views, i, k, step)[0]) for k in keys])
    most = np.argsort(-seen, kind="stable")[:_KEYS]
    return keys[most[seen[most] > 0]]


def _shown(images: np.ndarray, i: int, keys: np.ndarray, views: ViewSet) -> tuple[np.ndarray, np.ndarray]:
    """What the keys show of view i's surface (h, w, 3), and how much that counts (h, w), 0..1."""
    shape = images.shape[1:3]
    total, weight = np.zeros(images.shape[1:], np.float32), np.zeros(shape, np.float32)
    best, seen = np.zeros(shape, np.float32), np.zeros(shape, bool)
    for k in keys:
        there, place = _places(views, i, k)
        fine = _fineness(place, there)
        counts = np.clip((fine - _COARSE) / (_FINE - _COARSE), 0, 1)
        pixels = cv2.remap(images[k], place[..., 0], place[..., 1], cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
        w = (counts * np.minimum(fine, 1) * _ramp(there)) ** _POWER
        total += w[..., None] * pixels
        weight += w
        best = np.maximum(best, counts)
        seen |= there
    share = best * _ramp(seen) * (weight > 0)
    return total / np.where(weight > 0, weight, 1)[..., None], share


def _places(views: ViewSet, i: int, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Which pixels of view i view k sees, (h, w) bool, and where: (h, w, 2) float32 column and row, 0 elsewhere."""
    (w, h), (pixel, place, _) = views.size, correspond(views, i, k)
    there, at = np.zeros(h * w, bool), np.zeros((h * w, 2), np.float32)
    there[pixel], at[pixel] = True, place
    return there.reshape(h, w), at.reshape(h, w, 2)


def _fineness(place: np.ndarray, there: np.ndarray) -> np.ndarray:
    """Pixels of the other view along one of this, in the direction with fewest: the least singular value of the map's
    Jacobian, smoothed; (h, w) float32, 0 where there is none."""
    known = np.where(there[..., None], place, np.nan)
    down, across = np.gradient(known, axis=(0, 1))
    a, b, c = (across**2).sum(-1), (down**2).sum(-1), (across * down).sum(-1)
    least = np.sqrt(np.maximum(a + b - np.sqrt((a - b) ** 2 + 4 * c**2), 0) / 2)
    inner = np.isfinite(least)
    total, count = (cv2.blur(x.astype(np.float32), (5, 5)) for x in (np.where(inner, least, 0), inner))
    return np.where(there & (count > 0), total / np.maximum(count, 1e-6), 0)


def _ramp(there: np.ndarray) -> np.ndarray:
    """(h, w) float32: 0 outside, rising to 1 inside; the image's own border is no border of it."""
    if there.all():
        return np.ones(there.shape, np.float32)
    return np.clip(cv2.distanceTransform(there.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_3) / _RAMP, 0, 1)
