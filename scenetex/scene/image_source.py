"""Where a frame's pixels lie, and how they become arrays."""

import errno
import io
import zlib
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from ..errors import InputError
from ..files.reading import IMAGE_BYTES, open_file
from .black_rim import fill_black_rim
from .exr import HEADER_BYTES, decode_exr, exr_size
from .image_header import ImageHeader, read_header
from .image_pixels import decode_pixels, glance_pixels, photo_pixels
from .lzfse_depth import decode_lzfse
from .npy_image import decode_npy, npy_size
from .orientation import TURNS, is_calibrated_turned

_MAX_INFLATION = 1040  # deflate cannot do better than 1032 : 1
_DEPTH_CODECS = ("image", "npy", "exr", "lzfse", "raw_ushort", "zlib_ushort")  # that are read
_FLOATS = {"exr": decode_exr, "lzfse": decode_lzfse}


@dataclass(frozen=True)
class ImageSource:
    """Where an image's bytes lie: a whole file, or `length` bytes at `offset` of one (a `.sens` stream).

    Attributes:
        path: the file.
        offset: first byte.
        length: number of bytes, or None for the rest of the file.
        codec: "image" (JPEG, PNG: what OpenCV decodes), or what `.sens` streams hold: "raw_rgb", "raw_ushort",
            "zlib_ushort"; "npy"; for depth also "exr" and "lzfse", of floats; and "occi_ushort" or what else nobody
            knows, which reading refuses.
        size: (width, height) for codecs that do not carry it.
        distortion: OpenCV's (k1, k2, p1, p2, ...) to undo on reading, or None.
        fisheye: whether it is that of OpenCV's fisheye model (k1, k2, k3, k4).
        depth_unit: metres per unit of a depth image.
        black_rim: how far from its edge a photo may be black where no lens saw, pixels, see `fill_black_rim`.
    """

    path: Path
    offset: int = 0
    length: int | None = None
    codec: str = "image"
    size: tuple[int, int] | None = None
    distortion: tuple[float, ...] | None = None
    fisheye: bool = False
    depth_unit: float = 0.001
    black_rim: int = 0

    def label(self, frame_id: int) -> str:
        """How an error names this image: its file, and the frame within a stream."""
        return str(self.path) if self.length is None else f"{self.path}: frame {frame_id}"


def image_header(source: ImageSource, label: str) -> ImageHeader:
    """What the header of a JPEG, PNG, ... says. Raises `InputError` where it has none."""
    if source.length is not None:
        return read_header(io.BytesIO(_read_bytes(source, label)), label)
    try:
        with open_file(source.path) as file:
            return read_header(file, label)
    except OSError as error:
        raise InputError(f"{label}: cannot be read ({error.strerror or error}); check the file") from None


def image_size(
    source: ImageSource,
    label: str,
    like: tuple[int, int] | None = None,
    centre: tuple[float, float] | None = None,
) -> tuple[int, int]:
    """(width, height) of an image, from its header alone. Raises `InputError` where it has none.

    With `like`, the size that its intrinsics are for, or else `centre`, their principal point: a photo that its
    orientation tag turns on its side counts as turned if only then they are of it, see `is_calibrated_turned`.
    Otherwise pixels count as they are stored.
    """
    if source.codec == "npy":
        return npy_size(io.BytesIO(_read_bytes(source, label)), label)
    if source.codec == "exr":
        return exr_size(_read_bytes(source, label)[:HEADER_BYTES], label)
    if source.codec != "image":
        return source.size
    header = image_header(source, label)
    if header.is_sideways and is_calibrated_turned(header.size, like, centre):
        return header.size[::-1]
    return header.size


def depth_size(source: ImageSource, label: str) -> tuple[int, int]:
    """As `image_size`; raises `InputError`, too, for what is seen to be no depth image."""
    if source.codec == "image" and not image_header(source, label).mode.startswith("I"):
        raise _no_depth(label)
    return image_size(source, label)


def decode_color(source: ImageSource, size: tuple[int, int], label: str, upright: bool = False) -> np.ndarray:
    """The photo as it is stored: (h, w, 3) uint8 sRGB of `size` (width, height), or `InputError`.

    With `upright` it is turned as its orientation tag says; only for pictures whose camera nobody has calibrated.
    Without, only a photo that is of its camera's `size` when it is turned.
    """
    data = _read_bytes(source, label)
    if source.codec == "raw_rgb":
        _check_length(data, size[0] * size[1] * 3, label)
        return np.frombuffer(data, np.uint8).reshape(size[1], size[0], 3).copy()
    image = photo_pixels(data, size, label, upright)
    return fill_black_rim(image, source.black_rim) if source.black_rim else image


def decode_gray(source: ImageSource, size: tuple[int, int], shrink: int, label: str) -> np.ndarray:
    """A quick look at a photo: (h / shrink, w / shrink) uint8 luma, `shrink` of 1, 2, 4 or 8; lens distortion stays."""
    if source.codec == "raw_rgb":
        gray = cv2.cvtColor(decode_color(source, size, label), cv2.COLOR_RGB2GRAY)
        return cv2.resize(gray, (max(1, size[0] // shrink), max(1, size[1] // shrink)), interpolation=cv2.INTER_AREA)
    gray = glance_pixels(_read_bytes(source, label), size, shrink, label)
    return fill_black_rim(gray, -(-source.black_rim // shrink)) if source.black_rim else gray


def decode_depth(source: ImageSource, size: tuple[int, int], label: str) -> np.ndarray:
    """The depth image as it is stored: (h, w) float32, metres, 0 = none, of `size` (width, height), or `InputError`."""
    if source.codec not in _DEPTH_CODECS:
        raise InputError(
            f"{label}: depth is stored as {source.codec}, which is not supported; convert it to zlib_ushort"
        )
    data = _read_bytes(source, label)
    if source.codec in _FLOATS:
        raw = _FLOATS[source.codec](data, size, label)
        raw = np.where(np.isfinite(raw) & (raw > 0), raw, 0)
    elif source.codec == "npy":
        raw = decode_npy(data, label)
        if raw.shape != (size[1], size[0]):
            raise InputError(f"{label}: depth is {raw.shape[1]}x{raw.shape[0]}, others {size[0]}x{size[1]}; resize it")
    elif source.codec == "image":
        raw = decode_pixels(data, size, label)
        if raw.dtype != np.uint16 or raw.ndim != 2:
            raise _no_depth(label)
    else:
        expected = size[0] * size[1] * 2
        if source.codec == "zlib_ushort":
            data = _inflate(data, expected, label)
        _check_length(data, expected, label)
        raw = np.frombuffer(data, "<u2").reshape(size[1], size[0])
    # In double precision 3,000 mm are 3 m, in single precision a little more.
    return (raw * float(source.depth_unit)).astype(np.float32)


def decode_alpha(source: ImageSource, size: tuple[int, int], label: str) -> np.ndarray | None:
    """Which pixels of a photo of `size` (width, height) are more opaque than not: (h, w) bool; None where all are.

    Raises:
        InputError: it cannot be decoded.
    """
    if source.codec != "image" or not image_header(source, label).transparent:
        return None
    image = decode_pixels(_read_bytes(source, label), size, label)
    if image.ndim < 3 or image.shape[2] != 4:
        return None
    opaque = image[..., 3] > np.iinfo(image.dtype).max // 2
    return None if opaque.all() else opaque


def decode_mask(source: ImageSource, size: tuple[int, int], label: str, photo: ImageSource | None = None) -> np.ndarray:
    """Which pixels of a photo of `size` (width, height) its mask keeps: (h, w) bool, those that are not black.

    Of JPEG, which keeps no black quite black, those that are brighter than half. A mask of the photo as it is stored is
    turned with it, where that is turned to its camera's size.

    Raises:
        InputError: the mask cannot be decoded, or is of another size.
    """
    data = _read_bytes(source, label)
    found, turn = read_header(io.BytesIO(data), label).size, None
    if photo and photo.codec == "image" and found == tuple(size[::-1]) != tuple(size):
        header = image_header(photo, str(photo.path))
        turn = TURNS.get(header.orientation) if header.size == found else None
    if found != tuple(size) and turn is None:
        raise InputError(
            f"{label}: mask is {found[0]}x{found[1]}, its photo {size[0]}x{size[1]}; make it again at the photo's size"
        )
    image = decode_pixels(data, found, label)
    if image.ndim == 3:
        image = image[..., :3].max(2)
    image = image if turn is None else np.ascontiguousarray(turn(image))
    return image > (127 if data.startswith(b"\xff\xd8") else 0)


def _no_depth(label: str) -> InputError:
    return InputError(f"{label}: not a 16-bit depth image; store depth as 16-bit PNG in millimetres")


def _read_bytes(source: ImageSource, label: str) -> bytes:
    try:
        with open_file(source.path) as file:
            left = max(0, file.seek(0, io.SEEK_END) - source.offset)
            file.seek(source.offset)
            length = left if source.length is None else min(left, source.length)
            if length > IMAGE_BYTES:
                raise OSError(errno.EFBIG, f"larger than {IMAGE_BYTES >> 20} MB")
            data = file.read(length)
    except OSError as error:
        raise InputError(f"{label}: cannot be read ({error.strerror or error}); check the file") from None
    if source.length is not None and len(data) < source.length:
        raise InputError(f"{label}: the file ends before this image does; copy it again")
    return data


def _inflate(data: bytes, expected: int, label: str) -> bytes:
    if expected > _MAX_INFLATION * max(len(data), 1):
        raise InputError(f"{label}: depth data is too short for its size; copy the file again")
    try:
        return zlib.decompressobj().decompress(data, expected + 1)
    except zlib.error:
        raise InputError(f"{label}: depth data is damaged; copy the file again") from None


def _check_length(data: bytes, expected: int, label: str) -> None:
    if len(data) != expected:
        raise InputError(f"{label}: image has {len(data)} bytes, its size asks for {expected}; copy the file again")
