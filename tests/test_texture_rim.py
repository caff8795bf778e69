"""What was painted comes to meet what was there, and only near the rim."""

import numpy as np
import pytest

import scenetex
from scenetex.texture.rim import level_rim
from scenetex.texture.texels import rasterize

SIDE = 128


@pytest.fixture(scope="module")
def square():
    mesh = scenetex.Mesh(
        np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]], float), np.array([[0, 1, 2], [0, 2, 3]], np.int32)
    )
    atlas = scenetex.unwrap(mesh, size=SIDE)
    texels = rasterize(atlas)
    return atlas, texels, texels.pixel % SIDE


def test_a_step_vanishes_at_the_rim_and_fades(square):
    atlas, texels, column = square
    kept = column < 50
    color = np.where(kept, 100.0, 140.0)[:, None] * np.ones((1, 3), np.float32)
    out = level_rim(color.astype(np.float32), kept, texels, atlas)
    assert (out[kept] == 100).all()
    assert np.abs(out[column == 50] - 100).max() < 2
    means = [out[column == k].mean() for k in range(50, 120)]
    assert (np.diff(means) > -0.5).all() and means[-1] > 135


def test_what_hides_a_surface_does_not_bleed_into_it(square):
    """The last texel before the rim shows something else."""
    atlas, texels, column = square
    kept = column < 50
    color = np.full((len(texels), 3), 100, np.float32)
    color[kept & (column >= 49)] = 0
    out = level_rim(color, kept, texels, atlas)
    assert (out[kept] == color[kept]).all() and np.abs(out[~kept] - 100).max() < 1e-2


def test_without_a_rim_nothing_happens(square):
    atlas, texels, column = square
    color = np.random.default_rng(0).uniform(0, 255, (len(texels), 3)).astype(np.float32)
    for kept in (column < 0, column >= 0):
        assert (level_rim(color, kept, texels, atlas) == color).all()
