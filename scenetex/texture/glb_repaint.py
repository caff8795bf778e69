"""A GLB as its author wrote it, with other textures: geometry, nodes and names stay as they are, to the bit."""

import re
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path

import numpy as np

from ..scene.gltf_file import GltfFile, unpack_glb
from ..scene.gltf_mesh import primitive_corners
from ..scene.gltf_uv import uv_set
from ..scene.uv_map import UvMap
from .atlas import Atlas
from .glb_images import require_images, texture_source
from .glb_views import packed, put, views_of
from .own_materials import several_tiles

_LINEAR, _LINEAR_MIPMAP_LINEAR, _CLAMP_TO_EDGE = 9729, 9987, 33071
_UINT32, _INDICES = 5125, 34963
_OF_LOOKS = re.compile(r"^[A-Z]+_(materials?|textures?)_")


def repainted_glb(uvs: UvMap, atlas: Atlas, names: list[str], images: list[bytes], mime: str, asset: dict) -> bytes:
    """The file that `uvs` was read from, with the pages for textures of the materials that are painted.

    Materials become unlit and keep their name, place and sidedness; those of several UDIM tiles get a material for
    each, and their primitives are split. Textures and images that nothing shows any more are left out.

    Args:
        uvs: of a GLB.
        atlas: made of it.
        names: of the material of each page.
        images: of each page, as a file.
        mime: their type.
        asset: what the file is to say of who made it.
    """
    header, chunk = unpack_glb(uvs.source.tobytes())
    file = GltfFile(Path("mesh.glb"), header, chunk, len(chunk))
    header["asset"] = header.get("asset", {}) | asset
    data = views_of(header, chunk)
    originals = deepcopy(header.get("materials", []))
    place = _materials(header, originals, atlas, names)
    _assign(file, uvs, atlas, place, originals, data)
    _add_textures(header, atlas, place, images, mime, data)
    _declare(header)
    require_images(header)
    return packed(header, data)


def _materials(header: dict, originals: list[dict], atlas: Atlas, names: list[str]) -> list[int]:
    """Puts a material for each page into the file, in place of its own if there is but one tile; their numbers."""
    materials, place = header.setdefault("materials", []), []
    for material, several, name in zip(atlas.tiles[:, 0].tolist(), several_tiles(atlas), names, strict=True):
        before = originals[material] if material < len(originals) else {"doubleSided": True}
        painted = {key: before[key] for key in ("name", "doubleSided", "extras") if key in before}
        painted |= {"name": name} if several or material == len(originals) else {}
        of = uv_set({"materials": originals}, {"material": material})
        colored = {"baseColorTexture": {"texCoord": of} if of else {}}  # its index comes with the textures
        painted["pbrMetallicRoughness"] = {**colored, "metallicFactor": 0.0, "roughnessFactor": 1.0}
        painted["extensions"] = {"KHR_materials_unlit": {}}
        if several or material == len(originals):
            place.append(len(materials))
            materials.append(painted)
        else:
            place.append(material)
            materials[material] = painted
    return place


def _assign(file: GltfFile, uvs: UvMap, atlas: Atlas, place: list[int], originals: list[dict], data: list) -> None:
    """Gives each primitive the material of the page its faces are on, and splits those with several."""
    header, number = file.header, 0
    pages_of = _pages_by_piece(uvs, atlas)
    for mesh in header.get("meshes", []):
        parts = []
        for primitive in mesh["primitives"]:
            pages = pages_of(number)
            number += 1
            shown = np.unique(pages[pages >= 0])
            if len(shown) == 1:
                parts.append(primitive | {"material": place[shown[0]]})
            elif len(shown):
                parts += _split(file, primitive, pages, shown, place, data)
            else:
                parts.append(_as_it_was(header, primitive, originals))
        mesh["primitives"] = parts


def _pages_by_piece(uvs: UvMap, atlas: Atlas) -> Callable[[int], np.ndarray]:
    """A function that gives the pages of a piece's faces, in their order."""
    order = np.argsort(uvs.piece, kind="stable")
    ordered = uvs.piece[order]

    def pages(piece: int) -> np.ndarray:
        first, last = np.searchsorted(ordered, [piece, piece + 1])
        return atlas.page[order[first:last]]

    return pages


def _split(
    file: GltfFile, primitive: dict, pages: np.ndarray, shown: np.ndarray, place: list[int], data: list
) -> Iterator[dict]:
    """A primitive for each page; faces without go with the first."""
    triangles = primitive_corners(file, primitive)
    pages = np.where(pages < 0, shown[0], pages)[: len(triangles)]
    header = file.header
    for page in shown:
        corners = triangles[pages == page].astype("<u4")
        put(header, data, len(data), corners.tobytes())
        header["bufferViews"][-1]["target"] = _INDICES
        about = {"bufferView": len(data) - 1, "componentType": _UINT32, "count": corners.size, "type": "SCALAR"}
        header["accessors"].append(about)
        yield primitive | {"indices": len(header["accessors"]) - 1, "material": place[page], "mode": 4}


def _as_it_was(header: dict, primitive: dict, originals: list[dict]) -> dict:
    """The primitive with the material it had, which stands elsewhere if it was painted for others."""
    material = primitive.get("material")
    materials = header["materials"]
    if material is None or materials[material] == originals[material]:
        return primitive
    if originals[material] not in materials:
        materials.append(originals[material])
    return primitive | {"material": materials.index(originals[material])}


def _add_textures(header: dict, atlas: Atlas, place: list[int], images: list[bytes], mime: str, data: list) -> None:
    """Puts the pages into the file, in place of the textures that only painted materials showed."""
    free = _drop_unused(header)
    samplers: list[dict] = header.setdefault("samplers", [])
    for page, image in enumerate(images):
        # Tiles lie one width apart: there, textures have to repeat.
        wrap = {} if atlas.tiles[page, 1:].any() else {"wrapS": _CLAMP_TO_EDGE, "wrapT": _CLAMP_TO_EDGE}
        sampler = {"magFilter": _LINEAR, "minFilter": _LINEAR_MIPMAP_LINEAR, **wrap}
        if sampler not in samplers:
            samplers.append(sampler)
        view = free.pop() if free else len(data)
        put(header, data, view, image)
        header["images"].append({"bufferView": view, "mimeType": mime})
        header["textures"].append(
            {"sampler": samplers.index(sampler), **texture_source(len(header["images"]) - 1, mime)}
        )
        colored = header["materials"][place[page]]["pbrMetallicRoughness"]["baseColorTexture"]
        colored["index"] = len(header["textures"]) - 1
    for view in free:  # others keep their numbers, which extensions may name in ways of their own
        put(header, data, view, b"\0" * 4)


def _drop_unused(header: dict) -> list[int]:
    """Leaves out textures that no material shows, and images that no texture does; the views that these had."""
    shown, used = {}, {}
    for about in _references(header["materials"], "index"):
        about["index"] = shown.setdefault(about["index"], len(shown))
    textures = [header["textures"][index] for index in shown]
    for about in _references(textures, "source"):
        about["source"] = used.setdefault(about["source"], len(used))
    before = header.get("images", [])
    header["textures"], header["images"] = textures, [before[index] for index in used]
    kept = {image.get("bufferView") for image in header["images"]}
    return sorted({image["bufferView"] for image in before if "bufferView" in image} - kept)


def _references(value: object, key: str) -> Iterator[dict]:
    """All objects in some JSON that have a number of that name."""
    if isinstance(value, dict):
        if isinstance(value.get(key), int):
            yield value
        value = list(value.values())
    for inner in value if isinstance(value, list) else ():
        yield from _references(inner, key)


def _declare(header: dict) -> None:
    """Lists the extensions that are used; of those about looks that are no longer there, none is asked for."""
    there = set(_extensions(header)) | {"KHR_materials_unlit"}
    for name in ("extensionsUsed", "extensionsRequired"):
        listed = [other for other in header.get(name, []) if other in there or not _OF_LOOKS.match(other)]
        header[name] = listed
    header["extensionsUsed"] = list(dict.fromkeys([*header["extensionsUsed"], "KHR_materials_unlit"]))
    if not header["extensionsRequired"]:
        del header["extensionsRequired"]


def _extensions(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        yield from value.get("extensions", {})
        value = list(value.values())
    for inner in value if isinstance(value, list) else ():
        yield from _extensions(inner)
