"""Poses and camera matrices in text files: read, checked, made exactly rigid."""

import codecs
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..files.reading import open_file

_LARGEST_TEXT = 65536  # bytes; sixteen numbers take a few hundred
_RIGID_TOLERANCE = 1e-2
_ROUNDING = 1e-4


def read_numbers(path: Path, what: str) -> list[float]:
    """All numbers of a small text file, `inf` and `nan` included. Raises `InputError` that calls the file `what`."""
    try:
        with open_file(path) as file:
            data = file.read(_LARGEST_TEXT + 1)
    except OSError as error:
        raise InputError(f"{path}: {what} cannot be read ({error.strerror or error}); add the file") from None
    try:
        if len(data) <= _LARGEST_TEXT:
            return [float(word) for word in data.removeprefix(codecs.BOM_UTF8).split()]
    except ValueError:
        pass
    raise InputError(f"{path}: {what} is not plain numbers; export it again")


def read_pose(path: Path, what: str = "pose") -> np.ndarray:
    """A 4x4 matrix as stored: (4, 4) float64, which may hold `inf` or `nan`. Raises `InputError` unless 16 numbers."""
    numbers = read_numbers(path, what)
    if len(numbers) != 16:
        raise InputError(f"{path}: {what} has {len(numbers)} numbers, not the 16 of a 4x4 matrix; export it again")
    return np.array(numbers).reshape(4, 4)


def read_extrinsic(path: Path) -> np.ndarray:
    """A sensor's place on the rig: (4, 4) float64 rigid, sensor to reference; identity where there is no such file."""
    if not path.is_file():
        return np.eye(4)
    return rigid(read_pose(path, "extrinsic matrix"), f"{path}: extrinsic matrix")


def read_intrinsics(path: Path) -> np.ndarray:
    """Camera matrix (3, 3) float64, pixels, of a file with 3x3 or 4x4 numbers; `InputError` if absent or not one."""
    if not path.is_file():
        raise InputError(f"{path}: missing; a scene needs its camera's intrinsic matrix there")
    numbers = read_numbers(path, "intrinsic matrix")
    if len(numbers) not in (9, 16):
        raise InputError(f"{path}: intrinsic matrix has {len(numbers)} numbers, not 9 or 16; export it again")
    side = 3 if len(numbers) == 9 else 4
    return checked_intrinsics(np.array(numbers).reshape(side, side)[:3, :3], str(path))


def checked_intrinsics(matrix: np.ndarray, where: str) -> np.ndarray:
    """`matrix` (3, 3) itself, or `InputError` that names `where` if it is no pinhole camera's."""
    pinhole = (
        np.isfinite(matrix).all()
        and np.abs(matrix).max() < 1e7
        and min(matrix[0, 0], matrix[1, 1]) > 1e-3
        and np.allclose(matrix[[1, 2, 2, 2], [0, 0, 1, 2]], [0, 0, 0, 1])
    )
    if not pinhole:
        raise InputError(
            f"{where}: intrinsic matrix is not fx s cx, 0 fy cy, 0 0 1 with positive focal lengths; fix it"
        )
    return np.ascontiguousarray(matrix, np.float64)


def rigid(matrix: np.ndarray, where: str) -> np.ndarray:
    """One finite 4x4 matrix, checked as by `rigid_all`; `where` names it in the error."""
    if not np.isfinite(matrix).all():
        raise InputError(f"{where} is not finite; export it again")
    return rigid_all(matrix[None], [where])[0]


def rigid_all(matrices: np.ndarray, names: list[str]) -> np.ndarray:
    """Rigid transforms from stored ones.

    Args:
        matrices: (n, 4, 4) float64, finite.
        names: how an error calls each of them, with its file.

    Returns:
        (n, 4, 4) float64. Rotations off by more than what text rounds away become the nearest rotation.

    Raises:
        InputError: a rotation that is off by more than 1e-2, or mirrored; a last row that is not 0 0 0 1.
    """
    out = np.array(matrices, np.float64)
    rotation = out[:, :3, :3]
    huge = np.abs(out).max(axis=(1, 2), initial=0) > 1e9
    safe = np.where(huge[:, None, None], 0.0, rotation)
    error = np.abs(safe.transpose(0, 2, 1) @ safe - np.eye(3)).max(axis=(1, 2))
    with np.errstate(all="ignore"):  # what is far from a rotation may have any determinant
        mirrored = ~(np.linalg.det(safe) > 0)
    bad = huge | (error > _RIGID_TOLERANCE) | mirrored
    bad |= np.abs(out[:, 3] - [0, 0, 0, 1]).max(axis=1, initial=0) > 1e-3
    if bad.any():
        raise InputError(f"{names[int(np.argmax(bad))]} is not a rigid transform (rotation and shift); export it again")
    loose = error > _ROUNDING
    if loose.any():
        u, _, vt = np.linalg.svd(rotation[loose])
        rotation[loose] = u @ vt
    out[:, 3] = 0, 0, 0, 1
    return out
