"""Polygons of any outline, notches included, as triangles."""

import numpy as np

from ..errors import InputError
from .mesh import fan_triangles

_BLOCK = 1 << 14  # triangles looked at together
_MOST_WORK = 1_000_000_000  # corners compared while ears are clipped: some ten seconds
_ROUND = 1000  # corners that could be compared in the time that starting to takes


def triangulate(vertices: np.ndarray, counts: np.ndarray, corners: np.ndarray, where: str) -> np.ndarray:
    """Triangles that cover each polygon once: a fan from its first corner where that does, as for all convex ones, else
    from the corner of its notch, else by clipping ears.

    Polygons that are not flat are looked at along their mean normal. Polygons of fewer than 3 corners vanish; any other
    becomes 2 triangles fewer than it has corners.

    Args:
        vertices: (n, 3) float64.
        counts: (p,) int64, corners of each polygon.
        corners: (sum of counts,) int64, their vertex indices one polygon after the other.
        where: what an error names.

    Returns:
        (f, 3) int64, in the polygons' order. Where an index is out of range, plain fans, for the caller to refuse.

    Raises:
        InputError: outlines with so many notches and corners that cutting them would take minutes.
    """
    triangles = fan_triangles(counts, corners)
    if not len(triangles) or counts.max() == 3 or corners.min() < 0 or corners.max() >= len(vertices):
        return triangles
    cut = np.maximum(counts - 2, 0)
    starts, firsts = np.cumsum(counts) - counts, np.cumsum(cut) - cut
    left = _MOST_WORK
    for polygon in _folded(vertices, triangles, cut):
        outline = corners[starts[polygon] : starts[polygon] + counts[polygon]]
        pieces, work = _cut(flattened(vertices[outline]), left)
        left -= work
        if left <= 0:
            raise InputError(f"{where}: its polygons have too many corners and notches; triangulate it on export")
        triangles[firsts[polygon] : firsts[polygon] + cut[polygon]] = outline[pieces]
    return triangles


def triangle_corners(vertices: np.ndarray, counts: np.ndarray, corners: np.ndarray, where: str) -> np.ndarray:
    """As `triangulate`, as positions (f, 3) int64 in `corners`, for what else the corners have."""
    places = np.arange(len(corners))
    if not len(corners) or counts.max(initial=0) <= 3 or corners.min() < 0 or corners.max() >= len(vertices):
        return fan_triangles(counts, places)
    return triangulate(vertices[corners], counts, places, where)


def strip_triangles(corners: np.ndarray) -> np.ndarray:
    """(f, 3) int64 triangles of strips of vertex indices `corners` (n,), -1 between strips: every corner makes one with
    the two before it, every second one turned. Those with a corner twice, which only lead on, are left out."""
    ends = np.flatnonzero(corners == -1)
    at = np.arange(len(corners)) - np.concatenate([[0], ends + 1])[np.searchsorted(ends, np.arange(len(corners)))]
    a, b, c = corners[:-2], corners[1:-1], corners[2:]
    # Indices below -1 pass, for the caller to refuse.
    whole = (a != -1) & (b != -1) & (c != -1) & (a != b) & (b != c) & (c != a)
    turned = at[2:] % 2 == 1
    return np.stack([np.where(turned, b, a), np.where(turned, a, b), c], 1)[whole]


def _folded(vertices: np.ndarray, triangles: np.ndarray, cut: np.ndarray) -> np.ndarray:
    """Numbers of the polygons, cut into fans of `cut` triangles each, whose fan goes over an edge of the outline: one
    of its triangles faces away."""
    polygon_of = np.repeat(np.arange(len(cut), dtype=np.int32), cut)
    blocks = [slice(at, at + _BLOCK) for at in range(0, len(triangles), _BLOCK)]
    # The sum over a fan is twice the polygon's area vector, whichever corner it starts from.
    normals = np.zeros((len(cut), 3))
    with np.errstate(all="ignore"):
        for block in blocks:
            np.add.at(normals, polygon_of[block], _face_cross(vertices, triangles[block]))
        found = []
        for block in blocks:
            normal = normals[polygon_of[block]]
            facing = np.einsum("fi,fi->f", _face_cross(vertices, triangles[block]), normal)
            turned = facing < -1e-9 * np.einsum("fi,fi->f", normal, normal)
            found.append(np.unique(polygon_of[block][turned]))
    return np.unique(np.concatenate(found))


def _face_cross(vertices: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    a, b, c = vertices[triangles].transpose(1, 0, 2)
    return np.cross(b - a, c - a)


def _cut(flat: np.ndarray, most_work: int) -> tuple[np.ndarray, int]:
    """(n - 2, 3) int64 positions in an outline `flat` (n, 2) with notches, and the work it took, see `_clipped`."""
    count = len(flat)
    before, after = np.roll(flat, 1, 0), np.roll(flat, -1, 0)
    reflex = np.flatnonzero(_cross(flat - before, after - flat) < 0)
    step = np.arange(1, count - 1)
    # With one notch in it, the notch's corner sees all of a polygon.
    for corner in reflex[:4]:
        fan = (np.stack([np.zeros_like(step), step, step + 1], 1) + corner) % count
        a, b, c = flat[fan].transpose(1, 0, 2)
        if (_cross(b - a, c - a) >= 0).all():
            return fan, count
    return _clipped(flat, most_work)


def flattened(outline: np.ndarray) -> np.ndarray:
    """(n, 2) float64: the outline seen along its normal, counter-clockwise."""
    points = outline - outline[0]
    normal = np.cross(points, np.roll(points, -1, 0)).sum(0)
    normal /= max(np.linalg.norm(normal), 1e-300)
    right = np.cross(normal, np.eye(3)[np.abs(normal).argmin()])
    right /= max(np.linalg.norm(right), 1e-300)
    return points @ np.stack([right, np.cross(normal, right)], 1)


def _clipped(flat: np.ndarray, most_work: int) -> tuple[np.ndarray, int]:
    """Ear clipping: cuts off corner after corner whose triangle has no other corner in it. Ends early, with an empty
    result, after `most_work`."""
    left, triangles = list(range(len(flat))), []
    at = tried = work = 0
    while len(left) > 3:
        i, j, k = left[at - 1], left[at], left[(at + 1) % len(left)]
        work += len(left) + _ROUND
        if work > most_work:
            return np.zeros((0, 3), np.int64), work
        # Where every corner was tried, the outline crosses itself: any will do.
        if tried >= len(left) or _is_ear(flat, left, i, j, k):
            triangles.append((i, j, k))
            del left[at]
            at, tried = (at - 1) % len(left), 0
        else:
            at, tried = (at + 1) % len(left), tried + 1
    return np.array([*triangles, left]), work


def _is_ear(flat: np.ndarray, left: list[int], i: int, j: int, k: int) -> bool:
    a, b, c = flat[i], flat[j], flat[k]
    if _cross(b - a, c - b) <= 0:
        return False
    others = flat[left]
    inside = (_cross(b - a, others - a) >= 0) & (_cross(c - b, others - b) >= 0) & (_cross(a - c, others - c) >= 0)
    # Outlines with holes pass over a bridge twice: corners may lie on one another.
    corner = (others == a).all(1) | (others == b).all(1) | (others == c).all(1)
    return not (inside & ~corner).any()


def _cross(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    return u[..., 0] * v[..., 1] - u[..., 1] * v[..., 0]
