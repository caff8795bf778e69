"""How much there is to see in images, so that blur does not pass for agreement: sharpness and contrast, energy by
octave, cells of an autoencoder that show, and whether edges lie where the depth has its own."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from ..views.viewset import ViewSet

OCTAVES = 5
_SIGMA = 1 / 170  # of the width: an edge a pixel and a half off, in 256, is still the same edge
_FULL = 1.2  # bend of inverse depth, times depth and width, from which on a depth edge is as strong as it gets
_NEAR, _REACH = 0.2, 2  # how strong an edge is, and how many pixels around it are not a surface's inside


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


def octave_energy(images: Sequence[np.ndarray]) -> np.ndarray:
    """Mean energy of the luma in each octave, finest first.

    An octave is what halving an image loses: the image less the half of it (mean of 2 x 2 pixels) drawn at its size
    again (bilinear). The first holds wavelengths of about 2 to 4 pixels, the next 4 to 8, and so on (a Laplacian
    pyramid, Burt and Adelson 1983).

    Args:
        images: m images (h, w, 3), uint8 or float 0..255, of at least 32 pixels a side.

    Returns:
        (5,) float64, squared grey levels.
    """
    total = np.zeros(OCTAVES)
    for image in images:
        fine = luma(image)
        for k in range(OCTAVES):
            fine = fine[: fine.shape[0] // 2 * 2, : fine.shape[1] // 2 * 2]
            coarse = cv2.resize(fine, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
            again = cv2.resize(coarse, fine.shape[::-1], interpolation=cv2.INTER_LINEAR)
            total[k] += np.square(fine - again, dtype=np.float64).mean()
            fine = coarse
    return total / len(images)


def blockiness(images: Sequence[np.ndarray], cell: int = 8) -> float:
    """How much more the luma changes at one place in the cells of an autoencoder than on average; 1 = nowhere.

    The mean size of the differences between neighbouring pixels, along rows and along columns, is taken for each place
    in a cell by itself: steps at the cells' borders stand out, and so does a plaid of their period.

    Args:
        images: m images (h, w, 3) of one size, uint8 or float 0..255; compare with reference images of the same views.
        cell: pixels.
    """
    grays = np.stack([luma(image) for image in images])
    found = []
    for axis in (1, 2):
        steps = np.abs(np.diff(grays, axis=axis)).mean((0, 3 - axis), dtype=np.float64)
        whole = steps[: len(steps) // cell * cell].reshape(-1, cell).mean(0)
        found.append(whole.max() / whole.mean() if whole.any() else np.nan)
    return float(np.mean(found))


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


def luma(image: np.ndarray) -> np.ndarray:
    """(h, w) float32 luma (Rec. 601) of an image (h, w, 3) of 0..255."""
    return cv2.cvtColor(np.ascontiguousarray(image, np.float32), cv2.COLOR_RGB2GRAY)
