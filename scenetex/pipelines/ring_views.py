"""The views of a panorama as the pipelines see them: correspondence by direction alone, depth where it is known."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch

from ..correspondence import Correspondence, from_rotation
from ..errors import InputError
from ..panorama.ring import VIEWS, pole_rotations, ring_intrinsics, ring_rotations
from ..views.viewset import ViewSet
from .conditioning import floor_height
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

    @cached_property
    def rotations(self) -> np.ndarray:
        """(m, 3, 3) float64, each view's camera to that of the ring's first."""
        return ring_rotations()

    def __len__(self) -> int:
        return len(self.rotations)

    @property
    def names(self) -> tuple[int, ...]:
        return tuple(range(len(self)))

    @cached_property
    def _cameras(self) -> tuple[np.ndarray, np.ndarray]:
        """Intrinsics and rotations (m, 3, 3)."""
        return np.repeat(ring_intrinsics(self.side)[None], len(self), 0), self.rotations

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
        blind = [i for i in range(len(self)) if self.by_depth and not (self.surface.depth[i] > 0).any()]
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
        return [Window(self.names, frozenset(i for i, there in enumerate(is_anchor) if there))]

    def _turned(self, which: Sequence[int], **options) -> Correspondence:
        tensors = (torch.from_numpy(np.asarray(t[list(which)], np.float32))[None] for t in self._cameras)
        return from_rotation(*tensors, (self.side, self.side), **options)


@dataclass(frozen=True, eq=False)
class PoleViews(RingViews):
    """The four views that look up from where a ring looks around, or the four that look down; see `Scenery`.

    Attributes:
        below: they look down.
    """

    below: bool = False

    @cached_property
    def rotations(self) -> np.ndarray:
        return np.split(pole_rotations(), 2)[int(self.below)]

    @classmethod
    def halves(cls, views: ViewSet, ring: RingViews) -> list["PoleViews | None"]:
        """Those up and those down, None where one of them sees nothing to paint.

        Raises:
            InputError: views that are not the `pole_views` of the ring.
        """
        cure = "make them with scenetex.pole_views(mesh, views)"
        if ring.surface is None:
            raise InputError("poles: of no scene; pass its ring, too: views=panorama_views(scene)")
        if not isinstance(views, ViewSet) or len(views) != VIEWS or views.size != ring.size:
            raise InputError(f"poles: {views!r} are not the eight of {ring.surface!r}; {cure}")
        turned = ring.surface.cam_to_world[0, :3, :3] @ pole_rotations()
        if not np.allclose(views.cam_to_world[:, :3, :3], turned, atol=0.01):
            raise InputError(f"poles: their cameras do not look up and down where the ring looks around; {cure}")
        sees = (views.depth > 0).any((1, 2))
        # Views that look up do not see how high they look.
        views = replace(views, floor=floor_height(ring.surface))
        return [
            cls(ring.side, views.at(which), ring.by_depth, below) if sees[which].all() else None
            for below, which in ((False, [0, 1, 2, 3]), (True, [4, 5, 6, 7]))
        ]
