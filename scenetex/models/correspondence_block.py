"""The block that joins the views after each UNet block: attention along correspondences, then a residual block."""

from collections.abc import Sequence
from importlib.util import find_spec
from math import gcd

import torch
from diffusers.models.attention import FeedForward
from torch import nn

from ..correspondence import Matches
from ..errors import InputError
from .attention import CorrespondenceAttention, rows_at_a_time


class CorrespondenceBlock(nn.Module):
    """Correspondence-aware attention, feed-forward, and a residual block; the identity until trained.

    Args:
        width: channels c.
        bands: frequencies of the position encoding, see `CorrespondenceAttention`.
        residual: with the residual block (the released panorama model has none).
        expansion: width of the feed-forward layers' inside over c.
    """

    def __init__(self, width: int, bands: torch.Tensor, residual: bool, expansion: int = 4):
        super().__init__()
        self.attention = CorrespondenceAttention(width, bands)
        self.norm = nn.LayerNorm(width)
        self.feed_forward = FeedForward(width, mult=expansion, activation_fn="geglu")
        nn.init.zeros_(self.feed_forward.net[2].weight)
        nn.init.zeros_(self.feed_forward.net[2].bias)
        self.residual = ResidualBlock(width) if residual else None
        self.gradient_checkpointing = False

    def forward(self, x: torch.Tensor, matches: Matches, context: torch.Tensor | None = None) -> torch.Tensor:
        """Joins the views, or one way, looks at other maps of theirs.

        Args:
            x: (g v, c, h, w), g sets of the v views of `matches`.
            context: (g v, c, h', w'), the maps that the keys are in; None = x itself.

        Returns:
            x's shape and memory format.
        """
        if torch.is_grad_enabled() and self.gradient_checkpointing:
            return self._gradient_checkpointing_func(self._run, x, matches, context)
        return self._run(x, matches, context)

    def _run(self, x: torch.Tensor, matches: Matches, context: torch.Tensor | None) -> torch.Tensor:
        _, c, h, w = x.shape
        # The layers after this one must meet the layout they would meet without it, to give the same bits.
        layout = torch.contiguous_format if x.is_contiguous() else torch.channels_last
        tokens = x.permute(0, 2, 3, 1).reshape(-1, matches.views * h * w, c)
        seen = tokens if context is None else context.permute(0, 2, 3, 1).reshape(len(tokens), -1, c)
        tokens = tokens + self.attention(tokens, seen, matches)
        # The hidden layer is wide: eight times the channels, four of the gate's product, and what goes in and out.
        rows = rows_at_a_time(tokens, self.attention.memory)(14)
        tokens = torch.cat([t + self.feed_forward(self.norm(t)) for t in tokens.view(-1, c).split(rows)])
        x = tokens.view(-1, h, w, c).permute(0, 3, 1, 2).contiguous(memory_format=layout)
        return x if self.residual is None else self.residual(x)


class ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions beside the identity; the second starts at zero."""

    def __init__(self, width: int):
        super().__init__()
        groups = gcd(32, width)
        self.norm1 = nn.GroupNorm(groups, width)
        self.conv1 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm2 = nn.GroupNorm(groups, width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        nn.init.zeros_(self.conv2.weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """x: (n, c, h, w)."""
        # torch 2.13 crashes in GroupNorm's backward on the CPU where only its weights need a gradient and x is
        # channels_last.
        h = x.contiguous() if torch.is_grad_enabled() and not x.requires_grad else x
        h = self.conv1(self.norm1(h).relu())
        return x + self.conv2(self.norm2(h).relu())


def limit_memory(blocks: Sequence[CorrespondenceBlock | None], megabytes: int | None) -> None:
    """Limits the intermediate results of each block's attention; None = what suits the device.

    Raises:
        InputError: a limit that is not positive.
    """
    if megabytes is not None and megabytes <= 0:
        raise InputError(f"attention memory of {megabytes} MB; pass a positive number")
    for block in blocks:
        if block is not None:
            block.attention.memory = None if megabytes is None else int(megabytes * 2**20)


def fuse(blocks: Sequence[CorrespondenceBlock | None], on: bool) -> None:
    """Switches the experimental kernel of each block's attention on or off.

    Raises:
        InputError: Triton is not there.
    """
    if on and find_spec("triton") is None:
        raise InputError("fused attention: needs Triton, which torch's CUDA builds bring; install one, or leave it off")
    for block in blocks:
        if block is not None:
            block.attention.fused = on
