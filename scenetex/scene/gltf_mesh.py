"""glTF 2.0, as `.glb` or `.gltf`: all triangles of its scene, in the file's own coordinates (y up by specification).

Read here and not through trimesh, which takes integer positions as they are stored, drops fans, and knows of nothing
that a file requires.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..process.memory import ran_out
from .gltf_file import GltfFile, primitives, read_glb_file, read_gltf_file
from .gltf_uv import Part, gltf_uv_map, texture_coordinates
from .polygons import strip_triangles
from .quaternion import rotation_matrices
from .uv_map import UvMap

_LARGEST_INFLATION = 64  # vertices of the scene over those stored: the same chair at 60 places is a scene, not a bomb
_MOST_PARTS = 40_000  # each takes some time, however small
_DEEPEST = 500  # nodes within nodes
_TRIANGLES, _STRIP, _FAN = 4, 5, 6
_Read = tuple[np.ndarray, np.ndarray, np.ndarray | None, UvMap | None]


@dataclass(frozen=True, eq=False)
class _Place:
    """A mesh somewhere in the scene: node, mesh number, (4, 4) float64 transforms to the world."""

    node: dict
    mesh: int
    transforms: np.ndarray


def read_glb(path: Path) -> _Read:
    """Vertices (n, 3) float64, faces (f, 3) int64, colours (n, 3) uint8 or None, and texture coordinates or None, of
    all meshes, one after the other.

    Triangles, strips and fans of the scene, moved by their nodes, bones and morph weights, at every place of an
    instanced mesh; lines and points are left out. Coordinates are otherwise as stored. Materials and textures are not
    opened, animations not played.

    Raises:
        InputError: not a GLB file, damaged, or one that needs other files, a decoder, or an extension that is not read.
    """
    return _read(read_glb_file(path), "GLB")


def read_gltf(path: Path) -> _Read:
    """As `read_glb`, of a `.gltf`; its buffers are in it, or in files in its folder."""
    return _read(read_gltf_file(path), "glTF")


def _read(file: GltfFile, kind: str) -> _Read:
    try:
        with np.errstate(invalid="ignore"):  # NaN, and quaternions of zero length
            worlds, hidden = _worlds(file)
            places = list(_places(file, {index: world for index, world in worlds.items() if index not in hidden}))
            _check_copies(file, places)
            parts = [part for place in places for part in _parts(file, place, worlds)]
            return *_joined(file.path, parts), gltf_uv_map(file, parts)
    except InputError:
        raise
    except Exception as error:  # JSON of any shape
        if ran_out(error, 16 * file.size):
            raise
        name = type(error).__name__
        raise InputError(f"{file.path}: not a readable {kind} file ({name}); export the mesh again") from None


def _joined(path: Path, parts: list[Part]) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    vertices, faces, start = [np.zeros((0, 3))], [np.zeros((0, 3), np.int64)], 0
    for part in parts:
        points, triangles = part.points, part.triangles
        if len(triangles) and not 0 <= triangles.min() <= triangles.max() < len(points):
            # Moved behind the parts before it, a wrong index would become a right one of another part.
            raise InputError(f"{path}: a face refers to a vertex that is not there; export the mesh again")
        vertices.append(points)
        faces.append(triangles + start)
        start += len(points)
    colors = [part.colors for part in parts]
    whole = np.concatenate(colors) if colors and all(color is not None for color in colors) else None
    return np.concatenate(vertices), np.concatenate(faces), whole


def _worlds(file: GltfFile) -> tuple[dict[int, np.ndarray], set[int]]:
    """(4, 4) float64 node to world, of every node of the scene in the tree's order, and those that are not to be seen:
    hidden bones still move what is bound to them."""
    nodes, scenes = file.header.get("nodes", []), file.header.get("scenes", [])
    if scenes:
        roots = scenes[file.header.get("scene", 0)].get("nodes", [])
    else:
        below = {child for node in nodes for child in node.get("children", [])}
        roots = [i for i in range(len(nodes)) if i not in below]
    worlds: dict[int, np.ndarray] = {}
    hidden: set[int] = set()
    level, depth = [(root, np.eye(4), True) for root in roots], 0
    while level:
        if depth > _DEEPEST:
            raise _too_many(file.path)
        deeper = []
        for index, parent, shown in level:
            # A node has one parent; where the JSON goes in a circle, that ends it.
            if index in worlds:
                continue
            node = nodes[index]
            worlds[index] = parent @ _local(node)
            shown = shown and node.get("extensions", {}).get("KHR_node_visibility", {}).get("visible", True)
            if not shown:
                hidden.add(index)
            deeper += [(child, worlds[index], shown) for child in node.get("children", [])]
        level, depth = deeper, depth + 1
    return worlds, hidden


def _local(node: dict) -> np.ndarray:
    """(4, 4) float64: a node's transform within its parent."""
    if "matrix" in node:
        return np.array(node["matrix"], np.float64).reshape(4, 4).T
    return _transforms(*(np.array([node.get(key, rest)]) for key, rest in _REST.items()))[0]


_REST = {"translation": [0.0, 0.0, 0.0], "rotation": [0.0, 0.0, 0.0, 1.0], "scale": [1.0, 1.0, 1.0]}


def _transforms(shift: np.ndarray, turn: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """(n, 4, 4) float64 of shifts (n, 3), quaternions (n, 4) x y z w and scales (n, 3)."""
    out = np.tile(np.eye(4), (len(shift), 1, 1))
    out[:, :3, :3] = rotation_matrices(turn) * np.asarray(scale, np.float64)[:, None, :]
    out[:, :3, 3] = shift
    return out


def _places(file: GltfFile, worlds: dict[int, np.ndarray]) -> Iterator[_Place]:
    nodes, meshes = file.header.get("nodes", []), file.header.get("meshes", [])
    if not nodes:  # a library of meshes
        yield from (_Place({}, i, np.eye(4)[None]) for i in range(len(meshes)))
    for index, world in worlds.items():
        node = nodes[index]
        if "mesh" not in node:
            continue
        copies = node.get("extensions", {}).get("EXT_mesh_gpu_instancing")
        yield _Place(node, node["mesh"], world[None] if copies is None else world @ _instances(file, copies))


def _instances(file: GltfFile, copies: dict) -> np.ndarray:
    attributes = copies["attributes"]
    given = {key: file.accessor(attributes[key.upper()]) for key in _REST if key.upper() in attributes}
    count = int(file.header["accessors"][next(iter(attributes.values()))]["count"])
    return _transforms(*(given.get(key, np.tile(rest, (count, 1))) for key, rest in _REST.items()))


def _check_copies(file: GltfFile, places: list[_Place]) -> None:
    """Raises InputError for few vertices at many places, and for too many parts."""
    counts = [int(accessor["count"]) for accessor in file.header.get("accessors", [])]
    positions = [
        [part["attributes"]["POSITION"] for part in primitives(mesh)] for mesh in file.header.get("meshes", [])
    ]
    stored = sum(counts[position] for position in {position for mesh in positions for position in mesh})
    placed = sum(len(place.transforms) * sum(counts[i] for i in positions[place.mesh]) for place in places)
    if max(placed, sum(counts[i] for mesh in positions for i in mesh)) > _LARGEST_INFLATION * stored:
        raise InputError(f"{file.path}: repeats its meshes too often for one scene; export it as a single mesh")
    if sum(len(place.transforms) * len(positions[place.mesh]) for place in places) > _MOST_PARTS:
        raise _too_many(file.path)


def _too_many(path: Path) -> InputError:
    return InputError(f"{path}: has too many parts, or parts nested too deeply; export it as a single mesh")


def _parts(file: GltfFile, place: _Place, worlds: dict[int, np.ndarray]) -> Iterator[Part]:
    """Every primitive of triangles of a mesh, at all its places."""
    mesh = file.header["meshes"][place.mesh]
    weights = place.node.get("weights", mesh.get("weights", []))
    for index, primitive in enumerate(mesh["primitives"]):
        mode = primitive.get("mode", _TRIANGLES)
        if "POSITION" not in primitive["attributes"] or mode not in (_TRIANGLES, _STRIP, _FAN):
            continue
        points = _positions(file, primitive, weights)
        triangles, colors = primitive_corners(file, primitive), _colors(file, primitive, len(points))
        about = {
            "colors": colors,
            "uv": texture_coordinates(file, primitive, len(points)),
            "mesh": place.mesh,
            "primitive": index,
            "name": str(place.node.get("name") or mesh.get("name", "")),
        }
        if "skin" in place.node:
            # The bones place a mesh that has them; its node's own transform does not count.
            yield Part(_bent(file, primitive, points, place.node["skin"], worlds), triangles, **about)
            continue
        for transform in place.transforms:
            moved = points if np.array_equal(transform, np.eye(4)) else points @ transform[:3, :3].T + transform[:3, 3]
            # A mirrored node turns its triangles inside out.
            yield Part(moved, triangles[:, ::-1] if np.linalg.det(transform[:3, :3]) < 0 else triangles, **about)


def _positions(file: GltfFile, primitive: dict, weights: list) -> np.ndarray:
    """(n, 3) float64, moved by the mesh's morph targets where their weights are not 0."""
    points = file.accessor(primitive["attributes"]["POSITION"])
    if points.shape[1] != 3:
        raise ValueError("positions are no VEC3")
    points = points.astype(np.float64)
    for weight, target in zip(weights, primitive.get("targets", []), strict=False):
        if weight and "POSITION" in target:
            points = points + weight * file.accessor(target["POSITION"])
    return points


def primitive_corners(file: GltfFile, primitive: dict) -> np.ndarray:
    """(f, 3) int64 indices into its vertices of the triangles of a primitive, which may be strips or fans."""
    if "indices" in primitive:
        corners = file.accessor(primitive["indices"])[:, 0].astype(np.int64)
    else:
        corners = np.arange(int(file.header["accessors"][primitive["attributes"]["POSITION"]]["count"]))
    mode = primitive.get("mode", _TRIANGLES)
    if mode == _STRIP:
        return strip_triangles(corners)
    if mode == _FAN:
        return np.stack([np.full(max(len(corners) - 2, 0), corners[0]), corners[1:-1], corners[2:]], 1)
    return corners[: len(corners) // 3 * 3].reshape(-1, 3)


def _bent(file: GltfFile, primitive: dict, points: np.ndarray, skin: int, worlds: dict[int, np.ndarray]) -> np.ndarray:
    """(n, 3) float64: the points where the bones of a skin put them in its pose of rest."""
    about, attributes = file.header["skins"][skin], primitive["attributes"]
    if not worlds.keys() >= set(about["joints"]):
        raise InputError(f"{file.path}: bones of a mesh lie in another scene than the mesh; export one scene alone")
    bones = np.stack([worlds[joint] for joint in about["joints"]])
    if "inverseBindMatrices" in about:
        bones = bones @ file.accessor(about["inverseBindMatrices"]).reshape(-1, 4, 4).transpose(0, 2, 1)
    out, total = np.zeros_like(points), np.zeros((len(points), 1))
    sets = sum(name.startswith("JOINTS_") for name in attributes)
    for joints, weights in ((attributes[f"JOINTS_{i}"], attributes[f"WEIGHTS_{i}"]) for i in range(sets)):
        joints, weights = file.accessor(joints), file.accessor(weights).astype(np.float64)
        for joint, weight in zip(joints.T, weights.T, strict=True):
            moved = np.einsum("nij,nj->ni", bones[joint, :3, :3], points) + bones[joint, :3, 3]
            out, total = out + weight[:, None] * moved, total + weight[:, None]
    return np.divide(out, total, out=points.copy(), where=total > 0)


def _colors(file: GltfFile, primitive: dict, count: int) -> np.ndarray | None:
    """(n, 3) uint8 as stored, or None; colours that do not fit are not worth a mesh that does."""
    try:
        found = file.accessor(primitive["attributes"]["COLOR_0"])
    except (LookupError, ValueError, TypeError):
        return None
    if found.shape[0] != count or found.shape[1] < 3:
        return None
    found = found[:, :3]
    if found.dtype.kind == "u":  # such as 8 bits whose `normalized` was forgotten
        found = found / float(np.iinfo(found.dtype).max)
    return np.rint(np.clip(np.nan_to_num(found.astype(np.float64)), 0, 1) * 255).astype(np.uint8)
