"""Blending: one photo comes through, shares are respected, and how the work is cut up changes nothing."""

import numpy as np
import pytest
from painted_box import box, look_at, photograph, pinhole, smooth_color, views_of, walk_around

from scenetex import unwrap
from scenetex.scene.srgb import from_light, to_light
from scenetex.texture import blend as module
from scenetex.texture.blend import blend
from scenetex.texture.exposure import Exposure
from scenetex.texture.projection import Surface, photos
from scenetex.texture.selection import Choice
from scenetex.texture.subdivide import patches
from scenetex.texture.texels import rasterize
from scenetex.texture.working_frame import WorkingFrame

SIZE = (160, 120)
MESH = box()
CUT = patches(MESH, 0.3)
SURFACE = Surface.of(CUT.mesh)
TEXELS = rasterize(CUT.layout(unwrap(MESH, 128)))
PLACES = TEXELS.interpolate(CUT.mesh.triangles)
BLUR, RAMP = 1.5, 7.5


def shots(poses, images):
    return photos(views_of(MESH, poses, pinhole(SIZE), SIZE), images, WorkingFrame(np.zeros(3), 1.0))


def same(gain: np.ndarray) -> Exposure:
    """Gains without vignetting."""
    return Exposure(gain, np.zeros(2))


def even(count: int, **changes) -> Choice:
    """Every photo is trusted and has the same share everywhere."""
    faces = len(SURFACE.faces)
    ones = np.ones((faces, count), np.float32)
    return Choice(
        **{
            "exposure": same(np.ones((count, 3), np.float32)),
            "trust": ones,
            "misregistration": 0.0,
            "detail": ones / count,
        }
        | changes
    )


def in_picture(pose, margin: float = 1.0) -> np.ndarray:
    pixel = (PLACES - pose[:3, 3]) @ pose[:3, :3] @ pinhole(SIZE).T
    place = pixel[:, :2] / pixel[:, 2:]
    return (pixel[:, 2] > 0) & (place > margin).all(1) & (place < np.array(SIZE) - 1 - margin).all(1)


def run(poses, images, choice, shared=1.0, **options):
    return blend(SURFACE, TEXELS, shots(poses, images), choice, BLUR, shared, RAMP, **options)


def test_one_photo_comes_through():
    pose = walk_around(1)
    calls = []
    color, seen = run(pose, photograph(MESH, pose, pinhole(SIZE), SIZE), even(1), done=lambda: calls.append(1))
    assert color.shape == (len(TEXELS), 3) and color.dtype == np.float32 and len(calls) == 1
    inside = in_picture(pose[0])
    assert (seen & ~in_picture(pose[0], -1.0)).sum() == 0
    assert seen[inside].mean() > 0.9 and not color[~seen].any()
    error = np.abs(color - smooth_color(PLACES))[seen].max(1)
    assert np.quantile(error, 0.95) < 3


@pytest.mark.parametrize("shared", [1.0, 0.3, 0.0])
def test_a_photo_that_is_not_trusted_and_not_chosen_does_not_show(shared):
    pose = np.repeat(walk_around(1), 2, axis=0)
    images = [np.full((120, 160, 3), c, np.uint8) for c in (60, 200)]
    faces = len(SURFACE.faces)
    wanted = np.tile(np.float32([0, 1]), (faces, 1))
    color, seen = run(pose, images, even(2, trust=wanted, detail=wanted), shared)
    assert seen.any()
    np.testing.assert_allclose(color[seen], 200, atol=1)


def test_equal_photos_meet_in_the_middle_and_gains_apply():
    pose = np.repeat(walk_around(1), 2, axis=0)
    images = [np.full((120, 160, 3), c, np.uint8) for c in (60, 200)]
    color, seen = run(pose, images, even(2))
    dark, bright = to_light(np.array([60.0, 200.0])) ** (1 / 2.2)
    np.testing.assert_allclose(color[seen], from_light(((dark + bright) / 2) ** 2.2), atol=1)
    gain = np.float32([[2, 2, 2], [0.6, 0.6, 0.6]])
    color, _ = run(pose, images, even(2, exposure=same(gain)))
    np.testing.assert_allclose(color[seen], from_light((dark + 0.3 * bright) ** 2.2), atol=1)


def test_detail_comes_from_the_chosen_photo_and_colour_from_both():
    pose = np.repeat(walk_around(1), 2, axis=0)
    u = np.arange(160)
    stripes = np.broadcast_to((40 * np.sin(2 * np.pi * u / 5))[None, :, None], (120, 160, 3))
    images = [np.rint(100 + stripes).astype(np.uint8), np.full((120, 160, 3), 160, np.uint8)]
    faces = len(SURFACE.faces)
    contrast = {}
    for first in (1.0, 0.0):
        detail = np.tile(np.float32([first, 1 - first]), (faces, 1))
        color, seen = run(pose, images, even(2, detail=detail))
        np.testing.assert_allclose(color[seen].mean(), 130, atol=3)
        contrast[first] = color[seen].std()
    assert contrast[1.0] > 15 and contrast[0.0] < 4


@pytest.mark.parametrize("shared", [1.0, 0.5, 0.0])
def test_how_far_colour_is_shared(shared):
    pose = np.repeat(walk_around(1), 2, axis=0)
    images = [np.full((120, 160, 3), c, np.uint8) for c in (100, 160)]
    first = np.tile(np.float32([1, 0]), (len(SURFACE.faces), 1))
    color, seen = run(pose, images, even(2, detail=first), shared)
    # Weights of 1 and `shared`: (100 + 160 shared) / (1 + shared).
    np.testing.assert_allclose(color[seen], (100 + 160 * shared) / (1 + shared), atol=1)


def test_the_size_of_blocks_does_not_matter(monkeypatch):
    poses = walk_around(5)
    images = photograph(MESH, poses, pinhole(SIZE), SIZE)
    whole = run(poses, images, even(5))
    for size in (1, 700):
        monkeypatch.setattr(module, "_BLOCK", size)
        if size == 1:  # one block a face is slow: a single photo will do
            small, one = run(poses[:1], images[:1], even(1)), None
            monkeypatch.setattr(module, "_BLOCK", 10**9)
            one = run(poses[:1], images[:1], even(1))
        else:
            small, one = run(poses, images, even(5)), whole
        np.testing.assert_array_equal(small[0], one[0])
        np.testing.assert_array_equal(small[1], one[1])


def test_photos_that_see_nothing_leave_everything_unseen():
    pose = look_at([50, 0, 0], [90, 0, 0])[None]
    color, seen = run(pose, [np.full((120, 160, 3), 99, np.uint8)], even(1))
    assert not seen.any() and not color.any()
