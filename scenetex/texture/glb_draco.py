"""`KHR_draco_mesh_compression` of a GLB: each part of its meshes that Draco can hold, for itself."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np

from ..scene.gltf_file import GltfFile, unpack_glb
from .glb_images import declare
from .glb_rounding import Grid
from .glb_views import Views, packed, put, views_of

_NAME = "KHR_draco_mesh_compression"
_FLOAT, _UINT16, _UINT32, _TRIANGLES = 5126, 5123, 5125, 4
_HELD = {np.dtype(np.float32), np.dtype(np.uint8), np.dtype(np.uint16)}
_KINDS = {5121: np.uint8, 5123: np.uint16, 5126: np.float32}
_LEVEL = 7  # of 10: beyond, files hardly shrink
_BITS = 18  # of positions: two more than a grid has steps, as it begins below the mesh
_DECIMALS = 6  # of what it is told of positions
_OF_POSITIONS, _OF_UV = 0, 3  # kinds of Draco's attributes
# Extensions of a part that do not name its vertices.
_ASIDE = {"KHR_materials_variants"}


class _NotHeld(Exception):
    """Says why a part stays as it is."""


def draco_glb(library: ModuleType, glb: bytes, grid: Grid | None, uv_exponent: int | None) -> tuple[bytes, list[str]]:
    """The file with its geometry compressed, and why parts of it stay as they are, in words, for each of them.

    Positions are rounded; all else stays as it is to the bit, but for `TEXCOORD_0` where an exponent is given.
    Vertices that no triangle uses are left out, and vertices and triangles come in another order.

    Args:
        library: DracoPy.
        glb: what `pack_glb` makes.
        grid: what positions are rounded to; None: a grid for each mesh of the file.
        uv_exponent: of the power of two that `TEXCOORD_0` is rounded to; None: not at all.
    """
    header, chunk = unpack_glb(glb)
    file = GltfFile(Path("mesh.glb"), header, chunk, len(chunk))
    encoded, left = [], []
    for mesh in header.get("meshes", []):
        found = []
        for primitive in mesh["primitives"]:
            try:
                found.append((primitive, *_read(file, primitive)))
            except _NotHeld as reason:
                left.append(str(reason))
            except (LookupError, ValueError, TypeError, OverflowError):  # JSON of any shape
                left.append("it is damaged")
        if not found:
            continue
        own = grid or Grid.of(np.concatenate([attributes["POSITION"] for _, attributes, _ in found]))
        for primitive, attributes, faces in found:
            try:
                encoded.append((primitive, _encode(library, attributes, faces, own, uv_exponent)))
            except library.EncodingFailedException:
                left.append("Draco refuses it")
    if not encoded:
        return glb, left
    data = views_of(header, chunk)
    _replace(header, data, encoded)
    declare(header, _NAME)
    return packed(header, data), left


def _read(file: GltfFile, primitive: dict) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Attributes of the vertices that triangles use, (n, width) each, and the triangles (f, 3)."""
    if primitive.get("mode", _TRIANGLES) != _TRIANGLES:
        raise _NotHeld("it has no plain triangles")
    if primitive.get("targets"):
        raise _NotHeld("it has morph targets")
    if set(primitive.get("extensions", {})) - _ASIDE:
        raise _NotHeld("extensions count its vertices")
    accessors = [file.header["accessors"][index] for index in primitive["attributes"].values()]
    if any("sparse" in about or "bufferView" not in about for about in accessors):
        raise _NotHeld("it has sparse attributes")
    if any(about["componentType"] not in _KINDS for about in accessors):
        raise _NotHeld("it has attributes of a type that Draco cannot hold")
    position = file.header["accessors"][primitive["attributes"]["POSITION"]]
    if (position["componentType"], position["type"]) != (_FLOAT, "VEC3"):
        raise _NotHeld("its positions are no floats")
    corners = _corners(file, primitive, position["count"])
    used, faces = np.unique(corners, return_inverse=True)
    attributes = {name: _stored(file, index)[used] for name, index in primitive["attributes"].items()}
    if not len(used) or not np.isfinite(attributes["POSITION"]).all():
        raise _NotHeld("its positions are not finite")
    return attributes, faces.reshape(-1, 3).astype(np.uint32)


def _corners(file: GltfFile, primitive: dict, count: int) -> np.ndarray:
    corners = file.accessor(primitive["indices"])[:, 0] if "indices" in primitive else np.arange(count)
    return corners[: len(corners) // 3 * 3]


def _stored(file: GltfFile, index: int) -> np.ndarray:
    """What an accessor holds, as it is stored."""
    about = file.header["accessors"][index]
    plain = GltfFile(file.path, {**file.header, "accessors": [about | {"normalized": False}]}, file.chunk, file.size)
    return plain.accessor(0)


def _encode(
    library: ModuleType, attributes: dict[str, np.ndarray], faces: np.ndarray, grid: Grid, uv_exponent: int | None
) -> dict:
    """What Draco makes of a part: its bytes, the number of each attribute in these, and what a reader finds."""
    others = {name: values for name, values in attributes.items() if name != "POSITION"}
    uv = others.pop("TEXCOORD_0", None) if uv_exponent is not None else None
    options = {
        "quantization_bits": _BITS,
        "quantization_range": (2**_BITS - 1) * 2.0**grid.exponent,
        "quantization_origin": _below(grid.origin),
        "compression_level": _LEVEL,
        "generic_attributes": dict(enumerate(others.values())),
    }
    if uv is not None:
        extent = float(np.ptp(uv, axis=0).max())
        bits = int(np.clip(np.frexp(extent)[1] - uv_exponent + 1, 1, 30))
        options |= {"tex_coord": uv.astype(np.float64), "tex_coord_quantization_bits": bits}
    if options["quantization_range"] < 100 * 0.1**_DECIMALS:
        options["quantization_range"] = -1.0  # each part's own
    points = np.ascontiguousarray(attributes["POSITION"], np.float32)
    # Draco's better method leaves out triangles with two corners at one place.
    data = library.encode(points, faces, preserve_order=_have_flat(points, faces), **options)
    found = library.decode(data)
    if len(getattr(found, "faces", ())) != len(faces):
        data = library.encode(points, faces, preserve_order=True, **options)
        found = library.decode(data)
    number = {name: index for index, name in enumerate(others)}
    number["POSITION"] = next(a["unique_id"] for a in found.attributes if a["attribute_type"] == _OF_POSITIONS)
    if uv is not None:
        number["TEXCOORD_0"] = next(a["unique_id"] for a in found.attributes if a["attribute_type"] == _OF_UV)
    return {"data": data, "number": number, "points": np.asarray(found.points, np.float32), "faces": len(faces)}


def _have_flat(points: np.ndarray, faces: np.ndarray) -> bool:
    """Whether two corners of a triangle lie at one place."""
    _, place = np.unique(points, axis=0, return_inverse=True)
    corners = place.reshape(-1)[faces]
    return bool((corners == np.roll(corners, 1, axis=1)).any())


def _below(origin: np.ndarray) -> np.ndarray:
    """The origin as Draco can be told it, which takes six decimals of it and float32: no higher than it is."""
    low = np.floor(origin * 10**_DECIMALS - 1) / 10**_DECIMALS
    return np.nextafter(low.astype(np.float32), np.float32(-np.inf))


def _replace(header: dict, data: Views, encoded: list[tuple[dict, dict]]) -> None:
    """Lets parts name what Draco made of them in place of what they had, which is left out if nothing else names it."""
    accessors = header["accessors"]
    users = Counter(index for mesh in header["meshes"] for part in mesh["primitives"] for index in _accessors(part))
    users.update(_elsewhere(header))
    mine = Counter(index for primitive, _ in encoded for index in _accessors(primitive))
    freed, taken = set(), set()

    def accessor(index: int | None, about: dict) -> int:
        """The number of what describes compressed numbers: the old one, unless something else needs that."""
        if index is None or index in taken or users[index] > mine[index]:
            accessors.append(about)
            return len(accessors) - 1
        taken.add(index)
        freed.update({accessors[index].get("bufferView")} - {None})
        accessors[index] = about
        return index

    for primitive, made in encoded:
        for name, index in primitive["attributes"].items():
            about = {key: accessors[index][key] for key in _KEPT if key in accessors[index]}
            about["count"] = len(made["points"])
            about |= _limits(made["points"]) if name == "POSITION" else {}
            primitive["attributes"][name] = accessor(index, about)
        kind = _UINT16 if len(made["points"]) <= 65535 else _UINT32
        about = {"componentType": kind, "count": 3 * made["faces"], "type": "SCALAR"}
        primitive["indices"] = accessor(primitive.get("indices"), about)
    free = sorted(freed - set(_named(header, "bufferView")))
    for primitive, made in encoded:
        view = free.pop(0) if free else len(data)
        put(header, data, view, made["data"])
        primitive.setdefault("extensions", {})[_NAME] = {"bufferView": view, "attributes": made["number"]}
    for view in reversed(free):
        if view == len(data) - 1:
            del header["bufferViews"][view], data[view]
        else:  # others keep their numbers, which extensions may name in ways of their own
            put(header, data, view, b"\0" * 4)


_KEPT = ("componentType", "type", "normalized", "name", "extras")


def _limits(points: np.ndarray) -> dict:
    return {"min": points.min(0).tolist(), "max": points.max(0).tolist()}


def _accessors(primitive: dict) -> Iterator[int]:
    for attributes in (primitive["attributes"], *primitive.get("targets", [])):
        yield from attributes.values()
    if "indices" in primitive:
        yield primitive["indices"]


def _elsewhere(header: dict) -> Iterator[int]:
    """Accessors that bones, animations and copies name."""
    for skin in header.get("skins", []):
        yield from _named(skin, "inverseBindMatrices")
    for animation in header.get("animations", []):
        for key in ("input", "output"):
            yield from _named(animation.get("samplers", []), key)
    for node in header.get("nodes", []):
        yield from node.get("extensions", {}).get("EXT_mesh_gpu_instancing", {}).get("attributes", {}).values()


def _named(value: object, key: str) -> Iterator[int]:
    """All numbers of that name in some JSON."""
    if isinstance(value, dict):
        if isinstance(value.get(key), int):
            yield value[key]
        value = list(value.values())
    for inner in value if isinstance(value, list) else ():
        yield from _named(inner, key)
