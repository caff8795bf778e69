"""A tiny super-resolution UNet, with random weights or fresh, and inputs for it."""

import torch
from diffusers import UNet2DConditionModel
from tiny_unet import inputs, make_unet

from scenetex.models import SuperResolutionUNet


def make_light_unet() -> UNet2DConditionModel:
    """Attention in the deeper block only."""
    return make_unet(
        in_channels=4,
        block_out_channels=(8, 16),
        norm_num_groups=4,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
    )


def make_super_resolution(factor: int = 4, enlarge: int = 1) -> SuperResolutionUNet:
    """A model whose added parts have random weights."""
    model = SuperResolutionUNet.from_unet(make_light_unet(), factor, enlarge).eval()
    torch.manual_seed(1)
    for p in model.multiview_parameters():
        torch.nn.init.normal_(p, mean=float(p.ndim == 1), std=0.1 if p.ndim < 2 else 0.5 / p[0].numel() ** 0.5)
    return model


def low_latents(model: SuperResolutionUNet, b: int, m: int, size: tuple[int, int], seed: int = 5) -> torch.Tensor:
    """(b, m, 4, h / ratio, w / ratio) for high-resolution latents of (h, w) = `size`."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(b, m, 4, size[0] // model.ratio, size[1] // model.ratio, generator=generator)


def call(model, given, low, correspondence=None, corner=None) -> torch.Tensor:
    with torch.no_grad():
        return model(**given, low=model.read_low(low), correspondence=correspondence, corner=corner).sample


def noisy(b: int, m: int, size: tuple[int, int] = (8, 12)) -> dict[str, torch.Tensor]:
    return inputs(b, m, size, channels=4)
