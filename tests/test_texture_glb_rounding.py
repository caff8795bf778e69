"""Steps that numbers are rounded to: powers of two, fine enough, and not beyond what the codecs hold."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from scenetex.texture.glb_rounding import Grid, uv_exponent

_LENGTHS = st.floats(1e-9, 1e9)


@given(_LENGTHS, st.floats(-20, 20), st.integers(0, 2))
def test_grids_are_as_fine_as_they_say(extent, offset, axis):
    points = np.full((2, 3), extent * offset)
    points[1, axis] += extent
    grid = Grid.of(points)
    assert extent / 2**18 < 2.0**grid.exponent <= extent / 2**16 * (1 + 1e-6)
    steps = (points - grid.origin) / 2.0**grid.exponent
    assert (steps >= 0).all() and (steps <= 2**18 - 1).all(), "18 bits hold them"
    assert (np.abs(points) / 2.0**grid.exponent < 2**23).all(), "24 bits hold them"


@given(st.integers(64, 16384), st.floats(0.1, 10))
def test_texture_coordinates_are_told_to_a_sixteenth_of_a_texel(size, largest):
    exponent = uv_exponent(np.array([[0.0, largest]]), size)
    assert 1 / size / 64 < 2.0**exponent <= 1 / size / 16
    assert max(largest, 1) / 2.0**exponent < 2**23


def test_a_point_has_a_grid():
    assert np.isfinite(2.0 ** Grid.of(np.zeros((1, 3))).exponent)
    assert np.isfinite(2.0 ** Grid.of(np.full((3, 3), 1e30)).exponent)
