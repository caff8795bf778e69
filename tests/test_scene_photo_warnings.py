"""What photos say and nobody heeds is said in one line each, once; sound photos are silent."""

import numpy as np
import pytest
from icc_profiles import ADOBE_RGB, grey_profile, rgb_profile
from PIL import Image
from tiny_scan import write_extracted

from scenetex import load_scene
from scenetex.errors import InputWarning


def photos_of(folder, image: np.ndarray, **fields):
    for path in list((folder / "color").iterdir()):
        path.unlink()
        Image.fromarray(image).save(path.with_suffix(".png"), **fields)


@pytest.fixture
def scan_without_depth(tmp_path):
    return write_extracted(tmp_path / "room", depth=False)


@pytest.mark.parametrize(
    ("profile", "said"),
    [(b"damaged", "cannot be read"), (grey_profile(2.2), "is for GRAY, the pixels are RGB")],
)
def test_profiles_that_cannot_be_read_are_named_once(scan_without_depth, profile, said):
    photos_of(scan_without_depth, np.zeros((48, 64, 3), np.uint8), icc_profile=profile)
    match = rf"color/2\.png: colour profile \(ICC\) {said}: colours are taken for sRGB; convert the photos to sRGB"
    with pytest.warns(InputWarning, match=match) as caught:
        load_scene(scan_without_depth)
    assert len(caught) == 1


def test_one_damaged_profile_among_sound_ones_is_named(scan_without_depth):
    image = np.full((48, 64, 3), (200, 90, 40), np.uint8)
    photos_of(scan_without_depth, image, icc_profile=rgb_profile(ADOBE_RGB))
    Image.fromarray(image).save(scan_without_depth / "color" / "10.png", icc_profile=b"damaged")
    with pytest.warns(InputWarning, match=r"color/10\.png: colour profile") as caught:
        scene = load_scene(scan_without_depth)
    assert len(caught) == 1
    assert (scene.frame(10).read_color()[0, 0] == (200, 90, 40)).all()
    assert scene.frame(2).read_color()[0, 0, 0] > 210


@pytest.mark.parametrize(("tag", "how"), [(3, "by half"), (2, "mirrors"), (4, "mirrors")])
def test_turns_that_sizes_do_not_tell_are_named_once(scan_without_depth, tag, how):
    exif = Image.Exif()
    exif[0x0112] = tag
    image = np.arange(48 * 64 * 3, dtype=np.uint8).reshape(48, 64, 3)
    photos_of(scan_without_depth, image, exif=exif)
    with pytest.warns(InputWarning, match=f"color/2.png: has an orientation tag .* {how}") as caught:
        scene = load_scene(scan_without_depth)
    assert len(caught) == 1
    np.testing.assert_array_equal(scene.frame(10).read_color(), image)


def test_colours_that_no_profile_tells_are_named_too(scan_without_depth):
    for path in list((scan_without_depth / "color").iterdir()):
        Image.fromarray(np.zeros((48, 64, 3), np.uint8)).convert("CMYK").save(path)
    with pytest.warns(InputWarning, match=r"color/2\.jpg: colours are in CMYK and are taken for sRGB") as caught:
        load_scene(scan_without_depth)
    assert len(caught) == 1
