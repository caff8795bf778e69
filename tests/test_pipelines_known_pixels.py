"""Known pixels come back to the bit, nothing of unknown ones leaks in, and what is painted comes to meet them."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_pipeline import make_pipeline, room_views
from tiny_unet import make_unet

from scenetex import InputError
from scenetex.pipelines.known_pixels import Known, fill, partly_known


def picture(seed: int, shape=(48, 64)) -> np.ndarray:
    return np.random.default_rng(seed).random((*shape, 3)).astype(np.float32)


def half(shape=(48, 64)) -> np.ndarray:
    mask = np.zeros(shape, bool)
    mask[:, : shape[1] // 2] = True
    return mask


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**31), st.floats(0.02, 0.98))
def test_a_fill_knows_nothing_of_what_was_there(seed, share):
    rng = np.random.default_rng(seed)
    image, mask = picture(seed, (23, 37)), rng.random((23, 37)) < share
    other = np.where(mask[..., None], image, rng.random(image.shape)).astype(np.float32)
    filled = fill(image, mask)
    assert np.array_equal(filled, fill(other, mask))
    assert np.array_equal(filled[mask], image[mask])
    if mask.any():  # a mean of what is known
        assert filled.min() > image[mask].min() - 1e-5 and filled.max() < image[mask].max() + 1e-5


def test_a_plain_colour_is_filled_with_itself():
    image = np.full((40, 40, 3), (0.2, 0.5, 0.8), np.float32)
    assert np.abs(fill(image, half((40, 40))) - image).max() < 1e-5
    assert (fill(image, np.zeros((40, 40), bool)) == 0.5).all()


def test_cells_are_known_where_all_of_their_pixels_are():
    mask = half()
    mask[:, 32] = True
    cells = Known(picture(0), mask).cells(8)
    assert cells.shape == (6, 8) and cells[:, :4].all() and not cells[:, 4:].any()


def test_what_was_made_comes_to_meet_what_is_known():
    """A step of 0.2 at the border is gone there, and fades out on the unknown side alone."""
    image, made = np.full((48, 64, 3), 0.6, np.float32), np.full((48, 64, 3), 0.4, np.float32)
    out = Known(image, half()).pasted(made)
    assert np.array_equal(out[:, :32], image[:, :32])
    line = out[24, 32:, 0]
    assert line[0] > 0.55 and (np.diff(line) < 1e-6).all() and np.allclose(line[14:], 0.4, atol=1e-6)


def test_it_does_not_cross_the_end_of_a_surface():
    image, made = np.full((48, 64, 3), 0.6, np.float32), np.full((48, 64, 3), 0.4, np.float32)
    depth = np.where(half(), 2.0, 3.0).astype(np.float32)
    out = Known(image, half()).pasted(made, depth)
    assert np.allclose(out[:, 32:], 0.4) and np.array_equal(out[:, :32], image[:, :32])


@pytest.fixture(scope="module", params=["branch", "plain"])
def pipe(request, tmp_path_factory):
    """Of a depth UNet with multi-view blocks and a condition branch, and of one without anything."""
    folder = tmp_path_factory.mktemp("pipe")
    made = make_pipeline(folder) if request.param == "branch" else make_pipeline(folder, make_unet())
    made.set_progress_bar_config(disable=True)
    return made


def paint(pipe, images, known, **options):
    options = {"num_inference_steps": 4, "generator": torch.Generator().manual_seed(1)} | options
    return pipe("a room", room_views(3), images=images, known=known, **options).images


def test_known_pixels_come_back_and_the_others_are_painted(pipe):
    images = [picture(k) for k in range(3)]
    known = [half(), None, np.zeros((48, 64), bool)]
    out = paint(pipe, images, known)
    assert np.abs(out[0][half()] - images[0][half()]).max() < 1e-6
    assert np.abs(out[1] - images[1]).max() < 1e-6  # a whole one is an anchor
    assert np.abs(out[0][~half()] - images[0][~half()]).mean() > 0.02
    assert np.abs(out[2] - images[2]).mean() > 0.02


def test_old_colours_of_unknown_pixels_do_not_matter(pipe):
    images = [picture(k) for k in range(3)]
    known = [half(), None, ~half()]
    other = [np.where(m[..., None], x, 1 - x) if m is not None else x for x, m in zip(images, known, strict=True)]
    assert np.array_equal(paint(pipe, images, known), paint(pipe, other, known))


def test_they_are_painted_again_to_fit(pipe):
    """Denoising starts anew at later steps, where the scheduler can."""
    images = [picture(k) for k in range(3)]
    steps = []

    def count(_, step, t, tensors):
        steps.append(step)
        return tensors

    paint(pipe, images, [half(), None, None], callback_on_step_end=count)
    assert steps == list(range(pipe.num_timesteps)) and len(steps) == 4 + 3 + 2
    steps.clear()
    paint(pipe, [images[0], images[1], None], None, callback_on_step_end=count)
    assert steps == list(range(4))


@pytest.mark.parametrize(
    ("known", "says"),
    [
        ([None], "1 masks for 2 views"),
        ([half((24, 64)), None], r"mask of view 0 is 24 x 64 of bool, but its image is 48 x 64"),
        ([half().astype(float), None], "48 x 64 of float64"),
        ([None, half()], "view 1 has a mask, but no image"),
    ],
)
def test_masks_that_do_not_fit(known, says):
    with pytest.raises(InputError, match=says):
        partly_known([picture(0), None], known)
    assert partly_known([picture(0), None], [np.ones((48, 64), bool), np.zeros((48, 64), bool)]) == {}
