"""GLB: a textured mesh as one binary glTF 2.0 file, y up, unlit, one primitive and material per page."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np

from ..errors import InputError, InputWarning
from ..files.output import write_files
from ..scene.extent import extent_of
from ..scene.gltf_file import pack_glb
from ..scene.mesh import Mesh
from .atlas import Atlas
from .glb_compression import codec, compressed, compressed_as_it_is
from .glb_images import require_images, texture_source
from .glb_meshopt import in_cache_order
from .glb_normal_maps import add_normal_maps, y_up_frames
from .glb_repaint import repainted_glb
from .ktx import check_ktx, encode_ktx2
from .own_materials import NAMELESS, own_uvs, page_materials, unpainted

_FLOAT, _UINT16, _UINT32 = 5126, 5123, 5125
_VERTICES, _INDICES = 34962, 34963
_PLAIN = {"metallicFactor": 0.0, "roughnessFactor": 1.0}
_LINEAR, _LINEAR_MIPMAP_LINEAR, _CLAMP_TO_EDGE = 9729, 9987, 33071
# In radii of the mesh, 1 km for a room: scenes further out get their offset from the node, as float32 is coarse there.
_FAR = 400.0
_FAR_ROUNDED = 16.0  # the same for positions that are rounded to as many steps within the mesh

Frames = tuple[np.ndarray, np.ndarray] | None  # of all rows of an atlas, see `y_up_frames`


def write_glb(
    path: Path,
    mesh: Mesh,
    atlas: Atlas,
    textures: Sequence[np.ndarray],
    texture_format: str = "jpeg",
    quality: int = 95,
    compress: str = "none",
    normal_maps: Sequence[np.ndarray] | None = None,
) -> None:
    """Writes a `.glb` file; see `encode_glb` for the rest.

    Raises:
        InputError: an option out of range, a mesh without a face to write, or a file that cannot be written.
    """
    write_files({Path(path): encode_glb(mesh, atlas, textures, texture_format, quality, compress, normal_maps)})


def encode_glb(
    mesh: Mesh,
    atlas: Atlas,
    textures: Sequence[np.ndarray],
    texture_format: str = "jpeg",
    quality: int = 95,
    compress: str = "none",
    normal_maps: Sequence[np.ndarray] | None = None,
) -> bytes:
    """The mesh as the bytes of a GLB file.

    Positions are ``axis_alignment @ vertex`` turned from z up to glTF's y up; those of a mesh far from the origin are
    stored about its middle, and the node's ``translation`` leads back: float32 would lose them otherwise. Faces keep
    their order within a page and their orientation. The light is in the colours, so materials are
    ``KHR_materials_unlit``, with a rough non-metal for viewers that do not know it.

    Args:
        mesh, atlas: the mesh and its UV layout.
        textures: one (size, size, 3) uint8 sRGB image per page, row 0 at the top (v = 1).
        texture_format: "jpeg" (full chroma resolution), "png" (lossless), "webp" (the smallest; needs viewers that
            know `EXT_texture_webp`) or "ktx2" (stays compressed in the graphics card's memory; needs Khronos's `ktx`,
            and viewers that know `KHR_texture_basisu`).
        quality: of JPEG and WebP, 1 to 100.
        compress: "none", or what compresses the geometry: "draco" (`KHR_draco_mesh_compression`, the smallest) or
            "meshopt" (`EXT_meshopt_compression`), which viewers have to know. Positions are
            rounded to 1/65,536 of the mesh's largest extent or less, texture coordinates to 1/16 texel; vertices and,
            within a page, faces come in another order. A GLB that keeps its own coordinates comes by meshopt to the
            bit and in its order; by Draco with rounded positions and in another order.
        normal_maps: one (size, size, 3) uint8 image per page, glTF's tangent space; they are written as PNG, with the
            mesh's smooth normals and tangents, and the materials are lit then: unlit ones show no normal map.

    Raises:
        InputError: an option out of range, a library or program that is not there, or no face to write.
    """
    if texture_format not in ("jpeg", "png", "webp", "ktx2"):
        raise InputError(f"texture_format {texture_format!r} is unknown; choose jpeg, png, webp or ktx2")
    if texture_format == "ktx2":
        check_ktx(atlas.size)
    library = codec(compress)
    if not 1 <= quality <= 100:
        raise InputError(f"quality {quality} is out of range; choose 1 to 100")
    pages = [page for page in range(atlas.pages) if (atlas.page == page).any()]
    if not pages:
        raise InputError("the mesh has no face with area, so there is nothing to export; check the input mesh")

    images = [_encode_image(textures[page], texture_format, quality) for page in pages]
    uvs = own_uvs(mesh, atlas)
    if uvs is not None and uvs.kind == ".glb":
        mime, names = f"image/{texture_format}", page_materials(uvs, atlas)
        try:
            kept = repainted_glb(uvs, atlas, names, images, mime, {"generator": _generator()})
        except (LookupError, ValueError, TypeError, AttributeError):  # JSON of any shape, where nothing is painted
            said = "the GLB that the mesh is from has damaged materials or textures; it is written anew, by its parts"
            warnings.warn(said, InputWarning, stacklevel=2)
        else:
            return compressed_as_it_is(kept, compress)

    aligned = mesh.vertices @ mesh.axis_alignment[:3, :3].T + mesh.axis_alignment[:3, 3]
    positions = aligned[:, [0, 2, 1]] * [1.0, 1.0, -1.0]
    groups = _groups(mesh, atlas)
    written = np.concatenate([faces for _, _, faces in groups])
    offset = far_offset(positions[mesh.faces[written]], _FAR if library is None else _FAR_ROUNDED)
    positions -= offset

    document = {
        "asset": {"version": "2.0", "generator": _generator()},
        "extensionsUsed": ["KHR_materials_unlit"],
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [],
        "meshes": [],
        "materials": [],
        "textures": [],
        "images": [],
        "samplers": [
            {
                "magFilter": _LINEAR,
                "minFilter": _LINEAR_MIPMAP_LINEAR,
                # Tiles lie one width apart: there, textures have to repeat.
                **({} if atlas.offsets().any() else {"wrapS": _CLAMP_TO_EDGE, "wrapT": _CLAMP_TO_EDGE}),
            }
        ],
    }
    buffer = _Buffer(library if compress == "meshopt" else None)
    names = [f"page {page}" for page in pages] if uvs is None else page_materials(uvs, atlas)
    for k, image in enumerate(images):
        document["materials"].append(_material(names[k]) | {"pbrMetallicRoughness": _PLAIN | _textured(k)})
        document["textures"].append({"sampler": 0, **texture_source(k, f"image/{texture_format}")})
        document["images"].append({"bufferView": buffer.view(image), "mimeType": f"image/{texture_format}"})
    frames = None if normal_maps is None else y_up_frames(mesh, atlas)
    bare: dict[int, int] = {}  # of the mesh's own materials, those of faces that are not painted
    for name, of, faces in groups:
        if not document["nodes"] or name != document["nodes"][-1].get("name", ""):
            called = {"name": name} if name else {}
            moved = {"translation": offset.tolist()} if offset.any() else {}
            document["scenes"][0]["nodes"] = [*range(len(document["nodes"]) + 1)]
            document["nodes"].append({"mesh": len(document["meshes"]), **called, **moved})
            document["meshes"].append({"primitives": [], **called})
        if of >= 0:
            primitive = _primitive(buffer, positions, atlas, faces, frames) | {"material": pages.index(of)}
        else:
            primitive = _bare_primitive(buffer, positions, mesh, faces)
            primitive["material"] = bare.setdefault(~of, len(document["materials"]))
            if primitive["material"] == len(document["materials"]) and uvs is not None:
                document["materials"].append(
                    _material(uvs.materials[~of] or NAMELESS) | {"pbrMetallicRoughness": _PLAIN}
                )
        document["meshes"][-1]["primitives"].append(primitive)
    if normal_maps is not None:
        add_normal_maps(document, buffer, [encode_png(normal_maps[page]) for page in pages])
    require_images(document)
    document["accessors"] = buffer.accessors
    document["bufferViews"] = buffer.views
    document["buffers"] = [{"byteLength": buffer.length}]
    uv = (atlas.uv + atlas.offsets())[atlas.faces[atlas.page >= 0]]
    glb = pack_glb(document, buffer.chunks)
    return compressed(glb, compress, positions[mesh.faces[written]].reshape(-1, 3), uv.reshape(-1, 2), atlas.size)


def _groups(mesh: Mesh, atlas: Atlas) -> list[tuple[str, int, np.ndarray]]:
    """What becomes a primitive each: name of the node, page, or -1 less the material of what is not painted, and faces
    (k,) in the mesh's order."""
    uvs = own_uvs(mesh, atlas)
    if uvs is None:
        return [
            ("", page, np.flatnonzero(atlas.page == page)) for page in np.unique(atlas.page[atlas.page >= 0]).tolist()
        ]
    of = np.where(atlas.page >= 0, atlas.page, np.iinfo(np.int32).min)
    for material, faces in unpainted(mesh, atlas):
        of[faces] = ~material
    found = []
    for part, name in enumerate(uvs.parts):
        inside = uvs.part == part
        groups = np.unique(of[inside & (of > np.iinfo(np.int32).min)]).tolist()
        for group in sorted(groups, key=lambda group: (group < 0, group)):
            found.append((name, group, np.flatnonzero(inside & (of == group))))
    return found


def _primitive(buffer: "_Buffer", positions: np.ndarray, atlas: Atlas, faces: np.ndarray, frames: Frames) -> dict:
    """Faces of one page, with normals and tangents if there are any."""
    rows, corners = buffer.vertices(atlas.faces[faces])
    uv = (atlas.uv[rows] + atlas.offsets()[rows]).astype(np.float64)
    uv[:, 1] = 1.0 - uv[:, 1]  # glTF's origin is the image's top-left corner
    primitive = _bare(buffer, positions[atlas.vertices[rows]], corners)
    primitive["attributes"]["TEXCOORD_0"] = buffer.array(uv, (np.float32, _FLOAT), "VEC2", _VERTICES)
    for kind, shape, values in zip(("NORMAL", "TANGENT"), ("VEC3", "VEC4"), frames or (), strict=False):
        primitive["attributes"][kind] = buffer.array(values[rows], (np.float32, _FLOAT), shape, _VERTICES)
    return primitive


def _bare_primitive(buffer: "_Buffer", positions: np.ndarray, mesh: Mesh, faces: np.ndarray) -> dict:
    """Faces without texture."""
    rows, corners = buffer.vertices(mesh.faces[faces])
    return _bare(buffer, positions[rows], corners)


def _bare(buffer: "_Buffer", places: np.ndarray, corners: np.ndarray) -> dict:
    # The highest index of each type is reserved (primitive restart).
    index_type = (np.uint16, _UINT16) if len(places) <= 65535 else (np.uint32, _UINT32)
    position = buffer.array(places, (np.float32, _FLOAT), "VEC3", _VERTICES, bounds=True)
    indices = buffer.array(corners.reshape(-1), index_type, "SCALAR", _INDICES)
    return {"attributes": {"POSITION": position}, "indices": indices}


def _material(name: str) -> dict:
    # A scan is one-sided sheets seen from anywhere.
    return {"name": name, "extensions": {"KHR_materials_unlit": {}}, "doubleSided": True}


def _textured(texture: int) -> dict:
    return {"baseColorTexture": {"index": texture}}


class _Buffer:
    """The binary chunk as it grows, with the views and accessors that describe it; by meshopt, if it is given, with
    vertices and triangles in the order that compresses best."""

    def __init__(self, meshopt: ModuleType | None = None):
        self._meshopt = meshopt
        self.chunks: list[bytes] = []
        self.length = 0
        self.views: list[dict] = []
        self.accessors: list[dict] = []

    def vertices(self, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The vertices (n,) that faces (f, 3) use, in the order to store them, and the faces by these."""
        rows, corners = np.unique(faces, return_inverse=True)
        if self._meshopt is None:
            return rows, corners
        order, corners = in_cache_order(self._meshopt, corners)
        return rows[order], corners

    def view(self, data: bytes, target: int | None = None) -> int:
        """Appends 4-byte aligned data; returns the index of its buffer view."""
        self.views.append({"buffer": 0, "byteOffset": self.length, "byteLength": len(data)})
        if target is not None:
            self.views[-1]["target"] = target
        self.chunks += [data, b"\0" * (-len(data) % 4)]
        self.length += len(data) + len(self.chunks[-1])
        return len(self.views) - 1

    def array(self, values: np.ndarray, dtype: tuple[type, int], shape: str, target: int, bounds: bool = False) -> int:
        """Appends an array; returns the index of its accessor."""
        stored = np.ascontiguousarray(values, dtype[0])
        view = self.view(stored.tobytes(), target)
        accessor = {"bufferView": view, "componentType": dtype[1], "count": len(stored), "type": shape}
        if bounds:
            accessor |= {"min": stored.min(0).tolist(), "max": stored.max(0).tolist()}
        self.accessors.append(accessor)
        return len(self.accessors) - 1


def far_offset(triangles: np.ndarray, far: float = _FAR) -> np.ndarray:
    """(3,) to take off triangles (k, 3, 3) far from the origin, by more than `far` radii: round numbers within them;
    zero for others."""
    extent = extent_of(triangles)
    if np.abs(extent.middle).max() <= far * extent.radius:
        return np.zeros(3)
    return np.round(extent.middle, -int(np.ceil(np.log10(max(extent.radius, 1e-12)))))


def _encode_image(image: np.ndarray, texture_format: str, quality: int) -> bytes:
    if texture_format == "png":
        return encode_png(image)
    if texture_format == "ktx2":
        return encode_ktx2(encode_png(image))
    if texture_format == "webp":
        return cv2.imencode(".webp", image[:, :, ::-1], [cv2.IMWRITE_WEBP_QUALITY, int(quality)])[1].tobytes()
    chroma = [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
    return cv2.imencode(".jpg", image[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, int(quality), *chroma])[1].tobytes()


def encode_png(image: np.ndarray) -> bytes:
    """(h, w, 3) uint8 RGB as PNG; run-length strategy: 5 times quicker than zlib's default, files a tenth larger."""
    strategy = [cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE]
    return cv2.imencode(".png", image[:, :, ::-1], strategy)[1].tobytes()


def _generator() -> str:
    from ..version import __version__

    return f"scenetex {__version__}"
