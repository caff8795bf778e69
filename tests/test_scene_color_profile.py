"""Photos in other colour spaces come out as the analytic sRGB, in every format that carries a profile."""

import struct
import warnings
import zlib

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from icc_profiles import (
    ADOBE_RGB,
    DISPLAY_P3,
    SPACES,
    SRGB,
    cmyk_profile,
    grey_profile,
    rgb_profile,
    srgb_of,
    table_profile,
    under_d50,
)
from PIL import Image, ImageCms

from scenetex.scene.color_profile import UnreadableProfile, check_profile, to_8_bits, to_srgb
from scenetex.scene.image_source import ImageSource, decode_color, decode_gray

COLORS = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
COLORS[:8] //= 6  # dark ones
COLORS[8, :, :] = np.arange(64)[:, None]  # greys


def read(path) -> np.ndarray:
    return decode_color(ImageSource(path), (64, 48), "photo")


@pytest.mark.parametrize("name", SPACES)
@pytest.mark.parametrize(("version", "curve"), [(4, "function"), (2, "table"), (2, "gamma")])
def test_colours_of_known_primaries(name, version, curve):
    space = SPACES[name]
    if curve == "gamma" and space[4] is None:
        space = (*space[:4], 2.2)
    out = to_srgb(COLORS, rgb_profile(space, version, curve), "RGB")
    # A gamma is stored in steps of 1 / 256.
    exact = (*space[:4], round(space[4] * 256) / 256) if curve == "gamma" else space
    assert np.abs(out - srgb_of(COLORS / 255, exact)).max() <= 1


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP", "JPEG"])
def test_photos_of_every_kind_that_carries_a_profile(tmp_path, kind):
    # JPEG keeps no colours exactly but flat ones, and loses a step on the way to brightness and colour.
    photo = COLORS if kind != "JPEG" else np.full((48, 64, 3), (200, 90, 60), np.uint8)
    options = {"lossless": True} if kind == "WEBP" else {"quality": 100, "subsampling": 0} if kind == "JPEG" else {}
    Image.fromarray(photo).save(tmp_path / "photo", kind, icc_profile=rgb_profile(DISPLAY_P3), **options)
    off = np.abs(read(tmp_path / "photo") - srgb_of(photo / 255, DISPLAY_P3))
    assert off.max() <= (1 if kind != "JPEG" else 3)


@pytest.mark.parametrize("curve", ["function", "table"])
@pytest.mark.parametrize("name", SPACES)
def test_photos_of_16_bits(tmp_path, name, curve):
    """Rounded once: within half a step, also where colours are linear, and dark ones lie 13 steps of 8 bits apart."""
    deep = np.random.default_rng(1).integers(0, 65536, (48, 64, 3), np.uint16)
    deep[:16] >>= 6
    path = tmp_path / "photo.png"
    cv2.imwrite(str(path), deep[..., ::-1])
    with Image.open(path) as image:
        assert image.mode == "RGB"
    path.write_bytes(with_profile(path.read_bytes(), rgb_profile(SPACES[name], 4 if curve == "function" else 2, curve)))
    assert np.abs(read(path) - srgb_of(deep / 65535, SPACES[name])).max() <= 0.6


def with_profile(png: bytes, profile: bytes) -> bytes:
    """A PNG with a profile (`iCCP`) behind its header."""
    body = b"iCCPtest\0\0" + zlib.compress(profile)
    return png[:33] + struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body)) + png[33:]


@given(st.integers(0, 65535), st.booleans())
def test_16_bits_to_the_nearest_of_8(value, grey):
    image = np.full((2, 3) if grey else (2, 3, 3), value, np.uint16)
    assert (to_8_bits(image) == round(value / 257)).all()


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_photos_of_16_bits_without_a_profile_are_rounded(tmp_path, suffix, channels):
    deep = np.random.default_rng(2).integers(0, 65536, (48, 64, channels), np.uint16)
    deep[..., 3:] = 65535
    cv2.imwrite(str(tmp_path / f"photo{suffix}"), deep[..., [2, 1, 0, 3][:channels]] if channels > 1 else deep)
    expected = np.broadcast_to(np.rint(deep[..., :3] / 257), (48, 64, 3))
    np.testing.assert_array_equal(read(tmp_path / f"photo{suffix}"), expected)


@pytest.mark.parametrize(
    ("mode", "profile"), [("L", "grey"), ("LA", "grey"), ("L", "rgb"), ("P", "rgb"), ("1", "grey")]
)
def test_grey_photos_and_palettes(tmp_path, mode, profile):
    """Grey under a profile of colours is a colour of three equal channels."""
    photo = Image.fromarray(COLORS).convert("L").convert(mode) if mode != "P" else Image.fromarray(COLORS).quantize(200)
    data = grey_profile(1.8) if profile == "grey" else rgb_profile(ADOBE_RGB)
    photo.save(tmp_path / "photo.png", icc_profile=data)
    stored = np.asarray(photo.convert("RGB")) / 255
    truth = srgb_of(stored, (*SRGB[:4], 461 / 256)) if profile == "grey" else srgb_of(stored, ADOBE_RGB)
    assert np.abs(read(tmp_path / "photo.png") - truth).max() <= 1


def test_grey_photos_of_16_bits(tmp_path):
    deep = np.arange(64 * 48, dtype=np.uint16).reshape(48, 64)
    cv2.imwrite(str(tmp_path / "photo.png"), deep)
    path = tmp_path / "photo.png"
    path.write_bytes(with_profile(path.read_bytes(), grey_profile(1.0)))
    truth = srgb_of(np.repeat(deep[..., None] / 65535, 3, 2), (*SRGB[:4], 1.0))
    assert np.abs(read(path) - truth).max() <= 0.6


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_photos_for_print_with_a_profile(tmp_path, kind):
    """Paper and single inks have the colours that the profile's table says, not those of a naive sum."""
    labs = [(55, -37, -50), (48, 74, -3), (89, -5, 93), (16, 0, 0)]
    paper = (100, 0, 0)
    profile = cmyk_profile(paper, labs)
    inks = np.zeros((48, 64, 4), np.uint8)
    for k in range(4):
        inks[:, 12 * k : 12 * k + 12, k] = 255
    fields = {"quality": 100, "subsampling": 0} if kind == "JPEG" else {}
    Image.fromarray(inks, "CMYK").save(tmp_path / "photo", kind, icc_profile=profile, **fields)
    photo = read(tmp_path / "photo").astype(int)
    for k, lab in enumerate([*labs, paper]):
        truth = srgb_of_lab(np.array(lab))
        assert np.abs(photo[24, 12 * k + 6] - truth).max() <= 3, (k, photo[24, 12 * k + 6], truth)
    gray = decode_gray(ImageSource(tmp_path / "photo"), (64, 48), 2, "photo")
    assert gray.shape == (24, 32) and gray[12, 30] > gray[12, 20]


def srgb_of_lab(lab: np.ndarray) -> np.ndarray:
    fy = (lab[0] + 16) / 116
    f = np.array([fy + lab[1] / 500, fy, fy - lab[2] / 200])
    xyz = np.where(f > 6 / 29, f**3, 3 * (6 / 29) ** 2 * (f - 4 / 29)) * [0.9642, 1, 0.8249]
    light = np.clip(np.linalg.solve(under_d50(SRGB), xyz), 0, 1)
    return 255 * np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


def test_lab(tmp_path):
    lab = ImageCms.createProfile("LAB")
    move = ImageCms.buildTransform(ImageCms.createProfile("sRGB"), lab, "RGB", "LAB")
    photo = np.full((48, 64, 3), (200, 80, 40), np.uint8)
    ImageCms.applyTransform(Image.fromarray(photo), move).save(tmp_path / "photo", "TIFF")
    assert np.abs(read(tmp_path / "photo").astype(int) - photo).max() <= 3


def test_tables_and_16_bits(tmp_path):
    """A profile of tables is LittleCMS's business, whose pixels have 8 bits."""
    deep = np.random.default_rng(3).integers(0, 65536, (4, 6, 3), np.uint16)
    out = to_srgb(deep, table_profile(), "RGB")
    assert np.abs(out.astype(int) - srgb_of_lab(np.array([50, 0, 0]))).max() <= 2


@pytest.mark.parametrize(("version", "curve"), [(4, "function"), (2, "table")])
def test_srgb_costs_nothing(version, curve):
    """Neither a conversion nor a copy."""
    assert to_srgb(COLORS, rgb_profile(SRGB, version, curve), "RGB") is COLORS
    built_in = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert to_srgb(COLORS, built_in, "RGB") is COLORS and to_srgb(COLORS, built_in, "GRAY") is COLORS


@pytest.mark.parametrize(
    ("profile", "space", "said"),
    [
        (b"damaged", "RGB", "cannot be read"),
        (b"", "RGB", "cannot be read"),
        (bytes(200), "RGB", "cannot be read"),
        (rgb_profile(DISPLAY_P3)[:300], "RGB", "cannot be read"),
        (grey_profile(2.2), "RGB", "is for GRAY, the pixels are RGB"),
        (rgb_profile(DISPLAY_P3), "CMYK", "is for RGB, the pixels are CMYK"),
    ],
)
def test_profiles_that_cannot_be_read(tmp_path, profile, space, said):
    with pytest.raises(UnreadableProfile, match=said):
        check_profile(profile, space)
    if space == "RGB":
        Image.fromarray(COLORS).save(tmp_path / "photo.png", icc_profile=profile or b"x")
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            np.testing.assert_array_equal(read(tmp_path / "photo.png"), COLORS)


@given(st.data())
def test_damaged_profiles_are_read_or_refused(data):
    profile = bytearray(rgb_profile(ADOBE_RGB))
    for _ in range(data.draw(st.integers(1, 6))):
        profile[data.draw(st.integers(0, len(profile) - 1))] = data.draw(st.integers(0, 255))
    for image in (COLORS[:2], COLORS[:2].astype(np.uint16) * 257):
        try:
            out = to_srgb(image, bytes(profile), "RGB")
            assert out.shape == (2, 64, 3) and out.dtype == np.uint8
        except UnreadableProfile:
            pass


def test_large_photos_are_converted_strip_by_strip():
    wide = np.tile(COLORS, (60, 40, 1))
    out = to_srgb(wide, rgb_profile(DISPLAY_P3), "RGB")
    np.testing.assert_array_equal(out, np.tile(to_srgb(COLORS, rgb_profile(DISPLAY_P3), "RGB"), (60, 40, 1)))
