"""The ring of eight square views of 90 degrees, 45 apart, that a panorama is generated as (MVDiffusion, section 4), and
eight more that look up and down."""

import numpy as np

VIEWS = 8
# Degrees above and below the horizon at which the views of the poles look: down as far as one does in a walk, which
# models know, and far enough to see the pole; up less far, as nobody scans a ceiling alone.
_UP, _DOWN = 32, 48


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


def pole_rotations() -> np.ndarray:
    """(8, 3, 3) float64, cameras of the views around the poles, 90 degrees wide as the ring's, to that of its first.

    Four look up, four down, each 90 degrees further to the right than the one before.
    """
    turned = []
    for tilt in np.radians([_UP, -_DOWN]):
        cos, sin = np.cos(tilt), np.sin(tilt)
        turned.append(ring_rotations()[::2] @ np.array([[1, 0, 0], [0, cos, -sin], [0, sin, cos]]))
    return np.concatenate(turned)
