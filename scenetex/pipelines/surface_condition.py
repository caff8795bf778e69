"""What a small depth model cannot guess from one normalised depth map: where up is, how high things are.

A UNet that takes `surface_channels` beside its latents is fed `surface_maps`; Stable Diffusion's take depth alone.
"""

import numpy as np
import torch
from torch.nn.functional import avg_pool2d, pixel_unshuffle

from ..views.viewset import ViewSet

_COMPONENTS = 5
# Maps are halved before they are folded into latent cells: their edges stay sharp to a pixel, at a quarter of the cost.
_POOL = 2
# Heights, metres, are counted from about eye height and in about its size, as networks like their inputs.
_EYE = 1.25
_NEAREST = 0.25
_STEP = 4


def surface_channels(factor: int) -> int:
    """Channels of `surface_maps` for latent cells of `factor` (even) image pixels."""
    return _COMPONENTS * (factor // _POOL) ** 2


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
    along its heading, and up, in the gravity frame; and the height above the floor. All are 0 where nothing is. The
    floor is the lowest height, but for stray points, that the views see.

    Returns:
        (m, 5, h, w) float32.
    """
    up = views.axis_alignment[2, :3]
    maps = np.zeros((len(views), _COMPONENTS, *views.depth.shape[1:]), np.float32)
    heights = []
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
        heights.append(height[::_STEP, ::_STEP][valid[::_STEP, ::_STEP]])
        maps[i, 4] = np.where(valid, height, np.nan)
    seen = np.concatenate(heights)
    floor = np.quantile(seen, 0.005) if len(seen) else 0.0
    maps[:, 4] = np.nan_to_num((maps[:, 4] - floor - _EYE) / _EYE, nan=0.0)
    return torch.from_numpy(maps)


def _heights(depth: np.ndarray, intrinsics: np.ndarray, pose: np.ndarray, up: np.ndarray) -> np.ndarray:
    """(h, w) float64 heights along `up` of the points that pixels show, from the world's origin."""
    h, w = depth.shape
    row = up @ pose[:3, :3] @ np.linalg.inv(intrinsics)
    return depth * (row[0] * np.arange(w) + (row[1] * np.arange(h) + row[2])[:, None]) + up @ pose[:3, 3]
