"""The contact sheet: its parts are where they belong and show what is true."""

from dataclasses import replace

import numpy as np
import pytest
from painted_sheet import painted_sheet, true_color

from scenetex.report.preview import contact_sheet, dollhouse_camera, source_legend
from scenetex.texture.render import render_textured
from scenetex.texture.sources import COLORS
from scenetex.views.viewset import cast_views


def looking_down(count: int, size: tuple[int, int]):
    """Views of the sheet from above, side by side."""
    poses = np.tile(np.eye(4), (count, 1, 1))
    poses[:, :3, :3] = np.diag([1.0, -1.0, -1.0])
    poses[:, :3, 3] = np.stack([np.linspace(0.3, 0.7, count), np.full(count, 0.5), np.full(count, 1.5)], 1)
    intrinsics = np.array([[size[0], 0, size[0] / 2 - 0.5], [0, size[0], size[1] / 2 - 0.5], [0, 0, 1]], np.float64)
    mesh = painted_sheet().mesh
    return cast_views(mesh, np.tile(intrinsics, (count, 1, 1)), poses, size, tuple(range(10, 10 + count)))


def contains_color(sheet: np.ndarray, color, at_least: int, tolerance: int = 6) -> bool:
    return np.count_nonzero(np.abs(sheet.astype(int) - color).max(-1) <= tolerance) >= at_least


@pytest.mark.parametrize(
    ("count", "pages", "size"), [(1, 1, (64, 48)), (3, 2, (48, 64)), (11, 10, (160, 40)), (2, 1, (20, 90))]
)
def test_any_number_and_shape_of_views_fits(count, pages, size):
    views = looking_down(count, size)
    colors = np.random.default_rng(1).integers(0, 256, (count, 3), np.uint8)
    # Photos may be larger than the views and differ in size.
    images = [np.full((50 + 7 * k, 70, 3), colors[k], np.uint8) for k in range(count)]
    sheet = contact_sheet(views, images, painted_sheet(pages))
    assert sheet.shape[1:] == (1840, 3) and sheet.dtype == np.uint8 and 400 < sheet.shape[0] < 3200
    for k in {0, count - 1}:
        assert contains_color(sheet, colors[k], 500, 0), f"photo {k} is missing"
    # The outer margin stays clean.
    assert (sheet[:8] == sheet[0, 0]).all() and (sheet[:, :20] == sheet[0, 0]).all()
    assert (sheet[-20:] == sheet[0, 0]).all() and (sheet[:, -20:] == sheet[0, 0]).all()


def test_sources_are_shown_in_false_colours_and_only_in_charts():
    """What a texel's colour comes from: told on the atlas where it lies, with its part of all texels."""
    views, images = looking_down(1, (64, 48)), [np.zeros((48, 64, 3), np.uint8)]
    textured = painted_sheet()
    side = int((1840 - 48 - 20) / (1 + 2 * 64 / 48))

    def shown(color) -> np.ndarray:
        sheet = contact_sheet(views, images, textured)[:, : 24 + side]
        return np.argwhere(np.abs(sheet[-24 - side :].astype(int) - color).max(-1) <= 2)

    charted = textured.atlas.charted.mean()  # the part of the page that texels of the chart take, 0.6 x 0.8 of it
    assert charted == pytest.approx(0.6 * 0.8, rel=0.02)
    assert len(shown(COLORS["photo"])) == pytest.approx(charted * side**2, rel=0.02)
    textured.coverage[0][:, :22] = False  # of 64 texels; the chart goes from 4 to 42.4
    filled, photo = shown(COLORS["filled"]), shown(COLORS["photo"])
    assert len(filled) == pytest.approx(18 / 64 * 0.8 * side**2, rel=0.03)
    corner = [side - side / 16, 24 + side / 16]  # the chart's margin from the page's lower left, where v is 0
    assert np.abs([filled[:, 0].max() + 1, filled[:, 1].min()] - np.array(corner)).max() <= 2
    textured = replace(textured, generated=(textured.coverage[0].copy(),))
    assert len(shown(COLORS["generated"])) == pytest.approx(len(photo), rel=0.01) and not len(shown(COLORS["photo"]))
    assert next(text for text, _ in source_legend(textured)) == "photo 0.0 %"


def test_views_that_see_nothing_are_shown_empty():
    views = looking_down(2, (64, 48))
    views.depth[:] = 0
    sheet = contact_sheet(views, np.zeros((2, 48, 64, 3), np.uint8), painted_sheet())
    assert sheet.shape[0] > 400


@pytest.mark.parametrize("up", ["z", "-y"])
def test_dollhouse_camera_sees_all_from_above(up):
    textured = painted_sheet(size=128)
    if up == "-y":  # a mesh in OpenCV axes: gravity points along its y
        turn = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])
        textured.mesh.axis_alignment[:3, :3] = turn
        textured.mesh.vertices[:] = textured.mesh.vertices @ turn
    size = (160, 120)
    intrinsics, pose = dollhouse_camera(textured, size)
    np.testing.assert_allclose(pose[:3, :3].T @ pose[:3, :3], np.eye(3), atol=1e-12)
    assert np.linalg.det(pose[:3, :3]) > 0
    to_gravity = textured.mesh.axis_alignment
    assert (to_gravity @ pose)[2, 3] > 0.5, "the camera is above"
    assert (to_gravity[:3, :3] @ pose[:3, 1])[2] < 0, "image down is down"
    in_camera = (textured.mesh.vertices - pose[:3, 3]) @ pose[:3, :3]
    pixels = in_camera @ intrinsics.T
    pixels = pixels[:, :2] / pixels[:, 2:]
    assert (in_camera[:, 2] > 0).all() and (pixels > -1).all() and (pixels < np.array(size)).all()
    assert np.ptp(pixels, axis=0).max() > 0.6 * min(size), "it fills the picture"
    image = render_textured(textured, intrinsics, pose, size, cull_backfaces=True)
    middle = image[60, 80].astype(float)
    assert np.abs(middle - true_color(np.array([[0.5, 0.5, 0]]))).max() < 40
