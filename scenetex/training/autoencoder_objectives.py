"""What autoencoders minimise, as modules that take a batch, which holds everything random, and return its loss."""

from collections.abc import Iterator

import torch
from torch import nn
from torch.nn import functional as F

from ..correspondence import Correspondence, from_depth
from ..models import SurfaceAutoencoder
from ..models.image_features import Eyes, unlikeness
from .discriminator import Discriminator, adversarial_losses, balance
from .image_losses import octave_loss, pattern_loss, pixel_loss
from .objectives import Batch
from .redrawn import Redrawn

# Relative to the error of the pixels; small, as latents only have to stay near each other and bounded (as in LDM).
_KL_WEIGHT = 1e-4
# Views that overlap less have next to nothing to agree on.
_OVERLAP = 0.1
_SCALE_WEIGHT = 0.1
_OCTAVE_WEIGHT = 0.1


class AutoencoderObjective(nn.Module):
    """The images' likeness, see `pixel_loss`, and a weak pull of the latents towards N(0, 1).

    Args:
        vae: the autoencoder.
        decoder_only: leave the encoder as it is.
    """

    def __init__(self, vae: nn.Module, decoder_only: bool = False):
        super().__init__()
        self.vae = vae.requires_grad_(not decoder_only)
        for part in (vae.decoder, vae.post_quant_conv):
            if part is not None:
                part.requires_grad_(True)

    def trained(self) -> Iterator[nn.Parameter]:
        """Those of the decoder, and of the encoder if it is trained."""
        return (p for p in self.vae.parameters() if p.requires_grad)

    def forward(self, batch: Batch) -> torch.Tensor:
        """`images` (n, 3, h, w) in -1..1 and `noise` (n, c, h / f, w / f)."""
        images = batch["images"]
        latents = self.vae.encode(images).latent_dist
        out = self.vae.decode(latents.mean + latents.std * batch["noise"]).sample.float()
        kl = 0.5 * (latents.mean**2 + latents.var - 1 - latents.logvar).float().mean()
        return pixel_loss(out, images) + _KL_WEIGHT * kl


class SurfaceObjective(nn.Module):
    """Images from parts of their latents, which are blurred and noisy as those that a UNet makes; their likeness to
    trained eyes; and the agreement of the latents where two views show the same surface.

    Views are encoded whole and decoded in parts, so that a latent tells of its own surroundings alone (as for MatLat,
    whose views agree the better for it). A fourth term keeps them near mean 0 and deviation 1, by which the noise is
    measured; the model folder gets an autoencoder whose latents are standard exactly. (Standardised over a batch, of
    a few rooms, latents could not tell the colours that these have in common.)

    Args:
        vae: the autoencoder.
        decoder_only: leave the encoder as it is.
        perceptual, agreement: weights of the second and third; 0 = without.
        adversarial: strength of a discriminator's opinion against that of all likenesses; 0 = without.
        redrawn: whose latents take the place of the images' own in some sets; None = in none.
    """

    def __init__(
        self,
        vae: SurfaceAutoencoder,
        decoder_only: bool,
        perceptual: float,
        agreement: float,
        adversarial: float = 0.0,
        redrawn: Redrawn | None = None,
    ):
        super().__init__()
        self.vae = vae.requires_grad_(not decoder_only)
        for part in (vae.decoder, vae.post_quant_conv):
            part.requires_grad_(True)
        self.decoder_only, self.redrawn = decoder_only, redrawn
        self.eyes = Eyes() if perceptual or adversarial else None
        # Named as in the checkpoints of earlier versions.
        self.critic = Discriminator(vae.config.guide_channels) if adversarial else None
        self.perceptual, self.agreement, self.adversarial = perceptual, agreement, adversarial

    def trained(self) -> Iterator[nn.Parameter]:
        """Those of the decoder, of the encoder if it is trained, and of the discriminator."""
        return (p for part in (self.vae, self.critic) if part is not None for p in part.parameters() if p.requires_grad)

    def forward(self, batch: Batch) -> torch.Tensor:
        """`images` (b, m, 3, H, W) in -1..1 and `surface` (b, m, g, H, W), see `surface_fields`; cameras with `depth`;
        `corner` (b, 2), the first row and column, in cells, of the part that is decoded; `noise` (b, m, c, h, w) for
        it; `level`, `blur` and `told` (b, m), how noisy and how blurred it is, whether the surface is told; and what
        `Redrawn` needs."""
        images = batch["images"]
        latents = self.vae.encode(images.flatten(0, 1)).latent_dist.mean.float()
        h, w = batch["noise"].shape[-2:]
        cell = images.shape[-1] // latents.shape[-1]
        sets = latents.unflatten(0, images.shape[:2])
        if self.redrawn is not None:
            sets = self.redrawn(sets, batch)
        part = _parts(_worn(sets, batch["blur"]), batch["corner"], (h, w))
        part = part + self.vae.config.latent_noise * batch["level"][..., None, None, None] * batch["noise"]
        told = batch["surface"] * batch["told"][..., None, None, None]
        surface, truth = (_parts(x, batch["corner"] * cell, (h * cell, w * cell)) for x in (told, images))
        out = self.vae.decode(part.flatten(0, 1), surface=surface.flatten(0, 1)).sample.float()
        truth = truth.flatten(0, 1)
        loss = self._likeness(out, truth, batch)
        if self.eyes is not None:
            with torch.no_grad():
                seen = self.eyes(truth)
            shown = self.eyes(out)
            loss = loss + self.perceptual * unlikeness(shown, seen)
            if self.critic is not None:
                told = surface.flatten(0, 1)
                opinion, error = adversarial_losses(self.critic, (out, shown), (truth, seen), told)
                loss = loss + self.adversarial * self._balance(loss, opinion, out) * opinion + error
        if self.decoder_only:
            return loss
        if self.agreement:
            loss = loss + self.agreement * disagreement(latents, _correspondence(batch))
        mean, deviation = latents.mean((0, 2, 3)), latents.std((0, 2, 3)) + 1e-4
        return loss + _SCALE_WEIGHT * (mean.square().mean() + deviation.log().square().mean())

    def _likeness(self, out: torch.Tensor, truth: torch.Tensor, batch: Batch) -> torch.Tensor:
        """Where latents are redrawn, they do not tell any more where the lines of a pattern lie; how strong it is
        counts the more."""
        if self.redrawn is None:
            return pixel_loss(out, truth)
        unsure = batch["redrawn"].repeat_interleave(len(out) // len(batch["redrawn"]))
        total = out.new_zeros(())
        for unlike, which in ((pixel_loss, ~unsure), (pattern_loss, unsure)):
            if which.any():
                pair = out[which], truth[which]
                total = total + (unlike(*pair) + _OCTAVE_WEIGHT * octave_loss(*pair)) * which.float().mean()
        return total

    def _balance(self, loss: torch.Tensor, opinion: torch.Tensor, out: torch.Tensor) -> torch.Tensor | float:
        return balance(loss, opinion, out) if out.requires_grad else 1.0


def disagreement(latents: torch.Tensor, correspondence: Correspondence) -> torch.Tensor:
    """Mean squared difference between latents (b m, c, h, w) and those of other views at the same surface points."""
    table = latents.permute(0, 2, 3, 1).flatten(0, 2)
    total, count = latents.new_zeros(()), latents.new_zeros(())
    for group in correspondence.at(tuple(latents.shape[-2:])).groups:
        texel, weight = group.keys.texel.view(-1, 4).long(), group.keys.weight.view(-1, 4, 1)
        seen = (table[texel] * weight).sum(1).view(*group.shape, -1)
        apart = (seen - table[group.query][:, None]).square().mean(-1)
        valid = torch.ones_like(apart) if group.valid is None else group.valid.to(apart)
        total, count = total + (apart * valid).sum(), count + valid.sum()
    return total / count.clamp_min(1)


def _correspondence(batch: Batch) -> Correspondence:
    with torch.no_grad():
        return from_depth(batch["depth"], batch["intrinsics"], batch["cam_to_world"], overlap=_OVERLAP)


def _worn(latents: torch.Tensor, blur: torch.Tensor) -> torch.Tensor:
    """Latents (b, m, c, h, w) mixed with their own means over 3 x 3 cells by shares `blur` (b, m)."""
    flat = F.pad(latents.flatten(0, 1), (1, 1, 1, 1), mode="replicate")
    smooth = F.avg_pool2d(flat, 3, 1).view_as(latents)
    return latents.lerp(smooth, blur[..., None, None, None])


def _parts(x: torch.Tensor, corner: torch.Tensor, shape: tuple[int, int]) -> torch.Tensor:
    """From each set (m, c, H, W) of x its part of `shape` (h, w) from row and column `corner` (b, 2) on."""
    h, w = shape
    return torch.stack([v[..., r : r + h, c : c + w] for v, (r, c) in zip(x, corner.tolist(), strict=True)])
