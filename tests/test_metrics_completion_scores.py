"""Scores of what was painted where nobody looked: exact on a square of which every texel is known."""

import numpy as np
import pytest

import scenetex
from scenetex.metrics.completion_scores import BLUR, SPACING, pooled, score_fill
from scenetex.texture.texels import rasterize

SIDE = 64


def square() -> tuple[scenetex.Mesh, scenetex.Atlas]:
    mesh = scenetex.Mesh(
        np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]], float), np.array([[0, 1, 2], [0, 2, 3]], np.int32)
    )
    return mesh, scenetex.unwrap(mesh, size=SIDE)


@pytest.fixture(scope="module")
def halves():
    """A square with noise on it, of which photos saw one half: texels, true colours and what was photographed."""
    mesh, atlas = square()
    texels = rasterize(atlas)
    truth = np.random.default_rng(0).integers(60, 200, (len(texels), 3)).astype(float)
    return mesh, atlas, texels, truth, texels.pixel % SIDE < SIDE // 2


def textured(halves, color: np.ndarray) -> scenetex.TexturedMesh:
    mesh, atlas, texels, _, photographed = halves
    page, coverage = np.zeros((SIDE, SIDE, 3), np.uint8), np.zeros((SIDE, SIDE), bool)
    page.reshape(-1, 3)[texels.pixel] = color
    coverage.reshape(-1)[texels.pixel] = photographed
    return scenetex.TexturedMesh(mesh, atlas, (page,), (coverage,))


def test_the_truth_is_perfect(halves):
    truth, photographed = halves[3], halves[4]
    score = score_fill(textured(halves, truth), ~photographed, photographed, truth)
    assert score.psnr == np.inf and score.gradient_ratio == 1 and score.texels == (~photographed).sum()
    # On noise, a rim is a line as any other.
    assert score.rim_ratio == pytest.approx(1, abs=0.1)


def test_a_flat_fill_has_no_gradient_and_a_step_at_the_rim(halves):
    truth, photographed = halves[3], halves[4]
    flat = np.where(photographed[:, None], truth, 130)
    score = score_fill(textured(halves, flat), ~photographed, photographed, truth)
    assert score.gradient_ratio == 0
    assert score.rim_step > 0 and score.rim_ratio > 0.5


def test_an_even_error_is_what_it_is_and_noise_blurs_away(halves):
    truth, photographed = halves[3], halves[4]
    off = np.where(photographed[:, None], truth, truth + 20)
    score = score_fill(textured(halves, off), ~photographed, photographed, truth)
    assert score.psnr == pytest.approx(20 * np.log10(255 / 20), abs=1e-3) and score.gradient_ratio == pytest.approx(1)
    rng = np.random.default_rng(1)
    noisy = np.where(photographed[:, None], truth, truth + rng.choice([-20, 20], truth.shape))
    # White noise of variance v has v / (4 pi sigma^2) left after a blur, somewhat more along the border.
    left = 20**2 / (4 * np.pi * BLUR**2)
    assert left < score_fill(textured(halves, noisy), ~photographed, photographed, truth).error < 2 * left


def test_steps_are_those_of_a_loop(halves):
    _, _, texels, truth, photographed = halves
    score = score_fill(textured(halves, truth), ~photographed, photographed, truth)
    at = {(p // SIDE, p % SIDE): k for k, p in enumerate(texels.pixel.tolist())}
    steps = {True: [], False: []}
    for (row, column), k in at.items():
        for other in ((row + SPACING, column), (row, column + SPACING)):
            if other in at:
                across = bool(photographed[k] != photographed[at[other]])
                steps[across].append(np.abs(truth[k] - truth[at[other]]).mean())
    assert score.rim_step == pytest.approx(np.mean(steps[True]), rel=1e-5)
    assert score.other_step == pytest.approx(np.mean(steps[False]), rel=1e-5)


def test_several_are_pooled(halves):
    truth, photographed = halves[3], halves[4]
    one = score_fill(textured(halves, truth), ~photographed, photographed, truth)
    flat = np.where(photographed[:, None], truth, 130)
    two = score_fill(textured(halves, flat), ~photographed, photographed, truth)
    both = pooled([one, two])
    assert both.gradient_ratio == pytest.approx(0.5) and both.error == pytest.approx(two.error / 2)
