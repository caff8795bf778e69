"""A network that learns to tell decoded images from true ones, so that the decoder learns to draw what fools it:
patterns, where an error per pixel asks for their mean."""

import torch
from torch import nn
from torch.func import functional_call
from torch.nn import functional as F

_WIDTH, _SLOPE = 64, 0.2
# Channels of what eyes see, see `Eyes`, and in front of them those of the folded pixels.
_SEEN = (12, 16, 24, 40, 112)


class Discriminator(nn.Module):
    """Judges images by their pixels and by what trained eyes see in them (as projected GANs do, Sauer et al. 2021: it
    has little to learn itself), beside the surface that they show.

    Args:
        surface_channels: g below.
    """

    def __init__(self, surface_channels: int):
        super().__init__()
        self.heads = nn.ModuleList(_head(channels + surface_channels) for channels in _SEEN)

    def forward(self, images: torch.Tensor, seen: list[torch.Tensor], surface: torch.Tensor) -> list[torch.Tensor]:
        """How true images (n, 3, h, w) in -1..1 look, seen as `Eyes` does, on the surface (n, g, h, w): for each grid
        logits (n, 1, h', w')."""
        grids = [F.pixel_unshuffle(images, 2), *seen]
        told = (F.adaptive_avg_pool2d(surface, grid.shape[-2:]) for grid in grids)
        pairs = zip(self.heads, grids, told, strict=True)
        return [head(torch.cat([grid, where.to(grid)], 1)).float() for head, grid, where in pairs]


def adversarial_losses(
    discriminator: Discriminator, out: tuple, truth: tuple, surface: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """What the decoder loses by images that look decoded, and what the discriminator loses by its errors (hinge).

    Each has gradients of its own alone: the discriminator is a constant to the one, the images are to the other.

    Args:
        out, truth: images (n, 3, h, w) in -1..1, and what eyes see in them.
        surface: (n, g, h, w).
    """
    fixed = {name: value.detach() for name, value in discriminator.named_parameters()}
    shown = functional_call(discriminator, fixed, (*out, surface))
    fake = discriminator(out[0].detach(), [x.detach() for x in out[1]], surface)
    real = discriminator(*truth, surface)
    errors = [F.relu(1 + f).mean() + F.relu(1 - r).mean() for f, r in zip(fake, real, strict=True)]
    return -sum(s.mean() for s in shown) / len(shown), sum(errors) / len(errors)


def balance(loss: torch.Tensor, other: torch.Tensor, out: torch.Tensor) -> torch.Tensor:
    """The factor that makes the gradient of `other` by `out` as strong as that of `loss` (as for VQGAN, Esser et al.
    2021)."""
    gradients = (torch.autograd.grad(x, out, retain_graph=True)[0].float().norm() for x in (loss, other))
    strength, now = gradients
    return (strength / (now + 1e-8)).clamp(max=1e4)


def _head(channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, _WIDTH, 3, padding=1),
        nn.LeakyReLU(_SLOPE),
        nn.Conv2d(_WIDTH, _WIDTH, 3, padding=1),
        nn.LeakyReLU(_SLOPE),
        nn.Conv2d(_WIDTH, 1, 1),
    )
