"""How far numbers of compressed geometry are rounded: to a power of two, the same one for all parts of a mesh, so that
no gaps open between them."""

from dataclasses import dataclass

import numpy as np

_STEPS = 16  # a power of two of them, or more, go into the largest extent of a mesh
_OF_TEXEL = 4  # and into a texel
_MANTISSA = 22  # bits of numbers of a sign and 23 more, one of them for what is rounded up
_LEAST, _MOST = -100, 100  # exponents that meshopt's decoders know


@dataclass(frozen=True, eq=False)
class Grid:
    """What positions are rounded to: ``origin + k * 2**exponent``, at most 1/65,536 of the mesh's largest extent apart.

    Attributes:
        origin: (3,) float64, the lowest corner, itself a multiple of the step.
        exponent: of the step.
    """

    origin: np.ndarray
    exponent: int

    @classmethod
    def of(cls, positions: np.ndarray) -> "Grid":
        """The grid of positions (n, 3), finite."""
        low, high = positions.min(0).astype(np.float64), positions.max(0).astype(np.float64)
        exponent = _exponent(np.max(high - low), _STEPS, max(np.abs(low).max(), np.abs(high).max()))
        step = 2.0**exponent
        return cls(np.floor(low / step) * step, exponent)


def uv_exponent(uv: np.ndarray, size: int) -> int:
    """Exponent of the step that texture coordinates (n, 2) are rounded to, 1/16 texel of a texture of that size."""
    largest = float(np.abs(uv).max(initial=1.0))
    return max(-int(np.ceil(np.log2(size))) - _OF_TEXEL, _magnitude(largest) - _MANTISSA)


def _exponent(extent: float, steps: int, largest: float) -> int:
    fine = _magnitude(extent or largest or 1.0) - 1 - steps
    return int(np.clip(max(fine, _magnitude(largest) - _MANTISSA), _LEAST, _MOST))


def _magnitude(value: float) -> int:
    """The least power of two above a value."""
    return int(np.frexp(value)[1])
