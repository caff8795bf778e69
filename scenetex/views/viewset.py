"""What a set of cameras sees of a mesh: depth, normals and face ids, by ray casting or by rasterising."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal, get_args

import numpy as np

from ..errors import InputError
from ..process.memory import need
from ..process.threads import threads
from ..scene.camera import resize_intrinsics
from ..scene.mesh import Mesh
from ..scene.scene import Scene
from .rasterize import rasterize
from .raycast import RayCaster

Backend = Literal["embree", "pytorch3d"]
_KEPT = 8  # bytes of a view's pixel: its depth and face
_MEDIAN_STEP = 4  # every so manieth pixel of every so manieth row tells the middle depth
_CASTING = 160  # bytes of a pixel while its view is cast: rays and what they hit


@dataclass(frozen=True, eq=False)
class ViewSet:
    """m views of one mesh, all of one image size (OpenCV axes, pixel centres at whole numbers).

    Attributes:
        frame_ids: (m,) ids of the frames the views were taken from.
        intrinsics: (m, 3, 3) float64, pixels of this size.
        cam_to_world: (m, 4, 4) float64, metres.
        depth: (m, h, w) float32, camera z in metres, 0 = no surface.
        face_id: (m, h, w) int32 face seen, -1 = no surface.
        face_normals: (f, 3) float32 unit normals of the mesh's faces, world frame.
        axis_alignment: (4, 4) float64, world to gravity-aligned frame (z up).
        floor: height of the floor along up, metres from the world's origin; None = the lowest that the views see.

    Example:
        >>> import scenetex
        >>> scene = scenetex.load_scene("scenes/sample_room")
        >>> views = scenetex.render_views(scene, [0, 12, 24], size=(64, 48))
        >>> views
        ViewSet(3 views of 64 x 48, frames 0 to 24)
        >>> views.normal.shape
        (3, 48, 64, 3)
        >>> views.at([2]).frame_ids
        (24,)
    """

    frame_ids: tuple[int, ...]
    intrinsics: np.ndarray
    cam_to_world: np.ndarray
    depth: np.ndarray
    face_id: np.ndarray
    face_normals: np.ndarray
    axis_alignment: np.ndarray = field(default_factory=lambda: np.eye(4))
    floor: float | None = None

    def __repr__(self) -> str:
        ids = f", frames {self.frame_ids[0]} to {self.frame_ids[-1]}" if self.frame_ids else ""
        return f"ViewSet({len(self)} views of {self.size[0]} x {self.size[1]}{ids})"

    def __len__(self) -> int:
        return len(self.frame_ids)

    @property
    def size(self) -> tuple[int, int]:
        """(width, height), pixels."""
        return self.depth.shape[2], self.depth.shape[1]

    def at(self, which: Sequence[int]) -> "ViewSet":
        """Some of the views, in the order of `which`."""
        which = list(which)
        return replace(
            self,
            frame_ids=tuple(self.frame_ids[i] for i in which),
            intrinsics=self.intrinsics[which],
            cam_to_world=self.cam_to_world[which],
            depth=self.depth[which],
            face_id=self.face_id[which],
        )

    @cached_property
    def middle_depth(self) -> float:
        """Median of the depth seen, in the mesh's unit (about 2 m in a room); 0 where nothing is seen."""
        depth = self.depth[:, ::_MEDIAN_STEP, ::_MEDIAN_STEP] if min(self.size) > 16 * _MEDIAN_STEP else self.depth
        depth = depth[depth > 0]
        return float(np.median(depth)) if len(depth) else 0.0

    @cached_property
    def normal(self) -> np.ndarray:
        """(m, h, w, 3) float32 unit normals in world frame, turned towards the camera; 0 where no surface."""
        out = np.zeros((*self.face_id.shape, 3), np.float32)
        for i, face in enumerate(self.face_id):
            seen = face >= 0
            normal = self.face_normals[face[seen]]
            _, direction = pixel_rays(self.intrinsics[i], self.cam_to_world[i], self.size)
            away = np.einsum("ij,ij->i", normal, direction[seen.ravel()]) > 0
            out[i][seen] = np.where(away[:, None], -normal, normal)
        return out


def render_views(
    scene: Scene,
    frame_ids: list[int] | None = None,
    size: tuple[int, int] | None = None,
    done: Callable[[], None] = lambda: None,
    backend: Backend = "embree",
    device: str = "auto",
) -> ViewSet:
    """What the scene's frames see of its mesh.

    Args:
        scene: the scene.
        frame_ids: frames to look from, in this order; default all.
        size: (width, height) of the views; default the first frame's photo size.
        done: called after each view, for progress bars.
        backend: "embree" casts rays on the CPU; "pytorch3d" rasterises, many views at once, on a GPU where there is
            one. Both see the same, but for pixels on edges of faces.
        device: where PyTorch3D works: "auto", "cpu", "cuda", or "cuda:N" for one of several GPUs.

    Raises:
        InputError: an id the scene does not have, an empty list, or a size that is not positive; a backend that is
            unknown or not installed.

    Example:
        >>> import scenetex
        >>> scene = scenetex.load_scene("scenes/sample_room")
        >>> views = scenetex.render_views(scene, [0, 12], size=(64, 48))
        >>> views.depth.shape, bool((views.depth > 0).any())
        ((2, 48, 64), True)
    """
    frames = scene.frames if frame_ids is None else [scene.frame(i) for i in frame_ids]
    if not frames:
        raise InputError(f"{scene.name}: no frames to render; pass at least one frame id")
    given = tuple(size or frames[0].camera.size)
    if len(given) != 2 or min(given) < 1:
        raise InputError(f"render_views: size {given} is not a (width, height) of positive numbers")
    size = given[0], given[1]
    intrinsics = np.stack([resize_intrinsics(f.camera.intrinsics, f.camera.size, size) for f in frames])
    poses = np.stack([f.cam_to_world for f in frames])
    return cast_views(scene.mesh, intrinsics, poses, size, tuple(f.id for f in frames), done, backend, device)


def cast_views(
    mesh: Mesh,
    intrinsics: np.ndarray,
    cam_to_world: np.ndarray,
    size: tuple[int, int],
    frame_ids: tuple[int, ...],
    done: Callable[[], None] = lambda: None,
    backend: Backend = "embree",
    device: str = "auto",
) -> ViewSet:
    """`render_views` for free cameras: `intrinsics` (m, 3, 3), `cam_to_world` (m, 4, 4), `size` (width, height)."""
    if backend not in get_args(Backend):
        raise InputError(f"render_views: backend {backend!r} is not one of {', '.join(get_args(Backend))}")
    intrinsics, cam_to_world = np.asarray(intrinsics), np.asarray(cam_to_world)
    middle = mesh.extent.middle
    if backend == "pytorch3d":
        poses = cam_to_world.astype(np.float64)
        poses[:, :3, 3] -= middle
        depth, face_id = rasterize(mesh.vertices - middle, mesh.faces, intrinsics, poses, size, device)
        for _ in frame_ids:
            done()
    else:
        depth, face_id = _cast(mesh, intrinsics, cam_to_world, size, done)
    normals = mesh.face_normals.astype(np.float32)
    return ViewSet(tuple(frame_ids), intrinsics, cam_to_world, depth, face_id, normals, mesh.axis_alignment)


def _cast(
    mesh: Mesh,
    intrinsics: np.ndarray,
    cam_to_world: np.ndarray,
    size: tuple[int, int],
    done: Callable[[], None],
) -> tuple[np.ndarray, np.ndarray]:
    """Depth and faces (m, h, w) by ray casting."""
    middle = mesh.extent.middle
    caster = RayCaster.of(mesh)
    width, height = size
    m = len(intrinsics)
    at_once = min(m, threads() or os.cpu_count() or 1)
    need(width * height * (_KEPT * m + _CASTING * at_once), f"{m} views of {width} x {height} pixels:")
    depth = np.zeros((m, height, width), np.float32)
    face_id = np.full((m, height, width), -1, np.int32)

    def one(i: int) -> None:
        origin, direction = pixel_rays(intrinsics[i], cam_to_world[i], size)
        start = (origin - middle).astype(np.float32)
        hit = caster.cast(np.broadcast_to(start, direction.shape), direction)
        # Directions have unit camera z, so the ray parameter is the depth itself.
        depth[i] = np.where(hit["face"] >= 0, hit["distance"], 0).reshape(height, width)
        face_id[i] = hit["face"].reshape(height, width)
        done()

    with ThreadPoolExecutor(at_once or 1) as pool:
        list(pool.map(one, range(m)))
    return depth, face_id


def pixel_rays(
    intrinsics: np.ndarray, cam_to_world: np.ndarray, size: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """World rays through all pixel centres: origin (3,) float64, directions (h * w, 3) float32 of unit camera z."""
    across, down, start = (cam_to_world[:3, :3] @ np.linalg.inv(intrinsics)).T
    rows = np.arange(size[1], dtype=np.float64)[:, None] * down + start
    columns = np.arange(size[0], dtype=np.float64)[:, None] * across
    directions = np.empty((size[1], size[0], 3), np.float32)
    np.add(rows[:, None], columns, out=directions, casting="same_kind")
    return cam_to_world[:3, 3], directions.reshape(-1, 3)


def together(sets: Sequence[ViewSet]) -> ViewSet:
    """Views of one mesh and one size, one set after the other; at least one set."""
    return replace(
        sets[0],
        frame_ids=tuple(i for views in sets for i in views.frame_ids),
        intrinsics=np.concatenate([views.intrinsics for views in sets]),
        cam_to_world=np.concatenate([views.cam_to_world for views in sets]),
        depth=np.concatenate([views.depth for views in sets]),
        face_id=np.concatenate([views.face_id for views in sets]),
    )
