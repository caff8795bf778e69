"""Energy by octave and blockiness, on waves and cells that are known."""

import numpy as np
import pytest

from scenetex.metrics.spectrum import OCTAVES, blockiness, octave_energy


def gray(values) -> np.ndarray:
    return np.repeat(np.asarray(values, np.float32)[..., None], 3, 2)


@pytest.mark.parametrize("octave", range(3))
def test_a_wave_counts_in_the_octave_of_its_length(octave):
    x = np.arange(256)
    wave = np.tile(40 * np.sin(2 * np.pi * x / (3.0 * 2**octave)), (192, 1))
    energy = octave_energy([gray(128 + wave)])
    assert energy.argmax() == octave and energy[octave] > 0.5 * energy.sum()
    assert octave_energy([gray(128 + 0.5 * wave)]) == pytest.approx(energy / 4, rel=1e-3)


def test_flat_images_have_no_energy_and_sets_are_averaged():
    noise = gray(np.random.default_rng(0).uniform(0, 255, (64, 96)))
    flat = np.full((64, 96, 3), 90, np.uint8)
    assert octave_energy([flat]) == pytest.approx(np.zeros(OCTAVES))
    assert octave_energy([flat, noise]) == pytest.approx(octave_energy([noise]) / 2)


def test_cells_show_in_blockiness_and_nothing_else_does():
    rng = np.random.default_rng(1)
    noise = rng.normal(128, 20, (12, 192, 256)).astype(np.float32)
    cells = np.kron(rng.normal(0, 4, (12, 24, 32)), np.ones((8, 8)))
    plaid = 3 * np.cos(2 * np.pi * np.arange(256) / 8)
    assert blockiness([gray(n) for n in noise]) == pytest.approx(1, abs=0.02)
    assert blockiness([gray(n + c) for n, c in zip(noise / 8, cells, strict=True)]) > 1.3
    assert blockiness([gray(n + plaid) for n in noise / 20]) > 1.1
    other = 3 * np.cos(2 * np.pi * np.arange(256) / 7)
    assert blockiness([gray(n + other) for n in noise / 20]) == pytest.approx(1, abs=0.06)


def test_one_border_in_each_cell_is_counted_exactly():
    ramp = np.repeat(np.arange(33), 8)[:257] * 8.0
    # Along rows all of the change is at one of 8 places; along columns there is none to compare.
    assert np.isnan(blockiness([gray(np.tile(ramp, (65, 1)))]))
    both = ramp[None, :] + ramp[:65, None]
    assert blockiness([gray(both)]) == pytest.approx(8)
