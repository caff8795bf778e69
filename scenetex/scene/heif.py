"""HEIC and AVIF: what the boxes around a picture say, read without a decoder, and its pixels by one.

ISO/IEC 14496-12 (boxes), 23008-12 (items, their properties, how a picture is turned and mirrored), 23000-22 (MIAF).
"""

import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from PIL import Image

from ..errors import DAMAGE, InputError, extra
from ..process.memory import OutOfMemory, ran_out
from .orientation import TURNS, turned

_MOST_META = 1 << 24  # bytes of the boxes before the pixels
_MOST_BOXES = 100_000
_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1", b"avif", b"avis")
_ALPHA = (b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha", b"urn:mpeg:hevc:2015:auxid:1")
_AV1, _HEVC = b"av01", b"hvc1"
_FULL = 65535


@dataclass(frozen=True)
class HeifHeader:
    """What the boxes say of the picture that is shown first.

    Attributes:
        size: (width, height) as it is shown, cropped and turned as its own properties say.
        turn: the orientation tag (EXIF) that leads from the pixels as the sensor laid them out to those shown.
        is_avif: whether it is compressed as AV1; else as HEVC.
        transparent: whether it has an alpha plane.
        profile: colour profile (ICC), or None.
        codes: colour primaries and transfer by ITU-T H.273 (`nclx`), or None.
    """

    size: tuple[int, int]
    turn: int
    is_avif: bool
    transparent: bool
    profile: bytes | None
    codes: tuple[int, int] | None


def is_heif(start: bytes) -> bool:
    """Whether a file that starts so (16 bytes) is HEIC or AVIF."""
    return start[4:8] == b"ftyp" and start[8:12] in _BRANDS


def read_heif_header(file) -> HeifHeader:
    """What an open file says. Raises ValueError or struct.error for a damaged one."""
    meta = dict(_boxes(_meta(file)[4:]))
    (item,) = _numbers(meta[b"pitm"], 4, "I" if meta[b"pitm"][0] else "H")
    properties = dict(_boxes(meta[b"iprp"]))
    boxes = list(_boxes(properties[b"ipco"]))
    shared = _associations(properties[b"ipma"])
    own = [boxes[i - 1] for i in shared.get(item, ()) if 0 < i <= len(boxes)]
    kinds = _item_types(meta.get(b"iinf", bytes(8)))
    is_avif = _AV1 in kinds.values()
    size, turn = _shape(own, crops=not is_avif)
    alpha = any(kind == b"auxC" and data[4:].rstrip(b"\0") in _ALPHA for kind, data in boxes)
    profile, codes = None, None
    for kind, data in own:
        if kind == b"colr" and data[:4] in (b"prof", b"rICC"):
            profile = data[4:]
        elif kind == b"colr" and data[:4] == b"nclx":
            codes = struct.unpack_from(">2H", data, 4)
    return HeifHeader(size, turn, is_avif, alpha, profile, codes)


def decode_heif(data: bytes, header: HeifHeader, label: str) -> np.ndarray | None:
    """The picture as it is shown: (h, w, 3 or 4) uint8, or uint16 from 0 to 65535 where it has more bits than eight.

    None for a damaged one. Raises `InputError` where its decoder is not installed.
    """
    check_decoder(header.is_avif, label)
    try:
        if header.is_avif:
            return _avif(data, header.turn)
        return _heic(data)
    except (*DAMAGE, SyntaxError) as error:
        if ran_out(error, header.size[0] * header.size[1]):
            raise OutOfMemory(f"{label}: no memory to read it") from None
        return None


def check_decoder(is_avif: bool, label: str) -> None:
    """Raises `InputError` where a decoder is missing."""
    if is_avif:
        if "AVIF" not in Image.OPEN:
            Image.init()
        if "AVIF" not in Image.OPEN or not _decodes_avif():
            raise InputError(f"{label}: is AVIF; to read it, pip install 'pillow>=11.3', or convert it to JPEG or PNG")
        return
    try:
        import pillow_heif  # noqa: F401
    except ImportError:
        raise InputError(f"{label}: is HEIC; to read it, {extra('heic')}, or convert it to JPEG or PNG") from None


def _decodes_avif() -> bool:
    from PIL import features

    return "avif" in features.get_supported_modules()


def _heic(data: bytes) -> np.ndarray:
    import pillow_heif

    file = pillow_heif.open_heif(io.BytesIO(data), convert_hdr_to_8bit=False, hdr_to_16bit=False)
    image = file[file.primary_index]
    bits = int(image.info["bit_depth"])
    pixels = np.asarray(image)
    if pixels.ndim == 2:
        pixels = np.repeat(pixels[..., None], 3, 2)
    if pixels.dtype == np.uint8:
        return pixels
    # Its brightest value becomes the brightest of 16 bits.
    table = np.rint(np.arange(1 << bits) * (_FULL / ((1 << bits) - 1))).astype(np.uint16)
    return table[np.minimum(pixels, (1 << bits) - 1)]


def _avif(data: bytes, turn: int) -> np.ndarray:
    factory, _ = Image.OPEN["AVIF"]  # not `Image.open`, which refuses photos of more than 179 megapixels
    with factory(io.BytesIO(data), "") as image:
        pixels = np.asarray(image.convert("RGBA" if "A" in image.getbands() else "RGB"))
    return turned(pixels, turn)


def _shape(properties: list[tuple[bytes, bytes]], crops: bool) -> tuple[tuple[int, int], int]:
    """Size as shown, and the turn that leads there, of properties in their order."""
    width, height = next(struct.unpack_from(">2I", data, 4) for kind, data in properties if kind == b"ispe")
    corners = np.array([[1, 2], [3, 4], [5, 6]])  # a picture whose every turn differs
    seen = corners
    for kind, data in properties:
        if kind == b"clap" and crops:
            across, of_across, down, of_down = struct.unpack_from(">4I", data)
            width, height = round(across / of_across), round(down / of_down)
        elif kind == b"irot":
            seen = np.rot90(seen, data[0] & 3)
            width, height = (height, width) if data[0] & 1 else (width, height)
        elif kind == b"imir":
            seen = seen[:, ::-1] if data[0] & 1 else seen[::-1]
    same = [tag for tag, turn in TURNS.items() if np.array_equal(turn(corners), seen)]
    return (width, height), same[0] if same else 1


def _meta(file) -> bytes:
    """The `meta` box, whatever stands before it."""
    at = 0
    for _ in range(_MOST_BOXES):
        file.seek(at)
        head = file.read(16)
        size, kind = struct.unpack_from(">I4s", head)
        start = 8
        if size == 1:
            (size,) = struct.unpack_from(">Q", head, 8)
            start = 16
        if kind == b"meta":
            file.seek(at + start)
            return file.read(min(size - start if size else _MOST_META, _MOST_META))
        if size < start:
            break
        at += size
    raise ValueError("no meta box")


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The boxes that stand in a row, kind and content."""
    at = 0
    while at + 8 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        size = len(data) - at if size == 0 else size
        if size < 8:
            raise ValueError("a box is too short")
        yield kind, data[at + 8 : at + size]
        at += size


def _numbers(data: bytes, at: int, form: str) -> tuple[int, ...]:
    return struct.unpack_from(f">{form}", data, at)


def _item_types(data: bytes) -> dict[int, bytes]:
    """Kinds of the items by number (`iinf`)."""
    found = {}
    for kind, entry in _boxes(data[8 if data[0] else 6 :]):
        if kind == b"infe" and entry[0] in (2, 3):
            item, _, name = _numbers(entry, 4, "IH4s" if entry[0] == 3 else "HH4s")
            found[item] = name
    return found


def _associations(data: bytes) -> dict[int, list[int]]:
    """Numbers of the properties of each item, in order (`ipma`)."""
    wide_items, wide_places = data[0] > 0, data[3] & 1
    (count,) = _numbers(data, 4, "I")
    at, found = 8, {}
    for _ in range(min(count, len(data))):
        (item,) = _numbers(data, at, "I" if wide_items else "H")
        at += 4 if wide_items else 2
        (number,) = _numbers(data, at, "B")
        places = _numbers(data, at + 1, f"{number}{'H' if wide_places else 'B'}")
        found[item] = [place & (0x7FFF if wide_places else 0x7F) for place in places]
        at += 1 + number * (2 if wide_places else 1)
    return found
