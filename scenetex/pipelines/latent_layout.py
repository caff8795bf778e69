"""How pipelines of diffusers lay out latents: their channels, scales and shape, which views' cells are found in."""

from dataclasses import dataclass

import numpy as np
import torch
from diffusers.pipelines.pipeline_utils import DiffusionPipeline
from torch.nn.functional import pixel_shuffle, pixel_unshuffle

from .images import encode

PATCH = 2  # cells of a side that transformers take together


@dataclass(frozen=True)
class LatentLayout:
    """The latents of a view in a pipeline of diffusers.

    Attributes:
        shape: (c, h, w), as the autoencoder makes them.
        packed: whether the pipeline keeps them as tokens of 2 x 2 cells, (h w / 4, 4 c).
    """

    shape: tuple[int, int, int]
    packed: bool

    @classmethod
    def of(cls, pipe: DiffusionPipeline, size: tuple[int, int]) -> "LatentLayout":
        """That of images of `size` (width, height), multiples of `least_side`."""
        config, factor = pipe.vae.config, pipe.vae_scale_factor
        channels = config.get("z_dim") or config.latent_channels
        return cls((channels, size[1] // factor, size[0] // factor), hasattr(pipe, "_pack_latents"))

    def to_grid(self, latents: torch.Tensor) -> torch.Tensor:
        """(n, c, h, w) of a pipeline's n latents."""
        if not self.packed:
            return latents
        _, h, w = self.shape
        return pixel_shuffle(latents.mT.unflatten(2, (h // PATCH, w // PATCH)), PATCH)

    def from_grid(self, grid: torch.Tensor) -> torch.Tensor:
        """A pipeline's n latents of (n, c, h, w)."""
        return pixel_unshuffle(grid, PATCH).flatten(2).mT.contiguous() if self.packed else grid


def least_side(pipe: DiffusionPipeline) -> int:
    """What the sides of a pipeline's images have to be multiples of, pixels."""
    return pipe.vae_scale_factor * (PATCH if hasattr(pipe, "transformer") else 1)


def latents_of(pipe: DiffusionPipeline, image: np.ndarray) -> torch.Tensor:
    """(c, h, w) latents of an image (H, W, 3) float32 0..1, as the pipeline's own are scaled."""
    vae, device = pipe.vae, pipe._execution_device
    if vae.config.get("latents_mean") is None or not vae.config.get("z_dim"):
        return encode(vae, image, device)
    # Qwen-Image's autoencoder is one of videos, with a scale for each channel.
    pixels = torch.from_numpy(image).permute(2, 0, 1)[None, :, None].to(device, vae.dtype) * 2 - 1
    mean, deviation = (
        torch.tensor(vae.config[name], device=device, dtype=vae.dtype)[:, None, None]
        for name in ("latents_mean", "latents_std")
    )
    return (vae.encode(pixels).latent_dist.mode()[0, :, 0] - mean) / deviation
