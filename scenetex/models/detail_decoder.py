"""The detail decoder: large images from large latents, the small images and what other views show."""

from itertools import chain

import torch
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from torch import nn
from torch.nn import functional as F

from .surface_autoencoder import GuidedUpsampling, spread

# Detail is this many times smaller than the images' range; layers learn best from inputs of one size.
_FINE = 10.0


class DetailDecoder(ModelMixin, ConfigMixin):
    """Large images that keep what the small ones show: an autoencoder's latents alone would lose more than they add.

    Convolutions on the grid of the small images find what has to be added to their bicubic enlargement, all of the
    large pixels within a small one at once (sub-pixel convolution, arXiv 1609.05158; residual blocks without
    normalisation, arXiv 1707.02921). They see the small image, how the small images of other views differ from its
    enlargement (see `evidence`), and the latents with noise of a known level, as in cascaded diffusion (arXiv
    2106.15282): the more of it, the less of the latents' detail is believed. Fresh, it is the enlargement.

    One that is told the surface at the large size draws outlines where the depth has them: see `_Outlines`.

    Args:
        latent_channels: of the autoencoder.
        factor: how many times larger the images become.
        width, layers: channels and number of the residual blocks.
        guide_channels: g below; those of `surface_fields`, or 0 = it is not told the surface. With them, the factor is
            a power of two.
    """

    @register_to_config
    def __init__(
        self, latent_channels: int = 4, factor: int = 4, width: int = 64, layers: int = 8, guide_channels: int = 0
    ):
        super().__init__()
        told = (guide_channels + 3) * factor**2 if guide_channels else 0
        self.read = nn.Conv2d(6 + 3 * factor**2 + 1 + latent_channels + 1 + told, width, 3, padding=1)
        self.residual_blocks = nn.ModuleList(
            nn.Sequential(nn.Conv2d(width, width, 3, padding=1), nn.SiLU(), nn.Conv2d(width, width, 3, padding=1))
            for _ in range(layers)
        )
        self.write = nn.Conv2d(width, 3 * factor**2, 3, padding=1)
        self.outlines = _Outlines(guide_channels, factor) if guide_channels else None
        # What each small pixel would show if it lay on one surface alone, beside what it shows.
        self.unmix = nn.Conv2d(width, 3, 3, padding=1) if guide_channels else None
        for value in chain.from_iterable(part.parameters() for part in (self.write, self.unmix) if part is not None):
            nn.init.zeros_(value)

    def forward(
        self,
        latents: torch.Tensor,
        level: torch.Tensor,
        small: torch.Tensor,
        difference: torch.Tensor,
        told: torch.Tensor,
        surface: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Large images (n, 3, h factor, w factor), about -1..1.

        Args:
            latents: (n, c, h', w') of the large images with noise, see `believed`.
            level: (n,) how much noise, 0..1.
            small: (n, 3, h, w) -1..1.
            difference, told: (n, 3, h factor, w factor) and (n, h, w), what other views show, see `evidence`; zeros =
                there are none.
            surface: (n, g, h factor, w factor) what the large views see; None or zeros = it is not known. Only for one
                that has guide channels.
        """
        factor, shape = self.config.factor, small.shape[-2:]
        inputs = [
            small,
            _FINE * (small - F.avg_pool2d(small, 5, 1, 2, count_include_pad=False)),
            _FINE * F.pixel_unshuffle(difference, factor),
            told[:, None],
            F.interpolate(latents, shape, mode="nearest"),
            level[:, None, None, None].expand(-1, 1, *shape),
        ]
        base, along = bicubic(small, factor), None
        if self.outlines is not None and surface is not None:
            along = self.outlines.weights(surface.to(self.dtype), small.dtype)
            change = self.outlines(small, along)
            base = base + change
            inputs += [F.pixel_unshuffle(surface, factor), _FINE * F.pixel_unshuffle(change, factor)]
        elif self.outlines is not None:
            inputs.append(small.new_zeros(len(small), (self.config.guide_channels + 3) * factor**2, *shape))
        x = self.read(torch.cat(inputs, 1).to(self.dtype))
        for block in self.residual_blocks:
            x = x + block(x)
        if along is not None:
            base = base + self.outlines(self.unmix(x).to(small.dtype), along) / _FINE
        return base + F.pixel_shuffle(self.write(x), factor).to(small.dtype) / _FINE


class _Outlines(nn.Module):
    """What enlarging along the surface changes of enlarging without it: within a surface nothing; where one ends, each
    large pixel takes from the small ones that lie on its own, see `GuidedUpsampling`.

    The surface is never averaged: finer than a grid, it is folded into its channels.
    """

    def __init__(self, guide_channels: int, factor: int):
        super().__init__()
        self.folds = [factor >> level for level in range(1, factor.bit_length())]
        self.rise = nn.ModuleList(GuidedUpsampling(guide_channels * fold**2) for fold in self.folds)

    def weights(self, surface: torch.Tensor, dtype: torch.dtype) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """Of each doubling, what it takes along a surface (n, g, H, W), and what without; of that dtype."""
        # Rounded to half the precision they would not add up to one.
        with torch.autocast(surface.device.type, enabled=False):
            found = []
            for rise, fold in zip(self.rise, self.folds, strict=True):
                guide = F.pixel_unshuffle(surface, fold)
                shape = len(guide), guide.shape[2] // 2, guide.shape[3] // 2
                found.append((rise.weights(shape, dtype, guide), rise.weights(shape, dtype, None)))
            return found

    def forward(self, small: torch.Tensor, weights: list[tuple[torch.Tensor, torch.Tensor]]) -> torch.Tensor:
        """(n, c, h, w) to the change of (n, c, h factor, w factor)."""
        with torch.autocast(small.device.type, enabled=False):
            along = without = small
            for own, plain in weights:
                along, without = spread(along, own), spread(without, plain)
            return along - without


def believed(latents: torch.Tensor, noise: torch.Tensor, level: torch.Tensor) -> torch.Tensor:
    """Latents (n, c, h, w) with noise of a level (n,) 0..1: at 0 as they were, at 1 nothing of them is left."""
    level = level[:, None, None, None]
    return (1 - level).sqrt() * latents + level.sqrt() * noise


def bicubic(images: torch.Tensor, factor: int) -> torch.Tensor:
    """Images (n, c, h, w), bicubic at `factor` times the size."""
    # Only with antialias torch takes the cubic that reproduces ramps; the other ripples.
    return F.interpolate(images, scale_factor=factor, mode="bicubic", antialias=True)
