"""Photos that are not in sRGB say so in several ways; each is heeded as browsers do, and what cannot be is named."""

import io
import struct
import zlib

import numpy as np
import pytest
from icc_profiles import ADOBE_RGB, DISPLAY_P3, SRGB, rgb_profile, srgb_of
from PIL import Image

from scenetex.scene.image_header import read_header
from scenetex.scene.image_source import ImageSource, decode_color


def saved(kind: str = "PNG", **fields) -> io.BytesIO:
    file = io.BytesIO()
    Image.new("RGB", (6, 4), COLOR).save(file, kind, **fields)
    file.seek(0)
    return file


def png(*chunks: tuple[bytes, bytes], **fields) -> io.BytesIO:
    data = saved(**fields).getvalue()
    rows = b"".join(struct.pack(">I", len(v)) + k + v + struct.pack(">I", zlib.crc32(k + v)) for k, v in chunks)
    return io.BytesIO(data[:33] + rows + data[33:])


def gamma(value: float) -> tuple[bytes, bytes]:
    return b"gAMA", struct.pack(">I", round(value * 1e5))


def primaries(*xy: float) -> tuple[bytes, bytes]:
    return b"cHRM", struct.pack(">8I", *(round(v * 1e5) for v in xy))


SRGB_XY = primaries(0.3127, 0.329, 0.64, 0.33, 0.3, 0.6, 0.15, 0.06)
P3_XY = primaries(0.3127, 0.329, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06)
REC_2020 = ((0.3127, 0.3290), (0.708, 0.292), (0.170, 0.797), (0.131, 0.046), None)
DCI_P3 = ((0.314, 0.351), *DISPLAY_P3[1:])
COLOR = 200, 90, 40


def cicp(primaries: int, transfer: int) -> tuple[bytes, bytes]:
    return b"cICP", bytes([primaries, transfer, 0, 1])


def shown(tmp_path, data: bytes) -> np.ndarray:
    """One pixel of a photo."""
    (tmp_path / "photo").write_bytes(data)
    return decode_color(ImageSource(tmp_path / "photo"), (6, 4), "photo")[2, 3].astype(float)


@pytest.mark.parametrize(
    ("chunks", "space"),
    [
        ([], SRGB),
        ([gamma(1)], (*SRGB[:4], 1.0)),
        ([gamma(1 / 1.8)], (*SRGB[:4], 1.8)),
        ([gamma(0.45455)], SRGB),
        ([gamma(0.45455), SRGB_XY], SRGB),
        ([gamma(0.45455), P3_XY], DISPLAY_P3),
        ([P3_XY], DISPLAY_P3),
        ([gamma(1), P3_XY], (*DISPLAY_P3[:4], 1.0)),
        ([gamma(1), (b"sRGB", b"\0")], SRGB),
        ([cicp(12, 13), (b"sRGB", b"\0")], DISPLAY_P3),
        ([cicp(9, 1)], REC_2020),
        ([cicp(9, 8)], (*REC_2020[:4], 1.0)),
        ([cicp(11, 4)], (*DCI_P3[:4], 2.2)),
        ([cicp(2, 2), P3_XY], SRGB),
        ([cicp(1, 13), P3_XY], SRGB),
    ],
)
def test_what_a_png_says_is_heeded(tmp_path, chunks, space):
    out = shown(tmp_path, png(*chunks).getvalue())
    assert np.abs(out - srgb_of(np.array(COLOR) / 255, space)).max() <= 1
    assert read_header(png(*chunks), "a").colors is None


@pytest.mark.parametrize(
    ("chunks", "said"),
    [
        ([cicp(9, 16)], "high dynamic range (PQ)"),
        ([cicp(9, 18)], "high dynamic range (HLG)"),
        ([cicp(200, 13)], "colours of codes 200 and 13 (ITU-T H.273)"),
        ([cicp(12, 200)], "colours of codes 12 and 200 (ITU-T H.273)"),
        ([primaries(0.3, 0.3, 0.6, 0.3, 0.6, 0.3, 0.6, 0.3)], "primaries and a gamma that make no sense (cHRM, gAMA)"),
        ([primaries(0.3, 0, 0.6, 0.3, 0.6, 0.3, 0.6, 0.3)], "primaries and a gamma that make no sense (cHRM, gAMA)"),
        ([gamma(0)], "primaries and a gamma that make no sense (cHRM, gAMA)"),
    ],
)
def test_what_no_profile_can_say_is_named(tmp_path, chunks, said):
    assert read_header(png(*chunks), "a").colors == said
    assert shown(tmp_path, png(*chunks).getvalue()).tolist() == [*COLOR]


def test_a_profile_goes_before_a_gamma(tmp_path):
    out = shown(tmp_path, png(gamma(1), icc_profile=rgb_profile(DISPLAY_P3)).getvalue())
    assert np.abs(out - srgb_of(np.array(COLOR) / 255, DISPLAY_P3)).max() <= 1


@pytest.mark.parametrize(
    ("values", "space"),
    [
        ({0xA001: 1}, SRGB),
        ({0xA001: 2}, ADOBE_RGB),
        ({0xA001: 65535}, SRGB),
        ({0xA001: 65535, 0xA005: {1: "R98"}}, SRGB),
        ({0xA001: 65535, 0xA005: {1: "R03"}}, ADOBE_RGB),
    ],
)
def test_what_a_camera_says(tmp_path, values, space):
    exif = Image.Exif()
    exif[0x8769] = values
    plain = shown(tmp_path, saved(kind="JPEG", quality=100).getvalue())
    out = shown(tmp_path, saved(kind="JPEG", quality=100, exif=exif).getvalue())
    assert np.abs(out - srgb_of(plain / 255, space)).max() <= 1


def test_a_profile_goes_before_what_a_camera_says(tmp_path):
    exif = Image.Exif()
    exif[0x8769] = {0xA001: 2}
    plain = shown(tmp_path, saved(kind="JPEG", quality=100).getvalue())
    data = saved(kind="JPEG", quality=100, exif=exif, icc_profile=rgb_profile(DISPLAY_P3)).getvalue()
    assert np.abs(shown(tmp_path, data) - srgb_of(plain / 255, DISPLAY_P3)).max() <= 1


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_photos_for_print_are_named_and_read(tmp_path, kind):
    image = np.full((24, 32, 3), (200, 100, 50), np.uint8)
    Image.fromarray(image).convert("CMYK").save(tmp_path / "photo", kind, quality=95)
    source = ImageSource(tmp_path / "photo")
    with (tmp_path / "photo").open("rb") as file:
        assert read_header(file, "a").colors == "CMYK"
    assert np.abs(decode_color(source, (32, 24), "photo").astype(int) - image).max() <= 4
