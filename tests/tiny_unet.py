"""A tiny multi-view UNet, views and inputs for it."""

import loop_reference as loops
import torch
from diffusers import UNet2DConditionModel

from scenetex.correspondence import from_depth
from scenetex.models import MultiViewUNet


def make_unet(**change) -> UNet2DConditionModel:
    torch.manual_seed(0)
    options = {
        "in_channels": 5,
        "out_channels": 4,
        "sample_size": 8,
        "block_out_channels": (32, 64),
        "layers_per_block": 1,
        "cross_attention_dim": 32,
        "attention_head_dim": 4,
        "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
        "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
    }
    return UNet2DConditionModel(**{**options, **change}).eval().requires_grad_(False)


def make_model(kind: str = "depth", **change) -> MultiViewUNet:
    """A model whose added parts have random weights."""
    model = MultiViewUNet.from_unet(make_unet(**change), kind=kind).eval()
    torch.manual_seed(1)
    for p in model.multiview_parameters():
        torch.nn.init.normal_(p, mean=float(p.ndim == 1), std=0.1 if p.ndim < 2 else 0.5 / p[0].numel() ** 0.5)
    return model


def views_of(seed: int, m: int, size=(16, 24), **options):
    return from_depth(*(t[None] for t in loops.room_views(seed, m, size)), **{"overlap": 0.1, **options})


def inputs(b: int, m: int, size=(4, 6), seed: int = 0, channels: int = 5) -> dict[str, torch.Tensor]:
    torch.manual_seed(seed)
    return {
        "sample": torch.randn(b, m, channels, *size),
        "timestep": torch.randint(0, 1000, (b, 1)).repeat(1, m),
        "encoder_hidden_states": torch.randn(b, m, 7, 32),
    }


def plain(unet, given) -> torch.Tensor:
    """The base UNet on all views apart."""
    flat = [given[k].flatten(0, 1) for k in ("sample", "timestep", "encoder_hidden_states")]
    return unet(*flat).sample.unflatten(0, given["sample"].shape[:2])


def call(model, given, *args, **kwargs) -> torch.Tensor:
    with torch.no_grad():
        return model(**given, **dict(zip(("correspondence", "condition"), args, strict=False)), **kwargs).sample
