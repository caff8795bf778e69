"""Large images that agree: exact on planes, what is not shared is left alone, and nearer views count for more."""

import numpy as np
import pytest
from test_metrics_overlap import SIZE, plane_views, step_views
from test_pipelines_evidence import waves

from scenetex.pipelines.agree import agree
from scenetex.pipelines.shown import unbroken

LARGE = (4 * SIZE[0], 4 * SIZE[1])
PITCH = 0.0125  # metres a large pixel, at the small ones' 0.05


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
