"""The detail decoder: bicubic when fresh, and each of its inputs in its place."""

import pytest
import torch
from torch.nn import functional as F

from scenetex.models import DetailDecoder
from scenetex.models.detail_decoder import believed, bicubic


def decoder(factor: int = 4, fresh: bool = False) -> DetailDecoder:
    torch.manual_seed(0)
    model = DetailDecoder(4, factor, width=8, layers=2).eval()
    if not fresh:
        torch.nn.init.normal_(model.write.weight, std=0.1)
    return model


def given(factor: int = 4, n: int = 2, h: int = 8, w: int = 12) -> list[torch.Tensor]:
    g = torch.Generator().manual_seed(1)
    cells = h * factor // 8, w * factor // 8
    return [
        torch.randn(n, 4, *cells, generator=g),
        torch.tensor([0.2, 0.9]),
        torch.rand(n, 3, h, w, generator=g) * 2 - 1,
        0.1 * torch.randn(n, 3, h * factor, w * factor, generator=g),
        torch.rand(n, h, w, generator=g),
    ]


@pytest.mark.parametrize("factor", [2, 4, 8])
def test_fresh_it_is_bicubic(factor):
    inputs = given(factor)
    out = decoder(factor, fresh=True)(*inputs)
    assert torch.equal(out, bicubic(inputs[2], factor)) and out.shape[-2:] == (8 * factor, 12 * factor)


@pytest.mark.parametrize("which", range(5))
def test_every_input_counts(which):
    model, inputs = decoder(), given()
    before = model(*inputs)
    inputs[which] = inputs[which] * 0.5
    assert not torch.allclose(model(*inputs), before, atol=1e-4)


def test_views_are_by_themselves():
    model, inputs = decoder(), given()
    alone = model(*(x[1:] for x in inputs))
    assert torch.allclose(model(*inputs)[1:], alone, atol=1e-5)


def test_what_is_told_of_a_large_pixel_stays_in_its_place():
    """A change of one large pixel of the difference is seen only as far as the convolutions reach."""
    model, inputs = decoder(), given(h=24, w=24)
    before = model(*inputs)
    inputs[3][0, :, 50, 20] += 5
    moved = (model(*inputs) - before).abs().amax((0, 1)) > 1e-6
    rows, columns = moved.nonzero().T
    reach = 4 * (2 + 2 * 2 + 1)
    assert moved[48:52, 20:24].any() and rows.min() >= 50 - reach and rows.max() <= 50 + reach
    assert columns.min() >= 20 - reach and columns.max() <= 20 + reach


def test_belief_goes_from_all_to_nothing():
    z, noise = torch.randn(3, 4, 5, 6), torch.randn(3, 4, 5, 6)
    out = believed(z, noise, torch.tensor([0.0, 0.5, 1.0]))
    assert torch.equal(out[0], z[0]) and torch.equal(out[2], noise[2])
    assert torch.allclose(out[1], 0.5**0.5 * (z + noise)[1])


def test_enlarging_and_shrinking_keep_the_mean_of_smooth_images():
    smooth = F.interpolate(torch.rand(1, 3, 3, 4), scale_factor=8, mode="bicubic")
    assert torch.allclose(F.avg_pool2d(bicubic(smooth, 4), 4)[..., 4:-4, 4:-4], smooth[..., 4:-4, 4:-4], atol=0.01)
