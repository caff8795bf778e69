"""Samples as the diffusion model sees them, encoded once and kept on disk: encoding again each time would cost more
than the training of a small model."""

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from uuid import uuid4

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from ..models.patch_autoencoder import image_factor
from ..pipelines.guide import make_guide
from .sample import Sample


@dataclass(frozen=True, eq=False)
class Encoded:
    """m views of one scene.

    Attributes:
        latents: (m, c, h, w) float32, scaled as the UNet wants them.
        guide: (m, g, h, w) float32, what the UNet is told about the surface.
        depth: (m, H, W) float32, metres, for correspondences.
        intrinsics: (m, 3, 3) float32, pixels of the images.
        cam_to_world: (m, 4, 4) float32, metres.
        prompts: for each view, sentences to choose from.
    """

    latents: torch.Tensor
    guide: torch.Tensor
    depth: torch.Tensor
    intrinsics: torch.Tensor
    cam_to_world: torch.Tensor
    prompts: tuple[tuple[str, ...], ...]

    def at(self, which: Sequence[int]) -> "Encoded":
        """Some of the views."""
        which = list(which)
        tensors = {f.name: getattr(self, f.name)[which] for f in fields(self) if f.name != "prompts"}
        return Encoded(**tensors, prompts=tuple(self.prompts[i] for i in which))


@torch.no_grad()
def encode_sample(sample: Sample, vae, guide_channels: int) -> Encoded:
    """Encodes a sample.

    Args:
        sample: m views.
        vae: the autoencoder.
        guide_channels: of the UNet's input, beside the latents, see `make_guide`.
    """
    factor = image_factor(vae)
    images = torch.from_numpy(sample.images).permute(0, 3, 1, 2)
    rows = []
    for part in images.split(8):
        pixels = part.to(vae.device, vae.dtype) / 127.5 - 1
        rows.append(vae.encode(pixels).latent_dist.mean.float().cpu() * vae.config.scaling_factor)
    views = sample.views
    poses = views.cam_to_world.copy()
    poses[:, :3, 3] -= poses[:, :3, 3].min(0)
    return Encoded(
        torch.cat(rows),
        make_guide(views, guide_channels, factor),
        torch.from_numpy(views.depth),
        torch.from_numpy(views.intrinsics.astype(np.float32)),
        torch.from_numpy(poses.astype(np.float32)),
        sample.prompts,
    )


def write_encoded(path: Path, encoded: Encoded) -> None:
    """Writes a file that appears whole or not at all; latents and guide in half precision."""
    temporary = path.with_name(f".{path.name}.{uuid4().hex[:8]}.partial")
    tensors = {
        "latents": encoded.latents.half(),
        "guide": encoded.guide.half(),
        "depth": encoded.depth,
        "intrinsics": encoded.intrinsics,
        "cam_to_world": encoded.cam_to_world,
    }
    try:
        save_file(
            {name: value.contiguous() for name, value in tensors.items()},
            temporary,
            {"prompts": json.dumps(encoded.prompts)},
        )
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def read_encoded(path: Path, choose: Callable[[int], Sequence[int]] | None = None) -> Encoded | None:
    """What `write_encoded` wrote; None if there is no such file, or one that cannot be read.

    `choose` is called with the number of views and returns those to read; None reads all.
    """
    try:
        with safe_open(path, "pt") as file:
            prompts = json.loads(file.metadata()["prompts"])
            which = range(len(prompts)) if choose is None else choose(len(prompts))
            found = {}
            for name in ("latents", "guide", "depth", "intrinsics", "cam_to_world"):
                rows = file.get_slice(name)
                found[name] = torch.stack([rows[i] for i in which]).float()
    except (OSError, SafetensorError, KeyError, TypeError, ValueError):
        return None
    return Encoded(**found, prompts=tuple(tuple(prompts[i]) for i in which))
