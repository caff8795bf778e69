"""Filters that run over the light maps of all patches at once."""

import numpy as np

from .surface import Lattice, Surface

_MARGIN = 2  # keeps the filters' shifts inside the page


class TilePages:
    """Samples of all patches laid out on one page, so that filters run over every patch's tile at once."""

    def __init__(self, surface: Surface, lattice: Lattice):
        width, height = surface.light_size
        origin = surface.light_origin[lattice.patch]
        self._index = (
            (origin[:, 1] + lattice.column + _MARGIN) * (width + 2 * _MARGIN) + origin[:, 0] + lattice.row + _MARGIN
        )
        self._shape = height + 2 * _MARGIN, width + 2 * _MARGIN
        self._patch = np.full(self._shape, -1, np.int32)
        self._patch.ravel()[self._index] = lattice.patch
        self._lattice = lattice

    def _neighbours(self, step: int = 1, falloff: float = 0.5):
        """For each of 8 neighbours, `step` away: page index, whether it is of the same patch, its weight."""
        patch = self._patch.ravel()
        for dy in (-1, 0, 1):
            for dx in (-1, 0, 1):
                if dx or dy:
                    other = self._index + step * (dy * self._shape[1] + dx)
                    yield other, patch[other] == self._lattice.patch, np.float32(falloff ** (abs(dx) + abs(dy)))

    def blur(self, value: np.ndarray, valid: np.ndarray, steps: tuple[tuple[int, float], ...]) -> np.ndarray:
        """`value` (n, 3) smoothed over its tile by 3 x 3 kernels.

        For each of `steps`: how far apart the kernel's taps lie, and how much less each step from its middle weighs.

        Samples that are not valid take no part and stay as they are.
        """
        for step, falloff in steps:
            page = np.zeros((self._patch.size, 4), np.float32)
            page[self._index, :3] = value * valid[:, None]
            page[self._index, 3] = valid
            total = page[self._index].copy()
            for other, same, weight in self._neighbours(step, falloff):
                total += page[other] * (same * weight)[:, None]
            value = np.where(valid[:, None], total[:, :3] / np.maximum(total[:, 3:], 1e-9), value)
        return value

    def fill(self, value: np.ndarray, valid: np.ndarray, rest: np.ndarray) -> np.ndarray:
        """Samples that are not valid take their neighbours' mean, three rings deep; beyond, `rest` (3,)."""
        value = np.where(valid[:, None], value, 0).astype(np.float32)
        neighbours = list(self._neighbours())
        for _ in range(3):
            page = np.zeros((self._patch.size, 4), np.float32)
            page[self._index, :3] = value
            page[self._index, 3] = valid
            total = np.zeros((len(value), 4), np.float32)
            for other, same, weight in neighbours:
                total += page[other] * (same * weight)[:, None]
            found = ~valid & (total[:, 3] > 0)
            value[found] = total[found, :3] / total[found, 3:]
            valid = valid | found
        return np.where(valid[:, None], value, rest.astype(np.float32))

    def to_image(self, value: np.ndarray, surface: Surface) -> np.ndarray:
        """(h, w, 3) float32 page of `value` (n, 3) times the tint; glowing patches take their own brightness."""
        glow = surface.glow[self._lattice.patch]
        value = np.where(glow[:, None] > 0, glow[:, None], value) * surface.tint[self._lattice.patch]
        page = np.zeros((self._patch.size, 3), np.float32)
        page[self._index] = value
        return np.ascontiguousarray(page.reshape(*self._shape, 3)[_MARGIN:-_MARGIN, _MARGIN:-_MARGIN])
