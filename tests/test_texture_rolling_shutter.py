"""What a turning camera shows, against each row's own pose."""

import numpy as np
import pytest
from painted_box import pinhole
from scipy.spatial.transform import Rotation

from scenetex.texture.projection import on_lattice, sample
from scenetex.texture.rolling_shutter import readout_time, rolled, rolling_shift

SIZE = (640, 480)
LENS = pinhole(SIZE)
TURNING = np.array([0.011, -0.02, 0.015])
RNG = np.random.default_rng(3)
PIXELS = RNG.uniform((0, 0), np.array(SIZE) - 1, (500, 2))


def shown_by_its_row(pixel: np.ndarray, depth: np.ndarray, turning: np.ndarray) -> np.ndarray:
    """Where points are that lie behind `pixel` at the middle row's moment, each at the moment when its row is read."""
    local = (np.c_[pixel, np.ones(len(pixel))] @ np.linalg.inv(LENS).T) * depth[:, None]
    out = pixel
    for _ in range(20):
        moment = readout_time(out[:, 1], SIZE[1])
        turned = Rotation.from_rotvec(moment[:, None] * turning).apply(local) @ LENS.T
        out = turned[:, :2] / turned[:, 2:]
    return out


def test_points_are_where_their_own_row_shows_them():
    exact = shown_by_its_row(PIXELS, RNG.uniform(0.5, 6, 500), TURNING)
    found = rolled(PIXELS, TURNING, LENS, SIZE[1])
    assert np.abs(exact - PIXELS).max() > 5
    assert np.linalg.norm(found - exact, axis=1).max() < 0.12, "to first order"


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_middle_rows_stay_and_borders_move_apart(axis):
    turning = 0.02 * np.eye(3)[axis]
    across = np.stack([np.linspace(0, 639, 9), np.full(9, 239.5)], 1)
    np.testing.assert_allclose(rolled(across, turning, LENS, 480), across, atol=1e-9)
    top, bottom = (rolled(np.array([[100.0, v]]), turning, LENS, 480)[0] - (100, v) for v in (0, 479))
    assert np.linalg.norm(top - bottom) > 1


def test_the_lattice_says_the_same():
    shift = rolling_shift(TURNING, LENS, SIZE)
    u, v = PIXELS.astype(np.float32).T
    between = sample(shift, *on_lattice(shift.shape, SIZE[::-1], u, v))
    np.testing.assert_allclose(PIXELS + between, rolled(PIXELS, TURNING, LENS, SIZE[1]), atol=0.06)
    assert not rolling_shift(np.zeros(3), LENS, SIZE).any()
