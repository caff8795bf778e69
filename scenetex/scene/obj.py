"""OBJ files: positions, vertex colours and polygons in the file's own order, with its texture coordinates beside them.

Read here and not through trimesh, which regroups faces by material, splits vertices along texture seams, and opens the
material files and images that the OBJ names.
"""

import codecs
import re
import warnings
from pathlib import Path

import numpy as np

from ..errors import InputError, InputWarning
from ..files.reading import MESH_BYTES, read_bytes
from .obj_uv import FACE, obj_uv_map
from .ply_elements import parse_numbers
from .polygons import triangle_corners
from .uv_map import UvMap

_VERTEX = re.compile(rb"^[ \t]*v[ \t]+([^\n#]*)", re.MULTILINE)
_LEFT_OUT = (
    (re.compile(rb"^[ \t]*(?:surf|bsp|bzp|cdp|res)[ \t]", re.MULTILINE), "free-form surfaces"),
    (re.compile(rb"^[ \t]*(?:call|csh)[ \t]", re.MULTILINE), "files and programs that it calls"),
)
# Of these lines alone: a comment, or the name of a file, may end with a backslash, and the vertex below it counts.
_CONTINUED = re.compile(rb"^[ \t]*(?:v|fo?)[ \t](?:[^\n#]*\\\n)+", re.MULTILINE)


def read_obj(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray | None, UvMap | None]:
    """Vertices (n, 3) float64, faces (f, 3) int64 and colours (n, 3) uint8 or None, unchecked indices, as stored; and
    texture coordinates, None where there are none that can be read.

    Raises:
        InputError: a vertex or face line that is not numbers.
    """
    data = read_bytes(path, MESH_BYTES).removeprefix(codecs.BOM_UTF8)
    # Some lines may end as in Windows, others with a carriage return alone.
    data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    if b"\\\n" in data:
        data = _CONTINUED.sub(lambda line: line[0].replace(b"\\\n", b" "), data)
    for line, what in _LEFT_OUT:
        if line.search(data):
            warnings.warn(f"{path}: {what} are left out; export all of it as polygons", InputWarning, stacklevel=3)
    vertices, colors = _vertices(_VERTEX.findall(data), path)
    lines = FACE.findall(data)
    counts = np.array([len(line.split()) for line in lines], np.int64)
    # "7/3/5" is position / texture / normal: only the position is of interest.
    corners = _numbers(re.sub(rb"/\S*", b"", b"\n".join(lines)), path, "f")
    if (corners != np.rint(corners)).any() or np.abs(corners).max(initial=0) > 2**31 or len(corners) != counts.sum():
        raise InputError(f"{path}: an f line does not hold vertex numbers; export the mesh again")
    corners = corners.astype(np.int64)
    face_at = np.array([match.start() for match in FACE.finditer(data)], np.int64)
    if (corners < 0).any():
        # Negative numbers count back from the vertices above the line.
        vertex_at = np.array([match.start() for match in _VERTEX.finditer(data)], np.int64)
        above = np.repeat(np.searchsorted(vertex_at, face_at), counts)
        relative = corners < 0
        corners[relative] += above[relative] + 1
        corners[relative & (corners < 1)] = 0
    triangles = triangle_corners(vertices, counts, corners - 1, str(path))
    return vertices, corners[triangles] - 1, colors, obj_uv_map(data, lines, face_at, counts, triangles)


def _vertices(lines: list[bytes], path: Path) -> tuple[np.ndarray, np.ndarray | None]:
    numbers = _numbers(b"\n".join(lines), path, "v")
    widths = np.array([len(line.split()) for line in lines], np.int64)
    if len(numbers) != widths.sum() or widths.min(initial=3) < 3:
        raise InputError(f"{path}: its v lines do not all hold 3 or more numbers; export the mesh again")
    starts = np.cumsum(widths) - widths
    colors = None
    if len(widths) and widths.min() >= 6:
        # "x y z r g b" is what scanners write, some with alpha behind: mostly 0 to 1, sometimes 0 to 255.
        rgb = np.clip(np.nan_to_num(numbers[starts[:, None] + [3, 4, 5]]), 0, 255)
        colors = np.rint(rgb * 255 if rgb.max() <= 1 else rgb).astype(np.uint8)
    return numbers[starts[:, None] + np.arange(3)], colors


def _numbers(text: bytes, path: Path, letter: str) -> np.ndarray:
    try:
        return parse_numbers(text)
    except ValueError:
        raise InputError(f"{path}: a line that starts with {letter} is not numbers; export the mesh again") from None
