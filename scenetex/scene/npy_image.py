"""NumPy's `.npy` files that hold an image of depth, as nerfstudio keeps it."""

import io

import numpy as np

from ..errors import InputError

_FARTHEST = 1e30  # beyond which single precision ends, whatever the unit


def npy_size(file, label: str) -> tuple[int, int]:
    """(width, height) of the image in an open `.npy` file. Raises `InputError` unless it holds one of numbers."""
    return _header(file, label)[0]


def decode_npy(data: bytes, label: str) -> np.ndarray:
    """(h, w) float64 of a `.npy` file; what is not finite, below 0, or beyond all measure is 0.

    Raises `InputError` as `npy_size`, and for a file that is cut short.
    """
    file = io.BytesIO(data)
    (width, height), kind, by_column = _header(file, label)
    if len(data) - file.tell() != width * height * kind.itemsize:
        raise InputError(f"{label}: is cut short; copy it again")
    numbers = np.frombuffer(data, kind, width * height, file.tell())
    image = numbers.reshape(width, height).T if by_column else numbers.reshape(height, width)
    with np.errstate(all="ignore"):  # NaN that signals, and numbers beyond all floats
        image = image.astype(np.float64)
        return np.where((image > 0) & (image < _FARTHEST), image, 0.0)


def _header(file, label: str) -> tuple[tuple[int, int], np.dtype, bool]:
    try:
        version = np.lib.format.read_magic(file)
        read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}[version]
        shape, by_column, kind = read(file)
        shape = tuple(side for side in shape if side != 1) if len(shape) == 3 else shape
        if len(shape) == 2 and min(shape) > 0 and kind.kind in "fui":
            return (int(shape[1]), int(shape[0])), kind, by_column
    except Exception:  # its header is Python, of any kind
        pass
    raise InputError(f"{label}: not a .npy file of one depth image of numbers; store depth as 16-bit PNG")
