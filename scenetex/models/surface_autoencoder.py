"""An autoencoder whose decoder is told the surface: outlines come from the depth, latents are left for what it cannot
know."""

from itertools import pairwise
from math import log

import torch
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from diffusers.models.autoencoders.vae import DecoderOutput, DiagonalGaussianDistribution
from diffusers.models.modeling_outputs import AutoencoderKLOutput
from torch import nn
from torch.nn import functional as F

_FOLD = 2  # pixels across the patches that become channels first: the full resolution is never computed at


class SurfaceAutoencoder(ModelMixin, ConfigMixin):
    """Encodes images as `AutoencoderKL` does, and decodes them along the surface that they show.

    Between the decoder's grids, a fine cell takes from the coarse cells around it that lie on its own surface, see
    `GuidedUpsampling`. So silhouettes are as sharp as the depth, however blurred the latents are. Without a surface it
    decodes as other autoencoders do.

    There is no normalisation over the image: what one corner looks like does not depend on the other, and every size of
    image is as good as the one trained at.

    Args:
        latent_channels: c below.
        encoder_widths, decoder_widths: channels of the grids at a half, a quarter, an eighth of the image, and so on.
        encoder_layers, decoder_layers: residual blocks of each of those grids.
        guide_channels: g below; those of `surface_fields`.
        latent_noise: standard deviation of the noise on latents that the decoder was trained to bear.
        scaling_factor, shift_factor: as in diffusers, between its latents and those that a UNet sees.

    Example:
        >>> import torch
        >>> import scenetex
        >>> vae = scenetex.SurfaceAutoencoder()
        >>> latents = vae.encode(torch.zeros(1, 3, 64, 48)).latent_dist.mode()
        >>> latents.shape
        torch.Size([1, 4, 8, 6])
        >>> vae.decode(latents, surface=torch.zeros(1, 5, 64, 48)).sample.shape
        torch.Size([1, 3, 64, 48])
    """

    @register_to_config
    def __init__(
        self,
        latent_channels: int = 4,
        encoder_widths: tuple[int, ...] = (32, 64, 128),
        decoder_widths: tuple[int, ...] = (64, 96, 160),
        encoder_layers: tuple[int, ...] = (1, 2, 2),
        decoder_layers: tuple[int, ...] = (3, 2, 2),
        guide_channels: int = 5,
        latent_noise: float = 0.2,
        scaling_factor: float = 1.0,
        shift_factor: float | None = None,
    ):
        super().__init__()
        self.encoder = _Encoder(latent_channels, encoder_widths, encoder_layers)
        self.quant_conv = nn.Conv2d(latent_channels, latent_channels, 1)
        self.post_quant_conv = nn.Conv2d(latent_channels, latent_channels, 1)
        self.decoder = _Decoder(latent_channels, decoder_widths, decoder_layers, guide_channels)

    def encode(
        self, x: torch.Tensor, return_dict: bool = True
    ) -> AutoencoderKLOutput | tuple[DiagonalGaussianDistribution]:
        """(n, 3, h, w) in -1..1 to the distribution of (n, c, h / f, w / f) latents."""
        mean = self.quant_conv(self.encoder(x))
        spread = torch.full_like(mean, 2 * log(self.config.latent_noise))
        found = DiagonalGaussianDistribution(torch.cat([mean, spread], 1))
        return AutoencoderKLOutput(latent_dist=found) if return_dict else (found,)

    def decode(
        self, z: torch.Tensor, return_dict: bool = True, surface: torch.Tensor | None = None
    ) -> DecoderOutput | tuple[torch.Tensor]:
        """(n, c, h / f, w / f) latents to (n, 3, h, w) in -1..1, along a surface (n, g, h, w), see `surface_fields`."""
        out = self.decoder(self.post_quant_conv(z), surface)
        return DecoderOutput(sample=out) if return_dict else (out,)


class GuidedWeights(nn.Module):
    """What a fine cell takes of the 3 x 3 coarse cells around it, by how like its own surface theirs is.

    The weights are the softmax of -|f(p) - f(n)|^2 + b, where f is what a small network makes of the surface at a fine
    cell p, and of a coarse cell n the mean of its fine ones; b depends on where p lies in its coarse cell and on which
    neighbour n is. Without a surface only b is left, which begins as -2 times the squared distance in coarse cells.

    Args:
        guide_channels: of the surface on the fine grid.
        factor: fine cells across a coarse one.
        hidden, keys: channels within the network, and components of f, by which fine cells tell coarse ones apart.
    """

    def __init__(self, guide_channels: int, factor: int = 2, hidden: int = 48, keys: int = 16):
        super().__init__()
        self.factor = factor
        self.likeness = nn.Sequential(nn.Conv2d(guide_channels, hidden, 1), nn.SiLU(), nn.Conv2d(hidden, keys, 1))
        fine, coarse = (torch.arange(factor) + 0.5) / factor - 0.5, torch.tensor([-1.0, 0.0, 1.0])
        along = (fine[:, None] - coarse) ** 2
        distance = along[:, None, :, None] + along[None, :, None, :]
        self.place = nn.Parameter(-2 * distance.reshape(factor**2, 9))

    def forward(self, x: torch.Tensor, guide: torch.Tensor | None) -> torch.Tensor:
        """The weights (n h w, factor^2, 9) for maps (n, c, h, w), in their dtype, on the surface (n, g, factor h,
        factor w), or None, where it is not known."""
        n, _, h, w = x.shape
        place, r = self.place.to(x.dtype), self.factor
        if guide is None:
            return place.softmax(1).expand(n * h * w, -1, -1)
        fine = self.likeness(guide).to(x.dtype)
        keys = fine.shape[1]
        queries = fine.view(n, keys, h, r, w, r).permute(0, 2, 4, 3, 5, 1).reshape(-1, r * r, keys)
        coarse = _around(F.avg_pool2d(fine, r))
        # |f(p)|^2 is the same for all neighbours: the softmax does not see it.
        logits = place + 2 * queries @ coarse.mT - coarse.square().sum(2)[:, None]
        return logits.softmax(2)


class GuidedUpsampling(GuidedWeights):
    """`factor` times the resolution: a fine cell takes the mean of the coarse cells around it that lie on its surface
    (joint bilateral upsampling, Kopf et al. 2007, with a learnt likeness), see `GuidedWeights`."""

    def forward(self, x: torch.Tensor, guide: torch.Tensor | None) -> torch.Tensor:
        """(n, c, h, w) and the surface (n, g, factor h, factor w), or None, to (n, c, factor h, factor w)."""
        return spread(x, super().forward(x, guide))


def spread(x: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """(n, c, h, w) to (n, c, r h, r w), by `GuidedWeights` (n h w, r^2, 9)."""
    (n, c, h, w), r = x.shape, round(weights.shape[1] ** 0.5)
    found = (weights @ _around(x)).view(n, h, w, r, r, c).permute(0, 1, 3, 2, 4, 5)
    return found.reshape(n, r * h, r * w, c).permute(0, 3, 1, 2)


def _around(x: torch.Tensor) -> torch.Tensor:
    """(n, c, h, w) to (n h w, 9, c), the 3 x 3 cells around each; beyond the border stands the nearest cell."""
    n, c, h, w = x.shape
    wide = F.pad(x, (1, 1, 1, 1), mode="replicate").permute(0, 2, 3, 1)
    parts = [wide[:, row : row + h, column : column + w] for row in range(3) for column in range(3)]
    return torch.stack(parts, 3).reshape(n * h * w, 9, c)


class _Residual(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        for value in self.second.parameters():
            nn.init.zeros_(value)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.second(F.silu(self.first(F.silu(x))))


class _Encoder(nn.Module):
    def __init__(self, latent_channels: int, widths: tuple[int, ...], layers: tuple[int, ...]):
        super().__init__()
        before = (3, *widths[:-1])
        self.grids = nn.ModuleList(
            nn.Sequential(nn.Conv2d(b * _FOLD**2, width, 3, padding=1), *(_Residual(width) for _ in range(count)))
            for b, width, count in zip(before, widths, layers, strict=True)
        )
        self.write = nn.Conv2d(widths[-1], latent_channels, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for grid in self.grids:
            # Folding, unlike a stride, has no side that it leans to.
            x = grid(F.pixel_unshuffle(x, _FOLD))
        return self.write(F.silu(x))


class _Decoder(nn.Module):
    def __init__(self, latent_channels: int, widths: tuple[int, ...], layers: tuple[int, ...], guide_channels: int):
        super().__init__()
        folded = guide_channels * _FOLD**2
        self.guide_channels = guide_channels
        self.read = nn.Conv2d(latent_channels + folded, widths[-1], 3, padding=1)
        self.grids = nn.ModuleList(
            nn.Sequential(*(_Residual(width) for _ in range(count)))
            for width, count in zip(widths, layers, strict=True)
        )
        # From coarse to fine: narrowed before, so that it is cheap, and widened behind by what is told there.
        self.narrow = nn.ModuleList(nn.Conv2d(a, b, 1) for b, a in pairwise(widths))
        self.rise = nn.ModuleList(GuidedUpsampling(folded) for _ in widths[1:])
        self.tell = nn.ModuleList(nn.Conv2d(width + folded, width, 3, padding=1) for width in widths[:-1])
        self.write = nn.Conv2d(widths[0], 3 * _FOLD**2, 3, padding=1)

    def forward(self, z: torch.Tensor, surface: torch.Tensor | None) -> torch.Tensor:
        last = len(self.grids) - 1
        told = [self._told(z, surface, level, last) for level in range(len(self.grids))]
        x = self.grids[last](self.read(torch.cat([z, told[last]], 1)))
        for level in reversed(range(last)):
            x = self.rise[level](self.narrow[level](F.silu(x)), None if surface is None else told[level])
            x = self.grids[level](self.tell[level](torch.cat([x, told[level]], 1)))
        return F.pixel_shuffle(self.write(F.silu(x)), _FOLD)

    def _told(self, z: torch.Tensor, surface: torch.Tensor | None, level: int, last: int) -> torch.Tensor:
        """The surface on a grid, folded from one twice as fine; zeros where none is told."""
        if surface is None:
            n, _, h, w = z.shape
            scale = 2 ** (last - level)
            return z.new_zeros(n, self.guide_channels * _FOLD**2, h * scale, w * scale)
        return F.pixel_unshuffle(F.avg_pool2d(surface.to(z.dtype), 2**level), _FOLD)
