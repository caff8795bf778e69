"""Pixels come out as they were stored, and damaged images are refused before they cost memory."""

import struct
import subprocess
import sys
import zlib

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageCms
from tiny_scan import deflated, jpeg, peak_bytes

from scenetex import InputError
from scenetex.scene.camera import Camera
from scenetex.scene.frame import Frame
from scenetex.scene.image_source import (
    ImageSource,
    decode_alpha,
    decode_color,
    decode_depth,
    decode_gray,
    image_size,
)

NOISE = np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8)
DEPTH = np.random.default_rng(1).integers(0, 65535, (24, 32), np.uint16)


def stored(tmp_path, data: bytes, name: str = "image", **fields) -> ImageSource:
    (tmp_path / name).write_bytes(data)
    return ImageSource(tmp_path / name, **fields)


def png(image: np.ndarray) -> bytes:
    return cv2.imencode(".png", image[..., ::-1] if image.ndim == 3 else image)[1].tobytes()


def test_png_photos_keep_every_value_and_channel_order(tmp_path):
    source = stored(tmp_path, png(NOISE))
    np.testing.assert_array_equal(decode_color(source, (64, 48), "photo"), NOISE)
    assert image_size(source, "photo") == (64, 48)


def test_bytes_within_a_stream(tmp_path):
    data = png(NOISE)
    source = stored(tmp_path, b"before" + data + b"behind", offset=6, length=len(data))
    np.testing.assert_array_equal(decode_color(source, (64, 48), "photo"), NOISE)
    assert image_size(source, "photo") == (64, 48)
    assert source.label(7).endswith("image: frame 7")


def test_raw_photos(tmp_path):
    source = stored(tmp_path, NOISE.tobytes(), codec="raw_rgb", size=(64, 48))
    np.testing.assert_array_equal(decode_color(source, (64, 48), "photo"), NOISE)
    assert image_size(source, "photo") == (64, 48)
    expected = cv2.resize(cv2.cvtColor(NOISE, cv2.COLOR_RGB2GRAY), (16, 12), interpolation=cv2.INTER_AREA)
    np.testing.assert_array_equal(decode_gray(source, (64, 48), 4, "photo"), expected)


@pytest.mark.parametrize("shrink", [1, 2, 4, 8])
def test_quick_looks_are_the_photo_made_smaller(tmp_path, shrink):
    ramp = np.repeat(np.linspace(0, 255, 64).astype(np.uint8)[None, :, None], 48, 0).repeat(3, 2)
    gray = decode_gray(stored(tmp_path, jpeg(ramp)), (64, 48), shrink, "photo")
    assert gray.shape == (48 // shrink, 64 // shrink)
    np.testing.assert_allclose(gray, ramp[::shrink, ::shrink, 0], atol=4 + 4 * shrink)


def test_orientation_tags_do_not_turn_calibrated_pixels(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # "turn by 90 degrees to view"
    Image.fromarray(NOISE).save(tmp_path / "turned.jpg", quality=95, exif=exif)
    Image.fromarray(NOISE).save(tmp_path / "plain.jpg", quality=95)
    turned, plain = (ImageSource(tmp_path / f"{name}.jpg") for name in ("turned", "plain"))
    assert image_size(turned, "photo") == (64, 48)
    np.testing.assert_array_equal(decode_color(turned, (64, 48), "a"), decode_color(plain, (64, 48), "b"))


@pytest.mark.parametrize(
    ("codec", "data"),
    [("image", png(DEPTH)), ("raw_ushort", DEPTH.tobytes()), ("zlib_ushort", deflated(DEPTH))],
)
def test_depth_in_every_codec(tmp_path, codec, data):
    source = stored(tmp_path, data, codec=codec, size=(32, 24), depth_unit=0.0002)
    depth = decode_depth(source, (32, 24), "depth")
    assert depth.dtype == np.float32
    np.testing.assert_allclose(depth, DEPTH * 0.0002, rtol=1e-6)


def test_occipital_depth_says_what_to_do(tmp_path):
    source = stored(tmp_path, b"abc", codec="occi_ushort", size=(32, 24))
    with pytest.raises(InputError, match="occi_ushort, which is not supported; convert it"):
        decode_depth(source, (32, 24), "depth")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not a readable image"),
        (b"not a photo", "not a readable image"),
        (jpeg(NOISE)[: len(jpeg(NOISE)) // 2], "damaged or cut short"),
        (jpeg(NOISE)[:-2], "damaged or cut short"),
        (jpeg(NOISE)[:300], "not a readable image|damaged or cut short"),
        (jpeg(NOISE[:24]), "image is 64x24, its camera 64x48"),
    ],
)
def test_unreadable_photos_are_named(tmp_path, data, message):
    source = stored(tmp_path, data, "5.jpg")
    with pytest.raises(InputError, match=message) as caught:
        decode_color(source, (64, 48), source.label(5))
    assert "5.jpg" in str(caught.value) and "\n" not in str(caught.value)


def test_a_cut_jpeg_is_found_despite_the_thumbnail_in_it(tmp_path):
    whole = jpeg(NOISE)
    thumbnail = b"Exif\0\0" + jpeg(NOISE[:8, :8])
    segment = b"\xff\xe1" + struct.pack(">H", len(thumbnail) + 2) + thumbnail
    with_thumbnail = whole[:2] + segment + whole[2:]
    source = stored(tmp_path, with_thumbnail, "whole.jpg")
    np.testing.assert_array_equal(
        decode_color(source, (64, 48), "a"), decode_color(stored(tmp_path, whole), (64, 48), "b")
    )
    with pytest.raises(InputError, match="cut short"):
        decode_color(stored(tmp_path, with_thumbnail[:-100]), (64, 48), "photo")


def test_missing_files_and_short_streams(tmp_path):
    with pytest.raises(InputError, match="photo: cannot be read"):
        decode_color(ImageSource(tmp_path / "gone.jpg"), (64, 48), "photo")
    with pytest.raises(InputError, match="photo: cannot be read"):
        image_size(ImageSource(tmp_path / "gone.jpg"), "photo")
    with pytest.raises(InputError, match="the file ends before this image does"):
        decode_color(stored(tmp_path, b"abc", offset=1, length=1 << 60), (64, 48), "photo")
    with pytest.raises(InputError, match="its size asks for 1536"):
        decode_depth(stored(tmp_path, b"abc", codec="raw_ushort"), (32, 24), "depth")


@pytest.mark.parametrize("data", [jpeg(NOISE), png(NOISE)], ids=["jpeg", "png"])
def test_headers_that_promise_gigabytes_are_refused(tmp_path, data):
    if data[:2] == b"\xff\xd8":
        at = data.index(b"\xff\xc0") + 5
        data = data[:at] + struct.pack(">HH", 9_000, 9_000) + data[at + 4 :]
    else:
        head = data[12:16] + struct.pack(">II", 9_000, 9_000) + data[24:29]
        data = data[:12] + head + struct.pack(">I", zlib.crc32(head)) + data[33:]
    source = stored(tmp_path, data)

    def refused():
        size = image_size(source, "photo")
        assert size == (9_000, 9_000)
        with pytest.raises(InputError, match="damaged or cut short"):
            decode_color(source, size, "photo")

    assert peak_bytes(refused) < 5_000_000


def test_depth_that_inflates_without_end_is_stopped(tmp_path):
    bomb = stored(tmp_path, zlib.compress(bytes(50_000_000)), codec="zlib_ushort")

    def refused():
        with pytest.raises(InputError, match="its size asks for 1536"):
            decode_depth(bomb, (32, 24), "depth")

    assert peak_bytes(refused) < 1_000_000
    with pytest.raises(InputError, match="too short for its size"):
        decode_depth(stored(tmp_path, b"x" * 20, codec="zlib_ushort"), (60_000, 60_000), "depth")


@given(
    codec=st.sampled_from(["image", "zlib_ushort", "raw_ushort"]),
    edits=st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 255)), max_size=6),
    cut=st.integers(0, 2000),
)
def test_mutated_depth_gives_an_image_or_an_input_error(tmp_path_factory, codec, edits, cut):
    data = bytearray({"image": png(DEPTH), "zlib_ushort": deflated(DEPTH), "raw_ushort": DEPTH.tobytes()}[codec])
    for at, value in edits:
        data[at % len(data)] = value
    path = tmp_path_factory.getbasetemp() / "fuzzed.png"
    path.write_bytes(data[: len(data) - cut % len(data)])
    try:
        depth = decode_depth(ImageSource(path, codec=codec, size=(32, 24)), (32, 24), "fuzzed")
        assert depth.shape == (24, 32)
    except InputError as error:
        assert "fuzzed" in str(error)


def test_a_distorted_photo_is_straightened(tmp_path):
    """A grid of dots seen through a lens: after undoing, each dot lies where a pinhole camera sees it."""
    size, distortion = (320, 240), (-0.2, 0.05, 0.003, -0.002)
    intrinsics = np.array([[250.0, 0, 160], [0, 255.0, 118], [0, 0, 1]])
    dots = np.array([[x, y, 1] for x in np.linspace(-0.4, 0.4, 5) for y in np.linspace(-0.3, 0.3, 4)])
    seen, _ = cv2.projectPoints(dots, np.zeros(3), np.zeros(3), intrinsics, np.array(distortion))
    v, u = np.mgrid[: size[1], : size[0]]
    photo = np.zeros((size[1], size[0]))
    for x, y in seen[:, 0]:
        photo += 255 * np.exp(-((u - x) ** 2 + (v - y) ** 2) / 4)
    photo = np.repeat(np.clip(photo, 0, 255).astype(np.uint8)[..., None], 3, 2)
    source = stored(tmp_path, png(photo), distortion=distortion)
    image = Frame(0, np.eye(4), Camera(intrinsics, *size), source).read_color()
    for x, y in (dots @ intrinsics.T)[:, :2]:
        window = image[round(y) - 5 : round(y) + 6, round(x) - 5 : round(x) + 6, 0].astype(float)
        dy, dx = np.mgrid[-5:6, -5:6]
        centre = round(x) + (window * dx).sum() / window.sum(), round(y) + (window * dy).sum() / window.sum()
        np.testing.assert_allclose(centre, (x, y), atol=0.15)


def test_undistortion_leaves_no_black_rim_on_photos_and_no_false_depth(tmp_path):
    size, distortion = (64, 48), (0.4, 0.0, 0.0, 0.0)  # pincushion: the straight image reaches past the photo's border
    camera = Camera(np.array([[40.0, 0, 31.5], [0, 40, 23.5], [0, 0, 1]]), *size)
    color = stored(tmp_path, png(np.full((48, 64, 3), 200, np.uint8)), "color", distortion=distortion)
    depth = stored(tmp_path, png(np.full((48, 64), 3000, np.uint16)), "depth", distortion=distortion)
    frame = Frame(0, np.eye(4), camera, color, depth, camera, np.eye(4))
    assert (frame.read_color() == 200).all()
    assert set(np.unique(frame.read_depth())) == {np.float32(0), np.float32(3)}
    assert frame.read_depth()[24, 32] == 3


def test_frames_without_images_say_so():
    frame = Frame(4, np.eye(4), Camera(np.eye(3), 4, 3))
    with pytest.raises(InputError, match="frame 4: has no photo"):
        frame.read_color()
    with pytest.raises(InputError, match="frame 4: has no photo"):
        frame.read_gray(2)
    with pytest.raises(InputError, match="frame 4: has no depth image"):
        frame.read_depth()


def tiff_of_two_sizes(first: tuple[int, int], second: tuple[int, int]) -> bytes:
    """A grey TIFF with each of its sides given twice: which one counts is up to the reader."""
    tags = [(256, 4, first[0]), (256, 4, second[0]), (257, 4, first[1]), (257, 4, second[1])]
    tags += [(258, 3, 8), (259, 3, 1), (262, 3, 1), (273, 4, 8), (277, 3, 1), (278, 4, max(first[1], second[1]))]
    tags += [(279, 4, 3072)]
    body = b"II*\0" + struct.pack("<I", 8 + 3072) + bytes(3072) + struct.pack("<H", len(tags))
    for tag, kind, value in tags:
        body += struct.pack("<HHII", tag, kind, 1, value)
    return body + bytes(4)


@pytest.mark.parametrize("sizes", [((64, 48), (9000, 9000)), ((9000, 9000), (64, 48)), ((64, 48), (48, 64))])
def test_images_that_two_readers_take_in_two_ways_are_refused_or_right(tmp_path, sizes):
    source = stored(tmp_path, tiff_of_two_sizes(*sizes), "photo.tif")

    def read():
        try:
            size = image_size(source, "photo")
            assert decode_color(source, size, "photo").shape == (size[1], size[0], 3)
            decode_gray(source, size, 4, "photo")
        except InputError:
            pass

    assert peak_bytes(read) < 5_000_000


def test_photos_too_large_to_undistort_say_so(tmp_path):
    source = stored(tmp_path, png(np.zeros((4, 40_000), np.uint8)), distortion=(0.1, 0.0, 0.0, 0.0))
    frame = Frame(0, np.eye(4), Camera(np.array([[40.0, 0, 20_000], [0, 40, 2], [0, 0, 1]]), 40_000, 4), source)
    with pytest.raises(InputError, match="image: more than 32766 pixels a side"):
        frame.read_color()
    assert frame.read_gray(4).shape == (1, 10_000)


def test_images_without_pixels_are_none(tmp_path):
    for data in (b"P6 0 4 255\n", b"P6 4 0 255\n", b"P5 0 0 255\n"):
        with pytest.raises(InputError, match="not a readable image"):
            image_size(stored(tmp_path, data), "photo")


def test_pictures_of_no_calibrated_camera_are_turned_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(NOISE[:, :48]).save(tmp_path / "turned.jpg", quality=95, exif=exif)
    source = ImageSource(tmp_path / "turned.jpg")
    stored_as, upright = (decode_color(source, (48, 48), "photo", upright) for upright in (False, True))
    np.testing.assert_array_equal(np.rot90(stored_as, -1), upright)


@pytest.mark.parametrize(("chunk", "length"), [(b"IDAT", 800 << 20), (b"tEXt", (1 << 31) - 1)])
def test_chunks_that_promise_megabytes_are_refused(tmp_path, chunk, length):
    """In a process of its own, whose memory tells: OpenCV's is not traced."""
    data = png(DEPTH)
    extra = struct.pack(">I", 0) + b"tEXt" + struct.pack(">I", zlib.crc32(b"tEXt"))
    data = data[:33] + extra + data[33:]
    at = data.index(chunk) - 4
    source = stored(tmp_path, data[:at] + struct.pack(">I", length) + data[at + 4 :])
    code = (
        "import resource, sys\n"
        "from pathlib import Path\n"
        "from scenetex.scene.image_source import ImageSource, decode_depth\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "try:\n"
        "    decode_depth(ImageSource(Path(sys.argv[1])), (32, 24), 'depth')\n"
        "except ValueError as error:\n"
        "    assert 'image is damaged' in str(error) or 'not a readable image' in str(error), error\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    run = subprocess.run([sys.executable, "-c", code, str(source.path)], capture_output=True, text=True, check=True)
    assert int(run.stdout) < 20_000


@pytest.mark.parametrize("kind", [2, 3, 5, 6])
@pytest.mark.parametrize("brightest", [15, 100, 255, 256, 4095, 65535])
def test_netpbm_photos_of_any_brightest_value(tmp_path, kind, brightest):
    shape = (48, 64, 3) if kind in (3, 6) else (48, 64)
    stored_as = np.random.default_rng(2).integers(0, brightest + 1, shape)
    stored_as[:2] = [[0], [brightest]] if len(shape) == 2 else [[[0]], [[brightest]]]
    if kind > 4:
        body = stored_as.astype("u1" if brightest < 256 else ">u2").tobytes()
    else:
        body = " ".join(map(str, stored_as.ravel())).encode() + b"\n"
    source = stored(tmp_path, b"P%d # 1 2 3\n64\n# white is below\n48 %d\n" % (kind, brightest) + body, "photo.ppm")
    photo = decode_color(source, (64, 48), "photo")
    expected = np.broadcast_to(stored_as[..., None] if len(shape) == 2 else stored_as, (48, 64, 3)) * 255 / brightest
    assert photo.dtype == np.uint8 and np.abs(photo - expected).max() <= 1
    np.testing.assert_array_equal(photo[:2], np.broadcast_to([[[0]], [[255]]], (2, 64, 3)))
    gray = cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY).astype(float)
    assert np.abs(decode_gray(source, (64, 48), 1, "photo") - gray).max() <= 2 + 128 / brightest
    halved = cv2.resize(gray, (32, 24), interpolation=cv2.INTER_AREA)
    assert decode_gray(source, (64, 48), 2, "photo").dtype == np.uint8
    assert abs(decode_gray(source, (64, 48), 2, "photo").mean() - halved.mean()) < 6
    if kind == 5 and brightest > 255:  # as depth, the numbers are what counts
        np.testing.assert_allclose(decode_depth(source, (64, 48), "depth"), stored_as * 0.001, rtol=1e-6)


@pytest.mark.parametrize("kind", ["TIFF", "PNG", "WEBP"])
def test_what_alpha_hides_is_read_as_it_is_stored(tmp_path, kind):
    alpha = np.random.default_rng(3).integers(1, 256, (48, 64, 1), np.uint8)
    options = {"lossless": True} if kind == "WEBP" else {}
    Image.fromarray(np.concatenate([NOISE, alpha], 2)).save(tmp_path / "image", kind, **options)
    source = ImageSource(tmp_path / "image")
    np.testing.assert_array_equal(decode_color(source, (64, 48), "photo"), NOISE)
    gray = cv2.cvtColor(NOISE, cv2.COLOR_RGB2GRAY)
    assert np.abs(decode_gray(source, (64, 48), 1, "photo").astype(int) - gray).max() <= 1
    assert np.array_equal(decode_alpha(source, (64, 48), "photo"), alpha[..., 0] > 127)


@pytest.mark.parametrize("shape", [(48, 64, 3), (48, 64)])
@pytest.mark.parametrize(
    ("suffix", "dtype", "message"),
    [
        (".tif", np.float32, "holds floating-point or 32-bit pixels"),
        (".tif", np.float64, "holds floating-point or 32-bit pixels"),
        (".pfm", np.float32, "is PFM|holds floating-point"),
        (".hdr", np.float32, "is Radiance HDR"),
    ],
)
def test_photos_of_floats_are_named(tmp_path, shape, suffix, dtype, message):
    source = stored(tmp_path, cv2.imencode(suffix, np.full(shape, 0.5, dtype))[1].tobytes(), f"photo{suffix}")
    with pytest.raises(InputError, match=message):
        decode_color(source, (64, 48), "photo")


@pytest.mark.parametrize(
    ("mode", "kind", "options"),
    [
        ("RGB", "JPEG", {"progressive": True, "quality": 95}),
        ("RGB", "JPEG", {"keep_rgb": True, "quality": 95}),
        ("L", "JPEG", {"quality": 95}),
        ("P", "PNG", {}),
        ("LA", "PNG", {}),
        ("P", "TIFF", {}),
        ("LAB", "TIFF", {}),
        ("YCbCr", "TIFF", {}),
        ("RGB", "WEBP", {"lossless": True, "save_all": True, "append_images": [Image.new("RGB", (64, 48))]}),
        ("RGB", "PNG", {"save_all": True, "append_images": [Image.new("RGB", (64, 48))]}),
        ("RGB", "MPO", {"save_all": True, "append_images": [Image.new("RGB", (64, 48))], "quality": 95}),
    ],
)
def test_photos_of_every_mode(tmp_path, mode, kind, options):
    """Colours to a few steps, those of Lab roughly; of several pictures the first."""
    color = np.array([200, 80, 40])
    photo = Image.new("RGB", (64, 48), tuple(color.tolist()))
    if mode == "LAB":
        lab = ImageCms.createProfile("LAB")
        photo = ImageCms.applyTransform(
            photo, ImageCms.buildTransform(ImageCms.createProfile("sRGB"), lab, "RGB", "LAB")
        )
    photo = photo.quantize(8) if mode == "P" else photo.convert(mode)
    photo.save(tmp_path / "photo", kind, **options)
    read = decode_color(ImageSource(tmp_path / "photo"), (64, 48), "photo").astype(int)
    expected = (111, 111, 111) if mode in ("L", "LA") else color
    assert np.abs(read - expected).max() <= (40 if mode == "LAB" else 4)


def test_photos_of_16_bits_and_signed_depth(tmp_path):
    source = stored(tmp_path, png(NOISE.astype(np.uint16) * 257))
    np.testing.assert_array_equal(decode_color(source, (64, 48), "photo"), NOISE)
    source = stored(tmp_path, cv2.imencode(".tif", DEPTH.astype(np.int16))[1].tobytes())
    with pytest.raises(InputError, match="depth: not a 16-bit depth image"):
        decode_depth(source, (32, 24), "depth")
