"""PLY files: ascii and binary of either byte order, any polygons and strips, vertices and faces in their own order.

Read here and not through trimesh, which splits vertices along texture seams and takes no binary file of mixed polygons.
"""

from pathlib import Path

import numpy as np

from ..errors import InputError, OutsideError
from ..files.reading import MESH_BYTES, open_file, read_bytes
from .ply_elements import LARGEST_HEADER, parse_header, read_elements
from .ply_uv import corner_uv, vertex_uv
from .polygons import strip_triangles, triangle_corners
from .uv_map import UvMap

_CORNER_NAMES = ("vertex_indices", "vertex_index")
_FACES = ("face", "tristrips")
_COLOR_NAMES = (("red", "green", "blue"), ("diffuse_red", "diffuse_green", "diffuse_blue"), ("r", "g", "b"))


def read_ply(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray | None, UvMap | None]:
    """Vertices (n, 3) float64, faces (f, 3) int64 and colours (n, 3) uint8 or None, unchecked indices, as stored; and
    texture coordinates, None where there are none.

    Raises:
        InputError: not a PLY file, or one whose data does not hold what its header announces.
    """
    vertices, colors, of_vertices, polygons, strips = np.zeros((0, 3)), None, None, None, None
    for name, columns in read_elements(read_bytes(path, MESH_BYTES), path):
        if name == "vertex":
            if not {"x", "y", "z"} <= columns.keys() or any(isinstance(columns[axis], tuple) for axis in "xyz"):
                raise InputError(f"{path}: its vertices have no x, y, z; export the mesh again")
            with np.errstate(invalid="ignore"):  # a NaN that signals becomes one that does not
                vertices = np.stack([columns[axis] for axis in "xyz"], 1).astype(np.float64)
            colors, of_vertices = _colors(columns), vertex_uv(columns)
        elif name == "face":
            polygons, of_faces = _corners(columns, path), columns
        elif name == "tristrips":
            strips = _corners(columns, path)
    faces, uv_map = [np.zeros((0, 3), np.int64)], None
    if polygons is not None:
        triangles = triangle_corners(vertices, *polygons, str(path))
        faces.append(polygons[1][triangles])
        uv_map = corner_uv(of_faces, polygons[0], triangles)
    if strips is not None:
        faces.append(strip_triangles(_with_ends(*strips)))
        uv_map = uv_map and uv_map.followed_by(len(faces[-1]))
    joined = np.concatenate(faces) if len(faces) > 2 else faces[-1]
    if uv_map is None and of_vertices is not None and 0 <= joined.min(initial=0) <= joined.max(initial=0) < 1 << 31:
        uv_map = UvMap.of(of_vertices, joined)
    return vertices, joined, colors, uv_map


def ply_face_count(path: Path) -> int:
    """Faces, or strips of them, that a PLY file announces; 0 for a point cloud.

    Raises `InputError` for a file that is no PLY, or not there.
    """
    try:
        with open_file(path) as file:
            data = file.read(LARGEST_HEADER)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error}); check the file") from None
    _, elements, _ = parse_header(data, path)
    return sum(element.count for element in elements if element.name in _FACES)


def is_cloud(path: Path, beside_a_mesh: bool) -> bool:
    """Whether a PLY file that is there has no faces, or is damaged `beside_a_mesh`, where it is not needed.

    Raises `InputError` as `ply_face_count` where it is needed.
    """
    try:
        return not ply_face_count(path)
    except InputError as error:
        if isinstance(error, OutsideError) or not beside_a_mesh:
            raise
        return True


def _corners(columns: dict, path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Corners of each face (p,) and their vertices one face after the other, int64."""
    lists = {name: column for name, column in columns.items() if isinstance(column, tuple)}
    counts, numbers = next((lists[name] for name in _CORNER_NAMES if name in lists), (None, None))
    if counts is None:
        raise InputError(f"{path}: its faces have no vertex_indices; export the mesh again")
    if numbers.dtype.kind == "f" and not ((np.abs(numbers) < 2**53) & (numbers == np.rint(numbers))).all():
        raise InputError(f"{path}: a face refers to a vertex that is not there; export the mesh again")
    return counts.astype(np.int64), numbers.astype(np.int64)


def _with_ends(counts: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """Strips one after the other as one row of corners, with -1, which ends a strip within a row, too, between them."""
    return np.insert(corners, np.cumsum(counts)[:-1], -1)


def _colors(columns: dict) -> np.ndarray | None:
    named = next((names for names in _COLOR_NAMES if set(names) <= columns.keys()), ())
    channels = [columns[name] for name in named]
    if not channels or any(isinstance(channel, tuple) for channel in channels):
        return None
    colors = np.stack(channels, 1)
    if colors.dtype.kind == "f" and np.nanmax(colors, initial=0) <= 1:
        colors = colors * 255
    elif all(channel.dtype.itemsize == 2 for channel in channels) and colors.max(initial=0) > 255:
        colors = colors / 257.0
    return np.clip(np.nan_to_num(np.rint(colors)), 0, 255).astype(np.uint8)
