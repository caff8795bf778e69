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


def guided(fresh: bool = False, factor: int = 4) -> DetailDecoder:
    """One that is told the surface."""
    torch.manual_seed(0)
    model = DetailDecoder(4, factor, width=8, layers=2, guide_channels=5).eval()
    if not fresh:
        for part in (model.write, model.unmix):
            torch.nn.init.normal_(part.weight, std=0.1)
    return model


def surface(n: int = 2, h: int = 8, w: int = 12, factor: int = 4) -> torch.Tensor:
    return torch.randn(n, 5, h * factor, w * factor, generator=torch.Generator().manual_seed(2))


def test_without_guide_channels_it_is_as_it_was():
    """The same weights, drawn in the same order, and nothing beside them."""
    names = {"read", "write", *(f"residual_blocks.{i}.{k}" for i in range(2) for k in (0, 2))}
    assert set(decoder().state_dict()) == {f"{name}.{kind}" for name in names for kind in ("weight", "bias")}
    old = dict(decoder().config)
    del old["guide_channels"]
    assert DetailDecoder.from_config(old).config.guide_channels == 0
    torch.manual_seed(0)
    first = torch.nn.Conv2d(6 + 48 + 1 + 4 + 1, 8, 3, padding=1)
    assert torch.equal(decoder().read.weight, first.weight)


@torch.no_grad()
def test_where_the_surface_is_one_it_changes_nothing():
    """A surface that looks the same everywhere is as good as one that is not known."""
    model, inputs = guided(fresh=True), given()
    same = surface()[..., :1, :1].expand(-1, -1, 32, 48)
    assert torch.allclose(model(*inputs, surface=same), model(*inputs), atol=1e-5)
    trained = guided()
    assert torch.allclose(trained(*inputs, surface=torch.zeros(2, 5, 32, 48)), trained(*inputs), atol=1e-5)
    assert not torch.allclose(trained(*inputs, surface=surface()), trained(*inputs), atol=1e-2)


@torch.no_grad()
def test_one_that_is_told_the_surface_keeps_what_the_small_image_shows():
    """Whatever its weights: their means over the small pixels come nearer than those of the enlargement."""
    model, inputs = guided(fresh=True), given()
    seen, errors = surface(), []
    for large in (bicubic(inputs[2], 4), model(*inputs), model(*inputs, surface=seen)):
        errors.append((F.avg_pool2d(large, 4) - inputs[2]).abs().mean())
    assert errors[1] < 0.6 * errors[0] and errors[2] < errors[0]


@torch.no_grad()
@pytest.mark.parametrize(("factor", "border"), [(4, 17), (4, 18), (4, 19), (2, 9), (3, 16)])
def test_an_outline_lies_where_the_surface_ends(factor, border):
    """Black before white, the border within a small pixel, which shows their mean: sharp where the enlargement is
    blurred, and away from it the same."""
    model = guided(fresh=True, factor=factor)
    for layer in (model.rise.likeness[0], model.rise.likeness[2]):
        layer.weight.fill_(0.5)
        layer.bias.zero_()
    across = torch.arange(12 * factor) >= border
    truth = torch.where(across, 0.6, -0.4).expand(1, 3, 8 * factor, -1)
    depth = torch.where(across, 8.0, -8.0).expand(1, 5, 8 * factor, -1)
    small = F.avg_pool2d(truth, factor)
    zeros = torch.zeros(1, 3, 8 * factor, 12 * factor), torch.zeros(1, 8, 12)
    given = torch.zeros(1, 4, 4, 6), torch.ones(1), small, *zeros
    out, plain = model(*given, surface=depth), model(*given)
    near = slice(border - factor, border + factor)
    error, blurred = ((x - truth)[..., near].abs().amax() for x in (out, plain))
    assert blurred > 0.3 and error < 0.1
    far = 4 * factor
    assert torch.allclose(out[..., : border - far], plain[..., : border - far], atol=1e-3)
    assert torch.allclose(out[..., border + far :], plain[..., border + far :], atol=1e-3)


@torch.no_grad()
def test_the_surface_stays_in_its_place():
    model, inputs, seen = guided(), given(h=24, w=24), surface(h=24, w=24)
    before = model(*inputs, surface=seen)
    seen[0, :, 50, 20] += 3
    moved = (model(*inputs, surface=seen) - before).abs().amax((0, 1)) > 1e-6
    rows, columns = moved.nonzero().T
    reach = 4 * (2 + 2 * 2 + 1 + 2)
    assert moved[50, 20] and (rows - 50).abs().max() <= reach and (columns - 20).abs().max() <= reach


@torch.no_grad()
def test_one_that_is_told_the_surface_comes_back_from_its_files(tmp_path):
    model, inputs = guided(), given()
    model.save_pretrained(tmp_path)
    loaded = DetailDecoder.from_pretrained(tmp_path)
    assert loaded.config.guide_channels == 5
    assert torch.allclose(loaded(*inputs, surface=surface()), model(*inputs, surface=surface()), atol=1e-5)
