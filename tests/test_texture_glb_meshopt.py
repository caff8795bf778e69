"""meshopt on GLBs of others: every number stays, and where it stands; directions nearly."""

from pathlib import Path

import numpy as np
import pytest
from khronos import issues_of
from mapped_meshes import laid_out, write_two_nodes
from owned_glb import painted, sheet, write_owned, write_with_normals
from painted_box import box

import scenetex
from scenetex import InputWarning
from scenetex.scene.gltf_file import pack_glb, unpack_glb

pytest.importorskip("DracoPy", reason="needs DracoPy and meshopt (extra compress)")
pytest.importorskip("meshopt", reason="needs DracoPy and meshopt (extra compress)")
from compressed_glb import MESHOPT, Decoder

ROOT = Path(__file__).resolve().parents[1]
pytestmark = pytest.mark.filterwarnings("ignore:UVs")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("owned")
    write_owned(folder / "a.glb")
    for name in ("none", "meshopt"):
        painted(folder / "a.glb").export(folder / f"{name}.glb", compress=name)
    return {path.stem: path for path in folder.iterdir()}


def directions_of(header: dict) -> tuple[set[int], set[int]]:
    """Accessors and views of normals and tangents."""
    used = {
        primitive["attributes"][name]
        for mesh in header["meshes"]
        for primitive in mesh["primitives"]
        for name in primitive["attributes"].keys() & {"NORMAL", "TANGENT"}
    }
    return used, {header["accessors"][index]["bufferView"] for index in used}


def test_all_views_hold_the_same_bytes(files):
    plain, packed = (Decoder(files[name].read_bytes()) for name in ("none", "meshopt"))
    count = len(plain.header["bufferViews"])
    assert count == len(packed.header["bufferViews"])
    exact = set(range(count)) - directions_of(plain.header)[1]
    assert len(exact) == count - 2
    for index in exact:
        assert packed.view(index) == plain.view(index)


def test_directions_are_a_twentieth_of_a_degree_off_at_most(files):
    plain, packed = (Decoder(files[name].read_bytes()).parts()[0] for name in ("none", "meshopt"))
    for name in ("NORMAL", "TANGENT"):
        before, after = plain.attributes[name], packed.attributes[name] / 32767
        assert abs(np.linalg.norm(after[:, :3], axis=1) - 1).max() < 1e-4
        away = np.linalg.norm(np.cross(before[:, :3].astype(float), after[:, :3]), axis=1)
        assert 0 < np.degrees(np.arcsin(away.max())) < 0.06 and (before[:, :3] * after[:, :3]).sum(1).min() > 0
        assert (after[:, 3:] == before[:, 3:]).all()


@pytest.mark.parametrize("case", ["of other length", "not a number", "without a sign", "sparse", "woven", "shared"])
def test_directions_that_integers_cannot_hold_stay(tmp_path, case):
    name = "TANGENT" if case == "without a sign" else "NORMAL"
    rows = np.tile(np.float32([0.6, 0, 0.8, 1.0]), (len(sheet(0)[0]), 1))[:, : 4 if name == "TANGENT" else 3]
    rows[5] = {"of other length": 0, "not a number": np.nan, "without a sign": 0.5}.get(case, rows[5])
    write_with_normals(tmp_path / "a.glb", *sheet(0), rows, name, case if case in ("sparse", "woven", "shared") else "")
    painted(tmp_path / "a.glb").export(tmp_path / "b.glb", compress="meshopt")
    plain, packed = (Decoder((tmp_path / f"{file}.glb").read_bytes()) for file in "ab")
    assert packed.header["extensionsRequired"] == [MESHOPT]
    for before, after in zip(plain.parts(), packed.parts(), strict=True):
        assert after.attributes[name].tobytes() == before.attributes[name].tobytes()


def test_a_room_with_normals_is_at_most_60_percent(tmp_path):
    """As Blender writes it: 16-bit indices, positions, normals and coordinates in views of their own."""
    mesh = scenetex.load_scene(ROOT / "scenes" / "sample_room").mesh
    atlas = laid_out(mesh, 256)
    faces = atlas.faces[(atlas.page == 0) & (np.arange(len(atlas.page)) < 30_000)]
    rows, corners = np.unique(faces, return_inverse=True)
    vertices = atlas.vertices[rows]
    normals = np.zeros_like(mesh.vertices)
    np.add.at(normals, mesh.faces.reshape(-1), np.repeat(mesh.face_normals, 3, 0))
    normals = (normals / np.linalg.norm(normals, axis=1, keepdims=True).clip(1e-9))[vertices].astype("<f4")
    assert 5000 < len(rows) < 65535
    given = mesh.vertices[vertices].astype("<f4"), atlas.uv[rows].astype("<f4"), corners.reshape(-1, 3)
    write_with_normals(tmp_path / "a.glb", *given, normals)
    painted(tmp_path / "a.glb").export(tmp_path / "b.glb", compress="meshopt")
    plain, packed = (Decoder((tmp_path / f"{file}.glb").read_bytes()) for file in "ab")
    assert packed.geometry_bytes() <= 0.6 * plain.geometry_bytes()
    (before,), (after,) = plain.parts(), packed.parts()
    assert (after.faces == before.faces).all()
    for name in ("POSITION", "TEXCOORD_0"):
        assert after.attributes[name].tobytes() == before.attributes[name].tobytes()


def test_the_rest_of_the_file_is_the_same(files):
    plain, packed = (Decoder(files[name].read_bytes()).header for name in ("none", "meshopt"))
    assert set(packed["extensionsRequired"]) == {MESHOPT, "KHR_mesh_quantization"} <= set(packed["extensionsUsed"])
    for key in plain.keys() - {"bufferViews", "buffers", "extensionsUsed", "accessors"}:
        assert packed[key] == plain[key], key
    directions, views = directions_of(plain)
    for index, (before, after) in enumerate(zip(plain["accessors"], packed["accessors"], strict=True)):
        integers = {"componentType": 5122, "normalized": True} if index in directions else {}
        assert after == before | integers
    for index, (before, after) in enumerate(zip(plain["bufferViews"], packed["bufferViews"], strict=True)):
        for key in before.keys() - {"buffer", "byteOffset"}:
            assert after[key] == before[key] or (key == "byteLength" and index in views)


def test_what_is_geometry_is_compressed(files):
    """Interleaved vertices, indices of every type and attributes of every width; no images, no sparse values."""
    header = Decoder(files["meshopt"].read_bytes()).header
    packed = {i for i, view in enumerate(header["bufferViews"]) if "extensions" in view}
    sparse = [about["sparse"] for about in header["accessors"] if "sparse" in about]
    images = {image["bufferView"] for image in header["images"]}
    assert len(sparse) == 1
    plain = images | {sparse[0][part]["bufferView"] for part in ("indices", "values")}
    assert packed == set(range(len(header["bufferViews"]))) - plain
    assert {view["extensions"][MESHOPT]["mode"] for view in header["bufferViews"] if "extensions" in view} == {
        "ATTRIBUTES",
        "INDICES",
    }


def test_khronos_validator_finds_no_fault(files):
    assert not [issue for issue in issues_of(files["meshopt"]) if issue["severity"] < 2]


@pytest.mark.parametrize("lacking", ["type", "componentType"])
def test_damage_in_what_is_not_painted_is_no_traceback(tmp_path, lacking):
    write_two_nodes(tmp_path / "a.glb", box(), laid_out(box(), 128))
    result = painted(tmp_path / "a.glb")
    header, chunk = unpack_glb(result.mesh.uv_map.source.tobytes())
    header["accessors"].append({key: value for key, value in header["accessors"][0].items() if key != lacking})
    unused = {"attributes": {"POSITION": len(header["accessors"]) - 1}}
    header["meshes"].append({"primitives": [unused]})
    result.mesh.uv_map.__dict__["source"] = np.frombuffer(pack_glb(header, [chunk]), np.uint8)
    with pytest.warns(InputWarning, match="meshopt: parts of the GLB stay uncompressed: 1 as it is damaged"):
        result.export(tmp_path / "b.glb", compress="meshopt")
    assert unpack_glb((tmp_path / "b.glb").read_bytes())[0]["meshes"][-1]["primitives"] == [unused]
