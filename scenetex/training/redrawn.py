"""Latents as a UNet leaves them, of images that are known: what a decoder behind it has to make images from."""

import numpy as np
import torch
from torch import nn

from ..data.sample import Sample
from ..models.multiview_unet import base_unet
from ..pipelines.conditioning import make_guide
from ..pipelines.fusing_scheduler import noise_level
from ..pipelines.multiview import MultiViewPipeline
from .items import Item, normal
from .objectives import Batch
from .stage import reading

# Of the noise levels, from the bottom: from more noise the UNet makes another image. What it makes from this one is as
# smooth as what it generates.
_DEEPEST = 0.8


class Redrawn(nn.Module):
    """A pipeline's UNet, view by view, frozen: draws latents again from noise that they are in part covered by.

    Args:
        pipe: whose UNet, text encoder and noise levels are used.
    """

    def __init__(self, pipe: MultiViewPipeline):
        super().__init__()
        self.unet = base_unet(pipe.unet).requires_grad_(False)
        self.text_encoder = pipe.text_encoder.requires_grad_(False)
        self.scheduler, self.scale = pipe.scheduler, pipe.vae.config.scaling_factor
        self.shift = pipe.vae.config.shift_factor or 0.0

    @torch.no_grad()
    def forward(self, latents: torch.Tensor, batch: Batch) -> torch.Tensor:
        """The clean latents (b, m, c, h, w) that the UNet sees in noisy ones, of the sets that are `redrawn` (b,);
        further as `redrawn_item` draws it."""
        which = batch["redrawn"]
        if not which.any():
            return latents
        clean = (latents[which].flatten(0, 1) - self.shift) * self.scale
        noise, guide, words = (batch[name][which].flatten(0, 1) for name in ("cover", "guide", "input_ids"))
        m = latents.shape[1]
        timesteps = batch["timesteps"][which].repeat_interleave(m)
        noisy = self.scheduler.add_noise(clean, noise, timesteps)
        hidden = self.text_encoder(words)[0]
        out = self.unet(torch.cat([noisy, guide], 1), timesteps, hidden, return_dict=False)[0].float()
        found = [noise_level(self.scheduler, 0, t).clean(x, o) for x, o, t in zip(noisy, out, timesteps, strict=True)]
        result = latents.clone()
        result[which] = (torch.stack(found) / self.scale + self.shift).unflatten(0, (-1, m)).to(latents)
        return result


def redrawn_item(
    sample: Sample,
    which: list[int],
    rng: np.random.Generator,
    pipe: MultiViewPipeline,
    share: float,
    latent_shape: tuple[int, int, int],
) -> Item:
    """What `Redrawn` needs of the views `which` of a sample: a noise level and noise (m, c, h, w) for latents of
    `latent_shape`, what the UNet is told, and whether, by `share`, it is to be done at all."""
    tokenize, levels = reading(pipe)
    prompts = [sample.prompts[i] for i in which]
    guide = make_guide(sample.views.at(which), pipe.guide_channels, pipe.vae_scale_factor)
    return {
        "redrawn": torch.tensor(rng.random() < share),
        "timesteps": torch.tensor(int(levels * _DEEPEST * rng.random())),
        "cover": normal(rng, (len(which), *latent_shape)),
        "guide": guide,
        "input_ids": torch.stack([tokenize(p[int(rng.integers(len(p)))]) for p in prompts]),
    }
