"""Noise, patterns, the texture page and swatches."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scenetex import InputError
from scenetex.synthetic import art, patterns
from scenetex.synthetic.materials import draw_swatch, find_look, list_swatches
from scenetex.synthetic.palette import COLORS, FLOORS, NOUNS, STYLES, WALLS, WOODS, color_name
from scenetex.synthetic.textures import Material, pack_materials, pack_rectangles
from scenetex.synthetic.value_noise import fractal_noise, value_noise

PAINTERS = sorted(
    {look.pattern for look in (*FLOORS.values(), *WALLS.values())} | {"wood", "fabric", "leather", "smooth"}
)


def seam_ratio(image: np.ndarray, axis: int) -> float:
    """The step from the last row to the first, over the largest step between neighbours inside."""
    image = np.moveaxis(image, axis, 0)
    inside = np.abs(np.diff(image, axis=0)).mean(axis=tuple(range(1, image.ndim)))
    return float(np.abs(image[0] - image[-1]).mean() / inside.max())


@given(st.integers(0, 5), st.integers(0, 6), st.integers(0, 6))
@settings(max_examples=30, deadline=None)
def test_noise_has_unit_deviation_and_no_seam(seed, rows, columns):
    noise = value_noise(np.random.default_rng(seed), (64, 64), (2**rows, 2**columns))
    assert noise.shape == (64, 64) and noise.dtype == np.float32
    if rows + columns > 6:
        assert 0.6 < noise.std() < 1.5
    if rows < 6 and columns < 6:
        assert max(seam_ratio(noise, 0) if rows else 0, seam_ratio(noise, 1) if columns else 0) <= 1.3


def test_noise_of_more_octaves_is_rougher():
    smooth, rough = (fractal_noise(np.random.default_rng(1), (128, 128), (4, 4), n) for n in (1, 5))
    assert np.abs(np.diff(rough)).mean() > 1.5 * np.abs(np.diff(smooth)).mean()


@pytest.mark.parametrize("name", PAINTERS)
def test_patterns_tile_keep_their_colour_and_repeat_for_a_seed(name):
    color = np.array([0.62, 0.55, 0.47])
    paint = getattr(patterns, name)
    image = paint(np.random.default_rng(4), (256, 256), 0.008, color)
    assert image.dtype == np.float32 and image.shape == (256, 256, 3)
    assert image.min() >= 0 and image.max() <= 1
    np.testing.assert_array_equal(image, paint(np.random.default_rng(4), (256, 256), 0.008, color))
    assert not np.array_equal(image, paint(np.random.default_rng(5), (256, 256), 0.008, color))
    assert max(seam_ratio(image, 0), seam_ratio(image, 1)) < 1.3
    if name != "checker":
        assert np.abs(image.mean((0, 1)) - color).max() < 0.09


@pytest.mark.parametrize("painter", [art.landscape, art.abstract, art.rug])
def test_pictures_use_the_colours_they_are_given(painter):
    images = [painter(np.random.default_rng(2), (40, 60), [color] * 3) for color in ((200, 60, 50), (50, 80, 200))]
    assert images[0].shape == (40, 60, 3) and images[0].dtype == np.float32
    red, blue = (image[..., 0].mean() - image[..., 2].mean() for image in images)
    assert red > blue + 0.05


def test_styles_name_only_what_exists():
    for style in STYLES.values():
        assert set(style.floors) <= set(FLOORS) and set(style.walls) <= set(WALLS)
        assert set(style.woods) <= set(WOODS) and set(style.fabrics) | set(style.accents) <= set(COLORS)
    for look in (*FLOORS.values(), *WALLS.values()):
        assert not look.swatches or look.pattern in NOUNS


@pytest.mark.parametrize("name", COLORS)
def test_a_colour_is_called_by_its_own_name(name):
    assert color_name(COLORS[name]) == name
    assert color_name([c + 3 for c in COLORS[name]]) == name


def test_an_unknown_look_is_an_input_error_that_suggests_some():
    with pytest.raises(InputError, match=r"floor 'oak plank' is not known; try one of .*oak"):
        find_look("floor", "oak plank")


@given(st.lists(st.tuples(st.integers(1, 40), st.integers(1, 40)), min_size=1, max_size=60))
def test_packed_rectangles_do_not_overlap(sizes):
    sizes = np.array(sizes)
    origin, width, height = pack_rectangles(sizes)
    page = np.zeros((height, width), int)
    for (x, y), (w, h) in zip(origin, sizes, strict=True):
        page[y : y + h, x : x + w] += 1
    assert page.max() == 1 and page.sum() == sizes.prod(1).sum()


@pytest.fixture(scope="module")
def page():
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, (32, 64, 3), np.uint8), rng.integers(0, 256, (16, 16, 3), np.uint8)]
    return images, pack_materials([Material(images[0], (0.64, 0.32)), Material(images[1], (0.4, 0.4))])


def test_texels_are_looked_up_at_their_centres(page):
    images, textures = page
    row, column = np.meshgrid(np.arange(32), np.arange(64), indexing="ij")
    turns = np.stack([(column.ravel() + 0.5) / 64, (row.ravel() + 0.5) / 32], 1).astype(np.float32)
    for shift in (0, -3, 7):
        color = textures.sample(np.zeros(len(turns), np.int32), turns + np.float32(shift))
        np.testing.assert_allclose(color, images[0].reshape(-1, 3), atol=1)


def test_tiles_wrap_between_their_last_and_first_texel(page):
    images, textures = page
    color = textures.sample(np.array([1], np.int32), np.array([[0.0, 0.5 / 16]], np.float32))
    np.testing.assert_allclose(color[0], (images[1][0, 0].astype(float) + images[1][0, -1]) / 2, atol=2)


def test_a_wide_footprint_sees_the_mean(page):
    images, textures = page
    turns = np.random.default_rng(1).random((200, 2), np.float32)
    color = textures.sample(np.ones(200, np.int32), turns, np.full(200, 3.0, np.float32))
    np.testing.assert_allclose(color, np.broadcast_to(images[1].mean((0, 1)), color.shape), atol=3)
    sharp = textures.sample(np.ones(200, np.int32), turns, np.full(200, 1e-4, np.float32))
    np.testing.assert_allclose(sharp, textures.sample(np.ones(200, np.int32), turns), atol=1e-3)


def test_swatches_are_drawn_by_category(tmp_path):
    (tmp_path / "carpet").mkdir()
    cv2.imwrite(str(tmp_path / "carpet" / "a.png"), np.full((8, 8, 3), (60, 66, 158), np.uint8))
    found = list_swatches(tmp_path)
    color, image = draw_swatch(np.random.default_rng(0), FLOORS["grey carpet"], found)
    assert color == "red" and tuple(image[0, 0]) == (158, 66, 60)
    assert draw_swatch(np.random.default_rng(0), FLOORS["oak planks"], found) is None


def test_bad_swatch_folders_are_input_errors(tmp_path):
    with pytest.raises(InputError, match="no such folder"):
        list_swatches(tmp_path / "absent")
    with pytest.raises(InputError, match="no material swatches"):
        list_swatches(tmp_path)
    (tmp_path / "carpet").mkdir()
    (tmp_path / "carpet" / "a.jpg").write_bytes(b"no image")
    with pytest.raises(InputError, match=r"a\.jpg: cannot be read"):
        draw_swatch(np.random.default_rng(0), FLOORS["grey carpet"], list_swatches(tmp_path))
