"""What headers say: sizes beyond Pillow's limit, orientation tags, colour profiles, transparency."""

import io
import struct
import warnings
import zlib

import cv2
import numpy as np
import pytest
from icc_profiles import DISPLAY_P3, rgb_profile
from PIL import Image

from scenetex import InputError
from scenetex.scene.image_header import read_header
from scenetex.scene.image_source import ImageSource, decode_color, decode_depth, decode_gray, depth_size, image_size


def saved(mode: str = "RGB", kind: str = "PNG", **fields) -> io.BytesIO:
    file = io.BytesIO()
    Image.new(mode, (6, 4)).save(file, kind, **fields)
    file.seek(0)
    return file


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "WEBP"])
def test_profiles_are_found(kind):
    data = rgb_profile(DISPLAY_P3)
    assert read_header(saved(kind=kind, icc_profile=data), "a").profile == data
    assert read_header(saved(kind=kind), "a").profile is None


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_channels_and_their_bits(mode):
    header = read_header(saved(mode), "a")
    assert header.space == ("RGB" if mode in ("P", "RGB", "RGBA") else "GRAY")
    assert header.bits == (16 if mode == "I;16" else 8)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_colours_of_16_bits(suffix):
    for channels in (3, 4):
        data = cv2.imencode(suffix, np.zeros((4, 6, channels), np.uint16))[1].tobytes()
        assert read_header(io.BytesIO(data), "a").bits == 16


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF"])
@pytest.mark.parametrize("tag", [1, 3, 6, 8])
def test_orientation_tags(kind, tag):
    exif = Image.Exif()
    exif[0x0112] = tag
    header = read_header(saved(kind=kind, exif=exif), "a")
    assert (header.size, header.orientation, header.is_sideways) == ((6, 4), tag, tag in (6, 8))


def test_transparency():
    assert read_header(saved("RGBA"), "a").transparent and read_header(saved("LA"), "a").transparent
    assert read_header(saved("P", transparency=0), "a").transparent
    assert not read_header(saved("RGB"), "a").transparent


def large_png(width: int, height: int) -> bytes:
    """A grey image of one byte a row block: hundreds of megapixels in a few hundred kilobytes."""
    packer, packed = zlib.compressobj(9), b""
    for _ in range(height):
        packed += packer.compress(b"\0" + bytes([90]) * width)
    out = b"\x89PNG\r\n\x1a\n"
    body = (b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0), b"IDAT" + packed + packer.flush(), b"IEND")
    for chunk in body:
        out += struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
    return out


def test_photos_of_200_megapixels_are_read(tmp_path):
    """More than Pillow takes for sound by itself; what it takes in memory is asked for first."""
    path = tmp_path / "large.png"
    path.write_bytes(large_png(20_000, 10_000))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert image_size(ImageSource(path), "large") == (20_000, 10_000)
        glance = decode_gray(ImageSource(path), (20_000, 10_000), 8, "large")  # the quick look costs least memory
    assert glance.shape == (1250, 2500) and (glance == 90).all()


def test_photos_beyond_what_is_decoded_name_the_limit(tmp_path):
    path = tmp_path / "huge.png"
    data = large_png(64, 64)
    head = b"IHDR" + struct.pack(">IIBBBBB", 40_000, 40_000, 8, 0, 0, 0, 0)
    path.write_bytes(data[:12] + head + struct.pack(">I", zlib.crc32(head)) + data[33:])
    with pytest.raises(InputError, match="has more than 1024 megapixels, which is not read; make it smaller"):
        decode_color(ImageSource(path), (40_000, 40_000), "huge")


def test_what_is_no_image():
    for data in (b"", b"ftyp", cv2.imencode(".png", np.zeros((4, 4), np.uint8))[1].tobytes()[:20]):
        with pytest.raises(InputError, match="a: not a readable image"):
            read_header(io.BytesIO(data), "a")


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
        (b"GIF89a", "GIF"),
        (b"v/1\1\2\0\0\0", "OpenEXR"),
        (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
        (b"II\xbc\1", "JPEG XR"),
        (b"P7\nWIDTH 2\n", "PAM"),
        (b"8BPS\0\1", r"Photoshop's \(PSD\)"),
        (b"\0\0\0\x18ftypcrx ", r"a camera's raw file \(DNG, NEF, CR3, \.\.\.\)"),
        (b"FUJIFILMCCD-RAW 0201", "a camera's raw file .*"),
    ],
)
def test_images_of_other_kinds_are_named(data, name):
    with pytest.raises(InputError, match=f"a: is {name}, which is not read; convert it to JPEG or PNG"):
        read_header(io.BytesIO(data), "a")


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif", ".webp", ".bmp", ".ppm"])
def test_photos_of_every_kind(tmp_path, suffix):
    image = np.full((24, 32, 3), (200, 100, 50), np.uint8)
    Image.fromarray(image).save(tmp_path / f"0{suffix}", quality=95)
    source = ImageSource(tmp_path / f"0{suffix}")
    assert image_size(source, "photo") == (32, 24)
    assert np.abs(decode_color(source, (32, 24), "photo").astype(int) - image).max() <= 4


@pytest.mark.parametrize("suffix", [".png", ".tif", ".pgm"])
def test_depth_of_every_kind(tmp_path, suffix):
    depth = np.random.default_rng(0).integers(0, 65535, (24, 32), np.uint16)
    cv2.imwrite(str(tmp_path / f"0{suffix}"), depth)
    source = ImageSource(tmp_path / f"0{suffix}")
    assert depth_size(source, "depth") == (32, 24)
    np.testing.assert_allclose(decode_depth(source, (32, 24), "depth"), depth / 1000, rtol=1e-6)
