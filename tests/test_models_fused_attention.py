"""Correspondence attention in one kernel against the plain path: on a GPU, or in Triton's interpreter."""

import os
import subprocess
import sys
from pathlib import Path

import loop_reference as loops
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from test_models_attention import make_attention
from tiny_unet import make_model

from scenetex import InputError
from scenetex.correspondence import from_depth
from scenetex.correspondence.matches import KeyGroup, Keys
from scenetex.models import correspondence_block
from scenetex.models.attention import CorrespondenceAttention

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
try:
    from scenetex.models import fused_attention
except ImportError:
    fused_attention = None
READY = fused_attention is not None and (DEVICE == "cuda" or fused_attention.INTERPRETED)

needs_triton = pytest.mark.skipif(not READY, reason="needs Triton (pip install triton), and a GPU or its interpreter")


def case(seed: int, q: int, l: int, g: int, heads: int, c: int, padded: bool):
    """Queries, tokens, and keys at random places, in float64."""
    made = torch.Generator().manual_seed(seed)
    draw = lambda *shape: torch.randn(*shape, generator=made, dtype=torch.float64)  # noqa: E731
    s = 11
    keys = Keys(
        torch.zeros(q, l, dtype=torch.int64),
        torch.randint(0, s, (q, l, 4), generator=made, dtype=torch.int32),
        torch.rand(q, l, 4, generator=made, dtype=torch.float64) * (draw(q, l, 4) > -1),
        draw(q, l, 1),
    )
    valid = None
    if padded:
        valid = torch.rand(q, l, generator=made) < 0.6
        valid[:, 0] = True
    asked, table, encoding, to = draw(q, g, heads, c), 3 + draw(s, g * c), draw(q, l, c), draw(q, g, heads, c)
    return asked * c**-0.5, table, KeyGroup(torch.arange(q), keys, valid), encoding, to


def results(of, asked, table, group, encoding, to, dtype):
    """(mean, gradient of asked, gradient of the table) in float64, computed in `dtype`."""
    put = lambda tensor: tensor.to(DEVICE, dtype, copy=True)  # noqa: E731
    keys = group.keys
    keys = Keys(keys.query.to(DEVICE), keys.texel.to(DEVICE), put(keys.weight), keys.cue.to(DEVICE))
    group = KeyGroup(group.query.to(DEVICE), keys, None if group.valid is None else group.valid.to(DEVICE))
    asked, table = put(asked).requires_grad_(), put(table).requires_grad_()
    mean = of(asked, table, group, put(encoding))
    assert mean.dtype == dtype
    mean.backward(put(to))
    return [tensor.double().cpu() for tensor in (mean.detach(), asked.grad, table.grad)]


def plain(asked, table, group, encoding):
    attention = CorrespondenceAttention(asked.shape[-1], torch.ones(1))
    return attention._mean_of_keys(asked, table, group, encoding)


def fused(asked, table, group, encoding):
    assert fused_attention.suits(asked, asked.shape[2], group.shape[1])
    return fused_attention.attend(asked, table, group, encoding, 1e-5)


def errors(found, expected) -> list[float]:
    """Largest differences, in parts of the largest value."""
    return [float((a - b).abs().max() / b.abs().max()) for a, b in zip(found, expected, strict=True)]


@needs_triton
@settings(max_examples=8)
@given(
    st.integers(0, 10**6), st.integers(1, 2), st.integers(1, 19), st.integers(1, 2), st.integers(1, 3),
    st.sampled_from([4, 20, 64, 100, 132]), st.booleans(),
)  # fmt: skip
def test_means_and_gradients_are_those_of_the_plain_path(seed, q, l, g, heads, c, padded):
    given = case(seed, q, l, g, heads, c, padded)
    assert max(errors(results(fused, *given, torch.float32), results(plain, *given, torch.float64))) < 1e-5


@needs_triton
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_as_exact_as_the_plain_path(dtype):
    given = case(0, 3, 7, 2, 3, 96, True)
    exact = results(plain, *given, torch.float64)
    ours, theirs = (errors(results(of, *given, dtype), exact) for of in (fused, plain))
    assert all(a < 1.5 * b + torch.finfo(dtype).eps for a, b in zip(ours, theirs, strict=True)), (ours, theirs)


@needs_triton
def test_large_counts_fit():
    """As many heads and keys as the kernel takes, and a token that many keys share."""
    given = case(1, 1, 64, 1, 40, 132, True)
    given[2].keys.texel[:] = 5
    assert max(errors(results(fused, *given, torch.float32), results(plain, *given, torch.float64))) < 1e-5


@needs_triton
@pytest.mark.parametrize("convention", ["visible", "mvdiffusion"])
def test_a_whole_attention_gives_the_same_messages_and_gradients(convention):
    """Queries without keys, and keys that are not seen (released weights), among them."""
    scene = loops.room_views(3, 3, (8, 12))
    correspondence = from_depth(*(t[None] for t in scene), overlap=0.1, convention=convention).to(DEVICE)
    matches = correspondence.at((2, 3), torch.float32)
    attention = make_attention(1).to(DEVICE).requires_grad_()
    x = torch.randn(1, 3 * 6, 64, generator=torch.Generator().manual_seed(0)).to(DEVICE).requires_grad_()

    def gradients(fused: bool) -> list[torch.Tensor]:
        attention.fused = fused
        attention.zero_grad()
        x.grad = None
        message = attention(x, x, matches)
        (message * message.sin()).sum().backward()
        return [message.detach(), x.grad, *(p.grad for p in attention.parameters())]

    assert matches.groups
    assert max(errors(gradients(True), gradients(False))) < 1e-4


@needs_triton
def test_what_does_not_suit_goes_the_plain_way(monkeypatch):
    def fail(*_):
        raise AssertionError("not to be called")

    monkeypatch.setattr(fused_attention, "attend", fail)
    for many in ({"l": 65}, {"heads": 65}, {}):
        asked, table, group, encoding, _ = case(2, 2, **{"l": 3, "g": 1, "heads": 2, "c": 8, "padded": True} | many)
        attention = CorrespondenceAttention(8, torch.ones(4))
        dtype = torch.float32 if many else torch.float64
        keys = group.keys
        group = KeyGroup(group.query, Keys(keys.query, keys.texel, keys.weight.to(dtype), keys.cue), group.valid)
        given = asked.to(dtype), table.to(dtype), group, encoding.to(dtype)
        expected = attention._mean_of_keys(*given)
        attention.fused = True
        assert torch.equal(attention._mean_of_keys(*given), expected)
    monkeypatch.setattr(fused_attention, "INTERPRETED", False)  # a CPU
    assert not fused_attention.suits(torch.zeros(1), 1, 1)


def test_it_is_off_until_it_is_asked_for(monkeypatch):
    model = make_model()
    attentions = [block.attention for block in (*model.down_correspondence, *model.up_correspondence)]
    assert not any(attention.fused for attention in attentions)
    monkeypatch.setattr(correspondence_block, "find_spec", lambda _: None)
    with pytest.raises(InputError, match="needs Triton"):
        model.set_fused_attention()
    monkeypatch.setattr(correspondence_block, "find_spec", lambda _: object())
    model.set_fused_attention()
    assert all(attention.fused for attention in attentions)
    model.set_fused_attention(False)
    assert not any(attention.fused for attention in attentions)


# Shared memory that every GPU since Ampere gives a program: 99 KB.
COMPILES = """
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from scenetex.models import fused_attention as ours

sizes = dict(G=2, H=10, C=320, PADDED=True, WIDE=False, BLOCK_H=16, BLOCK_L=16, BLOCK_C=32)
kinds = dict(texel="*i32", valid="*u8", l="i32", eps="fp32", to_table="*fp32") | dict.fromkeys(sizes, "constexpr")
for kernel in (ours._forward, ours._backward):
    source = ASTSource(kernel, {name: kinds.get(name, "*fp16") for name in kernel.arg_names}, constexprs=sizes)
    made = triton.compile(source, target=GPUTarget("cuda", 80, 32))
    print(len(made.asm["cubin"]) > 0 and made.metadata.shared < 99 * 1024)
"""


@pytest.mark.skipif(fused_attention is None, reason="needs Triton: pip install triton")
def test_kernels_compile_for_a_gpu():
    """The interpreter takes what no GPU would: this needs none, either."""
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    root = Path(__file__).resolve().parents[1]
    done = subprocess.run([sys.executable, "-c", COMPILES], cwd=root, env=environment, capture_output=True, text=True)
    assert done.stdout.split() == ["True", "True"], done.stderr
