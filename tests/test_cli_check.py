"""`scenetex check`: what it prints, its picture, its exit codes; and the same warnings from `scenetex texture`."""

import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import tiny_scan
from broken_scans import SAMPLE
from PIL import Image
from PIL.PngImagePlugin import PngInfo

import scenetex
from scenetex.checks import picture
from scenetex.cli.check import main
from scenetex.cli.texture import main as texture
from scenetex.report.page import _warnings
from scenetex.scene.mesh_file import read_mesh

QUICK = ("--texture-size", "256", "--no-preview", "--no-refine-poses", "--quiet", "--formats", "glb")


@pytest.fixture
def room(tmp_path, monkeypatch) -> Path:
    """Every third frame of the sample room, in a folder of its own; the working folder is another."""
    scan = tmp_path / "room"
    shutil.copytree(SAMPLE, scan)
    (scan / "sample_room_vh_clean_2.ply").rename(scan / "room_vh_clean_2.ply")
    (scan / "sample_room.txt").rename(scan / "room.txt")
    for kind in ("color", "depth", "pose"):
        for file in (scan / kind).iterdir():
            if int(file.stem) % 36:
                file.unlink()
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return scan


def in_millimetres(scan: Path) -> Path:
    path = scan / "room_vh_clean_2.ply"
    mesh = read_mesh(path)
    tiny_scan.write_ply(path, 1000 * mesh.vertices, mesh.faces)
    return scan


def turned(scan: Path) -> Path:
    path = scan / "room_vh_clean_2.ply"
    mesh = read_mesh(path)
    tiny_scan.write_ply(path, mesh.vertices, mesh.faces[:, ::-1])
    return scan


def test_sound_scan(room, capsys):
    assert main([str(room), "--strict"]) == 0
    said = capsys.readouterr().out
    assert "12 frames" in said and "Nothing found." in said
    picture = np.asarray(Image.open("room-check.png"))
    assert picture.shape[2] == 3 and picture.shape[1] == 4 * 480 + 5 * 10
    orange = (np.abs(picture.astype(int) - (255, 140, 0)).sum(2) < 10).mean()
    assert 0.005 < orange < 0.2, "edges are drawn, and the photos can still be seen"


def test_finding_is_printed_written_and_with_strict_an_error(room, capsys, tmp_path):
    in_millimetres(room)
    assert main([str(room), "--output", "seen.png", "--json", "found.json"]) == 0
    said = capsys.readouterr().out
    assert "fit " in said and "--mesh-scale 0.001" in said
    report = json.loads(Path("found.json").read_text())
    (finding,) = report["findings"]
    assert finding["check"] == "fit" and finding["message"] in said
    assert Path("seen.png").is_file() and not Path("room-check.png").exists()
    assert main([str(room), "--no-picture", "--strict"]) == 1
    assert main([str(room), "--no-picture", "--strict", "--mesh-scale", "0.001"]) == 0


def test_picture_is_replaced_only_if_it_is_ours(room, capsys):
    Path("room-check.png").write_bytes(b"my holiday")
    assert main([str(room)]) == 2
    assert "name another with --output" in capsys.readouterr().err
    assert Path("room-check.png").read_bytes() == b"my holiday"
    mine = io.BytesIO()
    Image.new("RGB", (4, 4)).save(mine, "PNG")
    Path("room-check.png").write_bytes(mine.getvalue())
    assert main([str(room)]) == 2
    Path("room-check.png").unlink()
    assert main([str(room)]) == 0 and main([str(room)]) == 0
    made = Path("room-check.png").read_bytes()
    with Image.open(io.BytesIO(made)) as image:  # drawn on, with all that was said in it kept
        about = PngInfo()
        for key, text in image.text.items():
            about.add_text(key, text)
        image.putpixel((0, 0), (1, 2, 3))
        image.save("room-check.png", pnginfo=about)
    drawn = Path("room-check.png").read_bytes()
    assert main([str(room)]) == 2 and Path("room-check.png").read_bytes() == drawn != made
    Path("room-check.png").unlink()
    Path("room-check.png").symlink_to("nowhere.png")
    assert main([str(room)]) == 2 and Path("room-check.png").is_symlink()


def test_picture_shows_the_frames_that_are_looked_at(room, capsys, monkeypatch):
    drawn = []
    column = picture._column
    monkeypatch.setattr(picture, "_column", lambda scene, i: drawn.append(scene.frames[i].id) or column(scene, i))
    assert main([str(room), "--keyframes", "36,72,108,144,180,216"]) == 0
    assert "12 frames; looked at are the 6 of --keyframes" in capsys.readouterr().out
    assert drawn == [36, 108, 144, 216]
    drawn.clear()
    assert main([str(room), "--keyframes", "0,"]) == 0
    assert "12 frames; those of --keyframes tell too little, all are looked at" in capsys.readouterr().out
    assert drawn == [36, 144, 252, 360]


def test_two_outputs_are_two_files(room, capsys):
    Path("link.json").symlink_to("a.png")
    for second in ("a.png", "./a.png", "link.json"):
        assert main([str(room), "--output", "a.png", "--json", second]) == 2
        assert "is the picture, too" in capsys.readouterr().err and not Path("a.png").exists()


def test_picture_is_not_written_over_the_scan(room, capsys):
    photo = next((room / "color").iterdir())
    before = photo.read_bytes()
    assert main([str(room), "--json", str(photo)]) == 2
    assert main([str(room), "--output", "seen.jpg"]) == 2
    assert photo.read_bytes() == before and "name the picture .png" in capsys.readouterr().err


def test_texture_warns_reports_and_shows(room, capsys):
    turned(room)
    assert texture([str(room), "--output", "out", "--report", *QUICK]) == 0
    lines = [line for line in capsys.readouterr().err.splitlines() if "--flip-faces" in line]
    assert len(lines) == 1 and lines[0].startswith("room: ")
    report = json.loads(Path("out/room/report.json").read_text())
    (finding,) = report["checks"]["findings"]
    assert finding["check"] == "faces" and report["checks"]["photo_error"] < 6
    page = Path("out/room/report.html").read_text()
    assert "What does not fit" in page and "--flip-faces" in page
    # A result that is there already says so again.
    assert texture([str(room), "--output", "out", "--report", *QUICK]) == 0
    assert "--flip-faces" in capsys.readouterr().err
    assert texture([str(room), "--output", "out", "--flip-faces", *QUICK]) == 0
    assert "--flip-faces" not in capsys.readouterr().err
    assert json.loads(Path("out/room/report.json").read_text())["checks"]["findings"] == []


def test_strict_texturing_writes_nothing(room, capsys):
    in_millimetres(room)
    assert texture([str(room), "--output", "out", "--strict", *QUICK]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "--mesh-scale 0.001" in said
    assert not Path("out/room").exists()
    assert texture([str(room), "--output", "out", "--strict", "--mesh-scale", "0.001", *QUICK]) == 0


def test_deleted_photos_are_counted(room, capsys):
    for photo in sorted((room / "color").iterdir())[::2]:
        photo.unlink()
    assert main([str(room), "--no-picture"]) == 0
    said = capsys.readouterr().out
    assert "6 of 12 frames have a pose but no photo" in said and "6 without photo left out" in said


def test_load_scene_scales_the_mesh_alone_and_flips_faces(room):
    plain = scenetex.load_scene(room)
    other = scenetex.load_scene(room, mesh_scale=0.5, flip_faces=True)
    assert np.allclose(other.mesh.vertices, 0.5 * plain.mesh.vertices)
    assert (other.mesh.faces == plain.mesh.faces[:, ::-1]).all()
    assert np.allclose(other.frames[3].cam_to_world, plain.frames[3].cam_to_world)
    for wrong in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(scenetex.InputError, match="mesh_scale"):
            scenetex.load_scene(room, mesh_scale=wrong)


def test_names_on_the_page_are_text():
    found = {"checks": {"findings": [{"check": "frames", "message": "such as <b>0.jpg</b>"}]}}
    assert "&lt;b&gt;" in _warnings(found) and "<b>" not in _warnings(found)
    assert _warnings({"checks": None}) == _warnings({}) == ""
