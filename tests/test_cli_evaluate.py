"""`scenetex evaluate`: figures of folders, photos and models; bad input ends with one line."""

import json

import numpy as np
import pytest
import tiny_scan
from tiny_panorama import make_panorama_pipeline
from tiny_pipeline import make_pipeline

from scenetex.cli import texture as texture_command
from scenetex.cli.main import main
from scenetex.metrics import prompt_adherence as obedience
from scenetex.metrics import prompt_regions as regions
from scenetex.metrics import room_scores as rooms
from scenetex.metrics.prompt_adherence import Answer
from scenetex.metrics.prompt_regions import PaintedPart


@pytest.fixture
def scan(tmp_path):
    """A tiny scan whose walls look at its cameras, and whose photos hold more than one colour."""
    import cv2

    folder = tiny_scan.write_extracted(tmp_path / "room")
    tiny_scan.write_ply(next(folder.glob("*.ply")), faces=tiny_scan.ROOM_FACES[:, ::-1])
    for k, path in enumerate(sorted((folder / "color").iterdir())):
        rows = np.add.outer(np.arange(48) * 3, np.arange(64) * 2)[..., None] + [0, 20, 10 * k]
        cv2.imwrite(str(path), rows.clip(0, 255).astype(np.uint8))
    return folder


@pytest.fixture
def result(scan, tmp_path):
    """What `scenetex texture` makes of it from its photos, with the poses as they are."""
    quick = ["--texture-size", "128", "--no-preview", "--no-refine-poses", "--quiet", "--formats", "obj"]
    assert texture_command.main([str(scan), "--output", str(tmp_path / "out"), *quick]) == 0
    return tmp_path / "out" / "room"


def refused(capsys, *arguments: str) -> str:
    assert main(["evaluate", *arguments]) == 2
    said = capsys.readouterr()
    assert said.out == "" and said.err.count("\n") == 1 and "Traceback" not in said.err
    assert said.err.startswith("scenetex evaluate: ")
    return said.err


def test_images_that_are_the_photos_score_as_the_photos(result, scan, tmp_path, capsys):
    capsys.readouterr()
    output = tmp_path / "figures.json"
    arguments = ["evaluate", "images", str(result), "--scene", str(scan), "--quiet", "--texture-size", "128"]
    assert main([*arguments, "--output", str(output)]) == 0
    printed = capsys.readouterr().out
    held = json.loads(output.read_text())
    value = {name: figure["value"] for name, figure in held["figures"].items()}
    assert held["images"] == held["photos"] == 3 and value["pairs"] >= 1
    for name in ("psnr_ratio", "sharpness_ratio", "contrast_ratio"):
        assert value[name] == pytest.approx(1)
    assert value["psnr"] == value["psnr_photos"]
    assert 0 < value["coverage"] <= 1 and value["atlas_sharpness"] > 0.5
    assert f"{value['psnr']:.3f} dB" in printed
    # Its views folder will do as well, and without the atlas there are no figures of one.
    views = ["evaluate", "images", str(result / "views"), "--scene", str(scan), "--quiet", "--no-atlas"]
    assert main(views) == 0
    again = capsys.readouterr().out
    assert printed.splitlines()[1].split()[2] == again.splitlines()[1].split()[2] and "coverage" not in again


def test_photos_of_several_scenes(scan, tmp_path, capsys):
    output = tmp_path / "figures.json"
    assert main(["evaluate", "photos", str(scan), str(scan), "--quiet", "--output", str(output)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 and lines[0].startswith("room: overlap PSNR of 3 photos, ")
    assert json.loads(output.read_text())["scenes"]["room"]["pairs"] >= 1


def test_a_model_is_measured(tmp_path, capsys, monkeypatch, quickly_taught):
    folder, output = tmp_path / "model", tmp_path / "figures.json"
    make_pipeline(tmp_path / "tokens").save_pretrained(folder)
    small = rooms.Settings
    monkeypatch.setattr(rooms, "Settings", lambda **given: small(**given, size=(64, 48)))
    answers = [Answer(0, "floor", "oak", "oak", np.ones(3), np.ones(3))]
    monkeypatch.setattr(obedience, "ask_room", lambda pipe, settings, k, done: answers)
    monkeypatch.setattr(regions, "paint_room", lambda *given: [PaintedPart(answers[0], 3.0, 4.0)])
    options = ["--rooms", "1", "--views", "2", "--steps", "1", "--device", "cpu", "--quiet"]
    assert main(["evaluate", "model", str(folder), *options, "--output", str(output)]) == 0
    printed = capsys.readouterr().out
    held = json.loads(output.read_text())
    assert held["settings"]["rooms"] == 1 and len(held["rooms"]) == 1
    # One was given, the other left to the model.
    assert (held["settings"]["steps"], held["settings"]["guidance_scale"]) == (1, 9.0)
    assert held["figures"]["obeyed"]["value"] == 1 and "goal 0.917  reached" in printed
    assert held["figures"]["painted_floor"]["value"] == 1 and held["figures"]["painted_floor_ratio"]["value"] == 0.75
    assert len(held["painted"]) == 8 and held["painted"][0]["unpainted"] == 4


def test_workers_share_the_rooms(tmp_path, capsys):
    make_panorama_pipeline(tmp_path / "tokens").save_pretrained(tmp_path / "model")
    options = ["--rooms", "2", "--size", "64", "--steps", "1", "--guidance-scale", "1", "--device", "cpu", "--quiet"]
    held = []
    for workers in ("1", "2"):
        output = tmp_path / f"{workers}.json"
        command = ["evaluate", "panorama", str(tmp_path / "model"), *options, "--workers", workers]
        assert main([*command, "--output", str(output)]) == 0
        held.append({name: f["value"] for name, f in json.loads(output.read_text())["figures"].items()})
    assert held[0] == pytest.approx(held[1], abs=0.02)


def test_completion_is_measured(tmp_path, capsys):
    folder, output = tmp_path / "model", tmp_path / "figures.json"
    make_pipeline(tmp_path / "tokens").save_pretrained(folder)
    options = ["--rooms", "1", "--extra-views", "1", "--steps", "1", "--texture-size", "256", "--device", "cpu"]
    command = ["evaluate", "completion", "--model", str(folder), *options, "--quiet", "--output", str(output)]
    assert main(command) == 0
    printed = capsys.readouterr().out
    held = json.loads(output.read_text())
    value = {name: figure["value"] for name, figure in held["figures"].items()}
    assert held["settings"]["extra_views"] == 1 and held["rooms"][0]["name"] == "room 0" and value["views"] == 1
    assert value["psnr"] - value["psnr_fill"] == pytest.approx(value["gain_psnr"])
    assert 0 < value["reached"] < 1 and value["seconds"] > 0 and value["rim_true"] > 0
    assert held["figures"]["gradient_ratio"]["most"] == 1.2 and "goal 0.700 to 1.200" in printed


def test_completion_of_a_scene_is_met_with_its_other_photos(scan, tmp_path, capsys):
    folder, output = tmp_path / "model", tmp_path / "figures.json"
    make_pipeline(tmp_path / "tokens").save_pretrained(folder)
    options = ["--model", str(folder), "--steps", "1", "--texture-size", "128", "--device", "cpu", "--quiet"]
    command = ["evaluate", "completion", str(scan), *options, "--extra-views", "1", "--output", str(output)]
    assert main(command) == 0
    held = json.loads(output.read_text())
    assert [row["name"] for row in held["rooms"]] == ["room"] and held["rooms"][0]["completed"]["texels"] > 0
    capsys.readouterr()
    assert "no such" in refused(capsys, "completion", str(tmp_path / "nothing"), *options).lower()
    assert "--extra-views 0 is out of range" in refused(capsys, "completion", "--extra-views", "0")
    for pose in sorted((scan / "pose").iterdir())[1:]:
        pose.unlink()
    assert "at least two are needed" in refused(capsys, "completion", str(scan), *options)


def test_bad_options(capsys, tmp_path):
    line = refused(capsys)
    assert all(name in line for name in ("images", "photos", "model"))
    assert "--help" in refused(capsys, "pictures")
    assert "no such model folder" in refused(capsys, "model", str(tmp_path / "nothing"))
    assert "--workers 0 is out of range; choose 1 to 1024" in refused(capsys, "model", "mini", "--workers", "0")
    assert "--rooms 0 is out of range; choose 1 to 1000000" in refused(capsys, "model", "mini", "--rooms", "0")
    assert "cannot be written" in refused(capsys, "photos", "x", "--output", str(tmp_path / "no" / "such.json"))


def test_bad_folders(capsys, tmp_path, scan, result):
    capsys.readouterr()
    given = ("--scene", str(scan), "--quiet")
    assert "cameras.json: cannot be read" in refused(capsys, "images", str(tmp_path / "nothing"), *given)
    assert "no such" in refused(capsys, "photos", str(tmp_path / "nothing")).lower()
    weights = ("--no-atlas", "--clip-model", str(tmp_path / "clip"))
    assert "no prompt is known" in refused(capsys, "images", str(result), *given, *weights)
    cameras = result / "views" / "cameras.json"
    whole = json.loads(cameras.read_text())
    for spoilt, line in (
        ("{", "is not JSON"),
        ("[]", "holds no JSON object"),
        ("{}", "names no camera"),
        (json.dumps({"one": whole["2"]}), "camera 'one' is not one"),
        (json.dumps({"2": whole["2"] | {"width": float("inf")}}), "holds Infinity, which is no finite number"),
        ("[" * 100_000, "is JSON nested too deeply"),
        (json.dumps({"2": whole["2"] | {"intrinsics": [1, 2]}}), "camera '2' is not one"),
        (json.dumps({"7": whole["2"]}), "7.png: cannot be read"),
        (json.dumps({"2": whole["2"] | {"width": 10}}), "image is 64x48, its camera 10x48"),
    ):
        cameras.write_text(spoilt)
        assert line in refused(capsys, "images", str(result), *given)


def test_photos_of_a_real_scan_agree_as_photos_do(shared_data, tmp_path):
    """Its depth camera is another than its colour camera: with that one's depth the photos would not fit."""
    scene, output = shared_data / "redkitchen", tmp_path / "figures.json"
    arguments = ["evaluate", "photos", str(scene), "--keyframes", "every:20", "--quiet", "--output", str(output)]
    assert main(arguments) == 0
    found = json.loads(output.read_text())["scenes"]["redkitchen"]
    assert found["photos"] == 4 and found["pairs"] >= 1 and 12 < found["overlap_psnr"] < 30
