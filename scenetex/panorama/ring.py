"""The ring of eight square views of 90 degrees, 45 apart, that a panorama is generated as (MVDiffusion, section 4)."""

import numpy as np

VIEWS = 8


def ring_intrinsics(size: int) -> np.ndarray:
    """(3, 3) float64 intrinsics of square views of `size` pixels and 90 degrees; pixel centres at whole numbers."""
    return np.array([[size / 2, 0, (size - 1) / 2], [0, size / 2, (size - 1) / 2], [0, 0, 1]])


def ring_rotations() -> np.ndarray:
    """(8, 3, 3) float64, camera of each view to that of the first (x right, y down, z forward).

    Each view looks 45 degrees further to the right than the one before.
    """
    yaw = np.arange(VIEWS) * (2 * np.pi / VIEWS)
    out = np.zeros((VIEWS, 3, 3))
    out[:, 0, 0], out[:, 0, 2] = np.cos(yaw), np.sin(yaw)
    out[:, 2, 0], out[:, 2, 2] = -np.sin(yaw), np.cos(yaw)
    out[:, 1, 1] = 1
    return out
