"""What views show of each other. Evidence and agreement: exact on planes, nothing where others see nothing, and nearer
views count for more. What is carried over: exactly where it can be, and nowhere else."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from test_metrics_overlap import SIZE, box_views, plane_views, step_views

from scenetex.models.detail_decoder import bicubic
from scenetex.pipelines.cross_view import agree, carry_over, evidence, unbroken

LARGE = (4 * SIZE[0], 4 * SIZE[1])
PITCH = 0.0125  # metres a large pixel, at the small ones' 0.05


def waves(size, shift: float = 0.0, pitch: float = 0.05) -> np.ndarray:
    """A smooth pattern on a plane, (h, w, 3), seen by pixels of `pitch` metres from `shift` metres to the right."""
    x = (np.arange(size[0]) - (size[0] - 1) / 2) * pitch + shift
    y = (np.arange(size[1]) - (size[1] - 1) / 2)[:, None] * pitch
    waves = np.stack([np.sin(9 * x) * np.cos(4 * y), np.cos(7 * x + y), np.sin(5 * x - 6 * y)], -1)
    return waves.astype(np.float32)


@pytest.mark.parametrize("shift", [0.0, 0.05, 0.0125, 0.03])
def test_the_large_image_on_a_plane(shift):
    """Whatever part of a pixel the other view is beside, it shows the pattern where it is."""
    views = plane_views((0.0, shift))
    images = np.stack([waves(SIZE), waves(SIZE, shift)])
    difference, told = evidence(images, 0, views, 4)
    shown = difference + bicubic(torch.from_numpy(images[0]).permute(2, 0, 1)[None], 4)[0]
    truth = waves((192, 144), pitch=0.0125)
    inner = (slice(24, -24), slice(24, -24))
    assert np.abs(shown.permute(1, 2, 0).numpy() - truth)[inner].max() < 0.03
    assert torch.allclose(told[6:-6, 6:-6], torch.tensor(0.5), atol=1e-3)


def test_a_nearer_view_tells_more():
    """From half the distance two pixels lie along one: 2 ** 4 against 1."""
    views = plane_views((0.0, 0.0))
    views.cam_to_world[1, 2, 3] = 1.0
    views.depth[1] = 1.0
    images = np.stack([waves(SIZE), waves(SIZE, pitch=0.025)])
    _, told = evidence(images, 0, views, 4)
    assert told[18, 24] == pytest.approx(16 / 17, abs=1e-3)
    assert told[0, 0] == 0  # it sees the middle alone


def test_nothing_is_told_of_what_others_do_not_see():
    images = np.random.default_rng(0).uniform(-1, 1, (2, 36, 48, 3)).astype(np.float32)
    difference, told = evidence(images, 0, step_views(), 4)
    hidden = slice(15, 20)
    assert (told[:, hidden] == 0).all() and (told[:, :5] == 0).all() and (told[:, 24:30] > 0).any()
    assert (difference[:, :, 4 * 16 : 4 * 19] == 0).all()


def test_a_view_by_itself():
    images = np.zeros((1, 36, 48, 3), np.float32)
    difference, told = evidence(images, 0, plane_views((0.0,)), 4)
    assert not difference.any() and not told.any() and difference.shape == (3, 144, 192)


@pytest.mark.parametrize("shift", [0.0, 0.05, 0.0125, 0.03])
def test_views_of_a_plane_meet_in_the_middle(shift):
    """Whatever part of a pixel they are apart, each takes over half of how the other's shade differs."""
    images = np.stack([waves(LARGE, pitch=PITCH), waves(LARGE, shift, PITCH) + np.float32(0.2)])
    out = agree(images, plane_views((0.0, shift)))
    inner = (slice(None), slice(24, -24), slice(24, -24))
    truth = np.stack([waves(LARGE, pitch=PITCH), waves(LARGE, shift, PITCH)]) + 0.1
    assert np.abs(out - truth)[inner].max() < 0.005


def test_images_that_agree_stay_to_the_border():
    """Large pixels outside the small ones' centres are found where they are, too."""
    image = waves(LARGE, pitch=PITCH)
    out = agree(np.stack([image, image]), plane_views((0.0, 0.0)))
    assert np.abs(out - image).max() < 1e-4


def test_the_nearer_view_counts_for_more():
    """From half the distance two pixels lie along one: 2 ** 2 against 1."""
    views = plane_views((0.0, 0.0))
    views.cam_to_world[1, 2, 3] = 1.0
    views.depth[1] = 1.0
    images = np.stack([np.zeros((*LARGE[::-1], 3), np.float32), np.ones((*LARGE[::-1], 3), np.float32)])
    far, near = agree(images, views)
    assert far[72, 96] == pytest.approx(4 / 5, abs=1e-3) and near[72, 96] == pytest.approx(4 / 5, abs=0.01)
    assert (far[0, 0] == 0).all()  # the other sees the middle alone


def test_what_others_do_not_see_stays():
    images = np.random.default_rng(0).uniform(-1, 1, (2, 144, 192, 3)).astype(np.float32)
    out = agree(images, step_views())
    hidden = (0, slice(None), slice(4 * 16, 4 * 19))
    assert np.array_equal(out[hidden], images[hidden]) and not np.allclose(out[0, :, 96:120], images[0, :, 96:120])


def test_a_view_by_itself_stays():
    image = np.random.default_rng(0).random((1, 144, 192, 3), np.float32)
    assert np.array_equal(agree(image, plane_views((0.0,))), image)


def test_beside_the_ends_of_surfaces_each_stays():
    """A box's edge, known to the small pixel: the large ones around it could be of either surface."""
    views = step_views()
    edge = int(np.flatnonzero(np.diff(views.depth[0][18]))[0])
    images = np.stack([np.zeros((144, 192, 3), np.float32), np.ones((144, 192, 3), np.float32)])
    out = agree(images, views)[0]
    assert (out[:, 4 * edge : 4 * edge + 8] == 0).all() and out.max() == pytest.approx(0.5, abs=0.05)


def test_planes_are_unbroken_and_steps_are_not():
    w, h = 48, 36
    slanted = 1 / (0.3 + 0.01 * np.arange(w) + 0.004 * np.arange(h)[:, None])
    assert unbroken(slanted).all()
    step = np.where(np.arange(w) < 20, slanted, 1.2 * slanted)
    broken = np.flatnonzero(~unbroken(step)[18])
    assert broken.tolist() == [19, 20]
    step[5, 30] = 0
    assert not unbroken(step)[5, 29:32].any()


def noise(m: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1, 1, (m, SIZE[1], SIZE[0], 3)).astype(np.float32)


def test_pixels_are_the_anchors_own():
    """On a plane seen square, ten pixels of shift: every pixel of the view is the anchor's, away from its border."""
    images = noise(2)
    out = carry_over(images, np.array([True, False]), plane_views((0.0, 0.5)))
    assert np.array_equal(out[0], images[0])
    inner = slice(0, 48 - 10 - 6)  # the anchor ends at column 37 of the view, and six pixels before it others fade in
    assert np.abs(out[1][:, inner] - images[0][:, 10:][:, inner]).max() < 1e-6
    assert np.array_equal(out[1][:, 38:], images[1][:, 38:])
    fading = np.abs(out[1] - images[1])[:, 32:38].mean((0, 2))
    assert (np.diff(fading) < 0).all() and fading[-1] > 0


def test_two_anchors_share_by_how_finely_they_show():
    """One anchor at the view's own distance, one from where pixels are two thirds as fine: 1 : (2 / 3 * 0.79) ** 4."""
    views = plane_views((0.0, 0.0, 0.0))
    views.cam_to_world[2, 2, 3] = -1.0
    views.depth[2] = 3.0
    images = np.zeros((3, 36, 48, 3), np.float32)
    images[0], images[2] = 1.0, -1.0
    out = carry_over(images, np.array([True, False, True]), views)
    share = (2 / 3 * (2 / 3 - 0.35) / 0.4) ** 4
    # Near the second anchor's border its share is less.
    assert out[1, 18, 24] == pytest.approx((1 - share) / (1 + share), abs=1e-4)


@pytest.mark.parametrize(("distance", "carried"), [(4.0, False), (1.0, True)])
def test_what_an_anchor_shows_more_coarsely_is_left_alone(distance, carried):
    """From three times the distance an anchor has a third of the view's pixels: no detail to give."""
    views = plane_views((0.0, 0.0))
    views.cam_to_world[0, 2, 3] = -distance
    views.depth[0] = 2 + distance
    images = noise(2)
    changed = np.abs(carry_over(images, np.array([True, False]), views)[1] - images[1]).max() > 0
    assert changed == carried


def test_what_the_anchor_does_not_see_is_left_alone():
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
    """Anchors stay to the bit, one colour stays that colour, and two views do not outshine what they show."""
    views, is_anchor = box_views(5, seed), np.array(there)
    images = noise(5, seed)
    out = carry_over(images, is_anchor, views)
    assert np.array_equal(out[is_anchor], images[is_anchor]) and np.isfinite(out).all()
    flat = np.full_like(images, 0.25)
    assert np.allclose(carry_over(flat, is_anchor, views), 0.25, atol=1e-5)
    if not is_anchor.any():
        assert np.array_equal(out[0], images[0])
