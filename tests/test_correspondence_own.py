"""Keys in other maps of the same views, the own one among them, and windows of maps, against plain loops."""

import loop_reference as loops
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from test_models_attention import assert_close, features_of, make_attention, run

from scenetex import InputError
from scenetex.correspondence import from_depth
from scenetex.correspondence.matches import own_matches


def tokens(features: np.ndarray) -> torch.Tensor:
    """(1, m h w, c) of (m, c, h, w)."""
    return torch.from_numpy(features).float().permute(0, 2, 3, 1).reshape(1, -1, features.shape[1])


def maps(found: torch.Tensor, like: np.ndarray) -> np.ndarray:
    m, c, h, w = like.shape
    return found.double().view(m, h, w, c).permute(0, 3, 1, 2).numpy()


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), m=st.integers(1, 4), size=st.sampled_from([(3, 5), (4, 6), (5, 7), (1, 1)]))
def test_one_way_attention_equals_loops(seed, m, size):
    scene = loops.room_views(seed, m, (15, 20))
    matches = from_depth(*(t[None] for t in scene), overlap=0.1).at(size, own=True)
    attention, features, context = make_attention(1, seed), features_of(seed, m, size), features_of(seed + 1, m, size)
    keys = loops.with_own_keys(loops.depth_keys(scene, "visible", 0.1, size), size[1])
    expected = loops.messages(attention, features, keys, clamp=True, context=context)
    assert_close(maps(attention(tokens(features), tokens(context), matches), features), expected)


def test_every_query_has_a_key_at_its_own_place():
    """Also where there is no depth and in views without a partner."""
    scene = loops.room_views(1, 3, (12, 16), holes=0.6)
    matches = from_depth(*(t[None] for t in scene), overlap=0.99).at((6, 8), torch.float64, own=True)
    (group,) = matches.groups
    assert torch.equal(group.query, torch.arange(3 * 48)) and group.shape == (3 * 48, 1)
    assert torch.equal(group.keys.texel[:, 0, 0], group.query.int()) and (group.keys.cue == -1).all()
    assert (group.keys.weight == torch.tensor([1, 0, 0, 0])).all()
    (alone,) = own_matches(3, (6, 8), torch.empty(0, dtype=torch.float64)).groups
    for name in ("texel", "weight", "cue"):
        assert torch.equal(getattr(alone.keys, name), getattr(group.keys, name))


def test_released_convention_has_no_own_keys():
    scene = loops.room_views(1, 2, (16, 24))
    with pytest.raises(InputError, match="own view"):
        from_depth(*(t[None] for t in scene), convention="mvdiffusion").at((4, 6), own=True)


windows = st.tuples(st.integers(0, 4), st.integers(0, 5), st.integers(1, 6), st.integers(1, 8)).map(
    lambda t: (t[0], t[1], min(t[2], 6 - t[0]), min(t[3], 8 - t[1]))
)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), window=windows)
def test_a_window_of_queries_gets_the_same_messages(seed, window):
    top, left, h, w = window
    scene = loops.room_views(seed, 3, (12, 16))
    matches = from_depth(*(t[None] for t in scene), overlap=0.1).at((6, 8), own=True)
    attention, features, context = make_attention(1), features_of(seed, 3, (6, 8)), features_of(seed + 1, 3, (6, 8))
    whole = maps(attention(tokens(features), tokens(context), matches), features)
    part = features[..., top : top + h, left : left + w]
    found = attention(tokens(part), tokens(context), matches.window((top, left), (h, w), context=False))
    assert_close(maps(found, part), whole[..., top : top + h, left : left + w])


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), window=windows)
def test_a_window_of_maps_keeps_the_keys_that_lie_in_it(seed, window):
    top, left, h, w = window
    scene = loops.room_views(seed, 3, (12, 16))
    correspondence = from_depth(*(t[None] for t in scene), overlap=0.1)
    attention, features = make_attention(1), features_of(seed, 3, (6, 8))
    part = features[..., top : top + h, left : left + w]

    def inside(key: loops.Key) -> loops.Key | None:
        x, y = min(max(key.x, 0), 7) - left, min(max(key.y, 0), 5) - top
        return key._replace(x=x, y=y) if 0 <= x <= w - 1 and 0 <= y <= h - 1 else None

    keys = [
        [
            [k for k in map(inside, view[row * 8 + column]) if k is not None]
            for row in range(top, top + h)
            for column in range(left, left + w)
        ]
        for view in loops.depth_keys(scene, "visible", 0.1, (6, 8))
    ]
    expected = loops.messages(attention, part, keys, clamp=True)
    matches = correspondence.at((6, 8)).window((top, left), (h, w), context=True)
    assert_close(maps(attention(tokens(part), tokens(part), matches), part), expected)


def test_windows_are_found_once_and_counted():
    correspondence = from_depth(*(t[None] for t in loops.room_views(5, 3, (12, 16))), overlap=0.1)
    matches, before = correspondence.at((6, 8)), correspondence.nbytes()
    window = matches.window((2, 2), (4, 4), context=True)
    assert window is matches.window((2, 2), (4, 4), context=True) and window.groups
    assert correspondence.nbytes() == before + window.nbytes() > before
    run(make_attention(1), features_of(0, 3, (6, 8)), correspondence)
    held = window.nbytes()
    attention, part = make_attention(1), features_of(0, 3, (4, 4))
    attention(tokens(part), tokens(part), window)
    assert window.nbytes() == held < correspondence.nbytes() - before, "windows keep no encodings"
