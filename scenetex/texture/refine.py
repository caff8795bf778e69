"""Photometric refinement of cameras against the mesh: poses, and the focal length and centre all photos share."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import scipy.sparse as sp

from ..scene.camera import resize_intrinsics
from ..scene.mesh import Mesh
from ..views.viewset import ViewSet
from .blur import gaussian_blur
from .drift import Moved, common_drift, motion, tangents
from .exposure import fit_exposure, squared_radius, usable
from .photo_reader import ROOM, Pictures
from .projection import NEAREST, Photo, Surface, aspect, facing, photos, sample, sight
from .scatter import scatter
from .twins import surface_faces
from .weld import usual
from .winding import turned_to_views, with_faces_turned
from .working_frame import WorkingFrame

_POINTS, _EXPOSED_POINTS = 20_000, 8_000  # to compare photos at, and to bring them to one exposure by
_SIGHTINGS = 24  # of a point count, the best: every two of them are one entry more of the equations
_EXPOSED_BLUR = 2.0  # sigma, pixels of a 640-pixel image
_BLURS = 8.0, 4.0, 2.0, 1.0  # sigma in pixels of a 640-pixel image, coarse to fine
_ROUNDS = 3  # Gauss-Newton steps per blur
_HUBER = 8.0  # working values
_CLIP = 40.0  # working values; beyond it a point is occluded or moved and only adds a constant
_DOUBT = 30.0  # working values by which a sighting that misses its point's mean loses half its weight
# To pay, a shift (metres), turn (radians) or change of lens (share of the focal length) by this much must lower the
# error of every point by as many working values.
_STIFF_SHIFT, _STIFF_TURN, _STIFF_LENS = 0.1, 0.05, 0.05
_STIFF_VALUE = 4.0
_STIFFNESS = (_STIFF_VALUE / np.repeat([_STIFF_TURN, _STIFF_SHIFT, _STIFF_LENS], [3, 3, 4])) ** 2
_SETTLINGS = 3  # times that what drift is left is taken out
_SETTLED = 3.0  # metres or radians of a move that cost as much as a pixel of drift that stays: hardly anything
# Of photos that agree this well, in working values, what is left is gloss and mesh error as a rule, and cameras that
# follow those lose the truth: they must gain much. The others have to gain something.
_GOOD_ENOUGH, _MUCH, _WORTHWHILE = 5.0, 0.6, 0.9


@dataclass(frozen=True, eq=False)
class RefinedCameras:
    """Cameras after refinement.

    Attributes:
        intrinsics: (m, 3, 3) float64, pixels of images of `size`.
        size: (width, height) of the views it started from.
        cam_to_world: (m, 4, 4) float64.
        error_before: mean absolute difference between a photo and what the others give the surface, in grey levels of
            one exposure.
        error_after: the same with the refined cameras, at the same points.
        accepted: whether the error fell enough; otherwise the cameras are the given ones.
    """

    intrinsics: np.ndarray
    size: tuple[int, int]
    cam_to_world: np.ndarray
    error_before: float
    error_after: float
    accepted: bool


def refine_cameras(
    mesh, views: ViewSet, images: Sequence[np.ndarray], done: Callable[[], None] = lambda: None
) -> RefinedCameras:
    """Moves cameras so that photos agree on the colour of surface points (Zhou and Koltun 2014).

    Brings the photos to one exposure, then alternates between the points' mean value over them and a Gauss-Newton step
    for all poses and one change of focal lengths and centre that photos of one size share, from blurred to sharp
    images. A prior keeps cameras near where tracking put them. At the end the drift is taken out that all photos of a
    point share, where it is more than chance: it says nothing of the surface.

    Args:
        mesh: the mesh the views were rendered from.
        views: m views; their depth decides what is visible, and may be coarse.
        images: m images (h, w, 3) uint8, of any sizes; large ones are compared at a smaller size.
        done: called after each step (`refinement_steps` of them), for progress bars.
    """
    mesh = Mesh.of(mesh)
    faces = usual(mesh, surface_faces(mesh, views))
    turned = with_faces_turned(mesh, turned_to_views(mesh, views))
    face, points = scatter(turned.triangles[faces], turned.face_areas[faces], _POINTS)
    frame = WorkingFrame.of(mesh, views)
    pictures = Pictures.of(images)
    shots = photos(views, pictures.small, frame)
    kinds = sorted(set(pictures.sizes))
    problem = _Problem(
        frame.points(points), turned.face_normals[faces[face]], shots, [kinds.index(size) for size in pictures.sizes]
    )
    scale = max(shot.size[0] for shot in shots) / 640

    before = problem.error(_BLURS[-1] * scale)
    for blur in _BLURS:
        problem.blur(blur * scale)
        for _ in range(_ROUNDS):
            problem.step()
            done()
    for _ in range(_SETTLINGS):
        problem.settle()
    after = problem.error(_BLURS[-1] * scale)
    if not after < (_MUCH if before < _GOOD_ENOUGH else _WORTHWHILE) * before:
        return RefinedCameras(views.intrinsics, views.size, views.cam_to_world, before, after, False)
    poses = np.stack([frame.world_pose(pose) for pose in np.linalg.inv(problem.world_to_cam)])
    sizes = [shot.size for shot in shots]
    intrinsics = np.stack(
        [resize_intrinsics(k, size, views.size) for k, size in zip(problem.intrinsics, sizes, strict=True)]
    )
    return RefinedCameras(intrinsics, views.size, poses, before, after, True)


def refinement_steps() -> int:
    """How often `refine_cameras` calls `done`."""
    return len(_BLURS) * _ROUNDS


class _Problem:
    """The state of the optimisation: cameras, gains, and which points each photo sees; a `lens` is shared by photos."""

    def __init__(self, points: np.ndarray, normals: np.ndarray, shots: list[Photo], lens: list[int]):
        surface = Surface.of_points(points, normals)
        self.points = points
        self.shots = shots
        self.tangents = tangents(normals)
        self.lens = lens
        self.world_to_cam = np.stack([s.world_to_cam for s in shots])
        self.intrinsics = np.stack([s.intrinsics for s in shots])
        self.given_poses, self.given_intrinsics = self.world_to_cam.copy(), self.intrinsics.copy()
        self.gains = np.ones(len(shots))
        self.visible, self.weight = [], []
        for shot in shots:
            at = aspect(surface, shot)
            index = facing(surface, shot)
            seen = sight(shot, at.pixel[index], at.slack[index])
            clear = seen.clearance > 0.006 * shot.size[0]
            self.visible.append(index[seen.index[clear]])
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
        greys, scales = self.greys, [shot.scale for shot in self.shots]

        def layers(i: int) -> np.ndarray:
            smooth = cv2.GaussianBlur(greys[i], (0, 0), sigma * scales[i])
            across = cv2.Sobel(smooth, cv2.CV_32F, 1, 0, scale=1 / 8)
            return cv2.merge([smooth, across, cv2.Sobel(smooth, cv2.CV_32F, 0, 1, scale=1 / 8)])

        self.layers = Pictures([shot.size for shot in self.shots], layers, ROOM // 2)

    def _project(self, i: int) -> tuple[np.ndarray, np.ndarray]:
        """The points that a photo shows: in its frame (k, 3), and their pixels (k, 2)."""
        return _projected(self.points[self.visible[i]], self.world_to_cam[i], self.intrinsics[i])

    def observe(self):
        """Per photo: points in its frame (k, 3), value and gradient (k, 3), weight (k,), 0 outside the image."""
        for i, layer in enumerate(self.layers):
            local, pixel = self._project(i)
            u, v = pixel.T
            inside = (u > 1) & (v > 1) & (u < layer.shape[1] - 2) & (v < layer.shape[0] - 2)
            values = sample(layer, u.astype(np.float32), v.astype(np.float32)).astype(np.float64)
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

    def step(self) -> None:
        """One Gauss-Newton step for all poses and the shared lenses together, the points' values eliminated."""
        m, columns = len(self.shots), 6 * len(self.shots) + 4 * (max(self.lens) + 1)
        rows, weights, levelled = [], [], []
        prior, pull = np.zeros(columns), np.zeros(columns)
        for i, (local, values, weight, residual) in enumerate(self.residuals()):
            k, given = self.intrinsics[i], self.given_intrinsics[i]
            z = np.maximum(local[:, 2], NEAREST)
            x, y = local[:, 0] / z, local[:, 1] / z
            gu, gv = self.gains[i] * values[:, 1] * k[0, 0], self.gains[i] * values[:, 2] * k[1, 1]
            by_point = np.stack([gu / z, gv / z, -(gu * x + gv * y) / z], 1)
            jacobian = np.concatenate([np.cross(local, by_point), by_point, np.stack([gu * x, gv * y, gu, gv], 1)], 1)
            robust = weight / np.maximum(np.abs(residual) / _HUBER, 1) ** 2
            own = np.r_[6 * i : 6 * i + 6, 6 * m + 4 * self.lens[i] : 6 * m + 4 * self.lens[i] + 4]
            start = np.arange(0, jacobian.size + 1, 10)
            rows.append(sp.csr_matrix((jacobian.ravel(), np.tile(own, len(z)), start), (len(z), columns)))
            weights.append(robust)
            levelled.append(self.gains[i] * values[:, 0])

            away = self.world_to_cam[i] @ np.linalg.inv(self.given_poses[i])
            moved = np.r_[cv2.Rodrigues(away[:3, :3])[0].ravel(), away[:3, 3]]
            drift = np.r_[np.diag(k)[:2] - np.diag(given)[:2], k[:2, 2] - given[:2, 2]] / np.diag(given)[[0, 1, 0, 1]]
            stiffness = max(robust.sum(), 1.0) * _STIFFNESS
            prior[own] += stiffness
            pull[own] += stiffness * np.r_[moved, drift]
        design, weight, value = sp.vstack(rows).tocsr(), np.concatenate(weights), np.concatenate(levelled)
        point = np.concatenate(self.visible)
        weighted = sp.diags(weight) @ design
        at_point = sp.csr_matrix((np.ones(len(point)), (point, np.arange(len(point)))), (len(self.points), len(point)))
        inverse = 1 / np.maximum(at_point @ weight, 1e-9)
        by_mean = at_point @ weighted
        residual = value - (inverse * (at_point @ (weight * value)))[point]
        normal = (design.T @ weighted - by_mean.T @ sp.diags(inverse) @ by_mean).toarray()
        move = -np.linalg.solve(normal + np.diag(prior + 1e-9), weighted.T @ residual + pull)
        for i in range(m):
            lens = move[6 * m + 4 * self.lens[i] :][:4] * np.diag(self.given_intrinsics[i])[[0, 1, 0, 1]]
            self._move(i, move[6 * i : 6 * i + 6])
            self.intrinsics[i, [0, 1], [0, 1]] += lens[:2]
            self.intrinsics[i, :2, 2] += lens[2:]

    def settle(self) -> None:
        """Moves cameras back by as much of the drift that all photos of a point share as a camera's move can undo.

        Of that, only what is more than chance (shrunk after James and Stein 1961): cameras that are off independently
        of each other move a point on average, too, and what they agree on is nearer to the truth than that average.
        """
        moves, bases = [], []
        for i, index in enumerate(self.visible):
            k = self.intrinsics[i]  # what the lens moves is no drift
            local, pixel = self._project(i)
            _, given = _projected(self.points[index], self.given_poses[i], k)
            along = self.tangents[:, index] @ self.world_to_cam[i, :3, :3].T
            moves.append(Moved(index, motion(local, along, k).transpose(1, 2, 0), pixel - given))
            turned = [np.cross(axis, local) for axis in np.eye(3)]
            shifted = [np.broadcast_to(axis, local.shape) for axis in np.eye(3)]
            bases.append(motion(local, np.stack(turned + shifted), k).transpose(1, 2, 0))
        found = common_drift(len(self.points), moves)
        drift = found.metres * ((1 - found.chance) * (found.photos > 2))[:, None]
        for i, (move, basis) in enumerate(zip(moves, bases, strict=True)):
            common = (move.by_tangent @ drift[move.index, :, None])[..., 0]
            share = self.weight[i][:, None, None]
            flat = (basis * share).reshape(-1, 6)
            system = flat.T @ flat + max(self.weight[i].sum(), 1.0) / _SETTLED**2 * np.eye(6)
            self._move(i, -np.linalg.solve(system, flat.T @ (common * share[..., 0]).ravel()))

    def _move(self, i: int, move: np.ndarray) -> None:
        """Turns a camera by the vector ``move[:3]`` and shifts it by ``move[3:]``, both in its frame."""
        change = np.eye(4)
        change[:3, :3], change[:3, 3] = cv2.Rodrigues(move[:3])[0], move[3:]
        self.world_to_cam[i] = change @ self.world_to_cam[i]


def _projected(points: np.ndarray, world_to_cam: np.ndarray, k: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Points (n, 3) in a camera's frame, and their pixels (n, 2)."""
    local = points @ world_to_cam[:3, :3].T + world_to_cam[:3, 3]
    z = np.maximum(local[:, 2:], NEAREST)
    return local, local[:, :2] / z * k[[0, 1], [0, 1]] + k[:2, 2]
