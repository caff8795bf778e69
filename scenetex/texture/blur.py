"""Gaussian blur in time that does not grow with its width."""

import math

import cv2
import numpy as np

_WIDEST = 12.0  # pixels of sigma that are blurred as they are: all of photos of 640 pixels' width
_KEPT = 6.0  # pixels of sigma that a smaller image is blurred by


def gaussian_blur(image: np.ndarray, sigma: float) -> np.ndarray:
    """As OpenCV's blur of an (h, w) or (h, w, c) image by `sigma`, pixels, of which wide ones, whose kernel would have
    hundreds of pixels, are done on a smaller image: equal to less than a hundredth of what the image varies by."""
    if sigma <= _WIDEST:
        return cv2.GaussianBlur(image, (0, 0), sigma)
    height, width = image.shape[:2]
    smooth = cv2.resize(small_blur(image, sigma, _KEPT), (width, height), interpolation=cv2.INTER_LINEAR)
    return smooth.astype(image.dtype) if image.dtype.kind == "f" else np.rint(smooth).astype(image.dtype)


def small_blur(image: np.ndarray, sigma: float, kept: float) -> np.ndarray:
    """An (h, w) or (h, w, c) image blurred by `sigma`, pixels, float32, and made smaller until that is `kept` of its
    pixels: read by straight lines between these, it is blurred as much as it should be, but for its borders."""
    shrink = np.maximum(1.0, sigma / kept)
    small = tuple(max(1, math.ceil(side / shrink)) for side in image.shape[1::-1])
    across, down = image.shape[1] / small[0], image.shape[0] / small[1]
    reduced = cv2.resize(image, small, interpolation=cv2.INTER_AREA).astype(np.float32)
    # Making an image smaller by areas and larger by straight lines blurs it, too, by the variances of a box and a tent.
    left = [np.sqrt(max((sigma / f) ** 2 - (1 / 12 + 1 / 6 if f > 1 else 0), 1e-6)) for f in (across, down)]
    return cv2.GaussianBlur(reduced, (0, 0), left[0], sigmaY=left[1])
