"""The surface that covers a hole: a sheet over its rim, cut into triangles."""

import numpy as np
import scipy.sparse as sp
from scipy.sparse.linalg import spsolve
from scipy.spatial import Delaunay, QhullError

from ..errors import InputError
from .polygons import flattened, triangulate

_LARGE = 4.0  # middle edges of the rim that a hole is wider than to get vertices inside
_FINEST = 24  # edges across a hole at the most
_CLEAR = 0.5  # spacings that inner vertices keep from the rim
_FLAT = 1e-6  # of the square of its length, the area of an outline that is but a slit
_CLIPPED = 400  # corners of outlines that are cut by clipping ears


def cover(rim: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Triangles over a loop.

    Args:
        rim: (n, 3) float64, the places around a hole, counter-clockwise seen from where the triangles are to look.

    Returns:
        New vertices (m, 3) float64 inside of it, and triangles (t, 3) int64 of positions in the rim, then in these.
    """
    count = len(rim)
    flat = flattened(rim)
    size = float(_cross(flat, np.roll(flat, -1, 0)).sum() / 2)
    length = float(np.linalg.norm(np.roll(rim, -1, 0) - rim, axis=1).sum())
    nothing = np.zeros((0, 3))
    if count == 3 or size < _FLAT * length**2:
        return nothing, _fan(count)
    inner = _inner(flat, rim)
    triangles = _delaunay(np.concatenate([flat, inner]), count, size)
    if triangles is None and len(inner):
        inner = inner[:0]
        triangles = _delaunay(flat, count, size)
    if triangles is not None:
        return _raised(rim, flat, inner, triangles), triangles
    if count <= _CLIPPED and (triangles := _clipped(rim, flat, size)) is not None:
        return nothing, triangles
    around = np.arange(count)
    star = np.stack([around, np.roll(around, -1), np.full(count, count)], 1)
    return rim.mean(0, keepdims=True), star


def _fan(count: int) -> np.ndarray:
    step = np.arange(1, count - 1)
    return np.stack([np.zeros_like(step), step, step + 1], 1)


def _inner(flat: np.ndarray, rim: np.ndarray) -> np.ndarray:
    """(m, 2) points of a grid of equal triangles within the outline `flat` (n, 2), none for a small one."""
    span = np.ptp(flat, axis=0).max()
    edge = float(np.median(np.linalg.norm(np.roll(rim, -1, 0) - rim, axis=1)))
    spacing = max(edge, span / _FINEST)
    if span < _LARGE * spacing:
        return np.zeros((0, 2))
    low, high = flat.min(0), flat.max(0)
    rows = np.arange(low[1] + spacing / 2, high[1], spacing * np.sqrt(3) / 2)
    columns = np.arange(low[0] - spacing / 2, high[0], spacing)
    x, y = np.meshgrid(columns, rows)
    x[1::2] += spacing / 2
    grid = np.stack([x.ravel(), y.ravel()], 1)
    ends = flat, np.roll(flat, -1, 0)
    grid = grid[_inside(grid, *ends)]
    # A circle over each edge of the rim stays free, so that Delaunay's triangles have the edge.
    middle, radius = (ends[0] + ends[1]) / 2, np.linalg.norm(ends[1] - ends[0], axis=1) / 2
    for a, b, m, r in zip(*ends, middle, radius, strict=True):
        near = _distance(grid, a, b) < _CLEAR * spacing
        grid = grid[~near & (np.linalg.norm(grid - m, axis=1) > 1.01 * r)]
    return grid


def _distance(points: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(n,) of points (n, 2) to the line from a to b."""
    along = b - a
    part = np.clip((points - a) @ along / max(float(along @ along), 1e-300), 0, 1)
    return np.linalg.norm(points - a - part[:, None] * along, axis=1)


def _inside(points: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """(n,) bool, which points (n, 2) lie in the outline of edges from `start` to `end` (k, 2): rays to the right cross
    it an odd number of times."""
    odd = np.zeros(len(points), bool)
    for a, b in zip(start, end, strict=True):
        between = (a[1] > points[:, 1]) != (b[1] > points[:, 1])
        if between.any():
            at = a[0] + (points[between, 1] - a[1]) * (b[0] - a[0]) / (b[1] - a[1])
            odd[between] ^= points[between, 0] < at
    return odd


def _delaunay(points: np.ndarray, count: int, size: float) -> np.ndarray | None:
    """Delaunay's triangles (t, 3) of points (n, 2) within the outline that the first `count` are; None unless they fill
    it to its edges."""
    try:
        found = Delaunay(points).simplices.astype(np.int64)
    except (QhullError, ValueError):
        return None
    a, b, c = points[found].transpose(1, 0, 2)
    area = _cross(b - a, c - a) / 2
    found[area < 0] = found[area < 0][:, ::-1]
    outline = points[:count]
    kept = _inside(points[found].mean(1), outline, np.roll(outline, -1, 0)) & (np.abs(area) > 0)
    found = found[kept]
    return found if _fills(found, count, len(points), np.abs(area[kept]).sum(), size) else None


def _fills(triangles: np.ndarray, count: int, points: int, area: float, size: float) -> bool:
    """Whether triangles cover an outline of `count` corners once, and have all points."""
    if abs(area - size) > 1e-6 * size or len(np.unique(triangles)) != points:
        return False
    ends = np.stack([triangles, np.roll(triangles, -1, axis=1)], 2).reshape(-1, 2)
    forward, back = ends[:, 0] * points + ends[:, 1], ends[:, 1] * points + ends[:, 0]
    around = np.arange(count)
    rim = around * points + np.roll(around, -1)
    return np.array_equal(np.sort(forward[~np.isin(forward, back)]), np.sort(rim))


def _clipped(rim: np.ndarray, flat: np.ndarray, size: float) -> np.ndarray | None:
    """Triangles between the corners of an outline; None where it crosses itself."""
    count = len(rim)
    try:
        found = triangulate(rim, np.array([count]), np.arange(count), "hole")
    except InputError:  # so many notches that it would take minutes
        return None
    a, b, c = flat[found].transpose(1, 0, 2)
    area = _cross(b - a, c - a) / 2
    return found if (area > 0).all() and _fills(found, count, count, area.sum(), size) else None


def _raised(rim: np.ndarray, flat: np.ndarray, inner: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """(m, 3) places of inner points (m, 2): a sheet stretched over the rim."""
    if not len(inner):
        return np.zeros((0, 3))
    count, points = len(rim), np.concatenate([flat, inner])
    ends = np.stack([triangles, np.roll(triangles, -1, axis=1)], 2).reshape(-1, 2)
    ends = np.unique(np.sort(ends, axis=1), axis=0)
    weight = 1 / np.maximum(np.linalg.norm(points[ends[:, 0]] - points[ends[:, 1]], axis=1), 1e-12)
    graph = sp.coo_matrix((np.r_[weight, weight], (np.r_[ends[:, 0], ends[:, 1]], np.r_[ends[:, 1], ends[:, 0]])))
    graph = graph.tocsr()[count:]
    degree = sp.diags(np.asarray(graph.sum(1)).ravel())
    # What is not flat about the rim is spread over the sheet; on the plane, inner points stay where they are.
    plane, *_ = np.linalg.lstsq(np.c_[flat, np.ones(count)], rim, rcond=None)
    left = spsolve((degree - graph[:, count:]).tocsc(), graph[:, :count] @ (rim - np.c_[flat, np.ones(count)] @ plane))
    return np.c_[inner, np.ones(len(inner))] @ plane + left.reshape(-1, 3)


def _cross(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    return u[..., 0] * v[..., 1] - u[..., 1] * v[..., 0]
