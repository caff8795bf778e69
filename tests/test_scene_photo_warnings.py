"""What photos say and nobody heeds is said in one line each, once; sound photos are silent."""

import numpy as np
import pytest
from PIL import Image
from test_scene_image_header import ADOBE_RGB, profile
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


def test_colour_profiles_are_named_once(scan_without_depth):
    image = np.zeros((48, 64, 3), np.uint8)
    photos_of(scan_without_depth, image, icc_profile=profile("Adobe RGB (1998)", ADOBE_RGB, 2))
    with pytest.warns(InputWarning, match=r"color/2\.png: colours are in Adobe RGB \(1998\) \(ICC profile\)") as caught:
        load_scene(scan_without_depth)
    assert len(caught) == 1


def test_colours_that_no_profile_tells_are_named_too(scan_without_depth):
    for path in list((scan_without_depth / "color").iterdir()):
        Image.fromarray(np.zeros((48, 64, 3), np.uint8)).convert("CMYK").save(path)
    with pytest.warns(InputWarning, match=r"color/2\.jpg: colours are in CMYK and are taken for sRGB") as caught:
        load_scene(scan_without_depth)
    assert len(caught) == 1
