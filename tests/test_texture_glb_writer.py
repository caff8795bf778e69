"""GLB: structure, orientation, precision and colours; Khronos's validator where it is installed."""

import io
import json
import struct
from dataclasses import replace

import cv2
import numpy as np
import pytest
import trimesh
from khronos import issues_of
from painted_sheet import painted_sheet, true_color

from scenetex import InputError
from scenetex.texture.glb_writer import encode_glb
from scenetex.texture.textured_mesh import TexturedMesh

_DTYPES = {5123: np.uint16, 5125: np.uint32, 5126: np.float32}
_WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3}
# Gravity is not along the mesh's z: a turn about x and a shift, as ScanNet's axisAlignment may hold.
ALIGNMENT = np.array([[1, 0, 0, 0.5], [0, 0, -1, 2], [0, 1, 0, -1], [0, 0, 0, 1]], np.float64)


def parse(glb: bytes):
    """The JSON and the binary chunk, checked for GLB's framing."""
    magic, version, total = struct.unpack_from("<4sII", glb)
    assert (magic, version, total) == (b"glTF", 2, len(glb))
    json_length, json_type = struct.unpack_from("<I4s", glb, 12)
    assert json_type == b"JSON" and json_length % 4 == 0
    binary_length, binary_type = struct.unpack_from("<I4s", glb, 20 + json_length)
    assert binary_type == b"BIN\0" and binary_length % 4 == 0 and 28 + json_length + binary_length == len(glb)
    return json.loads(glb[20 : 20 + json_length]), glb[28 + json_length :]


def read(document, binary, accessor):
    accessor = document["accessors"][accessor]
    view = document["bufferViews"][accessor["bufferView"]]
    data = binary[view["byteOffset"] : view["byteOffset"] + view["byteLength"]]
    values = np.frombuffer(data, _DTYPES[accessor["componentType"]]).reshape(-1, _WIDTHS[accessor["type"]])
    assert len(values) == accessor["count"]
    return values


def encoded(textured: TexturedMesh, *options, **named) -> bytes:
    return encode_glb(textured.mesh, textured.atlas, textured.textures, *options, **named)


def primitives(glb: bytes):
    """positions, uv, faces and image bytes of each primitive."""
    document, binary = parse(glb)
    for primitive in document["meshes"][0]["primitives"]:
        positions = read(document, binary, primitive["attributes"]["POSITION"])
        uv = read(document, binary, primitive["attributes"]["TEXCOORD_0"])
        faces = read(document, binary, primitive["indices"]).reshape(-1, 3)
        material = document["materials"][primitive["material"]]
        texture = document["textures"][material["pbrMetallicRoughness"]["baseColorTexture"]["index"]]
        view = document["bufferViews"][document["images"][texture["source"]]["bufferView"]]
        yield positions, uv, faces, binary[view["byteOffset"] : view["byteOffset"] + view["byteLength"]]


@pytest.mark.parametrize("pages", [1, 3])
@pytest.mark.parametrize("texture_format", ["jpeg", "png"])
def test_structure(pages, texture_format):
    document, binary = parse(encoded(painted_sheet(pages, dirty=True), texture_format))
    assert document["asset"]["version"] == "2.0" and document["asset"]["generator"].startswith("scenetex ")
    assert document["extensionsUsed"] == ["KHR_materials_unlit"]
    assert len(document["meshes"][0]["primitives"]) == len(document["materials"]) == len(document["images"]) == pages
    for material in document["materials"]:
        assert material["extensions"] == {"KHR_materials_unlit": {}}
        assert material["pbrMetallicRoughness"]["metallicFactor"] == 0
        assert material["pbrMetallicRoughness"]["roughnessFactor"] == 1
        assert material["doubleSided"]
    assert document["buffers"] == [{"byteLength": len(binary)}]
    end = 0
    for view in document["bufferViews"]:
        assert view["byteOffset"] % 4 == 0 and view["byteOffset"] >= end
        end = view["byteOffset"] + view["byteLength"]
    assert end <= len(binary)
    for accessor in document["accessors"]:
        target = document["bufferViews"][accessor["bufferView"]]["target"]
        assert target == (34963 if accessor["type"] == "SCALAR" else 34962)
    for primitive in document["meshes"][0]["primitives"]:
        accessor = document["accessors"][primitive["attributes"]["POSITION"]]
        positions = read(document, binary, primitive["attributes"]["POSITION"])
        assert accessor["min"] == positions.min(0).tolist() and accessor["max"] == positions.max(0).tolist()
        assert np.isfinite(positions).all()
    magic = {"jpeg": b"\xff\xd8\xff", "png": b"\x89PNG"}[texture_format]
    assert all(image.startswith(magic) for *_, image in primitives(encoded(painted_sheet(pages), texture_format)))


@pytest.mark.parametrize("pages", [1, 2])
def test_triangles_are_the_aligned_input_y_up(pages):
    textured = painted_sheet(pages, dirty=True)
    textured.mesh.axis_alignment[:] = ALIGNMENT
    triangles = np.concatenate([p[f] for p, _, f, _ in primitives(encoded(textured))])
    order = np.concatenate([np.flatnonzero(textured.atlas.page == page) for page in range(pages)])
    aligned = textured.mesh.triangles[order] @ ALIGNMENT[:3, :3].T + ALIGNMENT[:3, 3]
    # Up is z before and y after; a turn, not a mirror image, so that faces keep their winding.
    np.testing.assert_allclose(triangles[..., 1], aligned[..., 2], atol=1e-6)
    np.testing.assert_allclose(triangles[..., 0], aligned[..., 0], atol=1e-6)
    np.testing.assert_allclose(triangles[..., 2], -aligned[..., 1], atol=1e-6)


@pytest.mark.parametrize(("texture_format", "tolerance"), [("png", 6), ("jpeg", 9)])
def test_reloads_in_trimesh_with_the_right_colours(tmp_path, texture_format, tolerance):
    textured = painted_sheet(pages=2)
    textured.export(tmp_path / "sheet.glb", texture_format=texture_format)
    loaded = trimesh.load(tmp_path / "sheet.glb")
    assert len(loaded.geometry) == 2
    for part in loaded.geometry.values():
        uv = part.visual.uv[part.faces].mean(1)
        seen = trimesh.visual.color.uv_to_color(uv, part.visual.material.baseColorTexture)[:, :3]
        centre = part.triangles_center
        world = np.stack([centre[:, 0], -centre[:, 2], centre[:, 1]], 1)
        assert np.abs(seen - true_color(world)).max() < tolerance


def test_uv_is_measured_from_the_image_top():
    textured = painted_sheet()
    ((_, uv, faces, image),) = primitives(encoded(textured, "png"))
    expected = textured.atlas.uv[textured.atlas.faces].astype(np.float64)
    np.testing.assert_allclose(uv[faces], np.stack([expected[..., 0], 1 - expected[..., 1]], -1), atol=1e-7)
    decoded = cv2.imdecode(np.frombuffer(image, np.uint8), cv2.IMREAD_COLOR)[:, :, ::-1]
    np.testing.assert_array_equal(decoded, textured.textures[0])


def test_far_scenes_keep_their_precision():
    origin = np.array([448_262.25, 5_411_932.5, 310.0])  # metres, a map projection's numbers
    document, _ = parse(glb := encoded(painted_sheet(origin=origin)))
    ((positions, _, faces, _),) = primitives(glb)
    translation = np.array(document["nodes"][0]["translation"])
    np.testing.assert_array_equal(translation, np.round(translation))
    triangles = positions[faces].astype(np.float64) + translation
    expected = (painted_sheet(origin=origin).mesh.triangles)[..., [0, 2, 1]] * [1, 1, -1]
    assert np.abs(triangles - expected).max() < 1e-6
    assert "translation" not in parse(encoded(painted_sheet(origin=(100, 0, 0))))[0]["nodes"][0]


def test_index_width_follows_the_vertex_count():
    for cells, width in [(10, 5123), (260, 5125)]:
        document, _ = parse(encoded(painted_sheet(cells=cells)))
        primitive = document["meshes"][0]["primitives"][0]
        assert document["accessors"][primitive["indices"]]["componentType"] == width
    ((positions, _, faces, _),) = primitives(encoded(painted_sheet(cells=260)))
    assert faces.max() == len(positions) - 1 > 65535


def test_jpeg_quality_counts_and_keeps_full_chroma():
    textured = painted_sheet(size=128)
    noise = np.random.default_rng(0).integers(0, 255, (128, 128, 3), np.uint8)
    textured.textures[0][:] = noise
    sizes = [len(encoded(textured, quality=quality)) for quality in (50, 95)]
    assert sizes[0] < sizes[1]
    *_, image = next(primitives(encoded(textured, quality=100)))
    decoded = cv2.imdecode(np.frombuffer(image, np.uint8), cv2.IMREAD_COLOR)[:, :, ::-1]
    assert np.abs(decoded.astype(int) - noise).mean() < 2  # halved chroma would leave 30


@pytest.mark.parametrize("options", [{"texture_format": "bmp"}, {"quality": 0}, {"quality": 101}])
def test_options_out_of_range_are_input_errors(tmp_path, options):
    with pytest.raises(InputError, match="choose"):
        painted_sheet().export(tmp_path / "t.glb", **options)
    assert not list(tmp_path.iterdir())


def test_no_face_to_export_is_an_input_error(tmp_path):
    textured = painted_sheet()
    textured.atlas.page[:] = -1
    with pytest.raises(InputError, match="no face with area"):
        textured.export(tmp_path / "t.glb")


@pytest.mark.parametrize("texture_format", ["jpeg", "png", "webp"])
@pytest.mark.parametrize("origin", [(0, 0, 0), (5000, 0, 0)])
def test_khronos_validator_finds_nothing(tmp_path, texture_format, origin):
    path = tmp_path / "sheet.glb"
    painted_sheet(pages=2, dirty=True, origin=origin).export(path, texture_format=texture_format)
    assert issues_of(path) == []


def test_trimesh_reads_scenes_far_away_where_they_are():
    origin = np.array([500_000.25, 5_400_000.5, 300.0])
    for scale in (0.001, 1.0, 1000.0):
        sheet = painted_sheet(origin=origin)
        sheet = replace(sheet, mesh=replace(sheet.mesh, vertices=scale * sheet.mesh.vertices))
        scene = trimesh.load(io.BytesIO(encoded(sheet)), file_type="glb")
        found, expected = scene.bounds, sheet.mesh.vertices[:, [0, 2, 1]] * [1, 1, -1]
        np.testing.assert_allclose(found, [expected.min(0), expected.max(0)], rtol=0, atol=1e-6 * scale)
