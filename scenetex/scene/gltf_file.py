"""The two containers of glTF 2.0, `.glb` and `.gltf`: their JSON, what it requires, their buffers, and its accessors.

No number of the JSON is believed before it is held against the bytes that are there.
"""

import base64
import json
import re
import struct
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote

import numpy as np

from ..errors import InputError, pasted, shown
from ..files.json_file import parse_json
from ..files.reading import MESH_BYTES, read_bytes

_LARGEST_OVERLAP = 16  # bytes that views, or accessors, read over those of the file: parts may share their vertices
_NUMBERS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT2": 4, "MAT3": 9, "MAT4": 16}
_TYPES = {5120: "<i1", 5121: "<u1", 5122: "<i2", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_DATA = re.compile(r"data:[^,]{0,100};base64,")

_COMPRESSION = {
    "KHR_draco_mesh_compression": "Draco",
    "EXT_meshopt_compression": "meshopt",
    "KHR_meshopt_compression": "meshopt",
}
_READ = {"KHR_mesh_quantization", "EXT_mesh_gpu_instancing", "KHR_node_visibility"}
# These say nothing of where the surface is: materials, images, light, what belongs to a face.
_OF_NO_SHAPE = re.compile(
    r"_(materials?|textures?|lights?|image|xmp|animation|audio|metadata|features?|physics|interactivity|selectability|hoverability|manifold|ngon_encoding|outline)(_|$)"
)


@dataclass(frozen=True, eq=False)
class GltfFile:
    """A glTF file whose JSON was looked through.

    Attributes:
        path: where it lies.
        header: its JSON.
        chunk: the binary chunk of a GLB; None for a `.gltf`, whose buffers may be files beside it.
        size: bytes of the file and of the files it names that are there.
    """

    path: Path
    header: dict
    chunk: bytes | None
    size: int
    _buffers: dict[int, bytes] = field(default_factory=dict)

    def accessor(self, index: int) -> np.ndarray:
        """What an accessor holds: (count, width), of the type it is stored in, or float64 where it is `normalized`.

        Raises:
            ValueError, LookupError, TypeError: it does not fit the bytes that are there.
            InputError: its buffer is compressed, a file that cannot be read, or any other file where this is a GLB.
        """
        about = self.header["accessors"][index]
        kind, width, count = np.dtype(_TYPES[about["componentType"]]), _NUMBERS[about["type"]], int(about["count"])
        if "bufferView" in about:
            found = self._rows(about, kind, count, width)
        else:
            found = np.zeros((count, width), kind)
        if "sparse" in about:
            found = self._with_sparse(found.copy(), about["sparse"], kind, width)
        if about.get("normalized") and kind.kind != "f":
            # -128 and -127 are both -1.
            return np.maximum(found / float(np.iinfo(kind).max), -1.0)
        return found

    def as_glb(self) -> bytes:
        """The whole file as one GLB, its buffers one after the other in the binary chunk.

        Raises:
            ValueError, LookupError, TypeError: a view that makes no sense.
            InputError: a buffer that cannot be read.
        """
        views, chunks, starts, length = [], [], {}, 0
        for view in self.header.get("bufferViews", []):
            index = view["buffer"]
            if index not in starts:
                data = self._buffer(view)
                starts[index] = length
                chunks += [data, b"\0" * (-len(data) % 8)]
                length += len(data) + len(chunks[-1])
            views.append(view | {"buffer": 0, "byteOffset": starts[index] + int(view.get("byteOffset", 0))})
        header = self.header | {"bufferViews": views, "buffers": [{"byteLength": length}]}
        return pack_glb(header, chunks)

    def _with_sparse(self, found: np.ndarray, sparse: dict, kind: np.dtype, width: int) -> np.ndarray:
        count = int(sparse["count"])
        where = self._rows(sparse["indices"], np.dtype(_TYPES[sparse["indices"]["componentType"]]), count, 1)[:, 0]
        found[where] = self._rows(sparse["values"], kind, count, width)
        return found

    def _rows(self, about: dict, kind: np.dtype, count: int, width: int) -> np.ndarray:
        """(count, width) of `kind` from where `about`, an accessor or a part of a sparse one, points to."""
        view = self.header["bufferViews"][about["bufferView"]]
        data = self._buffer(view)
        row = width * kind.itemsize
        step = int(view.get("byteStride", row))
        start = int(view.get("byteOffset", 0)) + int(about.get("byteOffset", 0))
        end = min(len(data), int(view.get("byteOffset", 0)) + int(view["byteLength"]))
        if count < 0 or start < 0 or step < 1 or (count and start + (count - 1) * step + row > end):
            raise ValueError("an accessor reaches past its bytes")
        if not count:
            return np.zeros((0, width), kind)
        return np.ndarray((count, width), kind, data, start, (step, kind.itemsize))

    def _buffer(self, view: dict) -> bytes:
        index = view["buffer"]
        if index not in self._buffers:
            self._buffers[index] = self._read_buffer(index, view)
        return self._buffers[index]

    def _read_buffer(self, index: int, view: dict) -> bytes:
        about = self.header["buffers"][index]
        uri = about.get("uri")
        if uri is not None:
            if head := _DATA.match(uri):
                return base64.b64decode(uri[head.end() :])
            if self.chunk is not None:
                raise InputError(f"{self.path}: refers to other files; export it as one self-contained GLB")
            return _read_beside(self.path, uri)
        if index == 0 and self.chunk:
            return self.chunk
        for name in view.get("extensions", {}):
            if name in _COMPRESSION:
                raise _compressed(self.path, name)
        raise ValueError("a buffer has no bytes")


def read_glb_file(path: Path) -> GltfFile:
    """A `.glb`. Raises `InputError`: no such container, cut short, or one that needs what is not read or not in it."""
    data = read_bytes(path, MESH_BYTES)
    try:
        magic, version, length, json_length, json_kind = struct.unpack_from("<4sIII4s", data)
        if magic == b"glTF" and version == 1:
            raise _too_old(path)
        if magic != b"glTF" or version != 2 or json_kind != b"JSON" or length > len(data):
            raise ValueError
        header = parse_json(data[20 : 20 + json_length])
        chunk = _binary_chunk(data, 20 + json_length)
        _check(header, path, len(data))
        return GltfFile(path, header, chunk, len(data))
    except InputError:
        raise
    except Exception:  # JSON of any shape may stand there
        raise InputError(f"{path}: not a GLB 2.0 file, or cut short; export the mesh again") from None


def read_gltf_file(path: Path) -> GltfFile:
    """A `.gltf`, whose buffers are in it or in files beside it. Raises `InputError` as `read_glb_file`."""
    data = read_bytes(path, MESH_BYTES)
    try:
        header = parse_json(data)
        uris = [buffer.get("uri", "data:") for buffer in header.get("buffers", [])]
        beside = [path.parent / unquote(uri) for uri in uris if not _SCHEME.match(uri)]
        size = len(data) + sum(file.stat().st_size for file in set(beside) if file.is_file())
        _check(header, path, size)
        return GltfFile(path, header, None, size)
    except InputError:
        raise
    except Exception:
        raise InputError(f"{path}: not a glTF 2.0 file, or cut short; export the mesh again") from None


def pack_glb(header: dict, chunks: list[bytes]) -> bytes:
    """A GLB of its JSON and the parts of its binary chunk, each a multiple of 4 bytes long."""
    text = json.dumps(header, separators=(",", ":"), allow_nan=False).encode()
    text += b" " * (-len(text) % 4)
    binary = b"".join(chunks)
    total = 12 + 8 + len(text) + 8 + len(binary)
    head = struct.pack("<4sIII4s", b"glTF", 2, total, len(text), b"JSON")
    return b"".join([head, text, struct.pack("<I4s", len(binary), b"BIN\0"), binary])


def unpack_glb(data: bytes) -> tuple[dict, bytes]:
    """JSON and binary chunk of a GLB that `pack_glb` made."""
    length = struct.unpack_from("<I", data, 12)[0]
    return parse_json(data[20 : 20 + length]), data[28 + length :]


def primitives(mesh: dict) -> list[dict]:
    """The parts of a mesh that have positions; others are not to be drawn, says the specification."""
    return [part for part in mesh["primitives"] if "POSITION" in part["attributes"]]


def _binary_chunk(data: bytes, at: int) -> bytes:
    if at + 8 > len(data):
        return b""
    length, kind = struct.unpack_from("<I4s", data, at)
    if kind != b"BIN\0" or at + 8 + length > len(data):
        raise ValueError
    return data[at + 8 : at + 8 + length]


def _read_beside(path: Path, uri: str) -> bytes:
    """A file that a `.gltf` names, from the folder it lies in."""
    name = unquote(uri)
    if _SCHEME.match(uri) or name.startswith("/") or ".." in Path(name).parts or not name.isprintable():
        raise InputError(f"{path}: refers to {shown(uri, 60)}, which is not in its folder; export it as one GLB")
    file = path.parent / name
    try:
        return read_bytes(file, MESH_BYTES)
    except OSError as error:
        raise InputError(f"{file}: cannot be read ({error.strerror or error}); put it beside {path.name}") from None


def _check(header: dict, path: Path, size: int) -> None:
    """Raises InputError for what the file requires and nobody here reads, ValueError for sizes that cannot be."""
    version = str(header.get("asset", {}).get("version", "2.0"))
    if version.startswith(("0.", "1.")):
        raise _too_old(path)
    # Where a file does not say what the oldest reader is, its own major version counts.
    least = str(header.get("asset", {}).get("minVersion", "2.0" if version.startswith("2.") else version))
    if least != "2.0":
        raise InputError(f"{path}: asks for a reader of glTF {shown(least, 20)}; export it as glTF 2.0")
    for name in header.get("extensionsRequired", []):
        if name in _COMPRESSION:
            raise _compressed(path, name)
        if name not in _READ and not _OF_NO_SHAPE.search(name):
            raise InputError(
                f"{path}: requires the glTF extension {shown(name, 60)}, which is not read; export it without"
            )
    accessors = header.get("accessors", [])
    for mesh in header.get("meshes", []):
        for primitive in primitives(mesh):
            if {"bufferView", "sparse"} & accessors[primitive["attributes"]["POSITION"]].keys():
                continue
            name = next((name for name in primitive.get("extensions", {}) if name in _COMPRESSION), None)
            if name:
                raise _compressed(path, name)
            raise InputError(f"{path}: holds no positions for a mesh that it announces; export the mesh again")
    _check_sizes(header.get("bufferViews", []), accessors, size)


def _check_sizes(views: list, accessors: list, size: int) -> None:
    """Raises ValueError where views or accessors hold more than a file of `size` bytes can, even if they overlap."""
    lengths = [int(view["byteLength"]) for view in views]
    counts = [int(accessor["count"]) for accessor in accessors]
    if not all(0 <= number <= size for number in (*lengths, *counts)):
        raise ValueError
    widths = [_NUMBERS[accessor["type"]] * int(_TYPES[accessor["componentType"]][-1]) for accessor in accessors]
    read = sum(count * width for count, width in zip(counts, widths, strict=True))
    if max(sum(lengths), read) > _LARGEST_OVERLAP * size:
        raise ValueError


def _compressed(path: Path, name: str) -> InputError:
    return InputError(
        f"{path}: its geometry is {_COMPRESSION[name]}-compressed ({name}), which is not read; unpack it: "
        f"npx @gltf-transform/cli copy {pasted(path.name)} plain.glb"
    )


def _too_old(path: Path) -> InputError:
    return InputError(f"{path}: is glTF 1.0; make it 2.0: npx gltf-pipeline -i {pasted(path.name)} -o new.glb")
