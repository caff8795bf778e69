"""Samples as the models see them that are trained on latents."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from diffusers import AutoencoderKL

from ..data.sample import Sample
from ..models import SuperResolutionUNet
from ..models.image_features import Eyes
from ..models.patch_autoencoder import image_factor
from ..pipelines.conditioning import make_guide, surface_by_view
from ..pipelines.cross_view import evidence
from ..pipelines.upscale import enlarged
from ..views.viewset import ViewSet

_TOGETHER = 8  # images that the autoencoder works on at a time


@dataclass(frozen=True, eq=False)
class Encoded:
    """m views of one scene, for a UNet.

    Attributes:
        latents: (m, c, h, w) float32, scaled as the UNet wants them.
        guide: (m, g, h', w') float32, what the UNet is told beside them: maps of the surface, or, for super-resolution,
            the latents of the whole small images.
        depth: (m, H, W) float32, metres, for correspondences.
        intrinsics: (m, 3, 3) float32, pixels of the depth.
        cam_to_world: (m, 4, 4) float32, metres.
        prompts: for each view, sentences to choose from.
        seen: (m, f, h'', w'') float32, what trained eyes see in the images; None where nothing is aligned with it.
    """

    latents: torch.Tensor
    guide: torch.Tensor
    depth: torch.Tensor
    intrinsics: torch.Tensor
    cam_to_world: torch.Tensor
    prompts: tuple[tuple[str, ...], ...]
    seen: torch.Tensor | None = None


@dataclass(frozen=True, eq=False)
class EncodedDetail:
    """The middle of m large views of one scene, for the detail decoder: what it sees, and what it should make of it.

    Attributes:
        latents: (m, c, h, w) float32, scaled as the UNet wants them.
        large: (m, 3, H, W) float32 -1..1, the images.
        small: (m, 3, H / factor, W / factor) float32 -1..1, the same at the size that is made larger.
        difference: (m, 3, H, W) float32, what other views show beside the small image, see `evidence`.
        told: (m, H / factor, W / factor) float32, where they show it.
        surface: (m, 5, H, W) float32, what the large views see, see `surface_fields`; None where it is not told.
    """

    latents: torch.Tensor
    large: torch.Tensor
    small: torch.Tensor
    difference: torch.Tensor
    told: torch.Tensor
    surface: torch.Tensor | None = None


def encode_sample(sample: Sample, vae: AutoencoderKL, guide_channels: int, eyes: Eyes | None = None) -> Encoded:
    """A sample for generation.

    Args:
        sample: m views.
        vae: the autoencoder.
        guide_channels: of the UNet's input, beside the latents, see `make_guide`; 0 = it is told nothing.
        eyes: whose coarsest features are kept, too; None = nobody's.
    """
    latents = _latents(vae, _planes(sample.images))
    guide = make_guide(sample.views, guide_channels, image_factor(vae)) if guide_channels else latents[:, :0]
    return replace(_encoded(sample, latents, guide), seen=None if eyes is None else _seen(eyes, sample.images))


def encode_large(sample: Sample, vae: AutoencoderKL, unet: SuperResolutionUNet) -> Encoded:
    """A sample of large images for super-resolution: latents of their middle, half as wide and high, and as guide those
    of the whole small images; depth and cameras are of the small ones."""
    small, cell = sample.shrunk(unet.config.factor), image_factor(vae)
    height, width = sample.images.shape[1:3]
    top, left = (side // cell // 4 // unet.alignment * unet.alignment * cell for side in (height, width))
    middle = _planes(sample.images)[..., top : height - top, left : width - left]
    guide = _latents(vae, enlarged(_planes(small.images) / 255, unet.config.enlarge) * 255)
    return _encoded(small, _latents(vae, middle), guide)


def encode_detail(sample: Sample, vae: AutoencoderKL, factor: int, surface: bool = False) -> EncodedDetail:
    """A sample of large images for the detail decoder: their middle, half as wide and high, with the surface if it is
    told that."""
    small, cell = sample.shrunk(factor), image_factor(vae)
    height, width = sample.images.shape[1:3]
    top, left = (side // cell // 4 * cell for side in (height, width))
    rows, columns = slice(top, height - top), slice(left, width - left)
    inner = (slice(top // factor, (height - top) // factor), slice(left // factor, (width - left) // factor))
    large, pictures = _planes(sample.images)[..., rows, columns], small.images.astype(np.float32) / 127.5 - 1
    # Of each map a copy, not to keep the whole.
    fields = [field[:, rows, columns].clone() for field in surface_by_view(sample.views)] if surface else None
    differences, shares = [], []
    for i in range(len(sample)):
        difference, told = evidence(pictures, i, small.views, factor)
        differences.append(difference[:, rows, columns].clone())
        shares.append(told[*inner])
    return EncodedDetail(
        latents=_latents(vae, large),
        large=large.float() / 127.5 - 1,
        small=_planes(pictures)[..., *inner],
        difference=torch.stack(differences),
        told=torch.stack(shares),
        surface=None if fields is None else torch.stack(fields),
    )


def camera_tensors(views: ViewSet) -> dict[str, torch.Tensor]:
    """`depth`, `intrinsics` and `cam_to_world` of views as float32 tensors."""
    poses = views.cam_to_world.copy()
    # In float32 a world whose origin is far away would be coarse.
    poses[:, :3, 3] -= poses[:, :3, 3].min(0)
    return {
        "depth": torch.from_numpy(views.depth),
        "intrinsics": torch.from_numpy(views.intrinsics.astype(np.float32)),
        "cam_to_world": torch.from_numpy(poses.astype(np.float32)),
    }


def _encoded(sample: Sample, latents: torch.Tensor, guide: torch.Tensor) -> Encoded:
    return Encoded(latents, guide, **camera_tensors(sample.views), prompts=sample.prompts)


@torch.no_grad()
def _seen(eyes: Eyes, images: np.ndarray) -> torch.Tensor:
    parts = _planes(images).float().split(_TOGETHER)
    return torch.cat([eyes(part / 127.5 - 1)[-1] for part in parts])


def _planes(images: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(images).permute(0, 3, 1, 2)


@torch.no_grad()
def _latents(vae: AutoencoderKL, images: torch.Tensor) -> torch.Tensor:
    """(m, c, h, w) of images (m, 3, H, W) 0..255: the mean, as the pipelines take it."""
    rows = []
    for part in images.split(_TOGETHER):
        mean = vae.encode(part.to(vae.device, vae.dtype) / 127.5 - 1).latent_dist.mean.float().cpu()
        rows.append((mean - (vae.config.shift_factor or 0)) * vae.config.scaling_factor)
    return torch.cat(rows)
