"""Depth as the backbones were trained to read it: inverse, normalised for each view."""

import numpy as np
import torch


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
