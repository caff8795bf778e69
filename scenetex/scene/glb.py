"""GLB files through trimesh: all triangles of the scene, in the file's own coordinates (y up by specification)."""

import struct
from io import BytesIO
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..files import MESH_BYTES, read_bytes
from ..json_file import parse_json
from ..memory import ran_out

_LARGEST_INFLATION = 64  # vertices of the scene over those stored: the same chair at 60 places is a scene, not a bomb
_LARGEST_OVERLAP = 16  # bytes that views, or accessors, read over those of the file: parts may share their vertices
_MOST_PARTS = 20_000  # each becomes a mesh of its own on the way
_DEEPEST = 500  # nodes within nodes
_NUMBERS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT2": 4, "MAT3": 9, "MAT4": 16}
_BYTES = {5120: 1, 5121: 1, 5122: 2, 5123: 2, 5125: 4, 5126: 4}


def read_glb(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Vertices (n, 3) float64, faces (f, 3) int64 and colours (n, 3) uint8 or None of all meshes, one after the other.

    The nodes' transforms are applied; coordinates are otherwise as stored. Materials and textures are not opened.

    Raises:
        InputError: not a GLB file, damaged, or one that needs other files or a decoder for its geometry.
    """
    data = read_bytes(path, MESH_BYTES)
    _check(data, path)
    from trimesh.exchange.load import load_scene

    try:
        scene = load_scene(BytesIO(data), file_type="glb", process=False, skip_materials=True)
        parts = [
            (scene.graph[node][0], scene.geometry[scene.graph[node][1]])
            for node in scene.graph.nodes_geometry
            if hasattr(scene.geometry[scene.graph[node][1]], "faces")
        ]
        return _joined(parts)
    except InputError:
        raise
    except Exception as error:  # whatever a damaged file makes of a foreign reader
        if ran_out(error, 16 * len(data)):
            raise
        raise InputError(f"{path}: not a readable GLB file ({type(error).__name__}); export the mesh again") from None


def _joined(parts: list) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    vertices, faces, colors, start = [np.zeros((0, 3))], [np.zeros((0, 3), np.int64)], [], 0
    for transform, mesh in parts:
        points = np.asarray(mesh.vertices, np.float64)
        if not np.array_equal(transform, np.eye(4)):
            points = points @ transform[:3, :3].T + transform[:3, 3]
        vertices.append(points)
        triangles = np.asarray(mesh.faces, np.int64)
        if len(triangles) and not 0 <= triangles.min() <= triangles.max() < len(points):
            # Moved behind the parts before it, a wrong index would become a right one of another part.
            raise ValueError("index out of range")
        # A mirrored node turns its triangles inside out.
        faces.append((triangles[:, ::-1] if np.linalg.det(transform[:3, :3]) < 0 else triangles) + start)
        start += len(points)
        if mesh.visual.kind == "vertex":
            colors.append(np.asarray(mesh.visual.vertex_colors)[:, :3])
    whole = np.concatenate(colors).astype(np.uint8) if colors and len(colors) == len(parts) else None
    return np.concatenate(vertices), np.concatenate(faces), whole


def _check(data: bytes, path: Path) -> None:
    """Holds what the JSON chunk announces against the bytes that are there."""
    try:
        magic, version, length, json_length, json_kind = struct.unpack_from("<4sIII4s", data)
        if magic != b"glTF" or version != 2 or json_kind != b"JSON" or length > len(data):
            raise ValueError
        header = parse_json(data[20 : 20 + json_length])
        accessors = header.get("accessors", [])
        positions = []
        for mesh in header.get("meshes", []):
            for primitive in mesh["primitives"]:
                if "KHR_draco_mesh_compression" in primitive.get("extensions", {}):
                    raise InputError(f"{path}: geometry is Draco-compressed; export it without compression")
                positions.append(accessors[primitive["attributes"]["POSITION"]])
        if any("uri" in buffer for buffer in header.get("buffers", [])):
            raise InputError(f"{path}: refers to other files; export it as one self-contained GLB")
        if any("sparse" in accessor or "bufferView" not in accessor for accessor in positions):
            raise InputError(f"{path}: positions are stored as a sparse array; export the mesh again without it")
        _check_sizes(header.get("bufferViews", []), accessors, len(data))
        _check_copies(header, path)
    except InputError:
        raise
    except Exception:  # JSON of any shape may stand there
        raise InputError(f"{path}: not a GLB 2.0 file, or cut short; export the mesh again") from None


def _check_sizes(views: list, accessors: list, size: int) -> None:
    """Raises ValueError where views or accessors hold more than a file of `size` bytes can, even if they overlap."""
    lengths = [int(view["byteLength"]) for view in views]
    counts = [int(accessor["count"]) for accessor in accessors]
    if not all(0 <= number <= size for number in (*lengths, *counts)):
        raise ValueError
    widths = [_NUMBERS[accessor["type"]] * _BYTES[accessor["componentType"]] for accessor in accessors]
    read = sum(count * width for count, width in zip(counts, widths, strict=True))
    if max(sum(lengths), read) > _LARGEST_OVERLAP * size:
        raise ValueError


def _check_copies(header: dict, path: Path) -> None:
    """Raises InputError for few vertices at many places, for too many parts, and for nodes nested without end."""
    counts = [int(accessor["count"]) for accessor in header.get("accessors", [])]
    meshes = [[part["attributes"]["POSITION"] for part in mesh["primitives"]] for mesh in header.get("meshes", [])]
    stored = sum(counts[position] for position in {position for mesh in meshes for position in mesh})
    parts, vertices = sum(map(len, meshes)), sum(counts[position] for mesh in meshes for position in mesh)
    nodes, scenes = header.get("nodes", []), header.get("scenes", [])
    level = [(-1, node) for node in scenes[header.get("scene", 0)].get("nodes", [])] if scenes else []
    seen, depth, placed = set(), 0, 0
    while level and depth <= _DEEPEST:
        below = []
        for edge in level:
            if edge in seen:  # a circle
                continue
            seen.add(edge)
            node = nodes[edge[1]]
            if "mesh" in node:
                parts += len(meshes[node["mesh"]])
                placed += sum(counts[position] for position in meshes[node["mesh"]])
            below += [(edge[1], child) for child in node.get("children", [])]
        level, depth = below, depth + 1
    if max(vertices, placed) > _LARGEST_INFLATION * stored:
        raise InputError(f"{path}: repeats its meshes too often for one scene; export it as a single mesh")
    if parts > 2 * _MOST_PARTS or level:
        raise InputError(f"{path}: has too many parts, or parts nested too deeply; export it as a single mesh")
