"""Results of one scene side by side: their names, what they share, and what is said when one takes another's place."""

import json
from pathlib import Path

import pytest
import tiny_pipeline
import tiny_scan
from batch_runs import QUICK, partial, report, rooms, texture

from scenetex.batch import one_scene
from scenetex.batch.work_folder import work_folder
from scenetex.cli import texture as texture_command
from scenetex.files.locks import Busy
from scenetex.job.load_model import load_model

LOUD = tuple(word for word in QUICK if word != "--quiet")


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    tiny_pipeline.make_pipeline(folder / "tokens").save_pretrained(folder / "tiny")
    return folder / "tiny"


@pytest.fixture
def paint(model, tmp_path, monkeypatch, capsys):
    """Textures a scan from a prompt, and returns what was said on stderr; `calls` are prompts that were generated."""
    (scan,) = rooms(tmp_path / "scans", "room")
    calls = []

    def counting(generation):
        pipe = load_model(generation)
        plain = type(pipe).__call__
        monkeypatch.setattr(
            type(pipe), "__call__", lambda self, prompt, *a, **k: calls.append(prompt) or plain(self, prompt, *a, **k)
        )
        return pipe

    pipes = {}
    monkeypatch.setattr(one_scene, "_model", lambda g: pipes.get("one") or pipes.setdefault("one", counting(g)))

    def run(prompt: str, *options: str) -> str:
        given = ["--prompt", prompt, "--model", str(model), "--steps", "1", "--image-size", "64x48", "--between", "0"]
        capsys.readouterr()
        arguments = [str(scan), "--output", str(tmp_path / "out"), *LOUD, *given, "--device", "cpu", *options]
        assert texture_command.main(arguments) == 0
        return capsys.readouterr().err

    run.calls = calls
    return run


def views(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (folder / "views").glob("*.png")}


def test_named_results_stand_side_by_side(paint, tmp_path):
    out = tmp_path / "out"
    assert "replaced" not in paint("a red room", "--report")
    assert "replaced" not in paint("a blue room", "--name", "warm", "--seed", "1", "--report")
    assert {p.name for p in out.iterdir() if not p.name.startswith(".")} == {"room", "room-warm", "index.html"}
    assert report(out, "room")["prompt"] == "a red room" and report(out, "room")["name"] is None
    assert report(out, "room-warm")["prompt"] == "a blue room" and report(out, "room-warm")["name"] == "warm"
    assert views(out / "room") != views(out / "room-warm")
    assert "unwrap" in report(out, "room-warm")["reused"], "what does not depend on the prompt is made once"
    index = (out / "index.html").read_text()
    assert 'href="room/report.html"' in index and 'href="room-warm/report.html"' in index
    assert "<h1>room-warm</h1>" in (out / "room-warm" / "report.html").read_text()
    assert not partial(out)


def test_who_comes_back_to_a_prompt_finds_its_images(paint, tmp_path):
    """A, B, A again: A is generated once, under one name or another."""
    assert "replaced" not in paint("a red room")
    first = views(tmp_path / "out" / "room")
    said = paint("a blue room")
    assert "room: replaced the earlier result ('a red room'); --name NAME keeps several side by side" in said
    assert report(tmp_path / "out", "room")["notes"][-1].startswith("replaced the earlier result")
    assert "replaced the earlier result ('a blue room')" in paint("a red room")
    paint("a red room", "--name", "again")
    assert paint.calls == ["a red room", "a blue room"]
    assert views(tmp_path / "out" / "room") == views(tmp_path / "out" / "room-again") == first
    assert "images" in report(tmp_path / "out", "room-again")["reused"]
    assert "replaced" not in paint("a red room", "--formats", "glb"), "the same images"


def test_batches_give_every_scene_the_name(tmp_path, capsys):
    scans = rooms(tmp_path / "scans", "a", "b", "c")
    (scans[1] / "color" / "10.jpg").write_bytes(b"no photo")
    options = ("--keyframes", "all", "--name", "warm")
    assert texture(scans, tmp_path / "out", *options, "--workers", "1") == 1
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {".stages", "a-warm", "b-warm.failed", "c-warm"}
    assert json.loads((tmp_path / "out" / "b-warm.failed" / "failed.json").read_text())["scene"] == "b-warm"
    assert [row.split()[0] for row in capsys.readouterr().out.splitlines()[-4:-1]] == ["a-warm", "b-warm", "c-warm"]
    tiny_scan.write_extracted(tmp_path / "other" / "b", depth=False)
    (scans[1] / "color" / "10.jpg").write_bytes((tmp_path / "other" / "b" / "color" / "10.jpg").read_bytes())
    assert texture(scans, tmp_path / "out", *options, "--shard", "1/3") == 0
    assert (tmp_path / "out" / "b-warm").is_dir() and not (tmp_path / "out" / "b-warm.failed").exists()


def test_two_names_are_worked_on_at_the_same_time(tmp_path):
    (scan,) = rooms(tmp_path / "scans", "room")
    with work_folder(tmp_path / "out", "room-warm"):
        assert texture([scan], tmp_path / "out") == 0
        with pytest.raises(Busy), work_folder(tmp_path / "out", "room-warm"):
            pass


def test_a_name_that_makes_another_scenes_is_refused(tmp_path, capsys):
    room, other = rooms(tmp_path / "scans", "room", "room-warm")
    assert texture([room], tmp_path / "out", "--name", "warm") == 0
    before = (tmp_path / "out" / "room-warm" / "report.json").read_bytes()
    assert texture([other], tmp_path / "out") == 2
    assert "room-warm: is the result of scene room; choose another --name" in capsys.readouterr().err
    assert (tmp_path / "out" / "room-warm" / "report.json").read_bytes() == before


@pytest.mark.parametrize(
    "name",
    [
        "",
        " ",
        ".",
        "..",
        "a/b",
        "/a",
        "a.b",
        ".stages",
        "warm.failed",
        "index.html",
        "a\nb",
        "\x1b[31m",
        "a b",
        "x" * 65,
    ],
)
def test_names_that_are_none(name, tmp_path, capsys):
    assert texture(["nowhere"], tmp_path / "out", f"--name={name}") == 2
    said = capsys.readouterr().err
    assert "--name" in said and said.count("\n") == 1 and said.rstrip("\n").isprintable()
    assert not list(tmp_path.iterdir())


def test_names_of_any_language(tmp_path):
    (scan,) = rooms(tmp_path / "scans", "room")
    assert texture([scan], tmp_path / "out", "--name", "Wärme_2-赤") == 0
    assert (tmp_path / "out" / "room-Wärme_2-赤" / "textured.obj").is_file()


def test_long_names_of_scenes_leave_room_for_a_name(tmp_path, capsys):
    (scan,) = rooms(tmp_path / "scans", "r" * 200)
    assert texture([scan], tmp_path / "out", "--name", "x" * 60) == 2
    assert "choose a shorter --name" in capsys.readouterr().err and not (tmp_path / "out").exists()
