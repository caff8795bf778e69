"""Samples as the diffusion models see them, and their files: encoding again each time would cost more than the training
of a small model."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch.nn import functional as F

from ..data.sample import Sample
from ..errors import InputError
from ..files.json_file import parse_json
from ..files.output import write_files
from ..files.reading import check_regular
from ..models import SuperResolutionUNet
from ..models.image_features import Eyes
from ..models.patch_autoencoder import image_factor
from ..pipelines.conditioning import make_guide
from ..pipelines.cross_view import evidence
from ..pipelines.upscale import enlarged
from ..views.viewset import ViewSet

_TENSORS = ("latents", "guide", "depth", "intrinsics", "cam_to_world")
_HALVED = ("latents", "guide", "depth", "seen")  # at 4 m, half precision tells depths 2 mm apart
_TOGETHER = 8  # images that the autoencoder works on at a time


@dataclass(frozen=True, eq=False)
class Encoded:
    """m views of one scene.

    Attributes:
        latents: (m, c, h, w) float32, scaled as the UNet wants them.
        guide: (m, g, h', w') float32, what the UNet is told: maps of the surface, or the latents of small images.
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


def encode_sample(sample: Sample, vae, guide_channels: int, eyes: Eyes | None = None) -> Encoded:
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


def encode_large(sample: Sample, vae, unet: SuperResolutionUNet) -> Encoded:
    """A sample of large images for super-resolution: latents of their middle, half as wide and high, and as guide those
    of the whole small images; depth and cameras are of the small ones."""
    small, cell = sample.shrunk(unet.config.factor), image_factor(vae)
    height, width = sample.images.shape[1:3]
    top, left = (side // cell // 4 // unet.alignment * unet.alignment * cell for side in (height, width))
    middle = _planes(sample.images)[..., top : height - top, left : width - left]
    guide = _latents(vae, enlarged(_planes(small.images) / 255, unet.config.enlarge) * 255)
    return _encoded(small, _latents(vae, middle), guide)


def encode_detail(sample: Sample, vae, factor: int) -> Encoded:
    """A sample of large images for the detail decoder: latents of their middle, half as wide and high; as guide, on the
    grid of the small images, all that the decoder sees and should make of that part, see `detail_parts`."""
    small, cell = sample.shrunk(factor), image_factor(vae)
    height, width = sample.images.shape[1:3]
    top, left = (side // cell // 4 * cell for side in (height, width))
    rows, columns = slice(top, height - top), slice(left, width - left)
    inner = (slice(top // factor, (height - top) // factor), slice(left // factor, (width - left) // factor))
    large, pictures = _planes(sample.images)[..., rows, columns], small.images.astype(np.float32) / 127.5 - 1
    guide = []
    for i in range(len(sample)):
        difference, told = evidence(pictures, i, small.views, factor)
        maps = large[i].float() / 127.5 - 1, difference[:, rows, columns]
        parts = [F.pixel_unshuffle(m, factor) for m in maps]
        guide.append(torch.cat([parts[0], _planes(pictures)[i][:, *inner], parts[1], told[None, *inner]]))
    return _encoded(small, _latents(vae, large), torch.stack(guide))


def detail_parts(guide: torch.Tensor, factor: int) -> dict[str, torch.Tensor]:
    """Large images (n, 3, h factor, w factor), small ones, and what other views show of them, from a guide (n, g, h, w)
    of `encode_detail`."""
    large, small, difference, told = guide.split((3 * factor**2, 3, 3 * factor**2, 1), 1)
    large, difference = (F.pixel_shuffle(x, factor) for x in (large, difference))
    return {"large": large, "small": small, "difference": difference, "told": told[:, 0]}


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
def _latents(vae, images: torch.Tensor) -> torch.Tensor:
    """(m, c, h, w) of images (m, 3, H, W) 0..255: the mean, as the pipelines take it."""
    rows = []
    for part in images.split(_TOGETHER):
        mean = vae.encode(part.to(vae.device, vae.dtype) / 127.5 - 1).latent_dist.mean.float().cpu()
        rows.append((mean - (vae.config.shift_factor or 0)) * vae.config.scaling_factor)
    return torch.cat(rows)


def write_encoded(path: Path, encoded: Encoded) -> None:
    """Writes a file that appears whole or not at all; all but the cameras in half precision.

    Raises:
        InputError: it cannot be written.
    """
    kept = _TENSORS if encoded.seen is None else (*_TENSORS, "seen")
    tensors = {name: getattr(encoded, name) for name in kept}
    tensors |= {name: tensors[name].half() for name in _HALVED if name in kept}
    content = save({k: v.contiguous() for k, v in tensors.items()}, {"prompts": json.dumps(encoded.prompts)})
    write_files({path: content})


def read_encoded(path: Path, choose: Callable[[int], Sequence[int]] | None = None) -> Encoded | None:
    """What `write_encoded` wrote; None if there is no such file, or one that cannot be read.

    `choose` is called with the number of views and returns those to read; None reads all.
    """
    try:
        check_regular(path)
        with safe_open(path, "pt") as file:
            prompts = parse_json(file.metadata()["prompts"])
            present = set(file.keys()).union(_TENSORS)
            rows = {name: file.get_slice(name) for name in (*_TENSORS, "seen") if name in present}
            which = list(range(len(prompts)) if choose is None else choose(len(prompts)))
            found = {name: torch.stack([part[i] for i in which]).float() for name, part in rows.items()}
    except InputError:
        raise
    except (OSError, SafetensorError, KeyError, TypeError, ValueError):
        return None
    return Encoded(**found, prompts=tuple(tuple(prompts[i]) for i in which))
