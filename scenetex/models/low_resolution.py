"""Features of low-resolution images, at the width and grid of every encoder block of the high-resolution UNet."""

import torch
from diffusers import UNet2DConditionModel
from torch import nn
from torch.nn import functional as F


class LowResolutionFeatures(nn.Module):
    """Two 3 x 3 convolutions widen the latents; one more for each encoder block gives them its width and its grid.

    Where the block's grid is finer than the latents', that convolution computes all cells within a latent cell at once
    (sub-pixel convolution, arXiv 1609.05158); where it is coarser, it is strided. So the features of a view lie cell
    on cell under those they are to guide.

    Args:
        unet: the UNet that is to be guided; only its widths are read.
        ratio: cells of the high-resolution latents along a cell of these; a power of 2.
    """

    def __init__(self, unet: UNet2DConditionModel, ratio: int):
        super().__init__()
        width = unet.conv_in.out_channels
        self.conv1 = nn.Conv2d(unet.config.in_channels, width, 3, padding=1)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1)
        self.to_block = nn.ModuleList()
        stride = 1
        for block in unet.down_blocks:
            finer = max(1, ratio // stride)
            out = block.resnets[0].in_channels * finer**2
            conv = nn.Conv2d(width, out, 3, stride=max(1, stride // ratio), padding=1)
            self.to_block.append(nn.Sequential(conv, nn.PixelShuffle(finer)))
            stride *= 2 if block.downsamplers else 1

    def forward(self, latents: torch.Tensor) -> list[torch.Tensor]:
        """(n, c, h / ratio, w / ratio) to one (n, c_k, h_k, w_k) for each encoder block, as its input."""
        x = F.silu(self.conv2(F.silu(self.conv1(latents))))
        return [convolution(x) for convolution in self.to_block]
