"""Cameras that are fitted to what photos agree on, at points of the surface."""

from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
import scipy.sparse as sp

from .blur import gaussian_blur, small_blur
from .drift import Moved, common_drift, motion, tangents
from .exposure import fit_exposure, squared_radius, usable
from .photo_reader import ROOM, Pictures
from .projection import NEAREST, Photo, Surface, points_seen, sample
from .rolling_shutter import readout_time, rolled

_EXPOSED_POINTS = 8_000  # to bring photos to one exposure by
_SIGHTINGS = 24  # of a point count, the best: every two of them are one entry more of the equations
_EXPOSED_BLUR = 2.0  # sigma, pixels of a 640-pixel image
_KEPT_BLUR = 2.0  # pixels of sigma that a smaller image is looked at with: straight lines between them suffice
_HUBER = 8.0  # working values
_CLIP = 40.0  # working values; beyond it a point is occluded or moved and only adds a constant
_DOUBT = 30.0  # working values by which a sighting that misses its point's mean loses half its weight
_STIFF_VALUE = 4.0
_OWN, _LENS = 9, 4  # unknowns of a camera: a turn, a shift, what it turns by during the readout; of a lens
_SETTLED = 3.0  # metres or radians of a move that cost as much as a pixel of drift that stays: hardly anything


class Unknowns(NamedTuple):
    """What of the cameras and their lenses is to be found.

    Attributes:
        part: of a camera's unknowns and those of its lens, which other photos share.
        far: radians, metres, radians, and shares of the focal length, for each of `part`, that must lower the error of
            every point by `_STIFF_VALUE` working values.
    """

    part: slice
    far: np.ndarray


ALL = Unknowns(slice(None), np.repeat([0.05, 0.1, 0.05, 0.05], [3, 3, 3, 4]))
TURNING = Unknowns(slice(6, 9), np.repeat(0.2, 3))  # of cameras whose poses are right: less may go wrong


@dataclass(frozen=True, eq=False)
class Cameras:
    """The cameras of m photos.

    Attributes:
        world_to_cam: (m, 4, 4) float64, of the middle row's moment.
        intrinsics: (m, 3, 3) float64.
        turning: (m, 3) float64 radians, see `rolling_shutter.py`.
    """

    world_to_cam: np.ndarray
    intrinsics: np.ndarray
    turning: np.ndarray

    def since(self, given: "Cameras") -> np.ndarray:
        """(m, 13) how far the unknowns are from the given ones."""
        out = np.zeros((len(self.turning), _OWN + _LENS))
        for i, (pose, k) in enumerate(zip(self.world_to_cam, self.intrinsics, strict=True)):
            away, first = pose @ np.linalg.inv(given.world_to_cam[i]), given.intrinsics[i]
            focal = np.diag(first)[:2]
            out[i, :6] = np.r_[cv2.Rodrigues(away[:3, :3])[0].ravel(), away[:3, 3]]
            out[i, _OWN:] = np.r_[(np.diag(k)[:2] - focal) / focal, (k - first)[:2, 2] / focal]
        out[:, 6:_OWN] = self.turning - given.turning
        return out

    def moved(self, moves: np.ndarray, given: "Cameras") -> "Cameras":
        """After `moves` (m, 13) of the unknowns; those of the lens are shares of the given focal lengths."""
        poses, intrinsics = self.world_to_cam.copy(), self.intrinsics.copy()
        for i, move in enumerate(moves):
            change = np.eye(4)
            change[:3, :3], change[:3, 3] = cv2.Rodrigues(move[:3])[0], move[3:6]
            poses[i] = change @ poses[i]
            focal = np.diag(given.intrinsics[i])[:2]
            intrinsics[i, [0, 1], [0, 1]] += move[_OWN:][:2] * focal
            intrinsics[i, :2, 2] += move[_OWN:][2:] * focal
        return Cameras(poses, intrinsics, self.turning + moves[:, 6:_OWN])


class CameraFit:
    """The state of the optimisation: cameras, gains, and which points each photo sees; a `lens` is shared by photos.

    Attributes:
        cameras: as they are now.
        given: as they were.
    """

    def __init__(self, points: np.ndarray, normals: np.ndarray, shots: list[Photo], lens: list[int]):
        surface = Surface.of_points(points, normals)
        self.points = points
        self.shots = shots
        self.tangents = tangents(normals)
        self.lens = lens
        poses, intrinsics = (np.stack([getattr(s, name) for s in shots]) for name in ("world_to_cam", "intrinsics"))
        self.cameras = self.given = Cameras(poses, intrinsics, np.zeros((len(shots), 3)))
        self.gains = np.ones(len(shots))
        self.blurred: dict[float, Pictures] = {}
        self.visible, self.weight = [], []
        for shot in shots:
            at, seen = points_seen(surface, shot)
            self.visible.append(seen.index[seen.clearance > 0.006 * shot.size[0]])
            self.weight.append(at.cosine[self.visible[-1]].astype(np.float64))
        self._keep_best()
        self._expose()

    def _keep_best(self) -> None:
        """Leaves each point its best sightings."""
        point, weight = np.concatenate(self.visible), np.concatenate(self.weight)
        order = np.lexsort((-weight, point))
        first = np.searchsorted(point[order], point[order])
        kept = np.zeros(len(point), bool)
        kept[order] = np.arange(len(point)) - first < _SIGHTINGS
        cuts = np.cumsum([len(index) for index in self.visible])[:-1]
        for i, keep in enumerate(np.split(kept, cuts)):
            self.visible[i], self.weight[i] = self.visible[i][keep], self.weight[i][keep]
        self._sort_by_point()

    def _sort_by_point(self) -> None:
        """The sightings by point, whose photo each is, and where a point's begin."""
        point = np.concatenate(self.visible)
        view = np.repeat(np.arange(len(self.visible)), [len(index) for index in self.visible])
        order = np.argsort(point, kind="stable")
        self.by_point = order, view[order], np.searchsorted(point[order], np.arange(len(self.points) + 1))

    def of_first(self, count: int) -> "CameraFit":
        """A fit of its own, at the first `count` points alone."""
        few = copy(self)
        few.points, few.tangents, few.gains = self.points[:count], self.tangents[:, :count], self.gains.copy()
        kept = [index < count for index in self.visible]
        few.visible = [index[keep] for index, keep in zip(self.visible, kept, strict=True)]
        few.weight = [weight[keep] for weight, keep in zip(self.weight, kept, strict=True)]
        few._sort_by_point()
        return few

    def _expose(self) -> None:
        """Brings the photos to one exposure; what is clipped or nearly black in one then counts little in it."""
        color, radius, place = [], [], []
        for i, shot in enumerate(self.shots):
            u, v = np.ascontiguousarray(self._project(i)[1].T, np.float32)
            color.append(sample(gaussian_blur(shot.image, _EXPOSED_BLUR * shot.size[0] / 640), u, v))
            radius.append(squared_radius(u, v, shot.size))
            place.append(np.stack([self.visible[i], np.full(len(u), i)]))
        sighting = np.concatenate(self.weight)
        (point, view), color, radius = np.concatenate(place, 1), np.concatenate(color), np.concatenate(radius)
        few = np.flatnonzero(point < _EXPOSED_POINTS)
        few = few[np.lexsort((view[few], point[few]))]
        shape = len(self.points), len(self.shots)
        weights = sp.csr_matrix((sighting[few], (point[few], view[few])), shape)
        exposure = fit_exposure(color[few], radius[few], weights)
        told = np.split(usable(color), np.cumsum([len(index) for index in self.visible])[:-1])
        self.weight = [weight * use for weight, use in zip(self.weight, told, strict=True)]
        shots = self.shots
        self.greys = Pictures(
            [shot.size for shot in shots], lambda i: exposure.level(shots[i].image, i).mean(2), ROOM // 2
        )

    def blur(self, sigma: float) -> None:
        """Goes on with all photos and their gradients at this blur, pixels of the widest."""
        if sigma not in self.blurred:
            greys, shots = self.greys, self.shots

            def layers(i: int) -> np.ndarray:
                smooth = small_blur(greys[i], sigma * shots[i].scale, _KEPT_BLUR)
                x, y = (small / size / 8 for small, size in zip(smooth.shape[::-1], shots[i].size, strict=True))
                across = cv2.Sobel(smooth, cv2.CV_32F, 1, 0, scale=x)
                return cv2.merge([smooth, across, cv2.Sobel(smooth, cv2.CV_32F, 0, 1, scale=y)])

            self.blurred[sigma] = Pictures([shot.size for shot in shots], layers, ROOM // 3)
        self.layers = self.blurred[sigma]

    def _project(self, i: int) -> tuple[np.ndarray, np.ndarray]:
        """The points that a photo shows: in its frame (k, 3), and their pixels (k, 2)."""
        cameras = self.cameras
        return _projected(self.points[self.visible[i]], cameras.world_to_cam[i], cameras.intrinsics[i])

    def observe(self):
        """Per photo: points in its frame (k, 3), value and gradient (k, 3), weight (k,), 0 outside the image."""
        for i, layer in enumerate(self.layers):
            local, pixel = self._project(i)
            width, height = self.shots[i].size
            u, v = rolled(pixel, self.cameras.turning[i], self.cameras.intrinsics[i], height).T
            inside = (u > 1) & (v > 1) & (u < width - 2) & (v < height - 2)
            across, down = layer.shape[1] / width, layer.shape[0] / height
            at = (u + 0.5) * across - 0.5, (v + 0.5) * down - 0.5
            values = sample(layer, *(x.astype(np.float32) for x in at)).astype(np.float64)
            yield local, values, self.weight[i] * inside

    def residuals(self, rounds: int = 2):
        """Observations with what each photo's values miss the mean of the other photos by (k,), after gains."""
        seen = list(self.observe())
        for _ in range(rounds):
            total, mass = self._sum(seen)
            mean = total / np.maximum(mass, 1e-9)
            for i, (_, values, weight) in enumerate(seen):
                target = mean[self.visible[i]]
                robust = weight / np.maximum(np.abs(self.gains[i] * values[:, 0] - target), _HUBER)
                power = (robust * values[:, 0] ** 2).sum()
                if power > 0:
                    self.gains[i] = (robust * values[:, 0] * target).sum() / power
            self.gains /= np.exp(np.log(np.maximum(self.gains, 1e-3)).mean())
        total, mass = self._sum(seen)
        mean = total / np.maximum(mass, 1e-9)
        doubted = []
        for i, (local, values, weight) in enumerate(seen):
            miss = self.gains[i] * values[:, 0] - mean[self.visible[i]]
            doubted.append((local, values, weight / (1 + (miss / _DOUBT) ** 2)))
        total, mass = self._sum(doubted)
        out = []
        for i, (local, values, weight) in enumerate(doubted):
            index = self.visible[i]
            others = mass[index] - weight
            own = weight * self.gains[i] * values[:, 0]
            residual = self.gains[i] * values[:, 0] - (total[index] - own) / np.maximum(others, 1e-9)
            out.append((local, values, weight * (others > 0.05), residual))
        return out

    def _sum(self, seen):
        total, mass = np.zeros(len(self.points)), np.zeros(len(self.points))
        for i, (_, values, weight) in enumerate(seen):
            total[self.visible[i]] += weight * self.gains[i] * values[:, 0]
            mass[self.visible[i]] += weight
        return total, mass

    def error(self, sigma: float) -> float:
        """Mean absolute residual, working values, at this blur."""
        self.blur(sigma)
        parts = self.residuals(rounds=10)
        mass = sum(w.sum() for *_, w, _ in parts)
        return float(sum((np.minimum(np.abs(r), _CLIP) * w).sum() for *_, w, r in parts) / max(mass, 1e-9))

    def fit(self, blurs: Sequence[float], rounds: int, free: Unknowns, done: Callable[[], None]) -> None:
        """Gauss-Newton steps, so many at each blur, for `ALL` or `TURNING`."""
        for blur in blurs:
            self.blur(blur)
            for _ in range(rounds):
                self._step(free)
                done()

    def _step(self, free: Unknowns) -> None:
        """One step for all cameras and the shared lenses together, the points' values eliminated."""
        own = len(range(*free.part.indices(_OWN)))
        shared_by = len(range(*free.part.indices(_OWN + _LENS))) - own
        lenses = own * len(self.shots)
        columns = lenses + shared_by * (max(self.lens) + 1)
        normal, side = np.zeros((columns, columns)), np.zeros(columns)
        away = self.cameras.since(self.given)
        by_own, by_lens, weights, levelled = [], np.zeros((len(self.points), columns - lenses)), [], []
        for i, (local, values, weight, residual) in enumerate(self.residuals()):
            lens = np.arange(shared_by * self.lens[i], shared_by * (self.lens[i] + 1))
            at = np.r_[own * i : own * (i + 1), lenses + lens]
            jacobian = self._jacobian(i, local, values)[:, free.part]
            robust = weight / np.maximum(np.abs(residual) / _HUBER, 1) ** 2
            weighted = jacobian * robust[:, None]
            level = self.gains[i] * values[:, 0]
            stiffness = max(robust.sum(), 1.0) * (_STIFF_VALUE / free.far) ** 2
            normal[np.ix_(at, at)] += weighted.T @ jacobian + np.diag(stiffness)
            side[at] += weighted.T @ level + stiffness * away[i, free.part]
            by_own.append(weighted[:, :own])
            by_lens[self.visible[i][:, None], lens] += weighted[:, own:]
            weights.append(robust)
            levelled.append(level)
        point = np.concatenate(self.visible)
        weight, level = np.concatenate(weights), np.concatenate(levelled)
        mass = np.maximum(np.bincount(point, weight, len(self.points)), 1e-9)
        root = 1 / np.sqrt(mass)
        mean = np.bincount(point, weight * level, len(self.points)) * root
        order, views, start = self.by_point
        data = (np.concatenate(by_own) * root[point, None])[order, None]
        shared = sp.bsr_matrix((data, views, start), (len(self.points), lenses))
        by_lens *= root[:, None]
        across = shared.T @ by_lens
        normal[:lenses, :lenses] -= (shared.T @ shared).toarray()
        normal[:lenses, lenses:] -= across
        normal[lenses:, :lenses] -= across.T
        normal[lenses:, lenses:] -= by_lens.T @ by_lens
        side -= np.r_[shared.T @ mean, by_lens.T @ mean]
        move = -np.linalg.solve(normal + 1e-9 * np.eye(columns), side)
        moves = np.zeros((len(self.shots), _OWN + _LENS))
        lens = move[lenses:].reshape(max(self.lens) + 1, -1)[self.lens]
        moves[:, free.part] = np.concatenate([move[:lenses].reshape(-1, own), lens], 1)
        self.cameras = self.cameras.moved(moves, self.given)

    def _jacobian(self, i: int, local: np.ndarray, values: np.ndarray) -> np.ndarray:
        """(k, 13) change of a photo's values at its points per unit of turn, shift, turning, and change of its lens."""
        k = self.cameras.intrinsics[i]
        z = np.maximum(local[:, 2], NEAREST)
        x, y = local[:, 0] / z, local[:, 1] / z
        gu, gv = self.gains[i] * values[:, 1] * k[0, 0], self.gains[i] * values[:, 2] * k[1, 1]
        by_shift = np.stack([gu / z, gv / z, -(gu * x + gv * y) / z], 1)
        by_turn = np.cross(local, by_shift)
        time = readout_time(y * k[1, 1] + k[1, 2], self.shots[i].size[1])
        return np.concatenate([by_turn, by_shift, by_turn * time[:, None], np.stack([gu * x, gv * y, gu, gv], 1)], 1)

    def settle(self) -> None:
        """Moves cameras back by as much of the drift that all photos of a point share as a camera's move can undo.

        Of that, only what is more than chance (shrunk after James and Stein 1961): cameras that are off independently
        of each other move a point on average, too, and what they agree on is nearer to the truth than that average.
        """
        moves, bases = [], []
        for i, index in enumerate(self.visible):
            k = self.cameras.intrinsics[i]  # what the lens moves is no drift
            local, pixel = self._project(i)
            _, given = _projected(self.points[index], self.given.world_to_cam[i], k)
            along = self.tangents[:, index] @ self.cameras.world_to_cam[i, :3, :3].T
            moves.append(Moved(index, motion(local, along, k).transpose(1, 2, 0), pixel - given))
            turned = [np.cross(axis, local) for axis in np.eye(3)]
            shifted = [np.broadcast_to(axis, local.shape) for axis in np.eye(3)]
            bases.append(motion(local, np.stack(turned + shifted), k).transpose(1, 2, 0))
        found = common_drift(len(self.points), moves)
        drift = found.metres * ((1 - found.chance) * (found.photos > 2))[:, None]
        back = np.zeros((len(moves), _OWN + _LENS))
        for i, (move, basis) in enumerate(zip(moves, bases, strict=True)):
            common = (move.by_tangent @ drift[move.index, :, None])[..., 0]
            share = self.weight[i][:, None, None]
            flat = (basis * share).reshape(-1, 6)
            system = flat.T @ flat + max(self.weight[i].sum(), 1.0) / _SETTLED**2 * np.eye(6)
            back[i, :6] = -np.linalg.solve(system, flat.T @ (common * share[..., 0]).ravel())
        self.cameras = self.cameras.moved(back, self.given)


def _projected(points: np.ndarray, world_to_cam: np.ndarray, k: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Points (n, 3) in a camera's frame, and their pixels (n, 2)."""
    local = points @ world_to_cam[:3, :3].T + world_to_cam[:3, 3]
    z = np.maximum(local[:, 2:], NEAREST)
    return local, local[:, :2] / z * k[[0, 1], [0, 1]] + k[:2, 2]
