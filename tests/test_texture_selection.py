"""What photos are found to be good for: gains, trust, misregistration and the share of each in the detail."""

from functools import cache

import cv2
import numpy as np
import pytest
from painted_box import box, look_at, photograph, pinhole, smooth_color, views_of, walk_around

from scenetex.scene.srgb import from_light, to_light
from scenetex.texture.projection import Surface, photos
from scenetex.texture.selection import base_weight, border_weight, choose
from scenetex.texture.subdivide import patches
from scenetex.texture.weld import face_adjacency
from scenetex.texture.working_frame import WorkingFrame

SIZE = (160, 120)
POSES = walk_around(12)
BLUR, RAMP = 0.6, 7.5


def striped_color(points: np.ndarray) -> np.ndarray:
    wave = 35 * np.sin(points @ np.array([9.0, 7.0, 11.0]))
    return smooth_color(points) + wave[:, None]


@cache
def surface() -> Surface:
    small = patches(box(), 0.25).mesh
    return Surface.of(small)


@cache
def exact(color=smooth_color) -> list[np.ndarray]:
    return photograph(box(), POSES, pinhole(SIZE), SIZE, color)


def chosen(images, poses=POSES, lens=None):
    lens = pinhole(SIZE) if lens is None else lens
    return choose(
        surface(), photos(views_of(box(), poses, lens, SIZE), images, WorkingFrame(np.zeros(3), 1.0)), BLUR, RAMP
    )


def faces_in(view: int, left: int, top: int, right: int, bottom: int) -> np.ndarray:
    """(f,) bool, faces whose centre a view shows within a rectangle; nothing in the box hides anything."""
    pixel = (surface().centers - POSES[view, :3, 3]) @ POSES[view, :3, :3] @ pinhole(SIZE).T
    u, v = pixel[:, 0] / pixel[:, 2], pixel[:, 1] / pixel[:, 2]
    return (pixel[:, 2] > 0) & (u > left) & (u < right) & (v > top) & (v < bottom)


def test_gains_are_found():
    truth = np.exp(np.random.default_rng(0).uniform(-0.3, 0.3, (12, 3)))
    images = [from_light(to_light(p) / g**2.2) for p, g in zip(exact(), truth, strict=True)]
    images = [np.clip(np.rint(p), 0, 255).astype(np.uint8) for p in images]
    found = chosen(images).exposure.gain
    assert found.shape == (12, 3) and found.dtype == np.float32
    ratio = found / truth
    np.testing.assert_allclose(ratio / np.exp(np.log(ratio).mean(0)), 1, atol=0.02)
    assert np.abs(np.log(chosen(exact()).exposure.gain)).max() < 0.01


def test_exact_photos_are_trusted_and_on_their_place():
    choice = chosen(exact(striped_color))
    assert choice.trust.min() >= 0 and choice.trust.max() <= 1
    assert (choice.trust == 1).mean() > 0.995
    assert choice.misregistration < 0.3


def test_a_thing_that_stood_in_one_photo_is_not_trusted_there():
    images = [p.copy() for p in exact()]
    images[3][30:90, 50:110] = (250, 10, 240)
    choice = chosen(images)
    covered = faces_in(3, 53, 33, 107, 87)
    enough = (chosen(exact()).detail > 0).sum(1) >= 3
    assert (covered & enough).sum() > 50
    assert choice.trust[covered & enough, 3].mean() < 0.1
    assert choice.detail[covered & enough, 3].max() < 0.5
    # Doubt spreads to the neighbours only, and only in that photo.
    away = ~faces_in(3, 40, 20, 120, 100)
    assert choice.trust[away, 3].min() == 1
    others = np.delete(choice.trust[enough], 3, axis=1)
    assert (others == 1).mean() > 0.98


def test_a_dark_photo_is_not_mistaken_for_a_wrong_one():
    dark = np.rint(from_light(0.13 * to_light(exact()[5]))).astype(np.uint8)  # three stops less
    images = [dark if i == 5 else p for i, p in enumerate(exact())]
    choice = chosen(images)
    assert choice.trust[:, 5].mean() > 0.98
    assert choice.exposure.gain[5].mean() / np.delete(choice.exposure.gain, 5, 0).mean() == pytest.approx(
        0.13 ** (-1 / 2.2), rel=0.05
    )


@pytest.mark.parametrize("pixels", [1.0, 2.0])
def test_misregistration_is_measured_in_pixels(pixels):
    # Each photo shows the surface `pixels` off, in a direction of its own.
    turn = np.random.default_rng(1).uniform(0, 2 * np.pi, 12)
    lens = pinhole(SIZE)
    shifted = [lens + pixels * np.array([[0, 0, np.cos(t)], [0, 0, np.sin(t)], [0, 0, 0]]) for t in turn]
    images = photograph(box(), POSES, np.stack(shifted), SIZE, striped_color)
    assert 0.3 * pixels < chosen(images).misregistration < 1.3 * pixels


def test_shares_of_the_detail():
    choice = chosen(exact())
    total = choice.detail.sum(1)
    seen = total > 0
    np.testing.assert_allclose(total[seen], 1, atol=1e-5)
    assert seen.mean() > 0.95 and choice.detail.min() >= 0
    # Views that do not show a face have no share in it.
    for view in range(12):
        outside = ~faces_in(view, -1, -1, SIZE[0], SIZE[1])
        assert choice.detail[outside, view].max() == 0


def test_neighbours_choose_alike():
    choice = chosen(exact(striped_color))
    a, b = face_adjacency(surface().faces).T
    both = (choice.detail[a].sum(1) > 0) & (choice.detail[b].sum(1) > 0)
    same = choice.detail[a].argmax(1) == choice.detail[b].argmax(1)
    assert same[both].mean() > 0.8


def test_the_nearer_photo_gives_the_detail():
    target = np.array([2.0, 0.0, 1.2])
    poses = np.stack([look_at(target - [d, 0.0, 0.0], target) for d in (3.6, 1.0)])
    images = photograph(box(), poses, pinhole(SIZE), SIZE, striped_color)
    choice = choose(
        surface(),
        photos(views_of(box(), poses, pinhole(SIZE), SIZE), images, WorkingFrame(np.zeros(3), 1.0)),
        BLUR,
        RAMP,
    )
    middle = np.linalg.norm(surface().centers - target, axis=1) < 0.4
    assert middle.sum() > 10 and (choice.detail[middle, 1] > 0.8).all()


def test_a_blurred_photo_gives_little_of_the_detail():
    # Every place is photographed twice from one spot, once out of focus.
    poses = np.repeat(POSES[:6], 2, axis=0)
    sharp = photograph(box(), POSES[:6], pinhole(SIZE), SIZE, striped_color)
    images = [x for p in sharp for x in (p, cv2.GaussianBlur(p, (0, 0), 3.0))]
    detail = chosen(images, poses).detail
    assert detail[:, 0::2].sum() > 1.5 * detail[:, 1::2].sum()


def test_a_photo_that_sees_nothing_has_no_say():
    poses = np.concatenate([POSES[:6], look_at([50, 0, 0], [90, 0, 0])[None]])
    images = [*exact()[:6], np.zeros((120, 160, 3), np.uint8)]
    choice = chosen(images, poses)
    assert np.isfinite(choice.exposure.gain).all() and np.isfinite(choice.detail).all()
    assert choice.detail[:, 6].max() == 0
    np.testing.assert_allclose(choice.detail[:, :6], chosen(images[:6], POSES[:6]).detail, atol=0.02)


def test_a_single_photo_is_believed():
    choice = chosen(exact()[:1], POSES[:1])
    np.testing.assert_allclose(choice.exposure.gain, 1, atol=1e-6)
    assert choice.trust.min() == 1
    assert set(np.unique(np.round(choice.detail, 5))) == {0, 1}


def test_weights():
    cosine, resolution = np.float32([0.2, 0.9, 0.9]), np.float32([500, 500, 900])
    assert (np.diff(base_weight(cosine, resolution)) > 0).all()
    fade = border_weight(np.float32([0, 1, 4, 7.5, 40]), RAMP)
    assert (np.diff(fade) >= 0).all() and 0 < fade[0] < 0.8 and fade[3] == fade[4] == 1
