"""A quick look at a scene: a few of its photos, small, and what their cameras see of the mesh."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise

import cv2
import numpy as np

from ..errors import InputError
from ..process.threads import threads
from ..scene.camera import resize_intrinsics, small_size
from ..scene.frame import Frame
from ..scene.lens import undistort
from ..scene.nearest import fill_from_nearest
from ..scene.scene import Scene
from ..views.masking import clear_of_rim, resize_mask
from ..views.raycast import RayCaster
from ..views.viewset import pixel_rays

MOST = 32  # frames that are looked at
_STEPS = 2, 4  # pixels of a small photo from ray to ray; at a quick look
_FEW_RAYS = 50_000  # that are cast sooner than threads are started
_WIDTH = 160  # pixels of a small photo
# Sigmas, pixels of the small photo, between which detail is compared: finer, and poses that miss by a few centimetres
# would count as wrong; coarser, and rooms look alike wherever one looks.
_BAND = 1.5, 6.0
_DARKEST = 12.0  # grey levels; darker differences are noise
_LOUD = 0.5  # stronger detail (lamps, edges against a window) counts as this much
_ALIKE = np.cos(np.radians(25))  # between the directions in which partners look


@dataclass(frozen=True, eq=False)
class Look:
    """What is compared. A supposition about a scene is a look by other cameras at the same mesh.

    Attributes:
        frames: the m frames that are looked at, in the trajectory's order.
        sizes: (m, 2) int, width and height of their small photos, pixels.
        grey: (m, h, w) float32 grey levels, a little blurred; h and w are those of the largest.
        detail: (m, h, w) float32, logarithm of grey between two blurs: the same whatever the exposure.
        shows: (m,) bool, whether there is a photo that can be read.
        kept: (m, h, w) bool, False where masks hide the photo; None where there are no masks.
        cam_to_world: (m, 4, 4) float64, in the mesh's frame and unit.
        intrinsics: (m, 3, 3) float64, pixels of the small photos.
        caster: the mesh about its middle.
        middle: (3,) float64.
        step: pixels from ray to ray.
    """

    frames: tuple[Frame, ...]
    sizes: np.ndarray
    grey: np.ndarray
    detail: np.ndarray
    shows: np.ndarray
    cam_to_world: np.ndarray
    intrinsics: np.ndarray
    caster: RayCaster
    middle: np.ndarray
    step: int = _STEPS[0]
    kept: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.frames)

    def at(self, which: list[int]) -> "Look":
        """Some of the frames."""
        names = "sizes", "grey", "detail", "shows", "cam_to_world", "intrinsics"
        frames = tuple(self.frames[i] for i in which)
        kept = None if self.kept is None else self.kept[which]
        return replace(self, frames=frames, kept=kept, **{name: getattr(self, name)[which] for name in names})

    def with_cameras(self, cam_to_world: np.ndarray | None = None, intrinsics: np.ndarray | None = None) -> "Look":
        """The same photos, taken by other cameras."""
        return replace(
            self,
            cam_to_world=self.cam_to_world if cam_to_world is None else cam_to_world,
            intrinsics=self.intrinsics if intrinsics is None else intrinsics,
        )

    def coarse(self) -> "Look":
        """The same with fewer rays, which tells as much where photos are off by more than a little."""
        return replace(self, step=_STEPS[1])

    @cached_property
    def hits(self) -> tuple[np.ndarray, np.ndarray]:
        """Every `step` pixels: camera z (m, h, w) float32, 0 = nothing; face (m, h, w) int32, -1 = none."""
        rows, columns = (-(-side // self.step) for side in self.grey.shape[1:])
        shape = len(self), rows, columns
        depth, face = np.zeros(shape, np.float32), np.full(shape, -1, np.int32)

        def cast(i: int) -> None:
            width, height = (-(-int(side) // self.step) for side in self.sizes[i])
            grid = self.intrinsics[i].copy()
            grid[:2] /= self.step  # pixel 0 stays where it is
            origin, direction = pixel_rays(grid, self.cam_to_world[i], (width, height))
            hit = self.caster.cast(
                np.broadcast_to((origin - self.middle).astype(np.float32), direction.shape), direction
            )
            found = hit["face"] >= 0
            depth[i, :height, :width] = np.where(found, hit["distance"], 0).reshape(height, width)
            face[i, :height, :width] = hit["face"].reshape(height, width)

        if depth.size <= _FEW_RAYS:
            for i in range(len(self)):
                cast(i)
            return depth, face
        with ThreadPoolExecutor(threads()) as pool:
            list(pool.map(cast, range(len(self))))
        return depth, face

    @cached_property
    def compared(self) -> np.ndarray:
        """The depth of `hits`, 0, too, where a mask hides what the photo shows."""
        depth = self.hits[0]
        return depth if self.kept is None else np.where(self.kept[:, :: self.step, :: self.step], depth, 0)

    @cached_property
    def seen(self) -> float:
        """Part of the rays that hit the mesh."""
        rays = (-(-self.sizes // self.step)).prod(1).sum()
        return float((self.hits[1] >= 0).sum() / max(rays, 1))


def look_at(scene: Scene, photos: bool = True) -> Look:
    """Looks at up to `MOST` frames: all along the trajectory, half of them soon after another, to overlap with it.

    Args:
        scene: the scene; it has a frame and a vertex that is finite.
        photos: read the photos; those that cannot be read are left out, as whoever needs them will say so.
    """
    frames = tuple(scene.frames[i] for i in spread(scene))
    sizes = np.array([small_size(f.camera.size, _WIDTH) for f in frames])
    with ThreadPoolExecutor(threads()) as pool:
        small = list(pool.map(lambda f, size: _small_photo(f, tuple(size)) if photos else None, frames, sizes.tolist()))
    grey = np.zeros((len(frames), *sizes.max(0)[::-1]), np.float32)
    detail = np.zeros_like(grey)
    masked = [i for i, found in enumerate(small) if found is not None and found[1] is not None]
    kept = np.ones(grey.shape, bool) if masked else None
    for i in masked:
        kept[i, : small[i][1].shape[0], : small[i][1].shape[1]] = small[i][1]
    small = [found and found[0] for found in small]
    for i, photo in enumerate(small):
        if photo is None:
            continue
        at = i, slice(photo.shape[0]), slice(photo.shape[1])
        grey[at] = cv2.GaussianBlur(photo, (0, 0), 1.0)
        detail[at] = _detail(photo)
    return Look(
        frames,
        sizes,
        grey,
        detail,
        np.array([photo is not None for photo in small]),
        np.stack([f.cam_to_world for f in frames]),
        np.stack(
            [
                resize_intrinsics(f.camera.intrinsics, f.camera.size, tuple(size))
                for f, size in zip(frames, sizes, strict=True)
            ]
        ),
        RayCaster.of(scene.mesh),
        scene.mesh.extent.middle,
        kept=kept,
    )


def _detail(photo: np.ndarray) -> np.ndarray:
    log = np.log(photo + np.float32(_DARKEST))
    fine, coarse = (cv2.GaussianBlur(log, (0, 0), sigma) for sigma in _BAND)
    return np.clip(fine - coarse, -_LOUD, _LOUD)


def spread(scene: Scene) -> list[int]:
    """Positions in the trajectory of the frames to look at, ascending."""
    count = len(scene.frames)
    if count <= MOST:
        return list(range(count))
    anchors = np.linspace(0, count - 1, MOST // 2 + 1).round().astype(int)
    forward = np.stack([f.cam_to_world[:3, 2] for f in scene.frames])
    found = set()
    for start, end in pairwise(anchors):
        # The partner has walked on as far as may be while it still looks much the same way.
        away = np.flatnonzero(forward[start + 1 : end] @ forward[start] < _ALIKE)
        reach = int(away[0]) if len(away) else int(end - start - 1)
        found |= {int(start), int(start) + max(reach, 1)}
    return sorted(found)


def _small_photo(frame: Frame, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray | None] | None:
    """(h, w) float32 grey levels without lens distortion, and which of them its mask keeps, (h, w) bool or None."""
    if frame.color is None:
        return None
    shrink = max((s for s in (1, 2, 4, 8) if frame.camera.width >= s * size[0]), default=1)
    try:
        grey, mask = frame.read_gray(shrink), frame.read_mask()
        if frame.color.distortion is not None:
            k = resize_intrinsics(frame.camera.intrinsics, frame.camera.size, grey.shape[::-1])
            grey = undistort(grey, k, frame.color.distortion, False, fisheye=frame.color.fisheye)
    except InputError:
        return None
    small = cv2.resize(grey, size, interpolation=cv2.INTER_AREA).astype(np.float32)
    kept = small_mask(mask, size)
    return (small, None) if kept is None else (fill_from_nearest(small, ~kept), kept)


def small_mask(mask: np.ndarray | None, size: tuple[int, int]) -> np.ndarray | None:
    """A photo's mask at the `size` (width, height) of its small photo, without what is mixed with hidden pixels."""
    return None if mask is None else clear_of_rim(resize_mask(mask, size))
