"""Pixels that must not be looked at take the colour of the nearest one that may, so that no blur mixes them in."""

import cv2
import numpy as np


def fill_from_nearest(image: np.ndarray, hidden: np.ndarray) -> np.ndarray:
    """A copy of the image whose hidden pixels have the colour of the nearest other one; the image itself where there is
    none, or none is hidden.

    Args:
        image: (h, w) or (h, w, c), of any dtype.
        hidden: (h, w) bool or uint8, nonzero = hidden.
    """
    hidden = np.ascontiguousarray(hidden, np.uint8)
    if hidden.all() or not hidden.any():
        return image
    _, nearest = cv2.distanceTransformWithLabels(hidden, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    colours = np.zeros((nearest.max() + 1, *image.shape[2:]), image.dtype)
    shown = hidden == 0
    colours[nearest[shown]] = image[shown]
    filled = image.copy()
    filled[~shown] = colours[nearest[~shown]]
    return filled
