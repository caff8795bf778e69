"""Windows: every view is generated once, anchored on what overlaps it; loops close."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from tiny_pipeline import room_views

from scenetex.pipelines.scene_views import SHARED_OVERLAP, correspondence_of
from scenetex.pipelines.windows import choose_anchors, overlaps, plan_between, plan_keyframes


def line(m: int, reach: int = 3, loop: bool = False) -> np.ndarray:
    """Overlaps that fall off along a trajectory."""
    i = np.arange(m)
    apart = abs(i[:, None] - i)
    apart = np.minimum(apart, m - apart) if loop else apart
    return np.where(apart == 0, 0, np.maximum(0, 1 - apart / reach))


@given(st.integers(1, 60), st.integers(4, 20), st.booleans(), st.integers(1, 5))
def test_keyframe_windows_generate_each_view_once(m, joint, loop, reach):
    done = set()
    for window in plan_keyframes(line(m, reach, loop), joint):
        assert len(window.views) <= joint and list(window.views) == sorted(set(window.views))
        assert window.anchors <= done and window.anchors <= set(window.views)
        new = set(window.views) - window.anchors
        assert new and not new & done
        done |= new
    assert done == set(range(m))


@given(st.lists(st.booleans(), min_size=1, max_size=40).filter(any), st.integers(4, 12))
def test_windows_between_hold_both_keys(keys, joint):
    known = {i for i, key in enumerate(keys) if key}
    done = set(known)
    for window in plan_between(keys, line(len(keys)), joint):
        assert len(window.views) <= joint
        new = [i for i in window.views if i not in window.anchors]
        assert new and window.anchors <= done and not set(new) & done
        around = {
            max((k for k in known if k < new[0]), default=None),
            min((k for k in known if k > new[0]), default=None),
        }
        assert around - {None} <= window.anchors
        done |= set(new)
    assert done == set(range(len(keys)))


def test_few_views_are_one_window():
    (window,) = plan_keyframes(line(12), 16)
    assert window.views == tuple(range(12)) and not window.anchors


def test_the_last_window_joins_both_ends_of_a_loop():
    closed = plan_keyframes(line(12, 3, loop=True), 6)[-1]
    assert 11 in closed.views and 0 in closed.anchors and min(set(closed.views) - closed.anchors) - 1 in closed.anchors
    assert 0 not in plan_keyframes(line(12, 3), 6)[-1].anchors


def test_views_behind_the_last_key_join_the_first_where_they_overlap():
    keys = [i in (0, 4) for i in range(8)]
    assert plan_between(keys, line(8, 3, loop=True), 8)[-1].anchors == {0, 4}
    assert plan_between(keys, line(8, 3), 8)[-1].anchors == {4}


def test_no_window_where_nothing_is_missing():
    assert plan_between([True] * 4, line(4), 8) == []


def test_anchors_cover_the_new_views_from_all_sides():
    overlap = line(10, 3)
    assert choose_anchors(overlap, [4, 5], [2, 3, 6, 7], 2) == [3, 6]
    assert choose_anchors(overlap, [9], [0, 1], 2) == []


def test_overlaps_of_turning_views():
    views = room_views(7, 0.5)
    found = overlaps(correspondence_of(views, range(7), overlap=SHARED_OVERLAP))
    assert (np.diag(found) == 0).all() and (found <= 1).all()
    near, far = [found[i, i + 1] for i in range(6)], [found[i, i + 3] for i in range(4)]
    assert min(near) > 0.4 and max(far) < min(near)
    assert overlaps(correspondence_of(views, [0], overlap=SHARED_OVERLAP)).shape == (1, 1)
