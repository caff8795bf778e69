"""Photos that an app undistorted have a black rim where the lens did not see; it must not be painted on a surface."""

import cv2
import numpy as np

from .nearest import fill_from_nearest

_BLACK = 8  # of 255: JPEG does not keep black quite black
_BLURRED = 2  # pixels beside the rim that JPEG has mixed with it


def fill_black_rim(image: np.ndarray, width: int) -> np.ndarray:
    """The image with the colour of the nearest pixel in place of its black rim.

    Args:
        image: (h, w, 3) or (h, w) uint8.
        width: how wide the rim may be, pixels. Black counts in unbroken runs from the edge inwards; of a black thing at
            the edge, which goes on further in, the nearest pixel is black, too.
    """
    black = (image.max(2) if image.ndim == 3 else image) <= _BLACK
    rim = np.zeros(black.shape, np.uint8)
    for turns in range(4):  # each side in its turn is the upper one
        side, dark = np.rot90(rim, turns)[:width], np.rot90(black, turns)[:width]
        side |= np.logical_and.accumulate(dark, axis=0).astype(np.uint8)
    if not rim.any():
        return image
    rim = cv2.dilate(rim, np.ones((2 * _BLURRED + 1,) * 2, np.uint8))
    return fill_from_nearest(image, rim)
