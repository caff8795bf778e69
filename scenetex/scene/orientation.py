"""Photos that are meant to be turned before they are looked at: how, and whether their camera was calibrated so."""

import numpy as np

SIDEWAYS = (5, 6, 7, 8)  # orientation tags (EXIF) that swap a photo's sides
_SAME_SHAPE = 0.02  # by how much two sides' ratios may differ: rounding to whole pixels
_OFF_CENTRE = 0.05  # of a side; the principal points of cameras are off by less
# What turns a photo upright, by the value of its orientation tag.
TURNS = {
    2: lambda image: image[:, ::-1],
    3: lambda image: image[::-1, ::-1],
    4: lambda image: image[::-1],
    5: lambda image: np.swapaxes(image, 0, 1),
    6: lambda image: np.rot90(image, -1),
    7: lambda image: np.swapaxes(image[::-1, ::-1], 0, 1),
    8: np.rot90,
}


def turned(image: np.ndarray, tag: int) -> np.ndarray:
    """An image (h, w, ...) as its orientation tag asks for; 1 leaves it."""
    return np.ascontiguousarray(TURNS[tag](image)) if tag in TURNS else image


def same_shape(a: tuple[int, int], b: tuple[int, int]) -> bool:
    """Whether two images of (width, height) are of one shape, but for rounding."""
    return abs(a[0] * b[1] / (a[1] * b[0]) - 1) <= _SAME_SHAPE


def is_calibrated_turned(
    size: tuple[int, int], like: tuple[int, int] | None, centre: tuple[float, float] | None
) -> bool:
    """Whether intrinsics speak of a photo of `size` (width, height) only once it is turned on its side.

    Told by the size `like` that they are for, else by their principal point, pixels: it lies near a photo's middle.
    """
    if like:
        return same_shape(size[::-1], like) and not same_shape(size, like)
    if centre is None:
        return False
    off = _off_centre(size, centre)
    return off > _OFF_CENTRE and _off_centre(size[::-1], centre) < off / 2


def _off_centre(size: tuple[int, int], centre: tuple[float, float]) -> float:
    """How far a principal point lies from a photo's middle, as a share of its sides."""
    return max(abs((centre[i] + 0.5) / size[i] - 0.5) for i in (0, 1))
