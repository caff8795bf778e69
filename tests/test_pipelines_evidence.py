"""What other views tell of finer detail: exact on planes, nothing where they see nothing."""

import numpy as np
import pytest
import torch
from test_metrics_overlap import SIZE, plane_views, step_views

from scenetex.models.detail_decoder import bicubic
from scenetex.pipelines.evidence import evidence


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
