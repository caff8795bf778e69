"""What views show is carried over into the others, exactly where it can be, and nowhere else."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_metrics_overlap import SIZE, box_views, plane_views, step_views

from scenetex.pipelines.carry_over import carry_over


def noise(m: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1, 1, (m, SIZE[1], SIZE[0], 3)).astype(np.float32)


def test_pixels_are_the_keys_own():
    """On a plane seen square, ten pixels of shift: every pixel of the view is one of the key, away from its border."""
    images = noise(2)
    out = carry_over(images, np.array([True, False]), plane_views((0.0, 0.5)))
    assert np.array_equal(out[0], images[0])
    inner = slice(0, 48 - 10 - 6)  # the key ends at column 37 of the view, and six pixels before it others fade in
    assert np.abs(out[1][:, inner] - images[0][:, 10:][:, inner]).max() < 1e-6
    assert np.array_equal(out[1][:, 38:], images[1][:, 38:])
    fading = np.abs(out[1] - images[1])[:, 32:38].mean((0, 2))
    assert (np.diff(fading) < 0).all() and fading[-1] > 0


def test_two_keys_share_by_how_finely_they_show():
    """One key at the view's own distance, one from where pixels are two thirds as fine: 1 : (2 / 3 * 0.79) ** 4."""
    views = plane_views((0.0, 0.0, 0.0))
    views.cam_to_world[2, 2, 3] = -1.0
    views.depth[2] = 3.0
    images = np.zeros((3, 36, 48, 3), np.float32)
    images[0], images[2] = 1.0, -1.0
    out = carry_over(images, np.array([True, False, True]), views)
    share = (2 / 3 * (2 / 3 - 0.35) / 0.4) ** 4
    # Near the second key's border its share is less.
    assert out[1, 18, 24] == pytest.approx((1 - share) / (1 + share), abs=1e-4)


@pytest.mark.parametrize(("distance", "carried"), [(4.0, False), (1.0, True)])
def test_what_a_key_shows_more_coarsely_is_left_alone(distance, carried):
    """From three times the distance a key has a third of the view's pixels: no detail to give."""
    views = plane_views((0.0, 0.0))
    views.cam_to_world[0, 2, 3] = -distance
    views.depth[0] = 2 + distance
    images = noise(2)
    changed = np.abs(carry_over(images, np.array([True, False]), views)[1] - images[1]).max() > 0
    assert changed == carried


def test_what_the_key_does_not_see_is_left_alone():
    """The post hides the wall's columns 15 to 19 of the first view from the second."""
    images = noise(2)
    out = carry_over(images, np.array([False, True]), step_views())
    assert np.array_equal(out[0][:, 15:20], images[0][:, 15:20])
    assert np.array_equal(out[0][:, :5], images[0][:, :5])
    assert (
        np.abs(out[0][:, 22:24] - images[1][:, 12:14]).max() < np.abs(images[0][:, 22:24] - images[1][:, 12:14]).max()
    )


def test_each_view_takes_over_from_those_before_it():
    """Three views of a plane, each ten pixels on: what the first shows goes through to the third, in any order."""
    views, images = plane_views((0.0, 0.5, 1.0)), noise(3)
    out = carry_over(images, np.zeros(3, bool), views)
    assert np.array_equal(out[0], images[0])
    inner = slice(0, 48 - 20 - 6)
    assert np.abs(out[2][:, inner] - images[0][:, 20:][:, inner]).max() < 1e-5
    turned = [2, 0, 1]
    assert np.array_equal(carry_over(images[turned], np.zeros(3, bool), views.at(turned)), out[turned])


def test_views_that_see_nothing_of_each_other():
    views = plane_views((0.0, 50.0))
    images = noise(2)
    assert np.array_equal(carry_over(images, np.array([True, False]), views), images)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000), st.lists(st.booleans(), min_size=5, max_size=5))
def test_a_room_in_any_state(seed, there):
    """Given images stay to the bit, one colour stays that colour, and two views do not outshine what they show."""
    views, is_key = box_views(5, seed), np.array(there)
    images = noise(5, seed)
    out = carry_over(images, is_key, views)
    assert np.array_equal(out[is_key], images[is_key]) and np.isfinite(out).all()
    flat = np.full_like(images, 0.25)
    assert np.allclose(carry_over(flat, is_key, views), 0.25, atol=1e-5)
    if not is_key.any():
        assert np.array_equal(out[0], images[0])
