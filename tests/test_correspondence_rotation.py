"""Correspondence by rotation: exact panoramas and bad input (the loop reference is in test_models_attention)."""

import numpy as np
import pytest
import torch

from scenetex import InputError
from scenetex.correspondence import from_rotation

K = np.array([[8.0, 0, 7.5], [0, 8.0, 7.5], [0, 0, 1]])


def yaw(degrees: float) -> np.ndarray:
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])


def test_same_direction_twice_gives_the_nine_neighbours():
    views = from_rotation(K[None], np.stack([yaw(20), yaw(20)])[None], (16, 16))
    keys = {}
    for group in views.at((4, 4), torch.float64).groups:
        for q, query in enumerate(group.query.tolist()):
            valid = group.valid[q] if group.valid is not None else torch.ones(group.shape[1], dtype=bool)
            keys[query] = np.round(group.keys.cue[q, valid].numpy(), 9) + 0.0
    inner, corner = keys[1 * 4 + 2], keys[16 + 0]
    assert sorted(map(tuple, inner)) == [(x, y) for x in (-1.0, 0.0, 1.0) for y in (-1.0, 0.0, 1.0)]
    assert sorted(map(tuple, corner)) == [(x, y) for x in (0.0, 1.0) for y in (0.0, 1.0)]


def test_views_attend_to_overlapping_views_only():
    R = np.stack([yaw(a) for a in (0, 45, 90, 180)])[None]
    assert from_rotation(K[None], R, (16, 16)).pairs.tolist() == [[0, 1], [1, 0], [1, 2], [2, 1]]
    ring = from_rotation(K[None], R, (16, 16), convention="mvdiffusion")
    assert ring.pairs.tolist() == [[0, 1], [0, 3], [1, 0], [1, 2], [2, 1], [2, 3], [3, 0], [3, 2]]


def test_nothing_behind_the_camera():
    back = from_rotation(K[None], np.stack([yaw(0), yaw(180)])[None], (16, 16), overlap=-1.0)
    assert back.pairs.tolist() == [[0, 1], [1, 0]]
    assert back.at((4, 4)).groups == ()


def test_one_view_has_no_pairs():
    for convention in ("visible", "mvdiffusion"):
        assert from_rotation(K[None], yaw(0)[None, None], (16, 16), convention=convention).pairs.shape == (0, 2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((K[None], np.eye(4)[None, None], (16, 16)), "R is"),
        ((K[None], np.full((1, 2, 3, 3), np.nan), (16, 16)), "R of view 0"),
        ((K, np.eye(3)[None, None], (16, 16)), "K is"),
        ((K[None], np.eye(3)[None, None], (16, 0)), "image_shape"),
        ((K[None], np.eye(3)[None, None], (16, 20), "mvdiffusion"), "square"),
        ((K[None], np.eye(3)[None, None], (16, 16), "other"), "convention"),
    ],
)
def test_bad_input_is_named(arguments, message):
    with pytest.raises(InputError, match=message):
        from_rotation(*arguments)
