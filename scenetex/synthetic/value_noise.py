"""Periodic noise: random fields that tile without a seam."""

from functools import cache

import cv2
import numpy as np

# Of OpenCV's cubic, which is a little sharper than Catmull and Rom's.
_SHARPNESS = -0.75
_FEW = 32


def value_noise(rng: np.random.Generator, shape: tuple[int, int], cells: tuple[int, int]) -> np.ndarray:
    """Smooth noise of `cells` (rows, columns) random values over an image; (h, w) float32, mean 0, deviation about 1.

    `shape` is a pair of powers of two. More cells than pixels are taken as one cell a pixel.
    """
    rows, columns = (_power_of_two(min(c, n)) for c, n in zip(cells, shape, strict=True))
    lattice = rng.standard_normal((rows, columns), dtype=np.float32)
    if (rows, columns) == tuple(shape):
        return lattice
    steps = shape[0] // rows, shape[1] // columns
    # OpenCV is faster, but has to work out a margin, too, which is most of the image where there are few cells.
    finer = _finer_few if min(rows, columns) < _FEW else _finer_many
    # Cubic interpolation between independent values loses about a third of their deviation.
    return finer(lattice, *steps) * np.float32(1.4)


def _finer_many(values: np.ndarray, step_y: int, step_x: int) -> np.ndarray:
    """Periodic cubic interpolation of (r, c) to (r step_y, c step_x); each sample's cell becomes that many new ones."""
    margin = 3
    values = np.pad(values, margin, mode="wrap")
    wide = cv2.resize(values, (values.shape[1] * step_x, values.shape[0] * step_y), interpolation=cv2.INTER_CUBIC)
    return wide[margin * step_y : -margin * step_y, margin * step_x : -margin * step_x]


def _finer_few(values: np.ndarray, step_y: int, step_x: int) -> np.ndarray:
    """The same, up to rounding."""
    return _finer_columns(_finer_rows(values, step_y), step_x)


def _finer_rows(values: np.ndarray, step: int) -> np.ndarray:
    """(r, c) to (r step, c)."""
    if step == 1:
        return values
    rows = np.arange(len(values))[:, None] + np.arange(-2, 3)
    return (_cubic_weights(step) @ values[rows % len(values)]).reshape(-1, values.shape[1])


def _finer_columns(values: np.ndarray, step: int) -> np.ndarray:
    """(r, c) to (r, c step)."""
    if step == 1:
        return values
    count = values.shape[1]
    columns = np.arange(count)[:, None] + np.arange(-2, 3)
    return (values[:, columns % count].reshape(-1, 5) @ _cubic_weights(step).T).reshape(len(values), -1)


@cache
def _cubic_weights(step: int) -> np.ndarray:
    """(step, 5) float32, how much the five nearest samples weigh at each of the new places within a sample's cell."""
    place = (np.arange(step) + 0.5) / step - 0.5
    away = np.abs(place[:, None] - np.arange(-2, 3))
    a = _SHARPNESS
    near = ((a + 2) * away - (a + 3)) * away**2 + 1
    far = ((away - 5) * away + 8) * away * a - 4 * a
    return np.where(away <= 1, near, np.where(away < 2, far, 0)).astype(np.float32)


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
