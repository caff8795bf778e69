"""Images to latents and back."""

import numpy as np
import torch
from diffusers import AutoencoderKL

from ..errors import InputError
from ..models import SurfaceAutoencoder
from ..views.viewset import ViewSet
from .conditioning import surface_fields

Autoencoder = AutoencoderKL | SurfaceAutoencoder
OUTPUT_TYPES = ("np", "pil", "pt", "latent")  # what calls of pipelines return

_TOGETHER = 4  # images that the autoencoder works on at a time


def picture(image, size: tuple[int, int], view: int) -> np.ndarray:
    """An image (h, w, 3), uint8, float 0..1 or PIL, as float32 0..1.

    Raises:
        InputError: not an image of `size` (width, height); `view` is its number, for the message.
    """
    image = np.asarray(image)
    if image.dtype == np.uint8:
        image = image / np.float32(255)
    if image.shape != (size[1], size[0], 3) or image.dtype.kind != "f":
        shape = " x ".join(str(n) for n in image.shape)
        raise InputError(
            f"image of view {view} is {shape} of {image.dtype}, but the view is {size[1]} x {size[0]}; pass "
            "(height, width, 3) uint8 or float images of the views' size"
        )
    if not np.isfinite(image).all():
        raise InputError(f"image of view {view} holds values that are not finite; generate it again")
    return image.astype(np.float32).clip(0, 1)


def encode(vae: Autoencoder, image: np.ndarray, device: torch.device) -> torch.Tensor:
    """(c, h, w) latents of an image (H, W, 3) 0..1: the mean, so that they are the same every time."""
    pixels = torch.from_numpy(image).permute(2, 0, 1)[None].to(device, vae.dtype) * 2 - 1
    latents = vae.encode(pixels).latent_dist.mode()[0]
    return (latents - (vae.config.shift_factor or 0)) * vae.config.scaling_factor


def decode(vae: Autoencoder, latents: torch.Tensor, surface: torch.Tensor | None) -> torch.Tensor:
    """(n, 3, H, W) images, about -1..1, of latents (n, c, h, w), a few at a time; `surface` from `told_surface`."""
    narrow = vae.dtype
    # Stable Diffusion XL's autoencoder overflows in half precision.
    upcast = narrow == torch.float16 and getattr(vae.config, "force_upcast", False)
    if upcast:
        vae.to(torch.float32)
    out = []
    for start in range(0, len(latents), _TOGETHER):
        part = slice(start, start + _TOGETHER)
        z = latents[part].to(vae.dtype) / vae.config.scaling_factor + (vae.config.shift_factor or 0)
        along = {} if surface is None else {"surface": surface[part].to(latents.device)}
        out.append(vae.decode(z, return_dict=False, **along)[0].float())
    if upcast:
        vae.to(narrow)
    return torch.cat(out)


def told_surface(vae: Autoencoder, views: ViewSet | None) -> torch.Tensor | None:
    """What an autoencoder's decoder is told of the surface that m views see, (m, g, H, W); None where it cannot be."""
    return surface_fields(views) if views is not None and isinstance(vae, SurfaceAutoencoder) else None
