"""`EXT_meshopt_compression` of a GLB: each view of vertices or indices for itself, which all else may go on to name."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from types import ModuleType

import numpy as np

from ..scene.gltf_file import pack_glb, unpack_glb
from .glb_images import declare
from .glb_views import laid_out, views_of

_NAME, _INTEGERS = "EXT_meshopt_compression", "KHR_mesh_quantization"
_WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4}  # matrices have gaps in them
_BYTES = {5120: 1, 5121: 1, 5122: 2, 5123: 2, 5125: 4, 5126: 4}
_FLOAT, _SHORT, _TRIANGLES = 5126, 5122, 4
_WIDEST = 256  # bytes of a vertex
_OTHER, _TARGET = "other", "morph target"
# Unit vectors: a twentieth of a degree off, in 8 bytes; what is longer or shorter stays.
_DIRECTIONS = {"NORMAL": "VEC3", "TANGENT": "VEC4"}
_DIRECTION_BITS, _DIRECTION_BYTES, _UNIT = 12, 8, 1e-3


def meshopt_glb(library: ModuleType, glb: bytes, exponents: Mapping[str, int]) -> bytes:
    """The file with its geometry compressed.

    Args:
        library: meshopt.
        glb: what `pack_glb` makes.
        exponents: by the names of attributes of floats: the power of two that these are rounded to, if they lie in
            views of their own; triangles may then be turned, too. Without any, all numbers but directions stay as they
            are, to the bit, and in their order.

    Directions (normals and tangents of length one, in views of their own) become integers of `_DIRECTION_BITS`.
    """
    header, chunk = unpack_glb(glb)
    data = views_of(header, chunk)
    uses = _uses(header)
    places, fallback = [], 0
    for index, view in enumerate(header.get("bufferViews", [])):
        about, content = None, data[index][1]
        if not data[index][0]:
            about, content = _encoded(library, header, view, content, uses[index], exponents) or (None, content)
        data[index] = (data[index][0], content)
        if about is None:
            places.append(view | {"byteLength": len(content)})
            continue
        if about.get("filter") == "OCTAHEDRAL":
            declare(header, _INTEGERS)
        places.append(about | {"buffer": 0, "byteLength": len(content)})
        view |= {"buffer": 1, "byteOffset": fallback}
        view.setdefault("extensions", {})[_NAME] = places[-1]
        fallback += view["byteLength"] + -view["byteLength"] % 4
    chunks, length = laid_out(places, data)
    for view, place in zip(header.get("bufferViews", []), places, strict=True):
        if _NAME not in view.get("extensions", {}):
            view |= {"byteOffset": place["byteOffset"]}
    header["buffers"] = [{"byteLength": length}]
    if fallback:
        header["buffers"].append({"byteLength": fallback, "extensions": {_NAME: {"fallback": True}}})
        declare(header, _NAME)
    return pack_glb(header, chunks)


def in_cache_order(library: ModuleType, corners: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Triangles (f, 3), all of whose vertices are used, in the order that compresses best: which vertex comes when
    (n,), and the triangles by these."""
    turned, places, count = library.reorder_mesh(np.ascontiguousarray(corners.reshape(-1), np.uint32), True, True)
    return np.argsort(places)[:count], np.asarray(turned).reshape(-1, 3)


def _uses(header: dict) -> dict[int, set]:
    """Of each view, its accessors and what they are for: names of attributes, "triangles", "indices", `_OTHER` for what
    is no geometry."""
    of_accessor: dict[int, set] = defaultdict(set)
    for mesh in header.get("meshes", []):
        for primitive in mesh["primitives"]:
            for name, accessor in _attributes(primitive):
                of_accessor[accessor].add(name)
            if "indices" in primitive:
                mode = primitive.get("mode", _TRIANGLES)
                of_accessor[primitive["indices"]].add("triangles" if mode == _TRIANGLES else "indices")
    uses: dict[int, set] = defaultdict(set)
    for index, accessor in enumerate(header.get("accessors", [])):
        if "bufferView" in accessor:
            kinds = of_accessor.get(index, {_OTHER})
            uses[accessor["bufferView"]] |= {(kind, index) for kind in kinds}
        for part in ("indices", "values"):
            if "sparse" in accessor:
                uses[accessor["sparse"][part]["bufferView"]].add((_OTHER, index))
    for image in header.get("images", []):
        if "bufferView" in image:
            uses[image["bufferView"]].add((_OTHER, -1))
    return uses


def _attributes(primitive: dict) -> Iterator[tuple[str, int]]:
    yield from primitive["attributes"].items()
    for target in primitive.get("targets", []):
        yield from ((_TARGET, accessor) for accessor in target.values())


def _encoded(
    library: ModuleType, header: dict, view: dict, content: bytes, uses: set, exponents: Mapping[str, int]
) -> tuple[dict, bytes] | None:
    """What the extension says of a view, and its bytes; None for one that is to stay as it is."""
    if not uses or any(kind == _OTHER for kind, _ in uses) or "extensions" in view:
        return None
    accessors = [header["accessors"][index] for _, index in uses]
    names = {kind for kind, _ in uses}
    types = {(about["componentType"], about["type"]) for about in accessors}
    if any(kind not in _BYTES or shape not in _WIDTHS for kind, shape in types):
        return None
    widths = {_BYTES[kind] * _WIDTHS[shape] for kind, shape in types}
    stride = view.get("byteStride", max(widths))
    if ("byteStride" not in view and len(widths) > 1) or not content or len(content) % stride:
        return None
    if names <= {"triangles", "indices"}:
        return _encoded_indices(library, content, stride, turned=bool(exponents) and names == {"triangles"})
    if names & {"triangles", "indices"} or stride % 4 or stride > _WIDEST:
        return None
    rows = np.frombuffer(content, np.uint8).reshape(-1, stride)
    about = {"byteStride": stride, "count": len(rows), "mode": "ATTRIBUTES"}
    (name, _), *others = sorted(uses)
    if name in _DIRECTIONS and not others and types == {(_FLOAT, _DIRECTIONS[name])} and stride in widths:
        packed = _packed_directions(library, accessors[0], rows.view("<f4"))
        if packed is not None:
            for name in ("min", "max"):  # of what it was, and not needed
                accessors[0].pop(name, None)
            accessors[0] |= {"componentType": _SHORT, "normalized": True}
            about |= {"byteStride": _DIRECTION_BYTES, "filter": "OCTAHEDRAL"}
            view |= {"byteStride": _DIRECTION_BYTES, "byteLength": packed.size}
            return about, library.encode_gltf_buffer(packed, "ATTRIBUTES")
    if name in exponents and not others and types == {(_FLOAT, accessors[0]["type"])} and stride in widths:
        rows, rounded = _with_exponent(rows.view("<f4"), exponents[name])
        about["filter"] = "EXPONENTIAL"
        if "min" in accessors[0]:
            accessors[0] |= {"min": rounded.min(0).tolist(), "max": rounded.max(0).tolist()}
    return about, library.encode_gltf_buffer(np.ascontiguousarray(rows), "ATTRIBUTES")


def _encoded_indices(library: ModuleType, content: bytes, stride: int, turned: bool) -> tuple[dict, bytes] | None:
    if stride not in (2, 4):
        return None
    indices = np.frombuffer(content, f"<u{stride}")
    mode = "TRIANGLES" if turned and not len(indices) % 3 else "INDICES"
    return {"byteStride": stride, "count": len(indices), "mode": mode}, library.encode_gltf_buffer(indices, mode)


def _packed_directions(library: ModuleType, accessor: dict, values: np.ndarray) -> np.ndarray | None:
    """Unit vectors (n, 3), or (n, 4) with a sign, float32, as the extension's filter OCTAHEDRAL stores them, (n, 8)
    uint8; None where one has another length or sign, or the accessor says more of them than that they are there."""
    if accessor.get("byteOffset") or "sparse" in accessor:
        return None
    lengths = np.linalg.norm(values[:, :3].astype(np.float64), axis=1)
    if not (np.abs(lengths - 1) < _UNIT).all() or not (np.abs(values[:, 3:]) == 1).all():
        return None
    signed = np.zeros((len(values), 4), np.float32)
    signed[:, : values.shape[1]] = values
    packed = library.encode_filter_oct(signed, _DIRECTION_BYTES, _DIRECTION_BITS)
    return np.ascontiguousarray(packed).view(np.uint8).reshape(len(values), _DIRECTION_BYTES)


def _with_exponent(values: np.ndarray, exponent: int) -> tuple[np.ndarray, np.ndarray]:
    """Floats as the extension's filter EXPONENTIAL stores them, (n, k) uint32 of 24 bits of a number and 8 of its power
    of two, and what a reader makes of that, (n, k) float32."""
    whole = np.rint(values.astype(np.float64) * 2.0**-exponent).astype(np.int64)
    stored = (whole & 0xFFFFFF) | ((exponent & 0xFF) << 24)
    return stored.astype(np.uint32), (whole * 2.0**exponent).astype(np.float32)
