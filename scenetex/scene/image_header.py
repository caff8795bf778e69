"""What an image's header says of its pixels, read without them: size, mode, orientation, colours, transparency."""

import struct
from dataclasses import dataclass
from os import SEEK_END

from PIL import ExifTags, Image

from ..errors import InputError
from ..files.reading import IMAGE_BYTES
from ..process.memory import OutOfMemory, ran_out
from .color_space import other_colors
from .tiff import is_float_tiff, is_raw, is_tiff, tiff_tags

_FORMATS = ("JPEG", "PNG", "TIFF", "WEBP", "BMP", "PPM")
PHOTO_SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp", ".bmp", ".ppm", ".pgm")  # of these formats
_MEMORY = 1 << 24  # bytes; more than reading a header takes
_RAW = "a camera's raw file (DNG, NEF, CR3, ...)"
# What begins a file of a kind that is not read: where, and with which bytes.
_OTHERS = (
    (4, (b"ftyphei", b"ftyphev", b"ftypmif1", b"ftypmsf1"), "HEIC"),
    (4, (b"ftypavi",), "AVIF"),
    (0, (b"\xff\x0a", b"\0\0\0\x0cJXL "), "JPEG XL"),
    (0, (b"GIF8",), "GIF"),
    (0, (b"v/1\1",), "OpenEXR"),
    (0, (b"PF\n", b"Pf\n", b"PF\r", b"Pf\r"), "PFM"),
    (0, (b"#?RADIANCE", b"#?RGBE"), "Radiance HDR"),
    (0, (b"\0\0\0\x0cjP  ", b"\xff\x4f\xff\x51"), "JPEG 2000"),
    (0, (b"II\xbc",), "JPEG XR"),
    (0, (b"P7\n",), "PAM"),
    (0, (b"8BPS",), "Photoshop's (PSD)"),
    (0, (b"FUJIFILMCCD-RAW", b"IIRO", b"IIRS", b"MMOR", b"IIU\0"), _RAW),
    (4, (b"ftypcrx",), _RAW),
)
_SIDEWAYS = (5, 6, 7, 8)
# Where sRGB's red, green and blue lie in a profile (CIE XYZ under D50), and how far off they may be rounded.
_SRGB = {b"rXYZ": (0.436, 0.222, 0.014), b"gXYZ": (0.385, 0.717, 0.097), b"bXYZ": (0.143, 0.061, 0.714)}
_ROUNDING = 0.01
_LEAST_GAMMA = 1.6  # profiles of less are linear, or nearly so


@dataclass(frozen=True)
class ImageHeader:
    """What a header says.

    Attributes:
        size: (width, height) as stored, pixels.
        mode: Pillow's name of the pixels: "RGB", "RGBA", "I;16", ...
        orientation: the EXIF tag, 1 to 8; 1 where there is none.
        profile: name of the colour profile (ICC), or None where there is none, or sRGB's.
        colors: what else says that the colours are not sRGB's, see `other_colors`, or None.
        transparent: whether pixels may be transparent.
    """

    size: tuple[int, int]
    mode: str
    orientation: int
    profile: str | None
    colors: str | None
    transparent: bool

    @property
    def is_sideways(self) -> bool:
        """Whether the photo is meant to be turned by a quarter before it is looked at."""
        return self.orientation in _SIDEWAYS


def read_header(file, label: str) -> ImageHeader:
    """The header of an image in an open file, which `label` names in errors. Raises `InputError` where it has none."""
    # Pillow reads headers without touching the pixels, and takes a damaged one with many kinds of exception.
    found, tags = None, {}
    try:
        with _opened(file) as image:
            tags = getattr(image, "tag_v2", {})
            if min(image.size) > 0:
                found = ImageHeader(
                    _stored_size(image),
                    image.mode,
                    _orientation(image),
                    _profile(image.info.get("icc_profile")),
                    other_colors(image, file),
                    "transparency" in image.info or image.mode in ("RGBA", "LA", "PA", "RGBa", "La"),
                )
    except Exception as error:
        if ran_out(error, _MEMORY):
            raise OutOfMemory(f"{label}: no memory to read it") from None
    file.seek(0)
    start = file.read(16)
    data = b"" if found or not is_tiff(start) else _whole(file)
    if is_tiff(start) and is_raw(tags if found else tiff_tags(data), start):
        raise InputError(f"{label}: is {_RAW}, which is not read; convert it to JPEG or PNG")
    if found:
        return found
    for at, starts, name in _OTHERS:
        if start[at:].startswith(starts):
            raise InputError(f"{label}: is {name}, which is not read; convert it to JPEG or PNG")
    if is_float_tiff(data):
        raise no_photo(label)
    raise InputError(f"{label}: not a readable image; replace it or delete the frame")


def no_photo(label: str) -> InputError:
    """What to do about a photo whose pixels say no colours without a choice of exposure."""
    return InputError(f"{label}: holds floating-point or 32-bit pixels, which are no photo; convert it to JPEG or PNG")


def _opened(file) -> Image.Image:
    """As `Image.open`, which refuses photos of more than 179 megapixels, whatever memory there is."""
    if not set(_FORMATS) <= Image.OPEN.keys():
        Image.preinit()
        Image.init()
    prefix = file.read(16)
    for name in _FORMATS:
        factory, accept = Image.OPEN[name]
        if accept is None or accept(prefix) is True:
            file.seek(0)
            return factory(file, "")
    raise ValueError("no image")


def _stored_size(image: Image.Image) -> tuple[int, int]:
    """(width, height) before any turn; Pillow's newer versions turn the size of a TIFF by its tag."""
    tags = getattr(image, "tag_v2", {})
    return (tags[256], tags[257]) if image.format == "TIFF" else image.size


def _whole(file) -> bytes:
    # As much as is asked for is made room for: no more than there is.
    size = min(file.seek(0, SEEK_END), IMAGE_BYTES)
    file.seek(0)
    return file.read(size)


def _orientation(image: Image.Image) -> int:
    try:
        if "exif" in image.info:  # not `getexif`, which decodes a PNG to look behind its pixels
            exif = Image.Exif()
            exif.load(image.info["exif"])
        else:
            exif = getattr(image, "tag_v2", {})
        found = exif.get(ExifTags.Base.Orientation, 1)
    except Exception:  # a damaged tag is none
        return 1
    return found if found in range(1, 9) else 1


def _profile(data: bytes | None) -> str | None:
    """The name of a profile of red, green and blue that are not sRGB's."""
    try:
        count = struct.unpack_from(">I", data, 128)[0]
        rows = [struct.unpack_from(">4sII", data, 132 + 12 * i) for i in range(min(count, 100))]
        tags = {name: data[at : at + size] for name, at, size in rows}
        # Numbers of 16 bits before and behind the point, after a head of 8 bytes.
        found = {name: [n / 65536 for n in struct.unpack_from(">3i", tags[name], 8)] for name in _SRGB}
        same = all(abs(a - b) < _ROUNDING for name in _SRGB for a, b in zip(found[name], _SRGB[name], strict=True))
        if same and _gamma(tags.get(b"rTRC", b"")) > _LEAST_GAMMA:
            return None
    except (TypeError, struct.error, KeyError):  # none, damaged, or of grey or ink
        return None
    return _description(tags.get(b"desc", b"")) or "a colour space of their own"


def _gamma(curve: bytes) -> float:
    """The exponent of a profile's `TRC` tag; sRGB's where it is none, or of many points."""
    count = int.from_bytes(curve[8:12], "big")
    if curve[:4] == b"curv" and count < 2:
        return int.from_bytes(curve[12:14], "big") / 256 if count else 1.0
    if curve[:4] == b"para" and curve[8:10] == bytes(2):
        return int.from_bytes(curve[12:16], "big") / 65536
    return 2.2


def _description(tag: bytes) -> str:
    """The text of a profile's `desc` tag, of version 2 (ASCII) or 4 (UTF-16 in several languages)."""
    if tag[:4] == b"desc":
        text = tag[12 : 12 + int.from_bytes(tag[8:12], "big")].decode("latin-1")
    else:
        size, at = int.from_bytes(tag[20:24], "big"), int.from_bytes(tag[24:28], "big")
        text = tag[at : at + size].decode("utf-16-be", "replace")
    return "".join(c for c in text[:60] if c.isprintable()).strip()
