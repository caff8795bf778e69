"""The black rim of photos that an app has undistorted."""

import cv2
import numpy as np
import pytest

from scenetex.scene.black_rim import fill_black_rim
from scenetex.scene.image_source import ImageSource, decode_color, decode_gray

V, U = np.mgrid[:60, :80]
PHOTO = np.stack([60 + U, 80 + 2 * V, 200 - U], -1).astype(np.uint8)


def rimmed(photo=PHOTO):
    """With what undistortion leaves: black that is widest at the corners."""
    height, width = photo.shape[:2]
    inside = ((U - width / 2) / (width / 2 + 1)) ** 2 * 0.9 + ((V - height / 2) / (height / 2 - 4)) ** 2 < 1.05
    out = photo.copy()
    out[~inside] = 0
    return out, inside


def test_the_rim_takes_the_colour_beside_it():
    photo, inside = rimmed()
    filled = fill_black_rim(photo, 40)
    deep = cv2.erode(inside.astype(np.uint8), np.ones((7, 7))) > 0
    np.testing.assert_array_equal(filled[deep], PHOTO[deep])
    assert filled.max(2).min() > 40
    near = cv2.dilate(inside.astype(np.uint8), np.ones((3, 3))) > 0
    assert np.abs(filled.astype(int) - PHOTO)[near].max() < 30


@pytest.mark.parametrize("gray", [False, True])
def test_nothing_else_changes(gray):
    photo = PHOTO.copy()
    photo[20:30, 20:60] = 0  # black things in the room
    photo = photo[..., 0] if gray else photo
    assert fill_black_rim(photo, 15) is photo
    dark = np.zeros_like(photo)
    np.testing.assert_array_equal(fill_black_rim(dark, 15), dark)
    # A black thing that goes on beyond the rim's width stays, and all that is not at the edge.
    photo[:, :30] = 0
    filled = fill_black_rim(photo, 15)
    np.testing.assert_array_equal(filled[17:-17, 17:], photo[17:-17, 17:])
    assert not filled[20:40, :15].any()


def test_as_an_image_source(tmp_path):
    photo, _ = rimmed()
    (tmp_path / "0.png").write_bytes(cv2.imencode(".png", photo[..., ::-1])[1].tobytes())
    plain, source = ImageSource(tmp_path / "0.png"), ImageSource(tmp_path / "0.png", black_rim=40)
    np.testing.assert_array_equal(decode_color(plain, (80, 60), "here"), photo)
    np.testing.assert_array_equal(decode_color(source, (80, 60), "here"), fill_black_rim(photo, 40))
    assert decode_gray(plain, (80, 60), 2, "here").min() == 0 and decode_gray(source, (80, 60), 2, "here").min() > 20
