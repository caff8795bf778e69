"""Pixels that masks hide: neither seen by a view, nor in its image."""

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np

from ..scene.nearest import fill_from_nearest
from .viewset import ViewSet

# Masks are drawn by hand or by a network, and rims of things blur into what is beside them.
_RIM = 3 / 640  # of the image's width, that masks grow by
_LEAST_RIM = 2.0  # pixels, that a bilinear lookup and a sharpening filter reach

Mask = np.ndarray | None  # (h, w) bool, True = the pixel counts; None = all count


def clear_of_rim(mask: np.ndarray) -> np.ndarray:
    """The mask (h, w) bool without the pixels that lie next to hidden ones."""
    reach = round(max(_LEAST_RIM, mask.shape[1] * _RIM))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    return cv2.erode(np.ascontiguousarray(mask, np.uint8), disc) > 0


def resize_mask(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The mask at another `size` (width, height): pixels count that lie on none that is hidden."""
    if mask.shape == size[::-1]:
        return mask
    smaller = size[0] <= mask.shape[1] and size[1] <= mask.shape[0]
    how = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    return cv2.resize(mask.astype(np.float32), size, interpolation=how) > 0.999


def mask_views(views: ViewSet, masks: Sequence[Mask]) -> ViewSet:
    """Views that see no surface where their mask, of any size, hides it or ends nearby."""
    if all(mask is None for mask in masks):
        return views
    depth, face_id = views.depth.copy(), views.face_id.copy()
    for i, mask in enumerate(masks):
        if mask is not None:
            hidden = ~resize_mask(clear_of_rim(mask), views.size)
            depth[i][hidden], face_id[i][hidden] = 0, -1
    return replace(views, depth=depth, face_id=face_id)


def mask_image(image: np.ndarray, mask: Mask) -> np.ndarray:
    """An image (h, w, c) with the nearest other colours in place of what its mask hides and of its rim."""
    return image if mask is None else fill_from_nearest(image, ~clear_of_rim(mask))
