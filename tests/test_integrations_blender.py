"""The Blender add-on, in Blender: installed from its zip, run from end to end.

Needs a Python with `bpy`, which has other NumPy than scenetex and so an environment of its own: `make blender`, or
SCENETEX_BPY_PYTHON.
"""

import json
import os
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import scenetex

ROOT = Path(__file__).resolve().parents[1]
ADDON = ROOT / "integrations" / "blender"
BLENDER = Path(os.environ.get("SCENETEX_BPY_PYTHON", ROOT / ".venv-blender" / "bin" / "python"))
needs_blender = pytest.mark.skipif(
    not BLENDER.is_file(), reason=f"{BLENDER} is not there: `make blender` adds bpy; or name one, SCENETEX_BPY_PYTHON"
)


@pytest.fixture(scope="module")
def addon(tmp_path_factory) -> Path:
    """The zip, as the Makefile makes it."""
    path = tmp_path_factory.mktemp("add-on") / "scenetex_blender.zip"
    command = ["make", "--no-print-directory", "addon", f"ADDON={path}", f"PYTHON={sys.executable}"]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return path


@pytest.fixture
def blender(addon, tmp_path):
    """Does a task of `blender_session` in a Blender with the add-on; gives what came of it."""

    def run(task: str, **options) -> dict:
        there = {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "BLENDER_USER_RESOURCES": str(tmp_path / "blender")}
        script = ROOT / "tests" / "blender_session.py"
        command = [str(BLENDER), str(script), str(addon), task, json.dumps(options)]
        done = subprocess.run(command, env=os.environ | there, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "Traceback" not in done.stderr, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    return run


def test_zip_holds_the_add_on(addon):
    with zipfile.ZipFile(addon) as archive:
        assert set(archive.namelist()) == {"blender_manifest.toml", *(path.name for path in ADDON.glob("*.py"))}


def test_manifest_fits_the_package():
    manifest = tomllib.loads((ADDON / "blender_manifest.toml").read_text())
    assert manifest["version"] == scenetex.__version__ and manifest["id"] == "scenetex"
    assert manifest["license"] == ["SPDX:MIT"]


@needs_blender
def test_operator_paints_the_objects_own_uvs(blender, tmp_path):
    """Prompt to material, on the objects themselves, by the installed program."""
    folder = tmp_path / "with a space, é"
    came = blender("operator", program=sys.executable, keep_uvs=True, output=str(folder))
    assert came["error"] == "" and came["new"] == {} and came["hidden"] == [] and came["frame"] == 1
    painted = came["images"]
    assert [len(painted[name]) for name in ("Großer Raum", "Table")] == [2, 1]
    for image in [*painted["Großer Raum"], *painted["Table"]]:
        assert image["size"] == [256, 256] and image["packed"] and image["spread"] > 0.01
    assert painted["Großer Raum"][0]["material"] == "scenetex walls"
    (scan,) = (folder / "scans").iterdir()
    assert scenetex.load_scene(scan).frames[-1].id == 6  # every tenth of 61 frames
    assert came["unchanged"]


@needs_blender
def test_operator_loads_a_model_with_new_uvs(blender, tmp_path):
    """The scene's unit is a foot: what comes back lies where the objects did, which are hidden."""
    came = blender("operator", program=sys.executable, output=str(tmp_path), unit=0.3048)
    assert came["error"] == "" and came["unchanged"] and sorted(came["hidden"]) == ["Großer Raum", "Table"]
    (name,) = came["new"]
    np.testing.assert_allclose(came["new"][name], came["bounds"]["Großer Raum"], atol=1e-4)
    assert came["images"][name][0]["spread"] > 0.01


@needs_blender
def test_regions_are_objects(blender, tmp_path):
    came = blender(
        "operator", program=sys.executable, keep_uvs=True, output=str(tmp_path), paint="label:Table: red; floor: oak"
    )
    assert came["error"] == "" and came["images"]["Table"]
    labels = [name for name in scenetex.regions(scenetex.load_scene(tmp_path / "scans" / "Scene")) if "label" in name]
    assert labels == ["label:Großer Raum", "label:Table"]


@needs_blender
def test_operator_on_a_scan_folder(blender, tmp_path):
    scan = tmp_path / "scan of a room"
    shutil.copytree(ROOT / "scenes" / "sample_room", scan)
    came = blender("scan_folder", program=sys.executable, scan=str(scan), output=str(tmp_path / "out"))
    assert came["error"] == ""
    ((name, images),) = came["images"].items()
    assert images[0]["spread"] > 0.05, name


@needs_blender
def test_photos_are_background_images(blender, tmp_path):
    came = blender("photos", program=sys.executable, output=str(tmp_path))
    assert came["error"] == ""
    assert any(image["spread"] > 0.01 for image in came["images"])
    scan = scenetex.load_scene(tmp_path / "scans" / "Scene")
    assert [frame.camera.size for frame in scan.frames] == [(640, 480)] * 2
    first = scan.frames[0].read_color()[0, 0]
    assert first[0] > 200 and first[1] < 120


@needs_blender
@pytest.mark.parametrize("unit", [1.0, 0.01])
@pytest.mark.parametrize(
    ("resolution", "aspect"),
    [([1920, 1080, 100], [1, 1]), ([1080, 1920, 100], [1, 1]), ([800, 602, 50], [1, 1.5]), ([640, 640, 33], [2, 1])],
)
def test_cameras_are_blenders(blender, tmp_path, unit, resolution, aspect):
    """What `world_to_camera_view` says, scenetex's cameras say: shift, sensor fit, pixel aspect, scaled parents."""
    came = blender("cameras", unit=unit, resolution=resolution, aspect=aspect, folder=str(tmp_path / "scan"))
    scene = scenetex.load_scene(tmp_path / "scan")
    assert scene.axis_alignment.tolist() == np.eye(4).tolist()
    for frame, seen in zip(scene.frames, np.array(came["seen"]), strict=True):
        local = (seen[:, :3] - frame.cam_to_world[:3, 3]) @ frame.cam_to_world[:3, :3]
        found = (local @ frame.camera.intrinsics.T)[:, :2] / local[:, 2:]
        width, height = frame.camera.size
        assert [width, height] == came["size"] == [side * resolution[2] // 100 for side in resolution[:2]]
        true = seen[:, 3:] * [width, -height] + [-0.5, height - 0.5]
        assert np.abs(found - true).max() < 1e-3
    np.testing.assert_allclose(scene.mesh.vertices.max(0), np.array([2, 1.5, 2.5]) * unit, atol=1e-6)
    assert len(scene.mesh.faces) == 24


@needs_blender
def test_renders_show_what_scenetex_sees(blender, tmp_path):
    """Pixel by pixel, where Blender rounds sides: its `world_to_camera_view` does not know of that."""
    files = blender("silhouettes", folder=str(tmp_path))["files"]
    views = scenetex.render_views(scenetex.load_scene(tmp_path / "scan"))
    assert views.size == (101, 75)
    for file, depth in zip(files, views.depth, strict=True):
        with Image.open(file) as image:
            shown = np.asarray(image)[..., 3] > 127
        assert 0.1 < shown.mean() < 0.9
        assert (shown != (depth > 0)).sum() <= 2


@needs_blender
def test_bad_input_is_one_line(blender, tmp_path):
    wanted = {
        "nothing in the scene": "no scenetex found|no mesh",  # as scenetex is on the path, or not
        "no such program": "/nowhere/scenetex: no scenetex here; correct the path",
        "no program": "is no program",
        "none on the path": "no scenetex found; give the path of the program",
        "no mesh": "no mesh with faces is visible",
        "no prompt": "there is no prompt|no camera",
        "no camera": "the scene has no camera; add cameras",
        "no active camera": "no active camera",
        "none selected": "no camera is selected",
        "orthographic": "camera 'my camera' is ortho, not perspective",
        "mirrored": "camera 'my camera' is sheared or mirrored",
        "no photos": "no camera has a photo",
        "no UVs": "'Plane' has no UV map",
        "no faces": "no mesh with faces",
        "no folder": "no scan folder is chosen",
        "folder not there": "/nowhere/at all: no such file or folder",
        "bad model": "/nowhere/model",
        "output in a file": "below",
    }
    scan = ROOT / "scenes" / "sample_room"
    came = blender("refusals", program=sys.executable, output=str(tmp_path / "out"), scan=str(scan))
    assert set(came["said"]) == set(wanted)
    for case, line in came["said"].items():
        assert line and "\n" not in line, case
        assert any(part in line for part in wanted[case].split("|")), (case, line)
    assert came["objects"] == ["my camera", "Plane"]


@needs_blender
@pytest.mark.parametrize("seconds", [0.0, 4.0])
def test_cancelled_run_leaves_nothing(blender, tmp_path, seconds):
    came = blender("cancelled", program=sys.executable, output=str(tmp_path), seconds=seconds)
    assert came["error"] == "cancelled" and not came["job"]
    assert "at work already" in came["twice"]
    assert came["objects"] == ["Camera", "Großer Raum", "Table"]
    assert not list((tmp_path / "results").glob("*/textured*"))


@needs_blender
def test_run_beside_the_user_interface(blender, tmp_path):
    """By timer events: progress, the result, and Esc."""
    came = blender("modal", program=sys.executable, output=str(tmp_path))
    assert came["began"] == ["RUNNING_MODAL"] and came["passed"] == ["PASS_THROUGH"]
    assert came["ended"] == ["FINISHED"] and came["timers"] == 0 and came["loaded"]
    assert came["reports"][-1][0] == "INFO" and "texels seen" in came["reports"][-1][1]
    assert came["stages"] and came["escaped"] == ["CANCELLED"]
    assert came["last"] == ["WARNING", "cancelled; nothing has changed"]


@needs_blender
def test_panel_shows_every_option(blender):
    shown = blender("panel")
    assert shown["SCENE"] | {"scan_folder": 0} == shown["SCAN"] | dict.fromkeys(
        ("cameras", "frame_step", "keep_uvs"), 0
    )
    assert {*shown["SCENE"], "scan_folder"} == {*shown["options"]}


@needs_blender
def test_disabled_add_on_leaves_nothing(blender):
    came = blender("reload")
    assert came["checked"].startswith("Success parsing TOML") and "rror" not in came["checked"]  # by Blender itself
    assert came["there"] == [[True] * 4, [False] * 4] * 2 + [[True] * 4]
