"""Small shifts within photos that bring them onto one texture: what no camera before a mesh explains.

The non-rigid part of Zhou and Koltun 2014, "Color map optimization for 3D reconstruction with consumer depth cameras":
a lattice of offsets over each photo, against what the other photos give the surface.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import cv2
import numpy as np
import scipy.sparse as sp

from ..process.threads import threads
from .drift import Moved, common_drift, motion, tangents
from .exposure import Exposure
from .lattice import Gram, on_finer
from .photo_reader import ROOM, Pictures
from .projection import Photo, Surface, on_lattice, points_seen, sample

_POINTS = 40_000
_WIDTH = 640  # photos are compared at this width, or less: a tenth of its pixels is enough
# Coarse to fine: sigma of the photos' blur, pixels of a 640-pixel photo, and columns and rows of the lattice.
_LEVELS = (12.0, 3, 4), (6.0, 5, 5), (3.0, 9, 7), (1.5, 13, 10)
_ROUNDS = 3
_HUBER, _CLIP = 8.0, 40.0  # working values
_DOUBT = 30.0  # working values by which a sighting that misses its point's mean loses half its weight
# To pay, an offset, or a bend between three neighbouring nodes, of so many pixels of a 640-pixel photo must lower the
# error of every point by as many working values.
_STIFF_SHIFT, _STIFF_BEND, _STIFF_VALUE = 2.0, 3.0, 4.0
_SMOOTH = 0.1  # squared pixels by which a lattice may miss the drift that is taken out of it, in place of a bend
_WORTHWHILE = 0.97  # of the error against photos that a photo was not fitted to


def align(surface: Surface, shots: list[Photo], exposure: Exposure) -> list[Photo]:
    """Gives photos the `shift` with which they agree, beside that which they may have.

    The photos are two classes, each fitted to what the other one shows, from blurred to sharp. What all photos of a
    point share is taken out again, so that the texture stays where they have it on average. A photo keeps its shift
    only if it then agrees better with the photos of its own class, which it was not fitted to.

    Args:
        surface: of the mesh, in the photos' frame.
        shots: the photos.
        exposure: what brings them to one exposure.
    """
    with ThreadPoolExecutor(threads() or os.cpu_count()) as pool:
        problem = _Problem(surface.scattered(_POINTS), shots, exposure, pool)
        for sigma, columns, rows in _LEVELS:
            problem.enter(sigma, (rows, columns))
            for _ in range(_ROUNDS):
                problem.step()
                problem.settle()
        shifts, after = problem.shifts, problem.errors()
        problem.shifts = np.zeros_like(shifts)
        before = problem.errors()
    return [
        _shifted(shot, shift / shrink) if better else shot
        for shot, shift, shrink, better in zip(
            shots, shifts, problem.shrinks, after < _WORTHWHILE * before, strict=True
        )
    ]


def _shifted(shot: Photo, shift: np.ndarray) -> Photo:
    """The photo with a shift (rows, columns, 2) beside the one it has."""
    if shot.shift is not None:
        shift = on_finer(shift, shot.shift.shape[:2]) + shot.shift
    return replace(shot, shift=np.float32(shift))


@dataclass(frozen=True, eq=False)
class _Seen:
    """Points that one photo shows: their numbers (k,), pixels (k, 2) of the small photo, weights (k,), and by how many
    pixels they move along two tangents of the surface, per metre (k, 2 pixel, 2 tangent)."""

    index: np.ndarray
    pixel: np.ndarray
    weight: np.ndarray
    by_tangent: np.ndarray


class _Problem:
    """The state of the optimisation: every photo's shifts (m, rows, columns, 2), pixels of the small photos.

    What is done for a photo by itself is done by the threads of `pool`.
    """

    def __init__(self, points: Surface, shots: list[Photo], exposure: Exposure, pool: ThreadPoolExecutor):
        self.pool = pool
        self.count = len(points.vertices)
        self.shrinks = [min(1.0, _WIDTH / shot.size[0]) for shot in shots]
        self.sizes = [tuple(round(n * s) for n in shot.size[::-1]) for shot, s in zip(shots, self.shrinks, strict=True)]
        self.units = [width / _WIDTH for _, width in self.sizes]
        along = tangents(points.vertex_normals)

        def look(i: int) -> tuple[_Seen, np.ndarray]:
            grey = exposure.level(
                cv2.resize(shots[i].image, self.sizes[i][::-1], interpolation=cv2.INTER_AREA), i
            ).mean(2)
            return self._seen(points, along, shots[i], self.shrinks[i]), grey

        self.seen, self.greys = zip(*pool.map(look, range(len(shots))), strict=True)
        self.shifts = np.zeros((len(shots), 2, 2, 2))

    def _seen(self, points: Surface, along: np.ndarray, shot: Photo, shrink: float) -> _Seen:
        at, seen = points_seen(points, shot)
        clear = seen.clearance > 0.006 * shot.size[0]  # silhouettes may show what is behind
        index = seen.index[clear]
        pixel = (np.stack([seen.u[clear], seen.v[clear]], 1) + 0.5) * shrink - 0.5
        turn, shift = shot.world_to_cam[:3, :3], shot.world_to_cam[:3, 3]
        local = points.vertices[index] @ turn.T + shift
        by_tangent = motion(local, along[:, index] @ turn.T, shrink * shot.intrinsics).transpose(1, 2, 0)
        weight = at.cosine[index] * at.resolution[index]
        return _Seen(index, pixel, weight / max(weight.mean(), 1e-9), by_tangent)

    def enter(self, sigma: float, lattice: tuple[int, int]) -> None:
        """Goes on at this blur with a lattice of so many rows and columns."""
        greys, units = self.greys, self.units

        def layers(i: int) -> np.ndarray:
            smooth = cv2.GaussianBlur(greys[i], (0, 0), sigma * units[i])
            across, down = (cv2.Sobel(smooth, cv2.CV_32F, dx, 1 - dx, scale=1 / 8) for dx in (1, 0))
            return cv2.merge([smooth, across, down])

        self.layers = Pictures([size[::-1] for size in self.sizes], layers, ROOM)
        self.basis = [_shares(s.pixel, lattice, size) for s, size in zip(self.seen, self.sizes, strict=True)]
        self.gram = list(self.pool.map(Gram, self.basis))
        self.shifts = np.stack([on_finer(shift, lattice) for shift in self.shifts])
        bend = _bends(lattice)
        prior = np.eye(bend.shape[1]) / _STIFF_SHIFT**2 + (bend.T @ bend).toarray() / _STIFF_BEND**2
        prior /= bend.shape[1]
        self.prior = prior * _STIFF_VALUE**2
        # Of points that all count alike, which those of a drift do.
        self.even = [
            gram(np.ones(len(seen.index)))[0] + max(len(seen.index), 1) * prior * _SMOOTH
            for seen, gram in zip(self.seen, self.gram, strict=True)
        ]

    def _observe(self, i: int) -> np.ndarray:
        """Value and gradient (k, 3) of a photo at its points."""
        at = (self.seen[i].pixel + self.basis[i] @ self.shifts[i].reshape(-1, 2)).astype(np.float32)
        return sample(self.layers[i], at[:, 0].copy(), at[:, 1].copy())

    def _compare(self) -> tuple[list[np.ndarray], list[np.ndarray], np.ndarray, np.ndarray]:
        """All photos' observations and robust weights; by class, the points' sums (2, n) of values, and of weights."""
        observed = list(self.pool.map(self._observe, range(len(self.seen))))
        total, mass = np.zeros((2, self.count)), np.zeros((2, self.count))
        for seen, values in zip(self.seen, observed, strict=True):
            total[0, seen.index] += seen.weight * values[:, 0]
            mass[0, seen.index] += seen.weight
        mean = total[0] / np.maximum(mass[0], 1e-9)
        total[:], mass[:] = 0, 0
        weights = []
        for i, (seen, values) in enumerate(zip(self.seen, observed, strict=True)):
            weight = seen.weight / (1 + ((values[:, 0] - mean[seen.index]) / _DOUBT) ** 2)
            weights.append(weight)
            total[i % 2, seen.index] += weight * values[:, 0]
            mass[i % 2, seen.index] += weight
        return observed, weights, total, mass

    def step(self) -> None:
        """One Gauss-Newton step of every photo towards the other class."""
        observed, _, total, mass = self._compare()

        def moved(i: int) -> np.ndarray:
            seen, values, basis = self.seen[i], observed[i], self.basis[i]
            others = mass[1 - i % 2, seen.index]
            residual = values[:, 0] - total[1 - i % 2, seen.index] / np.maximum(others, 1e-9)
            weight = seen.weight * (others > 0.2 * seen.weight) / np.maximum(np.abs(residual) / _HUBER, 1) ** 2
            across, down = weight * values[:, 1], weight * values[:, 2]
            xx, xy, yy = self.gram[i](across * values[:, 1], across * values[:, 2], down * values[:, 2])
            prior = np.kron(np.eye(2), self.prior * (weight.sum() / self.units[i] ** 2))
            flat = self.shifts[i].reshape(-1, 2).T.ravel()
            side = np.r_[basis.T @ (across * residual), basis.T @ (down * residual)] + prior @ flat
            move = np.linalg.solve(np.block([[xx, xy], [xy, yy]]) + prior + 1e-9 * np.eye(len(flat)), side)
            return (flat - move).reshape(2, -1).T.reshape(self.shifts[i].shape)

        self.shifts = np.stack(list(self.pool.map(moved, range(len(self.seen)))))

    def settle(self) -> None:
        """Takes out by how much all photos of a point shift it on the surface, which says nothing of the surface.

        Of n random shifts the mean is small, the more so the more there are: (n - 2) / n of it is taken for a drift.
        """
        moves = [
            Moved(seen.index, seen.by_tangent, basis @ shift.reshape(-1, 2))
            for seen, basis, shift in zip(self.seen, self.basis, self.shifts, strict=True)
        ]
        found = common_drift(self.count, moves)
        drift = found.metres * (np.maximum(found.photos - 2, 0) / np.maximum(found.photos, 1))[:, None]

        def settled(i: int) -> np.ndarray:
            move, basis = moves[i], self.basis[i]
            common = (move.by_tangent @ drift[move.index, :, None])[..., 0]
            return self.shifts[i] - np.linalg.solve(self.even[i], basis.T @ common).reshape(self.shifts[i].shape)

        self.shifts = np.stack(list(self.pool.map(settled, range(len(moves)))))

    def errors(self) -> np.ndarray:
        """(m,) mean difference between each photo and the others of its class, working values."""
        observed, weights, total, mass = self._compare()
        out = np.zeros(len(observed))
        for i, (seen, values, weight) in enumerate(zip(self.seen, observed, weights, strict=True)):
            others = mass[i % 2, seen.index] - weight
            mean = (total[i % 2, seen.index] - weight * values[:, 0]) / np.maximum(others, 1e-9)
            told = seen.weight * (others > 0.2 * seen.weight)
            out[i] = (told * np.minimum(np.abs(values[:, 0] - mean), _CLIP)).sum() / max(told.sum(), 1e-9)
        return out


def _shares(pixel: np.ndarray, lattice: tuple[int, int], size: tuple[int, int]) -> sp.csr_matrix:
    """(k, nodes) bilinear shares of a lattice's nodes in pixels (k, 2) of an image of `size` (h, w)."""
    x, y = on_lattice(lattice, size, *pixel.T)
    left, top = np.clip(x.astype(int), 0, lattice[1] - 2), np.clip(y.astype(int), 0, lattice[0] - 2)
    fx, fy = x - left, y - top
    node = (top * lattice[1] + left)[:, None] + [0, 1, lattice[1], lattice[1] + 1]
    share = np.stack([(1 - fx) * (1 - fy), fx * (1 - fy), (1 - fx) * fy, fx * fy], 1)
    start = np.arange(0, 4 * len(x) + 1, 4)
    return sp.csr_matrix((share.ravel(), node.ravel(), start), (len(x), lattice[0] * lattice[1]))


def _bends(lattice: tuple[int, int]) -> sp.csr_matrix:
    """Second differences along rows and columns of a lattice's nodes."""
    node = np.arange(lattice[0] * lattice[1]).reshape(lattice)
    down, across = (np.stack([n[:-2], n[1:-1], n[2:]], -1).reshape(-1, 3) for n in (node, node.T))
    three = np.concatenate([down, across])
    start = np.arange(0, 3 * len(three) + 1, 3)
    return sp.csr_matrix((np.tile([1.0, -2.0, 1.0], len(three)), three.ravel(), start), (len(three), node.size))
