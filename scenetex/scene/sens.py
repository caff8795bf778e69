"""ScanNet's `.sens` stream (version 4): its header and where each frame's data lie, read without the data."""

import os
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..files.reading import open_file

_COLOR_CODECS = {0: "raw_rgb", 1: "image", 2: "image"}  # raw, png, jpeg
_DEPTH_CODECS = {0: "raw_ushort", 1: "zlib_ushort", 2: "occi_ushort"}
_HEADER = struct.Struct("<64f2i4IfQ")  # four 4x4 matrices, codecs, sizes, depth shift, number of frames
_FRAME = struct.Struct("<16f4Q")  # pose, two time stamps, bytes of colour and depth
_LONGEST_NAME = 4096
_LARGEST_SIDE = 1 << 16


@dataclass(frozen=True, eq=False)
class SensIndex:
    """What a `.sens` file holds, and where.

    Attributes:
        intrinsic_color, intrinsic_depth: (4, 4) float64, pixels.
        extrinsic_color, extrinsic_depth: (4, 4) float64, sensor to rig.
        color_codec, depth_codec: `ImageSource.codec` of the streams; "occi_ushort" and "number N" cannot be read.
        color_size, depth_size: (width, height), pixels.
        depth_unit: metres per unit of depth; NaN where the header's makes no sense.
        poses: (n, 4, 4) float64, rig to world, as stored (`-inf` where tracking was lost).
        color_at, depth_at: (n, 2) int64, offset and length of each frame's data, bytes.
    """

    intrinsic_color: np.ndarray
    extrinsic_color: np.ndarray
    intrinsic_depth: np.ndarray
    extrinsic_depth: np.ndarray
    color_codec: str
    depth_codec: str
    color_size: tuple[int, int]
    depth_size: tuple[int, int]
    depth_unit: float
    poses: np.ndarray
    color_at: np.ndarray
    depth_at: np.ndarray


def read_sens_index(path: Path) -> SensIndex:
    """Indexes a `.sens` file by stepping from frame header to frame header; memory grows with frames, never with data.

    Raises:
        InputError: not a `.sens` file of version 4, a header that makes no sense, or a file that ends before its last
            frame does.
    """
    try:
        with open_file(path, buffering=0) as file:
            return _read(file, path)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error}); check the file") from None


def _read(file, path: Path) -> SensIndex:
    end = file.seek(0, os.SEEK_END)
    file.seek(0)
    version, name_length = _unpack(struct.Struct("<IQ"), file, path)
    if version != 4 or name_length > _LONGEST_NAME:
        raise InputError(f"{path}: not a .sens file of version 4; download the scan again")
    file.seek(name_length, os.SEEK_CUR)
    values = _unpack(_HEADER, file, path)
    matrices = np.array(values[:64]).reshape(4, 4, 4)
    color_kind, depth_kind, *sides, shift, count = values[64:]
    if color_kind not in _COLOR_CODECS:
        raise InputError(f"{path}: stores photos in a way that is not known; download the scan again")
    if not all(0 < side < _LARGEST_SIDE for side in sides[:2]):
        raise InputError(f"{path}: image size in its header makes no sense; download the scan again")
    if count == 0:
        raise InputError(f"{path}: holds no frames; download the scan again")
    if count > (end - file.tell()) // _FRAME.size:
        raise _cut_short(path, count)

    poses = np.empty((count, 16))
    spans = np.empty((count, 2, 2), np.int64)
    at = file.tell()
    for i in range(count):
        file.seek(at)
        *pose, _, _, color_bytes, depth_bytes = _unpack(_FRAME, file, path)
        at += _FRAME.size
        if color_bytes + depth_bytes > end - at:
            raise _cut_short(path, count, i)
        poses[i] = pose
        spans[i] = (at, color_bytes), (at + color_bytes, depth_bytes)
        at += color_bytes + depth_bytes
    return SensIndex(
        *matrices,
        _COLOR_CODECS[color_kind],
        _DEPTH_CODECS.get(depth_kind, f"number {depth_kind}"),
        tuple(sides[:2]),
        tuple(sides[2:]),
        1.0 / shift if 1 <= shift < np.inf else np.nan,
        poses.reshape(-1, 4, 4),
        spans[:, 0],
        spans[:, 1],
    )


def _unpack(record: struct.Struct, file, path: Path) -> tuple:
    data = file.read(record.size)
    if len(data) < record.size:
        raise InputError(f"{path}: .sens file is cut short within a header; download the scan again")
    return record.unpack(data)


def _cut_short(path: Path, count: int, frame: int | None = None) -> InputError:
    where = "" if frame is None else f" within frame {frame}"
    return InputError(f"{path}: .sens file is cut short{where}: it announces {count} frames; download the scan again")
