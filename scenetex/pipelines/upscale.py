"""Super-resolution of views: latents of large images from noise, guided by the small ones."""

from collections.abc import Sequence

import numpy as np
import torch
from torch.nn import functional as F

from ..errors import InputError
from ..models.detail_decoder import bicubic
from .denoise import Part, denoise
from .detail import add_detail
from .generate import run_windows
from .geometry import SceneViews
from .images import decode, encode
from .request import Request
from .tiles import Tiles, check_tile

# Rounds of giving back what the small images show; each leaves a third of the error, a half where it is finest.
_ROUNDS = 8


def check_factor(pipe, factor: int | None) -> int:
    """How many times larger the pipeline's model makes images.

    Args:
        factor: what is asked for; None = whatever it is.

    Raises:
        InputError: a pipeline without super-resolution model, or with one of another factor.
    """
    if pipe.upscale_unet is None:
        raise InputError("the model has no super-resolution (upscale_unet); pass one that has, or do not upscale")
    trained = pipe.upscale_unet.config.factor
    if factor is not None and factor != trained:
        raise InputError(f"cannot upscale {factor} times: the model was trained to upscale {trained} times")
    return trained


def upscale(
    pipe,
    images: Sequence[np.ndarray],
    views: SceneViews,
    request: Request,
    tile: int | None,
    detail: float,
    latent: bool,
) -> torch.Tensor:
    """Large images (m, 3, H, W), -1..1, or their latents.

    Args:
        pipe: the pipeline, with a super-resolution model.
        images: m images (h, w, 3) float32 0..1 of the views.
        request: how to generate; without fusion.
        tile: side of tiles, pixels of the large images; None = no tiles.
        detail: how much of the latents' own detail is believed, see `add_detail`.
        latent: return latents.

    Raises:
        InputError: views or prompts that do not fit.
    """
    unet, cell = pipe.upscale_unet, pipe.vae_scale_factor
    factor, enlarge = unet.config.factor, unet.config.enlarge
    least = max(1, cell // enlarge)
    views.check(least, least)
    check_tile(tile, unet.alignment * cell)
    device = pipe._execution_device
    small = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2)
    low = torch.stack([_encode(pipe, image, enlarge) for image in small]).to(unet.dtype)
    size = tuple(side * factor // cell for side in small.shape[-2:])
    tiles = Tiles.cover(size, None if tile is None else tile // cell, unet.alignment)

    def run(part: Part) -> torch.Tensor:
        together = request.correspondence and len(part.which) > 1
        correspondence = views.attended(part.which, "visible").to(device) if together else None
        features = unet.read_low(low[part.which][None])
        hidden = part.embeddings.hidden.to(unet.dtype)

        def predict(x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
            def compute(rows: slice, columns: slice) -> torch.Tensor:
                sample = x[..., rows, columns].to(unet.dtype).expand(len(hidden), *x.shape[:2], -1, -1)
                corner = (rows.start, columns.start)
                time = t.reshape(1, 1).expand(hidden.shape[:2])
                out = unet(sample, time, hidden, features, correspondence, corner, return_dict=False)[0]
                return out[0] if len(out) == 1 else out[0] + request.guidance_scale * (out[1] - out[0])

            return tiles.blend(compute)

        return denoise(pipe.scheduler, part, predict, request)

    latents = run_windows(pipe, views, request, size, {}, run)
    if latent:
        return latents
    if pipe.detail_decoder is not None:
        together = request.correspondence and len(views) > 1
        large = add_detail(pipe.detail_decoder, latents, small, views, detail, together, tiles.scaled(cell))
    else:
        # One image and one tile at a time: at this size the autoencoder takes more memory than the UNet.
        blend = tiles.scaled(cell).blend
        decoded = [blend(lambda rows, columns, z=z: _decode(pipe, z, rows, columns)) for z in latents.split(1)]
        large = torch.cat(decoded)
    return restore(large, small.to(large.device) * 2 - 1)


def restore(images: torch.Tensor, small: torch.Tensor) -> torch.Tensor:
    """Gives images back what their small versions show: the mean over each of the small pixels.

    Iterative back-projection (Irani and Peleg, 1991). It takes away what the autoencoder and the model change in the
    large shapes; what they add to them stays.

    Args:
        images: (m, c, H, W).
        small: (m, c, h, w), of a size that divides (H, W) evenly.
    """
    factor = images.shape[-1] // small.shape[-1]
    for _ in range(_ROUNDS):
        error = small - F.avg_pool2d(images, factor)
        images = (images + bicubic(error, factor)).clamp(-1, 1)
    return images


def enlarged(images: torch.Tensor, factor: int) -> torch.Tensor:
    """Images (m, 3, h, w), 0..1, bicubic at `factor` times the size."""
    return images if factor == 1 else bicubic(images, factor).clamp(0, 1)


def _encode(pipe, image: torch.Tensor, enlarge: int) -> torch.Tensor:
    """(c, h, w) latents of a small image (3, h, w)."""
    return encode(pipe, enlarged(image[None], enlarge)[0].permute(1, 2, 0).numpy())


def _decode(pipe, latents: torch.Tensor, rows: slice, columns: slice) -> torch.Tensor:
    """A tile (1, 3, H, W) of the image of latents (1, c, h, w)."""
    cell = pipe.vae_scale_factor
    part = latents[..., rows.start // cell : rows.stop // cell, columns.start // cell : columns.stop // cell]
    return decode(pipe, part, [None])
