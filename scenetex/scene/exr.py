"""Depth in OpenEXR files: one channel of floats, in scan lines, plain or compressed by ZIP.

Read here, since OpenCV's wheels come without OpenEXR. The layout is that of the "OpenEXR File Layout" and the ZIP
compression that of its library (openexr.com): pixels of a block are split into even and odd bytes, each byte is stored
as the difference to the one before, plus 128, and all of it is deflated.
"""

import struct
import zlib
from dataclasses import dataclass

import numpy as np

from ..errors import InputError, shown
from ..process.memory import need

_MAGIC = 20000630
_UNREAD = 0x200 | 0x800 | 0x1000  # tiles, deep data, several parts
_LINES = {0: 1, 2: 1, 3: 16}  # of a block, by compression: none, ZIPS, ZIP
_COMPRESSIONS = ("none", "RLE", "ZIPS", "ZIP", "PIZ", "PXR24", "B44", "B44A", "DWAA", "DWAB")
_TYPES = ("<u4", "<f2", "<f4")
_DEPTH = ("Z", "R", "Y")  # what holds depth, from what is sure to what writers without a choice use
_LARGEST_SIDE = 1 << 14
_MOST_CHANNELS = 32
_MOST_INFLATION = 1040  # deflate cannot do better than 1032 : 1
HEADER_BYTES = 1 << 16


@dataclass(frozen=True)
class _Header:
    """What is needed of a header: size, numpy's type by channel in the file's order, the channel of depth, lines of a
    block, its end."""

    size: tuple[int, int]
    channels: dict[str, str]
    depth: str
    first_line: int
    compression: int
    end: int


def exr_size(data: bytes, label: str) -> tuple[int, int]:
    """(width, height) by the first `HEADER_BYTES` of a file. Raises `InputError` for one that is not read here."""
    return _header(data, label).size


def decode_exr(data: bytes, size: tuple[int, int], label: str) -> np.ndarray:
    """Depth (h, w) float32 as stored, of `size` (width, height): channel Z, of whatever layer, R or Y, or the only one.

    Raises:
        InputError: damaged, of another size, tiled, of another compression, or of several channels, none of depth.
    """
    header = _header(data, label)
    if header.size != tuple(size):
        raise InputError(f"{label}: image is {header.size[0]}x{header.size[1]}, its camera {size[0]}x{size[1]}")
    width, height = size
    name = header.depth
    widths = {key: width * np.dtype(kind).itemsize for key, kind in header.channels.items()}
    start = sum(part for key, part in widths.items() if key < name)
    line, lines = sum(widths.values()), _LINES[header.compression]
    blocks = -(-height // lines)
    if line * height > _MOST_INFLATION * len(data):
        raise InputError(f"{label}: image is damaged or cut short; replace it or delete it")
    need(3 * line * lines + 5 * width * height, label)
    out = np.zeros((height, width), np.float32)
    seen = np.zeros(height, bool)
    try:
        offsets = struct.unpack_from(f"<{blocks}Q", data, header.end)
        for at in offsets:
            y, length = struct.unpack_from("<ii", data, at)
            top = y - header.first_line
            count = min(lines, height - top)
            if not 0 <= top < height or length < 0 or at + 8 + length > len(data):
                raise ValueError
            block = _block(data[at + 8 : at + 8 + length], count * line, header.compression)
            rows = np.frombuffer(block, np.uint8).reshape(count, line)[:, start : start + widths[name]]
            out[top : top + count] = np.ascontiguousarray(rows).view(header.channels[name])
            seen[top : top + count] = True
    except (struct.error, ValueError, OverflowError, zlib.error):
        seen[:] = False
    if not seen.all():
        raise InputError(f"{label}: image is damaged or cut short; replace it or delete it")
    return out


def _depth_channel(names: list[str], label: str) -> str:
    of_layers = [name for name in names if name.endswith(".Z")]
    chosen = [name for name in _DEPTH if name in names] or (of_layers if len(of_layers) == 1 else names)
    if chosen is names and len(names) > 1:
        said = shown(", ".join(names[:4]), 60)
        raise InputError(
            f"{label}: which of its channels ({said}) is depth is not known; store it as Z, or as 16-bit PNG"
        )
    return chosen[0]


def _block(data: bytes, expected: int, compression: int) -> bytes:
    """The pixels of a block; one that ZIP would have made longer is stored plain."""
    if compression and len(data) < expected:
        data = zlib.decompressobj().decompress(data, expected)
        if len(data) != expected:
            raise ValueError
        steps = np.frombuffer(data, np.uint8).copy()
        steps[1:] -= np.uint8(128)
        halves = np.cumsum(steps, dtype=np.uint8)
        whole = np.empty(expected, np.uint8)
        whole[::2], whole[1::2] = halves[: (expected + 1) // 2], halves[(expected + 1) // 2 :]
        return whole.tobytes()
    if len(data) != expected:
        raise ValueError
    return data


def _header(data: bytes, label: str) -> _Header:
    attributes: dict[bytes, bytes] = {}
    try:
        magic, version = struct.unpack_from("<II", data)
        at = 8
        while magic == _MAGIC and data[at]:
            name = data[at : data.index(b"\0", at)]
            at += len(name) + 1
            at = data.index(b"\0", at) + 1
            (length,) = struct.unpack_from("<i", data, at)
            if not 0 <= length <= len(data) - at - 4:
                raise ValueError
            attributes[name] = data[at + 4 : at + 4 + length]
            at += 4 + length
        left, top, right, bottom = struct.unpack("<4i", attributes[b"dataWindow"])
        size = right - left + 1, bottom - top + 1
        is_cropped = attributes.get(b"displayWindow", attributes[b"dataWindow"]) != attributes[b"dataWindow"]
        compression = attributes[b"compression"][0]
        channels = _channels(attributes[b"channels"])
    except (struct.error, ValueError, LookupError):
        raise InputError(f"{label}: not a readable OpenEXR image; replace it or delete it") from None
    if version & _UNREAD or compression not in _LINES:
        kind = _COMPRESSIONS[compression] if compression < len(_COMPRESSIONS) else compression
        what = "tiles or parts" if version & _UNREAD else f"compression {kind}"
        raise InputError(f"{label}: OpenEXR with {what} is not read; store it in scan lines with ZIP, or as 16-bit PNG")
    if is_cropped:
        raise InputError(
            f"{label}: OpenEXR that is cropped (its data and display windows differ) is not read; crop nothing"
        )
    if not all(0 < side <= _LARGEST_SIDE for side in size):
        raise InputError(f"{label}: {size[0]}x{size[1]} is not a size of an image; replace it or delete it")
    return _Header(size, channels, _depth_channel(list(channels), label), top, compression, at + 1)


def _channels(data: bytes) -> dict[str, str]:
    found, at = {}, 0
    while data[at]:
        end = data.index(b"\0", at)
        kind, _, *sampling = struct.unpack_from("<iI2i", data, end + 1)
        if sampling != [1, 1] or not 0 <= kind < len(_TYPES):
            raise ValueError
        found[data[at:end].decode("latin-1")] = _TYPES[kind]
        at = end + 17
    if not 0 < len(found) <= _MOST_CHANNELS or list(found) != sorted(found):
        raise ValueError
    return found
