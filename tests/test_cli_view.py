"""`scenetex view`: what is collected from files, folders and scans, where the cameras end up, and what is refused."""

import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import numpy as np
import pytest
import tiny_scan

from scenetex import InputError, load_scene
from scenetex.cli.gate import Gate
from scenetex.cli.texture import main as texture
from scenetex.cli.view import collect, main, serve
from scenetex.errors import InputWarning
from scenetex.scene.gltf_mesh import read_glb

ALIGNMENT = np.array([[0.0, -1, 0, 1], [1, 0, 0, 2], [0, 0, 1, 3], [0, 0, 0, 1]])
NO_PHOTOS = "colorWidth = 64\ncolorHeight = 48\n"


@pytest.fixture(scope="module")
def scan(tmp_path_factory) -> Path:
    """A tiny scan whose walls look at its cameras, turned against gravity's frame."""
    info = "axisAlignment = " + " ".join(map(str, ALIGNMENT.ravel())) + "\n"
    folder = tiny_scan.write_extracted(tmp_path_factory.mktemp("scans") / "room", info=info)
    tiny_scan.write_ply(next(folder.glob("*.ply")), faces=tiny_scan.ROOM_FACES[:, ::-1])
    return folder


@pytest.fixture(scope="module")
def output(scan) -> Path:
    """Its result."""
    where = scan.parent / "out"
    assert texture([str(scan), "--output", str(where), "--texture-size", "64", "--no-preview", "--quiet"]) == 0
    return where / "room"


def materials(glb: bytes) -> list[dict]:
    length = struct.unpack_from("<I", glb, 12)[0]
    assert struct.unpack_from("<I", glb, 8)[0] == len(glb)
    return json.loads(glb[20 : 20 + length]).get("materials", [])


def test_mesh_and_cameras_of_a_result_meet(scan, output, tmp_path):
    for found in (collect(output), collect(scan)):
        (tmp_path / "mesh.glb").write_bytes(found.glb)
        vertices, faces, *_ = read_glb(tmp_path / "mesh.glb")
        upright = vertices @ [[1, 0, 0], [0, 0, 1], [0, -1, 0]]  # y up to z up
        truth = tiny_scan.ROOM_VERTICES @ ALIGNMENT[:3, :3].T + ALIGNMENT[:3, 3]
        got = np.array([np.roll(t, -k, 0) for t in upright[faces] for k in range(3)]).reshape(-1, 9)
        expected = [t[::-1].ravel() for t in truth[tiny_scan.ROOM_FACES]]
        assert all(np.abs(got - t).max(1).min() < 1e-5 for t in expected), "same triangles, same orientation"
        assert len(faces) == len(expected)
        np.testing.assert_allclose(found.box, [truth.min(0), truth.max(0)], atol=1e-5)
        assert ((found.start[0] > found.box[0]) & (found.start[0] < found.box[1])).all(), "it opens inside"
        assert any(np.allclose(found.start[0], camera.cam_to_world[:3, 3]) for camera in found.cameras)
        assert [camera.name for camera in found.cameras] == ["2", "10", "100"]
        for camera, frame in zip(found.cameras, load_scene(scan).frames, strict=True):
            np.testing.assert_allclose(camera.cam_to_world, ALIGNMENT @ frame.cam_to_world, atol=1e-9)
            assert camera.slopes == pytest.approx((64 / 80, 48 / 80))
            assert camera.image.shape == (48, 64, 3)
            assert np.abs(camera.image.astype(int) - (frame.id, 90, 40)).max() < 8
        assert all(not material.get("doubleSided") for material in materials(found.glb))


def test_colours_of_a_scan_are_shown_as_they_are(scan, tmp_path):
    folder = tiny_scan.write_extracted(tmp_path / "hall", color=False, depth=False, info=NO_PHOTOS)
    path = next(folder.glob("*.ply"))
    text = path.read_text().replace(
        "property double z\n", "property double z\nproperty uchar red\nproperty uchar green\nproperty uchar blue\n"
    )
    lines, start = text.splitlines(), text.splitlines().index("end_header") + 1
    lines[start : start + 8] = [f"{line} 188 255 10" for line in lines[start : start + 8]]
    path.write_text("\n".join(lines) + "\n")
    found = collect(folder)
    assert [camera.image for camera in found.cameras] == [None] * 3
    assert materials(found.glb)[0]["extensions"] == {"KHR_materials_unlit": {}}
    (tmp_path / "mesh.glb").write_bytes(found.glb)
    colors = read_glb(tmp_path / "mesh.glb")[2]
    # sRGB 188 is half the light; glTF keeps light.
    np.testing.assert_array_equal(colors, np.tile([128, 255, 1], (8, 1)))
    assert "KHR_materials_unlit" not in str(materials(collect(scan).glb)), "without colours, light shows the shape"


def test_a_glb_alone(output, tmp_path):
    (tmp_path / "alone.glb").write_bytes((output / "textured.glb").read_bytes())
    found = collect(tmp_path / "alone.glb")
    assert ((found.start[0] > found.box[0]) & (found.start[0] < found.box[1])).all()
    assert found.cameras == () and materials(found.glb)[0]["extensions"] == {"KHR_materials_unlit": {}}


def test_long_scans_are_thinned_out(tmp_path):
    poses = {i: tiny_scan.look(i / 100) for i in range(450)}
    found = collect(tiny_scan.write_extracted(tmp_path / "long", poses, color=False, depth=False, info=NO_PHOTOS))
    names = [int(camera.name) for camera in found.cameras]
    assert len(names) == 200 and names[0] == 0 and names[-1] == 449 and set(np.diff(names)) == {2, 3}


def damage_camera(folder: Path, **changes) -> None:
    path = folder / "views" / "cameras.json"
    cameras = json.loads(path.read_text())
    cameras["10"] |= changes
    path.write_text(json.dumps(cameras))


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda f: damage_camera(f, cam_to_world=[1, 2]), "camera '10' is not one"),
        (lambda f: damage_camera(f, intrinsics=[[0] * 3] * 3), "camera '10' is not one"),
        (lambda f: damage_camera(f, width="wide"), "camera '10' is not one"),
        (lambda f: damage_camera(f, width=float("inf")), "cameras.json: holds Infinity, which is no finite number"),
        (lambda f: damage_camera(f, cam_to_world=[10**400] * 16), "cameras.json: holds a number of 401 digits"),
        (lambda f: (f / "views" / "cameras.json").write_text("[" * 100_000), "cameras.json: is JSON nested too deeply"),
        (lambda f: (f / "views" / "cameras.json").write_text("[]"), "cameras.json: holds no JSON object"),
        (lambda f: (f / "report.json").write_text("{}"), "report.json: does not say where up is"),
        (lambda f: (f / "textured.glb").write_bytes(b"glTF"), "textured.glb: not a GLB 2.0 file"),
        (lambda f: (f / "textured.glb").unlink(), "--formats glb"),
        (lambda f: (f / "views" / "10.png").write_bytes(b"none"), "10.png"),
    ],
)
def test_damaged_results_are_refused_in_one_line(output, tmp_path, damage, says):
    copy = tmp_path / "room"
    for path in output.rglob("*"):
        if path.is_file():
            (copy / path.relative_to(output)).parent.mkdir(parents=True, exist_ok=True)
            (copy / path.relative_to(output)).write_bytes(path.read_bytes())
    collect(copy)
    damage(copy)
    with pytest.raises(InputError) as refused:
        collect(copy)
    assert says in str(refused.value) and "\n" not in str(refused.value)


def test_a_scan_is_shown_without_a_photo_that_is_damaged(tmp_path):
    folder = tiny_scan.write_extracted(tmp_path / "room")
    (folder / "color" / "10.jpg").write_bytes((folder / "color" / "10.jpg").read_bytes()[:-40])
    with pytest.warns(InputWarning, match=r"10\.jpg: image is damaged .* \(its camera is shown without it\)"):
        found = collect(folder)
    assert [camera.image is None for camera in found.cameras] == [False, True, False]


@pytest.mark.parametrize("odd", [[3], 7, {"a": 1}, ["x", {}]])
def test_materials_of_any_shape_are_the_viewers_matter(output, tmp_path, odd):
    data = (output / "textured.glb").read_bytes()
    length = struct.unpack_from("<I", data, 12)[0]
    text = json.dumps(json.loads(data[20 : 20 + length]) | {"materials": odd}).encode()
    text += b" " * (-len(text) % 4)
    rest = text + data[20 + length :]
    head = struct.pack("<4sIII4s", b"glTF", 2, 20 + len(rest), len(text), b"JSON")
    (tmp_path / "odd.glb").write_bytes(head + rest)
    assert len(collect(tmp_path / "odd.glb").glb) >= len(rest)


@pytest.mark.parametrize("path", ["nothing", "nothing.glb", "."])
def test_what_is_nothing_to_look_at(tmp_path, path):
    with pytest.raises(InputError):
        collect(tmp_path / path)


def test_without_viser_one_line_names_the_extra(scan, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "viser", None)
    assert main([str(scan), "--no-open"]) == 2
    said = capsys.readouterr()
    assert said.out == "" and said.err.count("\n") == 1 and 'pip install -c constraints.txt -e ".[view]"' in said.err


def test_bad_options(scan, capsys):
    for options in (["--port", "0"], ["--port", "70000"], ["--port", "x"], ["--colour"]):
        assert main([str(scan), *options]) == 2
        assert capsys.readouterr().err.count("\n") == 1


def test_everything_is_put_into_the_viewer(output):
    pytest.importorskip("viser", reason="needs viser, the extra view")
    server = serve(collect(output), free_port(), Gate())
    try:
        handles = server.scene._handle_from_node_name
        assert {"/mesh", "/cameras/2", "/cameras/10", "/cameras/100"} <= set(handles)
        pose = ALIGNMENT @ tiny_scan.look(0)
        np.testing.assert_allclose(handles["/cameras/2"].position, pose[:3, 3], atol=1e-6)
        w, x, y, z = handles["/cameras/2"].wxyz
        forward = np.array([2 * (x * z + w * y), 2 * (y * z - w * x), 1 - 2 * (x * x + y * y)])
        np.testing.assert_allclose(forward, pose[:3, 2], atol=1e-6)
    finally:
        server.stop()


def test_the_command_serves_until_it_is_interrupted(output):
    pytest.importorskip("viser", reason="needs viser, the extra view")
    port = free_port()
    program = "import sys; from scenetex.cli.view import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", program, str(output), "--port", str(port), "--no-open"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as run:
        try:
            line = next(line for line in run.stdout if "Ctrl-C ends it" in line)
            address = re.search(rf"{output}: (http://localhost:{port}/[\w-]{{24}}/) ", line)[1]
            assert b"<html" in urlopen(address, timeout=20).read()
            with pytest.raises(HTTPError, match="403"):
                urlopen(f"http://localhost:{port}/", timeout=20)
            os.kill(run.pid, signal.SIGINT)
            assert run.wait(20) == 0
            assert "Traceback" not in run.stderr.read()
        finally:
            run.kill()


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("localhost", 0))
        return found.getsockname()[1]
