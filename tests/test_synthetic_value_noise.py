"""Periodic noise: seamless, of unit deviation, and the same whichever way it is made finer."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scenetex.synthetic.value_noise import _finer_few, _finer_many, fractal_noise, value_noise

powers = st.integers(0, 5).map(lambda k: 2**k)


@given(powers, powers, powers, powers, st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_both_ways_to_a_finer_grid_agree(rows, columns, step_y, step_x, seed):
    values = np.random.default_rng(seed).standard_normal((rows, columns), dtype=np.float32)
    few, many = _finer_few(values, step_y, step_x), _finer_many(values, step_y, step_x)
    assert few.shape == many.shape == (rows * step_y, columns * step_x) and few.dtype == np.float32
    np.testing.assert_allclose(few, many, rtol=0, atol=1e-5)


@pytest.mark.parametrize("cells", [(1, 1), (2, 4), (16, 64), (64, 64), (128, 128), (500, 3)])
def test_noise_tiles_without_a_seam(cells):
    noise = value_noise(np.random.default_rng(0), (128, 128), cells)
    assert noise.shape == (128, 128) and noise.dtype == np.float32
    across = np.abs(np.diff(np.concatenate([noise, noise], 1), axis=1)).max(0)
    assert across[127] <= across.max() and across[127] <= 3 * np.median(across) + 1e-3


def test_noise_is_of_about_unit_deviation():
    noise = value_noise(np.random.default_rng(0), (256, 256), (32, 32))
    assert 0.8 < noise.std() < 1.3 and abs(noise.mean()) < 0.15


def test_octaves_add_to_unit_deviation():
    noise = fractal_noise(np.random.default_rng(0), (256, 256), (8, 8), 4)
    assert noise.std() == pytest.approx(1, abs=0.25)
    rough = fractal_noise(np.random.default_rng(0), (256, 256), (8, 8), 4, gain=0.9)
    assert np.abs(np.diff(rough)).mean() > 1.5 * np.abs(np.diff(noise)).mean()
