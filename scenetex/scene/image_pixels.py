"""The bytes of an encoded image to pixels: of photos 8 bits of sRGB, of depth and masks what is stored."""

import io

import cv2
import numpy as np

from ..errors import DAMAGE, InputError
from ..process.memory import OutOfMemory, is_out_of_memory, need, ran_out
from .color_profile import UnreadableProfile, lab_to_srgb, to_8_bits, to_srgb
from .heif import decode_heif
from .image_header import ImageHeader, no_photo, open_image, read_header
from .netpbm import brightest_value, scaled
from .orientation import turned
from .tiff import as_stored, tiff_compression

# A photo of one flat colour takes 1 byte for some 400 pixels as JPEG or PNG; a header that promises far more is
# damaged, and is not worth the memory it asks for. Newer formats do better.
_MAX_PIXELS_PER_BYTE = 2048
_MAX_PIXELS_PER_BYTE_NOW = 1 << 18
_MOST_PIXELS = 1 << 30  # that OpenCV decodes
_DECODING = 8  # bytes for each pixel of a photo of 8 bits while it is decoded: twice its colours, and the decoder's own
_SHRUNK = {
    1: cv2.IMREAD_GRAYSCALE,
    2: cv2.IMREAD_REDUCED_GRAYSCALE_2,
    4: cv2.IMREAD_REDUCED_GRAYSCALE_4,
    8: cv2.IMREAD_REDUCED_GRAYSCALE_8,
}


def photo_pixels(data: bytes, size: tuple[int, int], label: str, upright: bool) -> np.ndarray:
    """A photo, (h, w, 3) uint8 sRGB: of `size` (width, height), or if `upright`, turned as its orientation tag says.

    Colours of a profile that cannot be read are taken for sRGB.

    Raises:
        InputError: it cannot be decoded, or is of another size.
    """
    # Calibration speaks of pixels as stored: an orientation tag must not turn them.
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH | (0 if upright else cv2.IMREAD_IGNORE_ORIENTATION)
    header = read_header(io.BytesIO(data), label)
    image = cv2.cvtColor(_decode(data, header, size, flags, label), cv2.COLOR_BGR2RGB)
    if header.profile is None or header.space not in ("RGB", "GRAY"):
        return to_8_bits(image)
    try:
        return to_srgb(image, header.profile, header.space)
    except UnreadableProfile:
        return to_8_bits(image)


def glance_pixels(data: bytes, size: tuple[int, int], shrink: int, label: str) -> np.ndarray:
    """A photo of `size` (width, height) as (h / shrink, w / shrink) uint8 luma of its own colours, fast for `shrink` of
    1, 2, 4 or 8. Raises `InputError` as `photo_pixels`."""
    header = read_header(io.BytesIO(data), label)
    image = _decode(data, header, size, _SHRUNK[shrink] | cv2.IMREAD_IGNORE_ORIENTATION, label)
    if image.ndim == 2:
        return image
    gray = cv2.cvtColor(to_8_bits(image), cv2.COLOR_BGR2GRAY)
    small = max(1, size[0] // shrink), max(1, size[1] // shrink)
    return gray if shrink == 1 else cv2.resize(gray, small, interpolation=cv2.INTER_AREA)


def decode_pixels(data: bytes, size: tuple[int, int], label: str) -> np.ndarray:
    """An image of `size` (width, height) as it is stored: (h, w) or (h, w, 3 or 4), blue first, of its own type.

    Raises:
        InputError: as `photo_pixels`.
    """
    return _decode(data, read_header(io.BytesIO(data), label), size, cv2.IMREAD_UNCHANGED, label)


def _decode(data: bytes, header: ImageHeader, size: tuple[int, int], flags: int, label: str) -> np.ndarray:
    """Blue first; grey as OpenCV has it, but of formats that it does not decode always of three channels or four."""
    found, turn = header.size, 1
    if found != tuple(size) and header.is_sideways and found[::-1] == tuple(size):
        found, turn = tuple(size), header.orientation
    if found != tuple(size):
        on_side = ", turned on its side" if found[::-1] == tuple(size) else ""
        raise InputError(
            f"{label}: image is {found[0]}x{found[1]}{on_side}, its camera {size[0]}x{size[1]}; resize it or fix the "
            "intrinsics"
        )
    if found[0] * found[1] > _MOST_PIXELS:
        raise InputError(f"{label}: has more than {_MOST_PIXELS >> 20} megapixels, which is not read; make it smaller")
    as_photo = flags != cv2.IMREAD_UNCHANGED
    if as_photo and header.mode == "F":
        raise no_photo(label)
    brightest = brightest_value(data) if as_photo else None
    image = None
    if _may_be_whole(data, header):
        upright = not flags & cv2.IMREAD_IGNORE_ORIENTATION
        need(_DECODING * (header.bits // 8) * found[0] * found[1], label)
        image = _by_others(data, header, as_photo, upright, label)
        if image is None and header.heif is None:
            stored = as_stored(data, upright=upright)
            image = _by_opencv(stored, header, flags | (cv2.IMREAD_ANYDEPTH if brightest else 0), label)
    if as_photo and (header.mode == "I" if image is None else image.dtype not in (np.uint8, np.uint16)):
        raise no_photo(label)
    if image is None and (compression := tiff_compression(data)):
        raise InputError(
            f"{label}: is a TIFF compressed by {compression}, which is not read; convert it to JPEG or PNG"
        )
    # Two readers may take one file in two ways. Whether it is smaller on purpose, its flags tell.
    shrunk = flags & ~cv2.IMREAD_IGNORE_ORIENTATION in [flag for shrink, flag in _SHRUNK.items() if shrink > 1]
    sizes = [header.size] if flags & cv2.IMREAD_IGNORE_ORIENTATION else [header.size, header.size[::-1]]
    if image is None or (not shrunk and image.shape[1::-1] not in sizes):
        raise InputError(f"{label}: image is damaged or cut short; replace it or delete the frame")
    return turned(scaled(image, brightest) if brightest else image, turn)


def _may_be_whole(data: bytes, header: ImageHeader) -> bool:
    """Whether so few bytes can hold so many pixels, and the file ends where it should."""
    newer = header.heif is not None or data[8:12] == b"WEBP"
    most = (_MAX_PIXELS_PER_BYTE_NOW if newer else _MAX_PIXELS_PER_BYTE) * len(data)
    return header.size[0] * header.size[1] <= most and not _is_cut_jpeg(data) and not _is_cut_png(data)


def _by_others(data: bytes, header: ImageHeader, as_photo: bool, upright: bool, label: str) -> np.ndarray | None:
    """What OpenCV does not decode, or not to the right colours, blue first: HEIC and AVIF, and of photos Lab, and CMYK
    that a profile describes; of the latter two sRGB. None for other images, and for damage."""
    if header.heif is not None:
        image = decode_heif(data, header.heif, label)
        return None if image is None else np.ascontiguousarray(image[..., [2, 1, 0, 3][: image.shape[2]]])
    if not as_photo or not (header.space == "LAB" or (header.space == "CMYK" and header.profile)):
        return None
    try:
        with open_image(io.BytesIO(as_stored(data))) as opened:
            pixels = np.asarray(opened)
        image = lab_to_srgb(pixels) if header.space == "LAB" else to_srgb(pixels, header.profile, header.space)
    except UnreadableProfile:
        return None
    except (*DAMAGE, SyntaxError) as error:
        if ran_out(error, _DECODING * header.size[0] * header.size[1]):
            raise OutOfMemory(f"{label}: no memory to read it") from None
        return None
    return np.ascontiguousarray((turned(image, header.orientation) if upright else image)[..., ::-1])


def _by_opencv(data: bytes, header: ImageHeader, flags: int, label: str) -> np.ndarray | None:
    """What OpenCV makes of the bytes, None for damage. Raises MemoryError where memory ran out, which OpenCV takes for
    damage, too."""
    wanted = _DECODING * (header.bits // 8) * header.size[0] * header.size[1]
    for attempt in range(2):  # beside other threads' photos there may have been too little for a moment
        try:
            image = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
        except cv2.error as error:
            image, said = None, str(error)
            if attempt and is_out_of_memory(error):
                raise OutOfMemory(f"{label}: {said.strip().splitlines()[0]}") from None
        if image is not None:
            return image
        need(wanted, label)
    return None


def _is_cut_jpeg(data: bytes) -> bool:
    """Whether a JPEG has no end marker after its first scan: OpenCV would fill the rest with grey and not say so."""
    if data[:2] != b"\xff\xd8":
        return False
    at = 2
    while at + 4 <= len(data):
        if data[at] != 0xFF:
            return True
        if data[at + 1] == 0xDA:
            return data.find(b"\xff\xd9", at) < 0
        # Segments before the scan are stepped over, since a thumbnail in one has an end marker of its own.
        at += 1 if data[at + 1] == 0xFF else 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return True


def _is_cut_png(data: bytes) -> bool:
    """Whether a PNG's chunks do not lead to its end: OpenCV makes room for each before it looks whether it is there."""
    if data[:8] != b"\x89PNG\r\n\x1a\n":
        return False
    at = 8
    while at + 12 <= len(data):
        if data[at + 4 : at + 8] == b"IEND":
            return False
        at += 12 + int.from_bytes(data[at : at + 4], "big")
    return True
