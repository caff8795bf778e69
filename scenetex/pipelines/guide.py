"""What a UNet is told about the surface, by the number of channels it has for that."""

import torch

from ..views.viewset import ViewSet
from .depth_condition import depth_channel
from .surface_condition import surface_maps


def make_guide(views: ViewSet, channels: int, factor: int) -> torch.Tensor:
    """(m, channels, h / factor, w / factor) float32: one channel is the depth that Stable Diffusion's depth models
    read, more are `surface_maps`.

    Raises:
        InputError: a view without any valid depth.
    """
    return depth_channel(views.depth, factor) if channels == 1 else surface_maps(views, factor)
