"""Images carried over: views show what those before them show, as those show it."""

import cv2
import numpy as np

from ..views.viewset import ViewSet
from .shown import fineness, places, ramp, showing_most

# Of more views' mean, detail blurs.
_KEYS = 3
# Pixels from the border of what is carried over to where it counts in full.
_RAMP = 6.0
# Pixels of a key along one of the view, in the direction with fewest: below the first it shows too little to be carried
# over, from the second on it shows as much as the view itself could.
_COARSE, _FINE = 0.35, 0.75
# How much the key with more of them outweighs the other.
_POWER = 4


def carry_over(images: np.ndarray, given: np.ndarray, views: ViewSet) -> np.ndarray:
    """Images in which each view shows the surface as the given ones, and those that come before it, show it.

    Latents that agree are still decoded view by view; here pixels come to agree. One after the other, in the order of
    the frames, each view takes over what the three that show most of its surface show of it, where they show it about
    as finely; towards the border of that its own pixels fade in.

    Args:
        images: (m, h, w, 3) float32 of the views.
        given: (m,) bool, the views that come first and stay as they are.
        views: m views with their depth.

    Returns:
        (m, h, w, 3) float32.
    """
    out, done = images.copy(), list(np.flatnonzero(given))
    # Whatever the caller's order, the views come in that of their frames.
    for i in sorted(np.flatnonzero(~given), key=lambda i: (views.frame_ids[i], views.cam_to_world[i].tolist())):
        if done:
            shown, share = _shown(out, i, showing_most(views, i, np.array(done), _KEYS), views)
            out[i] += share[..., None] * (shown - images[i])
        done.append(i)
    return out


def _shown(images: np.ndarray, i: int, keys: np.ndarray, views: ViewSet) -> tuple[np.ndarray, np.ndarray]:
    """What the views `keys` show of view i's surface (h, w, 3), and how much that counts (h, w), 0..1."""
    shape = images.shape[1:3]
    total, weight = np.zeros(images.shape[1:], np.float32), np.zeros(shape, np.float32)
    best, seen = np.zeros(shape, np.float32), np.zeros(shape, bool)
    for k in keys:
        there, place = places(views, i, k)
        fine = fineness(place, there)
        counts = np.clip((fine - _COARSE) / (_FINE - _COARSE), 0, 1)
        pixels = cv2.remap(images[k], place[..., 0], place[..., 1], cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
        w = (counts * np.minimum(fine, 1) * ramp(there, _RAMP)) ** _POWER
        total += w[..., None] * pixels
        weight += w
        best = np.maximum(best, counts)
        seen |= there
    share = best * ramp(seen, _RAMP) * (weight > 0)
    return total / np.where(weight > 0, weight, 1)[..., None], share
