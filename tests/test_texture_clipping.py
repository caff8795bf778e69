"""Clipped texels are counted in the photos and in the texture, against what an exact scene shows."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from painted_box import box, photograph, pinhole, views_of, walk_around

import scenetex
from scenetex.texture.clipping import ShownClipped, clipped_texels, is_clipped

SIZE = 160, 120


@given(st.lists(st.tuples(*[st.integers(0, 255)] * 3), min_size=1, max_size=20))
def test_ends_of_the_scale(colors):
    told = is_clipped(np.array(colors, np.uint8))
    assert told.tolist() == [any(value in (0, 255) for value in color) for color in colors]


def test_most_photos_decide():
    """Of three texels one is never shown, one clipped in one photo of three, one in half of two."""
    shown = ShownClipped(3, every=1)
    white = np.ones((4, 4), bool)
    for clipped in (white, ~white, ~white):
        shown.add(np.array([1]), clipped, np.array([1.2]), np.array([3.4]))
    for clipped in (white, ~white):
        shown.add(np.array([2]), clipped, np.array([-0.4]), np.array([3.4]))
    assert shown.share == 0.5
    assert ShownClipped(0).share == ShownClipped(2).share == 0.0


def test_pixels_are_those_nearest():
    shown = ShownClipped(4, every=1)
    pixels = np.zeros((3, 4), bool)
    pixels[2, 1] = True
    shown.add(np.arange(4), pixels, np.array([1.4, 1.6, 0.6, 1.0]), np.array([1.6, 2.0, 2.4, 1.4]))
    assert shown.share == 0.5


def test_one_in_eight_is_enough():
    rng = np.random.default_rng(0)
    pixels = rng.random((50, 80)) < 0.3
    u, v = rng.uniform(0, 79, 100_000), rng.uniform(0, 49, 100_000)
    shares = []
    for every in (1, 8):
        shown = ShownClipped(100_000, every)
        shown.add(np.arange(100_000), pixels, u, v)
        shares.append(shown.share)
    assert shares[0] == pytest.approx(shares[1], abs=0.02) and 0.25 < shares[0] < 0.35


def bright(points: np.ndarray) -> np.ndarray:
    """Beyond white where y is above the middle of the box."""
    return np.where(np.asarray(points)[:, 1:2] > 0, 400.0, 120.0) * np.array([[1, 0.9, 0.8]])


def baked(poses, colors, gain=None, **options):
    mesh = box()
    photos = photograph(mesh, poses, pinhole(SIZE), SIZE, colors)
    if gain is not None:
        photos = [np.clip(photo * g, 0, 255).astype(np.uint8) for photo, g in zip(photos, gain, strict=True)]
    views = views_of(mesh, poses, pinhole(SIZE), SIZE)
    return scenetex.bake(mesh, scenetex.unwrap(mesh, size=256), views, photos, **options)


def test_before_and_after():
    textured = baked(walk_around(8), bright)
    share = clipped_texels(textured)
    assert 0.3 < share["before"] < 0.7
    clean = baked(walk_around(8), lambda points: np.full((len(points), 3), 120.0))
    assert clipped_texels(clean) == {"before": 0.0, "after": 0.0}


def test_photos_exposed_in_two_ways_clip_less_in_the_texture():
    """What the bright half of the photos lost, the dark half has."""
    poses = np.repeat(walk_around(8), 2, axis=0)
    share = clipped_texels(baked(poses, lambda points: np.full((len(points), 3), 180.0), gain=[0.7, 1.6] * 8))
    assert share["before"] > 0.9 and share["after"] < 0.01


def test_nobody_counted():
    mesh = box()
    page = np.full((64, 64, 3), 255, np.uint8)
    plain = scenetex.TexturedMesh(mesh, scenetex.unwrap(mesh, size=64), (page,), (np.ones((64, 64), bool),))
    assert clipped_texels(plain) is None


@pytest.mark.parametrize("generated", [None, "half"])
def test_generated_texels_do_not_count(generated):
    mesh = box()
    page = np.full((64, 64, 3), 255, np.uint8)
    page[32:] = 90
    made = np.zeros((64, 64), bool)
    made[:32] = generated == "half"
    textured = scenetex.TexturedMesh(
        mesh, scenetex.unwrap(mesh, size=64), (page,), (np.ones((64, 64), bool),), 4096, (made,), 0.25
    )
    assert clipped_texels(textured) == {"before": 0.25, "after": 0.0 if generated else 0.5}
