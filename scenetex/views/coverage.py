"""How much of the surface a choice of frames covers, counted in patches of a few centimetres."""

import bisect
from dataclasses import dataclass

import numpy as np

from .sightings import Glance

# Patches are this many coarse pixels wide at the middle distance, so that two looks at a surface hit the same patches.
_PIXELS_PER_PATCH = 3.0


@dataclass(frozen=True, eq=False)
class Coverage:
    """Which patches of the surface each candidate sees, and how well.

    A patch is a cell of a grid in space together with the side it is seen from, so that large triangles and small ones
    count alike, and a thin wall has two sides to be seen.

    Attributes:
        weight: (n,) float64, surface within each patch, in units of a full patch.
        patches: per candidate, (p,) int32 ids of the patches it sees, ascending.
        quality: per candidate, (p,) float64 in (0, 1]: resolution on the patch over what is useful or to be had there.
        share: per candidate, (p,) float64, fraction of its pixels with surface that see the patch.
    """

    weight: np.ndarray
    patches: list[np.ndarray]
    quality: list[np.ndarray]
    share: list[np.ndarray]

    @property
    def typical_sight(self) -> float:
        """Surface that the middle candidate sees, in full patches."""
        return float(np.median([(self.weight[i] * q).sum() for i, q in zip(self.patches, self.quality, strict=True)]))

    def overlap(self, earlier: int, later: int) -> float:
        """Fraction of what the later candidate sees that the earlier one sees too, by patches."""
        return float(self.share[later][np.isin(self.patches[later], self.patches[earlier], assume_unique=True)].sum())


def measure_coverage(glances: list[Glance]) -> Coverage:
    """Cuts what the glances see into patches. At least one of them has to see something."""
    density = np.concatenate([glance.density for glance in glances])
    useful = float(np.median(density))
    cell = _PIXELS_PER_PATCH / useful
    origin, axes = _grid(glances)
    rows = [_patches_of(glance, cell, origin, axes) for glance in glances]
    keys = np.concatenate([row[0] for row in rows])
    _, ids = np.unique(keys, return_inverse=True)
    count = ids.max() + 1
    best, weight = np.zeros(count), np.zeros(count)
    np.maximum.at(best, ids, np.concatenate([row[1] for row in rows]))
    np.maximum.at(weight, ids, np.concatenate([row[2] for row in rows]) / cell**2)
    # What only ever is seen from afar counts as seen well from there.
    wanted = np.minimum(best, useful)
    coverage = Coverage(np.minimum(weight, 1.0), [], [], [])
    start = 0
    for row in rows:
        mine = ids[start : start + len(row[0])]
        start += len(row[0])
        coverage.patches.append(mine.astype(np.int32))
        coverage.quality.append(np.minimum(row[1] / wanted[mine], 1.0))
        coverage.share.append(row[3])
    return coverage


def _grid(glances: list[Glance]) -> tuple[np.ndarray, np.ndarray]:
    """Origin (3,) and axes (3, 3) of a grid that moves and turns with the scene: along most of its walls."""
    count = sum(len(glance.points) for glance in glances)
    origin = sum(glance.points.sum(0, dtype=np.float64) for glance in glances) / count
    share = [glance.area / glance.depth.mean() ** 2 for glance in glances if len(glance.points)]
    normals = [glance.towards for glance in glances if len(glance.points)]
    spread = sum(np.einsum("n,ni,nj->ij", w, n, n, dtype=np.float64) for w, n in zip(share, normals, strict=True))
    return origin, np.linalg.eigh(spread)[1]


def _patches_of(glance: Glance, cell: float, origin: np.ndarray, axes: np.ndarray) -> tuple[np.ndarray, ...]:
    """A glance's patches: keys ascending, best density, surface area, share of its pixels."""
    if not len(glance.points):
        return np.zeros(0, np.int64), *(np.zeros(0) for _ in range(3))
    # Half a cell on: where all surface is one plane, that plane is not where two cells meet.
    place = np.floor((glance.points - origin) @ axes / cell + 0.5).astype(np.int64) + (1 << 19)
    towards = glance.towards @ axes
    axis = np.abs(towards).argmax(1)
    side = 2 * axis + (np.take_along_axis(towards, axis[:, None], 1)[:, 0] > 0)
    # Wrapped at a million cells per axis: far beyond any building, and harmless.
    place &= (1 << 20) - 1
    key = ((place[:, 0] << 20 | place[:, 1]) << 20 | place[:, 2]) << 3 | side
    keys, ids, counts = np.unique(key, return_inverse=True, return_counts=True)
    density = np.zeros(len(keys))
    np.maximum.at(density, ids, glance.density)
    area = np.bincount(ids, glance.area, len(keys))
    return keys, density, area, counts / len(glance.points)


class Chooser:
    """A growing choice of candidates, and what each further one would add to it."""

    def __init__(self, coverage: Coverage, overlap: float):
        self._coverage, self._overlap = coverage, overlap
        self._looks = np.zeros(len(coverage.weight))
        self._best = np.zeros(len(coverage.weight))
        self._links: dict[tuple[int, int], float] = {}
        self.chosen: list[int] = []

    def add(self, candidate: int) -> None:
        """Takes a candidate into the choice."""
        ids, quality = self._coverage.patches[candidate], self._coverage.quality[candidate]
        self._looks[ids] += quality
        self._best[ids] = np.maximum(self._best[ids], quality)
        bisect.insort(self.chosen, candidate)

    def news(self, candidate: int) -> float:
        """Surface that the candidate sees better than all chosen ones, in full patches. Shrinks as others are added."""
        ids, quality = self._coverage.patches[candidate], self._coverage.quality[candidate]
        return float((self._coverage.weight[ids] * np.maximum(quality - self._best[ids], 0)).sum())

    def company(self, candidate: int) -> float:
        """Surface that the candidate sees, in full patches, a look at what k others see well counted as overlap ** k.

        Neighbours that overlap by 0.6 see a patch 1 / (1 - 0.6) times in a row, which is what that series sums up to.
        Shrinks as others are added.
        """
        ids, quality = self._coverage.patches[candidate], self._coverage.quality[candidate]
        return float((self._coverage.weight[ids] * quality * self._overlap ** self._looks[ids]).sum())

    def links(self, candidate: int) -> float:
        """How much better the chosen ones hang together with the candidate between its neighbours: -1 to 2.

        A pair of neighbours counts as 1 once it overlaps as wanted.
        """
        at = bisect.bisect(self.chosen, candidate)
        before, behind = self.chosen[max(at - 1, 0) : at], self.chosen[at : at + 1]
        gained = sum(self._link(a, candidate) for a in before) + sum(self._link(candidate, b) for b in behind)
        return gained - sum(self._link(a, b) for a in before for b in behind)

    def _link(self, earlier: int, later: int) -> float:
        if (earlier, later) not in self._links:
            self._links[earlier, later] = min(1.0, self._coverage.overlap(earlier, later) / self._overlap)
        return self._links[earlier, later]
