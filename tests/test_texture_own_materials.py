"""Exports of meshes that keep their coordinates: UDIM tiles, faces that are not painted, names in other formats."""

import json

import numpy as np
import pytest
from khronos import issues_of
from mapped_meshes import laid_out, obj_text, write_two_nodes
from painted_box import box

from scenetex import Atlas, InputWarning, read_mesh
from scenetex.scene.gltf_file import pack_glb, unpack_glb
from scenetex.texture.textured_mesh import TexturedMesh

pytestmark = pytest.mark.filterwarnings("ignore:UVs")


def painted(path) -> TexturedMesh:
    """The mesh of a file, each page in a colour of its own."""
    mesh = read_mesh(path)
    atlas = Atlas.from_mesh(mesh, 64)
    pages = tuple(np.full((64, 64, 3), 40 * page + 20, np.uint8) for page in range(atlas.pages))
    return TexturedMesh(mesh, atlas, pages, tuple(np.ones((64, 64), bool) for _ in pages))


@pytest.fixture
def tiled(tmp_path):
    """A box as OBJ whose walls lie on the second tile."""
    mesh = box()
    lines, wall = obj_text(mesh, laid_out(mesh, 128)).splitlines(), set()
    name = ""
    for line in lines:
        name = line if line.startswith("usemtl") else name
        if line.startswith("f ") and "Walls" in name:
            wall |= {int(corner.split("/")[1]) for corner in line.split()[1:]}
    rows = [i for i, line in enumerate(lines) if line.startswith("vt ")]
    text = "\n".join(line.replace("usemtl Ceiling", "usemtl Walls.001") for line in lines) + "\n"
    moved = {rows[number - 1] for number in wall}
    text = "\n".join(
        f"vt {float(line.split()[1]) + 1:.6f} {line.split()[2]}" if i in moved else line
        for i, line in enumerate(text.splitlines())
    )
    (tmp_path / "tiled.obj").write_text(text + "\n")
    return tmp_path / "tiled.obj"


def shown_at_faces(path) -> dict[tuple, int]:
    """By the places of its corners, which colour each face of an exported file shows."""
    again = read_mesh(path)
    uvs = again.uv_map
    return {
        tuple(np.unique(again.triangles[face].round(4), axis=0).ravel()): uvs.materials[uvs.material[face]]
        for face in np.flatnonzero(uvs.mapped)
    }


@pytest.mark.parametrize("suffix", ["obj", "glb"])
def test_tiles_become_materials_by_their_numbers(tiled, tmp_path, suffix):
    result = painted(tiled)
    assert result.atlas.tiles.tolist() == [[0, 0, 0], [1, 0, 0], [1, 1, 0]]
    result.export(tmp_path / f"out.{suffix}")
    again = read_mesh(tmp_path / f"out.{suffix}")
    assert set(again.uv_map.materials) - {"", "Bare"} == {"Floor wood", "Walls.001.1001", "Walls.001.1002"}
    names = ["Floor wood", "Walls.001.1001", "Walls.001.1002"]
    if suffix == "glb":
        header, _ = unpack_glb((tmp_path / "out.glb").read_bytes())
        assert all("wrapS" not in sampler for sampler in header["samplers"]), "tiles lie one width apart"
    shown = shown_at_faces(tmp_path / f"out.{suffix}")
    mesh = result.mesh
    for face in np.flatnonzero(result.atlas.page >= 0):
        key = tuple(np.unique(mesh.triangles[face].round(4), axis=0).ravel())
        if suffix == "obj":
            assert shown[key] == names[result.atlas.page[face]]
    if suffix == "obj":
        np.testing.assert_array_equal(again.faces, mesh.faces)
        np.testing.assert_array_equal(again.uv_map.uv, mesh.uv_map.uv)


def test_a_primitive_on_several_tiles_is_split(tmp_path):
    write_two_nodes(tmp_path / "a.glb", box(), laid_out(box(), 128))
    header, chunk = unpack_glb((tmp_path / "a.glb").read_bytes())
    (walls,) = header["meshes"][1]["primitives"]
    view = header["bufferViews"][header["accessors"][walls["attributes"]["TEXCOORD_0"]]["bufferView"]]
    start, end = view["byteOffset"], view["byteOffset"] + view["byteLength"]
    uv = np.frombuffer(chunk[start:end], "<f4").reshape(-1, 2).copy()
    mesh = read_mesh(tmp_path / "a.glb")
    chart = Atlas.from_mesh(mesh, 64).chart[mesh.uv_map.part == 1]
    corners = mesh.faces[mesh.uv_map.part == 1] - mesh.faces[mesh.uv_map.part == 1].min()
    moved = np.unique(corners[chart == chart[0]])
    uv[moved] += [0, -1]  # downwards in glTF is up
    (tmp_path / "b.glb").write_bytes(pack_glb(header, [chunk[:start], uv.tobytes(), chunk[end:]]))
    result = painted(tmp_path / "b.glb")
    assert result.atlas.tiles.tolist() == [[0, 0, 0], [1, 0, 0], [2, 0, 0], [2, 0, 1]]
    result.export(tmp_path / "c.glb", texture_format="png")
    after, _ = unpack_glb((tmp_path / "c.glb").read_bytes())
    assert len(after["meshes"][1]["primitives"]) == 2
    again = read_mesh(tmp_path / "c.glb")
    names = np.array([*(after["materials"][i]["name"] for i in range(len(after["materials"]))), ""])
    assert {"Walls.001.1001", "Walls.001.1011"} <= set(names)
    key = {tuple(row): i for i, row in enumerate(again.triangles.reshape(-1, 9).round(4).tolist())}
    for face, row in enumerate(result.mesh.triangles.reshape(-1, 9).round(4).tolist()):
        other = key[tuple(row)]
        np.testing.assert_array_equal(
            again.uv_map.uv[again.uv_map.corners[other]] if again.uv_map.mapped[other] else 0,
            result.mesh.uv_map.uv[result.mesh.uv_map.corners[face]] if result.mesh.uv_map.mapped[face] else 0,
        )


def test_textures_that_nothing_shows_are_left_out_and_others_stay(tmp_path):
    write_two_nodes(tmp_path / "a.glb", box(), laid_out(box(), 128))
    painted(tmp_path / "a.glb").export(tmp_path / "b.glb")
    after, chunk = unpack_glb((tmp_path / "b.glb").read_bytes())
    old = after["bufferViews"][after["images"][0]["bufferView"]]
    assert len(after["images"]) == 4, "the bare part still shows the picture it had"
    assert chunk[old["byteOffset"] : old["byteOffset"] + old["byteLength"]] == b"a png..."
    header, data = unpack_glb((tmp_path / "a.glb").read_bytes())
    header["scenes"][0]["nodes"] = [0, 1]
    del header["nodes"][2], header["meshes"][2]
    header["materials"][0]["extensions"] = {"KHR_materials_clearcoat": {"clearcoatFactor": 1.0}}
    header["extensionsUsed"] = ["KHR_materials_clearcoat", "KHR_lights_punctual"]
    (tmp_path / "c.glb").write_bytes(pack_glb(header, [data]))
    painted(tmp_path / "c.glb").export(tmp_path / "d.glb")
    after, chunk = unpack_glb((tmp_path / "d.glb").read_bytes())
    assert len(after["images"]) == 3 and b"a png..." not in chunk
    assert after["extensionsUsed"] == ["KHR_lights_punctual", "KHR_materials_unlit"]


def test_a_glb_with_damaged_materials_is_written_anew(tmp_path):
    write_two_nodes(tmp_path / "a.glb", box(), laid_out(box(), 128))
    header, data = unpack_glb((tmp_path / "a.glb").read_bytes())
    del header["textures"]  # which a material names
    (tmp_path / "a.glb").write_bytes(pack_glb(header, [data]))
    with pytest.warns(InputWarning, match="written anew"):
        painted(tmp_path / "a.glb").export(tmp_path / "b.glb")
    given, again = read_mesh(tmp_path / "a.glb"), read_mesh(tmp_path / "b.glb")
    assert again.uv_map.parts == given.uv_map.parts and len(again.faces) == len(given.faces)


def test_names_survive_in_a_line_of_text(tmp_path):
    """Two materials of one name, and a name of two lines."""
    write_two_nodes(tmp_path / "a.glb", box(), laid_out(box(), 128))
    header, data = unpack_glb((tmp_path / "a.glb").read_bytes())
    for material in header["materials"]:
        material["name"] = "100 %\nwood"
    (tmp_path / "a.glb").write_bytes(pack_glb(json.loads(json.dumps(header)), [data]))
    painted(tmp_path / "a.glb").export(tmp_path / "b.obj")
    assert read_mesh(tmp_path / "b.obj").uv_map.materials == ("100 % wood", "100 % wood_1", "100 % wood_2")


@pytest.mark.parametrize("texture_format", ["jpeg", "webp"])
def test_khronos_validator_finds_no_fault(tmp_path, texture_format):
    """Neither in what was a GLB, nor in what was an OBJ."""
    write_two_nodes(tmp_path / "a.glb", box(), laid_out(box(), 128))
    header, data = unpack_glb((tmp_path / "a.glb").read_bytes())
    del header["materials"][0]["pbrMetallicRoughness"], header["textures"], header["images"]  # which was none
    (tmp_path / "a.glb").write_bytes(pack_glb(header, [data]))
    (tmp_path / "b.obj").write_text(obj_text(box(), laid_out(box(), 128)))
    for name in ("a.glb", "b.obj"):
        painted(tmp_path / name).export(tmp_path / "c.glb", texture_format=texture_format)
        assert [issue for issue in issues_of(tmp_path / "c.glb") if issue["severity"] < 2] == []
