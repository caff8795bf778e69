"""A mesh of the user's in place of the scan's own: a retopologised one, say, with texture coordinates."""

import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy.spatial import cKDTree

from ..errors import InputError, InputWarning
from ..files.reading import check_path, only_inside
from .mesh import Mesh
from .mesh_file import read_mesh
from .scene import Scene

_PLACES, _LOOKS = 30_000, 2000  # on the scan's surface, and on the other's, that are held against each other
_FAR = 0.1  # radii of the scan
_CLEARLY = 0.5  # of the distance, for a mesh to be taken as y up
_Y_UP = (".glb", ".gltf", ".obj")  # by specification; OBJ, because that is how Blender writes it unless told otherwise
_Z_UP = np.array([[1.0, 0, 0, 0], [0, 0, -1, 0], [0, 1, 0, 0], [0, 0, 0, 1]])  # from y up


def with_mesh_of(scene: Scene, path: Path, allow_outside: bool = False, scale: float = 1.0) -> Scene:
    """The scene with the mesh of a file, which lies in the scan's frame once its vertices are multiplied by `scale`.

    glTF is y up by specification, and OBJ by habit, while scans are what they are: such a mesh is taken as it is
    stored, or, if that comes clearly nearer to the scan's own mesh, turned to z up, and back by the scan's axis
    alignment if it was made from the aligned scan.

    Raises:
        InputError: as `read_mesh`; a file that needs others outside its folder.
    """
    check_path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file; give a mesh file (.obj, .glb, .gltf, .ply or .stl)")
    with only_inside(None if allow_outside else path.parent, named=path):
        mesh = read_mesh(path)
    mesh = replace(mesh, vertices=mesh.vertices * scale)
    tree = cKDTree(_places(scene.mesh, _PLACES))
    away = _distance(mesh, tree)
    if path.suffix.lower() in _Y_UP:
        turns = (np.linalg.inv(scene.axis_alignment) @ _Z_UP, _Z_UP)
        less, turned = min(((_distance(m, tree), m) for m in map(mesh.transformed, turns)), key=lambda pair: pair[0])
        if less < _CLEARLY * away:
            mesh, away = turned, less
    if away > _FAR * scene.mesh.extent.radius:
        warnings.warn(
            f"{path}: lies {away:.3g} m from the scan's own mesh, in the middle; export it in the "
            "scan's frame and unit",
            InputWarning,
            stacklevel=3,
        )
    return replace(scene, mesh=mesh.with_axis_alignment(scene.axis_alignment), scan=scene.mesh)


def _distance(mesh: Mesh, tree: cKDTree) -> float:
    """Metres from a mesh's surface to the nearest of other places, in the middle."""
    return float(np.median(tree.query(_places(mesh, _LOOKS))[0]))


def _places(mesh: Mesh, count: int) -> np.ndarray:
    """(count, 3) float64, spread evenly by chance over the surface."""
    random, area = np.random.default_rng(0), np.nan_to_num(mesh.face_areas, posinf=0)
    if not area.any():
        raise InputError("mesh: no face has an area; nothing can be textured, check the mesh file")
    corners = mesh.triangles[random.choice(len(area), count, p=area / area.sum())]
    u, v = np.sort(random.random((2, count)), axis=0)
    return np.einsum("kc,kcx->kx", np.stack([u, v - u, 1 - v], 1), corners)
