"""Sharpness, contrast, edge agreement, energy by octave and blockiness of images against exact cases."""

import numpy as np
import pytest
from test_metrics_overlap import SIZE, box_views, plane_views, random_images

from scenetex.metrics import edge_agreement, measure_detail
from scenetex.metrics.detail_scores import OCTAVES, blockiness, depth_edges, inner_edges, octave_energy
from scenetex.views.viewset import ViewSet


def ramp(slope: float) -> np.ndarray:
    return np.repeat((slope * np.arange(48))[None, :, None], 36, 0).repeat(3, 2)


def loop_sharpness(image: np.ndarray) -> float:
    gray = image @ np.array([0.299, 0.587, 0.114])
    sizes = []
    for r in range(1, gray.shape[0] - 1):
        for c in range(1, gray.shape[1] - 1):
            sizes.append(np.hypot((gray[r, c + 1] - gray[r, c - 1]) / 2, (gray[r + 1, c] - gray[r - 1, c]) / 2))
    return float(np.mean(sizes))


def test_a_ramp_is_as_sharp_as_it_is_steep():
    assert measure_detail([ramp(3.0)]).sharpness == pytest.approx(3.0, rel=1e-5)
    assert measure_detail([ramp(2.0), ramp(4.0)]).sharpness == pytest.approx(3.0, rel=1e-5)
    assert measure_detail([ramp(3.0)]).contrast == pytest.approx(3.0 * np.arange(48).std(), rel=1e-5)


def test_sharpness_agrees_with_the_loop():
    for image in random_images(2):
        assert measure_detail([image]).sharpness == pytest.approx(loop_sharpness(image.astype(float)), rel=1e-5)


def test_only_the_mask_counts():
    image = ramp(3.0)
    image[:, 20:] = np.random.default_rng(0).integers(0, 256, (36, 28, 3))
    mask = np.zeros((36, 48), bool)
    mask[:, :20] = True
    found = measure_detail([image], [mask])
    assert found.sharpness == pytest.approx(3.0, rel=1e-5)
    assert found.contrast == pytest.approx(3.0 * np.arange(20).std(), rel=1e-5)
    assert np.isnan(measure_detail([image], [mask & False]).sharpness)


def test_planes_have_no_depth_edges_and_creases_do():
    """Inverse depth of a slanted plane is affine in the image; two planes meet where it bends."""
    column = np.arange(48.0)
    slanted = np.tile(1 / (0.3 + 0.004 * column), (36, 1)).astype(np.float32)
    assert depth_edges(slanted)[0].max() < 0.01
    crease = np.tile(1 / (0.3 + 0.01 * np.abs(column - 24)), (36, 1)).astype(np.float32)
    edge, _ = depth_edges(crease)
    assert (edge[1:-1, 24] == 1).all() and edge[:, :22].max() < 0.01 and edge[:, 27:].max() < 0.01


def test_unknown_depth_is_no_edge():
    depth = np.full((36, 48), 2.0, np.float32)
    depth[:, 20:] = 0
    edge, valid = depth_edges(depth)
    assert edge.max() == 0 and not valid[:, 19:].any() and valid[1:-1, 1:18].all()


def test_images_that_show_the_depths_edges_agree_with_them():
    views = plane_views((0.0,))
    views.depth[0, :, 24:] = 1.0
    image, elsewhere = np.full((36, 48, 3), 60.0), np.full((36, 48, 3), 60.0)
    image[:, 24:], elsewhere[:, 8:] = 180.0, 180.0
    assert edge_agreement(views, [image]) > 0.9
    assert edge_agreement(views, [elsewhere]) < 0
    assert edge_agreement(views, [np.full((36, 48, 3), 99.0)]) == 0.0


def test_edges_are_a_matter_of_place_not_of_strength():
    views = box_views(3)
    shaded = [np.repeat(np.minimum(255, 60 * d)[..., None], 3, -1) for d in views.depth]
    once = edge_agreement(views, shaded)
    assert edge_agreement(views, [0.5 * s + 40 for s in shaded]) == pytest.approx(once, abs=1e-4)
    assert once > edge_agreement(views, random_images(3)) + 0.1


def test_a_view_without_depth_edges_is_left_out():
    assert np.isnan(edge_agreement(plane_views((0.0,)), random_images(1)))
    assert SIZE == plane_views().size


def test_what_is_inside_surfaces_is_told_from_their_outlines():
    depth = np.full((1, 48, 64), 2.0, np.float32)
    depth[:, :, 32:] = 1.0
    intrinsics, pose = np.diag([50.0, 50.0, 1.0])[None], np.eye(4)[None]
    views = ViewSet((0,), intrinsics, pose, depth, np.zeros((1, 48, 64), np.int32), np.array([[0, 0, -1.0]]))
    outline = np.full((48, 64, 3), 100, np.uint8)
    outline[:, 32:] = 200
    assert inner_edges(views, [outline]) == 0
    ramp = outline + (2 * np.arange(48, dtype=np.uint8))[:, None, None] % 50
    assert inner_edges(views, [np.repeat(2.0 * np.arange(64)[None, :, None], 48, 0).repeat(3, 2)]) == pytest.approx(2)
    assert inner_edges(views, [ramp]) > 1.5


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
