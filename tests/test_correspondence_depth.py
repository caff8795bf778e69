"""Correspondence through depth: exact scenes, the loop reference, bad input."""

import loop_reference as loops
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import scenetex.correspondence
from scenetex import InputError
from scenetex.correspondence import from_depth
from scenetex.correspondence.matches import _group_lengths

K = np.array([[40.0, 0, 31.5], [0, 40.0, 23.5], [0, 0, 1]])
SIZE = (48, 64)


def pose(x=0.0, z=0.0, turned=False) -> np.ndarray:
    """Camera at (x, 0, z) that looks along z, or back."""
    out = np.eye(4)
    out[[0, 2], 3] = x, z
    if turned:
        out[0, 0] = out[2, 2] = -1
    return out


def planes(depths, poses, **options):
    """Correspondence of views of fronto-parallel planes."""
    depth = np.stack([np.broadcast_to(np.asarray(d, np.float64), SIZE) for d in depths])
    return from_depth(depth[None], K[None], np.stack(poses)[None], **options)


def places(correspondence, size) -> dict[tuple[int, int], tuple[float, float, float]]:
    """(query token, context view): column, row and cue of every key."""
    out = {}
    h, w = size
    for group in correspondence.at(size, torch.float64).groups:
        for q, query in enumerate(group.query.tolist()):
            for l in range(group.shape[1]):
                if group.valid is not None and not group.valid[q, l]:
                    continue
                texel, weight = group.keys.texel[q, l].long(), group.keys.weight[q, l]
                view = int(texel[0]) // (h * w)
                x, y = float((texel % w * weight).sum()), float((texel // w % h * weight).sum())
                assert (query, view) not in out
                out[query, view] = x, y, float(group.keys.cue[q, l, 0])
    return out


def test_attribute_of_the_subpackage():
    assert scenetex.correspondence.from_depth is from_depth


@pytest.mark.parametrize("size", [(6, 8), (5, 7), (48, 64), (3, 3)])
def test_same_camera_twice_gives_every_cell_itself(size):
    found = places(planes([2, 2], [pose(), pose()]), size)
    n = size[0] * size[1]
    assert len(found) == 2 * n
    for (query, _), (x, y, cue) in found.items():
        assert (x, y) == pytest.approx((query % n % size[1], query % n // size[1]), abs=1e-9)
        assert cue == pytest.approx(0, abs=1e-12)


def test_sideways_camera_sees_the_disparity():
    found = places(planes([2, 2], [pose(), pose(x=0.3)]), (6, 8))
    # f b / z = 6 pixels; cells are 8 pixels wide.
    for (query, view), (x, y, cue) in found.items():
        assert x == pytest.approx(np.clip(query % 8 + (-0.75 if view == 1 else 0.75), 0, 7), abs=1e-9)
        assert y == pytest.approx(query % 48 // 8, abs=1e-9)
        assert cue == pytest.approx(0, abs=1e-12)
    # The first column's pixels, 4, land at -2: outside.
    assert {query % 8 for query, view in found if view == 1} == set(range(1, 8))


def test_cue_is_the_error_of_the_projected_depth():
    # The second camera stands 0.5 m nearer; it says 1.53 m where the plane is at 1.5 m.
    found = places(planes([2, 1.53], [pose(), pose(z=0.5)], overlap=0.1), (6, 8))
    cues = [cue for (query, _), (_, _, cue) in found.items() if query < 48]
    assert cues and cues == pytest.approx([0.03] * len(cues))


def test_nothing_is_seen_through_a_wall_or_behind_the_camera():
    poses = [pose(), pose(x=0.2), pose(turned=True)]
    wall = planes([2, 0.5, 2], poses, overlap=0.0)
    assert len(wall.pairs) == 0
    assert wall.at((6, 8)).groups == ()
    # The released model takes both for overlap.
    assert planes([2, 0.5, 2], poses, convention="mvdiffusion").pairs.tolist() == [
        [i, j] for i in range(3) for j in range(3) if i != j
    ]


def test_occluder_takes_its_shadow_out():
    near = np.full(SIZE, 2.0)
    near[:, :32] = 1.0
    found = places(planes([2, near], [pose(), pose()], overlap=0.1), (6, 8))
    assert {query % 8 for query, view in found if view == 1} == {4, 5, 6, 7}


def test_invalid_depth_has_no_key():
    depth = np.full(SIZE, 2.0)
    depth[:24] = np.nan
    depth[24:, :8] = -1
    found = places(planes([2, depth], [pose(), pose()], overlap=0.1), (6, 8))
    assert {query % 48 for query, _ in found} == {8 * r + c for r in (3, 4, 5) for c in range(1, 8)}


def test_overlap_must_be_above_the_threshold_both_ways():
    # Of 64 columns, 16 fall out of the other image: the overlap is 0.75.
    poses = [pose(), pose(x=0.8)]
    assert len(planes([2, 2], poses, overlap=0.749).pairs) == 2
    assert len(planes([2, 2], poses, overlap=0.751).pairs) == 0


@settings(max_examples=10, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    m=st.integers(2, 4),
    size=st.sampled_from([(4, 6), (2, 3)]),
    convention=st.sampled_from(["visible", "mvdiffusion"]),
)
def test_pairs_and_keys_equal_loops(seed, m, size, convention):
    scene = loops.room_views(seed, m, (16, 24))
    correspondence = from_depth(*(t[None] for t in scene), convention=convention, overlap=0.25)
    partners = loops.depth_partners(scene, convention, 0.25)
    assert correspondence.pairs.tolist() == [[i, j] for i in range(m) for j in partners[i]]
    found = {}
    for group in correspondence.at(size, torch.float64).groups:
        for q, query in enumerate(group.query.tolist()):
            valid = group.valid[q] if group.valid is not None else torch.ones(group.shape[1], dtype=bool)
            found[query] = sorted(tuple(c.tolist()) for c in group.keys.cue[q, valid])
    expected = loops.depth_keys(scene, convention, 0.25, size)
    n = size[0] * size[1]
    expected = {
        i * n + t: sorted(k.cue for k in keys) for i, view in enumerate(expected) for t, keys in enumerate(view)
    }
    assert found.keys() == {query for query, keys in expected.items() if keys}
    for query, cues in found.items():
        np.testing.assert_allclose(cues, expected[query], atol=1e-9)


def test_batch_items_do_not_mix():
    scenes = [loops.room_views(seed, 3, (16, 24)) for seed in (1, 2)]
    both = from_depth(*(np.stack(t) for t in zip(*scenes, strict=True)), overlap=0.1)
    each = [from_depth(*(t[None] for t in scene), overlap=0.1) for scene in scenes]
    assert both.pairs.tolist() == (each[0].pairs.tolist() + (each[1].pairs + 3).tolist())
    found, first, second = (places(c, (4, 6)) for c in (both, *each))
    assert found == {**first, **{(q + 72, v + 3): key for (q, v), key in second.items()}}


def test_one_K_for_all_views_is_the_same_as_one_each():
    depth, _, poses = loops.room_views(4, 3, (16, 24))
    one = from_depth(depth[None], K[None] * [[0.4], [0.4], [1]], poses[None], overlap=0.0)
    each = from_depth(depth[None], np.stack([K] * 3)[None] * [[0.4], [0.4], [1]], poses[None], overlap=0.0)
    assert one.pairs.tolist() == each.pairs.tolist()


def test_keys_are_found_once_and_move_with_the_device():
    correspondence = planes([2, 2], [pose(), pose(x=0.3)])
    assert correspondence.at((6, 8)) is correspondence.at((6, 8))
    assert correspondence.to("cpu") is correspondence
    moved = correspondence.to("meta")
    assert moved.device.type == "meta" and moved.pairs is correspondence.pairs
    assert correspondence.to("meta") is moved


def test_many_views_stay_small():
    depth = np.full((1, 150, 24, 32), 2.0, np.float32)
    poses = np.stack([pose(x=0.02 * i) for i in range(150)])[None].astype(np.float32)
    correspondence = from_depth(depth, (K * [[0.5], [0.5], [1]])[None].astype(np.float32), poses)
    correspondence.at((12, 16))
    pairs = len(correspondence.pairs)
    assert pairs > 5000
    # Per key: four tokens and weights, place in the list, cue and padding mask; nothing of the size of pairs x pixels.
    assert correspondence.nbytes() < 60 * 12 * 16 * pairs


@given(st.lists(st.integers(0, 50), min_size=2, max_size=12), st.integers(0, 200))
def test_groups_hold_every_length_and_cost_least(histogram, cost):
    ranges = _group_lengths(histogram, cost)
    inside = [n for low, high in ranges for n in range(low, high + 1) if histogram[n]]
    assert sorted(inside) == [n for n, queries in enumerate(histogram) if queries and n]

    def total(ranges):
        return sum(cost + high * sum(histogram[low : high + 1]) for low, high in ranges)

    lengths = sorted(inside)
    assert total(ranges) <= total([(n, n) for n in lengths])
    assert total(ranges) <= total([(lengths[0], lengths[-1])] if lengths else [])


def bad(**change):
    """Arguments of `from_depth`, two good views but for the change."""
    good = {"depth": np.full((1, 2, *SIZE), 2.0), "K": K[None], "cam_to_world": np.stack([pose(), pose(x=0.1)])[None]}
    return {**good, **change}


NAN_POSE = np.stack([pose(), np.full((4, 4), np.nan)])[None]
BLIND = np.stack([np.full(SIZE, 2.0), np.zeros(SIZE)])[None]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (bad(cam_to_world=NAN_POSE), r"cam_to_world of view 1 .* not finite"),
        (bad(cam_to_world=np.zeros((1, 2, 4, 4))), r"cam_to_world of view 0 .* no inverse"),
        (bad(cam_to_world=np.zeros((1, 2, 3, 4))), r"cam_to_world is \(1, 2, 3, 4\)"),
        (bad(cam_to_world=NAN_POSE[:, :1]), r"cam_to_world is \(1, 1, 4, 4\), but there are 1 x 2 views"),
        (bad(K=np.zeros((2, 3, 3))), "K is"),
        (bad(K=np.full((1, 3, 3), np.inf)), "K of view 0"),
        (bad(depth=np.ones(SIZE)), r"depth is \(48, 64\)"),
        (bad(depth=np.ones((1, 0, *SIZE))), "depth is"),
        (bad(depth=BLIND), "view 1 .* no valid depth"),
        (bad(convention="seen"), "convention 'seen'"),
    ],
)
def test_bad_input_is_named(arguments, message):
    with pytest.raises(InputError, match=message):
        from_depth(**arguments)


@pytest.mark.parametrize(
    ("size", "message"), [((5, 8), "do not divide"), ((3, 3), "do not divide"), ((0, 4), "no cell")]
)
def test_sizes_the_released_model_fails_at(size, message):
    with pytest.raises(InputError, match=message):
        planes([2, 2], [pose(), pose()], convention="mvdiffusion").at(size)


def test_odd_number_of_tokens_in_the_released_convention():
    depth = np.full((1, 2, 24, 24), 2.0)
    views = from_depth(depth, K[None], np.stack([pose(), pose()])[None], convention="mvdiffusion")
    with pytest.raises(InputError, match="odd number of tokens"):
        views.at((3, 3))
