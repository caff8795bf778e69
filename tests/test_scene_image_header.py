"""What headers say: sizes beyond Pillow's limit, orientation tags, colour profiles, transparency."""

import io
import struct
import warnings
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms

from scenetex import InputError
from scenetex.scene.image_header import read_header
from scenetex.scene.image_source import ImageSource, decode_color, decode_depth, decode_gray, depth_size, image_size

# CIE XYZ under D50 of red, green and blue, as the profiles of Apple and Adobe have them.
DISPLAY_P3 = ((0.51512, 0.24120, -0.00105), (0.29198, 0.69225, 0.04189), (0.15710, 0.06657, 0.78407))
ADOBE_RGB = ((0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457))


def profile(name: str, primaries, version: int) -> bytes:
    """A profile with a name and primaries, as much of it as tells colour spaces apart."""
    if version == 2:
        text = b"desc" + bytes(4) + struct.pack(">I", len(name) + 1) + name.encode() + b"\0"
    else:
        wide = name.encode("utf-16-be")
        text = b"mluc" + bytes(4) + struct.pack(">II4sII", 1, 12, b"enUS", len(wide), 28) + wide
    tags = {b"desc": text}
    for key, xyz in zip((b"rXYZ", b"gXYZ", b"bXYZ"), primaries, strict=True):
        tags[key] = b"XYZ " + bytes(4) + struct.pack(">3i", *(round(v * 65536) for v in xyz))
    rows, body, at = b"", b"", 132 + 12 * len(tags)
    for key, data in tags.items():
        rows += key + struct.pack(">II", at + len(body), len(data))
        body += data
    return bytes(128) + struct.pack(">I", len(tags)) + rows + body


def saved(mode: str = "RGB", kind: str = "PNG", **fields) -> io.BytesIO:
    file = io.BytesIO()
    Image.new(mode, (6, 4)).save(file, kind, **fields)
    file.seek(0)
    return file


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "WEBP"])
@pytest.mark.parametrize("version", [2, 4])
def test_profiles_other_than_srgb_are_named(kind, version):
    for name, primaries in (("Display P3", DISPLAY_P3), ("Adobe RGB (1998)", ADOBE_RGB)):
        assert read_header(saved(kind=kind, icc_profile=profile(name, primaries, version)), "a").profile == name
    assert read_header(saved(kind=kind), "a").profile is None


def test_profiles_of_srgbs_primaries_that_are_linear_are_named():
    srgb = ((0.43607, 0.22249, 0.01392), (0.38515, 0.71687, 0.09708), (0.14307, 0.06061, 0.71410))
    curves = {
        b"curv" + bytes(8): True,
        b"curv" + bytes(4) + struct.pack(">IH", 1, 256): True,
        b"curv" + bytes(4) + struct.pack(">IH", 1, 563): False,
        b"para" + bytes(6) + b"\0\0" + struct.pack(">i", 65536): True,
        b"para" + bytes(4) + b"\0\3\0\0" + struct.pack(">i", 157286): False,
    }
    for curve, named in curves.items():
        data = profile("Linear", srgb, 2)
        count = struct.unpack_from(">I", data, 128)[0]
        rows = data[132 : 132 + 12 * count]
        moved = b"".join(
            rows[i : i + 4]
            + struct.pack(">II", *(n + 12 * (k == 0) for k, n in enumerate(struct.unpack_from(">II", rows, i + 4))))
            for i in range(0, len(rows), 12)
        )
        row = b"rTRC" + struct.pack(">II", len(data) + 12, len(curve))
        whole = data[:128] + struct.pack(">I", count + 1) + moved + row + data[132 + 12 * count :] + curve
        assert read_header(saved(icc_profile=whole), "a").profile == ("Linear" if named else None)


def test_srgb_by_any_name_and_profiles_of_no_colours_are_none():
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for data in (srgb, b"damaged", bytes(132), profile("x", DISPLAY_P3, 2)[:150]):
        assert read_header(saved(icc_profile=data), "a").profile is None


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
        (b"\0\0\0\x18ftypheic\0\0\0\0", "HEIC"),
        (b"\0\0\0\x1cftypmif1\0\0\0\0", "HEIC"),
        (b"\0\0\0\x1cftypavif\0\0\0\0", "AVIF"),
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
