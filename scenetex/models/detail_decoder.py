"""The detail decoder: large images from large latents, the small images and what other views show."""

from itertools import chain

import torch
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from torch import nn
from torch.nn import functional as F

from .surface_autoencoder import GuidedWeights, spread

# Detail is this many times smaller than the images' range; layers learn best from inputs of one size.
_FINE = 10.0
# Of the network that tells surfaces apart: at the large size each channel costs as much as a hundred of the others.
_HIDDEN, _KEYS = 24, 8


class DetailDecoder(ModelMixin, ConfigMixin):
    """Large images that keep what the small ones show: an autoencoder's latents alone would lose more than they add.

    Convolutions on the grid of the small images find what has to be added to their bicubic enlargement, all of the
    large pixels within a small one at once (sub-pixel convolution, arXiv 1609.05158; residual blocks without
    normalisation, arXiv 1707.02921). They see the small image, how the small images of other views differ from its
    enlargement (see `evidence`), and the latents with noise of a known level, as in cascaded diffusion (arXiv
    2106.15282): the more of it, the less of the latents' detail is believed. Fresh, it is the enlargement.

    One that is told the surface at the large size draws outlines where the depth has them, by `GuidedWeights`. To
    the enlargement comes how that differs along the surface from what it is without, which is nothing but where a
    surface ends: of the small image, and of what the convolutions find that each small pixel would show if it lay on
    one surface alone. Before and after them, what the small pixels' means lack is given back along the surface.

    Args:
        latent_channels: of the autoencoder.
        factor: how many times larger the images become.
        width, layers: channels and number of the residual blocks.
        guide_channels: g below; those of `surface_fields`, or 0 = it is not told the surface.
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
        last = [self.write]
        if guide_channels:
            self.rise = GuidedWeights(guide_channels, factor, _HIDDEN, _KEYS)
            self.unmix = nn.Conv2d(width, 3, 3, padding=1)
            last.append(self.unmix)
        for value in chain.from_iterable(part.parameters() for part in last):
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
        base, guided = bicubic(small, factor), self.config.guide_channels > 0
        if guided:
            weights = plain = self.rise(small, None)
            if surface is None:
                surface = small.new_zeros(len(small), self.config.guide_channels, *base.shape[2:])
            else:
                weights = self._weights(small, surface.to(self.dtype))
            more = weights - plain
            along = self._given_back(base + spread(small, more), small, weights)
            inputs += [F.pixel_unshuffle(surface, factor), _FINE * F.pixel_unshuffle(along - base, factor)]
            base = along
        x = self.read(torch.cat(inputs, 1).to(self.dtype))
        for block in self.residual_blocks:
            x = x + block(x)
        large = base + F.pixel_shuffle(self.write(x), factor).to(small.dtype) / _FINE
        if not guided:
            return large
        large = large + spread(self.unmix(x).to(small.dtype), more) / _FINE
        return self._given_back(large, small, weights)

    def _weights(self, small: torch.Tensor, surface: torch.Tensor) -> torch.Tensor:
        """What large pixels take of the small ones around them, along the surface."""
        # In less than single precision weights would not add up to one.
        with torch.autocast(surface.device.type, enabled=False):
            return self.rise(small, surface)

    def _given_back(self, large: torch.Tensor, small: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        """Large images with what their means over the small pixels lack, spread along the surface: iterative
        back-projection (Irani and Peleg, 1991), of which this is one round."""
        return large + spread(small - F.avg_pool2d(large, self.config.factor), weights)


def believed(latents: torch.Tensor, noise: torch.Tensor, level: torch.Tensor) -> torch.Tensor:
    """Latents (n, c, h, w) with noise of a level (n,) 0..1: at 0 as they were, at 1 nothing of them is left."""
    level = level[:, None, None, None]
    return (1 - level).sqrt() * latents + level.sqrt() * noise


def bicubic(images: torch.Tensor, factor: int) -> torch.Tensor:
    """Images (n, c, h, w), bicubic at `factor` times the size."""
    # Only with antialias torch takes the cubic that reproduces ramps; the other ripples.
    return F.interpolate(images, scale_factor=factor, mode="bicubic", antialias=True)
