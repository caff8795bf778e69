"""The geometry of a GLB, as a reader decodes it: plain, by Draco, or by meshopt."""

from dataclasses import dataclass

import DracoPy
import meshopt
import numpy as np

from scenetex.scene.gltf_file import unpack_glb

DRACO, MESHOPT = "KHR_draco_mesh_compression", "EXT_meshopt_compression"
_TYPES = {5120: "<i1", 5121: "<u1", 5122: "<i2", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
_WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4}


@dataclass(frozen=True)
class Part:
    """A primitive: its attributes (n, width) by name, its triangles (f, 3), and its own JSON."""

    attributes: dict[str, np.ndarray]
    faces: np.ndarray
    about: dict

    def corners(self, name: str) -> np.ndarray:
        """(f, 3, width) float64."""
        return self.attributes[name][self.faces].astype(np.float64)


class Decoder:
    """A GLB that is taken apart.

    Attributes:
        header: its JSON.
        chunk: its binary chunk.
    """

    def __init__(self, glb: bytes):
        self.header, self.chunk = unpack_glb(glb)

    def view(self, index: int) -> bytes:
        """What a view holds, decoded."""
        view = self.header["bufferViews"][index]
        packed = view.get("extensions", {}).get(MESHOPT)
        if packed is None:
            assert view["buffer"] == 0
            return self._bytes(view)
        assert view["byteLength"] == packed["count"] * packed["byteStride"], "the specification wants that"
        assert self.header["buffers"][view["buffer"]]["extensions"][MESHOPT] == {"fallback": True}
        assert view["byteOffset"] + view["byteLength"] <= self.header["buffers"][view["buffer"]]["byteLength"]
        data = self._bytes(packed)
        assert data[0] == {"ATTRIBUTES": 0xA0, "TRIANGLES": 0xE1, "INDICES": 0xD1}[packed["mode"]], "versions for EXT"
        found = meshopt.decode_gltf_buffer(
            data, packed["count"], packed["byteStride"], packed["mode"], packed.get("filter")
        )
        return np.ascontiguousarray(found).tobytes()

    def _bytes(self, about: dict) -> bytes:
        start = about.get("byteOffset", 0)
        assert start + about["byteLength"] <= len(self.chunk)
        return self.chunk[start : start + about["byteLength"]]

    def accessor(self, index: int) -> np.ndarray:
        """(count, width) as stored, not of Draco, what is sparse left out."""
        about = self.header["accessors"][index]
        kind, width = np.dtype(_TYPES[about["componentType"]]), _WIDTHS[about["type"]]
        stride = self.header["bufferViews"][about["bufferView"]].get("byteStride", width * kind.itemsize)
        data, start = self.view(about["bufferView"]), about.get("byteOffset", 0)
        return np.ndarray((about["count"], width), kind, data, start, (stride, kind.itemsize)).copy()

    def parts(self) -> list[Part]:
        """All primitives of triangles."""
        return [self._part(p) for mesh in self.header["meshes"] for p in mesh["primitives"] if p.get("mode", 4) == 4]

    def _part(self, primitive: dict) -> Part:
        packed = primitive.get("extensions", {}).get(DRACO)
        if packed is None:
            attributes = {name: self.accessor(index) for name, index in primitive["attributes"].items()}
            return Part(attributes, self._corners(primitive).astype(np.int64).reshape(-1, 3), primitive)
        mesh = DracoPy.decode(self.view(packed["bufferView"]))
        by_number = {attribute["unique_id"]: attribute for attribute in mesh.attributes}
        assert set(packed["attributes"]) == set(primitive["attributes"])
        attributes = {}
        for name, number in packed["attributes"].items():
            about = self.header["accessors"][primitive["attributes"][name]]
            assert "bufferView" not in about and "byteOffset" not in about
            values = np.asarray(by_number[number]["data"])
            assert values.shape == (about["count"], _WIDTHS[about["type"]])
            attributes[name] = values.astype(_TYPES[about["componentType"]])
        faces = np.asarray(mesh.faces, np.int64)
        assert self.header["accessors"][primitive["indices"]]["count"] == faces.size
        assert faces.max() < 2 ** {5123: 16, 5125: 32}[self._kind(primitive["indices"])] - 1
        return Part(attributes, faces, primitive)

    def _corners(self, primitive: dict) -> np.ndarray:
        if "indices" in primitive:
            return self.accessor(primitive["indices"])
        return np.arange(self.header["accessors"][primitive["attributes"]["POSITION"]]["count"])

    def _kind(self, accessor: int) -> int:
        return self.header["accessors"][accessor]["componentType"]

    def geometry_bytes(self) -> int:
        """How many bytes of the binary chunk are no images."""
        views = self.header["bufferViews"]
        images = {image["bufferView"] for image in self.header.get("images", [])}
        return len(self.chunk) - sum(views[index]["byteLength"] for index in images)


def matched(plain: Part, other: Part) -> tuple[np.ndarray, np.ndarray]:
    """Where each triangle of a part is in another, the two being the same within some rounding: (f,) its number, and
    (f, 3) which of its corners is which.

    Triangles are told by middle of place and texture coordinates, so those of both have to lie apart by more.
    """
    from scipy.optimize import linear_sum_assignment
    from scipy.spatial import cKDTree

    def middles(part: Part) -> np.ndarray:
        names = [name for name in ("POSITION", "TEXCOORD_0") if name in part.attributes]
        return np.concatenate([part.corners(name).mean(1) for name in names], 1)

    assert len(plain.faces) == len(other.faces)
    found = cKDTree(middles(other)).query(middles(plain))[1]
    if len(np.unique(found)) < len(found):  # some coincide
        cost = np.linalg.norm(middles(plain)[:, None] - middles(other)[None], axis=2)
        _, found = linear_sum_assignment(cost)
    turns = np.array([[0, 1, 2], [1, 2, 0], [2, 0, 1]])  # and no mirror images
    far = np.stack(
        [np.abs(other.corners("POSITION")[found][:, turn] - plain.corners("POSITION")).max((1, 2)) for turn in turns]
    )
    return found, turns[far.argmin(0)]
