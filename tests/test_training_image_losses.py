"""SSIM as it is trained on, by plain loops, and octaves, by the measure; SSIM of the measures is in
`test_metrics_upscaling`, the loss of pixels in `test_training_objectives`."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from scenetex.metrics.detail_scores import octave_energy
from scenetex.training.image_losses import octave_loss, structural_similarity


def loop_similarity(x: torch.Tensor, y: torch.Tensor, size: int) -> float:
    """Of images (n, c, h, w) in -1..1, over square windows of pixels that count alike."""
    x, y = ((image.double() + 1) / 2 for image in (x, y))
    found = []
    for a, b in zip(x.flatten(0, 1), y.flatten(0, 1), strict=True):
        for row in range(a.shape[0] - size + 1):
            for column in range(a.shape[1] - size + 1):
                p, q = (image[row : row + size, column : column + size] for image in (a, b))
                both = ((p - p.mean()) * (q - q.mean())).mean()
                light = (2 * p.mean() * q.mean() + 1e-4) / (p.mean() ** 2 + q.mean() ** 2 + 1e-4)
                spread = p.var(correction=0) + q.var(correction=0)
                found.append(float(light * (2 * both + 9e-4) / (spread + 9e-4)))
    return sum(found) / len(found)


def test_similarity_is_the_loop_written_one_and_has_gradients():
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(2, 3, 9, 11, generator=generator) * 2 - 1
    y = (x + 0.3 * torch.randn(x.shape, generator=generator)).clamp(-1, 1).requires_grad_()
    found = structural_similarity(x, y, lambda z: F.avg_pool2d(z, 5, stride=1), -1.0, 1.0)
    assert float(found) == pytest.approx(loop_similarity(x, y.detach(), 5), abs=1e-5)
    found.backward()
    assert y.grad.abs().min() > 0
    assert float(structural_similarity(x, x, lambda z: F.avg_pool2d(z, 5, stride=1), -1.0, 1.0)) == pytest.approx(1)


def test_octaves_are_those_that_are_measured():
    images = torch.rand(2, 3, 32, 48, generator=torch.Generator().manual_seed(0)) * 2 - 1
    smooth = F.avg_pool2d(F.pad(images, (1, 1, 1, 1), mode="replicate"), 3, 1).requires_grad_()
    measured = [octave_energy([*((x.detach() + 1) * 127.5).permute(0, 2, 3, 1).numpy()])[:3] for x in (smooth, images)]
    loss = octave_loss(smooth, images)
    assert float(loss) == pytest.approx(np.abs(np.log(measured[0] / measured[1])).sum(), rel=0.01)
    loss.backward()
    assert smooth.grad.abs().sum() > 0
    assert float(octave_loss(images, images)) == 0
    # Only how much there is counts, not where.
    assert float(octave_loss(images.flip(-1), images)) == pytest.approx(0, abs=1e-4)
