"""Shared noise: white in every view, equal where views correspond one to one, a matter of geometry alone."""

import numpy as np
import pytest
import scipy.sparse
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny_pipeline import room_views, some_of

from scenetex.pipelines.noise import draw_noise, noise_groups, noise_source, one_to_one, share_noise
from scenetex.pipelines.scene_views import SHARED_OVERLAP, camera_seeds, correspondence_of
from scenetex.views.viewset import ViewSet

SIZE = (96, 64)
CELLS = (32, 48)


def correspondence(views):
    return correspondence_of(views, range(len(views)), overlap=SHARED_OVERLAP)


def keys_of(views) -> list[int]:
    return camera_seeds(views.intrinsics, views.cam_to_world)


def shared(views, seed=0, turns=None, channels=4):
    noise = draw_noise(seed, keys_of(views), (channels, *CELLS))
    return share_noise(noise, correspondence(views), [range(len(views))] if turns is None else turns)


def wall(offsets, size=(96, 64)) -> ViewSet:
    """Cameras that face a wall 2 m away, each moved sideways by a number of pixels."""
    f = 60.0
    k = np.array([[f, 0, (size[0] - 1) / 2], [0, f, (size[1] - 1) / 2], [0, 0, 1]])
    poses = np.stack([np.eye(4)] * len(offsets))
    poses[:, 0, 3] = np.array(offsets) * 2 / f
    m = len(offsets)
    depth = np.full((m, size[1], size[0]), 2, np.float32)
    return ViewSet(tuple(range(m)), np.stack([k] * m), poses, depth, np.zeros_like(depth, np.int32), np.zeros((1, 3)))


def test_views_moved_by_whole_cells_share_everything_they_both_see():
    """A cell is two pixels: the second view sees what the first does four cells further, the third eleven."""
    noise = shared(wall([0, 8, 22]))
    assert torch.equal(noise[1][:, :, :-4], noise[0][:, :, 4:])
    assert torch.equal(noise[2][:, :, :-7], noise[1][:, :, 7:])
    assert torch.equal(noise[2][:, :, :-11], noise[0][:, :, 11:])
    assert not (noise[1][:, :, -4:] == noise[0][:, :, :4]).any()


def test_two_views_share_exactly_their_one_to_one_cells():
    views = room_views(2, 0.2, SIZE)
    found = correspondence(views).at(CELLS)
    a, b, _ = one_to_one(found, CELLS[0] * CELLS[1])
    flat = shared(views).permute(0, 2, 3, 1).reshape(-1, 4)
    assert len(a) > 1000
    assert torch.equal(flat[a], flat[b])
    alone = np.setdiff1d(np.arange(len(flat)), a)
    own = draw_noise(0, keys_of(views), (4, *CELLS)).permute(0, 2, 3, 1).reshape(-1, 4)
    assert torch.equal(flat[alone], own[alone])


def test_one_to_one_is_one_to_one():
    cells = CELLS[0] * CELLS[1]
    a, b, closeness = one_to_one(correspondence(room_views(4, 0.2, SIZE)).at(CELLS), cells)
    pairs = set(zip(a.tolist(), b.tolist(), strict=True))
    assert len(pairs) == len(a) and all((y, x) in pairs for x, y in pairs)
    assert len({(x, y // cells) for x, y in pairs}) == len(pairs)
    assert (closeness >= 0.5).all() and (closeness <= 2 + 1e-5).all()


def test_no_view_takes_a_value_twice():
    views = room_views(8, 0.15, SIZE)
    cells = CELLS[0] * CELLS[1]
    for turns in ([range(8)], [[i] for i in range(8)], [[2, 3, 4], [0, 1, 7], [5, 6]]):
        source = noise_source(correspondence(views).at(CELLS), turns, cells).reshape(8, cells)
        for row in source:
            assert len(np.unique(row)) == cells
        taken = (source // cells != np.arange(8)[:, None]).mean(1)
        first = turns[0][0]
        assert taken[first] == 0 and (np.delete(taken, first) > 0.4).all()


def test_every_view_is_white():
    """Moments, neighbours and spectrum of many draws, against what chance allows (five standard errors)."""
    views = room_views(4, 0.15, SIZE)
    noise = torch.stack([shared(views, seed) for seed in range(60)]).double()
    count = noise[:, 0].numel()
    for view in noise.unbind(1):
        assert abs(view.mean()) < 5 / count**0.5
        assert abs(view.var() - 1) < 5 * (2 / count) ** 0.5
        assert abs((view**3).mean()) < 5 * (15 / count) ** 0.5
        assert abs((view**4).mean() - 3) < 5 * (96 / count) ** 0.5
        for shift, dim in ((1, -1), (1, -2), (2, -1), (1, 2)):
            assert abs((view * view.roll(shift, dim)).mean()) < 5 / count**0.5
        power = torch.fft.fft2(view, norm="ortho").abs() ** 2
        mean = power.mean((0, 1))
        assert abs(mean - 1).max() < 6 * (2 / (60 * 4)) ** 0.5
        rings = power[..., : CELLS[0] // 2, : CELLS[1] // 2].mean((0, 1))
        assert abs(rings[:8, :8].mean() - rings[8:, 8:].mean()) < 0.05


def test_noise_does_not_depend_on_later_turns_nor_on_the_order_of_views():
    views = room_views(6, 0.2, SIZE)
    whole = shared(views, turns=[range(4), [4, 5]])
    assert torch.equal(shared(some_of(views, range(4))), whole[:4])
    order = [3, 0, 5, 1, 4, 2]
    turned = shared(some_of(views, order), turns=[np.argsort(order)[:4], np.argsort(order)[4:]])
    assert (turned == whole[order]).float().mean() > 0.999


def test_seed_and_camera_alone_decide_a_views_own_noise():
    views = room_views(3)
    keys = keys_of(views)
    assert len(set(keys)) == 3
    assert keys_of(some_of(views, [2, 0])) == [keys[2], keys[0]]
    noise = draw_noise(7, keys, (4, 6, 8))
    assert torch.equal(noise, draw_noise(7, keys, (4, 6, 8)))
    assert not torch.equal(noise, draw_noise(8, keys, (4, 6, 8)))
    assert abs(torch.corrcoef(noise.flatten(1))[0, 1]) < 0.3


def test_equal_cameras_draw_apart_but_share():
    views = wall([0, 0])
    own = draw_noise(0, keys_of(views), (4, *CELLS))
    assert not torch.equal(own[0], own[1])
    noise = shared(views)
    assert torch.equal(noise[0], noise[1])


@pytest.mark.parametrize("yaws", [(0.0,), (0.0, 3.1)])
def test_views_without_partners_keep_their_own(yaws):
    views = some_of(room_views(32, 0.1, SIZE), [round(10 * yaw) for yaw in yaws])
    assert torch.equal(shared(views), draw_noise(0, keys_of(views), (4, *CELLS)))


@given(
    st.integers(1, 5),
    st.lists(st.tuples(st.integers(0, 19), st.integers(0, 19), st.integers(2, 8)), max_size=40),
    st.lists(st.integers(0, 2), min_size=5, max_size=5),
)
def test_groups_are_those_of_loops(cells, pairs, turn):
    """Tokens of five views, related at random; closeness in quarters, so that sums are exact."""
    related = {(min(a, b), max(a, b)): w / 4 for a, b, w in pairs if a // cells != b // cells and max(a, b) < 5 * cells}
    a, b = (np.array([pair[k] for pair in related], np.int64) for k in (0, 1))
    w = np.array(list(related.values()))
    turn = np.unique(turn, return_inverse=True)[1]
    found = noise_groups(np.r_[a, b], np.r_[b, a], np.r_[w, w], turn, cells)

    groups = [{token} for token in range(5 * cells)]
    for now in range(max(turn) + 1):
        present = [g for g in groups if min(turn[t // cells] for t in g) <= now]
        old = [any(turn[t // cells] < now for t in g) for g in present]
        while True:
            strength = {}
            for i, g in enumerate(present):
                for j, other in enumerate(present[:i]):
                    between = sum(related.get((min(x, y), max(x, y)), 0) for x in g for y in other)
                    clash = {t // cells for t in g} & {t // cells for t in other} or (old[i] and old[j])
                    if between and not clash:
                        first, second = sorted((min(g), min(other)))
                        strength[j, i] = (between, first, second)
            best = {k: max((s for pair, s in strength.items() if k in pair), default=None) for k in range(len(present))}
            joined = [pair for pair, s in strength.items() if best[pair[0]] == s == best[pair[1]]]
            if not joined:
                break
            for j, i in joined:
                present[j] |= present[i]
                old[j] |= old[i]
            gone = {i for _, i in joined}
            old = [o for k, o in enumerate(old) if k not in gone]
            present = [g for k, g in enumerate(present) if k not in gone]
        groups = present + [g for g in groups if min(turn[t // cells] for t in g) > now]
    assert sorted(map(sorted, groups)) == sorted(np.flatnonzero(found == token).tolist() for token in np.unique(found))


def test_most_pairs_share():
    """Of twelve views, rounding to cells makes a quarter of the pairs contradict others; of close pairs, few."""
    views, cells = room_views(12, 0.15, SIZE), CELLS[0] * CELLS[1]
    found = correspondence(views).at(CELLS)
    a, b, closeness = one_to_one(found, cells)
    source = noise_source(found, [range(12)], cells)
    equal = source[a] == source[b]
    close = closeness > 1.3
    assert equal.mean() > 0.7 and equal[close].mean() > 0.94 and close.mean() > 0.3


def test_all_pairs_share_where_chains_never_lead_back():
    views, cells = room_views(12, 0.25, SIZE), CELLS[0] * CELLS[1]
    found = correspondence(views).at(CELLS)
    a, b, _ = one_to_one(found, cells)
    graph = scipy.sparse.coo_matrix((np.ones(len(a)), (a, b)), shape=(12 * cells, 12 * cells))
    count, label = scipy.sparse.csgraph.connected_components(graph)
    views_in = np.bincount(label * 12 + np.arange(12 * cells) // cells, minlength=12 * count).reshape(count, 12)
    free = views_in.max(1)[label[a]] == 1
    source = noise_source(found, [range(12)], cells)
    assert free.sum() > 2000 and (source[a[free]] == source[b[free]]).all()
