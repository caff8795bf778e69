"""Find a scene's mesh file and read it: PLY, OBJ or GLB, exactly as it is stored."""

from pathlib import Path

import numpy as np

from ..errors import InputError
from .glb import read_glb
from .mesh import Mesh
from .obj import read_obj
from .ply import read_ply

_READERS = {".ply": read_ply, ".obj": read_obj, ".glb": read_glb}
# ScanNet keeps meshes of labels beside the scan's own.
_NOT_A_SCAN = (".labels.ply",)


def read_mesh(path: str | Path) -> Mesh:
    """Reads a triangle mesh.

    Vertices and faces keep their order, count and coordinates: nothing is merged, dropped or turned, so a GLB, which is
    y up by specification, stays y up. Polygons are cut into fans of triangles; the meshes of a GLB are moved to where
    its nodes put them and joined. Vertex colours are kept where the file has them.

    Args:
        path: a `.ply`, `.obj` or `.glb` file.

    Raises:
        InputError: no such file, of another kind, damaged, without vertices or faces, with a face that refers to a
            vertex which is not there, or with NaN in every face. Single NaN vertices pass.
    """
    path = Path(path)
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise InputError(f"{path}: not a mesh file; scenetex reads .ply, .obj and .glb")
    try:
        vertices, faces, colors = reader(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error}); check the file") from None
    if not len(vertices):
        raise InputError(f"{path}: mesh is empty; export it again with its vertices and faces")
    if not len(faces):
        raise InputError(f"{path}: mesh has no faces, it is a cloud of points; use the reconstructed surface mesh")
    if faces.min() < 0 or faces.max() >= len(vertices):
        raise InputError(f"{path}: a face refers to a vertex that is not there; export the mesh again")
    finite = np.isfinite(vertices).all(1)
    if not finite.any():
        raise InputError(f"{path}: all vertices are NaN; export the mesh again")
    if not finite[faces].all(1).any():
        raise InputError(f"{path}: every face has a NaN corner; export the mesh again")
    return Mesh(vertices, faces.astype(np.int32), colors)


def mesh_files(folder: Path, besides: Path | None = None) -> list[Path]:
    """The folder's mesh files by name, without meshes of labels and without `besides`."""
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in _READERS
        and path.is_file()
        and not path.name.endswith(_NOT_A_SCAN)
        and path != besides
    )


def find_mesh(folder: Path, name: str, besides: Path | None = None) -> Path:
    """The mesh file of a scene's folder.

    ScanNet's names come first (`*_vh_clean_2.ply`, then the finer `*_vh_clean.ply`), then `mesh.*` and `<name>.*`, then
    the only mesh file there is. `besides` is a file to leave out.

    Raises:
        InputError: there is none, or several with equal right.
    """
    files = mesh_files(folder, besides)
    if not files:
        raise InputError(f"{folder}: no mesh; put the scan's .ply, .obj or .glb there, such as {name}_vh_clean_2.ply")
    choices = (
        [path for path in files if path.name == f"{name}_vh_clean_2.ply"],
        [path for path in files if path.name.endswith("_vh_clean_2.ply")],
        [path for path in files if path.name.endswith("_vh_clean.ply")],
        [path for path in files if path.stem.lower() == "mesh"],
        [path for path in files if path.stem == name],
        files,
    )
    for choice in choices:
        if len(choice) == 1:
            return choice[0]
    names = ", ".join(path.name for path in files[:4])
    raise InputError(f"{folder}: several meshes ({names}); keep one, or name the one to use mesh{files[0].suffix}")
