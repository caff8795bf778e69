"""Compressed GLBs hold the same mesh: decoded by the codecs' own readers, against the plain file."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from khronos import issues_of
from painted_sheet import painted_sheet

import scenetex
from scenetex import InputError
from scenetex.scene.mesh import Mesh
from scenetex.texture import glb_compression
from scenetex.texture.atlas import Atlas
from scenetex.texture.glb_writer import encode_glb
from scenetex.texture.textured_mesh import TexturedMesh

pytest.importorskip("DracoPy", reason="needs DracoPy and meshopt (extra compress)")
pytest.importorskip("meshopt", reason="needs DracoPy and meshopt (extra compress)")
from compressed_glb import DRACO, MESHOPT, Decoder, matched

ROOT = Path(__file__).resolve().parents[1]
CODECS = {"draco": DRACO, "meshopt": MESHOPT}
SIZE = 4096


def encoded(textured: TexturedMesh, compress: str = "none", **options) -> bytes:
    return encode_glb(textured.mesh, textured.atlas, textured.textures, compress=compress, **options)


@pytest.fixture(scope="module")
def room() -> dict[str, bytes]:
    """The sample room by every compression, as if its textures had 4,096 texels: on several pages."""
    mesh = scenetex.load_scene(ROOT / "scenes" / "sample_room").mesh
    atlas = scenetex.unwrap(mesh, size=256)
    assert atlas.pages > 2
    atlas = replace(atlas, size=SIZE)
    pages = tuple(np.zeros((4, 4, 3), np.uint8) for _ in range(atlas.pages))
    return {name: encode_glb(mesh, atlas, pages, compress=name) for name in ("none", *CODECS)}


@pytest.mark.parametrize("codec", CODECS)
def test_the_sample_room_has_the_same_faces(room, codec):
    plain, packed = Decoder(room["none"]), Decoder(room[codec])
    extent = np.ptp(np.concatenate([part.corners("POSITION").reshape(-1, 3) for part in plain.parts()]), axis=0).max()
    assert len(plain.parts()) == len(packed.parts()) > 2
    for before, after in zip(plain.parts(), packed.parts(), strict=True):
        found, turn = matched(before, after)
        assert len(np.unique(found)) == len(found), "each face once"
        for name, step in (("POSITION", extent / 65536), ("TEXCOORD_0", 1 / 16 / SIZE)):
            corners = np.take_along_axis(after.corners(name)[found], turn[..., None], 1)
            error = np.abs(corners - before.corners(name)).max()
            assert 0 < error <= 0.51 * step, f"{name} is rounded to a step, not more"
        limits = packed.header["accessors"][after.about["attributes"]["POSITION"]]
        positions = after.attributes["POSITION"]
        assert limits["min"] == positions.min(0).tolist() and limits["max"] == positions.max(0).tolist()
        # An edge between two faces is one in both: vertices are split at the same seams, or at none.
        assert edges_of(after) <= edges_of(before)


def edges_of(part) -> int:
    rows = np.concatenate([part.attributes["POSITION"], part.attributes["TEXCOORD_0"]], 1)
    _, vertex = np.unique(rows, axis=0, return_inverse=True)
    edges = vertex.reshape(-1)[part.faces[:, [[0, 1], [1, 2], [2, 0]]]].reshape(-1, 2)
    return len(np.unique(np.sort(edges, axis=1), axis=0))


@pytest.mark.parametrize("codec", CODECS)
def test_no_gaps_open_between_pages(room, codec):
    """Vertices at one place in several pages are rounded to one place."""

    def places(glb: bytes) -> int:
        points = np.concatenate([part.attributes["POSITION"] for part in Decoder(glb).parts()])
        return len(np.unique(points, axis=0))

    shared = sum(len(np.unique(p.attributes["POSITION"], axis=0)) for p in Decoder(room["none"]).parts())
    assert places(room[codec]) <= places(room["none"]) < shared


@pytest.mark.parametrize(("codec", "most"), [("draco", 0.2), ("meshopt", 0.35)])
def test_geometry_is_a_part_of_what_it_was(room, codec, most):
    assert Decoder(room[codec]).geometry_bytes() < most * Decoder(room["none"]).geometry_bytes()


@pytest.mark.parametrize("codec", CODECS)
def test_the_extension_is_declared_and_required(room, codec):
    header = Decoder(room[codec]).header
    assert header["extensionsUsed"] == ["KHR_materials_unlit", CODECS[codec]]
    assert header["extensionsRequired"] == [CODECS[codec]]
    plain = Decoder(room["none"]).header
    assert CODECS[codec] not in json.dumps(plain) and "extensionsRequired" not in plain
    for key in ("materials", "nodes", "scenes", "textures", "images", "samplers"):
        assert header[key] == plain[key]


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("texture_format", ["jpeg", "webp"])
@pytest.mark.parametrize("origin", [(0, 0, 0), (448_262.25, 5_411_932.5, 310.0)])
def test_khronos_validator_finds_no_fault(tmp_path, codec, texture_format, origin):
    path = tmp_path / "sheet.glb"
    sheet = painted_sheet(pages=2, dirty=True, origin=origin)
    sheet.export(path, texture_format=texture_format, compress=codec)
    # It says of both extensions that it does not know them, and so takes what they name for unused.
    codes = {issue["code"] for issue in issues_of(path)}
    assert codes <= {"UNSUPPORTED_EXTENSION", "UNUSED_OBJECT"}


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("origin", [(0, 0, 0), (80.0, 0, 0), (448_262.25, 5_411_932.5, 310.0)])
@pytest.mark.parametrize("scale", [1e-6, 1e-3, 1.0, 1e4])
def test_scenes_far_away_are_as_precise(codec, origin, scale):
    sheet = painted_sheet(pages=2, dirty=True)
    sheet = replace(sheet, mesh=replace(sheet.mesh, vertices=scale * (sheet.mesh.vertices + origin)))
    plain, packed = (Decoder(encoded(sheet, name)) for name in ("none", codec))
    shift = np.array(packed.header["nodes"][0].get("translation", [0, 0, 0]))
    back = shift - plain.header["nodes"][0].get("translation", [0, 0, 0])
    for before, after in zip(plain.parts(), packed.parts(), strict=True):
        after.attributes["POSITION"] = after.attributes["POSITION"] + back
        found, turn = matched(before, after)
        corners = np.take_along_axis(after.corners("POSITION")[found], turn[..., None], 1)
        # The plain file's own float32 tells places 80 away to 4e-6.
        assert np.abs(corners - before.corners("POSITION")).max() <= scale * (0.51 / 65536 + 8e-6 * (origin[0] == 80))


@pytest.mark.parametrize("codec", CODECS)
def test_a_single_face(tmp_path, codec):
    uv = np.array([[0.1, 0.1], [0.9, 0.1], [0.1, 0.9]], np.float32)
    faces, none = np.arange(3, dtype=np.int32)[None], np.zeros(1, np.int32)
    atlas = Atlas(uv, faces, faces[0], none, none, size=64, pages=1, texels_per_metre=1.0)
    mesh = Mesh(np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0.0]]), faces)
    triangle = TexturedMesh(mesh, atlas, (np.zeros((64, 64, 3), np.uint8),), (np.ones((64, 64), bool),))
    triangle.export(tmp_path / "a.glb", compress=codec)
    (part,) = Decoder((tmp_path / "a.glb").read_bytes()).parts()
    np.testing.assert_allclose(part.attributes["POSITION"][part.faces].mean((0, 1)), [1 / 3, 0, -1 / 3], atol=1e-5)
    assert not [issue for issue in issues_of(tmp_path / "a.glb") if issue["severity"] < 2]


@pytest.mark.parametrize("codec", CODECS)
def test_faces_at_one_place_all_come_back(codec):
    """Sheets whose faces are there twice, once turned around, and a face that float32 has no area for."""
    sheet = painted_sheet(cells=4)
    beside = sheet.mesh.vertices[0] + np.array([[1e-12, 0, 0], [0, 1e-12, 0]])
    vertices = np.concatenate([sheet.mesh.vertices, beside])
    count, rows = len(sheet.mesh.vertices), len(sheet.atlas.uv)
    more = np.concatenate([sheet.mesh.faces[:, ::-1], [[0, count, count + 1]]])
    own = np.concatenate([sheet.atlas.faces[:, ::-1], [[0, rows, rows + 1]]])
    atlas = replace(
        sheet.atlas,
        uv=np.concatenate([sheet.atlas.uv, sheet.atlas.uv[:1] + np.float32([[1e-3, 0], [0, 1e-3]])]),
        faces=np.concatenate([sheet.atlas.faces, own]).astype(np.int32),
        vertices=np.concatenate([sheet.atlas.vertices, [count, count + 1]]).astype(np.int32),
        page=np.zeros(2 * len(more) - 1, np.int32),
        chart=np.zeros(2 * len(more) - 1, np.int32),
    )
    mesh = Mesh(vertices, np.concatenate([sheet.mesh.faces, more]).astype(np.int32))
    doubled = replace(sheet, mesh=mesh, atlas=atlas)
    (plain,), (packed,) = (Decoder(encoded(doubled, name)).parts() for name in ("none", codec))
    assert len(plain.faces) == len(packed.faces) == len(mesh.faces)
    assert np.isclose(normals(plain).sum(0), normals(packed).sum(0), atol=1e-3).all()
    assert np.isclose(np.abs(normals(plain)).sum(0), np.abs(normals(packed)).sum(0), atol=1e-3).all()


@pytest.mark.parametrize("codec", CODECS)
def test_normals_and_tangents_go_with_their_vertices(codec):
    """Of normal maps' meshes; vertices come in another order."""
    textured = painted_sheet(cells=8)
    textured = replace(textured, normal_maps=textured.textures)
    plain, packed = (
        Decoder(encoded(textured, compress=name, normal_maps=textured.normal_maps)) for name in ("none", codec)
    )
    for before, after in zip(plain.parts(), packed.parts(), strict=True):
        found, turn = matched(before, after)
        for name in ("NORMAL", "TANGENT"):
            corners = np.take_along_axis(after.corners(name)[found], turn[..., None], 1)
            one = 32767 if after.attributes[name].dtype == np.int16 else 1
            np.testing.assert_allclose(corners / one, before.corners(name), atol=2e-3)


def normals(part) -> np.ndarray:
    a, b, c = np.moveaxis(part.corners("POSITION"), 1, 0)
    return np.cross(b - a, c - a)


def test_unknown_compressions_are_input_errors(tmp_path):
    with pytest.raises(InputError, match=r"compress 'zip' is unknown; choose none, draco or meshopt"):
        painted_sheet().export(tmp_path / "a.glb", compress="zip")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("codec", "module"), [("draco", "DracoPy"), ("meshopt", "meshopt")])
def test_what_is_not_installed_is_said_in_one_line(tmp_path, monkeypatch, codec, module):
    monkeypatch.setattr(glb_compression, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=rf"compress {codec} needs {module}, .*\[compress\]"):
        painted_sheet().export(tmp_path / "a.glb", compress=codec)
    assert not list(tmp_path.iterdir())
    painted_sheet().export(tmp_path / "a.glb")
