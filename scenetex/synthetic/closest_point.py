"""The nearest point of a mesh."""

import numpy as np
from scipy.spatial import cKDTree

from ..scene.mesh import Mesh

_SPACING = 0.04
# No point of a face is farther from all of its samples: the row below it is at most one spacing away.
_REACH = 1.12 * _SPACING


class ClosestFace:
    """Nearest surface points of a mesh whose faces all have area; only of the faces in `keep` (f,) bool."""

    def __init__(self, mesh: Mesh, keep: np.ndarray):
        self._triangles = mesh.triangles
        kept = np.flatnonzero(keep)
        points, face = _scatter(self._triangles[kept])
        self._face = kept[face].astype(np.int32)
        self._tree = cKDTree(points)

    def __call__(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The nearest surface point of each of `points` (n, 3), metres.

        Returns:
            Nearest points (n, 3) float64, their faces (n,) int32, distances (n,) float64.
        """
        points = np.asarray(points, np.float64)
        best = np.full(len(points), np.inf)
        nearest, face = np.zeros_like(points), np.zeros(len(points), np.int32)
        for start in range(0, len(points), 1 << 16):
            rows = np.arange(start, min(start + (1 << 16), len(points)))
            seen, count = 0, 8
            while len(rows):
                count = min(count, len(self._face))
                apart, sample = self._tree.query(points[rows], k=np.arange(seen + 1, count + 1))
                for column in range(count - seen):
                    # Faces whose samples are this far away cannot come nearer than the best so far.
                    ids = self._face[sample[:, column]]
                    near = (apart[:, column] < best[rows] + _REACH) & ((ids != face[rows]) | np.isinf(best[rows]))
                    close, ids = rows[near], ids[near]
                    on = closest_on_triangles(points[close], self._triangles[ids])
                    far = np.linalg.norm(on - points[close], axis=1)
                    better = far < best[close]
                    won = close[better]
                    best[won], nearest[won], face[won] = far[better], on[better], ids[better]
                if count == len(self._face):
                    break
                rows = rows[apart[:, -1] < best[rows] + _REACH]
                seen, count = count, count * 4
        return nearest, face, best


def _scatter(triangles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Regular samples on triangles (f, 3, 3), at most `_SPACING` apart: points (n, 3) and their faces (n,) int32."""
    # Rows run along the longest side, so that slivers are not sampled more densely than others.
    sides = np.linalg.norm(np.roll(triangles, -1, axis=1) - triangles, axis=2)
    turn = np.argmax(sides, axis=1)
    turned = np.take_along_axis(triangles, ((turn[:, None] + np.arange(3)) % 3)[..., None], axis=1)
    longest = sides.max(1)
    doubled = np.linalg.norm(np.cross(turned[:, 1] - turned[:, 0], turned[:, 2] - turned[:, 0]), axis=1)
    columns = np.ceil(longest / _SPACING).astype(int)
    rows = np.ceil(doubled / longest / _SPACING).astype(int)
    points, faces = [], []
    for count, lines in np.unique(np.stack([columns, rows], 1), axis=0):
        ids = np.flatnonzero((columns == count) & (rows == lines))
        weights = _row_weights(count, lines)
        points.append((weights @ turned[ids]).reshape(-1, 3))
        faces.append(np.repeat(ids, len(weights)))
    return np.concatenate(points), np.concatenate(faces).astype(np.int32)


def _row_weights(columns: int, rows: int) -> np.ndarray:
    """Barycentric weights (n, 3) of samples in rows parallel to a triangle's first side."""
    out = []
    for height in np.arange(rows + 1) / rows:
        across = np.linspace(0, 1 - height, max(int(np.ceil(columns * (1 - height))), 1) + 1)
        out.append(np.stack([1 - height - across, across, np.full(len(across), height)], 1))
    return np.concatenate(out)


def closest_on_triangles(points: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """The point of each triangle (n, 3, 3) nearest to the point (n, 3) beside it: (n, 3) float64."""
    a, ab, ac = triangles[:, 0], triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0]
    way = points - a
    d11, d12, d22 = (ab * ab).sum(1), (ab * ac).sum(1), (ac * ac).sum(1)
    p1, p2 = (way * ab).sum(1), (way * ac).sum(1)
    scale = np.maximum(d11 * d22 - d12 * d12, 1e-30)
    v, w = (d22 * p1 - d12 * p2) / scale, (d11 * p2 - d12 * p1) / scale
    inside = (v >= 0) & (w >= 0) & (v + w <= 1)
    out = a + v[:, None] * ab + w[:, None] * ac
    best = np.where(inside, 0.0, np.inf)
    for start, edge in ((a, ab), (a, ac), (triangles[:, 1], ac - ab)):
        t = np.clip(((points - start) * edge).sum(1) / np.maximum((edge * edge).sum(1), 1e-30), 0, 1)
        on = start + t[:, None] * edge
        far = ((on - points) ** 2).sum(1)
        better = far < best
        best = np.where(better, far, best)
        out = np.where(better[:, None], on, out)
    return out
