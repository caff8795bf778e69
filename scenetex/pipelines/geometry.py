"""Correspondences of a `ViewSet`, or of some of its views, for the attention, the noise and the fusion."""

import hashlib
from collections.abc import Sequence

import numpy as np
import torch

from ..correspondence import Correspondence, from_depth
from ..errors import InputError
from ..views.viewset import ViewSet

# Noise and fusion gain from every view that shows the same surface; attention keeps to those it was trained on.
SHARED_OVERLAP = 0.02


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
    if not isinstance(views, ViewSet):
        raise InputError(f"views: {type(views).__name__} is not a ViewSet; make one with scenetex.render_views")
    m = len(views)
    if not m:
        raise InputError("views: there are none; render at least one")
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


def view_keys(views: ViewSet) -> list[int]:
    """A number for each view that depends on its camera alone, not on its place in the set; equal cameras differ."""
    keys, times = [], {}
    for intrinsics, pose in zip(views.intrinsics, views.cam_to_world, strict=True):
        content = (
            np.ascontiguousarray(intrinsics, np.float64).tobytes() + np.ascontiguousarray(pose, np.float64).tobytes()
        )
        times[content] = times.get(content, 0) + 1
        digest = hashlib.blake2b(content + bytes([times[content] % 256]), digest_size=8).digest()
        keys.append(int.from_bytes(digest, "little"))
    return keys
