"""HEIC and AVIF: boxes are read without a decoder, and turns count once. HEIC's pixels need the extra `heic`."""

import io
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from icc_profiles import DISPLAY_P3, rgb_profile, srgb_of
from PIL import Image
from tiny_scan import write_extracted

from scenetex import InputError, load_scene
from scenetex.scene.heif import read_heif_header
from scenetex.scene.image_source import (
    ImageSource,
    decode_alpha,
    decode_color,
    decode_gray,
    image_header,
    image_size,
)
from scenetex.scene.orientation import TURNS

# A picture whose every turn differs; smooth, as lossy formats want it.
DOWN, ACROSS = np.mgrid[:48, :64]
PHOTO = np.stack([4 * ACROSS, 5 * DOWN, 255 - 2 * ACROSS - 2 * DOWN], -1).astype(np.uint8)


def box(kind: bytes, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return struct.pack(">I", 8 + len(body)) + kind + body


def container(*properties: bytes, coding: bytes = b"hvc1", brand: bytes = b"heic", wide: bool = False) -> io.BytesIO:
    """A file with one picture of 64 x 48, without pixels, and further properties of it."""
    shape = box(b"ispe", bytes(4), struct.pack(">2I", 64, 48))
    count = 1 + len(properties)
    number, place = (">I", ">H") if wide else (">H", ">B")
    places = b"".join(struct.pack(place, i + 1 | (0x8000 if wide else 0x80)) for i in range(count))
    own = struct.pack(">I", 1) + struct.pack(number, 7) + bytes([count]) + places
    entry = b"\2\0\0\0" + struct.pack(">HH4s", 7, 0, coding) + b"\0"
    meta = box(
        b"meta",
        bytes(4),
        box(b"hdlr", bytes(24)),
        box(b"pitm", bytes([wide, 0, 0, 0]), struct.pack(number, 7)),
        box(b"iinf", bytes(4), struct.pack(">H", 1), box(b"infe", entry)),
        box(b"iprp", box(b"ipco", shape, *properties), box(b"ipma", bytes([wide, 0, 0, wide]), own)),
    )
    return io.BytesIO(box(b"ftyp", brand, bytes(4), b"mif1") + box(b"free", bytes(9)) + meta + box(b"mdat", bytes(8)))


def turn(quarters: int) -> bytes:
    return box(b"irot", bytes([quarters]))


def mirror(axis: int) -> bytes:
    return box(b"imir", bytes([axis]))


@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize(
    ("properties", "size", "tag"),
    [
        ([], (64, 48), 1),
        ([turn(1)], (48, 64), 8),
        ([turn(2)], (64, 48), 3),
        ([turn(3)], (48, 64), 6),
        ([mirror(1)], (64, 48), 2),
        ([mirror(0)], (64, 48), 4),
        ([turn(3), mirror(1)], (48, 64), 5),
        ([turn(1), mirror(1)], (48, 64), 7),
        ([box(b"clap", struct.pack(">8I", 60, 1, 40, 1, 0, 1, 0, 1)), turn(1)], (40, 60), 8),
    ],
)
def test_how_a_picture_is_shown(wide, properties, size, tag):
    header = read_heif_header(container(*properties, wide=wide))
    assert (header.size, header.turn, header.is_avif) == (size, tag, False)


def test_colours_and_kind():
    icc = read_heif_header(container(box(b"colr", b"prof", b"abc")))
    assert (icc.profile, icc.codes, icc.transparent) == (b"abc", None, False)
    codes = read_heif_header(container(box(b"colr", b"nclx", struct.pack(">3HB", 12, 13, 6, 128))))
    assert (codes.profile, codes.codes) == (None, (12, 13))
    alpha = container(box(b"auxC", bytes(4), b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha\0"), coding=b"av01")
    assert read_heif_header(alpha).transparent and read_heif_header(alpha).is_avif


@given(st.data())
def test_damaged_boxes_are_refused_in_one_line(data):
    whole = bytearray(container(turn(1), mirror(0), box(b"colr", b"nclx", bytes(7)), coding=b"av01").getvalue())
    for _ in range(data.draw(st.integers(1, 8))):
        whole[data.draw(st.integers(12, len(whole) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(whole[: data.draw(st.integers(16, len(whole)))])
    try:
        read_header_of(cut)
    except InputError as error:
        assert "\n" not in str(error)


def read_header_of(data: bytes):
    from scenetex.scene.image_header import read_header

    return read_header(io.BytesIO(data), "a")


def test_without_its_decoder_heic_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pillow_heif", None)
    folder = write_extracted(tmp_path / "room")
    for path in list((folder / "color").iterdir()):
        path.unlink()
        path.with_suffix(".heic").write_bytes(container().getvalue())
    with pytest.raises(InputError, match=r"color/2\.heic: is HEIC; to read it, pip install .*\[heic\]"):
        load_scene(folder)


def heic(image: np.ndarray, tag: int = 1, **fields) -> bytes:
    pillow_heif = pytest.importorskip("pillow_heif")
    exif = Image.Exif()
    exif[0x0112] = tag
    file = io.BytesIO()
    pillow_heif.from_pillow(Image.fromarray(image)).save(file, quality=-1, chroma=444, exif=exif.tobytes(), **fields)
    return file.getvalue()


def avif(image: np.ndarray, tag: int = 1, **fields) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = tag
    file = io.BytesIO()
    Image.fromarray(image).save(file, "AVIF", quality=100, subsampling="4:4:4", exif=exif, **fields)
    return file.getvalue()


def stored(tmp_path, data: bytes) -> ImageSource:
    (tmp_path / "photo").write_bytes(data)
    return ImageSource(tmp_path / "photo")


@pytest.mark.parametrize("write", [heic, avif])
@pytest.mark.parametrize("tag", range(1, 9))
def test_turns_count_once(tmp_path, write, tag):
    """The photo as it is shown; where intrinsics are of what the sensor laid out on its side, that."""
    source = stored(tmp_path, write(PHOTO, tag))
    shown = TURNS[tag](PHOTO) if tag > 1 else PHOTO
    size = shown.shape[1::-1]
    assert image_size(source, "photo") == size
    assert np.abs(decode_color(source, size, "photo").astype(int) - shown).max() <= 6
    gray = decode_gray(source, size, 2, "photo")
    assert gray.shape == (size[1] // 2, size[0] // 2)
    if tag in (5, 6, 7, 8):
        assert image_size(source, "photo", like=(640, 480)) == (64, 48)
        assert image_size(source, "photo", centre=(31.5, 23.5)) == (64, 48)
        assert image_size(source, "photo", centre=(23.5, 31.5)) == (48, 64)
        assert np.abs(decode_color(source, (64, 48), "photo").astype(int) - PHOTO).max() <= 6
        upright = decode_color(source, (48, 64), "photo", upright=True)
        assert np.abs(upright.astype(int) - shown).max() <= 6


@pytest.mark.parametrize("write", [heic, avif])
def test_profiles_of_heif(tmp_path, write):
    flat = np.full((48, 64, 3), (200, 90, 60), np.uint8)
    source = stored(tmp_path, write(flat, icc_profile=rgb_profile(DISPLAY_P3)))
    out = decode_color(source, (64, 48), "photo")
    assert np.abs(out - srgb_of(flat / 255, DISPLAY_P3)).max() <= 4


@pytest.mark.parametrize("write", [heic, avif])
def test_transparent_heif(tmp_path, write):
    alpha = np.where(ACROSS < 32, 255, 0).astype(np.uint8)
    source = stored(tmp_path, write(np.concatenate([PHOTO, alpha[..., None]], 2)))
    assert image_header(source, "photo").transparent
    np.testing.assert_array_equal(decode_alpha(source, (64, 48), "photo"), ACROSS < 32)


@pytest.mark.parametrize("write", [heic, avif])
@pytest.mark.parametrize("part", [0.3, 0.6, 0.95])
def test_heif_cut_short_is_refused(tmp_path, write, part):
    rng = np.random.default_rng(0)
    whole = write(rng.integers(0, 255, (48, 64, 3), np.uint8))
    source = stored(tmp_path, whole[: int(len(whole) * part)])
    with pytest.raises(InputError, match=r"photo: (image is damaged|not a readable image)"):
        decode_color(source, (64, 48), "photo")


def test_grey_heic_and_10_bits(tmp_path):
    pillow_heif = pytest.importorskip("pillow_heif")
    source = stored(tmp_path, heic(PHOTO[..., 0]))
    assert np.abs(decode_color(source, (64, 48), "photo").astype(int) - PHOTO[..., :1]).max() <= 3
    ramp = np.repeat(np.linspace(0, 1023, 64).round().astype(np.uint16)[None, :, None], 48, 0).repeat(3, 2)
    file = io.BytesIO()
    pillow_heif.from_bytes("RGB;16", (64, 48), (ramp << 6).tobytes()).save(file, quality=-1, chroma=444)
    deep = decode_color(stored(tmp_path, file.getvalue()), (64, 48), "photo")
    assert image_header(ImageSource(tmp_path / "photo"), "photo").bits == 16
    assert np.abs(deep - ramp * (255 / 1023)).max() <= 1 and deep.max() == 255


@pytest.mark.parametrize("write", [heic, avif])
def test_a_scan_of_them(tmp_path, write):
    suffix = f".{write.__name__}"
    folder = write_extracted(tmp_path / "room")
    expected = {}
    for path in list((folder / "color").iterdir()):
        expected[int(path.stem)] = np.asarray(Image.open(path))
        path.with_suffix(suffix).write_bytes(write(expected[int(path.stem)]))
        path.unlink()
    scene = load_scene(folder)
    for i, photo in expected.items():
        assert np.abs(scene.frame(i).read_color().astype(int) - photo).mean() <= 3
