"""Super-resolution of views: latents of large images from noise, guided by the small ones, and images of them."""

from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from diffusers.schedulers import SchedulerMixin
from torch.nn import functional as F

from ..errors import InputError
from ..models import SuperResolutionUNet
from ..models.detail_decoder import DetailDecoder, believed, bicubic
from ..scene.camera import resize_intrinsics
from ..views.viewset import ViewSet
from .conditioning import surface_by_view
from .cross_view import evidence
from .denoise import Part, denoise, guided
from .noise import draw_noise
from .scene_views import SceneViews
from .task import Request
from .tiles import Tiles

# Rounds of giving back what the small images show; each leaves a third of the error, a half where it is finest.
_ROUNDS = 8
# Of a detail decoder's images, how much of what the super-resolution model invents is believed unless it is told.
_DETAIL = 0.5
# Cameras that differ less are the same: metres, and parts of directions; pixels of the large images.
_SAME_POSE, _SAME_PIXEL = 1e-4, 0.1


def check_detail(unet: SuperResolutionUNet | None, detail: float | None, latent: bool) -> float:
    """How much of what the super-resolution model invents is believed, 0..1.

    Args:
        unet: the super-resolution model, or None where there is a detail decoder alone.
        detail: what is asked for, 0..1; None = what suits the model.
        latent: whether latents are asked for.

    Raises:
        InputError: something asked of a model that invents nothing.
    """
    if unet is None and (detail or latent):
        raise InputError(
            "the model has a detail decoder alone, which makes up no latents; leave out detail and 'latent'"
        )
    if detail is None:
        return _DETAIL if unet is not None else 0.0
    return float(detail)


def check_large(large: ViewSet | None, views: SceneViews, factor: int) -> None:
    """Raises InputError for large views that are not the `views` at `factor` times their size."""
    if large is None:
        return
    if not isinstance(large, ViewSet):
        raise InputError(f"large_views: {type(large).__name__} is not a ViewSet; make one with scenetex.render_views")
    if len(large) != len(views):
        raise InputError(f"{len(large)} large_views for {len(views)} views; render the same frames")
    width, height = (side * factor for side in views.size)
    if large.size != (width, height):
        raise InputError(
            f"large_views of {large.size[0]} x {large.size[1]} pixels; render them at {width} x {height}, {factor} "
            "times the size of the views"
        )
    same = resize_intrinsics(views.views.intrinsics, views.size, large.size)
    for i, frame in enumerate(views.names):
        pose = np.allclose(large.cam_to_world[i], views.views.cam_to_world[i], rtol=0, atol=_SAME_POSE)
        if not (pose and np.allclose(large.intrinsics[i], same[i], rtol=0, atol=_SAME_PIXEL)):
            raise InputError(f"large_views: view {i} has not the camera of frame {frame}; render the same frames")


@dataclass(frozen=True, eq=False)
class LargeDenoiser:
    """What makes latents of large views, tile by tile, from those of small ones.

    Attributes:
        unet, scheduler: parts of a pipeline.
        views: m views.
        low: (m, c, h, w) latents of their small images.
        tiles: of the large latents.
        request: how to generate them.
    """

    unet: SuperResolutionUNet
    scheduler: SchedulerMixin
    views: SceneViews
    low: torch.Tensor
    tiles: Tiles
    request: Request

    def denoise(self, part: Part) -> torch.Tensor:
        """Clean latents (n, c, H, W) of a window's n views."""
        unet, together = self.unet, self.request.sampling.correspondence and len(part.which) > 1
        correspondence = self.views.attended(part.which, "visible").to(self.low.device) if together else None
        features = unet.read_low(self.low[part.which][None])
        hidden = part.embeddings.hidden.to(unet.dtype)

        def predict(x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
            def compute(rows: slice, columns: slice) -> torch.Tensor:
                sample = x[..., rows, columns].to(unet.dtype).expand(len(hidden), *x.shape[:2], -1, -1)
                corner = (rows.start, columns.start)
                time = t.reshape(1, 1).expand(hidden.shape[:2])
                out = unet(sample, time, hidden, features, correspondence, corner, return_dict=False)[0]
                return guided(out, self.request)

            return self.tiles.blend(compute)

        return denoise(self.scheduler, part, predict, self.request)


@torch.no_grad()
def add_detail(
    decoder: DetailDecoder,
    latents: torch.Tensor,
    small: torch.Tensor,
    views: SceneViews,
    share: float,
    together: bool,
    tiles: Tiles,
    large_views: ViewSet | None = None,
) -> torch.Tensor:
    """Large images (m, 3, H, W), about -1..1: one view at a time, and of it one tile.

    Args:
        decoder: what makes them.
        latents: (m, c, h', w') of the large images.
        small: (m, 3, h, w) small images, 0..1.
        views: m views of the small images.
        share: how much of the detail in the latents is believed, 0..1.
        together: use what the views show of each other.
        tiles: of the large images.
        large_views: the views at the size of the large images, for a decoder that is told their surface; None = it is
            not known.
    """
    out, device, (h, w) = [], latents.device, small.shape[-2:]
    factor = decoder.config.factor
    cell = h * factor // latents.shape[-2]
    small = small * 2 - 1
    pictures = small.permute(0, 2, 3, 1).contiguous().numpy()
    # What is not believed is covered by noise, the same every time.
    noise = draw_noise(0, views.noise_seeds, tuple(latents.shape[1:])).to(device)
    level = torch.full((1,), 1.0 - share, device=device)
    surfaces = None if large_views is None or not decoder.config.guide_channels else surface_by_view(large_views)
    for i in range(len(latents)):
        seen = small.new_zeros(3, h * factor, w * factor), small.new_zeros(h, w)
        if together:
            seen = evidence(pictures, i, views.views, factor)
        difference, told = (x.to(device) for x in seen)
        own, z = small[i].to(device), believed(latents[i][None].float(), noise[i][None], level)

        maps = [(z, cell), (own[None], factor), (difference[None], 1), (told[None], factor)]
        if surfaces is not None:
            maps.append((next(surfaces)[None].to(device), 1))
        out.append(tiles.blend(partial(_tile, decoder, level, maps)))
    return torch.cat(out)


def _tile(decoder: DetailDecoder, level: torch.Tensor, maps, rows: slice, columns: slice) -> torch.Tensor:
    """The large image's rows and columns, from maps (1, ..., h, w), each with how many pixels wide its cells are."""
    parts = []
    for x, cell in maps:
        down, across = (slice(side.start // cell, side.stop // cell) for side in (rows, columns))
        parts.append(x[..., down, across])
    return decoder(parts[0], level, *parts[1:])


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
