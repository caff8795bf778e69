"""What was never seen continues what is like it: on a floor of tiles beside a wall."""

import numpy as np
import pytest

import scenetex
from scenetex.texture.continuation import continued, settled
from scenetex.texture.texels import rasterize

TILE = 0.4


def corner() -> scenetex.Mesh:
    """A floor of 4 x 4 m and a wall of 4 x 2.5 m, in squares of half a metre."""
    parts, faces = [], []
    for origin, a, b in (((0, 0, 0), (1, 0, 0), (0, 1, 0)), ((0, 0, 0), (0, 0, 1), (1, 0, 0))):
        along, across = np.array(a) * (4.0 if a[0] else 2.5), np.array(b) * 4.0
        u, v = np.meshgrid(np.linspace(0, 1, 9), np.linspace(0, 1, 9), indexing="ij")
        start = sum(map(len, parts))
        parts.append((np.array(origin) + u[..., None] * along + v[..., None] * across).reshape(-1, 3))
        i, j = (x.ravel() for x in np.meshgrid(range(8), range(8), indexing="ij"))
        k = start + i * 9 + j
        faces += [np.stack([k, k + 9, k + 10], 1), np.stack([k, k + 10, k + 1], 1)]
    return scenetex.Mesh(np.concatenate(parts), np.concatenate(faces).astype(np.int32))


@pytest.fixture(scope="module")
def floor():
    """The corner with a floor of black and white tiles and a green wall; what lies beyond 2.2 m was not seen and is
    filled, the floor in grey: mesh, texels, places, true colours, what was seen."""
    mesh = corner()
    atlas = scenetex.unwrap(mesh, size=512)
    texels = rasterize(atlas)
    place = texels.interpolate(mesh.triangles.astype(np.float32))
    tiles = np.where((np.floor(place[:, 0] / TILE) + np.floor(place[:, 1] / TILE))[:, None] % 2, 220.0, 40.0)
    truth = np.where((place[:, 2] > 1e-3)[:, None], (90, 150, 90), tiles * np.ones(3))
    seen = place[:, 0] < 2.2
    pages, coverage = np.zeros((atlas.pages, 512, 512, 3), np.uint8), np.zeros((atlas.pages, 512, 512), bool)
    pages.reshape(-1, 3)[texels.pixel] = np.where((seen | (place[:, 2] > 1e-3))[:, None], truth, 128)
    coverage.reshape(-1)[texels.pixel] = seen
    return scenetex.TexturedMesh(mesh, atlas, tuple(pages), tuple(coverage)), texels, place, truth, seen


def test_tiles_go_on_and_stay_on_the_floor(floor):
    textured, _, place, truth, seen = floor
    told = continued(textured)
    assert (told.seen == seen).all()
    assert np.abs(told.color[seen] - truth[seen]).max() < 1e-3
    below = ~seen & (place[:, 2] <= 1e-3)
    right = np.abs(told.color[below] - truth[below]).mean(1) < 40
    assert right.mean() > 0.9
    wall = ~seen & (place[:, 2] > 0.15)
    assert np.abs(told.color[wall] - truth[wall]).max() < 12
    assert told.sure[seen].min() == 1 and (told.sure[~seen] < 1).all() and told.sure.min() >= 0


def test_fantasies_give_way_and_what_was_there_stays(floor):
    textured, texels, place, truth, seen = floor
    told = continued(textured)
    pages = np.stack(textured.textures)
    pages.reshape(-1, 3)[texels.pixel[~seen]] = (250, 20, 200)
    whole = np.zeros(pages.shape[:3], bool)
    whole.reshape(-1)[texels.pixel] = True
    made = scenetex.TexturedMesh(textured.mesh, textured.atlas, tuple(pages), tuple(whole))
    done = settled(made, textured, told)
    color = np.stack(done.textures).reshape(-1, 3)[texels.pixel].astype(float)
    assert (color[seen] == truth[seen]).all() and done.coverage is made.coverage
    wall = ~seen & (place[:, 2] > 0.15) & (place[:, 0] < 2.6)
    assert np.abs(color[wall] - truth[wall]).mean() < 30 < np.abs(np.array([250, 20, 200]) - truth[wall]).mean()
    # Painted anew with everything covered, nothing changes any more.
    again = settled(done, done, told)
    assert (np.stack(again.textures).reshape(-1, 3)[texels.pixel] == color).all()
