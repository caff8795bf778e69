"""Images to latents and back."""

import numpy as np
import torch

from ..errors import InputError
from ..models import SurfaceAutoencoder
from ..views.viewset import ViewSet
from .surface_condition import surface_fields

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


def encode(pipe, image: np.ndarray) -> torch.Tensor:
    """(c, h, w) latents of an image (H, W, 3) 0..1: the mean, so that they are the same every time."""
    vae = pipe.vae
    pixels = torch.from_numpy(image).permute(2, 0, 1)[None].to(pipe._execution_device, vae.dtype) * 2 - 1
    latents = vae.encode(pixels).latent_dist.mode()[0]
    return (latents - (vae.config.shift_factor or 0)) * vae.config.scaling_factor


def decode(pipe, latents: torch.Tensor, given, surface: ViewSet | None = None) -> torch.Tensor:
    """(m, 3, H, W) images, -1..1, of latents (m, c, h, w); views with a `given` image (H, W, 3) 0..1 show that one.

    An autoencoder that can be told what m views see of the `surface` is told.
    """
    vae, out = pipe.vae, []
    told = surface is not None and isinstance(vae, SurfaceAutoencoder)
    fields = surface_fields(surface).to(latents.device) if told else None
    narrow = vae.dtype
    # Stable Diffusion XL's autoencoder overflows in half precision.
    upcast = narrow == torch.float16 and getattr(vae.config, "force_upcast", False)
    if upcast:
        vae.to(torch.float32)
    missing = [i for i, image in enumerate(given) if image is None]
    decoded = {}
    for start in range(0, len(missing), _TOGETHER):
        part = missing[start : start + _TOGETHER]
        z = latents[part].to(vae.dtype) / vae.config.scaling_factor + (vae.config.shift_factor or 0)
        along = {} if fields is None else {"surface": fields[part]}
        decoded.update(zip(part, vae.decode(z, return_dict=False, **along)[0].float(), strict=True))
    if upcast:
        vae.to(narrow)
    for i, image in enumerate(given):
        out.append(decoded[i] if image is None else torch.from_numpy(image).permute(2, 0, 1).to(latents.device) * 2 - 1)
    return torch.stack(out)
