"""Photos that are not in sRGB say so in several ways; each is named, and sRGB by any of them is silent."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image
from test_scene_image_header import DISPLAY_P3, profile, saved

from scenetex.scene.image_header import read_header
from scenetex.scene.image_source import ImageSource, decode_color


def png(*chunks: tuple[bytes, bytes], **fields) -> io.BytesIO:
    data = saved(**fields).getvalue()
    rows = b"".join(struct.pack(">I", len(v)) + k + v + struct.pack(">I", zlib.crc32(k + v)) for k, v in chunks)
    return io.BytesIO(data[:33] + rows + data[33:])


def gamma(value: float) -> tuple[bytes, bytes]:
    return b"gAMA", struct.pack(">I", round(value * 1e5))


def primaries(*xy: float) -> tuple[bytes, bytes]:
    return b"cHRM", struct.pack(">8I", *(round(v * 1e5) for v in xy))


SRGB = primaries(0.3127, 0.329, 0.64, 0.33, 0.3, 0.6, 0.15, 0.06)
P3 = primaries(0.3127, 0.329, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06)


@pytest.mark.parametrize(
    ("chunks", "said"),
    [
        ([gamma(1)], "a gamma of 1 (gAMA)"),
        ([gamma(1 / 1.8)], "a gamma of 1.8 (gAMA)"),
        ([gamma(0.45455)], None),
        ([gamma(0.45455), SRGB], None),
        ([gamma(0.45455), P3], "primaries of their own (cHRM)"),
        ([gamma(1), (b"sRGB", b"\0")], None),
        ([(b"cICP", bytes([12, 13, 0, 1])), (b"sRGB", b"\0")], "Display P3 (cICP)"),
        ([(b"cICP", bytes([9, 16, 0, 1]))], "Rec. 2020 (cICP)"),
        ([(b"cICP", bytes([1, 13, 0, 1])), P3], None),
    ],
)
def test_what_a_png_says(chunks, said):
    assert read_header(png(*chunks), "a").colors == said


def test_a_profile_goes_before_a_gamma():
    header = read_header(png(gamma(1), icc_profile=profile("Display P3", DISPLAY_P3, 4)), "a")
    assert (header.profile, header.colors) == ("Display P3", None)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({0xA001: 1}, None),
        ({0xA001: 2}, "Adobe RGB (EXIF)"),
        ({0xA001: 65535}, None),
        ({0xA001: 65535, 0xA005: {1: "R98"}}, None),
        ({0xA001: 65535, 0xA005: {1: "R03"}}, "Adobe RGB (EXIF)"),
    ],
)
def test_what_a_camera_says(values, said):
    exif = Image.Exif()
    exif[0x8769] = values
    assert read_header(saved(kind="JPEG", exif=exif), "a").colors == said


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_photos_for_print_are_named_and_read(tmp_path, kind):
    image = np.full((24, 32, 3), (200, 100, 50), np.uint8)
    Image.fromarray(image).convert("CMYK").save(tmp_path / "photo", kind, quality=95)
    source = ImageSource(tmp_path / "photo")
    with (tmp_path / "photo").open("rb") as file:
        assert read_header(file, "a").colors == "CMYK"
    assert np.abs(decode_color(source, (32, 24), "photo").astype(int) - image).max() <= 4
