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
    small = tuple(max(1, math.ceil(side * _KEPT / sigma)) for side in (width, height))
    shrink = np.array([width / small[0], height / small[1]])
    # Making an image smaller by areas and larger by straight lines blurs it, too, by the variances of a box and a tent.
    left = np.sqrt(np.maximum((sigma / shrink) ** 2 - 1 / 12 - 1 / 6, 0.0))
    reduced = cv2.resize(image, small, interpolation=cv2.INTER_AREA)
    smooth = cv2.GaussianBlur(reduced.astype(np.float32), (0, 0), left[0], sigmaY=left[1])
    smooth = cv2.resize(smooth, (width, height), interpolation=cv2.INTER_LINEAR)
    return smooth.astype(image.dtype) if image.dtype.kind == "f" else np.rint(smooth).astype(image.dtype)
