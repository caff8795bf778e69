"""Pictures of a training can be read, whatever the losses."""

import cv2
import numpy as np
import pytest

from scenetex.data.sample import Sample
from scenetex.training.pictures import draw_grid, draw_losses
from scenetex.training.validation import make_painter


def read(data: bytes) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]


def curve(image: np.ndarray) -> np.ndarray:
    """Row of the smoothed course at each column, NaN where there is none."""
    red, green, blue = (image[..., k].astype(int) for k in range(3))
    line = (red < 80) & (blue > 130) & (green < 140)
    rows = np.arange(len(image))[:, None] * line
    count = line.sum(0)
    return np.where(count > 0, rows.sum(0) / np.maximum(count, 1), np.nan)


def test_a_falling_loss_falls_in_the_picture():
    rng = np.random.default_rng(0)
    rows = [{"step": i + 1, "loss": float(2 * np.exp(-i / 80) + 0.05 * rng.random())} for i in range(400)]
    course = curve(read(draw_losses(rows)))
    there = course[np.isfinite(course)]
    assert len(there) > 700 and there[-50:].mean() > there[:50].mean() + 200, "down the picture"


@pytest.mark.parametrize(
    "losses", [[], [0.5], [1.0, 1.0, 1.0], [3e-9, 2e-9], [1e6, 2.0, 1.0], [0.0, 0.0]], ids=lambda v: str(v)
)
def test_few_or_flat_losses_make_a_picture_too(losses):
    image = read(draw_losses([{"step": i + 1, "loss": loss} for i, loss in enumerate(losses)]))
    assert image.shape == (540, 960, 3) and (image != 255).any()


def test_a_grid_holds_every_image_in_its_place():
    rng = np.random.default_rng(0)
    one, two = rng.integers(0, 256, (3, 6, 8, 3), np.uint8), rng.integers(0, 256, (2, 6, 8, 3), np.uint8)
    image = read(draw_grid([one, two]))
    assert image.shape == (20, 36, 3)
    for row, images in enumerate((one, two)):
        for column, part in enumerate(images):
            assert np.array_equal(image[10 * row : 10 * row + 6, 12 * column : 12 * column + 8], part)
    assert (image[6:10] == 255).all() and (image[10:16, 24:] == 255).all()


def test_painted_samples_are_kept_by_step(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (2, 6, 8, 3), np.uint8)
    paint = make_painter(Sample(None, images, ()), tmp_path / "pictures", lambda objective, sample: 255 - sample.images)
    paint(None, 30)
    made = read((tmp_path / "pictures" / "step-00000030.png").read_bytes())
    assert np.array_equal(made[:6, :8], images[0]) and np.array_equal(made[10:16, 12:20], 255 - images[1])
