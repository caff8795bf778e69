"""An autoencoder that folds patches of pixels into channels first: the costly full resolution is never computed at."""

from math import isqrt

import torch
from diffusers import AutoencoderKL, ModelMixin
from diffusers.models.autoencoders.vae import DecoderOutput, DiagonalGaussianDistribution
from diffusers.models.modeling_outputs import AutoencoderKLOutput
from torch.nn.functional import pixel_shuffle, pixel_unshuffle

from .surface_autoencoder import SurfaceAutoencoder


# diffusers loads a class only where its module knows ModelMixin by that name.
class PatchAutoencoder(AutoencoderKL, ModelMixin):
    """`AutoencoderKL` on p x p patches, made with `in_channels = out_channels = 3 p**2`; images stay whole.

    Its latents are smaller than its images by p times what the blocks reduce, see `image_factor`.

    Example:
        >>> import torch
        >>> import scenetex
        >>> widths = {"in_channels": 12, "out_channels": 12, "block_out_channels": (32,), "latent_channels": 4}
        >>> vae = scenetex.PatchAutoencoder(**widths)
        >>> vae.encode(torch.zeros(1, 3, 16, 16)).latent_dist.mode().shape
        torch.Size([1, 4, 8, 8])
    """

    def encode(
        self, x: torch.Tensor, return_dict: bool = True
    ) -> AutoencoderKLOutput | tuple[DiagonalGaussianDistribution]:
        """(n, 3, h, w) in -1..1 to the distribution of (n, c, h / f, w / f) latents."""
        return super().encode(pixel_unshuffle(x, patch_size(self)), return_dict=return_dict)

    def decode(
        self, z: torch.Tensor, return_dict: bool = True, generator: torch.Generator | None = None
    ) -> DecoderOutput | tuple[torch.Tensor]:
        """(n, c, h / f, w / f) latents to (n, 3, h, w) in -1..1."""
        out = super().decode(z, return_dict=False)[0]
        out = pixel_shuffle(out, patch_size(self))
        return DecoderOutput(sample=out) if return_dict else (out,)


def patch_size(vae: AutoencoderKL) -> int:
    """Pixels across the patches that an autoencoder folds; 1 for an ordinary one."""
    return isqrt(vae.config.in_channels // 3)


def image_factor(vae: AutoencoderKL | SurfaceAutoencoder) -> int:
    """Image pixels per latent cell, along a side."""
    if isinstance(vae, SurfaceAutoencoder):
        return 2 ** len(vae.config.decoder_widths)
    return patch_size(vae) * 2 ** (len(vae.config.block_out_channels) - 1)
