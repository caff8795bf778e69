"""The views that images are generated for: how they see each other, for the attention, the noise and the fusion."""

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
import torch

from ..correspondence import Correspondence, from_depth
from ..errors import InputError
from ..sampling import Sampling
from ..views.viewset import ViewSet
from .latent_fusion import SHARE_IN_SCENES, Fusion
from .noise import draw_noise, noise_source, share_noise
from .windows import Window, noise_turns, overlaps, plan_between, plan_keyframes

# Noise and fusion gain from every view that shows the same surface; attention keeps to those it was trained on.
SHARED_OVERLAP = 0.02


class Scenery(Protocol):
    """m views to generate: of a scene (`SceneViews`), or around one point (`RingViews`).

    Attributes:
        names: (m,) frame ids, which order the views.
        noise_seeds: (m,) a number for each view that depends on its camera alone.
        size: (width, height) of the images, pixels.
        surface: the views with what they see of the surface; None = not known.
        fused_share: of the noise levels, at which fused views agree in everything, see `Fusion`.
    """

    @property
    def names(self) -> tuple[int, ...]: ...

    @property
    def noise_seeds(self) -> list[int]: ...

    @property
    def size(self) -> tuple[int, int]: ...

    @property
    def surface(self) -> ViewSet | None: ...

    @property
    def fused_share(self) -> float: ...

    def __len__(self) -> int: ...

    def check(self, factor: int, least: int) -> None:
        """Raises InputError for views that cannot be painted with `factor` pixels per latent cell and sides that have
        to be multiples of `least`."""

    def attended(self, which: Sequence[int], convention: str) -> Correspondence:
        """What the UNet attends along, for the views `which` in that order."""

    def places(self, which: Sequence[int]) -> Correspondence:
        """Where each latent cell of the views `which` is found in the others, for noise and fusion."""

    def plan(self, is_anchor: Sequence[bool], places: Correspondence, joint: int) -> list[Window]:
        """Which views are generated together, at most `joint`, some of them anchors; the views are numbered as in
        `places`."""


@dataclass(frozen=True, eq=False)
class SceneViews:
    """Views of a scene, whose depth and poses tell where they show the same surface; see `Scenery`."""

    views: ViewSet
    fused_share = SHARE_IN_SCENES

    @classmethod
    def of(cls, views: ViewSet | None) -> "SceneViews":
        """Raises InputError unless these are views."""
        if not isinstance(views, ViewSet):
            raise InputError(f"views: {type(views).__name__} is not a ViewSet; make one with scenetex.render_views")
        if not len(views):
            raise InputError("views: there are none; render at least one")
        return cls(views)

    def __len__(self) -> int:
        return len(self.views)

    @property
    def names(self) -> tuple[int, ...]:
        return self.views.frame_ids

    @cached_property
    def noise_seeds(self) -> list[int]:
        return camera_seeds(self.views.intrinsics, self.views.cam_to_world)

    @property
    def size(self) -> tuple[int, int]:
        return self.views.size

    @property
    def surface(self) -> ViewSet:
        return self.views

    def check(self, factor: int, least: int) -> None:
        """See `Scenery`; names the frame."""
        check_views(self.views, factor, least)

    def attended(self, which: Sequence[int], convention: str) -> Correspondence:
        return correspondence_of(self.views, which, convention=convention)

    def places(self, which: Sequence[int]) -> Correspondence:
        return correspondence_of(self.views, which, overlap=SHARED_OVERLAP)

    def plan(self, is_anchor: Sequence[bool], places: Correspondence, joint: int) -> list[Window]:
        overlap = overlaps(places)
        return plan_between(is_anchor, overlap, joint) if any(is_anchor) else plan_keyframes(overlap, joint)


@dataclass(frozen=True, eq=False)
class Plan:
    """The way through the views of a task.

    Attributes:
        order: (m,) the views ascending by frame id. In this order sums over views and windows come out the same,
            whatever the caller's.
        places: where each latent cell is found in the other views; these are numbered as in `order`.
        turns: the views of each turn in which noise is drawn, numbered as in `order`.
        windows: what is denoised together, one after the other; views are numbered as the caller does.
    """

    order: list[int]
    places: Correspondence
    turns: list[list[int]]
    windows: list[Window]

    @classmethod
    def of(cls, views: Scenery, anchors: Collection[int], joint: int) -> "Plan":
        """Of views of which the `anchors` are there already, at most `joint` together."""
        order = sorted(range(len(views)), key=lambda i: (views.names[i], views.noise_seeds[i]))
        places = views.places(order)
        is_anchor = [i in anchors for i in order]
        windows = views.plan(is_anchor, places, joint)
        turns = noise_turns(windows, [i for i, there in enumerate(is_anchor) if there], joint)
        named = [Window(tuple(order[i] for i in w.views), frozenset(order[i] for i in w.anchors)) for w in windows]
        return cls(order, places, turns, named)

    def noise(self, seeds: Sequence[int], shape: tuple[int, int, int], sampling: Sampling) -> torch.Tensor:
        """The noise N(0, 1) that views start from, (m, c, h, w) on the CPU, in the caller's order.

        Args:
            seeds: (m,) the views' own.
            shape: (c, h, w) of a view's latents.
            sampling: the seed, and whether views share their noise.
        """
        noise = draw_noise(sampling.seed, [seeds[i] for i in self.order], shape)
        if sampling.shared_noise:
            noise = share_noise(noise, self.places, self.turns)
        return noise[np.argsort(self.order)]


def fusion_of(
    views: Scenery, plan: Plan, which: list[int], shape: tuple[int, int], known: torch.Tensor
) -> Fusion | None:
    """The fusion of n of the views, ascending by frame id, on the device of `known`; None for a view alone.

    Args:
        shape: (h, w) of the latents.
        known: (n, 1, h, w) bool, cells that are there already.
    """
    if len(which) < 2:
        return None
    places = plan.places if which == plan.order else views.places(which)
    return Fusion(places.to(known.device), shape, known, views.fused_share)


def shared_cells(
    views: Scenery, plan: Plan, which: list[int], shape: tuple[int, int], anchors: Collection[int]
) -> np.ndarray:
    """Which cell's noise each cell takes of what is drawn in the steps of n of the views, ascending by frame id: see
    `noise_source`; the arguments are those of `fusion_of`, and the `anchors` among the views."""
    places = plan.places if which == plan.order else views.places(which)
    turns = [[i for i, view in enumerate(which) if (view in anchors) is first] for first in (True, False)]
    return noise_source(places.at(shape), [turn for turn in turns if turn], shape[0] * shape[1])


def correspondence_of(views: ViewSet, which: Sequence[int], **options) -> Correspondence:
    """`from_depth` for the views `which`, in that order; `options` as there.

    Raises:
        InputError: poses or intrinsics that are not finite, a view without valid depth.
    """
    which = list(which)
    poses = views.cam_to_world.copy()
    # In float32 a world whose origin is far away would be coarse. The least, unlike the mean, knows no order.
    poses[:, :3, 3] -= poses[:, :3, 3].min(0)
    tensors = (views.depth[which], views.intrinsics[which], poses[which])
    return from_depth(*(torch.from_numpy(np.asarray(t, np.float32))[None] for t in tensors), **options)


def check_views(views: ViewSet, factor: int, least: int) -> None:
    """Raises InputError for views that cannot be painted, naming the frame.

    Args:
        factor: image pixels per latent cell.
        least: sides have to be multiples of this.
    """
    m = len(views)
    shapes = {"intrinsics": (m, 3, 3), "cam_to_world": (m, 4, 4), "depth": (m, *views.depth.shape[1:])}
    for name, shape in shapes.items():
        if getattr(views, name).shape != shape or views.depth.ndim != 3:
            raise InputError(f"views.{name} is {getattr(views, name).shape}, but there are {m} views")
    width, height = views.size
    if width % least or height % least or min(width, height) < factor:
        raise InputError(f"views of {width} x {height} pixels; render them with sides that are multiples of {least}")
    for i, frame in enumerate(views.frame_ids):
        for name in ("intrinsics", "cam_to_world"):
            if not np.isfinite(getattr(views, name)[i]).all():
                raise InputError(f"view {i} (frame {frame}): {name} is not finite; leave that frame out")
        if not (np.isfinite(views.depth[i]) & (views.depth[i] > 0)).any():
            raise InputError(
                f"view {i} (frame {frame}) has no valid depth; leave it out, or check its pose and the mesh"
            )


def camera_seeds(intrinsics: np.ndarray, poses: np.ndarray) -> list[int]:
    """A number for each camera, which depends on it alone and not on its place in the set; equal cameras differ."""
    seeds, times = [], {}
    for camera in zip(intrinsics, poses, strict=True):
        content = b"".join(np.ascontiguousarray(part, np.float64).tobytes() for part in camera)
        times[content] = times.get(content, 0) + 1
        digest = hashlib.blake2b(content + bytes([times[content] % 256]), digest_size=8).digest()
        seeds.append(int.from_bytes(digest, "little"))
    return seeds
