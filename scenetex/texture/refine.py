"""Photometric refinement of cameras against the mesh: poses, and the focal length and centre all photos share."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from ..scene.camera import resize_intrinsics
from ..scene.mesh import Mesh
from ..views.viewset import ViewSet
from .photo_reader import ROOM, Pictures
from .projection import Photo, Surface, aspect, facing, photos, sample, sight
from .twins import surface_faces
from .weld import usual
from .winding import turned_to_views, with_faces_turned
from .working_frame import WorkingFrame

_POINTS = 20_000
_BLURS = 4.0, 2.0, 1.0  # sigma in pixels of a 640-pixel image, coarse to fine
_ROUNDS = 5  # Gauss-Newton steps per blur
_HUBER = 8.0  # grey levels
_CLIP = 40.0  # grey levels; beyond it a point is occluded or moved and only adds a constant
# To pay, a shift (metres), turn (radians) or change of lens (share of the focal length) by this much must lower the
# error of every point by as many grey levels.
_STIFF_SHIFT, _STIFF_TURN, _STIFF_LENS = 0.02, 0.01, 0.01
_STIFF_GREY = 4.0
# Photos that agree this well, in grey levels, are left alone: what is left is gloss and mesh error, and cameras that
# follow those lose the truth. The same goes for a small gain.
_GOOD_ENOUGH, _WORTHWHILE = 5.0, 0.9


@dataclass(frozen=True, eq=False)
class RefinedCameras:
    """Cameras after refinement.

    Attributes:
        intrinsics: (m, 3, 3) float64, pixels of images of `size`.
        size: (width, height) of the views it started from.
        cam_to_world: (m, 4, 4) float64.
        error_before: mean absolute difference, grey levels, between a photo and what the others give the surface.
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

    Alternates between the points' mean grey value over the photos (with one gain per photo) and a Gauss-Newton step
    for all poses and one change of focal lengths and centre that photos of one size share, from blurred to sharp
    images. A prior keeps cameras near where tracking put them.

    Args:
        mesh: the mesh the views were rendered from.
        views: m views; their depth decides what is visible, and may be coarse.
        images: m images (h, w, 3) uint8, of any sizes; large ones are compared at a smaller size.
        done: called after each step (`refinement_steps` of them), for progress bars.
    """
    mesh = Mesh.of(mesh)
    faces = usual(mesh, surface_faces(mesh, views))
    points, normals = _scatter(with_faces_turned(mesh, turned_to_views(mesh, views)), faces)
    frame = WorkingFrame.of(mesh, views)
    pictures = Pictures.of(images)
    shots = photos(views, pictures.small, frame)
    kinds = sorted(set(pictures.sizes))
    problem = _Problem(frame.points(points), normals, shots, [kinds.index(size) for size in pictures.sizes])
    scale = max(shot.size[0] for shot in shots) / 640

    before = problem.error(_BLURS[-1] * scale)
    if before < _GOOD_ENOUGH:
        return RefinedCameras(views.intrinsics, views.size, views.cam_to_world, before, before, False)
    for blur in _BLURS:
        problem.blur(blur * scale)
        for _ in range(_ROUNDS):
            problem.step()
            done()
    after = problem.error(_BLURS[-1] * scale)
    if not after < _WORTHWHILE * before:
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


def _scatter(mesh: Mesh, kept: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Points (n, 3) float64 spread evenly over the faces `kept` (k,), and their unit normals (n, 3) there."""
    rng = np.random.default_rng(0)
    share = np.cumsum(mesh.face_areas[kept])
    face = kept[np.searchsorted(share, rng.uniform(0, share[-1], _POINTS)).clip(0, len(kept) - 1)]
    a, b = rng.uniform(size=(2, _POINTS, 1))
    a, b = np.where(a + b > 1, 1 - a, a), np.where(a + b > 1, 1 - b, b)
    corners = mesh.triangles[face]
    points = corners[:, 0] + a * (corners[:, 1] - corners[:, 0]) + b * (corners[:, 2] - corners[:, 0])
    return points, mesh.face_normals[face]


class _Problem:
    """The state of the optimisation: cameras, gains, and which points each photo sees; a `lens` is shared by photos."""

    def __init__(self, points: np.ndarray, normals: np.ndarray, shots: list[Photo], lens: list[int]):
        cloud, upright = points.astype(np.float32), normals.astype(np.float32)
        surface = Surface(np.zeros((0, 3), np.int32), cloud, upright, cloud, upright, np.zeros(len(points), np.float32))
        self.points = points
        self.shots = shots
        self.greys = [cv2.cvtColor(s.image, cv2.COLOR_RGB2GRAY) for s in shots]
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

    def blur(self, sigma: float) -> None:
        """Goes on with all photos and their gradients at this blur, pixels of the widest."""
        greys, scales = self.greys, [shot.scale for shot in self.shots]

        def layers(i: int) -> np.ndarray:
            smooth = cv2.GaussianBlur(greys[i].astype(np.float32), (0, 0), sigma * scales[i])
            across = cv2.Sobel(smooth, cv2.CV_32F, 1, 0, scale=1 / 8)
            return cv2.merge([smooth, across, cv2.Sobel(smooth, cv2.CV_32F, 0, 1, scale=1 / 8)])

        self.layers = Pictures([shot.size for shot in self.shots], layers, ROOM)

    def observe(self):
        """Per photo: points in its frame (k, 3), value and gradient (k, 3), weight (k,), 0 outside the image."""
        for i, layer in enumerate(self.layers):
            local = self.points[self.visible[i]] @ self.world_to_cam[i, :3, :3].T + self.world_to_cam[i, :3, 3]
            k = self.intrinsics[i]
            z = np.maximum(local[:, 2], 0.05)
            u, v = local[:, 0] / z * k[0, 0] + k[0, 2], local[:, 1] / z * k[1, 1] + k[1, 2]
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
        out = []
        for i, (local, values, weight) in enumerate(seen):
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
        """Mean absolute residual, grey levels, at this blur."""
        self.blur(sigma)
        parts = self.residuals(rounds=10)
        mass = sum(w.sum() for *_, w, _ in parts)
        return float(sum((np.minimum(np.abs(r), _CLIP) * w).sum() for *_, w, r in parts) / max(mass, 1e-9))

    def step(self) -> None:
        """One Gauss-Newton step for all poses and the shared lenses; poses are eliminated first (Schur complement)."""
        m = len(self.shots)
        turn_stiffness, shift_stiffness, lens_stiffness = (
            (_STIFF_GREY / x) ** 2 for x in (_STIFF_TURN, _STIFF_SHIFT, _STIFF_LENS)
        )
        stiffness = np.r_[[turn_stiffness] * 3, [shift_stiffness] * 3]
        count = max(self.lens) + 1
        pose_solutions, lens_system, lens_side = [], np.zeros((count, 4, 4)), np.zeros((count, 4))
        for i, (local, values, weight, residual) in enumerate(self.residuals()):
            k = self.intrinsics[i]
            z = np.maximum(local[:, 2], 0.05)
            x, y = local[:, 0] / z, local[:, 1] / z
            gu, gv = self.gains[i] * values[:, 1] * k[0, 0], self.gains[i] * values[:, 2] * k[1, 1]
            by_point = np.stack([gu / z, gv / z, -(gu * x + gv * y) / z], 1)
            jacobian = np.concatenate([np.cross(local, by_point), by_point, np.stack([gu * x, gv * y, gu, gv], 1)], 1)
            robust = weight / np.maximum(np.abs(residual) / _HUBER, 1)
            weighted = jacobian * robust[:, None]
            normal, side = weighted.T @ jacobian, weighted.T @ residual

            mass = max(robust.sum(), 1.0)
            away = self.world_to_cam[i] @ np.linalg.inv(self.given_poses[i])
            moved = np.r_[cv2.Rodrigues(away[:3, :3])[0].ravel(), away[:3, 3]]
            pose_system = normal[:6, :6] + np.diag(mass * stiffness)
            solution = np.linalg.solve(pose_system, np.c_[normal[:6, 6:], side[:6] + mass * stiffness * moved])
            pose_solutions.append(solution)
            given = self.given_intrinsics[i]
            drift = np.r_[np.diag(k)[:2] - np.diag(given)[:2], k[:2, 2] - given[:2, 2]] / np.diag(given)[[0, 1, 0, 1]]
            own = self.lens[i]
            lens_system[own] += normal[6:, 6:] - normal[6:, :6] @ solution[:, :4] + mass * lens_stiffness * np.eye(4)
            lens_side[own] += side[6:] - normal[6:, :6] @ solution[:, 4] + mass * lens_stiffness * drift
        lenses = -np.linalg.solve(lens_system, lens_side[..., None])[..., 0]
        for i in range(m):
            lens = lenses[self.lens[i]]
            move = -(pose_solutions[i][:, 4] + pose_solutions[i][:, :4] @ lens)
            change = np.eye(4)
            change[:3, :3], change[:3, 3] = cv2.Rodrigues(move[:3])[0], move[3:]
            self.world_to_cam[i] = change @ self.world_to_cam[i]
            given = self.given_intrinsics[i]
            self.intrinsics[i, 0, 0] += lens[0] * given[0, 0]
            self.intrinsics[i, 1, 1] += lens[1] * given[1, 1]
            self.intrinsics[i, 0, 2] += lens[2] * given[0, 0]
            self.intrinsics[i, 1, 2] += lens[3] * given[1, 1]
