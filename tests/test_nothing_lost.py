"""No command costs its user a file: what is read is not written over, and what is not ours is not replaced."""

import importlib.util
import json
import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from batch_runs import QUICK, rooms

from scenetex import InputError
from scenetex.cli import evaluate as evaluate_command
from scenetex.cli import panorama as panorama_command
from scenetex.cli import texture as texture_command
from scenetex.cli import train as train_command
from scenetex.files.manifest import MANIFEST
from scenetex.files.output import own_folder

REPORT = json.dumps({"key": "", "files": [], "made_by": "scenetex"})
REFUSED = "which is read; choose another output folder"


@pytest.fixture
def scans(tmp_path) -> Path:
    """A folder of two scans, each with a report.json in it."""
    for scan in rooms(tmp_path / "scans", "kitchen", "hall"):
        (scan / "report.json").write_text(REPORT)
    return tmp_path / "scans"


def everything(folder: Path) -> dict:
    """Contents of all files, and where links lead, but for what is made anew."""
    found = {}
    for path in folder.rglob("*"):
        if path.is_symlink():
            found[path] = os.readlink(path)
        elif path.is_file():
            found[path] = path.read_bytes()
    return found


def texture(*arguments) -> int:
    return texture_command.main([*QUICK, *map(str, arguments)])


def refused(capsys, folder: Path, code: int, says: str) -> None:
    """One line, and nothing in the folder has changed."""
    said = capsys.readouterr()
    assert code == 2 and said.err.count("\n") == 1 and says in said.err, said.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("scans/kitchen", "--output", "scans"),
        ("scans/kitchen", "scans/hall", "--output", "scans"),
        ("--root", "scans", "--output", "scans"),
        ("scans/kitchen", "--output", "scans/kitchen"),
        ("scans/kitchen", "--output", "scans/kitchen/color/deep"),
        ("scans/kitchen", "--output", "link"),
        ("link/kitchen", "--output", "scans"),
        ("scans/kitchen", "--output", "linked"),
        ("scans/kitchen/../kitchen", "--output", "scans/hall/.."),
    ],
    ids=" ".join,
)
def test_scenes_are_not_written_over_or_into(scans, tmp_path, monkeypatch, capsys, arguments):
    (tmp_path / "link").symlink_to("scans")
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / "kitchen").symlink_to("../scans/kitchen")
    monkeypatch.chdir(tmp_path)
    before = everything(tmp_path)
    refused(capsys, tmp_path, texture(*arguments), REFUSED)
    assert everything(tmp_path) == before


def test_a_result_that_lies_where_a_scans_photos_do_is_refused(scans, tmp_path, capsys):
    """Photos may be elsewhere, behind a link."""
    away = tmp_path / "out" / "kitchen"
    away.parent.mkdir()
    (scans / "kitchen" / "color").rename(away)
    (scans / "kitchen" / "color").symlink_to(away)
    before = everything(tmp_path)
    refused(
        capsys, tmp_path, texture(scans / "kitchen", "--output", tmp_path / "out", "--allow-outside"), "out/kitchen: "
    )
    assert everything(tmp_path) == before


@pytest.mark.parametrize("kind", ["scan", "thesis", "earlier version", "file"])
def test_folders_of_other_makers_are_refused(scans, tmp_path, capsys, kind):
    mine = tmp_path / "out" / "kitchen"
    mine.parent.mkdir()
    if kind == "scan":
        (scans / "hall").rename(mine)
    elif kind == "file":
        mine.write_text("years of work")
    else:
        mine.mkdir()
        (mine / "report.json").write_text(REPORT)
        (mine / ("thesis.tex" if kind == "thesis" else "textured.glb")).write_text("years of work")
    before = everything(tmp_path)
    refused(capsys, tmp_path, texture(scans / "kitchen", "--output", mine.parent), "out/kitchen: ")
    assert everything(tmp_path) == before


def test_notes_in_a_result_outlive_other_settings(scans, tmp_path, capsys):
    out = tmp_path / "out"
    assert texture(scans / "kitchen", "--output", out) == 0
    (out / "kitchen" / "notes.txt").write_text("years of work")
    assert texture(scans / "kitchen", "--output", out) == 0, "the same result again is nothing to replace"
    capsys.readouterr()
    before = everything(out / "kitchen")
    refused(
        capsys, out, texture(scans / "kitchen", "--output", out, "--texture-size", "128"), "kitchen: holds notes.txt"
    )
    assert everything(out / "kitchen") == before
    (out / "kitchen" / "notes.txt").unlink()
    assert texture(scans / "kitchen", "--output", out, "--texture-size", "128") == 0


def test_what_others_put_among_failures_stays(scans, tmp_path):
    out, mesh = tmp_path / "out", scans / "kitchen" / "kitchen_vh_clean_2.ply"
    whole = mesh.read_bytes()
    mesh.write_bytes(b"")
    assert texture("--root", scans, "--output", out) == 1
    (out / "kitchen.failed" / "notes.txt").write_text("years of work")
    mesh.write_bytes(whole)
    assert texture("--root", scans, "--output", out) == 0
    assert (out / "kitchen.failed" / "notes.txt").read_text() == "years of work" and (out / "kitchen").is_dir()


def test_an_index_of_somebody_elses_is_not_written_over(scans, tmp_path, capsys):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "index.html").write_text("<title>my home page</title>")
    refused(
        capsys, tmp_path, texture(scans / "kitchen", "--output", tmp_path / "out", "--report"), "index.html: is not of"
    )
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["index.html"]
    (tmp_path / "out" / "index.html").unlink()
    for size in ("128", "64"):
        arguments = (scans / "kitchen", "--output", tmp_path / "out", "--report", "--texture-size", size)
        assert texture_command.main([*map(str, arguments), "--no-preview", "--quiet"]) == 0


@pytest.mark.parametrize("shard", ["0/2", "1/2"])
def test_every_shard_keeps_the_output_from_all_scenes(scans, tmp_path, capsys, shard):
    """The scenes of the other shards as well."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "hall").symlink_to(scans / "hall")
    before = everything(tmp_path)
    for output in (scans, scans / "kitchen" / "new", tmp_path / "out"):
        code = texture(scans / "kitchen", scans / "hall", "--output", output, "--shard", shard)
        refused(capsys, tmp_path, code, REFUSED)
        assert everything(tmp_path) == before


def test_kept_stages_do_not_lie_in_a_scan(scans, tmp_path, capsys):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / ".stages").symlink_to(scans)
    (scans / "kitchen" / "inputs.json").write_text("years of work")
    before = everything(tmp_path)
    refused(capsys, tmp_path, texture(scans / "kitchen", "--output", tmp_path / "out"), REFUSED)
    assert everything(tmp_path) == before


@pytest.mark.parametrize("place", ["out", "out/.stages"])
@pytest.mark.parametrize("many", [(), ("--workers", "0", "--time-limit", "50")])
def test_a_file_in_the_place_of_the_output_is_named(scans, tmp_path, capsys, place, many):
    mine = tmp_path / place
    mine.parent.mkdir(exist_ok=True)
    mine.write_text("years of work")
    before = everything(tmp_path)
    code = texture(scans / "kitchen", "--output", tmp_path / "out", *many)
    refused(capsys, tmp_path, code, f"{mine}: is no folder, but one is needed there")
    assert everything(tmp_path) == before


def test_a_panorama_does_not_replace_what_it_is_made_from(scans, tmp_path, capsys):
    photo = tmp_path / "view.png"
    cv2.imwrite(str(photo), np.full((64, 64, 3), 90, np.uint8))
    (tmp_path / "link.png").symlink_to(photo)
    before = everything(tmp_path)
    for output, given in [
        (photo, ("--image", photo)),
        (tmp_path / "link.png", ("--image", photo)),
        (scans / "kitchen" / "color" / "2.jpg", ("--scene", scans / "kitchen")),
    ]:
        code = panorama_command.main(["a room", "-o", str(output), *map(str, given)])
        refused(capsys, tmp_path, code, "which is read")
        assert everything(tmp_path) == before


def test_figures_do_not_replace_what_they_are_of(scans, tmp_path, capsys):
    assert texture(scans / "kitchen", "--output", tmp_path / "out") == 0
    capsys.readouterr()
    before = everything(tmp_path)
    result, photo = tmp_path / "out" / "kitchen", scans / "kitchen" / "color" / "2.jpg"
    given = ["images", str(result), "--scene", str(scans / "kitchen"), "--output"]
    for output in (result / "report.json", result / MANIFEST, photo):
        refused(capsys, tmp_path, evaluate_command.main([*given, str(output)]), "which is read")
    refused(capsys, tmp_path, evaluate_command.main(["photos", str(scans / "kitchen"), "--output", str(photo)]), "read")
    refused(capsys, tmp_path, evaluate_command.main([*given, "/dev/null"]), "is a device or pipe")
    assert everything(tmp_path) == before


@pytest.mark.parametrize("name", ["model", "checkpoints", "pictures", "losses.jsonl", "losses.png"])
def test_training_does_not_start_in_somebody_elses_folder(tiny_models, tmp_path, capsys, name):
    mine = tmp_path / "run" / name
    mine.parent.mkdir()
    if "." in name:
        mine.write_text("years of work")
    else:
        mine.mkdir()
        (mine / "thesis.tex").write_text("years of work")
    before = everything(tmp_path)
    given = ["multi-view", "--output", str(mine.parent), "--model", str(tiny_models / "pipeline"), "--device", "cpu"]
    refused(capsys, tmp_path, train_command.main(given), f"run/{name}: ")
    assert everything(tmp_path) == before


def test_training_does_not_replace_the_model_that_it_starts_from(tiny_models, tmp_path, capsys):
    run = tmp_path / "run"
    run.mkdir()
    (run / "model").symlink_to(tiny_models / "pipeline")
    before = everything(tiny_models)
    for model in (run / "model", tiny_models / "pipeline"):
        given = ["multi-view", "--output", str(run), "--model", str(model), "--device", "cpu"]
        refused(capsys, tmp_path, train_command.main(given), "which is read")
    assert everything(tiny_models) == before


def test_packing_does_not_replace_parts_that_are_there(tiny_models, tmp_path, monkeypatch, capsys):
    place = Path(__file__).resolve().parents[1] / "tools" / "pack_model.py"
    specification = importlib.util.spec_from_file_location("pack_model", place)
    tool = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(tool)
    mine = tmp_path / "packed" / "unet" / "thesis.tex"
    mine.parent.mkdir(parents=True)
    mine.write_text("years of work")
    monkeypatch.setattr("sys.argv", ["pack_model", str(tiny_models / "pipeline"), "--output", str(tmp_path / "packed")])
    refused(capsys, tmp_path, tool.main(), "packed/unet: is there already; delete the old parts first")
    assert list(everything(tmp_path)) == [mine]
    mine.rename(tmp_path / "packed" / "card.md")
    mine.parent.rmdir()
    assert tool.main() == 0
    assert (tmp_path / "packed" / "card.md").exists() and (tmp_path / "packed" / "unet" / "config.json").exists()


def test_folders_for_benchmarks_are_their_own(tmp_path):
    (tmp_path / "scenes").mkdir()
    (tmp_path / "scenes" / "thesis.tex").write_text("years of work")
    with pytest.raises(InputError, match="holds something other than an earlier workshop"):
        own_folder(tmp_path, "workshop")
    for _ in range(2):
        own_folder(tmp_path / "work", "workshop")
        (tmp_path / "work" / "results").touch()


def test_a_scan_in_the_root_is_no_folder_of_results(scans, tmp_path, capsys):
    before = everything(tmp_path)
    refused(capsys, tmp_path, texture("--root", scans, "--output", scans / "hall"), "hall")
    assert everything(tmp_path) == before


@pytest.mark.parametrize("command", ["images", "photos", "panorama"])
def test_photos_that_lie_elsewhere_are_not_written_over(command, scans, tmp_path, capsys):
    away = tmp_path / "photos"
    (scans / "kitchen" / "color").rename(away)
    (scans / "kitchen" / "color").symlink_to(away)
    photo = next(away.iterdir())
    given = ["--allow-outside", "--output", str(photo)]
    if command == "images":
        assert texture(scans / "kitchen", "--output", tmp_path / "out", "--allow-outside") == 0
        (tmp_path / "out" / "kitchen" / "views").rename(tmp_path / "views")
        (tmp_path / "out" / "kitchen" / "views").symlink_to(tmp_path / "views")
        capsys.readouterr()
    before = everything(tmp_path)
    if command == "images":
        for read in (photo, tmp_path / "views" / "cameras.json"):
            given[-1] = str(read)
            result = ["images", str(tmp_path / "out" / "kitchen"), "--scene", str(scans / "kitchen")]
            refused(capsys, tmp_path, evaluate_command.main([*result, *given]), "which is read")
            assert everything(tmp_path) == before
        return
    if command == "photos":
        code = evaluate_command.main(["photos", str(scans / "kitchen"), *given])
    else:
        code = panorama_command.main(["a room", "--scene", str(scans / "kitchen"), *given])
    refused(capsys, tmp_path, code, "which is read")
    assert everything(tmp_path) == before
