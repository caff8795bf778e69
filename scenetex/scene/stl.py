"""STL files, ascii and binary: loose triangles, whose corners are joined where they lie on one another."""

import codecs
import re
import struct
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..files.reading import MESH_BYTES, read_bytes
from .ply_elements import parse_numbers

_HEAD = 84  # bytes before the triangles of a binary file
_ROW = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])
_LOOP = re.compile(rb"\bouter[ \t]+loop\b", re.IGNORECASE)
_VERTEX = re.compile(rb"^[ \t]*vertex[ \t]+([^\n]*)", re.MULTILINE | re.IGNORECASE)


def read_stl(path: Path) -> tuple[np.ndarray, np.ndarray, None]:
    """Vertices (n, 3) float64 in order of appearance, each place once, and faces (f, 3) int64 as stored; no colours.

    Normals and attributes are left out; what winds a triangle is the order of its corners.

    Raises:
        InputError: no STL file, or one that is cut short.
    """
    data = read_bytes(path, MESH_BYTES)
    text = data.removeprefix(codecs.BOM_UTF8)
    announced = struct.unpack_from("<I", data, _HEAD - 4)[0] if len(data) >= _HEAD else None
    # Some binary files begin with "solid", too: their length tells.
    if announced is not None and len(data) == _HEAD + announced * _ROW.itemsize:
        corners = np.frombuffer(data, _ROW, announced, _HEAD)["corners"].reshape(-1, 3)
    elif text[:6].lower().startswith(b"solid") and b"\0" not in text[:1024]:
        corners = _ascii_corners(text.replace(b"\r", b"\n"), path)
    else:
        raise InputError(f"{path}: not an STL file, or cut short, or longer than its header says; export it again")
    with np.errstate(invalid="ignore"):
        corners = corners.astype(np.float64) + 0.0  # no negative zeros
    return *_joined(corners), None


def _ascii_corners(data: bytes, path: Path) -> np.ndarray:
    lines = _VERTEX.findall(data)
    try:
        numbers = parse_numbers(b"\n".join(lines))
    except ValueError:
        numbers = np.zeros(0)
    if len(numbers) != 3 * len(lines) or len(lines) % 3 or b"endsolid" not in data[-1024:].lower():
        raise InputError(f"{path}: an STL file that is cut short, or whose vertices are not x y z; export it again")
    corner_at, loop_at = (
        np.fromiter((match.start() for match in what.finditer(data)), np.int64) for what in (_VERTEX, _LOOP)
    )
    if (np.diff(np.searchsorted(corner_at, np.r_[0, loop_at, len(data)]))[1:] != 3).any() or len(lines) != 3 * len(
        loop_at
    ):
        raise InputError(f"{path}: an STL file whose facets are no triangles, one line a corner; export it again")
    return numbers.reshape(-1, 3)


def _joined(corners: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    rows = np.ascontiguousarray(corners).view([("", np.float64)] * 3).reshape(-1)
    if not len(rows):
        return np.zeros((0, 3)), np.zeros((0, 3), np.int64)
    # By their bytes, so that NaN rows can be compared, too.
    _, first, place = np.unique(rows.view("V24"), return_index=True, return_inverse=True)
    order = np.argsort(first)
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    return corners[first[order]], rank[place].reshape(-1, 3)
