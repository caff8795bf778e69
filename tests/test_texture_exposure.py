"""Exposure of photos: joint offsets, recovered exactly and robustly, vignetting, clipped pixels, and highlights."""

import numpy as np
import pytest
import scipy.sparse as sp

from scenetex.scene.srgb import from_light, to_light
from scenetex.texture.exposure import Exposure, developed, fit_exposure, squared_radius, usable, view_offsets, working


def sightings(faces: int, views: int, share: float = 0.4, seed: int = 0) -> sp.csr_matrix:
    """(faces, views) weights; each view sees a share of the faces."""
    rng = np.random.default_rng(seed)
    seen = rng.uniform(size=(faces, views)) < share
    return sp.csr_matrix(seen * rng.uniform(0.5, 2.0, (faces, views)))


def observe(weights: sp.csr_matrix, surface: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    rows = np.repeat(np.arange(weights.shape[0]), np.diff(weights.indptr))
    return surface[rows] - offsets[weights.indices]


def centered(offsets: np.ndarray, weights: sp.csr_matrix) -> np.ndarray:
    return offsets - np.average(offsets, weights=np.asarray(weights.sum(0)).ravel())


def test_exact_data_give_exact_offsets():
    rng = np.random.default_rng(1)
    weights = sightings(2000, 12)
    truth = rng.normal(0, 0.3, 12)
    values = observe(weights, rng.normal(0, 1, 2000), truth)
    # Without a pull towards zero the answer is exact; up to a common offset, which nothing can tell.
    found = view_offsets(values, weights, 0.1, prior=0.0)[0]
    np.testing.assert_allclose(centered(found, weights), centered(truth, weights), atol=1e-8)
    np.testing.assert_allclose(np.average(found, weights=np.asarray(weights.sum(0)).ravel()), 0, atol=0.02)
    assert np.abs(centered(view_offsets(values, weights, 0.1)[0], weights) - centered(truth, weights)).max() < 0.005


def test_ten_per_cent_outliers_do_little():
    rng = np.random.default_rng(2)
    weights = sightings(3000, 10)
    truth = rng.normal(0, 0.3, 10)
    values = observe(weights, rng.normal(0, 1, 3000), truth)
    wrong = rng.uniform(size=len(values)) < 0.1
    wrong &= weights.indices < 5  # one-sided and in half of the views, so that they do not cancel out
    values[wrong] += 2.0
    found = centered(view_offsets(values, weights, 0.1)[0], weights)
    assert np.abs(found - centered(truth, weights)).max() < 0.03
    plain = centered(view_offsets(values, weights, 1e9)[0], weights)
    assert np.abs(plain - centered(truth, weights)).max() > 0.05, "least squares alone would be off"


def test_groups_that_share_nothing_keep_their_own_level():
    rng = np.random.default_rng(3)
    a, b = sightings(800, 4, seed=1), sightings(800, 5, seed=2)
    weights = sp.block_diag([a, b]).tocsr()
    truth = rng.normal(0, 0.2, 9)
    found = view_offsets(observe(weights, rng.normal(0, 1, 1600), truth), weights, 0.1)[0]
    for views, part in ((slice(0, 4), a), (slice(4, 9), b)):
        np.testing.assert_allclose(centered(found[views], part), centered(truth[views], part), atol=0.005)
        # Nothing relates the groups: neither may drift away from the other.
        assert abs(np.average(found[views], weights=np.asarray(part.sum(0)).ravel())) < 0.02


def test_a_view_that_sees_nothing_stays_where_it_is():
    rng = np.random.default_rng(4)
    weights = sp.hstack([sightings(300, 3), sp.csr_matrix((300, 1))]).tocsr()
    truth = np.array([0.2, -0.1, 0.05, 0.0])
    found = view_offsets(observe(weights, rng.normal(0, 1, 300), truth), weights, 0.1)[0]
    assert np.isfinite(found).all()
    assert abs(found[3]) < 0.1
    np.testing.assert_allclose(centered(found[:3], weights[:, :3]), centered(truth[:3], weights[:, :3]), atol=0.005)


def test_a_single_view_gets_no_offset():
    weights = sightings(50, 1, share=1.0)
    np.testing.assert_allclose(view_offsets(np.random.default_rng(0).normal(size=50), weights, 0.1)[0], [0], atol=1e-9)


@pytest.mark.parametrize("swap", [False, True])
def test_heavier_sightings_decide(swap):
    # Two faces disagree on the difference between two views; the heavier one is believed more.
    heavy, light = (1, 0) if swap else (0, 1)
    dense = np.ones((2, 2))
    dense[heavy] = 10
    values = np.zeros((2, 2))
    values[heavy, 1], values[light, 1] = 0.02, -0.02
    found = view_offsets(values.ravel(), sp.csr_matrix(dense), 1.0)[0]
    assert found[1] - found[0] == pytest.approx(-0.02 * (10 - 1) / (10 + 1), rel=0.02)


def taken(light: np.ndarray, stops: np.ndarray, falloff: float, radius: np.ndarray, view: np.ndarray) -> np.ndarray:
    """sRGB 0..255, clipped, of light (k, 3) in photos (k,) of some EV, whose corners lose a share of the light."""
    return np.clip(from_light(light * (2.0 ** stops[view] * (1 - falloff * radius))[:, None]), 0, 255)


def test_gains_and_vignetting_are_found_though_much_is_clipped():
    rng = np.random.default_rng(5)
    weights = sightings(4000, 12)
    face = np.repeat(np.arange(4000), np.diff(weights.indptr))
    stops, radius = rng.uniform(-1.5, 1.5, 12), rng.uniform(0, 1, weights.nnz)
    light = rng.uniform(0.02, 0.9, (4000, 3))
    color = taken(light[face], stops, 0.4, radius, weights.indices)
    assert (color.max(1) >= 255).mean() > 0.15
    exposure = fit_exposure(color, radius, weights)
    found = np.log2(exposure.gain) * 2.2
    np.testing.assert_allclose(found - found.mean(0), np.tile(stops.mean() - stops[:, None], 3), atol=0.08)
    np.testing.assert_allclose(exposure.falloff.sum(), -np.log(0.6) / 2.2, atol=0.03)
    assert np.abs(np.median(np.log(exposure.gain), 0)).max() < 1e-6
    # Levelled, what was not clipped is what it was, but for one factor.
    level = exposure.level_samples(color, weights.indices, radius)
    clear = color.max(1) < 250
    ratio = level[clear] / (255 * light[face[clear]] ** (1 / 2.2))
    assert ratio.std() / ratio.mean() < 0.03


def test_exact_photos_stay_as_they_are():
    rng = np.random.default_rng(6)
    weights = sightings(3000, 8)
    color = rng.uniform(10, 240, (3000, 3))[np.repeat(np.arange(3000), np.diff(weights.indptr))]
    exposure = fit_exposure(color, rng.uniform(0, 1, len(color)), weights)
    np.testing.assert_allclose(exposure.gain, 1, atol=1e-4)
    assert np.abs(exposure.falloff).max() < 1e-4


def test_levelling_pictures_and_samples_is_the_same():
    exposure = Exposure(np.float32([[1, 1, 1], [1.4, 1.2, 0.9]]), np.array([0.1, 0.12]))
    image = np.random.default_rng(7).integers(0, 256, (30, 40, 3), np.uint8)
    v, u = (x.ravel() for x in np.mgrid[:30, :40])
    radius = squared_radius(u, v, (40, 30))
    assert radius.max() == pytest.approx(1, abs=0.06) and radius.min() < 0.001
    samples = exposure.level_samples(image.reshape(-1, 3), np.ones(1200, int), radius)
    np.testing.assert_allclose(exposure.level(image, 1).reshape(-1, 3), samples, rtol=1e-5)
    back = exposure.brightest(samples, np.arange(1200), np.ones(1200, int), radius)
    np.testing.assert_allclose(back, image.reshape(-1, 3).max(1), atol=0.01)


def test_clipped_and_black_pixels_tell_little():
    color = np.array([[255, 255, 255], [255, 90, 30], [128, 128, 128], [200, 0, 0], [2, 3, 1]], np.uint8)
    told = usable(color)
    assert told[0] < 0.1 and told[1] < 0.1 and told[4] < 0.1 and (told[[2, 3]] == 1).all()


def test_working_values_and_back():
    every = np.arange(256, dtype=np.uint8)
    np.testing.assert_allclose(from_light((working(every) / 255) ** 2.2), every, atol=0.01)
    grey = np.repeat(working(every)[:, None], 3, 1)
    np.testing.assert_allclose(developed(grey, 255.0)[:, 0], every, atol=1)  # of steps that are finest where it is dark
    np.testing.assert_allclose(developed(grey, 255.0)[8:, 0], every[8:], atol=0.3)
    np.testing.assert_allclose(to_light(every.astype(float)), to_light(every), atol=1e-6)


def test_highlights_pass_through_a_shoulder():
    value = np.repeat(np.linspace(0, 400, 2000, dtype=np.float32)[:, None], 3, 1)
    soft = developed(value, 320.0)[:, 0]
    assert (np.diff(soft) >= 0).all() and soft[value[:, 0] >= 320].min() > 254.5
    below = value[:, 0] < 190
    np.testing.assert_allclose(soft[below], developed(value, 255.0)[below, 0], atol=1e-6)
    # What lies between white and the highest is still told apart.
    assert developed(np.full((1, 3), 300.0), 320.0).max() > developed(np.full((1, 3), 260.0), 320.0).max() + 2


def test_exposure_is_lowered_for_highlights_but_not_far():
    plain = Exposure(np.ones((2, 3), np.float32), np.zeros(2))
    assert plain.within_white(np.full(1000, 200.0)).highest == 255
    np.testing.assert_array_equal(plain.within_white(np.full(1000, 200.0)).gain, 1)
    darker = plain.within_white(np.full(1000, 270.0))
    assert darker.highest == 255 and darker.gain[0, 0] == pytest.approx(255 / 270)
    far = plain.within_white(np.full(1000, 600.0))
    assert far.gain[0, 0] == pytest.approx(2 ** (-0.5 / 2.2)) and far.highest > 500
    assert plain.within_white(np.zeros(0)).highest == 255
