"""The benchmark of peers: their inputs, their results, one table; a program that copies a prepared result stands in."""

import json
import re
import stat
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import trimesh
from exact_scans import MESH, SIZE, K, photos, stripes, write_image, write_mesh
from painted_box import walk_around
from PIL import Image
from test_metrics_held_out import painted

from scenetex import load_scene
from scenetex.errors import InputError
from scenetex.scene.colmap_model import read_model
from scenetex.texture.lookup import sample_pages

TOOLS = Path(__file__).resolve().parents[1] / "tools"
sys.path.insert(0, str(TOOLS))

bench_peers = import_module("bench_peers")
peer_inputs = import_module("peer_inputs")
peer_results = import_module("peer_results")

WALK = walk_around(12)
SHOTS = [peer_inputs.Shot(i, photo, K, pose) for i, (photo, pose) in enumerate(zip(photos(K, WALK), WALK, strict=True))]


@pytest.fixture(scope="module")
def scan(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scans") / "hall"
    frames = []
    for shot in SHOTS:
        write_image(folder / "images" / f"{shot.id}.png", shot.photo)
        pose = shot.cam_to_world @ np.diag([1, -1, -1, 1])
        frames.append({"file_path": f"images/{shot.id}.png", "transform_matrix": pose.tolist()})
    own = {"fl_x": K[0, 0], "fl_y": K[1, 1], "cx": K[0, 2] + 0.5, "cy": K[1, 2] + 0.5, "w": SIZE[0], "h": SIZE[1]}
    (folder / "transforms.json").write_text(json.dumps({**own, "frames": frames}))
    write_mesh(folder / "mesh.ply")
    return folder


def program(path: Path, body: str) -> Path:
    """A program of a few lines of Python; `given` are its arguments."""
    path.write_text(f"#!{sys.executable}\nimport shutil, sys\nfrom pathlib import Path\ngiven = sys.argv[1:]\n{body}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def textured_obj(folder: Path) -> Path:
    """The box painted with its true colours, as OBJ."""
    folder.mkdir()
    painted(stripes, MESH).export(folder / "truth.obj")
    return folder


def test_inputs_say_what_the_scan_says(tmp_path):
    """Read again: nerfstudio's by its reader, COLMAP's by its own, .cam files by their definition."""
    (tmp_path / "scene").mkdir()
    peer_inputs.write_nerfstudio(tmp_path / "scene", SHOTS, MESH)
    scene = load_scene(tmp_path / "scene")
    for shot, frame in zip(SHOTS, scene.frames, strict=True):
        np.testing.assert_allclose(frame.cam_to_world, shot.cam_to_world, atol=1e-12)
        np.testing.assert_allclose(frame.camera.intrinsics, K, atol=1e-12)
        np.testing.assert_array_equal(frame.read_color(), shot.photo)
    np.testing.assert_allclose(scene.mesh.vertices, MESH.vertices, atol=1e-6)
    np.testing.assert_array_equal(scene.mesh.faces, MESH.faces)
    peer_inputs.write_colmap(tmp_path / "colmap", SHOTS)
    cameras, images = read_model(tmp_path / "colmap/sparse")
    for shot, image in zip(SHOTS, images, strict=True):
        np.testing.assert_allclose(image.cam_to_world, shot.cam_to_world, atol=1e-9)
        np.testing.assert_allclose(cameras[image.camera].pinhole()[0], K, atol=1e-9)
        assert (tmp_path / "colmap/images" / image.name).is_file()
    (tmp_path / "cams").mkdir()
    peer_inputs.write_cam_folder(tmp_path / "cams", SHOTS)
    point = np.array([0.3, -0.2, 1.1])
    for shot in SHOTS:
        first, second = ((tmp_path / "cams") / f"{shot.id:06d}.cam").read_text().splitlines()
        place, turn = np.split(np.array(first.split(), float), [3])
        f, _, _, aspect, px, py = map(float, second.split())
        x, y, z = turn.reshape(3, 3) @ point + place
        pixel = f * max(SIZE) * x / z + px * SIZE[0] - 0.5, f * aspect * max(SIZE) * y / z + py * SIZE[1] - 0.5
        local = np.linalg.inv(shot.cam_to_world) @ [*point, 1]
        np.testing.assert_allclose(pixel, (K @ local[:3])[:2] / local[2], atol=1e-5)


def test_one_table_for_all(scan, tmp_path, capsys, monkeypatch):
    """scenetex and the mean always; a stand-in for each peer leaves the truth where the real one would."""
    truth = textured_obj(tmp_path / "truth")
    copy = f"for path in Path({str(truth)!r}).iterdir():\n    shutil.copy(path, "
    mvs = program(
        tmp_path / "texrecon",
        f"assert len(given) == 3 and len(list(Path(given[0]).glob('*.cam'))) == 6 and Path(given[1]).is_file()\n"
        f"{copy}Path(given[2]).parent)",
    )
    colmap = program(
        tmp_path / "colmap",
        "assert given[0] == 'mesh_texturer'\noptions = dict(zip(given[1::2], given[2::2], strict=True))\n"
        "assert Path(options['--workspace_path'], 'sparse', 'images.bin').is_file()\n"
        f"assert Path(options['--input_path']).is_file()\n{copy}options['--output_path'])",
    )
    work, output = tmp_path / "work", tmp_path / "peers.json"
    options = [str(scan), "--mvs-texturing", str(mvs), "--colmap", str(colmap), "--texture-size", "1024", "--no-open3d"]
    assert bench_peers.main([*options, "--work", str(work), "--output", str(output)]) == 0, capsys.readouterr()
    rows = {row["name"]: row for row in json.loads(output.read_text())["rows"]}
    assert [*rows] == ["scenetex", "mean of vertices", "mvs-texturing", "COLMAP"]
    for name in ("mvs-texturing", "COLMAP"):
        assert rows[name]["psnr"] > 30 and rows[name]["drawn"] > 0.99 and rows[name]["seconds"] > 0
    ours, mean = rows["scenetex"], rows["mean of vertices"]
    assert ours["psnr"] > mean["psnr"] + 3 and ours["memory_mb"] > 50 > rows["COLMAP"]["memory_mb"]
    assert mean["gradient_ratio"] < 0.2 < 0.6 < ours["gradient_ratio"]
    said = capsys.readouterr().out.splitlines()
    assert sum(line.startswith("|") for line in said) == 2 + len(rows)
    assert (work / "COLMAP" / "log.txt").is_file()


def test_a_program_that_fails_is_a_row(tmp_path):
    bad = bench_peers.Peer("bad", [str(program(tmp_path / "bad", "sys.exit('no mesh\\x1b[1m')"))])
    with pytest.raises(InputError, match=r"ended with 1: no mesh\\x1b\[1m"):
        bench_peers.run(bad, tmp_path)
    with pytest.raises(InputError, match="ended with 1: FileNotFoundError"):
        bench_peers.run(bench_peers.Peer("gone", [str(tmp_path / "gone")]), tmp_path)
    lines = bench_peers.table([{"name": "bad", "failed": "ended with 1"}])
    assert lines[2].startswith("| bad | failed |") and lines[2].count("|") == lines[0].count("|")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--mvs-texturing", "nowhere"], "nowhere: is no program"),
        (["--colmap", "."], r"\.: is no program"),
        (["--output", "nowhere/peers.json"], "nowhere/peers.json: cannot be written"),
        (["--work", "."], r"\.: exists"),
        (["--texture-size", "3"], "--texture-size 3"),
    ],
)
def test_bad_input_is_one_line(scan, words, said, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert bench_peers.main([str(scan), *words]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and re.search(said, error)


def write_mtl(folder: Path, text: str) -> Path:
    (folder / "a.mtl").write_text(text)
    (folder / "a.obj").write_text(
        "mtllib a.mtl\nv 0 0 0\nv 1 0 0\nv 0 1 0\nv 1 1 0\nvt 0 0\nvt 1 0\nvt 0 1\nvt 1 1\n"
        "usemtl one\nf 1/1 2/2 3/3\nusemtl two\nf 2/2 4/4 3/3\n"
    )
    return folder / "a.obj"


def test_materials_of_an_obj(tmp_path):
    for name, size in (("red", (4, 4)), ("wide blue", (8, 2))):
        Image.new("RGB", size, (255, 0, 0) if name == "red" else (0, 0, 255)).save(tmp_path / f"{name}.png")
    text = "newmtl one\nKd 1 1 1\nmap_Kd -s 1 1 1 red.png\nnewmtl two\n  map_Kd wide blue.png\n"
    textured = peer_results.read_textured(write_mtl(tmp_path, text))
    colors = [textured.textures[page][0, 0].tolist() for page in textured.atlas.page]
    assert colors == [[255, 0, 0], [0, 0, 255]]
    textured = peer_results.read_textured(write_mtl(tmp_path, "newmtl one\nmap_Kd red.png\nnewmtl two\nKd 1 0 0\n"))
    assert textured.atlas.page.tolist() == [0, -1]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("newmtl one\nmap_Kd ../red.png\n", r"names \.\./red\.png"),
        ("newmtl one\nmap_Kd gone.png\n", "names gone.png"),
        ("newmtl one\nmap_Kd a.obj\n", "a.obj: not a readable image"),
        ("newmtl one\n", "none of its faces has a texture"),
    ],
)
def test_materials_that_lie(tmp_path, text, said):
    folder = tmp_path / "inside"
    folder.mkdir()
    Image.new("RGB", (4, 4)).save(tmp_path / "red.png")
    with pytest.raises(InputError, match=said):
        peer_results.read_textured(write_mtl(folder, text))


def test_colmaps_ply(tmp_path):
    """Coordinates of corners, v up, and zeros for what no photo shows."""
    page = np.zeros((8, 8, 3), np.uint8)
    page[:4] = 200
    Image.fromarray(page).save(tmp_path / "texture.png")
    head = "ply\nformat ascii 1.0\ncomment TextureFile texture.png\nelement vertex 4\n"
    head += "property float x\nproperty float y\nproperty float z\nelement face 2\n"
    head += "property list uchar int vertex_indices\nproperty list uchar float texcoord\nend_header\n"
    body = "0 0 0\n1 0 0\n0 1 0\n1 1 0\n3 0 1 2 6 0.1 0.6 0.9 0.6 0.1 0.9\n3 1 3 2 6 0 0 0 0 0 0\n"
    (tmp_path / "mesh.ply").write_text(head + body)
    textured = peer_results.find_result(tmp_path)
    assert textured.atlas.page.tolist() == [0, -1]
    third = np.array([1 / 3])
    assert sample_pages(textured.atlas, textured.textures, np.array([0]), third, third)[0, 0] == 200


def test_glb(tmp_path):
    painted(stripes, MESH, size=256).to_trimesh().export(tmp_path / "mesh.glb")
    textured = peer_results.read_textured(tmp_path / "mesh.glb")
    assert len(textured.mesh.faces) == len(MESH.faces) and (textured.atlas.page == 0).all()
    (tmp_path / "bad.glb").write_bytes(b"glTF")
    with pytest.raises(InputError, match=r"bad\.glb: cannot be read"):
        peer_results.read_textured(tmp_path / "bad.glb")
    trimesh.creation.box().export(tmp_path / "plain.glb")
    with pytest.raises(InputError, match="none of its faces has a texture"):
        peer_results.read_textured(tmp_path / "plain.glb")


def test_programs_that_leave_nothing(tmp_path):
    with pytest.raises(InputError, match=r"holds no \.obj, \.ply, \.glb"):
        peer_results.find_result(tmp_path)


def test_two_photos_are_needed(scan):
    scene = load_scene(scan)
    assert [len(part) for part in bench_peers.split(scene)] == [6, 6]
    with pytest.raises(InputError, match="has 1 photos; two are needed"):
        bench_peers.split(scene.__class__(**(vars(scene) | {"frames": scene.frames[:1]})))
