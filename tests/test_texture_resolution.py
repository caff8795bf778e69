"""Photos are painted with no larger than the texels can hold, and never smaller than that."""

import numpy as np
import pytest
from painted_box import box, photograph, pinhole, texel_points, views_of, walk_around

from scenetex import bake, unwrap
from scenetex.texture.bake import survey
from scenetex.texture.resolution import as_fine_as_texels

SIZE, POSES = (640, 480), walk_around(10)


def sizes_for(texels: int) -> set[tuple[int, int]]:
    mesh = box()
    seen = survey(mesh, views_of(mesh, POSES, pinhole(SIZE), (160, 120)), photograph(mesh, POSES, pinhole(SIZE), SIZE))
    layout = seen.patches.layout(unwrap(mesh, texels))
    shots = as_fine_as_texels(seen.surface, layout, seen.shots, seen.pictures, seen.choice.detail)
    for shot, given in zip(shots, seen.shots, strict=True):
        factor = shot.size[0] / given.size[0]
        np.testing.assert_allclose(shot.intrinsics[0, 0], factor * given.intrinsics[0, 0])
        assert shot.image.shape == (shot.size[1], shot.size[0], 3) and shot.scale == pytest.approx(factor)
    return {shot.size for shot in shots}


def test_fine_texels_get_the_photos_as_they_are():
    assert sizes_for(4096) == {SIZE}


def test_coarse_texels_get_smaller_ones():
    small, smaller = sizes_for(256), sizes_for(128)
    assert max(w for w, _ in small) <= 320 and max(w for w, _ in smaller) < max(w for w, _ in small)
    assert min(w for w, _ in small) >= 16 and min(w for w, _ in smaller) >= 8


def test_what_is_too_fine_for_the_texels_does_not_flicker():
    """Stripes of 2 cm, on texels of 5 cm: their mean, not the one or the other."""

    def stripes(points: np.ndarray) -> np.ndarray:
        return np.repeat(np.where(np.floor(points @ [50, 50, 50]) % 2 == 0, 60.0, 180.0)[:, None], 3, 1)

    mesh, size = box(), (1280, 960)
    atlas = unwrap(mesh, 128)
    photos = photograph(mesh, POSES, pinhole(size), size, stripes)
    textured = bake(mesh, atlas, views_of(mesh, POSES, pinhole(size), (320, 240)), photos)
    pixel, _ = texel_points(mesh, atlas)
    seen = textured.coverage[0].ravel()[pixel]
    assert textured.textures[0].reshape(-1, 3)[pixel[seen]].astype(float).std() < 12
