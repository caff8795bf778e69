"""The scene's surface as one OBJ file, with its objects as ScanNet's labels."""

import json
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import bpy
import numpy as np

from .errors import AddonError


@dataclass(frozen=True)
class Piece:
    """The faces of one object.

    Attributes:
        object: its name.
        vertices: (n, 3) float64, world frame, metres.
        faces: (f, 3) of vertices, counter-clockwise seen from outside.
        uv: (u, 2), or None.
        corners: (f, 3) of rows of `uv`, or None.
        uv_layer: its name, or None.
        slot: (f,) the material slot of each face.
    """

    object: str
    vertices: np.ndarray
    faces: np.ndarray
    uv: np.ndarray | None
    corners: np.ndarray | None
    uv_layer: str | None
    slot: np.ndarray

    def material(self, slot: int) -> str:
        """What a slot's material is called in the file: letters, digits, - and _ alone, so that it comes back whole."""
        return f"{_word(self.object)}-{slot}"


def pieces_of(context, keep_uvs: bool) -> list[Piece]:
    """Selected meshes, or, where none is selected, all that are visible; as modifiers leave them.

    Raises:
        AddonError: nothing to paint, or, where UVs are to be kept, an object whose UVs or materials cannot be.
    """
    seen = [o for o in context.view_layer.objects if o.type == "MESH" and o.visible_get()]
    found = [o for o in seen if o.select_get()] or seen
    for thing in (o for o in found if o.mode == "EDIT"):
        thing.update_from_editmode()
    depsgraph = context.evaluated_depsgraph_get()
    scale = context.scene.unit_settings.scale_length
    pieces = [_piece(thing, depsgraph, scale) for thing in sorted(found, key=lambda o: o.name)]
    pieces = [piece for piece in pieces if len(piece.faces)]
    if not pieces:
        raise AddonError("no mesh with faces is visible; select the objects that are to be painted")
    for piece in pieces if keep_uvs else ():
        _check_kept(piece)
    return pieces


def _piece(thing: bpy.types.Object, depsgraph, scale: float) -> Piece:
    evaluated = thing.evaluated_get(depsgraph)
    mesh = evaluated.to_mesh()
    try:
        mesh.calc_loop_triangles()
        triangles = mesh.loop_triangles
        count = len(triangles)
        faces = _numbers(triangles, "vertices", (count, 3), np.int32)
        loops = _numbers(triangles, "loops", (count, 3), np.int32)
        slot = _numbers(triangles, "material_index", (count,), np.int32)
        local = _numbers(mesh.vertices, "co", (len(mesh.vertices), 3), np.float32).astype(np.float64)
        layer = next((layer for layer in mesh.uv_layers if layer.active_render), None)
        uv = corners = None
        if layer is not None and count:
            every = _numbers(layer.uv, "vector", (len(mesh.loops), 2), np.float32)
            uv, rows = np.unique(every, axis=0, return_inverse=True)
            corners = rows.reshape(-1)[loops]
        name = layer.name if layer is not None else None
    finally:
        evaluated.to_mesh_clear()
    world = np.array(evaluated.matrix_world, np.float64)
    if np.linalg.det(world[:3, :3]) < 0:
        faces = faces[:, ::-1]
        corners = corners[:, ::-1] if corners is not None else None
    vertices = (local @ world[:3, :3].T + world[:3, 3]) * scale
    return Piece(thing.name, vertices, faces, uv, corners, name, slot)


def _numbers(collection, name: str, shape: tuple[int, ...], kind: type) -> np.ndarray:
    out = np.empty(int(np.prod(shape)), kind)
    collection.foreach_get(name, out)
    return out.reshape(shape)


def _check_kept(piece: Piece) -> None:
    """Raises AddonError where a result could not be put onto the object."""
    thing = bpy.data.objects[piece.object]
    if piece.uv is None:
        raise AddonError(f"'{piece.object}' has no UV map; unwrap it, or switch Keep UVs off")
    if piece.slot.max() >= max(1, len(thing.material_slots)):
        raise AddonError(f"'{piece.object}': its modifiers set materials; apply them, or switch Keep UVs off")
    if not thing.is_editable or (not thing.material_slots and not thing.data.is_editable):
        raise AddonError(f"'{piece.object}' is linked from another file; make it local, or switch Keep UVs off")


def obj_text(pieces: list[Piece]) -> str:
    """All pieces in one OBJ file, in world coordinates."""
    lines, vertices, rows = [], 1, 1
    for piece in pieces:
        lines.append(f"o {_word(piece.object)}\n")
        lines.append(_format("v %r %r %r\n", piece.vertices))
        corners = piece.faces + vertices
        words = corners.astype(str)
        if piece.uv is not None:
            lines.append(_format("vt %.9g %.9g\n", piece.uv))
            words = np.char.add(np.char.add(words, "/"), (piece.corners + rows).astype(str))
            rows += len(piece.uv)
        for slot in np.unique(piece.slot):
            lines.append(f"usemtl {piece.material(slot)}\n")
            lines.append(_format("f %s %s %s\n", words[piece.slot == slot]))
        vertices += len(piece.vertices)
    return "".join(lines)


def label_texts(pieces: list[Piece]) -> Iterator[tuple[str, str]]:
    """Names and texts of two files by which ``label:NAME`` is the object of that name, as ScanNet has them."""
    number = np.repeat(np.arange(len(pieces)), [len(piece.vertices) for piece in pieces])
    yield "scene_vh_clean_2.0.segs.json", json.dumps({"segIndices": number.tolist()})
    groups = [{"objectId": i, "label": label(piece.object), "segments": [i]} for i, piece in enumerate(pieces)]
    yield "scene.aggregation.json", json.dumps({"segGroups": groups})


def label(name: str) -> str:
    """What regions call an object; a colon would end its name."""
    return name.replace(":", "_")


def _word(name: str) -> str:
    """A name as files of all kinds have it; different names stay so."""
    if re.fullmatch(r"[\w.-]+", name):
        return name
    return re.sub(r"[^\w.-]", "_", name) + f"-{zlib.crc32(name.encode()):08x}"


def _format(line: str, rows: np.ndarray) -> str:
    return (line * len(rows)) % tuple(rows.ravel().tolist())
