"""Correspondence-aware attention against the same in plain loops."""

import loop_reference as loops
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from scenetex.correspondence import from_depth, from_rotation
from scenetex.models.attention import CorrespondenceAttention

WIDTH = 64


def make_attention(cue_size: int, seed: int = 0) -> CorrespondenceAttention:
    """Attention with random weights."""
    torch.manual_seed(seed)
    attention = CorrespondenceAttention(WIDTH, torch.logspace(0, 1, WIDTH // (2 * cue_size), base=30.0))
    for p in attention.parameters():
        torch.nn.init.normal_(p, std=0.2)
    torch.nn.init.normal_(attention.norm.weight, mean=1, std=0.2)
    return attention.requires_grad_(False)


def run(attention, features: np.ndarray, correspondence, dtype=torch.float32) -> np.ndarray:
    """(m, c, h, w) messages of the batched code."""
    m, c, h, w = features.shape
    x = torch.from_numpy(features).to(dtype).permute(0, 2, 3, 1).reshape(1, -1, c)
    matches = correspondence.at((h, w), dtype)
    return attention.to(dtype)(x, x, matches).double().view(m, h, w, c).permute(0, 3, 1, 2).numpy()


def features_of(seed: int, m: int, size: tuple[int, int]) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(m, WIDTH, *size))


def assert_close(found: np.ndarray, expected: np.ndarray, tolerance: float = 1e-5) -> None:
    assert np.abs(found - expected).max() <= tolerance * max(1.0, np.sqrt((expected**2).mean()))


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), m=st.integers(1, 4), size=st.sampled_from([(3, 5), (4, 6), (5, 7), (1, 1)]))
def test_visible_depth_attention_equals_loops(seed, m, size):
    scene = loops.room_views(seed, m, (15, 20))
    correspondence = from_depth(*(t[None] for t in scene), overlap=0.1)
    attention = make_attention(1, seed)
    features = features_of(seed, m, size)
    expected = loops.messages(attention, features, loops.depth_keys(scene, "visible", 0.1, size), clamp=True)
    assert_close(run(attention, features, correspondence), expected)


def test_visible_depth_attention_is_put_to_the_test():
    """The scenes above do have what they are meant to have: many keys, and queries without one."""
    scene = loops.room_views(5, 4, (15, 20))
    keys = loops.depth_keys(scene, "visible", 0.1, (5, 7))
    counts = [len(k) for view in keys for k in view]
    assert max(counts) == 3 and min(counts) == 0


@pytest.mark.parametrize("seed", range(3))
def test_released_depth_attention_equals_loops(seed):
    scene = loops.room_views(seed, 3, (16, 24))
    correspondence = from_depth(*(t[None] for t in scene), convention="mvdiffusion", overlap=0.3)
    attention = make_attention(1, seed)
    features = features_of(seed, 3, (4, 6))
    expected = loops.messages(attention, features, loops.depth_keys(scene, "mvdiffusion", 0.3, (4, 6)), clamp=False)
    # Frequencies up to 30 times cues of 1e6 leave float32 no digits where an unseen token is encoded.
    assert_close(run(attention, features, correspondence, torch.float64), expected, 1e-9)


def ring(m: int, image: tuple[int, int], fov: float = 90.0) -> tuple[np.ndarray, np.ndarray]:
    """K (m, 3, 3) and R (m, 3, 3) of a panorama's views."""
    f = image[1] / 2 / np.tan(np.radians(fov) / 2)
    K = np.array([[f, 0, (image[1] - 1) / 2], [0, f, (image[0] - 1) / 2], [0, 0, 1]])
    angle = 2 * np.pi * np.arange(m) / m + 0.3
    R = np.tile(np.eye(3), (m, 1, 1))
    R[:, 0, 0], R[:, 0, 2], R[:, 2, 0], R[:, 2, 2] = np.cos(angle), np.sin(angle), -np.sin(angle), np.cos(angle)
    return np.tile(K, (m, 1, 1)), R


@pytest.mark.parametrize(
    ("convention", "image", "size"),
    [("visible", (16, 16), (4, 4)), ("visible", (14, 20), (3, 5)), ("mvdiffusion", (16, 16), (4, 4))],
)
def test_panorama_attention_equals_loops(convention, image, size):
    K, R = ring(6, image)
    correspondence = from_rotation(K[None], R[None], image, convention=convention)
    partners = [[(i - 1) % 6, (i + 1) % 6] for i in range(6)]
    assert correspondence.pairs.tolist() == [[i, j] for i in range(6) for j in sorted(partners[i])]
    attention = make_attention(2)
    features = features_of(1, 6, size)
    keys = loops.rotation_keys(K, R, image, convention, partners, size)
    expected = loops.messages(attention, features, keys, clamp=convention == "visible")
    assert_close(run(attention, features, correspondence, torch.float64), expected, 1e-9)
    assert_close(run(attention, features, correspondence), expected)


def test_same_messages_at_any_chunk_size_and_for_shared_geometry():
    scene = loops.room_views(3, 4, (24, 32))
    matches = from_depth(*(t[None] for t in scene), overlap=0.1).at((6, 8))
    attention = make_attention(1)
    x = torch.randn(2, 4 * 48, WIDTH)
    whole = attention(x, x, matches)
    for memory in (1, 10_000, 100_000):
        attention.memory = memory
        torch.testing.assert_close(attention(x, x, matches), whole, rtol=0, atol=1e-5)
        for g in range(2):
            alone = attention(x[g : g + 1], x[g : g + 1], matches)
            torch.testing.assert_close(alone[0], whole[g], rtol=0, atol=1e-5)


def test_frequencies_survive_half_precision():
    attention = make_attention(1)
    attention.bands.copy_(2.0 ** torch.arange(WIDTH // 2))
    assert torch.equal(attention.half().float().bands, 2.0 ** torch.arange(WIDTH // 2))
    assert attention.to_q.weight.dtype == torch.float32
