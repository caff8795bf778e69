"""A mesh with texture coordinates through the command: what comes out is what went in, with the room's true colours."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from mapped_meshes import MATERIALS, laid_out, obj_text, write_two_nodes
from painted_box import texel_points
from PIL import Image

import scenetex
from scenetex import load_scene, read_mesh
from scenetex.cli import texture as texture_command
from scenetex.scene.gltf_file import unpack_glb
from scenetex.synthetic import read_room
from scenetex.texture.sources import PHOTO

SAMPLE = Path(__file__).resolve().parents[1] / "scenes" / "sample_room"
SIZE = 1024
QUICK = ("--images", "photos", "--quiet", "--no-preview")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """The sample room as OBJ and GLB with coordinates."""
    folder = tmp_path_factory.mktemp("meshes")
    mesh = load_scene(SAMPLE).mesh
    atlas = laid_out(mesh, SIZE)
    (folder / "room.obj").write_text(obj_text(mesh, atlas))
    write_two_nodes(folder / "room.glb", mesh, atlas)
    return folder


def texture(mesh: Path, output: Path, *options: str) -> int:
    own = ["--mesh", str(mesh), "--uvs", "keep", "--texture-size", str(SIZE), "--output", str(output)]
    return texture_command.main([str(SAMPLE), *own, *QUICK, *options])


@pytest.fixture(scope="module")
def obj(files, tmp_path_factory):
    output = tmp_path_factory.mktemp("obj")
    assert texture(files / "room.obj", output) == 0
    return output / "sample_room"


@pytest.fixture(scope="module")
def glb(files, tmp_path_factory):
    output = tmp_path_factory.mktemp("glb")
    assert texture(files / "room.glb", output) == 0
    return output / "sample_room"


def pages_of(result: Path) -> list[np.ndarray]:
    return [np.asarray(Image.open(path)) for path in sorted(result.glob("textured_*.png"))]


def psnr_where_seen(mesh_path: Path, result: Path) -> float:
    mesh = read_mesh(mesh_path)
    atlas = scenetex.Atlas.from_mesh(mesh, SIZE)
    pixel, points = texel_points(mesh, atlas)
    seen = np.stack([np.asarray(Image.open(path)) for path in sorted(result.glob("sources_*.png"))]).ravel() == PHOTO
    some = np.random.default_rng(0).choice(np.flatnonzero(seen[pixel]), 60_000, replace=False)
    color = np.stack(pages_of(result)).reshape(-1, 3)[pixel[some]].astype(float)
    return 10 * np.log10(255**2 / np.mean((color - read_room(SAMPLE).true_color(points[some])) ** 2))


@pytest.mark.filterwarnings("ignore:UVs")
@pytest.mark.parametrize("name", ["obj", "glb"])
def test_the_rooms_colours_are_true_where_seen(name, files, request):
    found = psnr_where_seen(files / f"room.{name}", request.getfixturevalue(name))
    print(f"sample room, own UVs of {name}: {found:.2f} dB")
    assert found >= 30


def test_an_obj_comes_back_line_by_line(files, obj):
    """All but the library of materials, whose names stay and which shows a page for each that is painted."""
    given = (files / "room.obj").read_text().splitlines()
    written = (obj / "textured.obj").read_text().splitlines()
    assert written[0] == "mtllib textured.mtl"
    assert written[1:] == [line for line in given if not line.startswith("mtllib")]
    library = (obj / "textured.mtl").read_text()
    assert re.findall(r"newmtl (.*)", library) == [*MATERIALS, "Bare"]
    assert re.findall(r"map_Kd (.*)", library) == [f"textured_{page}.png" for page in range(3)]


def test_a_glb_comes_back_with_its_nodes_and_every_number(files, glb):
    before, old = unpack_glb((files / "room.glb").read_bytes())
    after, new = unpack_glb((glb / "textured.glb").read_bytes())
    assert after["nodes"] == before["nodes"] and after["scenes"] == before["scenes"]
    assert after["asset"]["copyright"] == "somebody"
    assert [mesh["name"] for mesh in after["meshes"]] == [mesh["name"] for mesh in before["meshes"]]
    assert [material["name"] for material in after["materials"]][:3] == list(MATERIALS)
    assert after["accessors"] == before["accessors"]

    def content(header, chunk, accessor):
        view = header["bufferViews"][header["accessors"][accessor]["bufferView"]]
        return chunk[view["byteOffset"] : view["byteOffset"] + view["byteLength"]]

    for accessor in range(len(before["accessors"])):
        assert content(before, old, accessor) == content(after, new, accessor)
    for one, other in zip(before["meshes"], after["meshes"], strict=True):
        for given, written in zip(one["primitives"], other["primitives"], strict=True):
            assert written["attributes"] == given["attributes"] and written["indices"] == given["indices"]
    painted = [after["materials"][p["material"]] for mesh in after["meshes"][:2] for p in mesh["primitives"]]
    assert [material["pbrMetallicRoughness"]["baseColorTexture"]["index"] for material in painted] == [1, 2, 3]
    bare = after["materials"][after["meshes"][2]["primitives"][0]["material"]]
    assert bare == before["materials"][0], "what has no coordinates keeps the look it had"


def test_the_other_format_has_the_same_coordinates_and_names(files, obj, glb):
    from_obj, given = read_mesh(obj / "textured.glb"), read_mesh(files / "room.obj")
    assert from_obj.uv_map.parts == ("Room", "Left bare")
    assert set(from_obj.uv_map.materials) == {*MATERIALS, "Bare", ""}
    corners = [mesh.uv_map.uv[mesh.uv_map.corners[mesh.uv_map.mapped]] for mesh in (from_obj, given)]
    for uv in corners:
        uv[:] = uv[np.lexsort(uv.reshape(len(uv), -1).T)]
    np.testing.assert_allclose(corners[0], corners[1], atol=1e-6)
    from_glb = read_mesh(glb / "textured.obj")
    assert from_glb.uv_map.parts == ("Shell", "Walls", "Left bare")
    np.testing.assert_array_equal(from_glb.faces, read_mesh(files / "room.glb").faces)


def test_what_is_painted_anew_in_parts_keeps_them_too(files, obj, tmp_path):
    """The base's atlas is made again from the mesh's own coordinates."""
    before = pages_of(obj)
    options = ("--base", str(obj), "--only", "floor", "--device", "cpu", "--steps", "1", "--image-size", "64x48")
    assert texture(files / "room.obj", tmp_path, *options) == 0
    after = pages_of(tmp_path / "sample_room")
    assert [(one != other).any() for one, other in zip(before, after, strict=True)] == [True, False, False]


def test_two_textures_of_one_mesh_can_be_exchanged(files, obj, tmp_path):
    assert texture(files / "room.obj", tmp_path, "--keyframes", "2", "--no-refine-poses") == 0
    for name in ("textured.obj", "textured.mtl"):
        assert (tmp_path / "sample_room" / name).read_bytes() == (obj / name).read_bytes()


def test_overlaps_are_refused_with_their_share_or_laid_out_anew(files, tmp_path, capsys):
    text = (files / "room.obj").read_text()
    once = re.compile(r"^vt (\S+)", re.MULTILINE)
    folded = once.sub(lambda match: f"vt {abs(float(match[1]) - 0.5):.6f}", text)
    (tmp_path / "folded.obj").write_text(folded)
    assert texture(tmp_path / "folded.obj", tmp_path / "out") == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "overlap" in line]
    assert re.search(r"overlap: [\d.]+ % of the surface .*Walls\.001 of Room \d+", line) and "--uvs auto" in line
    assert not (tmp_path / "out" / "sample_room").exists()
    assert (
        texture(tmp_path / "folded.obj", tmp_path / "out", "--uvs", "auto", "--keyframes", "2", "--no-refine-poses")
        == 0
    )
    report = json.loads((tmp_path / "out" / "sample_room" / "report.json").read_text())
    assert report["texture_pages"] == 1 and any("laid out anew" in note for note in report["notes"])
