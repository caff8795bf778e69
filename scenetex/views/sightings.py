"""What each frame of a trajectory sees of the mesh, at a glance: a few thousand rays per frame, cast when asked for."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from ..process.threads import threads
from ..scene.camera import resize_intrinsics, small_size
from ..scene.scene import Scene
from .coverage import Sighting, SurfacePoints
from .raycast import RayCaster
from .viewset import pixel_rays

_WIDTH = 64  # pixels of a glance
_PROBES = 24  # frames that tell the scene's middle depth
_NEAREST = 1e-6  # of the mesh's radius; a camera that touches a surface does not see it infinitely well
_GRAZING = 0.05  # cosine between normal and viewing direction below which a view tells nothing
_REACHED = 0.99  # a ray that gets this far of the way to a surface point sees it; scans are rough at that scale


@dataclass(frozen=True, eq=False)
class Glance:
    """The surface points in the middle of a coarse image's pixels.

    Attributes:
        points: (p, 3) float32, metres, about the mesh's middle; one per pixel that sees the mesh.
        towards: (p, 3) float32 unit normals, turned towards the camera.
        depth: (p,) float32, camera z, metres.
        density: (p,) float32, pixels of the coarse image per metre of surface, in the direction it is slanted most.
        area: (p,) float32, square metres of surface within the pixel.
    """

    points: np.ndarray
    towards: np.ndarray
    depth: np.ndarray
    density: np.ndarray
    area: np.ndarray


class Sightings:
    """Glances of a scene's frames by their position in the trajectory, kept once they are cast."""

    def __init__(self, scene: Scene):
        mesh = scene.mesh
        self._middle, self._nearest = mesh.extent.middle, np.float32(_NEAREST * mesh.extent.radius)
        self._caster = RayCaster.of(mesh)
        self._normals = mesh.face_normals.astype(np.float32)
        self._frames = scene.frames
        self._kept: dict[int, Glance] = {}
        self._points = SurfacePoints.of(mesh)
        self._places = (self._points.places - self._middle).astype(np.float32)

    @property
    def points(self) -> int:
        """How many points of the surface `of` tells about."""
        return len(self._places)

    def at(self, index: int) -> Glance:
        """The glance of the frame at that position."""
        if index not in self._kept:
            self._kept[index] = self._cast(index)
        return self._kept[index]

    def all_at(self, indices: list[int]) -> list[Glance]:
        """The glances of several frames, cast side by side."""
        with ThreadPoolExecutor(threads()) as pool:
            return list(pool.map(self.at, indices))

    def overlap(self, earlier: int, later: int) -> float:
        """Fraction of what the later frame's pixels see that the earlier frame sees too, 0 where they see nothing."""
        points = self.at(later).points[::2]  # half of them tell it to a percent
        if not len(points):
            return 0.0
        intrinsics, size = self._camera(earlier)
        pose = self._pose(earlier)
        offset = points - pose[:3, 3].astype(np.float32)
        local = offset @ pose[:3, :3].astype(np.float32)
        ahead = local[:, 2] > 0
        with np.errstate(divide="ignore", invalid="ignore"):
            pixel = (local @ intrinsics.T.astype(np.float32))[:, :2] / local[:, 2:]
        # The image reaches half a pixel beyond the outer pixels' centres.
        inside = ahead & (pixel >= -0.5).all(1) & (pixel <= np.array(size) - 0.5).all(1)
        rays = offset[inside]
        hit = self._caster.cast(np.broadcast_to(pose[:3, 3].astype(np.float32), rays.shape), rays)
        seen = (hit["face"] < 0) | (hit["distance"] >= _REACHED)
        return float(seen.sum() / len(points))

    def of(self, indices: list[int]) -> list[Sighting]:
        """Which points of the surface several frames see, looked at side by side."""
        with ThreadPoolExecutor(threads()) as pool:
            return list(pool.map(self._look, indices))

    def _look(self, index: int) -> Sighting:
        """As the bake does, a point is seen where nothing lies before it and neither the image nor its slant ends."""
        camera, pose = self._frames[index].camera, self._pose(index).astype(np.float32)
        intrinsics = camera.intrinsics.astype(np.float32)
        ahead = np.flatnonzero((self._places - pose[:3, 3]) @ pose[:3, 2] > 0)
        offset = self._places[ahead] - pose[:3, 3]
        pixel = offset @ (intrinsics @ pose[:3, :3].T).T
        depth = pixel[:, 2]
        with np.errstate(over="ignore"):  # right beside the camera
            pixel = pixel[:, :2] / depth[:, None]
        facing = -np.einsum("ij,ij->i", offset, self._points.normals[ahead]) / np.linalg.norm(offset, axis=1)
        near = (pixel >= 0).all(1) & (pixel <= np.array(camera.size) - 1).all(1) & (np.abs(facing) > _GRAZING)
        ahead, offset, depth, facing = ahead[near], offset[near], depth[near], facing[near]
        free = ~self._caster.blocked(np.broadcast_to(pose[:3, 3], offset.shape), offset, _REACHED)
        ahead, depth, facing = ahead[free], depth[free], facing[free]
        focal = np.sqrt(intrinsics[0, 0] * intrinsics[1, 1])
        side = np.where(facing > 0, ahead, ahead + len(self._places))
        order = np.argsort(side)
        slant = np.abs(facing[order])
        per_metre = focal / depth[order]
        return Sighting(side[order].astype(np.int32), slant * per_metre, slant * per_metre**2)

    def _pose(self, index: int) -> np.ndarray:
        """(4, 4) float64 cam_to_world about the cameras' middle."""
        pose = self._frames[index].cam_to_world.copy()
        pose[:3, 3] -= self._middle
        return pose

    def _camera(self, index: int) -> tuple[np.ndarray, tuple[int, int]]:
        camera = self._frames[index].camera
        size = small_size(camera.size, _WIDTH)
        return resize_intrinsics(camera.intrinsics, camera.size, size), size

    def _cast(self, index: int) -> Glance:
        intrinsics, size = self._camera(index)
        origin, rays = pixel_rays(intrinsics, self._pose(index), size)
        hit = self._caster.cast(np.broadcast_to(origin, rays.shape), rays)
        seen = hit["face"] >= 0
        rays, depth = rays[seen], hit["distance"][seen]
        normals = self._normals[hit["face"][seen]]
        facing = np.einsum("ij,ij->i", normals, rays)
        slant = np.abs(facing) / np.linalg.norm(rays, axis=1)
        footprint = np.maximum(depth, self._nearest) / np.float32(np.sqrt(intrinsics[0, 0] * intrinsics[1, 1]))
        return Glance(
            points=origin + rays * depth[:, None],
            towards=np.where(facing[:, None] > 0, -normals, normals),
            depth=depth,
            density=slant / footprint,
            area=footprint**2 / np.maximum(slant, 0.05),
        )


def camera_motion(scene: Scene, sightings: Sightings) -> np.ndarray:
    """How far the view has moved from the trajectory's start to each frame, summed up from frame to frame.

    Returns:
        (n,) float64, ascending from 0, in image widths: a turn by the field of view is 1, and so is a step aside that
        shifts surface at the middle depth by the width of the image.
    """
    frames = scene.frames
    poses = np.stack([frame.cam_to_world for frame in frames])
    half_width = np.array([0.5 * f.camera.width / f.camera.intrinsics[0, 0] for f in frames])[1:]  # at depth 1
    probes = np.unique(np.linspace(0, len(frames) - 1, _PROBES).round().astype(int)).tolist()
    depths = np.concatenate([glance.depth for glance in sightings.all_at(probes)])
    depth = float(np.median(depths)) if len(depths) else 1.0
    turn = np.einsum("nij,nij->n", poses[:-1, :3, :3], poses[1:, :3, :3])
    angle = np.arccos(np.clip((turn - 1) / 2, -1, 1))
    shift = np.linalg.norm(np.diff(poses[:, :3, 3], axis=0), axis=1)
    steps = angle / (2 * np.arctan(half_width)) + shift / (2 * depth * half_width)
    return np.concatenate([[0.0], np.cumsum(steps)])
