"""Eight views become one equirectangular image, without a seam."""

import numpy as np

from ..errors import InputError
from .poles import fill_pole, place_pole, shown_at_poles
from .ring import VIEWS, view_weight

_ROWS_AT_A_TIME = 64


def stitch(images, height: int | None = None, poles=None) -> np.ndarray:
    """Stitches the views of a ring to an equirectangular image.

    Each pixel is the weighted mean of the views that show it, sampled bicubically (Catmull-Rom). A view's weight falls
    to zero towards its border, so that nothing jumps where a view ends; the ring is closed, so neither do the columns
    at +-180 degrees. Towards the poles, from about 45 degrees of elevation on, no view shows anything: there
    further views are put in, if they are there, or the colours of the rim run smoothly together.

    Args:
        images: (8, s, s, 3) float 0..1 or uint8, or eight PIL images: the views of `ring_rotations`.
        height: rows of the panorama, a multiple of 4; default 2 s, about the resolution of the views.
        poles: images of the eight views around the poles, see `pole_rotations`, which go on from `known_poles`; None
            for the four up or down if they are not there, or for all.

    Returns:
        (height, 2 height, 3) float32 0..1. The first view's direction is in the middle; columns run to the right of
        it. Pixel (row, column) is centred at longitude (column + 1/2) / height * 180 - 180 degrees and latitude
        90 - (row + 1/2) / height * 180 degrees.

    Raises:
        InputError: other than eight images, images that are not square or not of one size, an unusable height.
    """
    views = _checked(images, VIEWS)
    size = views.shape[1]
    height = 2 * size if height is None else height
    if height < 4 or height % 4:
        raise InputError(f"panorama of {height} rows; pass a multiple of 4")
    column, row, weight = view_pixels(size, height)
    # Each view is the same piece of the panorama, turned by an eighth.
    step = 2 * height // VIEWS
    piece = _sample(views, column, row) * weight[..., None, None]
    total, color = np.zeros((height, 2 * height, 1)), np.zeros((height, 2 * height, 3))
    for i in range(VIEWS):
        at = (np.arange(2 * step) + (i - 1) * step + height) % (2 * height)
        total[:, at, 0] += weight
        color[:, at] += piece[:, :, i]
    seen = total[..., 0] > 0
    color = color / np.where(seen[..., None], total, 1)
    poles = [None] * VIEWS if poles is None else list(poles)
    for four, rows, below in ((poles[:4], slice(None), False), (poles[4:], slice(None, None, -1), True)):
        if not any(image is None for image in four):
            place_pole(color, seen, _checked(four, 4), below)
        fill_pole(color[rows], seen[rows])
    return color.clip(0, 1).astype(np.float32)


def known_poles(images) -> tuple[np.ndarray, np.ndarray]:
    """What the ring shows of the views around the poles.

    Args:
        images: as for `stitch`.

    Returns:
        (8, s, s, 3) float32 0..1, 0 where it shows nothing, and (8, s, s) bool, where it does.

    Raises:
        InputError: as for `stitch`.
    """
    shown, seen = shown_at_poles(_checked(images, VIEWS))
    return shown.clip(0, 1), seen


def view_pixels(size: int, height: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where the quarter of the panorama around a view's direction lies in the view.

    Returns:
        column and row (height, height / 2) float64, pixels of the view; and their `view_weight`.
    """
    longitude = (np.arange(height // 2) + 0.5) * (np.pi / height) - np.pi / 4
    latitude = np.pi / 2 - (np.arange(height) + 0.5) * (np.pi / height)
    x = np.broadcast_to(np.tan(longitude), (height, height // 2))
    y = -np.tan(latitude)[:, None] / np.cos(longitude)
    middle = (size - 1) / 2
    column, row = (middle + size / 2 * t for t in (x, y))
    return column, row, view_weight(column, row, size)


def _checked(images, count: int) -> np.ndarray:
    """(count, s, s, 3) float32 0..1."""
    views = [np.asarray(image) for image in images]
    if len(views) != count:
        raise InputError(f"panorama of {len(views)} images; pass the {count} views of a ring")
    for i, view in enumerate(views):
        shape = " x ".join(str(n) for n in view.shape)
        if view.ndim != 3 or view.shape[2] != 3 or (view.dtype != np.uint8 and view.dtype.kind != "f"):
            raise InputError(f"panorama: view {i} is {shape} of {view.dtype}; pass (s, s, 3) uint8 or float images")
        if view.shape[0] != view.shape[1] or view.shape[0] < 2:
            raise InputError(
                f"panorama: view {i} is {shape}, not square; its field of view has to be 90 degrees each way"
            )
        if view.shape != views[0].shape:
            raise InputError(f"panorama: view {i} is {shape}, the first one is not; pass views of one size")
    stack = np.stack(views)
    return stack / np.float32(255) if stack.dtype == np.uint8 else stack.astype(np.float32)


def _sample(views: np.ndarray, column: np.ndarray, row: np.ndarray) -> np.ndarray:
    """Views (n, s, s, 3) at places (h, w) of all of them: (h, w, n, 3), 0 outside of the outermost pixel centres."""
    n, size = views.shape[:2]
    # Beyond the border the image goes on linearly, so that slopes at the border are right.
    padded = np.pad(views, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="reflect", reflect_type="odd")
    table = padded.transpose(1, 2, 0, 3).reshape((size + 2) ** 2, -1)
    out = np.zeros((*column.shape, n * views.shape[3]), np.float32)
    for start in range(0, len(column), _ROWS_AT_A_TIME):
        part = slice(start, start + _ROWS_AT_A_TIME)
        x, y = column[part], row[part]
        inside = (x >= 0) & (x <= size - 1) & (y >= 0) & (y <= size - 1)
        left, top = (np.minimum(np.floor(t[inside]), size - 2).astype(np.int64) for t in (x, y))
        across, down = (_catmull_rom(t[inside] - at) for t, at in ((x, left), (y, top)))
        value = np.zeros((len(left), table.shape[1]), np.float32)
        for i in range(4):
            for j in range(4):
                share = (down[i] * across[j]).astype(np.float32)
                value += share[:, None] * table[(top + i) * (size + 2) + left + j]
        out[part][inside] = value
    return out.reshape(*column.shape, n, -1)


def _catmull_rom(t: np.ndarray) -> list[np.ndarray]:
    """Shares of the pixels at -1, 0, 1 and 2 at the place t, 0 to 1 (Keys, 1981, with a = -1/2)."""
    return [
        t * (-0.5 + t * (1 - 0.5 * t)),
        1 + t * t * (-2.5 + 1.5 * t),
        t * (0.5 + t * (2 - 1.5 * t)),
        t * t * (-0.5 + 0.5 * t),
    ]
