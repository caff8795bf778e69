"""Normal maps: what a viewer makes of them is the finer mesh's normal, in a GLB that says all it needs to."""

import json
from dataclasses import replace

import cv2
import numpy as np
import pytest
from exact_scans import needed
from khronos import issues_of

import scenetex
from scenetex import Mesh
from scenetex.scene.gltf_file import unpack_glb
from scenetex.texture.tangents import in_tangent_space, tangents, unit_normals
from scenetex.texture.texels import rasterize
from scenetex.texture.textured_mesh import TexturedMesh


def wavy(across: int = 61) -> Mesh:
    """A sheet with waves of a centimetre."""
    x, y = (part.ravel() for part in np.meshgrid(*[np.linspace(0, 1, across)] * 2, indexing="ij"))
    i = np.arange(across**2).reshape(across, across)
    a, b, c, d = i[:-1, :-1].ravel(), i[1:, :-1].ravel(), i[1:, 1:].ravel(), i[:-1, 1:].ravel()
    faces = np.concatenate([np.stack([a, b, c], 1), np.stack([a, c, d], 1)])
    return Mesh(np.stack([x, y, 0.01 * np.sin(20 * x) + 0.005 * np.sin(15 * y)], 1), faces.astype(np.int32))


def normal_of(points: np.ndarray) -> np.ndarray:
    """The waves' own normals."""
    slope = np.stack([0.2 * np.cos(20 * points[:, 0]), 0.075 * np.cos(15 * points[:, 1])], 1)
    normal = np.c_[-slope, np.ones(len(points))]
    return normal / np.linalg.norm(normal, axis=1, keepdims=True)


def shown(found: TexturedMesh) -> tuple[np.ndarray, np.ndarray]:
    """Normals (n, 3) that a viewer shades with at each texel, and where (n, 3)."""
    mesh, atlas = found.mesh, found.atlas
    texels = rasterize(atlas)
    colors = np.stack(found.normal_maps).reshape(-1, 3)[texels.pixel] / 127.5 - 1
    frame, n = (
        texels.interpolate(tangents(mesh, atlas)[atlas.faces]),
        texels.interpolate(unit_normals(mesh)[mesh.faces]),
    )
    t, b = frame[:, :3], frame[:, 3:] * np.cross(n, frame[:, :3])
    normal = colors[:, :1] * t + colors[:, 1:2] * b + colors[:, 2:] * n
    return normal / np.linalg.norm(normal, axis=1, keepdims=True), texels.interpolate(mesh.triangles)


def plain(mesh: Mesh, size: int = 256) -> TexturedMesh:
    atlas = scenetex.unwrap(mesh, size)
    grey = np.full((size, size, 3), 128, np.uint8)
    return TexturedMesh(mesh, atlas, (grey,) * atlas.pages, (np.ones((size, size), bool),) * atlas.pages)


def test_tangents_run_along_u_and_v_runs_up():
    """Of a flat sheet laid out as it lies: red to the right, green upwards, as glTF has it."""
    mesh = wavy(5)
    flat = Mesh(mesh.vertices * [1, 1, 0], mesh.faces)
    atlas = scenetex.unwrap(flat, 64)
    frame = tangents(flat, atlas)[atlas.faces[:, 0]]
    tangent, sign = frame[:, :3], frame[:, 3]
    uv, places = atlas.uv[atlas.faces].astype(float), flat.triangles
    for k in (1, 2):
        step, way = uv[:, k] - uv[:, 0], places[:, k] - places[:, 0]
        along = np.einsum("ij,ij->i", way, tangent)
        up = np.einsum("ij,ij->i", way, np.cross([0, 0, 1.0], tangent)) * sign
        np.testing.assert_allclose(along * atlas.texels_per_metre / 64, step[:, 0], atol=1e-4)
        np.testing.assert_allclose(up * atlas.texels_per_metre / 64, step[:, 1], atol=1e-4)


def test_mirrored_charts_turn_the_other_way():
    atlas = scenetex.unwrap(wavy(5), 64)
    turned = replace(atlas, uv=atlas.uv * np.float32([-1, 1]) + np.float32([1, 0]))
    np.testing.assert_allclose(tangents(wavy(5), turned), -tangents(wavy(5), atlas), atol=1e-6)


@pytest.mark.parametrize("turn", [np.eye(3), [[0.0, 0, 1], [1, 0, 0], [0, 1, 0]]])
def test_what_is_shown_are_the_finer_meshs_normals(turn):
    needed("lods", "fast_simplification")
    turn, mesh = np.array(turn), wavy()
    coarse = plain(Mesh(mesh.vertices @ turn.T, mesh.faces)).simplified(faces=30, texture_size=256, normal_maps=True)
    normal, place = shown(coarse)
    place, normal = place @ turn, normal @ turn
    inside = ((place[:, :2] > 0.05) & (place[:, :2] < 0.95)).all(1)
    angle = np.degrees(np.arccos(np.clip(np.einsum("ij,ij->i", normal, normal_of(place)), -1, 1)))[inside]
    without = np.degrees(np.arccos(normal_of(place)[:, 2]))[inside]
    assert np.median(angle) < 1.5 and np.quantile(angle, 0.95) < 4 < np.median(without)


def test_a_mesh_as_fine_has_a_plain_map():
    mesh = wavy(9)
    atlas = scenetex.unwrap(mesh, 64)
    texels = rasterize(atlas)
    smooth = texels.interpolate(unit_normals(mesh)[mesh.faces])
    smooth /= np.linalg.norm(smooth, axis=1, keepdims=True)
    np.testing.assert_allclose(
        in_tangent_space(mesh, atlas, texels, smooth), [[127.5, 127.5, 255]] * len(texels), atol=0.7
    )


def test_the_glb_is_lit_and_has_normals(tmp_path):
    needed("lods", "fast_simplification")
    up = np.array([[1.0, 0, 0, 0], [0, 0, -1, 0], [0, 1, 0, 3], [0, 0, 0, 1]])
    full = plain(wavy().with_axis_alignment(up))
    coarse = full.simplified(faces=60, normal_maps=True)
    coarse.export(tmp_path / "a.glb", texture_format="png")
    document, binary = unpack_glb((tmp_path / "a.glb").read_bytes())
    (material,) = document["materials"]
    assert "extensions" not in material and "KHR_materials_unlit" not in json.dumps(document)
    image = document["images"][document["textures"][material["normalTexture"]["index"]]["source"]]
    assert image["mimeType"] == "image/png"
    view = document["bufferViews"][image["bufferView"]]
    data = binary[view["byteOffset"] : view["byteOffset"] + view["byteLength"]]
    written = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)[:, :, ::-1]
    np.testing.assert_array_equal(written, coarse.normal_maps[0])
    (primitive,) = document["meshes"][0]["primitives"]
    accessor = document["accessors"][primitive["attributes"]["NORMAL"]]
    view = document["bufferViews"][accessor["bufferView"]]
    normals = np.frombuffer(binary, np.float32, accessor["count"] * 3, view["byteOffset"]).reshape(-1, 3)
    np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1, atol=1e-5)
    # The sheet's z is the aligned frame's -y, which is glTF's z.
    assert (normals[:, 2] > 0.9).all()
    assert not [found for found in issues_of(tmp_path / "a.glb") if found["severity"] < 2]


def test_only_what_was_asked_for_has_maps(tmp_path):
    needed("lods", "fast_simplification")
    coarse = plain(wavy()).simplified(faces=60)
    assert coarse.normal_maps is None
    coarse.export(tmp_path / "a.glb")
    assert "KHR_materials_unlit" in json.dumps(unpack_glb((tmp_path / "a.glb").read_bytes())[0])
