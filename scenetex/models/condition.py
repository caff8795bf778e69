"""The condition branch: anchors (key frames) steer the generation of the views between them."""

from math import gcd

import torch
from diffusers import UNet2DConditionModel
from torch import nn
from torch.nn import functional as F

from .patch_unet import patch_size


class ConditionBranch(nn.Module):
    """Image latents and masks, brought to the width and size of every UNet block's input by zero convolutions.

    Mask 1: generate this image again; mask 0 (and a black image's latent): generate what lies in between.

    Args:
        unet: the UNet that is to be conditioned; only its widths and patches are read.
        channels: channels of the condition, latent and mask.
    """

    def __init__(self, unet: UNet2DConditionModel, channels: int):
        super().__init__()
        width = unet.conv_in.out_channels
        self.patch_size = patch_size(unet)
        self.conv_in = nn.Conv2d(channels * self.patch_size**2, width, 3, padding=1)
        stride = 1
        self.down = nn.ModuleList()
        for block in unet.down_blocks:
            self.down.append(ConditionEncoder(width, block.resnets[0].in_channels, stride))
            stride *= 2 if block.downsamplers else 1
        middle = unet.down_blocks[-1].resnets[-1].out_channels
        # The released model gives the middle block what it gives the last block down, where the width is the same.
        shared = self.down[-1].conv1.out_channels == middle and not unet.down_blocks[-1].downsamplers
        self.mid = None if shared or unet.mid_block is None else ConditionEncoder(width, middle, stride)
        self.up = nn.ModuleList()
        for block in unet.up_blocks:
            self.up.append(ConditionEncoder(width, middle, stride))
            middle = block.resnets[-1].out_channels
            stride //= 2 if block.upsamplers else 1

    def forward(self, condition: torch.Tensor) -> tuple[list[torch.Tensor], torch.Tensor, list[torch.Tensor]]:
        """What to add to the inputs of the blocks down, the middle block and the blocks up, for (n, channels, h, w)."""
        x = self.conv_in(F.pixel_unshuffle(condition, self.patch_size))
        down = [encoder(x) for encoder in self.down]
        return down, down[-1] if self.mid is None else self.mid(x), [encoder(x) for encoder in self.up]


class ConditionEncoder(nn.Module):
    """One strided 3 x 3 convolution and one 1 x 1 convolution that starts at zero."""

    def __init__(self, width: int, out: int, stride: int):
        super().__init__()
        self.norm1 = nn.GroupNorm(gcd(32, width), width, eps=1e-6)
        self.conv1 = nn.Conv2d(width, out, 3, stride=stride, padding=1)
        self.norm2 = nn.GroupNorm(gcd(32, out), out, eps=1e-6)
        self.conv2 = nn.Conv2d(out, out, 1)
        nn.init.zeros_(self.conv2.weight)
        nn.init.zeros_(self.conv2.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(n, width, h, w) to (n, out, ceil(h / stride), ceil(w / stride))."""
        x = self.conv1(F.silu(self.norm1(x)))
        return self.conv2(F.silu(self.norm2(x)))
