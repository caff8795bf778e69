"""How much of the surface frames see, and how well, counted at points spread evenly over it."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..scene.mesh import Mesh

_POINTS = 16_384  # a choice's share of the surface is known to about 0.1 %
_ENTRIES = 4_000_000  # candidates times points that overlaps are measured on, at most: what a moment suffices for
_BEHIND = 0.1  # worth of the back of a face, over its front: textures have the front only
_GOLDEN = 0.7548776662466927, 0.5698402909980532  # Roberts's R2 sequence: fills a square evenly, point by point


@dataclass(frozen=True, eq=False)
class SurfacePoints:
    """Points that stand for equal areas of a mesh, wherever it lies and whatever its unit.

    Attributes:
        places: (n, 3) float64, world.
        normals: (n, 3) float32 unit normals of their faces.
    """

    places: np.ndarray
    normals: np.ndarray

    @classmethod
    def of(cls, mesh: Mesh, count: int = _POINTS) -> "SurfacePoints":
        """The same points for the same mesh. Faces without an area get none; a mesh of no others gives no points."""
        area = np.nan_to_num(mesh.face_areas, nan=0.0, posinf=0.0)
        total = np.cumsum(area)
        if not len(total) or not total[-1] > 0:
            return cls(np.zeros((0, 3)), np.zeros((0, 3), np.float32))
        # Faces lie beside each other in most meshes: equal steps through their areas spread points over the surface.
        face = np.searchsorted(total, (np.arange(count) + 0.5) / count * total[-1], side="right")
        face = np.minimum(face, np.flatnonzero(area)[-1])
        u, v = (np.arange(1, count + 1)[:, None] * np.array(_GOLDEN) % 1).T
        u, v = np.where(u + v > 1, [1 - u, 1 - v], [u, v])
        a, b, c = np.moveaxis(mesh.triangles[face], 1, 0)
        return cls(a + u[:, None] * (b - a) + v[:, None] * (c - a), mesh.face_normals[face].astype(np.float32))


@dataclass(frozen=True, eq=False)
class Sighting:
    """Points of the surface that a frame sees.

    Attributes:
        index: (p,) int32, ascending: a point's number, plus the number of all points where its back is seen.
        density: (p,) float32, pixels per metre of surface, in the direction it is slanted most.
        size: (p,) float32, how much of the image the point stands for, in any unit.
    """

    index: np.ndarray
    density: np.ndarray
    size: np.ndarray


@dataclass(frozen=True, eq=False)
class Coverage:
    """Which sides of the points each candidate sees, and how well.

    Attributes:
        points: how many points there are. Their fronts are sides 0 to `points` - 1, their backs the same plus `points`.
        sides: per candidate, (p,) int32 sides it sees, ascending.
        quality: per candidate, (p,) float32 in (0, 1]: resolution over what is useful or to be had there.
        share: per candidate, (p,) float32, fraction of its image's surface that the side takes up.
    """

    points: int
    sides: list[np.ndarray]
    quality: list[np.ndarray]
    share: list[np.ndarray]

    def __len__(self) -> int:
        return len(self.sides)

    @cached_property
    def weight(self) -> np.ndarray:
        """(2 * points,) float64, what each side counts for: its share of the surface, or less if it is a back."""
        return np.repeat([1.0, _BEHIND], self.points) / self.points

    def share_seen(self, candidates: Iterable[int]) -> float:
        """Share of the surface whose front at least one of the candidates sees: what a texture has colour for."""
        seen = np.zeros(2 * self.points, bool)
        for i in candidates:
            seen[self.sides[i]] = True
        return float(seen[: self.points].mean())

    @cached_property
    def overlaps(self) -> np.ndarray:
        """(m, m) float32: for two candidates the smaller of the parts that the other one sees, too; 0 for one alone."""
        step = -(-len(self) * self.points // _ENTRIES) or 1
        seen, share = (np.zeros((len(self), 2 * self.points // step + 1), np.float32) for _ in range(2))
        for i, side in enumerate(self.sides):
            thin = side % step == 0
            seen[i, side[thin] // step] = 1
            share[i, side[thin] // step] = self.share[i][thin]
        share /= np.maximum(share.sum(1, keepdims=True), 1e-30)
        part = share @ seen.T
        np.fill_diagonal(part, 0)
        return np.minimum(part, part.T)


def measure_coverage(sightings: list[Sighting], points: int, useful: bool = True) -> Coverage:
    """From what each candidate sees of so many `points`.

    `useful`: quality is over a resolution that is enough; else over the best there is of each side.
    """
    index = np.concatenate([sighting.index for sighting in sightings])
    density = np.concatenate([sighting.density for sighting in sightings]).astype(np.float64)
    best = np.zeros(2 * points)
    np.maximum.at(best, index, density)
    # What only ever is seen from afar counts as seen well from there.
    wanted = np.minimum(best, np.median(density) if len(density) else 0.0) if useful else best
    coverage = Coverage(points, [], [], [])
    for sighting in sightings:
        coverage.sides.append(sighting.index)
        coverage.quality.append(np.minimum(sighting.density / wanted[sighting.index], 1).astype(np.float32))
        coverage.share.append(sighting.size / max(float(sighting.size.sum()), 1e-30))
    return coverage
