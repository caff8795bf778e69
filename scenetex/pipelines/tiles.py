"""Tiles that cover a map with overlap, and what is computed in each blended without a seam."""

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil

import torch

from ..errors import InputError

# Neighbouring tiles share at least this part of their side.
_OVERLAP = 0.25


@dataclass(frozen=True)
class Tiles:
    """Windows that cover a map; one that covers all of it is no tiling at all.

    Attributes:
        rows, columns: (first, end) of every row and every column of tiles, cells.
    """

    rows: tuple[tuple[int, int], ...]
    columns: tuple[tuple[int, int], ...]

    @classmethod
    def cover(cls, shape: tuple[int, int], side: int | None, alignment: int) -> "Tiles":
        """Tiles of about `side` cells that cover a map (h, w) and start at multiples of `alignment`.

        None = one tile, the whole map.
        """
        return cls(*(((0, n),) if side is None else _spans(n, side, alignment) for n in shape))

    @property
    def shape(self) -> tuple[int, int]:
        """(h, w) of the map, cells."""
        return self.rows[-1][1], self.columns[-1][1]

    def scaled(self, factor: int) -> "Tiles":
        """The same tiles of a map that is `factor` times larger."""
        return Tiles(*(tuple((a * factor, b * factor) for a, b in spans) for spans in (self.rows, self.columns)))

    def blend(self, compute: Callable[[slice, slice], torch.Tensor]) -> torch.Tensor:
        """The whole map (..., h, w) out of `compute(rows, columns)`, (..., rows, columns) for each tile.

        Every tile counts most in its middle and less and less towards its sides, so that none of them shows.
        """
        if len(self.rows) == len(self.columns) == 1:
            return compute(slice(*self.rows[0]), slice(*self.columns[0]))
        total = weights = None
        for top, bottom in self.rows:
            for left, right in self.columns:
                part = compute(slice(top, bottom), slice(left, right))
                weight = _profile(bottom - top, part.device)[:, None] * _profile(right - left, part.device)
                if total is None:
                    total = part.new_zeros((*part.shape[:-2], *self.shape)).float()
                    weights = weight.new_zeros(self.shape)
                total[..., top:bottom, left:right] += weight * part
                weights[top:bottom, left:right] += weight
        return (total / weights).to(part.dtype)


def check_tile(tile: int | None, least: int) -> None:
    """Raises InputError for tiles that are too small to overlap; `least` pixels are the coarsest features' cell."""
    if tile is not None and tile < 4 * least:
        raise InputError(f"tiles of {tile} pixels are too small for this model; pass {4 * least} or more")


def _spans(n: int, side: int, alignment: int) -> tuple[tuple[int, int], ...]:
    """(first, end) of tiles in a row, evenly spaced."""
    side = max(4 * alignment, side // alignment * alignment)
    if side >= n:
        return ((0, n),)
    step = int(side * (1 - _OVERLAP)) // alignment * alignment
    count = ceil((n - side) / step) + 1
    starts = [(n - side) * i // (count - 1) // alignment * alignment for i in range(count)]
    # Where the map's side is no multiple, the last tile is a little longer.
    return (*((start, start + side) for start in starts[:-1]), (starts[-1], n))


def _profile(n: int, device: torch.device) -> torch.Tensor:
    """(n,) weights along one side: positive, and smooth where they run out."""
    return torch.sin(torch.pi * (torch.arange(n, device=device) + 0.5) / n) ** 2
