"""Unit quaternions (x, y, z, w) as rotations, without SciPy, whose import takes longer than most trajectories."""

import numpy as np


def rotation_matrices(quaternions: np.ndarray) -> np.ndarray:
    """(..., 3, 3) float64 rotations of `quaternions` (..., 4) of any length but zero; x y z w."""
    q = np.asarray(quaternions, np.float64)
    q = q / np.linalg.norm(q, axis=-1, keepdims=True)
    x, y, z, w = np.moveaxis(q, -1, 0)
    rows = (
        (1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)),
        (2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)),
        (2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)),
    )
    return np.stack([np.stack(row, -1) for row in rows], -2)


def slerp(start: np.ndarray, end: np.ndarray, share: np.ndarray) -> np.ndarray:
    """(n, 4) float64 quaternions on the shorter way from `start` (n, 4) to `end` (n, 4), `share` (n,) of it in 0..1."""
    start, end = (q / np.linalg.norm(q, axis=1, keepdims=True) for q in (start, end))
    # A quaternion and its negative are one rotation: the nearer of the two.
    end = np.where((start * end).sum(1, keepdims=True) < 0, -end, end)
    # Half the angle from the chord and its counterpart is exact even where both are nearly the same.
    angle = 2 * np.arctan2(np.linalg.norm(end - start, axis=1), np.linalg.norm(end + start, axis=1))
    sine = np.sin(angle)
    straight = sine < 1e-12
    sine = np.where(straight, 1.0, sine)
    first = np.where(straight, 1 - share, np.sin((1 - share) * angle) / sine)
    last = np.where(straight, share, np.sin(share * angle) / sine)
    return first[:, None] * start + last[:, None] * end
