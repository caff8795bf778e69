"""TIFF photos and depth count as they are stored, whatever their tags ask for; what is no photo is named."""

import struct

import numpy as np
import pytest
from PIL import Image

from scenetex import InputError
from scenetex.scene.image_source import ImageSource, decode_color, decode_depth, decode_gray, depth_size, image_size

PHOTO = np.random.default_rng(5).integers(0, 256, (24, 32, 3), np.uint8)
DEPTH = np.random.default_rng(6).integers(1, 65536, (24, 32), np.uint16)
FORMS = {1: "B", 3: "H", 4: "I", 16: "Q"}


def tiff(pixels: np.ndarray, order: str = "<", big: bool = False, **tags) -> bytes:
    """One strip of 8 or 16 bits; `tags` are `t<number>=(type, values)`."""
    data = pixels.astype(pixels.dtype.newbyteorder(order)).tobytes()
    samples = pixels.shape[2] if pixels.ndim == 3 else 1
    head = (b"II" if order == "<" else b"MM") + struct.pack(
        order + ("HHHQ" if big else "HI"), *((43, 8, 0, 0) if big else (42, 0))
    )
    word, place = ("Q", 16) if big else ("I", 4)
    found = {256: (4, [pixels.shape[1]]), 257: (4, [pixels.shape[0]]), 258: (3, [8 * pixels.itemsize] * samples)}
    found |= {259: (3, [1]), 262: (3, [2 if samples >= 3 else 1]), 273: (place, [len(head)]), 277: (3, [samples])}
    found |= {278: (4, [pixels.shape[0]]), 279: (place, [len(data)])} | {int(k[1:]): v for k, v in tags.items()}
    at, room = len(head) + len(data), 8 if big else 4
    count = struct.pack(order + ("Q" if big else "H"), len(found))
    behind = at + len(count) + len(found) * (12 if not big else 20) + room
    rows, more = b"", b""
    for tag, (kind, values) in sorted(found.items()):
        value = struct.pack(f"{order}{len(values)}{FORMS[kind]}", *values)
        if len(value) > room:
            value, more = struct.pack(order + word, behind + len(more)), more + value
        rows += struct.pack(f"{order}HH{word}", tag, kind, len(values)) + value.ljust(room, b"\0")
    start = head[:-room] + struct.pack(order + word, at)
    return start + data + count + rows + bytes(room) + more


def stored(tmp_path, data: bytes) -> ImageSource:
    (tmp_path / "photo.tif").write_bytes(data)
    return ImageSource(tmp_path / "photo.tif")


@pytest.mark.parametrize(("order", "big"), [("<", False), (">", False), ("<", True)])
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_tags_do_not_turn_calibrated_pixels(tmp_path, orientation, bits, order, big):
    """libtiff, which decodes them, turns some of them, others not."""
    photo = PHOTO if bits == 8 else PHOTO.astype(np.uint16) * 257
    source = stored(tmp_path, tiff(photo, order, big, t274=(3, [orientation])))
    assert image_size(source, "photo") == (32, 24)
    np.testing.assert_array_equal(decode_color(source, (32, 24), "photo"), PHOTO)
    assert np.abs(decode_gray(source, (32, 24), 1, "photo") - PHOTO @ [0.299, 0.587, 0.114]).max() < 2
    source = stored(tmp_path, tiff(DEPTH, order, big, t274=(3, [orientation])))
    assert depth_size(source, "depth") == (32, 24)
    np.testing.assert_allclose(decode_depth(source, (32, 24), "depth"), DEPTH / 1000, rtol=1e-6)


@pytest.mark.parametrize(("orientation", "turns"), [(6, -1), (8, 1)])
def test_photos_that_fit_their_intrinsics_only_when_turned(tmp_path, orientation, turns):
    source = stored(tmp_path, tiff(PHOTO, t274=(3, [orientation])))
    assert image_size(source, "photo", (24, 32)) == (24, 32)
    np.testing.assert_array_equal(decode_color(source, (24, 32), "photo"), np.rot90(PHOTO, turns))


@pytest.mark.parametrize(("order", "big"), [("<", False), (">", False), ("<", True)])
def test_what_alpha_hides_is_read_as_it_is_stored(tmp_path, order, big):
    alpha = np.random.default_rng(7).integers(0, 256, (24, 32, 1), np.uint8)
    source = stored(tmp_path, tiff(np.concatenate([PHOTO, alpha], 2), order, big, t338=(3, [2])))
    np.testing.assert_array_equal(decode_color(source, (32, 24), "photo"), PHOTO)


@pytest.mark.parametrize(
    "tags",
    [
        {"t254": (4, [1])},  # a preview, before the picture itself
        {"t50706": (1, [1, 4, 0, 0])},
        {"t262": (3, [32803])},
    ],
)
def test_raw_files_of_cameras_are_named(tmp_path, tags):
    photo = PHOTO[..., 0] if "t262" in tags else PHOTO
    source = stored(tmp_path, tiff(photo, **tags))
    for read in (image_size, lambda source, label: decode_color(source, (32, 24), label)):
        with pytest.raises(InputError, match=r"photo: is a camera's raw file .* convert it to JPEG or PNG"):
            read(source, "photo")


def test_compressions_that_are_not_read_are_named(tmp_path):
    """The pixels are none of that compression: whoever has its decoder says damaged."""
    source = stored(tmp_path, tiff(PHOTO, t259=(3, [50000])))
    with pytest.raises(InputError, match="photo: is a TIFF compressed by Zstandard, which is not read; convert it"):
        decode_color(source, (32, 24), "photo")


@pytest.mark.filterwarnings("ignore:.*:UserWarning:PIL")
def test_damaged_directories_are_passed_over(tmp_path):
    whole = tiff(PHOTO, t274=(3, [3]))
    for cut in range(0, len(whole), 7):
        source = stored(tmp_path, whole[:cut])
        with pytest.raises(InputError, match="photo: "):
            decode_color(source, (32, 24), "photo")


def test_the_first_of_several_pictures_is_read(tmp_path):
    other = [Image.fromarray(255 - PHOTO)]
    Image.fromarray(PHOTO).save(tmp_path / "photo.tif", save_all=True, append_images=other)
    np.testing.assert_array_equal(decode_color(ImageSource(tmp_path / "photo.tif"), (32, 24), "photo"), PHOTO)
