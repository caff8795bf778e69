"""The nearest point of a mesh."""

import numpy as np
from scipy.spatial import cKDTree

from ..scene.mesh import Mesh

_SPACING = 0.04


class ClosestFace:
    """Nearest surface points of a mesh whose faces all have area."""

    def __init__(self, mesh: Mesh):
        self._triangles = mesh.triangles
        points, self._face = _scatter(self._triangles)
        self._tree = cKDTree(points)

    def __call__(self, points: np.ndarray, candidates: int = 12) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The nearest surface point of each of `points` (n, 3), metres.

        Exact for points much nearer to the surface than 4 cm, the spacing of the samples that pick the `candidates`.

        Returns:
            Nearest points (n, 3) float64, their faces (n,) int32, distances (n,) float64.
        """
        points = np.asarray(points, np.float64)
        best = np.full(len(points), np.inf)
        nearest, face = np.zeros_like(points), np.zeros(len(points), np.int32)
        for start in range(0, len(points), 1 << 16):
            part = slice(start, start + (1 << 16))
            _, sample = self._tree.query(points[part], k=candidates)
            for column in range(candidates):
                ids = self._face[sample[:, column]]
                on = closest_on_triangles(points[part], self._triangles[ids])
                far = np.linalg.norm(on - points[part], axis=1)
                better = far < best[part]
                best[part] = np.where(better, far, best[part])
                nearest[part] = np.where(better[:, None], on, nearest[part])
                face[part] = np.where(better, ids, face[part])
        return nearest, face, best


def _scatter(triangles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Regular samples on triangles (f, 3, 3), about `_SPACING` apart: points (n, 3) and their faces (n,) int32."""
    sides = np.linalg.norm(triangles - np.roll(triangles, 1, axis=1), axis=2).max(1)
    steps = np.clip(np.ceil(sides / _SPACING), 1, 400).astype(int)
    points, faces = [], []
    for count in np.unique(steps):
        ids = np.flatnonzero(steps == count)
        i, j = np.meshgrid(np.arange(count + 1), np.arange(count + 1), indexing="ij")
        keep = i + j <= count
        u, v = i[keep] / count, j[keep] / count
        weights = np.stack([1 - u - v, u, v], 1)
        points.append((weights @ triangles[ids]).reshape(-1, 3))
        faces.append(np.repeat(ids, len(weights)))
    return np.concatenate(points), np.concatenate(faces).astype(np.int32)


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
