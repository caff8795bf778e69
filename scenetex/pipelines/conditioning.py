"""What networks are told about the surface that views show: depth as Stable Diffusion's models read it, or maps.

A UNet that takes `surface_channels` beside its latents is fed `surface_maps`, which tell what a small model cannot
guess from one normalised depth map: where up is, how high things are. Stable Diffusion's take depth alone.
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
from torch.nn.functional import avg_pool2d, pixel_unshuffle

from ..views.viewset import ViewSet
from .known_pixels import fill

SURFACE_FIELDS = 5  # of `surface_fields`
# Maps are halved before they are folded into latent cells: their edges stay sharp to a pixel, at a quarter of the cost.
_POOL = 2
# Heights, metres, are counted from about eye height and in about its size, as networks like their inputs.
_EYE = 1.25
_NEAREST = 0.25
_WHOLE = 0.25  # of a view that has to see a surface for its holes to be closed
_STEP = 4


def make_guide(views: ViewSet, channels: int, factor: int) -> torch.Tensor:
    """(m, channels, h / factor, w / factor) float32: one channel is the depth that Stable Diffusion's depth models
    read, more are `surface_maps`.

    Raises:
        InputError: a view without any valid depth.
    """
    return depth_channel(views.depth, factor) if channels == 1 else surface_maps(views, factor)


def inverse_depth(depth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Inverse depth of each view, 0 (farthest) to 1 (nearest).

    Args:
        depth: (m, h, w) camera z in metres; 0, negative or not finite = nothing there.

    Returns:
        (m, h, w) float32 and (m, h, w) bool, where it is valid; a view may have no valid depth at all.
    """
    depth = np.asarray(depth, np.float32)
    valid = np.isfinite(depth) & (depth > 0)
    inverse = 1 / (np.where(valid, depth, 1) + np.float32(1e-6))
    nearest = np.max(inverse, (1, 2), keepdims=True, where=valid, initial=0)
    farthest = np.min(inverse, (1, 2), keepdims=True, where=valid, initial=np.finfo(np.float32).max)
    return ((inverse - farthest) / (nearest - farthest + np.float32(1e-6))).astype(np.float32), valid


def depth_channel(depth: np.ndarray, factor: int) -> torch.Tensor:
    """What a depth UNet's fifth channel holds: (m, 1, h / factor, w / factor), -1..1, and -2 where nothing is.

    Normalised at full size and then read at every `factor`-th pixel, as MVDiffusion does.
    """
    inverse, valid = inverse_depth(depth)
    return torch.from_numpy(np.where(valid, inverse * 2 - 1, -2).astype(np.float32)[:, None, ::factor, ::factor])


def control_image(depth: np.ndarray) -> torch.Tensor:
    """What a depth ControlNet looks at: (m, 3, h, w), 0 (farthest, or nothing there) to 1 (nearest)."""
    inverse, valid = inverse_depth(depth)
    return torch.from_numpy(np.where(valid, inverse, 0).astype(np.float32))[:, None].repeat(1, 3, 1, 1)


def surface_channels(factor: int) -> int:
    """Channels of `surface_maps` for latent cells of `factor` (even) image pixels."""
    return SURFACE_FIELDS * (factor // _POOL) ** 2


def surface_maps(views: ViewSet, factor: int) -> torch.Tensor:
    """`surface_fields` of all views, at half their resolution, folded into latent cells.

    Args:
        views: m views with sides that are multiples of `factor`.
        factor: image pixels per latent cell, even.

    Returns:
        (m, c, h / factor, w / factor) float32 with c = `surface_channels(factor)`.
    """
    return pixel_unshuffle(avg_pool2d(surface_fields(views), _POOL), factor // _POOL)


def surface_fields(views: ViewSet) -> torch.Tensor:
    """Inverse depth, normal and height of all views, pixel by pixel.

    The components are inverse depth, 1 / metres, at most 4; the unit normal's parts to the camera's right, forward
    along its heading, and up, in the gravity frame; and the height above the floor. Where nothing is, the surface
    around goes on: models that have seen whole rooms alone take holes of a scan for things. In views that see next to
    nothing, all are 0 there.

    Returns:
        (m, 5, h, w) float32.
    """
    up = views.axis_alignment[2, :3]
    maps = np.zeros((len(views), SURFACE_FIELDS, *views.depth.shape[1:]), np.float32)
    floor = floor_height(views)
    for i, depth in enumerate(views.depth):
        valid = np.isfinite(depth) & (depth > 0)
        safe = np.where(valid, depth, 1)
        pose = views.cam_to_world[i]
        right = pose[:3, 0] - up * (pose[:3, 0] @ up)
        right /= max(np.linalg.norm(right), 1e-9)
        heading = np.stack([right, np.cross(up, right), up])
        maps[i, 0] = np.where(valid, 1 / np.maximum(safe, _NEAREST), 0)
        maps[i, 1:4] = np.moveaxis(views.normal[i] @ heading.T.astype(np.float32), -1, 0) * valid
        height = _heights(safe, views.intrinsics[i], pose, up)
        maps[i, 4] = np.where(valid, (height - floor - _EYE) / _EYE, 0)
        if not valid.all() and valid.mean() > _WHOLE:
            maps[i] = np.moveaxis(fill(np.moveaxis(maps[i], 0, -1), valid), -1, 0)
    return torch.from_numpy(maps)


def surface_by_view(views: ViewSet) -> Iterator[torch.Tensor]:
    """The same of one view after the other, (5, h, w) float32 each: of all large views at once it would fill memory."""
    floor = floor_height(views)
    for i in range(len(views)):
        yield surface_fields(replace(views.at([i]), floor=floor))[0]


def floor_height(views: ViewSet) -> float:
    """The height of the floor that views are told of, or else the lowest, but for stray points, that they see: metres
    along up from the world's origin; 0 where they see nothing."""
    if views.floor is not None:
        return views.floor
    up, seen = views.axis_alignment[2, :3], []
    for depth, intrinsics, pose in zip(views.depth, views.intrinsics, views.cam_to_world, strict=True):
        part = depth[::_STEP, ::_STEP]
        valid = np.isfinite(part) & (part > 0)
        seen.append(_heights(np.where(valid, part, 1), intrinsics, pose, up, _STEP)[valid])
    seen = np.concatenate(seen)
    return float(np.quantile(seen, 0.005)) if len(seen) else 0.0


def _heights(depth: np.ndarray, intrinsics: np.ndarray, pose: np.ndarray, up: np.ndarray, step: int = 1) -> np.ndarray:
    """(h, w) float64 heights along `up` of the points that every `step`-th pixel shows, from the world's origin."""
    h, w = depth.shape
    row = up @ pose[:3, :3] @ np.linalg.inv(intrinsics)
    across, down = step * np.arange(w), step * np.arange(h)
    return depth * (row[0] * across + (row[1] * down + row[2])[:, None]) + up @ pose[:3, 3]
