"""What the first directory of a TIFF says that neither OpenCV nor Pillow heeds as photos need it.

Classic TIFF of either byte order (TIFF 6.0, Adobe 1992), and BigTIFF ("The BigTIFF File Format", AWare Systems) of the
one that Pillow reads.
"""

import struct
from collections.abc import Iterator, Mapping

# By how a file starts: byte order; where the first directory is said to lie; forms of that, of the directory's number
# of entries, and of an entry; bytes of an entry's value.
_KINDS = {
    b"II*\0": ("<", 4, "I", "H", "HHI", 4),
    b"MM\0*": (">", 4, "I", "H", "HHI", 4),
    b"II+\0": ("<", 8, "Q", "Q", "HHQ", 8),
}
_FORMS = {1: "B", 3: "H", 4: "I"}  # of bytes, and of numbers of 16 and 32 bits
_NEW_SUBFILE_TYPE, _REDUCED = 254, 1
_COMPRESSION, _PHOTOMETRIC, _ORIENTATION = 259, 262, 274
_EXTRA_SAMPLES, _UNASSOCIATED_ALPHA = 338, 2
_SAMPLE_FORMAT, _FLOAT = 339, 3
_DNG_VERSION = 50706
_OF_A_SENSOR = (32803, 34892)  # colours in a mosaic, or as the sensor saw them (DNG 1.7)
_COMPRESSIONS = {34712: "JPEG 2000", 34887: "LERC", 34925: "LZMA", 50000: "Zstandard", 50001: "WebP", 52546: "JPEG XL"}


def is_tiff(start: bytes) -> bool:
    """Whether a file that starts so is a TIFF."""
    return start[:4] in _KINDS


def is_float_tiff(data: bytes) -> bool:
    """Whether the pixels of a TIFF are floating-point numbers."""
    return _first(data, _SAMPLE_FORMAT) == _FLOAT


def tiff_tags(data: bytes) -> dict[int, int]:
    """By number, the first value of those tags of a TIFF that `is_raw` looks at."""
    found = {tag: _first(data, tag) for tag in (_NEW_SUBFILE_TYPE, _PHOTOMETRIC, _DNG_VERSION)}
    return {tag: value for tag, value in found.items() if value is not None}


def is_raw(tags: Mapping[int, object], start: bytes) -> bool:
    """Whether a TIFF of such tags, and such a start, is what a camera's sensor saw (DNG, NEF, ARW, CR2), before which a
    small preview may stand."""
    reduced = tags.get(_NEW_SUBFILE_TYPE, 0) & _REDUCED
    return bool(reduced or _DNG_VERSION in tags or tags.get(_PHOTOMETRIC) in _OF_A_SENSOR or start[8:10] == b"CR")


def tiff_compression(data: bytes) -> str | None:
    """The name of a compression that a decoder may lack, or None."""
    return _COMPRESSIONS.get(_first(data, _COMPRESSION))


def as_stored(data: bytes, upright: bool = False) -> bytes:
    """The image's bytes; those of a TIFF say nothing by which libtiff would change pixels.

    Its alpha is called a channel of no meaning, by which colours are not multiplied, and, unless it is to be `upright`,
    its first row the upper one.
    """
    changes = [at for at, value in _values(data, _EXTRA_SAMPLES) if value == _UNASSOCIATED_ALPHA]
    changed = {at: 0 for at in changes[:1]}
    if not upright:
        changed |= {at: 1 for at, value in _values(data, _ORIENTATION) if value != 1}
    if not changed:
        return data
    out = bytearray(data)
    for at, value in changed.items():
        struct.pack_into(f"{_KINDS[data[:4]][0]}H", out, at, value)
    return bytes(out)


def _first(data: bytes, tag: int) -> int | None:
    """The first of a tag's values; None for no TIFF, or one that does not say."""
    return next((value for _, value in _values(data, tag)), None)


def _values(data: bytes, tag: int) -> Iterator[tuple[int, int]]:
    """Where the first of a tag's numbers stands, and the number; nothing where a TIFF does not say, or is damaged."""
    if not is_tiff(data):
        return
    order, start, offset, number, entry, room = _KINDS[data[:4]]
    step = struct.calcsize(order + entry) + room
    try:
        (at,) = struct.unpack_from(order + offset, data, start)
        (entries,) = struct.unpack_from(order + number, data, at)
        at += struct.calcsize(order + number)
        for place in range(at, min(at + step * entries, len(data)), step):
            name, kind, count = struct.unpack_from(order + entry, data, place)
            if name != tag or kind not in _FORMS or not count:
                continue
            place += step - room
            if count * struct.calcsize(_FORMS[kind]) > room:  # more than fits into the entry
                (place,) = struct.unpack_from(order + offset, data, place)
            yield place, struct.unpack_from(order + _FORMS[kind], data, place)[0]
            return
    except struct.error:
        pass
