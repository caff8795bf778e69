"""How much there is to see in images: sharpness and contrast, so that blur does not pass for agreement."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np


@dataclass(frozen=True)
class Detail:
    """What a set of images holds; both in grey levels of 0..255.

    Attributes:
        sharpness: mean size of the luma's gradient, per pixel.
        contrast: mean over the images of each one's standard deviation, over pixels and channels.
    """

    sharpness: float
    contrast: float


def measure_detail(images: Sequence[np.ndarray], masks: Sequence[np.ndarray] | None = None) -> Detail:
    """Sharpness and contrast of images.

    The gradient is that of central differences, at pixels whose four neighbours lie in the image (and the mask).
    Ratios to the figures of reference images of the same views tell blur (below 1) from noise or seams (above 1).

    Args:
        images: m images (h, w, 3), uint8 or float 0..255; compare only sets of one size.
        masks: m masks (h, w) bool of the pixels that count; default all. An image without any is left out.

    Returns:
        NaN in both fields if no pixel counts.
    """
    sharpness, contrast = [], []
    for k, image in enumerate(images):
        mask = np.ones(np.shape(image)[:2], bool) if masks is None else np.asarray(masks[k])
        gray = luma(image)
        dx, dy = 0.5 * (gray[1:-1, 2:] - gray[1:-1, :-2]), 0.5 * (gray[2:, 1:-1] - gray[:-2, 1:-1])
        whole = mask[1:-1, 2:] & mask[1:-1, :-2] & mask[2:, 1:-1] & mask[:-2, 1:-1] & mask[1:-1, 1:-1]
        if whole.any():
            sharpness.append(float(np.hypot(dx, dy)[whole].mean()))
            contrast.append(float(np.asarray(image, np.float32)[mask].std(0).mean()))
    if not sharpness:
        return Detail(float("nan"), float("nan"))
    return Detail(float(np.mean(sharpness)), float(np.mean(contrast)))


def luma(image: np.ndarray) -> np.ndarray:
    """(h, w) float32 luma (Rec. 601) of an image (h, w, 3) of 0..255."""
    return cv2.cvtColor(np.ascontiguousarray(image, np.float32), cv2.COLOR_RGB2GRAY)
