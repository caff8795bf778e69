"""What an OBJ file says of its faces' texture: coordinates, seams, materials and objects."""

import re

import numpy as np

from .ply_elements import parse_numbers
from .uv_map import UvMap, numbered

FACE = re.compile(rb"^[ \t]*fo?[ \t]+([^\n#]*)", re.MULTILINE)
_UV = re.compile(rb"^[ \t]*vt[ \t]+([^\n#]*)", re.MULTILINE)
MATERIAL = re.compile(rb"^[ \t]*usemtl(?:[ \t]+([^\n]*))?$", re.MULTILINE)
_OBJECT = re.compile(rb"^[ \t]*o(?:[ \t]+([^\n]*))?$", re.MULTILINE)
_GROUP = re.compile(rb"^[ \t]*g(?:[ \t]+([^\n]*))?$", re.MULTILINE)


def obj_uv_map(
    data: bytes, lines: list[bytes], line_at: np.ndarray, counts: np.ndarray, triangles: np.ndarray
) -> UvMap | None:
    """The texture coordinates of a file whose positions were read; None where it has none, or none that can be read.

    Args:
        data: the file, lines ended by a line feed each.
        lines: what follows `f` on each of its p lines.
        line_at: (p,) int64, where these lines start.
        counts: (p,) int64, corners on each.
        triangles: (f, 3) int64, the faces' corners as positions among all corners.
    """
    found = [match for match in _UV.finditer(data)]
    if not found:
        return None
    try:
        uv = _coordinates([match[1] for match in found])
        corners = _corner_numbers(b"\n".join(lines), counts)
    except ValueError:
        return None
    uv_at = np.array([match.start() for match in found], np.int64)
    above = np.repeat(np.searchsorted(uv_at, line_at), counts)
    corners = np.where(corners < 0, above + corners, corners - 1)
    if corners.min(initial=0) < -1 or corners.max(initial=0) >= len(uv):
        return None
    material, materials = _names(MATERIAL, data, line_at)
    part, parts = _names(_OBJECT if _OBJECT.search(data) else _GROUP, data, line_at)
    piece = np.repeat(np.arange(len(counts), dtype=np.int32), np.maximum(counts - 2, 0))
    rows = corners[triangles].astype(np.int32)
    rows[(rows < 0).any(1)] = -1
    source = np.frombuffer(_as_utf8(data), np.uint8)
    return UvMap(uv, rows, material[piece], materials, part[piece], parts, piece, ".obj", source)


def _coordinates(rows: list[bytes]) -> np.ndarray:
    """(n, 2) float64; a third number, of textures in space, is left out."""
    widths = np.array([len(row.split()) for row in rows], np.int64)
    numbers = parse_numbers(b"\n".join(rows))
    if len(numbers) != widths.sum() or widths.min() < 2:
        raise ValueError
    return numbers[(np.cumsum(widths) - widths)[:, None] + np.arange(2)]


def _corner_numbers(text: bytes, counts: np.ndarray) -> np.ndarray:
    """(sum of counts,) int64 as stored, from 1 on, or negative; 0 for corners without. "7/3/5" is position / texture /
    normal."""
    text = text.replace(b"//", b"/0/")
    text = re.sub(rb"(?<!\S)[^\s/]+(?!\S)", rb"\g<0>/0", text)
    numbers = parse_numbers(re.sub(rb"[^\s/]+/([^\s/]*)\S*", rb"\1", text))
    if len(numbers) != counts.sum() or (numbers != np.rint(numbers)).any() or np.abs(numbers).max(initial=0) > 2**31:
        raise ValueError
    return numbers.astype(np.int64)


def _names(line: re.Pattern, data: bytes, line_at: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
    """Of each face line, the number of the name that the last such line above it gives, and the names."""
    found = list(line.finditer(data))
    said = np.searchsorted([match.start() for match in found], line_at)
    used, at = np.unique(said, return_inverse=True)
    names = ["", *(_text((match[1] or b"").strip()) for match in found)]
    of, once = numbered(names[i] for i in used)
    return of[at.reshape(-1)], once


def _text(name: bytes) -> str:
    return _as_utf8(name).decode()


def _as_utf8(data: bytes) -> bytes:
    """The same text in UTF-8; what is none is taken for Latin-1."""
    try:
        data.decode()
    except UnicodeDecodeError:
        return data.decode("latin-1").encode()
    return data
