"""Find a scene's mesh file and read it: PLY, OBJ, glTF (.glb, .gltf) or STL, exactly as it is stored."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from ..errors import InputError, pasted
from .gltf_mesh import read_glb, read_gltf
from .mesh import Mesh
from .obj import read_obj
from .ply import read_ply
from .stl import read_stl
from .uv_map import UvMap

_Read = tuple[np.ndarray, np.ndarray, np.ndarray | None, UvMap | None]


def _read_stl(path: Path) -> _Read:
    return *read_stl(path), None  # which knows no texture coordinates


_READERS: dict[str, Callable[[Path], _Read]] = {
    ".ply": read_ply,
    ".obj": read_obj,
    ".glb": read_glb,
    ".gltf": read_gltf,
    ".stl": _read_stl,
}
# Where there are others, these are left alone: exports of what the others hold.
_SECOND_CHOICE = (".gltf", ".stl")
_TRIMESH = "python -c \"import trimesh; trimesh.load('{0}').export('mesh.ply')\""
_USD = "open it in Blender (File > Import > Universal Scene Description) and export it as glTF 2.0 (.glb)"
_POINTS = "a cloud of points; make a surface of it, for instance with Poisson reconstruction in MeshLab or CloudCompare"
_CURES = {
    ".off": f"convert it: {_TRIMESH}",
    ".3mf": "open it in MeshLab and export it as PLY",
    ".fbx": "open it in Blender (File > Import > FBX) and export it as glTF 2.0 (.glb)",
    ".dae": "open it in Blender up to 4.5, or in MeshLab, and export it as PLY",
    ".blend": "open it in Blender and export it as glTF 2.0 (.glb)",
    ".x3d": "open it in MeshLab and export it as PLY",
    ".wrl": "open it in MeshLab and export it as PLY",
    ".3ds": "open it in MeshLab and export it as PLY",
    ".vtk": "open it in ParaView and save it as PLY",
    **dict.fromkeys((".usdz", ".usd", ".usda", ".usdc"), _USD),
    **dict.fromkeys((".pcd", ".xyz", ".pts", ".las", ".laz", ".e57", ".splat", ".spz"), _POINTS),
}
MESH_SUFFIXES = (*_READERS, *_CURES)
# ScanNet keeps meshes of labels beside the scan's own.
_NOT_A_SCAN = (".labels.ply",)


def read_mesh(path: str | Path) -> Mesh:
    """Reads a triangle mesh.

    Vertices and faces keep their order, count and coordinates: nothing is merged, dropped or turned, so a GLB, which is
    y up by specification, stays y up. Polygons are cut into triangles; the meshes of a glTF file are moved to where
    its nodes put them and joined; the loose triangles of an STL file are joined at their corners. Vertex colours are
    kept where the file has them, and so are texture coordinates with their seams, materials and names (`Mesh.uv_map`).

    Args:
        path: a `.ply`, `.obj`, `.glb`, `.gltf` or `.stl` file.

    Raises:
        InputError: no such file, of another kind, damaged, without vertices or faces, with a face that refers to a
            vertex which is not there, or with NaN in every face. Single NaN vertices pass.

    Example:
        >>> import trimesh
        >>> import scenetex
        >>> _ = trimesh.creation.box().export("box.obj")
        >>> scenetex.read_mesh("box.obj")
        Mesh(12 faces, 8 vertices)
    """
    path = Path(path)
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        cure = _cure(path)
        raise InputError(f"{path}: {cure or 'not a mesh file; scenetex reads .ply, .obj, .glb, .gltf and .stl'}")
    try:
        vertices, faces, colors, uv_map = reader(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error}); check the file") from None
    if not len(vertices):
        raise InputError(f"{path}: mesh is empty; export it again with its vertices and faces")
    if not len(faces):
        raise InputError(
            f"{path}: mesh has no faces, it is a cloud of points, or lines; use the reconstructed surface mesh"
        )
    if faces.min() < 0 or faces.max() >= len(vertices):
        raise InputError(f"{path}: a face refers to a vertex that is not there; export the mesh again")
    finite = np.asarray(np.isfinite(vertices).all(1))
    if not finite.any():
        raise InputError(f"{path}: all vertices are NaN; export the mesh again")
    if not finite[faces].all(1).any():
        raise InputError(f"{path}: every face has a NaN corner; export the mesh again")
    return Mesh(vertices, faces.astype(np.int32), colors, uv_map=uv_map)


def _cure(path: Path) -> str | None:
    """What can be done with a file of a kind that others read, or None."""
    suffix = path.suffix.lower()
    if suffix not in _CURES:
        return None
    return f"{suffix} files are not read; {_CURES[suffix].format(pasted(path.name))}"


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
    the only mesh file there is; `.gltf` and `.stl` files only where there is nothing else. `besides` is a file to leave
    out.

    Raises:
        InputError: there is none, or several with equal right.
    """
    files = mesh_files(folder, besides)
    if not files:
        raise no_mesh(folder, name)
    files = [path for path in files if path.suffix.lower() not in _SECOND_CHOICE] or files
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


def no_mesh(folder: Path, name: str) -> InputError:
    """What to do about a folder without a mesh file; names one of a kind that is not read."""
    others = sorted(path for path in folder.iterdir() if _cure(path) and path.is_file())
    if others:
        return InputError(f"{others[0]}: {_cure(others[0])}")
    return InputError(f"{folder}: no mesh; put the scan's .ply, .obj or .glb there, such as {name}_vh_clean_2.ply")
