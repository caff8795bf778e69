"""Edge agreement: whether images have their edges where the depth has its own."""

from collections.abc import Sequence

import cv2
import numpy as np

from ..views.viewset import ViewSet
from .detail_scores import luma, measure_detail

_SIGMA = 1 / 170  # of the width: an edge a pixel and a half off, in 256, is still the same edge
_FULL = 1.2  # bend of inverse depth, times depth and width, from which on a depth edge is as strong as it gets
_NEAR, _REACH = 0.2, 2  # how strong an edge is, and how many pixels around it are not a surface's inside


def edge_agreement(views: ViewSet, images: Sequence[np.ndarray]) -> float:
    """Mean over the views of the correlation between edges of the image and edges of the depth, -1 to 1.

    The depth edge is the size of the Laplacian of inverse depth, relative to the depth: nothing on planes however
    slanted, something at creases and steps, cut off so that both count alike. The image edge is the size of the luma's
    gradient. Both are smoothed a little; pixels without depth, and those beside them, do not count. An image without
    any edge correlates 0; a view whose depth has none is left out.

    Args:
        views: m views with exact depth; a rough scan's has edges of its own everywhere.
        images: m images (h, w, 3) of the views' size, uint8 or float 0..255.

    Returns:
        NaN where no view has a depth edge.
    """
    found = []
    sigma = views.size[0] * _SIGMA
    for depth, image in zip(views.depth, images, strict=True):
        edge, valid = depth_edges(depth)
        gray = luma(image)
        gradient = np.hypot(cv2.Sobel(gray, cv2.CV_32F, 1, 0), cv2.Sobel(gray, cv2.CV_32F, 0, 1))
        a, b = (cv2.GaussianBlur(e, (0, 0), sigma)[valid] for e in (edge, gradient))
        if not valid.any() or a.std() < 1e-6:
            continue
        # A flat picture's gradient is rounding noise, which must not correlate with anything.
        found.append(float(np.corrcoef(a, b)[0, 1]) if b.std() > 1e-3 else 0.0)
    return float(np.mean(found)) if found else float("nan")


def inner_edges(views: ViewSet, images: Sequence[np.ndarray]) -> float:
    """Mean size of the luma's gradient away from the depth's edges: what there is to see on the surfaces themselves,
    such as planks and patterns, in grey levels per pixel. NaN where there is no such pixel.

    Args:
        views, images: as for `edge_agreement`.
    """
    far = []
    for depth in views.depth:
        edge, valid = depth_edges(depth)
        near = cv2.dilate((edge > _NEAR).astype(np.uint8), np.ones((2 * _REACH + 1,) * 2, np.uint8)) > 0
        far.append(valid & ~near)
    return measure_detail(images, far).sharpness


def depth_edges(depth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Edge strength (h, w) float32 0..1 of a depth map (h, w), metres, and where it is known (h, w) bool."""
    there = np.isfinite(depth) & (depth > 0)
    metres = np.where(there, depth, 1.0).astype(np.float64)
    bend = np.abs(cv2.Laplacian(np.where(there, 1 / metres, 0.0), cv2.CV_64F)) * metres
    valid = cv2.erode(there.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    valid[[0, -1]] = valid[:, [0, -1]] = False
    strength = np.minimum(bend * (depth.shape[1] / _FULL), 1.0)
    return np.where(valid, strength, 0.0).astype(np.float32), valid
