"""What the first directory of a TIFF says that neither OpenCV nor Pillow heeds as photos need it."""

import struct

_ORDERS = {b"II*\0": "<", b"MM\0*": ">"}
_SHORT = 3  # of 16 bits
_EXTRA_SAMPLES, _UNASSOCIATED_ALPHA = 338, 2
_SAMPLE_FORMAT, _FLOAT = 339, 3


def is_tiff(start: bytes) -> bool:
    """Whether a file that starts so is a TIFF."""
    return start[:4] in _ORDERS


def is_float_tiff(data: bytes) -> bool:
    """Whether the pixels of a TIFF are floating-point numbers."""
    found = _first_short(data, _SAMPLE_FORMAT)
    return found is not None and found[1] == _FLOAT


def without_alpha(data: bytes) -> bytes:
    """The image's bytes; those of a TIFF call its alpha a channel of no meaning, by which libtiff does not multiply."""
    found = _first_short(data, _EXTRA_SAMPLES)
    if found is None or found[1] != _UNASSOCIATED_ALPHA:
        return data
    return data[: found[0]] + bytes(2) + data[found[0] + 2 :]


def _first_short(data: bytes, tag: int) -> tuple[int, int] | None:
    """Where the first of a tag's 16-bit values stands, and the value; None for no TIFF, or one that does not say."""
    order = _ORDERS.get(data[:4])
    if order is None:
        return None
    try:
        (at,) = struct.unpack_from(f"{order}I", data, 4)
        (entries,) = struct.unpack_from(f"{order}H", data, at)
        for entry in range(at + 2, at + 2 + 12 * entries, 12):
            name, kind, count, place = struct.unpack_from(f"{order}HHII", data, entry)
            if (name, kind) == (tag, _SHORT):
                start = place if count > 2 else entry + 8  # more than two do not fit into the entry
                return start, struct.unpack_from(f"{order}H", data, start)[0]
    except struct.error:  # damaged
        pass
    return None
