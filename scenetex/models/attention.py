"""Correspondence-aware attention: every pixel looks at the places where other views show the same surface."""

from collections.abc import Callable
from typing import ClassVar

import torch
from diffusers import ModelMixin
from torch import nn
from torch.nn import functional as F

from ..correspondence import KeyGroup, Matches

_HEAD_SIZE = 32


class CorrespondenceAttention(nn.Module):
    """Attention from the tokens of some feature maps to the corresponding places of the same or other feature maps.

    The value at a place is sampled bilinearly, its position encoding added, and both go through one norm, as in
    MVDiffusion: key = to_k(norm(sample + encoding)). There are many keys for each query, so they are never projected:
    to_k is applied to the query from the other side, q . (W n) = (W^T q) . n, and to_v to the weighted mean of the
    keys. That is the same attention for a small part of the arithmetic.

    Args:
        width: channels c of the feature maps.
        bands: (f,) frequencies of the position encoding; its size (2 f per component of the cue) must be c.
    """

    memory: int | None = None
    """Bytes of intermediate results at a time; None = what suits the device."""
    fused: bool = False
    """Experimental: attend in one Triton kernel where it can (`fused_attention`), on a GPU."""

    def __init__(self, width: int, bands: torch.Tensor):
        super().__init__()
        self.heads = max(1, width // _HEAD_SIZE)
        self.norm = nn.LayerNorm(width)
        self.to_q = nn.Linear(width, self.heads * _HEAD_SIZE, bias=False)
        self.to_k = nn.Linear(width, self.heads * _HEAD_SIZE, bias=False)
        self.to_v = nn.Linear(width, self.heads * _HEAD_SIZE, bias=False)
        self.to_out = nn.Linear(self.heads * _HEAD_SIZE, width)
        nn.init.zeros_(self.to_out.weight)
        nn.init.zeros_(self.to_out.bias)
        self.register_buffer("bands", bands.float())

    def _apply(self, fn, recurse=True):
        # Frequencies overflow in half precision; they follow the module's device but never its dtype.
        bands = self.bands
        super()._apply(fn, recurse)
        if bands.device.type != "meta":
            self.bands = bands.to(self.bands.device)
        return self

    def forward(self, x: torch.Tensor, context: torch.Tensor, matches: Matches) -> torch.Tensor:
        """Messages to the queries.

        Args:
            x: (g, t, c) query tokens; g sets (guidance halves) that share the same geometry.
            context: (g, s, c) tokens the keys are sampled from.
            matches: keys of the t queries among the s tokens.

        Returns:
            (g, t, c) messages; 0 for queries without a key.
        """
        if not matches.groups:
            return torch.zeros_like(x)
        g, t, c = x.shape
        cells = matches.shape[0] * matches.shape[1]
        encoding = matches.query_encoding(self.bands).to(x.dtype)
        query = self.to_q(self.norm((x.view(g, -1, cells, c) + encoding).view(g, t, c)))
        # Tokens of all g sets side by side: their keys are gathered in one go.
        table = context.transpose(0, 1).reshape(-1, g * c)
        rows = rows_at_a_time(x, self.memory)
        # The norm's scale joins the projections. Its shift is the same for all keys: it drops out of the softmax, and
        # comes through the mean of the values unchanged.
        key, value, scale, shift = self._weights()
        to_k = (key * (scale * (query.shape[2] // self.heads) ** -0.5)).view(self.heads, -1, c)
        to_v = (value * scale).view(self.heads, -1, c).transpose(1, 2)
        parts = [
            self._attend(query, table, group, encoding, to_k, to_v)
            for group, encoding in matches.parts(self.bands, x.dtype, lambda l: rows(g * (3 * l + 2 * self.heads)))
        ]
        message = self.to_out(torch.cat(parts, 1) + self.to_v(shift))
        return torch.zeros_like(x).index_copy(1, torch.cat([group.query for group in matches.groups]), message)

    def _weights(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """Those of the projections to keys and values, and the norm's scale and shift. Where weights are offloaded,
        accelerate fetches them for calls alone, which these are not."""
        parts = (self.to_k, self.to_v, self.norm)
        offloaded = [part for part in parts if hasattr(part, "_hf_hook")]
        for part in offloaded:
            part._hf_hook.pre_forward(part)
        weights = self.to_k.weight, self.to_v.weight, self.norm.weight, self.norm.bias
        for part in offloaded:
            part._hf_hook.post_forward(part, None)
        return weights

    def _attend(self, query, table, group: KeyGroup, encoding, to_k, to_v) -> torch.Tensor:
        """(g, q, heads * size) mean values of the keys of one group of q queries."""
        g, q, c, heads = query.shape[0], group.shape[0], encoding.shape[-1], self.heads
        asked = query[:, group.query].view(g * q, heads, -1).transpose(0, 1)
        asked = torch.bmm(asked, to_k).view(heads, g, q, c).permute(2, 1, 0, 3)  # (q, g, heads, c)
        mean = self._mean_of_keys(asked, table, group, encoding)
        mean = torch.bmm(mean.permute(2, 1, 0, 3).reshape(heads, g * q, c), to_v)
        return mean.view(heads, g, q, -1).permute(1, 2, 0, 3).reshape(g, q, -1)

    def _mean_of_keys(self, asked, table, group: KeyGroup, encoding) -> torch.Tensor:
        """(q, g, heads, c) means of the keys, by how well they answer what is asked, of the same shape."""
        (q, g, heads, c), l = asked.shape, group.shape[1]
        if self.fused:
            from . import fused_attention  # Triton, which no CPU has

            if fused_attention.suits(asked, heads, l):
                return fused_attention.attend(asked, table, group, encoding, self.norm.eps)
        place = group.keys.sample(table).view(q, l, g, c)
        place = F.layer_norm(place + encoding[:, :, None], (c,), eps=self.norm.eps).transpose(1, 2)  # (q, g, l, c)
        score = asked @ place.transpose(2, 3)
        if group.valid is not None:
            score = score.masked_fill(~group.valid[:, None, None], -torch.inf)
        return _softmax(score) @ place


class ExactFrequencies(ModelMixin):
    """A model with correspondence attention, whose frequencies half precision would spoil: they stay in float32 when it
    is loaded in, or cast to, less."""

    _keep_in_fp32_modules: ClassVar = ["bands"]

    def to(self, *args, **kwargs):
        """As torch's `to`."""
        dtypes = [value for value in (*args, kwargs.get("dtype")) if isinstance(value, torch.dtype)]
        if not dtypes or getattr(self, "is_quantized", False):
            return super().to(*args, **kwargs)
        # diffusers warns at every cast that what is kept in float32 while loading would be cast, too; here, each
        # attention sees to it that its frequencies are not.
        nn.Module.to(self, dtypes[0])
        args = [value for value in args if not isinstance(value, torch.dtype)]
        kwargs.pop("dtype", None)
        return super().to(*args, **kwargs) if args or kwargs else self


def _softmax(score: torch.Tensor) -> torch.Tensor:
    """Softmax of many very short rows, where torch's own takes five times as long on a CPU."""
    wide = score if score.element_size() > 2 else score.float()
    power = (wide - wide.amax(-1, keepdim=True)).exp()
    return (power / power.sum(-1, keepdim=True)).to(score.dtype)


def rows_at_a_time(x: torch.Tensor, memory: int | None) -> Callable[[int], int]:
    """How many rows to work on together, when each holds so many vectors of x's channels, within `memory` bytes.

    None suits the device: a share of the cache on a CPU, where that is faster, and enough to fill a GPU.
    """
    memory = memory or (256 if x.is_cuda else 16) * 2**20
    vector = x.shape[-1] * x.element_size()
    return lambda vectors: max(1, memory // (vector * vectors))
