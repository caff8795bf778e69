"""The detail decoder: large images from large latents, the small images and what other views show."""

import torch
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from torch import nn
from torch.nn import functional as F

# Detail is this many times smaller than the images' range; layers learn best from inputs of one size.
_FINE = 10.0


class DetailDecoder(ModelMixin, ConfigMixin):
    """Large images that keep what the small ones show: an autoencoder's latents alone would lose more than they add.

    Convolutions on the grid of the small images find what has to be added to their bicubic enlargement, all of the
    large pixels within a small one at once (sub-pixel convolution, arXiv 1609.05158; residual blocks without
    normalisation, arXiv 1707.02921). They see the small image, how the small images of other views differ from its
    enlargement (see `evidence`), and the latents with noise of a known level, as in cascaded diffusion (arXiv
    2106.15282): the more of it, the less of the latents' detail is believed. Fresh, it is the enlargement.

    Args:
        latent_channels: of the autoencoder.
        factor: how many times larger the images become.
        width, layers: channels and number of the residual blocks.
    """

    @register_to_config
    def __init__(self, latent_channels: int = 4, factor: int = 4, width: int = 64, layers: int = 8):
        super().__init__()
        self.read = nn.Conv2d(6 + 3 * factor**2 + 1 + latent_channels + 1, width, 3, padding=1)
        self.residual_blocks = nn.ModuleList(
            nn.Sequential(nn.Conv2d(width, width, 3, padding=1), nn.SiLU(), nn.Conv2d(width, width, 3, padding=1))
            for _ in range(layers)
        )
        self.write = nn.Conv2d(width, 3 * factor**2, 3, padding=1)
        nn.init.zeros_(self.write.weight)
        nn.init.zeros_(self.write.bias)

    def forward(
        self,
        latents: torch.Tensor,
        level: torch.Tensor,
        small: torch.Tensor,
        difference: torch.Tensor,
        told: torch.Tensor,
    ) -> torch.Tensor:
        """Large images (n, 3, h factor, w factor), about -1..1.

        Args:
            latents: (n, c, h', w') of the large images with noise, see `believed`.
            level: (n,) how much noise, 0..1.
            small: (n, 3, h, w) -1..1.
            difference, told: (n, 3, h factor, w factor) and (n, h, w), what other views show, see `evidence`; zeros =
                there are none.
        """
        factor, shape = self.config.factor, small.shape[-2:]
        x = torch.cat(
            [
                small,
                _FINE * (small - F.avg_pool2d(small, 5, 1, 2, count_include_pad=False)),
                _FINE * F.pixel_unshuffle(difference, factor),
                told[:, None],
                F.interpolate(latents, shape, mode="nearest"),
                level[:, None, None, None].expand(-1, 1, *shape),
            ],
            1,
        )
        x = self.read(x.to(self.dtype))
        for block in self.residual_blocks:
            x = x + block(x)
        return bicubic(small, factor) + F.pixel_shuffle(self.write(x), factor).to(small.dtype) / _FINE


def believed(latents: torch.Tensor, noise: torch.Tensor, level: torch.Tensor) -> torch.Tensor:
    """Latents (n, c, h, w) with noise of a level (n,) 0..1: at 0 as they were, at 1 nothing of them is left."""
    level = level[:, None, None, None]
    return (1 - level).sqrt() * latents + level.sqrt() * noise


def bicubic(images: torch.Tensor, factor: int) -> torch.Tensor:
    """Images (n, c, h, w), bicubic at `factor` times the size."""
    # Only with antialias torch takes the cubic that reproduces ramps; the other ripples.
    return F.interpolate(images, scale_factor=factor, mode="bicubic", antialias=True)
