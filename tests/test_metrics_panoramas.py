"""Figures of panoramas: which views are compared, the seam, and how it adds up."""

import numpy as np
import pytest
import torch
from tiny_training import tiny_pipeline

from scenetex import MVDiffusionPanoramaPipeline
from scenetex.data.rooms import RingStream
from scenetex.metrics import overlap_psnr
from scenetex.metrics.panoramas import (
    NEIGHBOURS,
    STEPS_PER_PANORAMA,
    PanoramaScore,
    panorama_figures,
    score_panorama,
    seam,
)
from scenetex.metrics.room_scores import VARIANTS, Settings

SMALL = Settings(rooms=1, steps=1, size=(64, 64), guidance_scale=1.0)


def test_the_seam_is_measured_against_the_other_columns():
    ramp = np.linspace(0, 1, 16)[None, :, None] * np.ones((8, 1, 3))
    assert seam(ramp) == pytest.approx(15)
    wave = np.sin(np.arange(16) * np.pi / 8 + 1.2)[None, :, None] * np.ones((8, 1, 3))
    assert seam(wave) <= 1
    broken = np.roll(ramp, 5, 1)
    assert seam(broken) == pytest.approx(1 / 15)


def test_neighbours_are_compared_with_everything_on_and_off():
    parts = tiny_pipeline().components
    pipe = MVDiffusionPanoramaPipeline(**parts)
    pipe.set_progress_bar_config(disable=True)
    steps = []
    score = score_panorama(pipe, SMALL, 0, lambda: steps.append(1))
    assert set(score.psnr) == {*VARIANTS, "truth"} and len(steps) == STEPS_PER_PANORAMA
    assert all(len(found) == 8 for found in score.psnr.values())
    sample = RingStream(SMALL.seed, size=(64, 64)).sample(0)
    prompts = [wordings[0] for wordings in sample.prompts]
    options = dict(num_inference_steps=1, guidance_scale=1.0, generator=torch.Generator().manual_seed(SMALL.seed))
    made = pipe(prompts, views=sample.views, **options, **VARIANTS["nothing"])
    again = overlap_psnr(sample.views, list(np.round(made.images * 255).astype(np.uint8)), NEIGHBOURS)
    assert np.array_equal(score.psnr["nothing"], again.psnr)
    assert np.array_equal(score.psnr["truth"], overlap_psnr(sample.views, list(sample.images), NEIGHBOURS).psnr)
    assert score.psnr["truth"].mean() > 25
    assert score.poles > 0


def test_figures_are_means_over_all_pairs():
    def score(generated: float, border: float) -> PanoramaScore:
        levels = {"generated": generated, "nothing": 12.0, "no_blocks": 20.0, "blocks_only": 15.0, "truth": 40.0}
        return PanoramaScore({name: np.full(8, value) for name, value in levels.items()}, border, 0.5)

    value = {f.name: f.value for f in panorama_figures([score(20.0, 0.5), score(28.0, 1.2)])}
    assert value["psnr_generated"] == pytest.approx(24) and value["ratio_nothing"] == pytest.approx(2)
    assert value["ratio_no_blocks"] == pytest.approx(1.2) and value["ratio_blocks"] == pytest.approx(1.25)
    assert np.isnan(value["pole_ratio"])
    assert value["seam"] == 1.2 and value["seamless"] == 0.5 and value["sharpness_ratio"] == 0.5
