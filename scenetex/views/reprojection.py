"""Where one view sees the surface points of another's pixels, to a part of a pixel."""

import numpy as np

from .viewset import ViewSet

# Above the rounding of depth maps, below the distance of a picture frame from its wall across a room.
_DEPTH_TOLERANCE = 0.01
_LATTICE = 48  # pixels along the shorter side that tell how far two views overlap


def lattice_step(views: ViewSet) -> int:
    """The `step` of `correspond` at which enough pixels are looked at to tell how far two views overlap."""
    return max(1, min(views.size) // _LATTICE)


def correspond(views: ViewSet, i: int, j: int, step: int = 1) -> tuple[np.ndarray, np.ndarray, int]:
    """Where view j sees the surface points of view i's pixels.

    Args:
        step: look at every step-th pixel of every step-th row, from step // 2.

    A pixel is seen where its surface point falls among pixel centres of the other view that all have depth, and that
    view's inverse depth, interpolated there (exact on planes at any slant), agrees with the point's to 1 %.

    Returns:
        pixel (n,) int64, flat index row * w + column of the pixels that j sees; place (n, 2) float64, column and row in
        view j; and how many of the pixels looked at have surface.
    """
    w, h = views.size
    column, row = np.arange(step // 2, w, step), np.arange(step // 2, h, step)[:, None]
    depth = views.depth[i][step // 2 :: step, step // 2 :: step].astype(np.float64)
    there = np.isfinite(depth) & (depth > 0)
    relative = np.linalg.inv(views.cam_to_world[j]) @ views.cam_to_world[i]
    matrix = views.intrinsics[j] @ relative[:3, :3] @ np.linalg.inv(views.intrinsics[i])
    shift = views.intrinsics[j] @ relative[:3, 3]
    x, y, z = (depth * (m[0] * column + (m[1] * row + m[2])) + s for m, s in zip(matrix, shift, strict=True))
    with np.errstate(divide="ignore", invalid="ignore"):
        x, y = _settled(x / z), _settled(y / z)
        inside = there & (z > 0) & (x >= 0) & (y >= 0) & (x <= w - 1) & (y <= h - 1)
    pixel = (row * w + column)[inside]
    place, z = np.stack([x[inside], y[inside]], 1), z[inside]
    inverse = np.zeros(len(z))
    surface = np.ones(len(z), bool)
    flat = views.depth[j].ravel()
    for tap, share in taps(place, (h, w)):
        other = flat[tap].astype(np.float64)
        valid = np.isfinite(other) & (other > 0)
        surface &= valid | (share == 0)
        inverse += share / np.where(valid, other, 1.0)
    seen = surface & (np.abs(inverse * z - 1) <= _DEPTH_TOLERANCE)
    return pixel[seen], place[seen], int(there.sum())


def _settled(place: np.ndarray) -> np.ndarray:
    """Whole where all but rounding is: it must not push a pixel that meets the image's very border out of it."""
    nearest = np.rint(place)
    return np.where(np.abs(place - nearest) < 1e-6, nearest, place)


def taps(place: np.ndarray, size: tuple[int, int]):
    """The four pixels around places (n, 2) in an image (h, w), flat (n,), and their bilinear shares (n,)."""
    h, w = size
    left, top = place[:, 0].astype(np.int64), place[:, 1].astype(np.int64)
    right, below = np.minimum(left + 1, w - 1), np.minimum(top + 1, h - 1)
    fx, fy = place[:, 0] - left, place[:, 1] - top
    yield top * w + left, (1 - fx) * (1 - fy)
    yield top * w + right, fx * (1 - fy)
    yield below * w + left, (1 - fx) * fy
    yield below * w + right, fx * fy
