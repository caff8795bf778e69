"""How like two images are: pixel by pixel, area by area, octave by octave, and in structure (SSIM)."""

from collections.abc import Callable
from typing import TypeVar

import numpy as np
import torch
from torch.nn import functional as F

_GRADIENT_WEIGHT = 0.5
_COLOR_WEIGHT = 1.0
_TEXTURE_WEIGHT = 1.0
_SHRUNK = 4
_OCTAVES = 3  # from 2 to 4 pixels on: what is coarser, the latents tell
_FAINT = 1e-5  # energy below which nothing is told apart, of values in -1..1
_LUMA = (0.299, 0.587, 0.114)
_AREA = 8  # pixels across the areas whose mean colour and roughness are compared
# Brightness, red against green, blue against yellow. Hues weigh more than their small share of the pixels' error, or
# one of the two is the last thing that four channels are spent on.
_OPPONENT = ((1 / 3, 1 / 3, 1 / 3), (3.0, -3.0, 0.0), (-1.0, -1.0, 2.0))

Images = TypeVar("Images", np.ndarray, torch.Tensor)


def pixel_loss(out: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
    """How unlike images (n, 3, h, w) in -1..1 are, as autoencoders learn it: pixels and their gradients in L1, pixels
    in L2, the mean colour and roughness of small areas in L1.

    The roughness, the root mean square of an area's gradients, is what makes up for the blur that an error per pixel
    asks for wherever a few numbers cannot tell the pattern: it wants a pattern as strong as the true one, wherever its
    lines lie.
    """
    steps = sum(F.l1_loss(out.diff(dim=d), images.diff(dim=d)) for d in (-1, -2))
    color, rough = (F.l1_loss(measure(out), measure(images)) for measure in (_opponent_colors, _roughness))
    pixels = F.l1_loss(out, images) + 0.3 * F.mse_loss(out, images)
    return pixels + _GRADIENT_WEIGHT * steps + _COLOR_WEIGHT * color + _TEXTURE_WEIGHT * rough


def pattern_loss(out: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
    """The same for images of which is known what there is to see, but not where each line of a pattern lies: shrunk to
    a quarter, and the roughness of areas as they are."""
    small = (F.avg_pool2d(x, _SHRUNK) for x in (out, images))
    color, rough = (F.l1_loss(measure(out), measure(images)) for measure in (_opponent_colors, _roughness))
    return F.l1_loss(*small) + _COLOR_WEIGHT * color + _TEXTURE_WEIGHT * rough


def octave_loss(out: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
    """How far the energy in the finer octaves of all images (n, 3, h, w) in -1..1 together is from the true one's, as
    logarithms of their ratios.

    What is compared area by area and line by line comes out too weak where it is unsure: the median of what may be
    there has less of it than the mean.
    """
    ratios = [(a + _FAINT).log() - (b + _FAINT).log() for a, b in zip(*map(_octaves, (out, images)), strict=True)]
    return torch.stack(ratios).abs().sum()


def structural_similarity(
    one: Images, other: Images, window_mean: Callable[[Images], Images], low: float, high: float
) -> Images:
    """Mean structural similarity (SSIM, Wang et al. 2004) of images, as arrays or tensors of any shape.

    Args:
        one, other: images whose values lie between `low` and `high`.
        window_mean: the (weighted) mean of the values in each window; what it gives is averaged over.
    """
    stable = [(share * (high - low)) ** 2 for share in (0.01, 0.03)]
    means = window_mean(one), window_mean(other)
    variances = [window_mean(x * x) - mean * mean for x, mean in zip((one, other), means, strict=True)]
    covariance = window_mean(one * other) - means[0] * means[1]
    a, b = (mean - low for mean in means)  # black is 0 to it
    alike = (2 * a * b + stable[0]) * (2 * covariance + stable[1])
    return (alike / ((a * a + b * b + stable[0]) * (variances[0] + variances[1] + stable[1]))).mean()


def _opponent_colors(images: torch.Tensor) -> torch.Tensor:
    """(n, 3, h', w') weighted opponent colours of each area's mean of images (n, 3, h, w)."""
    matrix = images.new_tensor(_OPPONENT)
    return torch.einsum("ij,njhw->nihw", matrix, F.avg_pool2d(images, _AREA))


def _roughness(images: torch.Tensor) -> torch.Tensor:
    """(n, 3, h', w') root mean square gradient of each area of images (n, 3, h, w)."""
    inner = images[..., :-1, :-1]
    squares = (images[..., 1:, :-1] - inner).square() + (images[..., :-1, 1:] - inner).square()
    return (F.avg_pool2d(squares, _AREA, stride=_AREA // 2) + 1e-4).sqrt()


def _octaves(images: torch.Tensor) -> list[torch.Tensor]:
    """Mean energy of the luma in each octave, finest first, as `metrics.detail_scores.octave_energy` measures it."""
    fine = torch.einsum("i,nihw->nhw", images.new_tensor(_LUMA), images)[:, None]
    energies = []
    for _ in range(_OCTAVES):
        coarse = F.avg_pool2d(fine, 2)
        again = F.interpolate(coarse, size=fine.shape[-2:], mode="bilinear", align_corners=False)
        energies.append((fine - again).square().mean())
        fine = coarse
    return energies
