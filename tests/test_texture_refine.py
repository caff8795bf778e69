"""Refinement against cameras that are known exactly: disturbed ones come back, exact ones are left alone."""

from functools import cache

import cv2
import numpy as np
import pytest
from painted_box import HIGH, LOW, box, photograph, pinhole, smooth_color, views_of, walk_around
from scipy.spatial.transform import Rotation

from scenetex import bake, unwrap
from scenetex.scene.camera import resize_intrinsics
from scenetex.scene.mesh import Mesh
from scenetex.texture.refine import RefinedCameras, refine_cameras, refinement_steps
from scenetex.texture.rolling_shutter import rolled
from scenetex.views.raycast import RayCaster
from scenetex.views.viewset import pixel_rays

SIZE, GLANCE = (320, 240), (80, 60)
POSES = walk_around(12)
LENS = pinhole(SIZE)


def busy_color(points: np.ndarray) -> np.ndarray:
    """The smooth colour with waves of all directions on it, down to a decimetre and a half."""
    rng, color = np.random.default_rng(7), smooth_color(points)
    for _ in range(8):
        direction = rng.normal(size=3)
        direction *= rng.uniform(10, 45) / np.linalg.norm(direction)
        color += (22 * np.sin(points @ direction + rng.uniform(0, 6)))[:, None]
    return color


@cache
def photos() -> list[np.ndarray]:
    return photograph(box(), POSES, LENS, SIZE, busy_color)


def disturbed(shift: float, turn: float, focal: float, seed: int = 1):
    """Views whose cameras are off by `shift` metres and `turn` degrees each, and `focal` times too long."""
    rng = np.random.default_rng(seed)
    poses = POSES.copy()
    for pose in poses:
        axis, way = (v / np.linalg.norm(v) for v in rng.normal(size=(2, 3)))
        pose[:3, :3] = pose[:3, :3] @ cv2.Rodrigues(np.radians(turn) * axis)[0]
        pose[:3, 3] += shift * way
    return views_of(box(), poses, _scaled(focal), GLANCE)


def _scaled(focal: float) -> np.ndarray:
    lens = LENS.copy()
    lens[[0, 1], [0, 1]] *= focal
    return resize_intrinsics(lens, SIZE, GLANCE)


def misplaced(intrinsics: np.ndarray, poses: np.ndarray) -> tuple[float, float]:
    """Millimetres by which photos put the surface wrong, and by which they differ from each other, on average.

    A camera looks up the colour of a surface point at some pixel; that pixel really shows another point.
    """
    mesh = box()
    caster = RayCaster(mesh.vertices, mesh.faces)
    rng = np.random.default_rng(0)
    points = rng.uniform(LOW, HIGH, (400, 3))
    side = rng.integers(0, 3, 400)
    points[np.arange(400), side] = np.where(rng.uniform(size=400) < 0.5, LOW[side], HIGH[side])
    shown = np.full((len(poses), 400, 3), np.nan)
    for i, (k, pose) in enumerate(zip(intrinsics, poses, strict=True)):
        pixel = (points - pose[:3, 3]) @ pose[:3, :3] @ k.T
        place = pixel / pixel[:, 2:]
        ray = place @ np.linalg.inv(resize_intrinsics(LENS, SIZE, GLANCE)).T @ POSES[i, :3, :3].T
        hit = caster.cast(np.broadcast_to(POSES[i, :3, 3], ray.shape), ray)
        true = POSES[i, :3, 3] + hit["distance"][:, None].astype(float) * ray
        inside = (pixel[:, 2] > 0) & (place[:, :2] > 0).all(1) & (place[:, :2] < np.array(GLANCE) - 1).all(1)
        near = np.linalg.norm(true - points, axis=1) < 0.3  # not around a corner
        shown[i, inside & near] = true[inside & near]
    seen = np.isfinite(shown[..., 0])
    shared = seen.sum(0) >= 2
    mean = np.nansum(shown[:, shared], 0) / seen[:, shared].sum(0)[:, None]
    apart = np.linalg.norm(shown[:, shared] - mean, axis=2)
    wrong = np.linalg.norm(shown - points, axis=2)
    return 1000 * float(np.nanmean(wrong)), 1000 * float(np.nanmean(apart))


def test_the_measure_is_zero_for_the_true_cameras():
    exact = disturbed(0, 0, 1.0)
    assert max(misplaced(exact.intrinsics, exact.cam_to_world)) < 0.01
    assert min(misplaced(*(lambda v: (v.intrinsics, v.cam_to_world))(disturbed(0.005, 0.3, 1.0)))) > 4


@pytest.mark.parametrize(
    ("shift", "turn", "focal"), [(0.005, 0.3, 1.0), (0.005, 0.3, 1.01), (0.02, 0.6, 1.01), (0.0, 0.0, 1.02)]
)
def test_disturbed_cameras_come_back(shift, turn, focal):
    views = disturbed(shift, turn, focal)
    calls = []
    refined = refine_cameras(box(), views, photos(), lambda: calls.append(1))
    assert refined.accepted and refined.size == GLANCE and len(calls) == refinement_steps()
    assert refined.error_after < 0.25 * refined.error_before
    wrong, apart = misplaced(views.intrinsics, views.cam_to_world)
    wrong_now, apart_now = misplaced(refined.intrinsics, refined.cam_to_world)
    assert apart_now < 0.2 * apart, "photos agree with each other"
    assert wrong_now < 0.5 * wrong, "and with the truth"
    # Rigid cameras of one lens.
    turns = refined.cam_to_world[:, :3, :3]
    np.testing.assert_allclose(turns @ turns.transpose(0, 2, 1), np.tile(np.eye(3), (12, 1, 1)), atol=1e-9)
    assert np.ptp(refined.intrinsics, axis=0).max() < 1e-9
    assert abs(refined.intrinsics[0, 0, 0] / _scaled(1.0)[0, 0] - 1) < max(0.75 * (focal - 1), 0.002)


def read_row_by_row(turning: np.ndarray) -> list[np.ndarray]:
    """Photos of cameras at `POSES` that turn by `turning` (12, 3) radians while their rows are read."""
    mesh, out = box(), []
    caster = RayCaster(mesh.vertices, mesh.faces)
    moment = np.repeat((np.arange(SIZE[1]) + 0.5) / SIZE[1] - 0.5, SIZE[0])
    for pose, turn in zip(POSES, turning, strict=True):
        _, direction = pixel_rays(LENS, np.eye(4), SIZE)
        still = Rotation.from_rotvec(-moment[:, None] * turn).apply(direction)
        ray = still @ pose[:3, :3].T
        hit = caster.cast(np.broadcast_to(pose[:3, 3], ray.shape), ray)
        color = busy_color(pose[:3, 3] + hit["distance"][:, None].astype(float) * ray)
        out.append(np.rint(np.clip(color, 0, 255)).astype(np.uint8).reshape(SIZE[1], SIZE[0], 3))
    return out


def test_a_rolling_shutter_is_found_and_poses_that_are_right_stay():
    turning = np.random.default_rng(5).uniform(-0.03, 0.03, (12, 3))
    views = disturbed(0, 0, 1.0)
    refined = refine_cameras(box(), views, read_row_by_row(turning))
    assert refined.accepted and refined.error_after < 0.3 * refined.error_before
    np.testing.assert_allclose(refined.cam_to_world, views.cam_to_world, atol=1e-9)
    np.testing.assert_allclose(refined.intrinsics, views.intrinsics, atol=1e-9)
    v, u = np.mgrid[0 : SIZE[1] : 20, 0 : SIZE[0] : 20].astype(float)
    pixel = np.stack([u.ravel(), v.ravel()], 1)
    left, whole = (
        np.mean(
            [
                np.linalg.norm(rolled(pixel, a, LENS, SIZE[1]) - rolled(pixel, b, LENS, SIZE[1]), axis=1)
                for a, b in pairs
            ]
        )
        for pairs in (zip(refined.turning, turning, strict=True), zip(0 * turning, turning, strict=True))
    )
    assert whole > 1 and left < 0.15 * whole


def test_a_rolling_shutter_is_found_beside_poses_that_are_off():
    turning = np.random.default_rng(5).uniform(-0.03, 0.03, (12, 3))
    views, rolling = disturbed(0.01, 0.6, 1.0), read_row_by_row(turning)
    refined = refine_cameras(box(), views, rolling)
    assert refined.accepted and refined.error_after < 0.4 * refined.error_before
    assert np.abs(refined.turning - turning).mean() < 0.6 * np.abs(turning).mean()
    wrong = misplaced(views.intrinsics, views.cam_to_world)[0]
    assert misplaced(refined.intrinsics, refined.cam_to_world)[0] < 0.5 * wrong


def untouched(refined: RefinedCameras, views) -> bool:
    return (
        not refined.accepted
        and not refined.turning.any()
        and np.array_equal(refined.cam_to_world, views.cam_to_world)
        and np.array_equal(refined.intrinsics, views.intrinsics)
    )


def test_poses_alone_come_back_to_the_truth_of_many():
    """Where only poses are off, independently, the photos' common place is nearer to the truth than any one's."""
    views = disturbed(0.01, 0.6, 1.0, seed=3)
    refined = refine_cameras(box(), views, photos())
    wrong, apart = misplaced(views.intrinsics, views.cam_to_world)
    wrong_now, apart_now = misplaced(refined.intrinsics, refined.cam_to_world)
    assert apart_now < 0.04 * apart and wrong_now < 0.15 * wrong


def test_vignetting_is_not_mistaken_for_motion():
    v, u = np.mgrid[: SIZE[1], : SIZE[0]]
    radius = ((u - 159.5) ** 2 + (v - 119.5) ** 2) / (159.5**2 + 119.5**2)
    darker = [np.round(p * (1 - 0.35 * radius[..., None])).astype(np.uint8) for p in photos()]
    exact = disturbed(0, 0, 1.0)
    assert untouched(refine_cameras(box(), exact, darker), exact)
    views = disturbed(0.01, 0.6, 1.0, seed=3)
    refined = refine_cameras(box(), views, darker)
    assert (
        misplaced(refined.intrinsics, refined.cam_to_world)[0]
        < 0.3 * misplaced(views.intrinsics, views.cam_to_world)[0]
    )


def test_exact_cameras_are_left_alone():
    views = disturbed(0, 0, 1.0)
    refined = refine_cameras(box(), views, photos())
    assert untouched(refined, views) and refined.error_before < 1


def test_photos_of_something_else_are_left_alone():
    """No move of the cameras explains noise."""
    views = disturbed(0.005, 0.3, 1.0)
    noise = [np.random.default_rng(i).integers(0, 256, (240, 320, 3)).astype(np.uint8) for i in range(12)]
    refined = refine_cameras(box(), views, noise)
    assert untouched(refined, views) and refined.error_before > 10


def test_exposure_is_not_mistaken_for_motion():
    gains = np.random.default_rng(2).uniform(0.8, 1.2, 12)
    jittered = [np.clip(p * g, 0, 255).astype(np.uint8) for p, g in zip(photos(), gains, strict=True)]
    exact = disturbed(0, 0, 1.0)
    assert refine_cameras(box(), exact, jittered).error_before < 3
    views = disturbed(0.005, 0.3, 1.0)
    refined = refine_cameras(box(), views, jittered)
    assert (
        misplaced(refined.intrinsics, refined.cam_to_world)[1]
        < 0.35 * misplaced(views.intrinsics, views.cam_to_world)[1]
    )


def test_the_world_may_be_far_away_and_the_mesh_dirty():
    views = disturbed(0.005, 0.3, 1.0)
    near = refine_cameras(box(), views, photos())
    shift = np.array([5e5, -5e5, 0.0])
    mesh = box(LOW + shift, HIGH + shift)
    dirty = Mesh(np.concatenate([mesh.vertices, [[np.nan] * 3]]), np.concatenate([[[0, 8, 1], [2, 2, 3]], mesh.faces]))
    poses = views.cam_to_world.copy()
    poses[:, :3, 3] += shift
    far = refine_cameras(dirty, views_of(dirty, poses, _scaled(1.0), GLANCE), photos())
    assert far.accepted
    np.testing.assert_allclose(far.error_after, near.error_after, rtol=0.1)
    np.testing.assert_allclose(far.cam_to_world[:, :3, 3] - shift, near.cam_to_world[:, :3, 3], atol=1e-3)


def test_a_single_photo_has_nothing_to_agree_with():
    views = views_of(box(), POSES[:1], _scaled(1.0), GLANCE)
    assert untouched(refine_cameras(box(), views, photos()[:1]), views)


def test_baking_with_refinement_is_sharper_and_nearer_to_the_truth():
    from painted_box import texel_points

    mesh, views = box(), disturbed(0.01, 0.6, 1.01)
    atlas = unwrap(mesh, 512)
    pixel, points = texel_points(mesh, atlas)
    error = {}
    for refine in (False, True):
        textured = bake(mesh, atlas, views, photos(), refine_poses=refine)
        seen = textured.coverage[0].ravel()[pixel]
        color = textured.textures[0].reshape(-1, 3)[pixel].astype(float)
        error[refine] = np.abs(color - busy_color(points))[seen].mean()
    assert error[True] < 0.4 * error[False]
