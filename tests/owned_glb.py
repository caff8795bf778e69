"""A GLB as modelling programs write them, with all that vertices may have, arranged in all ways."""

from pathlib import Path

import numpy as np

from scenetex import Atlas, read_mesh
from scenetex.scene.gltf_file import pack_glb
from scenetex.texture.textured_mesh import TexturedMesh

_SHAPES = {1: "SCALAR", 2: "VEC2", 3: "VEC3", 4: "VEC4"}
_KINDS = {"f4": 5126, "u1": 5121, "u2": 5123, "u4": 5125}
_CELLS = 12


class _Parts:
    """What a file holds, as it grows."""

    def __init__(self):
        self.views: list[dict] = []
        self.accessors: list[dict] = []
        self.chunks: list[bytes] = []

    def view(self, data: bytes, **more) -> int:
        self.views.append({"buffer": 0, "byteOffset": sum(map(len, self.chunks)), "byteLength": len(data)} | more)
        self.chunks.append(data + b"\0" * (-len(data) % 4))
        return len(self.views) - 1

    def accessor(self, values: np.ndarray, view: int | None = None, offset: int = 0, **more) -> int:
        if view is None:
            view = self.view(np.ascontiguousarray(values).tobytes())
        about = {"bufferView": view, "componentType": _KINDS[values.dtype.str[1:]], "count": len(values)}
        about |= {"byteOffset": offset} if offset else {}
        about |= {"type": _SHAPES[1 if values.ndim == 1 else values.shape[1]]} | more
        self.accessors.append(about)
        return len(self.accessors) - 1

    def positions(self, values: np.ndarray, *where: int) -> int:
        return self.accessor(values, *where, min=values.min(0).tolist(), max=values.max(0).tolist())


def sheet(shift: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A wavy sheet: places (n, 3) and texture coordinates (n, 2) float32, faces (f, 3) uint32."""
    u, v = (axis.ravel() for axis in np.meshgrid(*2 * (np.linspace(0.05, 0.95, _CELLS + 1),), indexing="ij"))
    places = np.stack([u + shift, 0.1 * np.sin(7 * u), v], 1)
    i, j = (axis.ravel() for axis in np.meshgrid(*2 * (np.arange(_CELLS),), indexing="ij"))
    a, b = i * (_CELLS + 1) + j, (i + 1) * (_CELLS + 1) + j
    faces = np.concatenate([np.stack([a, a + 1, b], 1), np.stack([b, a + 1, b + 1], 1)])
    return places.astype("<f4"), np.stack([u, v], 1).astype("<f4"), faces.astype("<u4")


def write_owned(path: Path) -> None:
    """Sheets beside each other: one of many attributes and a vertex that nothing uses, one in one view of vertices, one
    without indices; then what Draco cannot hold: morph targets, a strip, sparse positions."""
    rng, parts, made = np.random.default_rng(0), _Parts(), []

    def add(places: np.ndarray, uv: np.ndarray, faces: np.ndarray | None, **more) -> dict:
        attributes = {"POSITION": parts.positions(places), "TEXCOORD_0": parts.accessor(uv)}
        made.append({"attributes": attributes, "material": len(made)} | more)
        if faces is not None:
            made[-1]["indices"] = parts.accessor(faces.reshape(-1))
        return made[-1]

    places, uv, faces = sheet(0)
    places, uv, count = np.append(places, [[9, 9, 9]], 0).astype("<f4"), np.append(uv, [[0, 0]], 0), len(places) + 1
    normal = rng.normal(size=(count, 3))
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    tangent = np.cross(normal, normal[:, [1, 2, 0]])
    tangent = np.append(tangent / np.linalg.norm(tangent, axis=1, keepdims=True), np.ones((count, 1)), 1)
    add(places, uv.astype("<f4"), faces.astype("<u2"))["attributes"] |= {
        "NORMAL": parts.accessor(normal.astype("<f4")),
        "TANGENT": parts.accessor(tangent.astype("<f4")),
        "COLOR_0": parts.accessor(rng.integers(0, 256, (count, 4)).astype("<u1"), normalized=True),
        "TEXCOORD_1": parts.accessor(rng.integers(0, 65536, (count, 2)).astype("<u2"), normalized=True),
        "_FEATURE": parts.accessor(rng.normal(size=count).astype("<f4")),
    }
    places, uv, faces = sheet(2)
    woven = np.concatenate([places, uv], 1)
    view = parts.view(woven.tobytes(), byteStride=20, target=34962)
    attributes = {"POSITION": parts.positions(woven[:, :3], view), "TEXCOORD_0": parts.accessor(woven[:, 3:], view, 12)}
    made.append({"attributes": attributes, "indices": parts.accessor(faces.reshape(-1)), "material": 1})
    places, uv, faces = sheet(4)
    add(places[faces.reshape(-1)], uv[faces.reshape(-1)], None)
    target = parts.positions(rng.normal(0, 0.01, places.shape).astype("<f4"))
    add(*sheet(6), targets=[{"POSITION": target}])
    places, uv, faces = sheet(8)
    add(places, uv, (np.arange(_CELLS + 1)[:, None] + [0, _CELLS + 1]).astype("<u4"), mode=5)
    sparse = add(*sheet(10))["attributes"]["POSITION"]
    where, values = parts.view(np.arange(1, dtype="<u2").tobytes()), parts.view(places[:1].tobytes())
    about = {"count": 1, "indices": {"bufferView": where, "componentType": 5123}, "values": {"bufferView": values}}
    parts.accessors[sparse] |= {"sparse": about}
    parts.accessors[sparse]["min"][0] = float(places[0, 0])
    header = {
        "asset": {"version": "2.0", "generator": "Khronos glTF Blender I/O v4.2.57"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [
            {"name": "Root", "children": [1, 2, 3], "scale": [2, 2, 2]},
            {"name": "Plain", "mesh": 0, "translation": [0.5, 0, 0]},
            {"name": "Moving", "mesh": 1},
            {"name": "Odd", "mesh": 2},
        ],
        "meshes": [
            {"name": "A", "primitives": made[:3]},
            {"name": "B", "primitives": made[3:4], "weights": [0.0]},
            {"name": "C", "primitives": made[4:]},
        ],
        "materials": [{"name": f"Wood.{number:03d}", "doubleSided": True} for number in range(len(made))],
        "accessors": parts.accessors,
        "bufferViews": parts.views,
        "buffers": [{"byteLength": sum(map(len, parts.chunks))}],
    }
    path.write_bytes(pack_glb(header, parts.chunks))


def write_with_normals(
    path: Path,
    places: np.ndarray,
    uv: np.ndarray,
    faces: np.ndarray,
    directions: np.ndarray,
    name: str = "NORMAL",
    arranged: str = "",
) -> None:
    """One mesh with directions under that name, 16-bit indices. `arranged`: "sparse" ones, "woven" with the positions,
    "shared" with other data; else all in views of their own."""
    parts = _Parts()
    attributes = {"POSITION": parts.positions(places), "TEXCOORD_0": parts.accessor(uv)}
    attributes[name] = parts.accessor(np.ascontiguousarray(directions, "<f4"))
    if arranged == "woven":
        woven = np.concatenate([places, directions], 1).astype("<f4")
        view = parts.view(woven.tobytes(), byteStride=24, target=34962)
        attributes |= {"POSITION": parts.positions(places, view), name: parts.accessor(woven[:, 3:], view, 12)}
    if arranged == "shared":
        attributes["_AGAIN"] = attributes[name]
    if arranged == "sparse":
        where, values = parts.view(np.zeros(1, "<u2").tobytes()), parts.view(directions[1:2].tobytes())
        about = {"count": 1, "indices": {"bufferView": where, "componentType": 5123}, "values": {"bufferView": values}}
        parts.accessors[attributes[name]]["sparse"] = about
    primitive = {"attributes": attributes, "indices": parts.accessor(faces.astype("<u2").reshape(-1)), "material": 0}
    header = {
        "asset": {"version": "2.0"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0}],
        "meshes": [{"primitives": [primitive]}],
        "materials": [{"name": "Wood"}],
        "accessors": parts.accessors,
        "bufferViews": parts.views,
        "buffers": [{"byteLength": sum(map(len, parts.chunks))}],
    }
    path.write_bytes(pack_glb(header, parts.chunks))


def painted(path: Path) -> TexturedMesh:
    """The mesh of a file in its own coordinates, each page in a colour of its own."""
    mesh = read_mesh(path)
    atlas = Atlas.from_mesh(mesh, 64)
    pages = tuple(np.full((64, 64, 3), 40 * page + 20, np.uint8) for page in range(atlas.pages))
    return TexturedMesh(mesh, atlas, pages, tuple(np.ones((64, 64), bool) for _ in pages))
