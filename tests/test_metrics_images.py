"""Sharpness, contrast and edge agreement of images against exact cases."""

import numpy as np
import pytest
from test_metrics_overlap import SIZE, box_views, plane_views, random_images

from scenetex.metrics import edge_agreement, measure_detail
from scenetex.metrics.edges import depth_edges, inner_edges
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
