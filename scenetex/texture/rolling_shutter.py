"""Cameras that turn while their rows are read one after another."""

import numpy as np

_LATTICE = 28, 37  # rows and columns: OpenCV looks up 32nds of the way from node to node


def rolled(pixel: np.ndarray, turning: np.ndarray, intrinsics: np.ndarray, height: int) -> np.ndarray:
    """Where a turning camera shows what it would show at `pixel` (k, 2) if it stood still as at its middle row.

    To first order: during a readout a hand turns by a hundredth of a radian. A turn moves pixels whatever their depth.

    Args:
        pixel: (k, 2).
        turning: (3,) radians about the camera's axes from the first row to the last, of points in its frame.
        intrinsics: (3, 3).
        height: of the image, pixels.
    """
    whole = by_turning(pixel, intrinsics) @ turning
    # A row shows a point when it is read, and the point moves meanwhile: t = (v + whole * t + 0.5) / height - 0.5.
    time = readout_time(pixel[:, 1], height) / np.maximum(1 - whole[:, 1] / height, 0.5)
    return pixel + whole * time[:, None]


def by_turning(pixel: np.ndarray, intrinsics: np.ndarray) -> np.ndarray:
    """(k, 2 pixel, 3 axis) pixels by which points at `pixel` (k, 2) move per radian that they turn about each axis."""
    focal = np.diag(intrinsics)[:2]
    x, y = ((pixel - intrinsics[:2, 2]) / focal).T
    across, down = np.stack([-x * y, 1 + x * x, -y], 1), np.stack([-1 - y * y, x * y, x], 1)
    return np.stack([across * focal[0], down * focal[1]], 1)


def readout_time(row: np.ndarray, height: int) -> np.ndarray:
    """When a row is read: -0.5 for the image's upper border, 0.5 for the lower one."""
    return (row + 0.5) / height - 0.5


def rolling_shift(turning: np.ndarray, intrinsics: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """`Photo.shift` of an image of `size` (width, height)."""
    rows, columns = _LATTICE
    v, u = np.meshgrid(np.linspace(0, size[1] - 1, rows), np.linspace(0, size[0] - 1, columns), indexing="ij")
    pixel = np.stack([u, v], -1).reshape(-1, 2)
    shift = rolled(pixel, turning, intrinsics, size[1]) - pixel
    return shift.reshape(rows, columns, 2).astype(np.float32)
