"""Meshes with texture coordinates as modelling programs write them: an OBJ of seams, materials and objects, a GLB of
nodes that move their meshes."""

from pathlib import Path

import numpy as np

import scenetex
from scenetex.scene.gltf_file import pack_glb
from scenetex.scene.mesh import Mesh
from scenetex.texture.atlas import Atlas

MATERIALS = ("Floor wood", "Ceiling", "Walls.001")
SHIFT = np.array([1.5, -0.25, 2.0])


def materials_of(mesh: Mesh) -> np.ndarray:
    """(f,) int: 0 for what faces up, 1 for what faces down, 2 for all else."""
    up = mesh.face_normals @ mesh.axis_alignment[2, :3]
    return np.where(up > 0.7, 0, np.where(up < -0.7, 1, 2))


def laid_out(mesh: Mesh, size: int = 512) -> Atlas:
    """Coordinates without overlap on one page."""
    return scenetex.unwrap(mesh, size)


def obj_text(mesh: Mesh, atlas: Atlas) -> str:
    """As Blender writes it: one object, faces by material, normals; behind it an object without coordinates."""
    own = materials_of(mesh)
    lines = ["# Blender 4.2.0", "mtllib room.mtl", "o Room"]
    lines += ["v {!r} {!r} {!r}".format(*row) for row in mesh.vertices.tolist()]
    lines += ["vn 0.0000 0.0000 1.0000"]
    lines += ["vt {:.6f} {:.6f}".format(*row) for row in atlas.uv.tolist()]
    lines += ["s 0"]
    for number, name in enumerate(MATERIALS):
        lines += [f"usemtl {name}"]
        for face in np.flatnonzero((own == number) & (atlas.page >= 0)):
            rows = atlas.faces[face]
            lines += ["f " + " ".join(f"{v + 1}/{t + 1}/1" for v, t in zip(atlas.vertices[rows], rows, strict=True))]
    count = len(mesh.vertices)
    aside = mesh.vertices[mesh.faces].max((0, 1)) + 0.2
    corners = aside + np.array([[0, 0, 0], [0.1, 0, 0], [0.1, 0.1, 0], [0, 0.1, 0]])
    lines += ["o Left bare", *("v {!r} {!r} {!r}".format(*row) for row in corners.tolist()), "usemtl Bare"]
    lines += [f"f {count + 1}//1 {count + 2}//1 {count + 3}//1 {count + 4}//1"]
    return "\n".join(lines) + "\n"


def write_two_nodes(path: Path, mesh: Mesh, atlas: Atlas) -> None:
    """A GLB of two nodes, one turned and one moved, whose meshes have three materials and make up the mesh; a third
    mesh has no coordinates."""
    own = materials_of(mesh)
    turned = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])  # a quarter about z
    header = {
        "asset": {"version": "2.0", "generator": "Khronos glTF Blender I/O v4.2.57", "copyright": "somebody"},
        "scene": 0,
        "scenes": [{"name": "Scene", "nodes": [0, 1, 2]}],
        "nodes": [
            {"name": "Shell", "mesh": 0, "rotation": [0, 0, np.sqrt(0.5), np.sqrt(0.5)]},
            {"name": "Walls", "mesh": 1, "translation": SHIFT.tolist(), "scale": [2, 2, 2]},
            {"name": "Left bare", "mesh": 2},
        ],
        "meshes": [{"name": f"Mesh {i}", "primitives": []} for i in range(3)],
        "materials": [{"name": name, "doubleSided": True} for name in MATERIALS],
        "textures": [{"source": 0}],
        "images": [{"bufferView": 0, "mimeType": "image/png"}],
        "accessors": [],
        "bufferViews": [{"buffer": 0, "byteOffset": 0, "byteLength": 8}],
    }
    header["materials"][0]["pbrMetallicRoughness"] = {"baseColorTexture": {"index": 0}}
    chunks = [b"a png..."]

    def accessor(values: np.ndarray, kind: int, shape: str, **more) -> int:
        header["bufferViews"].append({"buffer": 0, "byteOffset": sum(map(len, chunks)), "byteLength": values.nbytes})
        chunks.append(values.tobytes() + b"\0" * (-values.nbytes % 4))
        about = {"bufferView": len(header["bufferViews"]) - 1, "componentType": kind, "count": len(values)}
        header["accessors"].append(about | {"type": shape} | more)
        return len(header["accessors"]) - 1

    def add(node: int, places: np.ndarray, corners: np.ndarray, uv: np.ndarray | None, material: int) -> None:
        places = places.astype("<f4")
        limits = {"min": places.min(0).tolist(), "max": places.max(0).tolist()}
        attributes = {"POSITION": accessor(places, 5126, "VEC3", **limits)}
        if uv is not None:
            attributes["TEXCOORD_0"] = accessor((uv * [1, -1] + [0, 1]).astype("<f4"), 5126, "VEC2")
        indices = accessor(corners.reshape(-1).astype("<u4"), 5125, "SCALAR")
        header["meshes"][node]["primitives"].append(
            {"attributes": attributes, "indices": indices, "material": material}
        )

    for number in range(3):
        faces = np.flatnonzero((own == number) & (atlas.page >= 0))
        rows, corners = np.unique(atlas.faces[faces], return_inverse=True)
        places = mesh.vertices[atlas.vertices[rows]]
        if number < 2:
            add(0, places @ turned, corners, atlas.uv[rows], number)
        else:
            add(1, (places - SHIFT) / 2, corners, atlas.uv[rows], number)
    aside = mesh.vertices[mesh.faces].max((0, 1)) + 0.2
    add(2, aside + np.array([[0, 0, 0], [0.1, 0, 0], [0, 0.1, 0]]), np.arange(3), None, 0)
    header["buffers"] = [{"byteLength": sum(map(len, chunks))}]
    path.write_bytes(pack_glb(header, chunks))
