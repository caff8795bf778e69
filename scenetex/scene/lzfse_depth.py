"""Depth that Apple's LZFSE has compressed, as Record3D keeps it: floats in metres, row by row.

Its decoder is the package `lzfse` (of the extra `fusion`). How much comes out of a file is added up
from its blocks' headers (lzfse_internal.h of github.com/lzfse/lzfse) before the decoder sees it, which makes room for
whatever comes.
"""

import struct
from importlib.util import find_spec

import numpy as np

from ..errors import InputError, extra

_COUNT = (1 << 20) - 1
_SHORTEST = 32  # bytes of a bvx2 block's header


def can_decode() -> bool:
    """Whether the decoder is installed."""
    return find_spec("lzfse") is not None


def decode_lzfse(data: bytes, size: tuple[int, int], label: str) -> np.ndarray:
    """Depth (h, w) float32 as stored, of `size` (width, height); bytes that were not compressed are taken as they are.

    Raises:
        InputError: damaged, of another size, or without the decoder.
    """
    expected = size[0] * size[1] * 4
    if len(data) != expected:
        if _length(data) != expected:
            raise InputError(
                f"{label}: depth data is damaged or of another size than {size[0]}x{size[1]}; copy it again"
            )
        if not can_decode():
            raise InputError(f"{label}: depth is compressed by LZFSE; to read it, {extra('fusion')}")
        data = _decompress(data, label)
    if len(data) != expected:
        raise InputError(f"{label}: depth data is damaged; copy the file again")
    return np.frombuffer(data, "<f4").reshape(size[1], size[0])


def _decompress(data: bytes, label: str) -> bytes:
    import lzfse

    try:
        return lzfse.decompress(data)
    except lzfse.error:
        raise InputError(f"{label}: depth data is damaged; copy the file again") from None


def _length(data: bytes) -> int | None:
    """Bytes that come out of a stream, by the headers of its blocks; None where they do not lead to its end."""
    at, total = 0, 0
    try:
        while (kind := data[at : at + 4]) != b"bvx$":
            (length,) = struct.unpack_from("<I", data, at + 4)
            total += length
            if kind == b"bvx-":
                at += 8 + length
            elif kind == b"bvxn":
                at += 12 + struct.unpack_from("<I", data, at + 8)[0]
            elif kind == b"bvx2":
                literals, matches, header = struct.unpack_from("<3Q", data, at + 8)
                at += max(header & 0xFFFFFFFF, _SHORTEST) + (literals >> 20 & _COUNT) + (matches >> 40 & _COUNT)
            else:
                return None
    except struct.error:
        return None
    return total
