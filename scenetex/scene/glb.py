"""GLB files through trimesh: all triangles of the scene, in the file's own coordinates (y up by specification)."""

import json
import struct
from io import BytesIO
from pathlib import Path

import numpy as np

from ..errors import InputError

_LARGEST_INFLATION = 64  # triangles of the scene over those stored: the same chair at 60 places is a scene, not a bomb


def read_glb(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Vertices (n, 3) float64, faces (f, 3) int64 and colours (n, 3) uint8 or None of all meshes, one after the other.

    The nodes' transforms are applied; coordinates are otherwise as stored. Materials and textures are not opened.

    Raises:
        InputError: not a GLB file, damaged, or one that needs other files or a decoder for its geometry.
    """
    data = path.read_bytes()
    stored = _check(data, path)
    from trimesh.exchange.load import load_scene

    try:
        scene = load_scene(BytesIO(data), file_type="glb", process=False, skip_materials=True)
        parts = [
            (scene.graph[node][0], scene.geometry[scene.graph[node][1]])
            for node in scene.graph.nodes_geometry
            if hasattr(scene.geometry[scene.graph[node][1]], "faces")
        ]
        if sum(len(mesh.vertices) for _, mesh in parts) > _LARGEST_INFLATION * stored:
            raise InputError(f"{path}: repeats its meshes too often for one scene; export it as a single mesh")
        return _joined(parts)
    except InputError:
        raise
    except Exception as error:  # whatever a damaged file makes of a foreign reader
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


def _check(data: bytes, path: Path) -> int:
    """Holds what the JSON chunk announces against the bytes that are there; returns how many vertices are stored."""
    try:
        magic, version, length, json_length, json_kind = struct.unpack_from("<4sIII4s", data)
        if magic != b"glTF" or version != 2 or json_kind != b"JSON" or length > len(data):
            raise ValueError
        header = json.loads(data[20 : 20 + json_length])
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
        if any(not 0 <= int(accessor["count"]) <= len(data) for accessor in accessors):
            raise ValueError
        return sum(int(accessor["count"]) for accessor in positions)
    except InputError:
        raise
    except Exception:  # JSON of any shape may stand there
        raise InputError(f"{path}: not a GLB 2.0 file, or cut short; export the mesh again") from None
