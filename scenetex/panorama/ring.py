"""The ring of eight square views of 90 degrees, 45 apart, that a panorama is generated as (MVDiffusion, section 4), and
eight more that look up and down."""

import numpy as np

VIEWS = 8
# Degrees above and below the horizon at which the views of the poles look: down as far as one does in a walk, which
# models know, and far enough to see the pole; up less far, as nobody scans a ceiling alone.
_UP, _DOWN = 32, 48
# How steeply a view's weight falls from its middle to its border: over most of the panorama one view decides, so that
# details in which views differ do not show twice; between two views one fades into the other over some 15 degrees.
_STEEPNESS = 3


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


def view_weight(column: np.ndarray, row: np.ndarray, size: int) -> np.ndarray:
    """How much a view of `size` pixels counts at places (...) in it: 1 in the middle, 0 where it does not show the
    place, or only between the centre of a border pixel and the border."""
    middle = (size - 1) / 2
    # Samples between pixel centres need nothing that the view does not hold.
    inside = [np.maximum(0, 1 - np.abs(t - middle) / max(middle, 0.5)) for t in (column, row)]
    return (inside[0] * inside[1]) ** _STEEPNESS
