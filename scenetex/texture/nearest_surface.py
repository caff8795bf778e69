"""The place of one surface that is nearest to points of another, which lies close to it."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.spatial import cKDTree

from ..scene.mesh import Mesh
from ..views.raycast import RayCaster
from .subdivide import patches

_STEP_BACK = 1e-4  # of the radius: rays start that far behind a point, which may lie on the surface itself
_THROUGH = 3  # surfaces that turn their back, behind each of which another one may be meant
_SAMPLES_ACROSS = 150  # the square root of the area over the longest edge of what nearest points are looked up in
_TRIED = 8  # samples around a point whose faces are tried for the nearest point


@dataclass(frozen=True, eq=False)
class NearestSurface:
    """A surface that nearest places are asked of.

    Attributes:
        mesh: from `surface_of`: welded, about the origin.
    """

    mesh: Mesh

    @cached_property
    def _caster(self) -> RayCaster:
        return RayCaster(self.mesh.vertices, self.mesh.faces)

    @cached_property
    def _samples(self) -> tuple[cKDTree, np.ndarray]:
        """Middles of small pieces of the surface, and the face that each is of."""
        work = patches(self.mesh, float(np.sqrt(self.mesh.face_areas.sum())) / _SAMPLES_ACROSS)
        return cKDTree(work.mesh.triangles.mean(1)), work.parent

    def find(self, points: np.ndarray, normals: np.ndarray, reach: float) -> tuple[np.ndarray, np.ndarray]:
        """Where the surface is, seen from each point along its normal and against it: what is nearer, of what turns the
        same way, else of all; where there is nothing within `reach`, the nearest point in any direction.

        Args:
            points: (n, 3) float, metres.
            normals: (n, 3) float, unit.
            reach: metres.

        Returns:
            (n,) faces and (n, 2) float32 weights of their second and third corner.
        """
        back = _STEP_BACK * self.mesh.extent.radius
        best = np.full(len(points), np.inf)
        face, weights = np.full(len(points), -1), np.zeros((len(points), 2), np.float32)
        for side in (1, -1):
            rays, start = np.arange(len(points)), np.full(len(points), -back)
            for _ in range(_THROUGH):
                if not len(rays):
                    break
                way = side * normals[rays]
                hit = self._caster.cast(points[rays] + start[:, None] * way, way)
                place = start + hit["distance"]
                met = (hit["face"] >= 0) & (place <= reach)
                alike = np.einsum("ij,ij->i", self.mesh.face_cross[hit["face"]], normals[rays]) > 0
                # What turns its back comes after all that does not.
                away = np.abs(place) + np.where(alike, 0, reach)
                nearer = met & (away < best[rays])
                at = rays[nearer]
                best[at], face[at] = away[nearer], hit["face"][nearer]
                weights[at] = np.stack([hit["u"], hit["v"]], 1)[nearer]
                further = met & ~alike
                rays, start = rays[further], place[further] + back
        missed = np.flatnonzero(face < 0)
        if len(missed):
            face[missed], weights[missed] = self._nearest(points[missed])
        return face, weights

    def _nearest(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The nearest point of the surface, as `find` gives it."""
        tree, parent = self._samples
        tried = parent[tree.query(points, min(_TRIED, len(parent)))[1].reshape(len(points), -1)]
        best = np.full(len(points), np.inf)
        face, weights = np.zeros(len(points), np.int64), np.zeros((len(points), 2), np.float32)
        for candidate in tried.T:
            at, away = nearest_in_triangles(self.mesh.triangles[candidate], points)
            nearer = away < best
            best[nearer], face[nearer], weights[nearer] = away[nearer], candidate[nearer], at[nearer]
        return face, weights


def nearest_in_triangles(triangles: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The nearest point of a triangle each: its weights of the second and third corner (n, 2), and its distance (n,).

    Args:
        triangles: (n, 3, 3) float64, with area.
        points: (n, 3) float64.
    """
    origin, edges = triangles[:, 0], triangles[:, 1:] - triangles[:, :1]
    gram = np.einsum("nic,njc->nij", edges, edges)
    along = np.einsum("nic,nc->ni", edges, points - origin)
    area = np.maximum(gram[:, 0, 0] * gram[:, 1, 1] - gram[:, 0, 1] ** 2, 1e-300)
    inside = np.stack(
        [
            gram[:, 1, 1] * along[:, 0] - gram[:, 0, 1] * along[:, 1],
            gram[:, 0, 0] * along[:, 1] - gram[:, 0, 1] * along[:, 0],
        ],
        1,
    )
    inside /= area[:, None]
    within = (inside >= 0).all(1) & (inside.sum(1) <= 1)
    best = np.where(within, 0.0, np.inf)
    weights = inside
    # Outside, the nearest point lies on one of the edges.
    corners = np.array([[0.0, 0], [1, 0], [0, 1]])
    for start, end in ((0, 1), (1, 2), (2, 0)):
        way = triangles[:, end] - triangles[:, start]
        length = np.maximum(np.einsum("nc,nc->n", way, way), 1e-300)
        part = np.clip(np.einsum("nc,nc->n", points - triangles[:, start], way) / length, 0, 1)
        away = np.linalg.norm(triangles[:, start] + part[:, None] * way - points, axis=1)
        at = corners[start] + part[:, None] * (corners[end] - corners[start])
        nearer = ~within & (away < best)
        best, weights = np.where(nearer, away, best), np.where(nearer[:, None], at, weights)
    place = origin + np.einsum("ni,nic->nc", weights, edges)
    return weights, np.linalg.norm(place - points, axis=1)
