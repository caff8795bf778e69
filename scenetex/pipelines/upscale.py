"""Super-resolution of views: latents of large images from noise, guided by the small ones, and images of them."""

from collections.abc import Sequence

import numpy as np
import torch
from torch.nn import functional as F

from ..errors import InputError
from ..models.detail_decoder import bicubic
from .agree import agree
from .denoise import Part, denoise
from .detail import add_detail
from .generate import run_windows
from .geometry import SceneViews
from .images import decode, encode
from .prompts import one_per_view
from .request import Request
from .tiles import Tiles, check_tile

# Rounds of giving back what the small images show; each leaves a third of the error, a half where it is finest.
_ROUNDS = 8


# Of a detail decoder's images, how much of what the super-resolution model invents is believed unless it is told.
_DETAIL = 0.5


def trained_factor(pipe) -> int:
    """How many times larger the pipeline's model makes images.

    Raises:
        InputError: a pipeline without super-resolution model and detail decoder.
    """
    for part in (pipe.upscale_unet, pipe.detail_decoder):
        if part is not None:
            return part.config.factor
    raise InputError(
        "the model has no super-resolution (upscale_unet, detail_decoder); pass one that has, or do not upscale"
    )


def check_factor(pipe, factor: int | None) -> None:
    """Raises InputError for a pipeline that makes images larger by another factor, or not at all; None = any."""
    trained = trained_factor(pipe)
    if factor is not None and factor != trained:
        raise InputError(f"cannot upscale {factor} times: the model was trained to upscale {trained} times")


def check_detail(pipe, detail: float | None, latent: bool) -> float:
    """How much of what the super-resolution model invents is believed, 0..1.

    Args:
        detail: what is asked for, 0..1; None = what suits the model.
        latent: whether latents are asked for.

    Raises:
        InputError: something asked of a model that invents nothing.
    """
    if pipe.upscale_unet is None and (detail or latent):
        raise InputError(
            "the model has a detail decoder alone, which makes up no latents; leave out detail and 'latent'"
        )
    if detail is None:
        return _DETAIL if pipe.upscale_unet is not None else 0.0
    return float(detail)


def upscale(
    pipe,
    images: Sequence[np.ndarray],
    views: SceneViews,
    request: Request,
    tile: int | None,
    detail: float,
    fused: bool,
    latent: bool,
) -> torch.Tensor:
    """Large images (m, 3, H, W), -1..1, or their latents.

    Args:
        pipe: the pipeline, with a super-resolution model, a detail decoder, or both.
        images: m images (h, w, 3) float32 0..1 of the views.
        request: how to generate the latents; without fusion.
        tile: side of tiles, pixels of the large images; None = no tiles.
        detail: how much of the latents' own detail is believed, see `add_detail`; at 0 none are generated.
        fused: let the large images of different views agree, see `agree`.
        latent: return latents.

    Raises:
        InputError: views or prompts that do not fit.
    """
    unet, decoder, cell = pipe.upscale_unet, pipe.detail_decoder, pipe.vae_scale_factor
    factor = trained_factor(pipe)
    least = max(1, cell // (factor if unet is None else unet.config.enlarge))
    views.check(least, least)
    alignment = 1 if unet is None else unet.alignment
    check_tile(tile, alignment * cell)
    small = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2)
    size = tuple(side * factor // cell for side in small.shape[-2:])
    tiles = Tiles.cover(size, None if tile is None else tile // cell, alignment)
    if latent or decoder is None or detail > 0:
        latents = _large_latents(pipe, small, views, request, size, tiles)
    else:
        one_per_view(request.prompt, len(views), "prompt")  # wrong ones are named, though nothing is asked of them
        latents = torch.zeros((len(views), decoder.config.latent_channels, *size), device=pipe._execution_device)
    if latent:
        return latents
    if decoder is not None:
        together = request.correspondence and len(views) > 1
        large = add_detail(decoder, latents, small, views, detail, together, tiles.scaled(cell))
    else:
        # One image and one tile at a time: at this size the autoencoder takes more memory than the UNet.
        blend = tiles.scaled(cell).blend
        decoded = [blend(lambda rows, columns, z=z: _decode(pipe, z, rows, columns)) for z in latents.split(1)]
        large = torch.cat(decoded)
    large = restore(large, small.to(large.device) * 2 - 1)
    if not fused or len(large) == 1:
        return large
    pictures = agree(large.permute(0, 2, 3, 1).cpu().contiguous().numpy(), views.views)
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).to(large.device).clamp(-1, 1)


def _large_latents(
    pipe, small: torch.Tensor, views: SceneViews, request: Request, size: tuple[int, int], tiles: Tiles
) -> torch.Tensor:
    """Latents (m, c, h, w), `size` = (h, w), that the super-resolution UNet makes of small images (m, 3, h', w')."""
    unet, device = pipe.upscale_unet, pipe._execution_device
    low = torch.stack([_encode(pipe, image, unet.config.enlarge) for image in small]).to(unet.dtype)

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

    return run_windows(pipe, views, request, size, {}, run)


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
