"""Periodic noise: random fields that tile without a seam."""

import cv2
import numpy as np


def value_noise(rng: np.random.Generator, shape: tuple[int, int], cells: tuple[int, int]) -> np.ndarray:
    """Smooth noise of `cells` (rows, columns) random values over an image; (h, w) float32, mean 0, deviation about 1.

    `shape` is a pair of powers of two. More cells than pixels are taken as one cell a pixel.
    """
    rows, columns = (_power_of_two(min(c, n)) for c, n in zip(cells, shape, strict=True))
    lattice = rng.standard_normal((rows, columns), dtype=np.float32)
    if (rows, columns) == tuple(shape):
        return lattice
    margin = 3
    lattice = np.pad(lattice, margin, mode="wrap")
    step_y, step_x = shape[0] // rows, shape[1] // columns
    wide = cv2.resize(lattice, (lattice.shape[1] * step_x, lattice.shape[0] * step_y), interpolation=cv2.INTER_CUBIC)
    # Cubic interpolation between independent values loses about a third of their deviation.
    return wide[margin * step_y : -margin * step_y, margin * step_x : -margin * step_x] * 1.4


def fractal_noise(
    rng: np.random.Generator, shape: tuple[int, int], cells: tuple[int, int], octaves: int = 3, gain: float = 0.5
) -> np.ndarray:
    """Sum of `octaves` of `value_noise`, each twice as fine and `gain` as strong; (h, w) float32, deviation about 1."""
    total = np.zeros(shape, np.float32)
    weight = 1.0
    power = 0.0
    for octave in range(octaves):
        scale = 2**octave
        total += np.float32(weight) * value_noise(rng, shape, (cells[0] * scale, cells[1] * scale))
        power += weight**2
        weight *= gain
    return total / np.float32(np.sqrt(power))


def _power_of_two(count: int) -> int:
    """The largest power of two that is not above `count`, at least 1."""
    return 1 << max(int(count).bit_length() - 1, 0)
