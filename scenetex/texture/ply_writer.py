"""PLY: a mesh with a colour at each vertex, for programs that know no textures."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..files.output import write_files
from ..scene.mesh import Mesh
from .atlas import Atlas
from .lookup import sample_pages

_INWARDS = 0.8  # weight of its own corner where a face is looked at: on its very rim, half a texel is its neighbour's
_UNPAINTED = 128


def write_ply(path: Path, mesh: Mesh, atlas: Atlas, textures: Sequence[np.ndarray]) -> None:
    """Writes a binary PLY: all vertices and faces of the mesh, in its own coordinates and order, to the last bit.

    A vertex has the mean of what the texture shows beside it in the faces around it; grey where none of them has any.
    Vertices that are NaN stand at a real one, and faces with such are left out.

    Args:
        path: the `.ply` file.
        mesh, atlas: the mesh and its UV layout.
        textures: one (size, size, 3) uint8 sRGB image per page, row 0 at the top (v = 1).

    Raises:
        InputError: a mesh without a face that has texture, or a file that cannot be written.
    """
    if not (atlas.page >= 0).any():
        raise InputError("the mesh has no face with area, so there is nothing to export; check the input mesh")
    finite = np.isfinite(mesh.vertices).all(1)
    places = np.where(finite[:, None], mesh.vertices, mesh.vertices[np.argmax(finite)])
    exact = (places.astype(np.float32) == places).all()
    kind, name = ("<f4", "float") if exact else ("<f8", "double")
    vertices = np.zeros(len(places), [("place", kind, 3), ("color", "u1", 3)])
    vertices["place"], vertices["color"] = places, vertex_colors(mesh, atlas, textures)
    whole = mesh.faces[finite[mesh.faces].all(1)]
    faces = np.zeros(len(whole), [("count", "u1"), ("corners", "<i4", 3)])
    faces["count"], faces["corners"] = 3, whole
    header = ["ply", "format binary_little_endian 1.0", f"element vertex {len(vertices)}"]
    header += [f"property {name} {axis}" for axis in "xyz"]
    header += [f"property uchar {channel}" for channel in ("red", "green", "blue")]
    header += [f"element face {len(faces)}", "property list uchar int vertex_indices", "end_header\n"]
    write_files({Path(path): b"".join(["\n".join(header).encode(), vertices.tobytes(), faces.tobytes()])})


def vertex_colors(mesh: Mesh, atlas: Atlas, textures: Sequence[np.ndarray]) -> np.ndarray:
    """(n, 3) uint8 sRGB of a mesh's vertices, as `write_ply` has them."""
    faces = np.flatnonzero(atlas.page >= 0)
    total, count = np.zeros((len(mesh.vertices), 3)), np.zeros(len(mesh.vertices))
    beside = (1 - _INWARDS) / 2
    for corner, (u, v) in enumerate(((beside, beside), (_INWARDS, beside), (beside, _INWARDS))):
        color = sample_pages(atlas, textures, faces, np.full(len(faces), u), np.full(len(faces), v))
        vertex = mesh.faces[faces, corner]
        count += np.bincount(vertex, minlength=len(count))
        total += np.stack([np.bincount(vertex, color[:, c], len(count)) for c in range(3)], 1)
    mean = np.divide(total, count[:, None], out=np.full_like(total, _UNPAINTED), where=count[:, None] > 0)
    return np.rint(mean).astype(np.uint8)
