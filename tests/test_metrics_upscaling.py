"""Figures of super-resolution: PSNR and SSIM by plain loops, what is compared with what, and how it adds up."""

import math

import cv2
import numpy as np
import pytest
from tiny_pipeline import make_pipeline
from tiny_super_resolution import make_super_resolution

from scenetex.data.rooms import RoomStream
from scenetex.metrics.detail_scores import measure_detail
from scenetex.metrics.overlap import overlap_psnr
from scenetex.metrics.room_scores import Settings
from scenetex.metrics.upscaling import (
    STEPS_PER_ROOM,
    WAYS,
    UpscaleScore,
    consistency_figures,
    psnr,
    score_consistency,
    score_upscaling,
    ssim,
    upscale_figures,
)

SMALL = Settings(rooms=1, views=2, steps=1, size=(64, 48))


def loop_ssim(x: np.ndarray, y: np.ndarray) -> float:
    bell = np.array([math.exp(-((i - 5) ** 2) / 4.5) for i in range(11)])
    window = np.outer(bell, bell) / bell.sum() ** 2
    found = []
    for row in range(x.shape[0] - 10):
        for column in range(x.shape[1] - 10):
            for c in range(x.shape[2]):
                a, b = (im[row : row + 11, column : column + 11, c].astype(float) for im in (x, y))
                ma, mb = (window * a).sum(), (window * b).sum()
                va, vb = (window * (a - ma) ** 2).sum(), (window * (b - mb) ** 2).sum()
                both = (window * (a - ma) * (b - mb)).sum()
                c1, c2 = 6.5025, 58.5225
                found.append((2 * ma * mb + c1) * (2 * both + c2) / ((ma**2 + mb**2 + c1) * (va + vb + c2)))
    return float(np.mean(found))


def test_ssim_is_the_loop_written_one():
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (14, 17, 3), dtype=np.uint8)
    y = (x * 0.8 + rng.integers(0, 50, x.shape)).astype(np.uint8)
    assert ssim(x, y) == pytest.approx(loop_ssim(x, y), abs=1e-9) and ssim(x, x) == pytest.approx(1)


def test_psnr_is_exact():
    image = np.full((4, 4, 3), 100, np.uint8)
    assert psnr(image, image) == math.inf
    assert psnr(image, image + 51) == pytest.approx(20 * math.log10(5))


def test_the_true_small_images_are_enlarged(tmp_path):
    pipe = make_pipeline(tmp_path, upscale_unet=make_super_resolution())
    pipe.set_progress_bar_config(disable=True)
    steps = []
    score = score_upscaling(pipe, SMALL, 0, lambda: steps.append(1))
    assert len(steps) == STEPS_PER_ROOM and set(score.psnr) == set(score.ssim) == set(WAYS)
    factor = pipe.upscale_unet.config.factor
    large = (64 * factor, 48 * factor)
    sample = RoomStream(SMALL.seed, 2, large).sample(0)
    small = sample.shrunk(factor)
    plain = [cv2.resize(image, large, interpolation=cv2.INTER_CUBIC) for image in small.images]
    expected = np.mean([psnr(a, b) for a, b in zip(plain, sample.images, strict=True)])
    assert score.psnr["bicubic"] == pytest.approx(expected)
    assert score.sharpness["bicubic"] == pytest.approx(
        measure_detail(plain).sharpness / measure_detail(list(sample.images)).sharpness
    )
    # Small pixels stay what they are, so that even an untrained model is not far off.
    assert score.psnr["upscaled"] > score.psnr["bicubic"] - 12


def test_figures_are_means_over_rooms():
    def score(up: float) -> UpscaleScore:
        return UpscaleScore(
            {"upscaled": up, "each_alone": 29.5, "bicubic": 29.0},
            {"upscaled": 0.95, "each_alone": 0.93, "bicubic": 0.9},
            {"upscaled": np.array([30.0, 32.0]), "truth": np.array([40.0]), "small": np.array([33.0])},
            {"upscaled": up / 50, "each_alone": 0.5, "bicubic": 0.4},
        )

    value = {f.name: f.value for f in upscale_figures([score(30.0), score(32.0)])}
    assert value["psnr"] == pytest.approx(31) and value["gain_psnr"] == pytest.approx(2)
    assert value["gain_ssim"] == pytest.approx(0.05) and value["gain_views"] == pytest.approx(1.5)
    assert value["sharpness_ratio"] == pytest.approx(0.62) and value["sharpness_bicubic"] == pytest.approx(0.4)
    assert value["overlap"] == pytest.approx(31) and value["overlap_ratio"] == pytest.approx(31 / 40)


def test_generated_images_are_made_larger(tmp_path):
    pipe = make_pipeline(tmp_path, upscale_unet=make_super_resolution())
    pipe.set_progress_bar_config(disable=True)
    steps = []
    score = score_consistency(pipe, SMALL, 0, lambda: steps.append(1))
    assert len(steps) == STEPS_PER_ROOM and set(score) == {"small", "small_truth", "upscaled", "truth"}
    sample = RoomStream(SMALL.seed, 2, (256, 192)).sample(0)
    truth = overlap_psnr(sample.views, list(sample.images)).psnr
    assert len(truth) == 1 and np.array_equal(score["truth"], truth)
    assert score["small_truth"].mean() > score["small"].mean()


def test_the_gain_is_that_of_ratios():
    scores = [{"small": [20.0], "small_truth": [40.0], "upscaled": [x], "truth": [44.0]} for x in (22.0, 30.8)]
    value = {f.name: f.value for f in consistency_figures(scores)}
    assert value["small_ratio"] == pytest.approx(0.5) and value["overlap_ratio"] == pytest.approx(0.6)
    assert value["gain_ratio"] == pytest.approx(0.1) and value["overlap"] == pytest.approx(26.4)
