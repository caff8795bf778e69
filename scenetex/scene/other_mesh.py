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

_LOOKS = 4000  # vertices that are held against the scan's
_FAR = 0.1  # radii of the scan
_CLEARLY = 0.5  # of the distance, for glTF to be taken as y up
_Z_UP = np.array([[1.0, 0, 0, 0], [0, 0, -1, 0], [0, 1, 0, 0], [0, 0, 0, 1]])  # from glTF's y up


def with_mesh_of(scene: Scene, path: Path, allow_outside: bool = False) -> Scene:
    """The scene with the mesh of a file, which lies in the scan's frame.

    glTF is y up by specification, while scans are what they are: such a mesh is taken as it is stored, or, if that
    comes clearly nearer to the scan's own mesh, turned to z up and back by the scan's axis alignment.

    Raises:
        InputError: as `read_mesh`; a file that needs others outside its folder.
    """
    check_path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file; give a mesh file (.obj, .glb, .gltf, .ply or .stl)")
    with only_inside(None if allow_outside else path.parent, named=path):
        mesh = read_mesh(path)
    places = scene.mesh.vertices[np.unique(scene.mesh.faces)]
    tree = cKDTree(places[np.isfinite(places).all(1)])
    away = _distance(mesh, tree)
    if path.suffix.lower() in (".glb", ".gltf"):
        turned = mesh.transformed(np.linalg.inv(scene.axis_alignment) @ _Z_UP)
        if (less := _distance(turned, tree)) < _CLEARLY * away:
            mesh, away = turned, less
    if away > _FAR * scene.mesh.extent.radius:
        warnings.warn(
            f"{path}: lies {away:.3g} m from the scan's own mesh, by the middle of its vertices; export it in the "
            "scan's frame and unit",
            InputWarning,
            stacklevel=3,
        )
    return replace(scene, mesh=mesh.with_axis_alignment(scene.axis_alignment), closed=None)


def _distance(mesh: Mesh, tree: cKDTree) -> float:
    """Metres from a mesh's vertices to the nearest of others, in the middle."""
    places = mesh.vertices[np.unique(mesh.faces)]
    places = places[np.isfinite(places).all(1)]
    return float(np.median(tree.query(places[:: len(places) // _LOOKS + 1])[0]))
