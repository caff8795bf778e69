"""Where painted texels meet those that were there: no step of colour."""

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from .atlas import Atlas
from .texels import Texels

# Widths at which the difference is taken, is passed on, and fades, texels; first its smooth part.
_WIDTHS = ((4.0, 8.0, 40.0), (2.0, 4.0, 12.0), (1.0, 2.0, 4.0))
_UNCLEAN = 1  # texels along the rim
# What comes to meet the kept texels has their colour at first: how much of it, over how many texels it is taken, and
# over how many it fades.
_EASED, _EASED_OVER, _EASED_FADE = 0.8, 2.0, 3.0
_MARGIN = 6


def level_rim(color: np.ndarray, kept: np.ndarray, texels: Texels, atlas: Atlas) -> np.ndarray:
    """(n, 3) float32 colours in which those that are not kept come to meet the kept ones along the rim, chart by chart:
    the difference there, without its detail, goes on and fades; detail sets in over a few texels.

    Args:
        color: (n, 3) float32, of all texels.
        kept: (n,) bool.
    """
    out = color.copy()
    chart = atlas.chart[texels.face]
    order = np.argsort(chart, kind="stable")
    for own in np.split(order, np.flatnonzero(np.diff(chart[order])) + 1):
        if len(own) and kept[own].any() and not kept[own].all():
            rim = _Rim.of(texels.pixel[own] % atlas.size**2, atlas.size, kept[own])
            for widths in _WIDTHS:
                out[own] = _met(out[own], rim, *widths)
            out[own] = _eased(out[own], rim)
    return out


@dataclass(frozen=True, eq=False)
class _Rim:
    """Where the texels of a chart lie in a small image of it: (n,) rows and columns, its shape, and (n,) bool, which
    are kept."""

    row: np.ndarray
    column: np.ndarray
    shape: tuple[int, int]
    kept: np.ndarray

    @classmethod
    def of(cls, pixel: np.ndarray, size: int, kept: np.ndarray) -> "_Rim":
        row, column = np.divmod(pixel, size)
        row, column = row - row.min() + _MARGIN, column - column.min() + _MARGIN
        return cls(row, column, (int(row.max()) + _MARGIN + 1, int(column.max()) + _MARGIN + 1), kept)

    def smooth(self, color: np.ndarray, which: np.ndarray, sigma: float) -> np.ndarray:
        """(h, w, 4) sums of the colours of the texels in `which`, and of their weights."""
        field = np.zeros((*self.shape, 4), np.float32)
        field[self.row[which], self.column[which], :3] = color[which]
        field[self.row[which], self.column[which], 3] = 1
        return _blurred(field, sigma)

    @cached_property
    def away(self) -> np.ndarray:
        """(h, w) texels beyond the next kept one's neighbours."""
        return np.maximum(self._to_next(self.kept) - 1, 0)

    @cached_property
    def clean(self) -> np.ndarray:
        """(n,) bool: kept texels off the rim: where sight of a surface ends, photos show a little of what hides it."""
        return self.kept & (self._to_next(~self.kept)[self.row, self.column] > _UNCLEAN)

    def _to_next(self, which: np.ndarray) -> np.ndarray:
        there = np.ones(self.shape, np.uint8)
        there[self.row[which], self.column[which]] = 0
        return cv2.distanceTransform(there, cv2.DIST_L2, cv2.DIST_MASK_5)


def _met(color: np.ndarray, rim: _Rim, smooth: float, spread: float, fade: float) -> np.ndarray:
    sides = [rim.smooth(color, side, smooth) for side in (rim.clean, ~rim.kept)]
    both = np.minimum(sides[0][..., 3], sides[1][..., 3])
    step = np.zeros((*rim.shape, 4), np.float32)
    at = both > 0.02
    step[at, :3] = sides[0][at, :3] / sides[0][at, 3:] - sides[1][at, :3] / sides[1][at, 3:]
    step[at, 3] = 1
    step[at] *= both[at, None]
    further = _blurred(step, spread)
    change = further[..., :3] / np.maximum(further[..., 3:], 1e-6) * np.exp(-rim.away / fade)[..., None]
    change[further[..., 3] < 1e-6] = 0
    return np.where(rim.kept[:, None], color, color + change[rim.row, rim.column])


def _eased(color: np.ndarray, rim: _Rim) -> np.ndarray:
    near = rim.smooth(color, rim.clean, _EASED_OVER)[rim.row, rim.column]
    share = _EASED * np.exp(-rim.away[rim.row, rim.column] / _EASED_FADE)
    share *= ~rim.kept & (near[:, 3] > 1e-3)
    return color + share[:, None] * (near[:, :3] / np.maximum(near[:, 3:], 1e-6) - color)


def _blurred(field: np.ndarray, sigma: float) -> np.ndarray:
    return cv2.GaussianBlur(field, (0, 0), sigma, borderType=cv2.BORDER_CONSTANT)
