"""Where painted texels meet those that were there: no step of colour."""

import cv2
import numpy as np

from .atlas import Atlas
from .texels import Texels

# Widths at which the difference is taken, is passed on, and fades, texels; first its smooth part.
_WIDTHS = ((4.0, 8.0, 20.0), (2.0, 4.0, 6.0))
_UNCLEAN = 2  # texels along the rim
_MARGIN = 6


def level_rim(color: np.ndarray, kept: np.ndarray, texels: Texels, atlas: Atlas) -> np.ndarray:
    """(n, 3) float32 colours in which those that are not kept come to meet the kept ones along the rim, chart by chart:
    the difference there, without its detail, goes on and fades.

    Args:
        color: (n, 3) float32, of all texels.
        kept: (n,) bool.
    """
    out = color.copy()
    chart = atlas.chart[texels.face]
    order = np.argsort(chart, kind="stable")
    for own in np.split(order, np.flatnonzero(np.diff(chart[order])) + 1):
        if len(own) and kept[own].any() and not kept[own].all():
            for widths in _WIDTHS:
                out[own] = _met(out[own], kept[own], texels.pixel[own] % atlas.size**2, atlas.size, *widths)
    return out


def _met(
    color: np.ndarray, kept: np.ndarray, pixel: np.ndarray, size: int, smooth: float, spread: float, fade: float
) -> np.ndarray:
    row, column = np.divmod(pixel, size)
    row, column = row - row.min() + _MARGIN, column - column.min() + _MARGIN
    shape = row.max() + _MARGIN + 1, column.max() + _MARGIN + 1
    sides = []
    there = np.ones(shape, np.uint8)
    there[row[~kept], column[~kept]] = 0
    # Where sight of a surface ends, photos show a little of what hides the rest.
    clean = kept & (cv2.distanceTransform(there, cv2.DIST_L2, cv2.DIST_MASK_5)[row, column] > _UNCLEAN)
    for side in (clean, ~kept):
        field = np.zeros((*shape, 4), np.float32)
        field[row[side], column[side], :3], field[row[side], column[side], 3] = color[side], 1
        sides.append(_blurred(field, smooth))
    both = np.minimum(sides[0][..., 3], sides[1][..., 3])
    step = np.zeros((*shape, 4), np.float32)
    at = both > 0.02
    step[at, :3] = sides[0][at, :3] / sides[0][at, 3:] - sides[1][at, :3] / sides[1][at, 3:]
    step[at, 3] = 1
    step[at] *= both[at, None]
    further = _blurred(step, spread)
    there = np.ones(shape, np.uint8)
    there[row[kept], column[kept]] = 0
    away = cv2.distanceTransform(there, cv2.DIST_L2, cv2.DIST_MASK_5)
    change = further[..., :3] / np.maximum(further[..., 3:], 1e-6) * np.exp(-np.maximum(away - 1, 0) / fade)[..., None]
    change[further[..., 3] < 1e-6] = 0
    return np.where(kept[:, None], color, color + change[row, column])


def _blurred(field: np.ndarray, sigma: float) -> np.ndarray:
    return cv2.GaussianBlur(field, (0, 0), sigma, borderType=cv2.BORDER_CONSTANT)
