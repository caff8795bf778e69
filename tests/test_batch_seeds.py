"""``--seeds``: keyframes of several seeds on one sheet; a run with the chosen one goes on from them."""

import io
import json

import numpy as np
import pytest
import tiny_pipeline
from batch_runs import left, rooms, texture
from PIL import Image

from scenetex.report.seed_sheet import seed_sheet

PROMPT = ("--prompt", "a red room", "--image-size", "64x48", "--device", "cpu", "--keyframes", "2,100")


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> str:
    folder = tmp_path_factory.mktemp("model")
    tiny_pipeline.make_pipeline(folder / "tokens").save_pretrained(folder / "tiny")
    return str(folder / "tiny")


def reused(output) -> list[str]:
    return json.loads((output / "room" / "report.json").read_text(encoding="utf-8"))["reused"]


def test_a_sheet_is_made_and_its_images_are_gone_on_from(tmp_path, model, capsys):
    (scan,) = rooms(tmp_path / "scans", "room")
    output, alone = tmp_path / "out", tmp_path / "alone"
    given = (*PROMPT, "--model", model, "--steps", "2")
    assert texture([scan], output, *given, "--seed", "5", "--seeds", "3") == 0
    said = capsys.readouterr().out
    sheet = output / "room.seeds" / "seeds.png"
    assert said.startswith(f"{sheet}: seeds 5 to 7, 2 keyframes of each seed, generated together in 2 steps; --seed N")
    assert Image.open(sheet).width == 1840 and not (output / "room").exists()
    before = sheet.read_bytes()

    assert texture([scan], output, *given, "--seed", "6") == 0
    assert "generate" in reused(output) and sheet.read_bytes() == before
    assert texture([scan], alone, *given, "--seed", "6") == 0
    assert "generate" not in reused(alone)
    assert {name: told for name, told in left(output).items() if name.startswith("room/")} == left(alone)
    # What differs is generated; another sheet goes on from what is there, and replaces the first one.
    assert texture([scan], output, *given, "--seed", "7", "--steps", "3") == 0 and "generate" not in reused(output)
    assert texture([scan], output, *given, "--seed", "6", "--seeds", "2") == 0
    assert sheet.read_bytes() != before and (output / "room" / "report.json").is_file()


def test_more_seeds_than_a_cache_keeps_are_all_kept(tmp_path, model):
    (scan,) = rooms(tmp_path / "scans", "room")
    given = (*PROMPT, "--model", model)
    assert texture([scan], tmp_path / "out", *given, "--seeds", "10") == 0
    assert len(list((tmp_path / "out" / ".stages" / "room").glob("generate-*.npz"))) == 10
    assert texture([scan], tmp_path / "out", *given, "--steps", "4") == 0
    assert "generate" in reused(tmp_path / "out"), "four steps are what a sheet is made with"


def test_another_folder_of_that_name_stays(tmp_path, model, capsys):
    (scan,) = rooms(tmp_path / "scans", "room")
    (tmp_path / "out" / "room.seeds").mkdir(parents=True)
    (tmp_path / "out" / "room.seeds" / "mine.txt").write_text("mine")
    assert texture([scan], tmp_path / "out", *PROMPT, "--model", model, "--seeds", "2") == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "holds something other than an earlier sheet of seeds" in said
    assert (tmp_path / "out" / "room.seeds" / "mine.txt").read_text() == "mine"


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ([], "--seeds compares what a sentence makes of the scene; add --prompt"),
        (["--prompt", "x", "--images", "photos", "--complete"], "leave --images photos out"),
        (["--prompt", "x", "--images", "panorama"], "leave --images panorama out"),
        (["--prompt", "x", "--only", "floor"], "leave --only and --keep out"),
        (["--paint", "floor: oak"], "add --prompt"),
        (["--prompt", "x", "--workers", "2"], "give that scene alone"),
        (["--prompt", "x", "--seed", str(2**63 - 2)], "the last seed 9223372036854775809 is out of range"),
    ],
)
def test_what_cannot_be_compared_is_refused_in_a_line(tmp_path, given, says, capsys):
    (scan,) = rooms(tmp_path / "scans", "room")
    assert texture([scan], tmp_path / "out", "--seeds", "4", *given) == 2
    said = capsys.readouterr().err
    assert says in said and said.count("\n") == 1 and not (tmp_path / "out").exists()


@pytest.mark.parametrize("count", ["1", "17", "0", "-2", "four"])
def test_how_many(tmp_path, count, capsys):
    (scan,) = rooms(tmp_path / "scans", "room")
    assert texture([scan], tmp_path / "out", "--prompt", "x", f"--seeds={count}") == 2
    said = capsys.readouterr().err
    assert "--seeds" in said and "2 to 16" in said and said.count("\n") == 1


def test_the_sheet_shows_the_images_of_each_seed_in_its_row():
    rows = {
        seed: [np.full((30, 40, 3), 20 * i + 5 * k, np.uint8) for i in range(9)] for k, seed in enumerate((3, 4, 2**62))
    }
    sheet = seed_sheet(rows, list(range(0, 90, 10)), "a room", "in two steps")
    assert sheet.shape[1] == 1840 and sheet.dtype == np.uint8
    flat = [tuple(value) for value in sheet.reshape(-1, 3)[::7]]
    for k in range(3):
        for i in (0, 2, 4, 6, 8):
            assert (20 * i + 5 * k,) * 3 in flat
    tall = seed_sheet({0: [np.zeros((400, 20, 3), np.uint8)]}, [7], "x" * 5000, "")
    assert tall.shape[0] < 2000
    Image.fromarray(tall).save(io.BytesIO(), "PNG")
