"""Scores on photos held out, against exact renders and what the figures are defined as."""

from dataclasses import astuple

import numpy as np
import pytest
from painted_box import box, photograph, pinhole, smooth_color, views_of, walk_around

import scenetex
from scenetex.metrics.held_out import figures, score_held_out
from scenetex.scene.mesh import Mesh
from scenetex.texture.atlas import Atlas
from scenetex.texture.fill import pad
from scenetex.texture.render import render_textured
from scenetex.texture.texels import rasterize

SIZE = 160, 120
K = pinhole(SIZE)
POSES = walk_around(4)


def stripes(points: np.ndarray) -> np.ndarray:
    return 127 + 80 * np.sin(25 * np.asarray(points, float))


def painted(colors, mesh=None, size: int = 1024) -> scenetex.TexturedMesh:
    """The box with its true colours."""
    mesh = mesh or box()
    atlas = scenetex.unwrap(mesh, size=size)
    texels = rasterize(atlas)
    places = texels.interpolate(mesh.vertices[mesh.faces])
    pages = texels.spread(np.rint(colors(places)).clip(0, 255).astype(np.uint8), atlas)
    pages = [pad(page, mask) for page, mask in zip(pages, texels.charted(atlas), strict=True)]
    return scenetex.TexturedMesh(mesh, atlas, tuple(pages), tuple(np.ones(p.shape[:2], bool) for p in pages))


def score(textured, photos, poses=POSES, scan=None):
    return score_held_out(textured, scan or box(), photos, [K] * len(photos), poses)


def test_the_truth_scores_best():
    found = score(painted(smooth_color), photograph(box(), POSES, K, SIZE))
    assert found.psnr > 40 and found.psnr_aligned >= found.psnr - 0.5
    assert found.gradient_ratio == pytest.approx(1, abs=0.05) and found.ssim > 0.97 and found.drawn > 0.999


def test_exposure_is_forgiven_and_blur_is_told():
    photos = photograph(box(), POSES, K, SIZE, stripes)
    darker = [np.rint(photo * [0.5, 0.6, 0.7]).astype(np.uint8) for photo in photos]
    sharp = painted(stripes, size=2048)
    assert score(sharp, darker).psnr == pytest.approx(score(sharp, photos).psnr, abs=6)
    assert score(sharp, darker).psnr > 30
    flat = score(painted(lambda points: np.full((len(points), 3), 127.0)), photos)
    assert flat.gradient_ratio < 0.05 and flat.ssim < 0.4 and flat.psnr < 15


def test_shifts_of_poses_are_forgiven_by_alignment():
    """The true texture seen two pixels beside: renders of a shifted camera."""
    textured = painted(stripes, size=2048)
    shifted = K + np.array([[0, 0, 2.0], [0, 0, -1.0], [0, 0, 0]])
    photos = [render_textured(textured, shifted, pose, SIZE) for pose in POSES]
    found = score(textured, photos)
    assert found.psnr < 20 and found.psnr_aligned > found.psnr + 10


def test_faces_that_are_gone_are_not_drawn_and_do_not_count():
    whole = painted(smooth_color)
    photos = photograph(box(), POSES, K, SIZE)
    page = whole.atlas.page.copy()
    page[::2] = -1
    atlas = Atlas(**(vars(whole.atlas) | {"page": page}))
    half = scenetex.TexturedMesh(whole.mesh, atlas, whole.textures, whole.coverage)
    found = score(half, photos)
    assert 0.3 < found.drawn < 0.7 and found.psnr > 40
    moved = scenetex.TexturedMesh(
        Mesh(whole.mesh.vertices * 1.1 - 0.1, whole.mesh.faces), whole.atlas, whole.textures, whole.coverage
    )
    nothing = score(moved, photos)
    assert nothing.drawn < 0.1


def test_what_draws_nothing_has_no_figures():
    whole = painted(smooth_color, size=256)
    atlas = Atlas(**(vars(whole.atlas) | {"page": np.full_like(whole.atlas.page, -1)}))
    found = score(
        scenetex.TexturedMesh(whole.mesh, atlas, whole.textures, whole.coverage), photograph(box(), POSES, K, SIZE)
    )
    assert found.drawn == 0 and np.isnan(astuple(found)[:4]).all()
    assert figures(found) == dict.fromkeys(("psnr", "psnr_aligned", "gradient_ratio", "ssim"), None) | {"drawn": 0.0}


def test_scenes_far_from_the_origin():
    """Survey coordinates: single precision alone would shake by centimetres."""
    far = np.array([4e5, 5e6, 100.0])
    moved = Mesh(box().vertices + far, box().faces)
    poses = POSES.copy()
    poses[:, :3, 3] += far
    near = painted(stripes)
    textured = scenetex.TexturedMesh(moved, near.atlas, near.textures, near.coverage)
    photos = photograph(box(), POSES, K, SIZE, stripes)
    there = score_held_out(textured, moved, photos, [K] * 4, poses)
    assert there.psnr == pytest.approx(score(near, photos).psnr, abs=0.5)
    assert views_of(box(), POSES, K, SIZE).depth.max() < 10
