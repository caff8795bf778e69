"""What an image's header says of its pixels, read without them: size, mode, orientation, colours, transparency."""

from dataclasses import dataclass
from os import SEEK_END

from PIL import ExifTags, Image

from ..errors import DAMAGE, InputError
from ..files.reading import IMAGE_BYTES
from ..process.memory import OutOfMemory, ran_out
from .color_space import coded_colors, stated_colors
from .heif import HeifHeader, check_decoder, is_heif, read_heif_header
from .orientation import SIDEWAYS
from .tiff import is_float_tiff, is_raw, is_tiff, tiff_tags

_FORMATS = ("JPEG", "PNG", "TIFF", "WEBP", "BMP", "PPM")
# Of these formats, and of HEIC and AVIF.
PHOTO_SUFFIXES = (
    *(".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp", ".bmp", ".ppm", ".pgm", ".heic", ".heif", ".hif", ".avif"),
)
_LARGEST_SIDE = 1 << 24
_MEMORY = 1 << 24  # bytes; more than reading a header takes
_RAW = "a camera's raw file (DNG, NEF, CR3, ...)"
# What begins a file of a kind that is not read: where, and with which bytes.
_OTHERS = (
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
_BITS_PER_SAMPLE = 258  # of a TIFF
_PNG_BITS = 24  # where a PNG says them


@dataclass(frozen=True)
class ImageHeader:
    """What a header says.

    Attributes:
        size: (width, height) as stored, pixels.
        mode: Pillow's name of the pixels: "RGB", "RGBA", "I;16", ...
        orientation: the EXIF tag, 1 to 8; 1 where there is none. HEIC and AVIF count as stored when they are shown, as
            every decoder gives them; theirs leads back to how the sensor laid a picture out on its side.
        profile: colour profile (ICC) that says what the colours are, its own or made of what else says so; or None.
        colors: name of colours that are not sRGB's, and cannot be converted; or None.
        transparent: whether pixels may be transparent.
        bits: of a channel, 8 or 16.
        heif: what else is known of HEIC and AVIF; None for other formats.
    """

    size: tuple[int, int]
    mode: str
    orientation: int
    profile: bytes | None
    colors: str | None
    transparent: bool
    bits: int = 8
    heif: HeifHeader | None = None

    @property
    def is_sideways(self) -> bool:
        """Whether the photo is meant to be turned by a quarter before it is looked at."""
        return self.orientation in SIDEWAYS

    @property
    def space(self) -> str:
        """What its channels are, beside alpha: "RGB" (of palettes, too), "GRAY", "CMYK" or "LAB"."""
        if self.mode in ("CMYK", "LAB"):
            return self.mode
        return "GRAY" if self.mode[:1] in ("1", "L", "I") else "RGB"


def read_header(file, label: str) -> ImageHeader:
    """The header of an image in an open file, which `label` names in errors. Raises `InputError` where it has none."""
    start = file.read(16)
    file.seek(0)
    if is_heif(start):
        return _heif_header(file, label)
    # Pillow reads headers without touching the pixels, and takes a damaged one with many kinds of exception.
    found, tags = None, {}
    try:
        with open_image(file) as image:
            tags = getattr(image, "tag_v2", {})
            if min(image.size) > 0:
                found = ImageHeader(
                    _stored_size(image),
                    image.mode,
                    _orientation(image),
                    *stated_colors(image, file),
                    "transparency" in image.info or image.mode in ("RGBA", "LA", "PA", "RGBa", "La"),
                    _bits(image, file),
                )
    except Exception as error:
        if ran_out(error, _MEMORY):
            raise OutOfMemory(f"{label}: no memory to read it") from None
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


def open_image(file) -> Image.Image:
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


def _bits(image: Image.Image, file) -> int:
    """8 or 16, as a PNG or a TIFF says."""
    bits = getattr(image, "tag_v2", {}).get(_BITS_PER_SAMPLE, 8)
    if image.format == "PNG":
        file.seek(_PNG_BITS)
        bits = file.read(1)[0]
    return 16 if max(bits if isinstance(bits, tuple) else (bits,)) > 8 else 8


def _heif_header(file, label: str) -> ImageHeader:
    try:
        found = read_heif_header(file)
        if not all(0 < side < _LARGEST_SIDE for side in found.size):
            raise ValueError("no size")
    except (*DAMAGE, TypeError, StopIteration):
        raise InputError(f"{label}: not a readable image; replace it or delete the frame") from None
    check_decoder(found.is_avif, label)
    profile, colors = (found.profile, None) if found.profile or not found.codes else coded_colors(found.codes)
    # What leads back: quarter turns are each other's inverse. Only a size tells whether intrinsics want it.
    back = {6: 8, 8: 6}.get(found.turn, found.turn)
    orientation = back if back in SIDEWAYS and found.size[0] != found.size[1] else 1
    mode = "RGBA" if found.transparent else "RGB"
    return ImageHeader(found.size, mode, orientation, profile, colors, found.transparent, 16, found)
