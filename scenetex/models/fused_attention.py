"""Experimental: gathering, norm, attention and weighted sum of correspondence attention in one Triton kernel.

What the plain path writes to memory for each key, its sample and its norm, stays on the chip. Nothing here has run on a
GPU yet: it is checked in Triton's interpreter (`TRITON_INTERPRET=1`, set before this module is imported), and off
unless it is asked for.
"""

import torch
import triton
import triton.language as tl

from ..correspondence import KeyGroup

INTERPRETED = triton.knobs.runtime.interpret
_DTYPES = (torch.float32, torch.float16, torch.bfloat16)
_LEAST = 16  # side of the smallest matrices that a GPU multiplies at once
_MOST = 64  # heads, and keys for each query, that fit on the chip together
_BYTES = 64  # of a token's channels that are worked on at a time
_WIDE = 2048  # heads times keys of which more threads work on each query


def suits(query: torch.Tensor, heads: int, keys: int) -> bool:
    """Whether the kernel can work on queries of so many heads and keys, on their device and in their dtype."""
    return (query.is_cuda or INTERPRETED) and query.dtype in _DTYPES and max(heads, keys) <= _MOST


def attend(
    asked: torch.Tensor, table: torch.Tensor, group: KeyGroup, encoding: torch.Tensor, eps: float
) -> torch.Tensor:
    """Mean of each query's keys, each of them norm(sample + encoding), by the softmax of asked . key.

    Gradients reach `asked` and `table`; on a GPU those of the table are summed in any order.

    Args:
        asked: (q, g, heads, c), what the g sets ask, in the space of the keys.
        table: (s, g * c) tokens of the g sets, side by side.
        group: the q queries' keys, l for each.
        encoding: (q, l, c) of the keys.
        eps: of the norm, which has neither scale nor shift.

    Returns:
        (q, g, heads, c) of asked's dtype.
    """
    valid = None if group.valid is None else group.valid.contiguous().view(torch.uint8)
    keys = group.keys
    return _Attend.apply(
        asked.contiguous(),
        table.contiguous(),
        keys.texel.contiguous(),
        keys.weight.contiguous(),
        encoding.contiguous(),
        valid,
        eps,
    )


class _Attend(torch.autograd.Function):
    @staticmethod
    def forward(ctx, asked, table, texel, weight, encoding, valid, eps):
        mean = torch.empty_like(asked)
        inputs = asked, table, texel, weight, encoding, valid
        _forward[asked.shape[:2]](*inputs, mean, texel.shape[1], eps, **_sizes(asked, texel, valid))
        ctx.save_for_backward(*inputs)
        ctx.eps = eps
        return mean

    @staticmethod
    def backward(ctx, given):
        asked, table, texel, _, _, valid = ctx.saved_tensors
        to_asked = torch.empty_like(asked)
        to_table = torch.zeros_like(table, dtype=torch.float32)
        given = given.contiguous()
        sizes = _sizes(asked, texel, valid)
        _backward[asked.shape[:2]](*ctx.saved_tensors, given, to_asked, to_table, texel.shape[1], ctx.eps, **sizes)
        return to_asked, to_table.to(table.dtype), None, None, None, None, None


def _sizes(asked: torch.Tensor, texel: torch.Tensor, valid: torch.Tensor | None) -> dict[str, int | bool]:
    """What the kernels are compiled for."""
    _, g, heads, c = asked.shape
    block_h, block_l = (max(_LEAST, triton.next_power_of_2(side)) for side in (heads, texel.shape[1]))
    return {
        "G": g, "H": heads, "C": c, "PADDED": valid is not None, "WIDE": INTERPRETED,
        "BLOCK_H": block_h, "BLOCK_L": block_l, "BLOCK_C": _BYTES // asked.element_size(),
        "num_warps": 8 if block_h * block_l >= _WIDE else 4,
    }  # fmt: skip


# In the kernels: p are sampled keys with their encoding, n the same after the norm; h, k and c count heads, keys and
# channels. One program works on one query of one set.


@triton.jit
def _sampled(table, texel, weight, encoding, row, l, k, c, G: tl.constexpr, C: tl.constexpr):
    """(BLOCK_L, BLOCK_C) float32 of p at channels c; 0 outside."""
    inside = (k < l)[:, None] & (c < C)[None, :]
    key = row * l + k
    p = tl.load(encoding + key[:, None] * C + c[None, :], mask=inside, other=0).to(tl.float32)
    for corner in tl.static_range(4):
        token = tl.load(texel + key * 4 + corner, mask=k < l, other=0).to(tl.int64)
        share = tl.load(weight + key * 4 + corner, mask=k < l, other=0).to(tl.float32)
        at = token[:, None] * (G * C) + tl.program_id(1) * C + c[None, :]
        p += share[:, None] * tl.load(table + at, mask=inside, other=0).to(tl.float32)
    return p


@triton.jit
def _norm(
    table, texel, weight, encoding, row, l, k, eps, G: tl.constexpr, C: tl.constexpr, BLOCK_L: tl.constexpr,
    BLOCK_C: tl.constexpr,
):  # fmt: skip
    """Mean and inverse deviation (BLOCK_L,) of p over its channels, block by block (Chan, Golub and LeVeque 1979)."""
    mean = tl.zeros([BLOCK_L], tl.float32)
    squares = tl.zeros([BLOCK_L], tl.float32)
    for start in range(0, C, BLOCK_C):
        c = start + tl.arange(0, BLOCK_C)
        p = _sampled(table, texel, weight, encoding, row, l, k, c, G, C)
        count = tl.minimum(BLOCK_C, C - start).to(tl.float32)
        middle = tl.sum(p, 1) / count
        off = tl.where((c < C)[None, :], p - middle[:, None], 0.0)
        step = middle - mean
        mean += step * (count / (start + count))
        squares += tl.sum(off * off, 1) + step * step * (start * count / (start + count))
    return mean, 1 / tl.sqrt(squares / C + eps)


@triton.jit
def _heads_at(values, row, h, c, G: tl.constexpr, H: tl.constexpr, C: tl.constexpr):
    """(BLOCK_H, BLOCK_C) of a tensor (q, g, heads, c); 0 outside."""
    at = ((row * G + tl.program_id(1)) * H + h)[:, None] * C + c[None, :]
    return tl.load(values + at, mask=(h < H)[:, None] & (c < C)[None, :], other=0)


@triton.jit
def _softmax(score, valid, row, l, k, PADDED: tl.constexpr):
    """Shares (BLOCK_H, BLOCK_L) of the keys that there are."""
    there = k < l
    if PADDED:
        there = there & (tl.load(valid + row * l + k, mask=there, other=0) != 0)
    score = tl.where(there[None, :], score, -float("inf"))
    power = tl.exp(score - tl.max(score, 1)[:, None])
    return power / tl.sum(power, 1)[:, None]


@triton.jit
def _product(a, b, WIDE: tl.constexpr):
    """float32 product of two matrices."""
    if WIDE:  # Triton's interpreter takes the bits of bfloat16 for whole numbers here.
        a, b = a.to(tl.float32), b.to(tl.float32)
    return tl.dot(a, b, input_precision="ieee")


@triton.jit
def _forward(
    asked, table, texel, weight, encoding, valid, out, l, eps, G: tl.constexpr, H: tl.constexpr, C: tl.constexpr,
    PADDED: tl.constexpr, WIDE: tl.constexpr, BLOCK_H: tl.constexpr, BLOCK_L: tl.constexpr, BLOCK_C: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0).to(tl.int64)
    h, k = tl.arange(0, BLOCK_H), tl.arange(0, BLOCK_L)
    dtype = asked.dtype.element_ty
    mean, scale = _norm(table, texel, weight, encoding, row, l, k, eps, G, C, BLOCK_L, BLOCK_C)
    score = tl.zeros([BLOCK_H, BLOCK_L], tl.float32)
    for start in range(0, C, BLOCK_C):
        c = start + tl.arange(0, BLOCK_C)
        p = _sampled(table, texel, weight, encoding, row, l, k, c, G, C)
        n = ((p - mean[:, None]) * scale[:, None]).to(dtype)
        score += _product(_heads_at(asked, row, h, c, G, H, C), tl.trans(n), WIDE)
    share = _softmax(score, valid, row, l, k, PADDED).to(dtype)
    for start in range(0, C, BLOCK_C):
        c = start + tl.arange(0, BLOCK_C)
        p = _sampled(table, texel, weight, encoding, row, l, k, c, G, C)
        n = ((p - mean[:, None]) * scale[:, None]).to(dtype)
        at = ((row * G + tl.program_id(1)) * H + h)[:, None] * C + c[None, :]
        found = _product(share, n, WIDE)
        tl.store(out + at, found.to(dtype), mask=(h < H)[:, None] & (c < C)[None, :])


@triton.jit
def _backward(
    asked, table, texel, weight, encoding, valid, given, to_asked, to_table, l, eps, G: tl.constexpr, H: tl.constexpr,
    C: tl.constexpr, PADDED: tl.constexpr, WIDE: tl.constexpr, BLOCK_H: tl.constexpr, BLOCK_L: tl.constexpr,
    BLOCK_C: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0).to(tl.int64)
    h, k = tl.arange(0, BLOCK_H), tl.arange(0, BLOCK_L)
    dtype = asked.dtype.element_ty
    mean, scale = _norm(table, texel, weight, encoding, row, l, k, eps, G, C, BLOCK_L, BLOCK_C)
    score = tl.zeros([BLOCK_H, BLOCK_L], tl.float32)
    to_share = tl.zeros([BLOCK_H, BLOCK_L], tl.float32)
    asked_sum = tl.zeros([BLOCK_H], tl.float32)
    given_sum = tl.zeros([BLOCK_H], tl.float32)
    for start in range(0, C, BLOCK_C):
        c = start + tl.arange(0, BLOCK_C)
        p = _sampled(table, texel, weight, encoding, row, l, k, c, G, C)
        n = tl.trans(((p - mean[:, None]) * scale[:, None]).to(dtype))
        a, d = _heads_at(asked, row, h, c, G, H, C), _heads_at(given, row, h, c, G, H, C)
        score += _product(a, n, WIDE)
        to_share += _product(d, n, WIDE)
        asked_sum += tl.sum(a.to(tl.float32), 1)
        given_sum += tl.sum(d.to(tl.float32), 1)
    share = _softmax(score, valid, row, l, k, PADDED)
    to_score = share * (to_share - tl.sum(share * to_share, 1)[:, None])
    # The norm's gradient needs that of n summed over all channels, alone and times n: both follow from sums over heads.
    to_mean = tl.sum(share * given_sum[:, None] + to_score * asked_sum[:, None], 0) / C
    to_scale = tl.sum(share * to_share + to_score * score, 0) / C
    for start in range(0, C, BLOCK_C):
        c = start + tl.arange(0, BLOCK_C)
        p = _sampled(table, texel, weight, encoding, row, l, k, c, G, C)
        n = (p - mean[:, None]) * scale[:, None]
        a, d = _heads_at(asked, row, h, c, G, H, C), _heads_at(given, row, h, c, G, H, C)
        at = ((row * G + tl.program_id(1)) * H + h)[:, None] * C + c[None, :]
        found = _product(to_score.to(dtype), n.to(dtype), WIDE)
        tl.store(to_asked + at, found.to(dtype), mask=(h < H)[:, None] & (c < C)[None, :])
        to_n = _product(tl.trans(share.to(dtype)), d, WIDE)
        to_n += _product(tl.trans(to_score.to(dtype)), a, WIDE)
        to_p = scale[:, None] * (to_n - to_mean[:, None] - n * to_scale[:, None])
        inside = (k < l)[:, None] & (c < C)[None, :]
        for corner in tl.static_range(4):
            token = tl.load(texel + (row * l + k) * 4 + corner, mask=k < l, other=0).to(tl.int64)
            part = tl.load(weight + (row * l + k) * 4 + corner, mask=k < l, other=0).to(tl.float32)
            to = token[:, None] * (G * C) + tl.program_id(1) * C + c[None, :]
            tl.atomic_add(to_table + to, part[:, None] * to_p, mask=inside & (part != 0)[:, None])
