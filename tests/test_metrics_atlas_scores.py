"""Coverage, seams and sharpness of an atlas; colours of floor and walls."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from painted_box import HIGH, LOW, box, photograph, pinhole, smooth_color, texel_points, views_of, walk_around
from painted_sheet import painted_sheet
from synthetic_rooms import quick_room

from scenetex.metrics import floor_faces, mean_color, measure_atlas, nearest_color, wall_faces
from scenetex.texture.bake import bake
from scenetex.texture.textured_mesh import TexturedMesh
from scenetex.texture.unwrap import unwrap


def painted(color, size: int = 256) -> TexturedMesh:
    """The box with `color` of points (n, 3) in every texel, and beyond the charts by the nearest of theirs."""
    from scenetex.texture.fill import pad

    mesh = box()
    atlas = unwrap(mesh, size)
    pixel, points = texel_points(mesh, atlas)
    page, mask = np.zeros((size * size, 3), np.uint8), np.zeros(size * size, bool)
    page[pixel], mask[pixel] = np.rint(color(points)), True
    mask = mask.reshape(size, size)
    return TexturedMesh(mesh, atlas, (pad(page.reshape(size, size, 3), mask),), (mask,), len(pixel))


def test_coverage_is_the_part_of_texels_seen():
    whole = painted(smooth_color)
    assert measure_atlas(whole).coverage == 1
    half = whole.coverage[0].copy()
    half[np.flatnonzero(half.any(1))[::2]] = False
    seen = replace(whole, coverage=(half,))
    assert measure_atlas(seen).coverage == pytest.approx(half.sum() / whole.texels)
    assert np.isnan(measure_atlas(replace(whole, texels=None)).coverage)


def test_a_continuous_picture_has_no_seams():
    """The sheet on two pages: colours run on across the seam as they do inside."""
    score = measure_atlas(painted_sheet(pages=2))
    assert score.inner_difference > 0
    assert score.seam_energy < 2.0


def test_a_step_in_brightness_at_the_seam_is_its_difference():
    sheet = painted_sheet(pages=2)
    flat = [np.full_like(page, 100) for page in sheet.textures]
    plain = measure_atlas(replace(sheet, textures=tuple(flat)))
    assert max(plain.seam_difference, plain.inner_difference) < 1e-4 and np.isnan(plain.seam_energy)
    flat[1] += 30
    stepped = measure_atlas(replace(sheet, textures=tuple(flat)))
    assert stepped.seam_difference == pytest.approx(30, abs=1e-4)
    assert stepped.inner_difference < 1e-4 and stepped.seam_energy == np.inf


def test_seams_at_sharp_creases_do_not_count():
    """Each side of the box is flat: with a colour of its own for each, only creases differ."""
    mesh = box()

    def by_side(points):
        side = np.argmin(np.abs(np.concatenate([points - LOW, points - HIGH], 1)), 1)
        return np.repeat(20.0 + 30 * side[:, None], 3, 1)

    score = measure_atlas(painted(by_side))
    assert len(mesh.faces) == 12
    assert np.isnan(score.seam_difference) or score.seam_difference < 1e-3
    assert score.inner_difference < 1e-3


def test_one_page_without_seams():
    score = measure_atlas(painted_sheet(pages=1, dirty=True))
    assert np.isnan(score.seam_difference) and score.inner_difference > 0 and np.isnan(score.seam_energy)


def test_sharpness_of_renders_is_measured_against_the_images():
    mesh, size = box(), (64, 48)
    views = views_of(mesh, walk_around(4), pinhole(size), size)

    def stripes(points):
        return np.repeat(128 + 60 * np.sin(9 * np.asarray(points).sum(1, keepdims=True)), 3, 1)

    photos = photograph(mesh, views.cam_to_world, views.intrinsics, size, stripes)
    exact = measure_atlas(painted(stripes, 512), views, photos).sharpness
    assert exact == pytest.approx(1, abs=0.05)
    assert measure_atlas(painted(lambda p: stripes(p) * 0.5 + 64, 512), views, photos).sharpness == pytest.approx(
        0.5 * exact, rel=0.03
    )


@settings(max_examples=20, deadline=None)
@given(turn=st.floats(-3, 3), lift=st.floats(-50, 50))
def test_floor_and_walls_by_gravity(turn, lift):
    """In whatever frame the mesh comes, its axis alignment tells where up is."""
    transform = np.eye(4)
    c, s = np.cos(turn), np.sin(turn)
    transform[1:3, 1:3], transform[:3, 3] = [[c, -s], [s, c]], (1.0, lift, -lift)
    plain = box()
    moved = plain.transformed(transform)
    middle = plain.triangles.mean(1)
    level = np.abs(plain.face_normals[:, 2]) > 0.9
    assert np.array_equal(floor_faces(moved), level & (middle[:, 2] < LOW[2] + 0.01))
    assert np.array_equal(wall_faces(moved), ~level & (middle[:, 2] >= LOW[2] + 1.3))


def test_floor_and_walls_of_a_furnished_room():
    room = quick_room()
    area = room.mesh.face_areas
    own = room.face_part == room.parts.index("floor")
    found = floor_faces(room.mesh)
    assert area[found & own].sum() > 0.99 * area[own].sum()
    assert area[found & own].sum() > 0.6 * area[found].sum()
    walls = wall_faces(room.mesh)
    own = room.face_part == room.parts.index("walls")
    assert area[walls & own].sum() > 0.4 * area[walls].sum()
    assert not (walls & found).any()


def test_mean_color_is_that_of_the_area():
    textured = painted(smooth_color)
    floor = floor_faces(textured.mesh)
    x, y = np.meshgrid(*(np.linspace(LOW[k], HIGH[k], 201) for k in (0, 1)))
    expected = smooth_color(np.stack([x.ravel(), y.ravel(), np.full(x.size, LOW[2])], 1)).mean(0)
    assert np.allclose(mean_color(textured, floor), expected, atol=1.0)
    assert np.isnan(mean_color(textured, floor & False)).all()


def test_baked_floor_keeps_its_color():
    mesh, size = box(), (64, 48)
    views = views_of(mesh, walk_around(8), pinhole(size), size)

    def floor_is_red(points):
        return np.where(points[:, 2:] < LOW[2] + 1e-3, [[170, 60, 50]], [[90, 140, 180]]).astype(float)

    photos = photograph(mesh, views.cam_to_world, views.intrinsics, size, floor_is_red)
    baked = bake(mesh, unwrap(mesh, 128), views, photos)
    names = np.array([[170, 60, 50], [90, 140, 180], [240, 240, 240]])
    assert nearest_color(mean_color(baked, floor_faces(mesh)), names) == 0
    assert nearest_color(mean_color(baked, wall_faces(mesh)), names) == 1


def test_nearest_color():
    references = np.array([[200, 60, 50], [60, 90, 200], [128, 128, 128]])
    assert [nearest_color(c + 5, references) for c in references] == [0, 1, 2]
    assert nearest_color(np.full(3, np.nan), references) == -1
