"""What glTF 2.0 lets a file say of its geometry is read as it says; what needs a decoder is refused by name."""

import base64
import json
import struct

import numpy as np
import pytest

from scenetex import InputError
from scenetex.scene.gltf_mesh import read_glb, read_gltf
from scenetex.scene.mesh_file import read_mesh

TYPES = {"i1": 5120, "u1": 5121, "i2": 5122, "u2": 5123, "u4": 5125, "f4": 5126}
KINDS = {1: "SCALAR", 3: "VEC3", 4: "VEC4", 16: "MAT4"}
SQUARE = np.array([[0, 0, 0], [2, 0, 0], [2, 1, 0], [0, 1, 0]], np.float32)
PAIR = np.array([[0], [1], [2], [0], [2], [3]], np.uint16)


class Builder:
    """A glTF file, array by array."""

    def __init__(self):
        self.data = b""
        self.tree = {"asset": {"version": "2.0"}, "scene": 0, "scenes": [{"nodes": [0]}], "nodes": [{"mesh": 0}]}
        self.tree |= {"meshes": [{"primitives": []}], "accessors": [], "bufferViews": []}

    def view(self, data: bytes, **fields) -> int:
        self.data += bytes(-len(self.data) % 4)
        self.tree["bufferViews"].append({"buffer": 0, "byteOffset": len(self.data), "byteLength": len(data)} | fields)
        self.data += data
        return len(self.tree["bufferViews"]) - 1

    def accessor(self, array: np.ndarray, view: int | None = None, **fields) -> int:
        about = {"componentType": TYPES[array.dtype.str[1:]], "type": KINDS[array.shape[1]], "count": len(array)}
        if view is None and "sparse" not in fields:
            view = self.view(np.ascontiguousarray(array).tobytes())
        self.tree["accessors"].append(about | ({} if view is None else {"bufferView": view}) | fields)
        return len(self.tree["accessors"]) - 1

    def part(self, positions: np.ndarray | int = SQUARE, indices: np.ndarray | None = PAIR, **fields) -> "Builder":
        at = positions if isinstance(positions, int) else self.accessor(positions.astype(np.float32))
        attributes = {"POSITION": at} | fields.pop("attributes", {})
        primitive = {"attributes": attributes} | fields
        if indices is not None:
            primitive["indices"] = self.accessor(indices)
        self.tree["meshes"][0]["primitives"].append(primitive)
        return self

    def glb(self, folder, **more):
        tree = self.tree | {"buffers": [{"byteLength": len(self.data)}]} | more
        text = json.dumps(tree).encode()
        text += b" " * (-len(text) % 4)
        data = self.data + bytes(-len(self.data) % 4)
        body = struct.pack("<I4s", len(text), b"JSON") + text + struct.pack("<I4s", len(data), b"BIN\0") + data
        path = folder / "mesh.glb"
        path.write_bytes(struct.pack("<4sII", b"glTF", 2, 12 + len(body)) + body)
        return path

    def gltf(self, folder, uri: str, **more):
        buffers = {"buffers": [{"byteLength": len(self.data), "uri": uri}]}
        path = folder / "mesh.gltf"
        path.write_text(json.dumps(self.tree | buffers | more))
        return path


@pytest.mark.parametrize("kind", ["i1", "u1", "i2", "u2"])
@pytest.mark.parametrize("normalized", [True, False])
def test_quantized_positions_of_every_kind(tmp_path, kind, normalized):
    """KHR_mesh_quantization: integers that stand for 0 to 1 (or -1 to 1), and a node that gives them their size."""
    most = np.iinfo(kind).max
    stored = np.array([[0, 0, 0], [most, 0, 0], [most, most, 1], [np.iinfo(kind).min, most // 3, 2]], kind)
    build = Builder()
    row = np.zeros((4, 4), kind)  # rows of vertices begin at multiples of 4 bytes
    row[:, :3] = stored
    view = build.view(row.tobytes(), byteStride=row.strides[0])
    build.part(build.accessor(stored, view, normalized=normalized))
    build.tree["nodes"][0] |= {"scale": [4, 4, 2], "translation": [1, 0, 0]}
    path = build.glb(tmp_path, extensionsRequired=["KHR_mesh_quantization"], extensionsUsed=["KHR_mesh_quantization"])
    meant = np.maximum(stored / most, -1) if normalized else stored.astype(float)
    np.testing.assert_allclose(read_glb(path)[0], meant * [4, 4, 2] + [1, 0, 0], atol=1e-12)


PENTAGON = np.array([[0, 0, 0], [2, 0, 0], [3, 1, 0], [1, 2, 0], [0, 1, 0]], np.float32)
ROW = np.array([[0, 0, 0], [0, 1, 0], [1, 0, 0], [1, 1, 0], [2, 0, 0]], np.float32)


@pytest.mark.parametrize("indexed", [True, False])
@pytest.mark.parametrize(
    ("mode", "points", "area", "count", "side"),
    [(4, SQUARE[[0, 1, 2, 0, 2, 3]], 2, 2, 1), (6, PENTAGON, 4, 3, 1), (5, ROW, 1.5, 3, -1)],
)
def test_triangles_fans_and_strips_stand_beside_one_another(tmp_path, mode, points, area, count, side, indexed):
    build = Builder().part(SQUARE + np.array([0, 0, 5]), PAIR.astype(np.uint8))
    build.part(points, np.arange(len(points), dtype=np.uint32)[:, None] if indexed else None, mode=mode)
    for left_out in (0, 1, 2, 3):  # points and lines
        build.part(SQUARE, None, mode=left_out)
    build.tree["meshes"][0]["primitives"].append({"attributes": {"NORMAL": 0}})
    vertices, faces, *_ = read_glb(build.glb(tmp_path))
    assert len(faces) == 2 + count and faces[:2].tolist() == [[0, 1, 2], [0, 2, 3]]
    t = vertices[faces[2:]]
    normals = np.cross(t[:, 1] - t[:, 0], t[:, 2] - t[:, 0])
    assert (np.sign(normals[:, 2]) == side).all() and np.abs(normals).sum() / 2 == pytest.approx(area)


def test_corners_beyond_the_last_triangle_are_left_out(tmp_path):
    path = Builder().part(SQUARE, PAIR[:5]).glb(tmp_path)
    assert read_glb(path)[1].tolist() == [[0, 1, 2]]


def test_interleaved_and_sparse_accessors(tmp_path):
    build = Builder()
    rows = np.zeros(4, [("normal", "<f4", 3), ("position", "<f4", 3), ("more", "<u4")])
    rows["position"] = SQUARE
    view = build.view(rows.tobytes(), byteStride=28)
    moved = build.view(np.array([[9, 9, 9]], np.float32).tobytes())
    where = build.view(np.array([2], np.uint8).tobytes())
    sparse = {
        "count": 1,
        "indices": {"bufferView": where, "componentType": 5121},
        "values": {"bufferView": moved},
    }
    build.part(build.accessor(SQUARE, view, byteOffset=12))
    build.part(build.accessor(SQUARE, view, byteOffset=12, sparse=sparse))
    build.part(build.accessor(SQUARE, sparse=sparse))
    vertices, faces, *_ = read_glb(build.glb(tmp_path))
    np.testing.assert_array_equal(vertices[:4], SQUARE)
    np.testing.assert_array_equal(vertices[4:8], [SQUARE[0], SQUARE[1], [9, 9, 9], SQUARE[3]])
    np.testing.assert_array_equal(vertices[8:], [[0] * 3, [0] * 3, [9, 9, 9], [0] * 3])
    assert faces.max() == 11


@pytest.mark.parametrize("kind", ["f4", "u1", "u2"])
def test_colours_of_every_kind(tmp_path, kind):
    meant = np.array([[0, 51, 255, 9], [102, 153, 204, 9], [255, 0, 0, 9], [1, 2, 3, 9]], np.uint8)
    stored = {"f4": (meant / 255).astype(np.float32), "u1": meant, "u2": meant.astype(np.uint16) * np.uint16(257)}[kind]
    build = Builder()
    color = build.accessor(stored, normalized=kind != "f4")
    path = build.part(attributes={"COLOR_0": color}).glb(tmp_path)
    np.testing.assert_array_equal(read_glb(path)[2], meant[:, :3])
    build.tree["accessors"][color]["byteOffset"] = 1 << 20  # colours that are not there leave the mesh
    assert read_glb(build.glb(tmp_path))[2] is None


def test_instances_stand_at_all_their_places(tmp_path):
    build = Builder().part()
    shift = build.accessor(np.array([[0, 0, 0], [10, 0, 0]], np.float32))
    half = np.sqrt(0.5)
    turn = build.accessor(np.array([[0, 0, 0, 1], [0, 0, half, half]], np.float32))
    scale = build.accessor(np.array([[1, 1, 1], [2, 2, -2]], np.float32))
    copies = {"attributes": {"TRANSLATION": shift, "ROTATION": turn, "SCALE": scale}}
    build.tree["nodes"][0] |= {"translation": [0, 0, 1], "extensions": {"EXT_mesh_gpu_instancing": copies}}
    vertices, faces, *_ = read_glb(build.glb(tmp_path, extensionsRequired=["EXT_mesh_gpu_instancing"]))
    np.testing.assert_allclose(vertices[:4], SQUARE + np.array([0, 0, 1]), atol=1e-6)
    expected = np.stack([10 - 2 * SQUARE[:, 1], 2 * SQUARE[:, 0], np.ones(4)], 1)
    np.testing.assert_allclose(vertices[4:], expected, atol=1e-6)
    assert faces[2].tolist() == [6, 5, 4]  # mirrored, so turned


def test_morph_targets_and_hidden_nodes(tmp_path):
    build = Builder()
    up = build.accessor(np.tile(np.array([[0, 0, 4]], np.float32), (4, 1)))
    build.part(targets=[{"POSITION": up}, {"POSITION": up}])
    build.tree["meshes"][0]["weights"] = [0, 0.5]
    hidden = {"mesh": 0, "extensions": {"KHR_node_visibility": {"visible": False}}}
    build.tree["nodes"] += [{"mesh": 0, "weights": [0.25, 0]}, hidden]
    build.tree["scenes"][0]["nodes"] = [0, 1, 2]
    vertices = read_glb(build.glb(tmp_path))[0]
    np.testing.assert_array_equal(
        vertices, np.concatenate([SQUARE + np.array([0, 0, 2]), SQUARE + np.array([0, 0, 1])])
    )


def test_bones_place_what_is_bound_to_them(tmp_path):
    """Where a viewer shows it: the node's own transform does not count, joints and their inverse bind matrices do."""
    build = Builder()
    joints = build.accessor(np.array([[0, 0, 0, 0], [1, 0, 0, 0], [0, 1, 0, 0], [1, 0, 0, 0]], np.uint8))
    weights = build.accessor(np.array([[1, 0, 0, 0], [1, 0, 0, 0], [0.5, 0.5, 0, 0], [1, 0, 0, 0]], np.float32))
    unbind = np.tile(np.eye(4, dtype=np.float32), (2, 1, 1))
    unbind[1, :3, 3] = 0, 0, -3
    matrices = build.accessor(np.ascontiguousarray(unbind.transpose(0, 2, 1)).reshape(2, 16))
    build.part(attributes={"JOINTS_0": joints, "WEIGHTS_0": weights})
    build.tree["skins"] = [{"joints": [1, 2], "inverseBindMatrices": matrices}]
    build.tree["nodes"][0] |= {"skin": 0, "translation": [100, 0, 0]}
    build.tree["nodes"] += [{"translation": [1, 0, 0], "children": [2]}, {"translation": [0, 0, 5]}]
    build.tree["scenes"][0]["nodes"] = [0, 1]
    vertices = read_glb(build.glb(tmp_path))[0]
    np.testing.assert_allclose(vertices, SQUARE + np.array([[1, 0, 0], [1, 0, 2], [1, 0, 1], [1, 0, 2]]), atol=1e-6)


def test_matrices_scenes_and_libraries(tmp_path):
    build = Builder().part()
    matrix = np.diag([1.0, 2, 3, 1])
    matrix[:3, 3] = 7, 8, 9
    build.tree["nodes"] = [{"mesh": 0}, {"mesh": 0, "matrix": matrix.T.reshape(-1).tolist()}]
    build.tree |= {"scenes": [{"nodes": [0]}, {"nodes": [1]}], "scene": 1}
    np.testing.assert_array_equal(read_glb(build.glb(tmp_path))[0], SQUARE * [1, 2, 3] + [7, 8, 9])
    del build.tree["scenes"], build.tree["scene"]
    assert len(read_glb(build.glb(tmp_path))[0]) == 8
    del build.tree["nodes"]
    np.testing.assert_array_equal(read_glb(build.glb(tmp_path))[0], SQUARE)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("EXT_meshopt_compression", r"is meshopt-compressed \(EXT_mesho.*npx @gltf-transform/cli copy mesh\.glb plain"),
        ("KHR_meshopt_compression", "is meshopt-compressed"),
        ("KHR_draco_mesh_compression", "is Draco-compressed"),
        ("KHR_gaussian_splatting", "requires the glTF extension KHR_gaussian_splatting, which is not read"),
    ],
)
def test_what_a_file_requires_is_refused_by_name(tmp_path, name, message):
    with pytest.raises(InputError, match=message):
        read_glb(Builder().part().glb(tmp_path, extensionsRequired=[name]))


@pytest.mark.parametrize(
    "name",
    [
        "KHR_texture_basisu",
        "EXT_texture_webp",
        "KHR_materials_unlit",
        "KHR_texture_transform",
        "KHR_xmp_json_ld",
        "EXT_mesh_manifold",
    ],
)
def test_what_is_of_no_shape_may_be_required(tmp_path, name):
    np.testing.assert_array_equal(read_glb(Builder().part().glb(tmp_path, extensionsRequired=[name]))[0], SQUARE)


def test_meshopt_with_a_plain_copy_is_read_and_without_one_named(tmp_path):
    build = Builder().part()
    for view in build.tree["bufferViews"]:
        view["extensions"] = {"EXT_meshopt_compression": {"buffer": 0, "byteLength": 8, "byteStride": 12, "count": 4}}
    np.testing.assert_array_equal(read_glb(build.glb(tmp_path))[0], SQUARE)
    for view in build.tree["bufferViews"]:
        view["buffer"] = 1
    path = build.glb(tmp_path, buffers=[{"byteLength": len(build.data)}, {"byteLength": len(build.data)}])
    with pytest.raises(InputError, match="is meshopt-compressed"):
        read_glb(path)


@pytest.mark.parametrize("where", ["folder", "text"])
def test_gltf_with_its_buffers_beside_or_within(tmp_path, where):
    build = Builder().part()
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "my room.bin").write_bytes(build.data)
    within = "data:application/octet-stream;base64," + base64.b64encode(build.data).decode()
    path = build.gltf(tmp_path, within if where == "text" else "parts/my%20room.bin")
    vertices, faces, *_ = read_gltf(path)
    np.testing.assert_array_equal(vertices, SQUARE)
    np.testing.assert_array_equal(read_mesh(path).faces, faces)


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("../away.bin", r"mesh\.gltf: refers to \.\./away\.bin, which is not in its folder"),
        ("%2e%2e/away.bin", "which is not in its folder"),
        ("/etc/hostname", "which is not in its folder"),
        ("https://example.org/a.bin", "which is not in its folder"),
        ("file:///etc/hostname", "which is not in its folder"),
        ("gone.bin", r"gone\.bin: cannot be read .*; put it beside mesh\.gltf"),
        ("data:,abc", "which is not in its folder|not a readable glTF"),
        ("data:a;base64,AAAA", "not a readable glTF file"),
    ],
)
def test_gltf_reads_nothing_outside_its_folder(tmp_path, uri, message):
    folder = tmp_path / "scan"
    folder.mkdir()
    build = Builder().part()
    (tmp_path / "away.bin").write_bytes(build.data)
    with pytest.raises(InputError, match=message) as caught:
        read_gltf(build.gltf(folder, uri))
    assert str(caught.value).isprintable()


def test_old_and_cut_files_are_named(tmp_path):
    with pytest.raises(InputError, match=r"is glTF 1\.0; make it 2\.0: npx gltf-pipeline -i mesh\.glb"):
        read_glb(Builder().part().glb(tmp_path, asset={"version": "1.0"}))
    with pytest.raises(InputError, match=r"asks for a reader of glTF 2\.1; export it as glTF 2\.0"):
        read_glb(Builder().part().glb(tmp_path, asset={"version": "2.1", "minVersion": "2.1"}))
    path = Builder().part().gltf(tmp_path, "a.bin")
    path.write_text(path.read_text()[:-20])
    with pytest.raises(InputError, match=r"mesh\.gltf: not a glTF 2\.0 file, or cut short"):
        read_gltf(path)


def test_a_glb_whose_buffer_is_within_its_text(tmp_path):
    build = Builder().part()
    uri = "data:application/octet-stream;base64," + base64.b64encode(build.data).decode()
    inside = {"buffers": [{"byteLength": len(build.data), "uri": uri}]}
    vertices, faces, *_ = read_glb(build.glb(tmp_path, **inside))
    np.testing.assert_array_equal(vertices, SQUARE)
    np.testing.assert_array_equal(faces, [[0, 1, 2], [0, 2, 3]])


def test_other_files_of_a_glb_matter_where_the_mesh_lies_in_them_alone(tmp_path):
    build = Builder().part()
    buffers = [{"byteLength": len(build.data)}, {"byteLength": 8, "uri": "animation.bin"}]
    build.tree["bufferViews"].append({"buffer": 1, "byteLength": 8})
    np.testing.assert_array_equal(read_glb(build.glb(tmp_path, buffers=buffers))[0], SQUARE)
    (tmp_path / "animation.bin").write_bytes(bytes(len(build.data)))
    build.tree["bufferViews"][0]["buffer"] = 1
    with pytest.raises(InputError, match=r"mesh\.glb: refers to other files"):
        read_glb(build.glb(tmp_path, buffers=buffers))


def test_hidden_bones_move_what_is_bound_to_them(tmp_path):
    build = Builder()
    joints = build.accessor(np.zeros((4, 4), np.uint8))
    weights = build.accessor(np.tile(np.array([[1, 0, 0, 0]], np.float32), (4, 1)))
    build.part(attributes={"JOINTS_0": joints, "WEIGHTS_0": weights})
    hidden = {"KHR_node_visibility": {"visible": False}}
    build.tree["skins"] = [{"joints": [2]}]
    build.tree["nodes"][0] |= {"skin": 0}
    build.tree["nodes"] += [{"children": [2], "mesh": 0, "extensions": hidden}, {"translation": [9, 0, 0], "mesh": 0}]
    build.tree["scenes"][0]["nodes"] = [0, 1]
    np.testing.assert_array_equal(read_glb(build.glb(tmp_path))[0], SQUARE + np.array([9, 0, 0]))
    build.tree["scenes"] = [{"nodes": [0]}, {"nodes": [1]}]
    with pytest.raises(InputError, match="bones of a mesh lie in another scene than the mesh"):
        read_glb(build.glb(tmp_path))


def test_instances_that_nothing_moves(tmp_path):
    build = Builder().part()
    number = build.accessor(np.arange(3, dtype=np.float32)[:, None])
    build.tree["nodes"][0]["extensions"] = {"EXT_mesh_gpu_instancing": {"attributes": {"_ID": number}}}
    np.testing.assert_array_equal(read_glb(build.glb(tmp_path))[0], np.tile(SQUARE, (3, 1)))


def test_later_versions_are_named_and_quaternions_of_no_length_leak_no_warning(tmp_path, recwarn):
    with pytest.raises(InputError, match=r"asks for a reader of glTF 3\.0; export it as glTF 2\.0"):
        read_glb(Builder().part().glb(tmp_path, asset={"version": "3.0"}))
    np.testing.assert_array_equal(read_glb(Builder().part().glb(tmp_path, asset={"version": "2.1"}))[0], SQUARE)
    build = Builder().part()
    build.tree["nodes"][0]["rotation"] = [0, 0, 0, 0]
    assert np.isnan(read_glb(build.glb(tmp_path))[0]).all()
    assert not recwarn.list


@pytest.mark.parametrize("name", ["MSFT_lod", "CESIUM_RTC", "KHR_gaussian_splatting"])
def test_what_is_used_and_not_required_is_passed_over_and_bounds_are_not_believed(tmp_path, name):
    build = Builder().part()
    build.tree["accessors"][build.tree["meshes"][0]["primitives"][0]["attributes"]["POSITION"]] |= {
        "min": [5, 5, 5],
        "max": [6, 6, 6],
    }
    path = build.glb(tmp_path, extensionsUsed=[name], extensions={name: {"center": [1, 2, 3]}})
    np.testing.assert_array_equal(read_glb(path)[0], SQUARE)
