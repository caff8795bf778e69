"""Partial masks are what completion meets: what other views show, planes, rectangles, halves."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from test_training_items import encoded, tokenize

from scenetex.training import partial_masks as module
from scenetex.training.items import multi_view_item
from scenetex.training.partial_masks import partial_masks


def of_kind(kind, monkeypatch, count=12, told=None) -> np.ndarray:
    monkeypatch.setattr(module, "_KINDS", {kind: 1.0})
    told = encoded((12, 16), (5, 12, 16)) if told is None else told
    return np.stack([partial_masks(told, np.random.default_rng(seed)) for seed in range(count)])


def test_each_kind_is_drawn_and_the_same_seed_draws_the_same():
    told = encoded((12, 16), (5, 12, 16))
    masks = [partial_masks(told, np.random.default_rng(seed)) for seed in range(30)]
    again = [partial_masks(told, np.random.default_rng(seed)) for seed in range(30)]
    assert all(np.array_equal(a, b) for a, b in zip(masks, again, strict=True))
    assert all(mask.shape == (4, 12, 16) and mask.dtype == bool for mask in masks)
    share = [mask.mean() for mask in masks]
    assert 0.3 < np.mean(share) < 0.8 and np.std(share) > 0.1


def test_what_some_views_show_is_known_in_the_others(monkeypatch):
    for mask in of_kind("seen", monkeypatch):
        whole = mask.all((1, 2))
        assert 1 <= whole.sum() < 4 or mask.all()
    # Views of one camera show the same.
    told = encoded((12, 16), (5, 12, 16))
    same = {n: getattr(told, n)[:1].expand_as(getattr(told, n)) for n in ("depth", "intrinsics", "cam_to_world")}
    valid = (told.depth[0] > 0).reshape(12, -1, 16, told.depth.shape[2] // 16).float().mean((1, 3)) > 0.99
    for mask in of_kind("seen", monkeypatch, told=replace(told, **same)):
        assert mask[:, valid.numpy()].all()


def test_a_plane_is_one_in_all_views(monkeypatch):
    # Two walls that meet in the middle of the picture, at right angles.
    column = torch.arange(64.0).expand(48, 64)
    slope = (column - 31.5).abs() / 64
    depth = (2 / (1 + slope)).expand(4, 48, 64).clone()
    told = replace(
        encoded((12, 16), (5, 12, 16)),
        depth=depth,
        intrinsics=torch.tensor([[64.0, 0, 31.5], [0, 64, 23.5], [0, 0, 1]]).expand(4, 3, 3),
        cam_to_world=torch.eye(4).expand(4, 4, 4),
    )
    apart = []
    for mask in of_kind("plane", monkeypatch, told=told):
        apart.append({mask[..., :6].mean(), mask[..., 10:].mean()} == {0, 1})
    assert np.mean(apart) > 0.7, "all but what lies in the corner itself"
    nothing = replace(told, depth=torch.zeros(4, 48, 64))
    assert not of_kind("plane", monkeypatch, told=nothing).any()


@pytest.mark.parametrize("kind, least, most", [("rectangle", 0.03, 0.97), ("half", 0.5, 0.5)])
def test_rectangles_and_halves(kind, least, most, monkeypatch):
    for mask in of_kind(kind, monkeypatch):
        assert all(least <= view.mean() <= most for view in mask)


def test_items_have_them():
    told = encoded((12, 16), (5, 12, 16))
    item = multi_view_item(told, np.random.default_rng(0), tokenize, 1000, True, partly=True)
    assert item["given"].shape == (4, 1, 12, 16) and item["given"].dtype == torch.bool
