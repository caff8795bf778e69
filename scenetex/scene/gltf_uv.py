"""The texture coordinates of a glTF file's parts, with the materials and nodes that they belong to."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .gltf_file import GltfFile
from .uv_map import UvMap, numbered

_NOT_THERE = (LookupError, ValueError, TypeError, AttributeError)  # JSON of any shape


@dataclass(frozen=True, eq=False)
class Part:
    """A primitive at one place of the scene.

    Attributes:
        points: (n, 3) float64.
        triangles: (f, 3) int64 into them.
        colors: (n, 3) uint8 or None.
        uv: (n, 2) float64, origin bottom-left, or None.
        mesh, primitive: numbers in the file.
        name: of the node, else of the mesh.
    """

    points: np.ndarray
    triangles: np.ndarray
    colors: np.ndarray | None
    uv: np.ndarray | None
    mesh: int
    primitive: int
    name: str


def uv_set(header: dict, primitive: dict) -> int:
    """Which of its sets of texture coordinates a primitive's colours go by."""
    try:
        colored = header["materials"][primitive["material"]]["pbrMetallicRoughness"]["baseColorTexture"]
        moved = colored.get("extensions", {}).get("KHR_texture_transform", {})
        return int(moved.get("texCoord", colored.get("texCoord", 0)))
    except _NOT_THERE:
        return 0


def texture_coordinates(file: GltfFile, primitive: dict, count: int) -> np.ndarray | None:
    """(n, 2) float64, origin bottom-left, or None; those that do not fit are not worth a mesh that does."""
    try:
        found = file.accessor(primitive["attributes"][f"TEXCOORD_{uv_set(file.header, primitive)}"])
    except _NOT_THERE:
        return None
    if found.shape != (count, 2) or found.dtype.kind != "f":
        return None
    return found * [1.0, -1.0] + [0.0, 1.0]


def gltf_uv_map(file: GltfFile, parts: Sequence[Part]) -> UvMap | None:
    """The texture coordinates of all parts, one after the other; None where no part has any, or the file's materials
    are damaged."""
    if all(part.uv is None for part in parts):
        return None
    try:
        return _joined(file, parts)
    except _NOT_THERE:
        return None


def _joined(file: GltfFile, parts: Sequence[Part]) -> UvMap:
    meshes = file.header["meshes"]
    first = np.cumsum([0, *(len(mesh["primitives"]) for mesh in meshes)])
    named = [str(material.get("name", "")) for material in file.header.get("materials", [])]
    sizes = [len(part.triangles) for part in parts]
    uv, corners, material, start = [], [], [], 0
    for part in parts:
        uv.append(np.zeros((len(part.points), 2)) if part.uv is None else part.uv)
        corners.append(np.full(part.triangles.shape, -1) if part.uv is None else part.triangles + start)
        material.append(meshes[part.mesh]["primitives"][part.primitive].get("material", len(named)))
        start += len(part.points)
    if not all(isinstance(number, int) and 0 <= number <= len(named) for number in material):
        raise ValueError("a material that is not there")
    of, names = numbered(part.name for part in parts)
    piece = [first[part.mesh] + part.primitive for part in parts]
    material, of, piece = (np.repeat(np.array(numbers, np.int32), sizes) for numbers in (material, of, piece))
    rows, source = np.concatenate(corners).astype(np.int32), np.frombuffer(file.as_glb(), np.uint8)
    return UvMap(np.concatenate(uv), rows, material, (*named, ""), of, names, piece, ".glb", source)
