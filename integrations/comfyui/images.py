"""Images as ComfyUI passes them: tensors (b, h, w, 3), float32, 0 to 1."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

import scenetex

if TYPE_CHECKING:
    import torch

_FARTHEST = 0.9  # of the depth seen that is told apart from the background


def to_tensor(images: Sequence[np.ndarray]) -> "torch.Tensor":
    """IMAGE of (h, w, 3) arrays of one size, uint8, or float 0..1.

    Raises:
        InputError: there is none, or they have different sizes.
    """
    import torch

    shapes = {image.shape for image in images}
    if len(shapes) != 1:
        sizes = ", ".join(sorted(f"{width} x {height}" for height, width, _ in shapes)) or "none"
        raise scenetex.InputError(f"images of one size are needed, but these are {sizes}; choose other keyframes")
    stack = np.stack([image / np.float32(255) if image.dtype == np.uint8 else image for image in images])
    return torch.from_numpy(np.ascontiguousarray(stack, np.float32))


def to_arrays(images: "torch.Tensor") -> list[np.ndarray]:
    """(h, w, 3) uint8 arrays of an IMAGE; of what is transparent, the colour."""
    stack = images[..., :3].detach().cpu().numpy()
    return list(np.round(np.clip(stack, 0, 1) * 255).astype(np.uint8))


def depth_image(depth: np.ndarray) -> np.ndarray:
    """Depth (h, w) in metres, 0 = no surface, as depth ControlNets have it: (h, w, 3) float32, near white, far dark
    (by 1 / depth), background black."""
    out = np.zeros(depth.shape, np.float32)
    seen = depth > 0
    if seen.any():
        inverse = 1 / depth[seen]
        low, high = inverse.min(), inverse.max()
        span = max(high - low, np.finfo(np.float32).tiny)
        out[seen] = 1 - _FARTHEST + _FARTHEST * (inverse - low) / span
    return np.repeat(out[..., None], 3, axis=2)
