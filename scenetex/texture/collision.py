"""A mesh to collide with: few faces, no texture."""

from pathlib import Path

import numpy as np

from ..files.output import write_files
from ..scene.mesh import Mesh
from .glb_writer import far_offset
from .simplify import simplify, surface_of

# Godot makes a static body of a node called so, and shows nothing of it; elsewhere it is a name.
NODE = "collision-colonly"
_SHARE, _MOST, _FEWEST = 0.1, 10_000, 12


def collision_mesh(mesh: Mesh) -> Mesh:
    """The surface of a mesh, textured or not, in a tenth of its faces, 10,000 at the most. Holes stay.

    Raises:
        InputError: no face has area, or fast-simplification is not installed.
    """
    surface, _ = surface_of(mesh)
    simple = simplify(surface, max(_FEWEST, min(_MOST, int(_SHARE * len(surface.faces)))))
    return Mesh(simple.vertices + mesh.extent.middle, simple.faces, axis_alignment=mesh.axis_alignment)


def write_collision(path: Path, mesh: Mesh) -> None:
    """Writes a mesh without texture as a GLB of one node, ``collision-colonly``: y up, metres, where the textured one
    is."""
    import trimesh

    aligned = mesh.vertices @ mesh.axis_alignment[:3, :3].T + mesh.axis_alignment[:3, 3]
    positions = aligned[:, [0, 2, 1]] * [1.0, 1.0, -1.0]
    offset = far_offset(positions[mesh.faces])
    place = np.eye(4)
    place[:3, 3] = offset
    scene = trimesh.Scene()
    solid = trimesh.Trimesh(positions - offset, mesh.faces, process=False)
    scene.add_geometry(solid, node_name=NODE, geom_name=NODE, transform=place)
    write_files({Path(path): scene.export(file_type="glb")})
