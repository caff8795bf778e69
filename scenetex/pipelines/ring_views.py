"""The views of a panorama as the pipelines see them: correspondence by direction alone, depth where it is known."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from ..correspondence import Correspondence, from_rotation
from ..errors import InputError
from ..panorama.ring import VIEWS, ring_intrinsics, ring_rotations
from ..views.viewset import ViewSet
from .latent_fusion import SHARE_IN_RINGS
from .scene_views import SHARED_OVERLAP, camera_seeds, correspondence_of
from .windows import Window


@dataclass(frozen=True, eq=False)
class RingViews:
    """Eight square views around one point, see `Scenery`.

    Attributes:
        side: of the images, pixels.
        surface: the views of a scene with what they see of it; None = not known.
        by_depth: the UNet attends along depth, as those of kind "depth" were trained, not along directions.
    """

    side: int
    surface: ViewSet | None = None
    by_depth: bool = False
    names = tuple(range(VIEWS))
    fused_share = SHARE_IN_RINGS

    @classmethod
    def of(cls, views: ViewSet, by_depth: bool) -> "RingViews":
        """The ring of a scene.

        Raises:
            InputError: views that are not those of `panorama_views`, or see nothing.
        """
        cure = "make them with scenetex.panorama_views"
        if not isinstance(views, ViewSet):
            raise InputError(f"views: {type(views).__name__} is not a ViewSet; {cure}")
        if len(views) != VIEWS:
            raise InputError(f"views: {len(views)} of them are no panorama, which has {VIEWS}; {cure}")
        width, height = views.size
        if width != height:
            raise InputError(f"views of {width} x {height} pixels are not square, as those of a panorama are; {cure}")
        pose = views.cam_to_world
        rotations = np.linalg.inv(pose[0, :3, :3]) @ pose[:, :3, :3] if np.isfinite(pose).all() else np.nan
        same = (
            np.allclose(views.intrinsics, ring_intrinsics(width), atol=0.01 * width)
            and np.allclose(rotations, ring_rotations(), atol=0.01)
            and np.abs(pose[:, :3, 3] - pose[0, :3, 3]).max() <= 0.0005 * (views.middle_depth or 2.0)
        )
        if not same:
            raise InputError(f"views: their cameras do not turn about one point by 45 degrees each; {cure}")
        if not (np.isfinite(views.depth) & (views.depth > 0)).any():
            raise InputError("views: none of them sees anything of the mesh; choose a position inside the room")
        return cls(width, views, by_depth)

    def __len__(self) -> int:
        return VIEWS

    @cached_property
    def _cameras(self) -> tuple[np.ndarray, np.ndarray]:
        """Intrinsics and rotations (8, 3, 3)."""
        return np.repeat(ring_intrinsics(self.side)[None], VIEWS, 0), ring_rotations()

    @cached_property
    def noise_seeds(self) -> list[int]:
        return camera_seeds(*self._cameras)

    @property
    def size(self) -> tuple[int, int]:
        return self.side, self.side

    def check(self, factor: int, least: int) -> None:
        """See `Scenery`."""
        if self.side < least or self.side % least:
            raise InputError(f"panorama of views of {self.side} pixels; choose a size that is a multiple of {least}")
        blind = [i for i in range(VIEWS) if self.by_depth and not (self.surface.depth[i] > 0).any()]
        if blind:
            raise InputError(
                f"view {blind[0]} of the panorama sees nothing of the mesh, but the model attends along depth; choose "
                'another position, or a model of kind "panorama"'
            )

    def attended(self, which: Sequence[int], convention: str) -> Correspondence:
        if self.by_depth:
            return correspondence_of(self.surface, which, convention=convention)
        return self._turned(which, convention=convention)

    def places(self, which: Sequence[int]) -> Correspondence:
        return self._turned(which, overlap=SHARED_OVERLAP, reach=0)

    def plan(self, is_anchor: Sequence[bool], places: Correspondence, joint: int) -> list[Window]:
        """All views together."""
        return [Window(tuple(range(VIEWS)), frozenset(i for i, there in enumerate(is_anchor) if there))]

    def _turned(self, which: Sequence[int], **options) -> Correspondence:
        tensors = (torch.from_numpy(np.asarray(t[list(which)], np.float32))[None] for t in self._cameras)
        return from_rotation(*tensors, (self.side, self.side), **options)
