"""What somebody edits, or puts in the place of, a file that we wrote outlives all later runs."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from batch_runs import rooms
from test_nothing_lost import everything, refused, texture
from tiny_training import options

from scenetex import InputError
from scenetex.errors import InputWarning
from scenetex.training.training_run import run_training

NOTES = b"my notes, years of work"


@pytest.fixture
def scans(tmp_path) -> Path:
    """A folder of a scan."""
    rooms(tmp_path / "scans", "kitchen")
    return tmp_path / "scans"


@pytest.mark.parametrize("change", ["notes", "a report", "an earlier version", "a link"])
def test_an_index_that_is_not_as_we_wrote_it_stays(scans, tmp_path, capsys, change):
    out = tmp_path / "out"
    given = (scans / "kitchen", "--output", out, "--report")
    assert texture(*given) == 0
    index = out / "index.html"
    page = index.read_text()
    if change == "notes":
        index.write_text(page + "<p>my notes, years of work</p>\n")
    elif change == "a report":
        index.write_bytes((out / "kitchen" / "report.html").read_bytes())
    elif change == "an earlier version":
        index.write_text("\n".join(page.splitlines()[:-1]) + "\n")
    else:
        index.rename(tmp_path / "pages.html")
        index.symlink_to(tmp_path / "pages.html")
    before = everything(tmp_path)
    for more in ((), ("--texture-size", "128")):
        capsys.readouterr()
        refused(capsys, tmp_path, texture(*given, *more), "it may be made by an earlier version); move it away")
        assert everything(tmp_path) == before
    before = {index: before[index]}
    assert texture(*given[:-1], "--texture-size", "128") == 0, "who asks for no index gets none"
    assert "index.html: was changed since" in capsys.readouterr().err
    assert before.items() <= everything(tmp_path).items()


EDITS = {
    "cut": lambda data: data[: len(data) // 2],
    "longer": lambda data: data + b"my notes",
    "edited": lambda data: data[:-1] + bytes([data[-1] ^ 1]),
}


@pytest.mark.parametrize("edit", EDITS)
@pytest.mark.parametrize("name", ["textured.obj", "textured.png", "views/2.png", "views/cameras.json"])
def test_a_result_with_a_file_that_is_not_as_we_wrote_it(scans, tmp_path, capsys, edit, name):
    """It is not taken for whole, and not lost: somebody may have worked on it."""
    out = tmp_path / "out"
    given = (scans / "kitchen", "--output", out)
    assert texture(*given) == 0
    file = out / "kitchen" / name
    whole = file.read_bytes()
    file.write_bytes(EDITS[edit](whole))
    before = everything(out / "kitchen")
    for more in ((), ("--texture-size", "128")):
        capsys.readouterr()
        refused(capsys, out, texture(*given, *more), f"kitchen: holds {name}, which scenetex did not write, or which")
        assert everything(out / "kitchen") == before
    file.rename(tmp_path / "mine")
    assert texture(*given) == 0 and file.read_bytes() == whole
    assert (tmp_path / "mine").read_bytes() == before[file]


def test_an_empty_file_in_a_result_is_nobodys_work(scans, tmp_path, capsys):
    given = (scans / "kitchen", "--output", tmp_path / "out")
    assert texture(*given) == 0
    file = tmp_path / "out" / "kitchen" / "textured.png"
    whole = file.read_bytes()
    file.write_bytes(b"")
    assert texture(*given) == 0 and file.read_bytes() == whole
    assert "already there" not in capsys.readouterr().out


def test_notes_in_a_report_outlive_other_settings(scans, tmp_path, capsys):
    given = (scans / "kitchen", "--output", tmp_path / "out")
    assert texture(*given) == 0
    report = tmp_path / "out" / "kitchen" / "report.json"
    for edited in (report.read_text() + "my notes", json.dumps({"note": "years of work"})):
        report.write_text(edited)
        capsys.readouterr()
        refused(capsys, tmp_path, texture(*given, "--texture-size", "128"), "kitchen: holds report.json")
        assert report.read_text() == edited


@pytest.fixture(scope="module")
def begun(tiny_models, tmp_path_factory):
    """Options of a training that has done a step and made a picture of it."""
    asked = options("interpolation", tiny_models, tmp_path_factory.mktemp("runs") / "run", steps=1)
    asked = replace(asked, picture_every=1, save_every=1)
    run_training(asked)
    return asked


def test_pictures_of_a_training_that_somebody_drew_on_are_kept(begun, capsys):
    run = begun.output
    curve, picture = run / "losses.png", run / "pictures" / "step-00000002.png"
    before = curve.read_bytes()
    for file in (curve, picture):
        file.write_bytes(NOTES)
    with pytest.warns(InputWarning, match=r"was changed since .* it is \S+kept-1\.png now"):
        run_training(replace(begun, steps=2))
    for file in (curve, picture):
        assert file.with_name(f"{file.stem}.kept-1.png").read_bytes() == NOTES
        assert file.read_bytes().startswith(b"\x89PNG") and file.read_bytes() != before
    run_training(replace(begun, steps=3))
    assert len(list(run.rglob("*.kept-*"))) == 2, "what a run wrote itself it writes over"


def test_notes_among_losses_are_refused_before_the_work(begun):
    log = begun.output / "losses.jsonl"
    text = log.read_text()
    for more in ('{"step": 1, "loss": 0.5, "note": "years of work"}\n', "my notes\n", '{"loss": 0.5, "step": 1}\n'):
        log.write_text(text + more)
        before = everything(begun.output)
        with pytest.raises(InputError, match=r"losses\.jsonl: .* move it away[ ,]"):
            run_training(replace(begun, steps=9))
        assert everything(begun.output) == before
    log.write_text(text)


@pytest.mark.parametrize("name", ["pictures", "model", "checkpoints", "encoded", "."])
def test_an_empty_folder_of_somebodys_stays(tiny_models, tmp_path, monkeypatch, name):
    mine = tmp_path / "run" / name
    mine.mkdir(parents=True)

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("scenetex.training.training_run.build_stage", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run_training(options("multi-view", tiny_models, tmp_path / "run"))
    assert mine.is_dir()


def test_a_quiet_training_shows_no_bars(tiny_models, tmp_path, capfd):
    asked = options("interpolation", tiny_models, tmp_path / "run", steps=1)
    run_training(replace(asked, quiet=True))
    said = capfd.readouterr()
    assert said.err == "" and said.out.count("\n") == 1 and "run/model: the model" in said.out
