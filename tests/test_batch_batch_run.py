"""Many scenes: what fails does not keep the others from their result, and what is killed goes on where it was."""

import errno
import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest
from batch_runs import left, partial, report, rooms, run_until, texture

from scenetex.batch import one_scene
from scenetex.batch.work_folder import work_folder
from scenetex.files.manifest import MANIFEST
from scenetex.files.output import DiskFull

RESULT = {"textured.obj", "textured.mtl", "textured.png", "sources.png", "views", "report.json", MANIFEST}
# How many moments to kill a run at; all file operations are as many as there are.
KILLS = int(os.environ.get("SCENETEX_KILLS", "7"))


def results(output: Path) -> set[str]:
    return {path.name for path in output.iterdir() if not path.name.startswith(".")}


def test_the_others_go_on(tmp_path, capsys):
    a, b, c = rooms(tmp_path / "scans", "a", "b", "c")
    (b / "color" / "10.jpg").write_bytes(b"no photo")
    assert texture([a, b, c], tmp_path / "out", "--keyframes", "all") == 1
    said = capsys.readouterr()
    assert said.err.count("\n") == 1 and "b: " in said.err and "10.jpg" in said.err
    assert results(tmp_path / "out") == {"a", "b.failed", "c"}
    assert {p.name for p in (tmp_path / "out" / "c").iterdir()} == RESULT
    failure = json.loads((tmp_path / "out" / "b.failed" / "failed.json").read_text())
    assert (failure["scene"], failure["stage"]) == ("b", "photos") and "10.jpg" in failure["message"]
    log = (tmp_path / "out" / "b.failed" / failure["log"]).read_text()
    assert log.startswith("Traceback") and "10.jpg" in log
    table = said.out.splitlines()
    assert table[-1] == "3 scenes: 2 done, 0 already there, 1 failed"
    assert [row.split()[:2] for row in table[-4:-1]] == [["a", "done"], ["b", "failed"], ["c", "done"]]
    assert "photos: " in table[-3] and "10.jpg" in table[-3]


def test_a_rerun_does_what_is_missing_and_forgets_failures(tmp_path, capsys):
    a, b = rooms(tmp_path / "scans", "a", "b")
    mesh = (b / "b_vh_clean_2.ply").read_bytes()
    (b / "b_vh_clean_2.ply").write_bytes(b"")
    assert texture([a, b], tmp_path / "out") == 1
    before = (tmp_path / "out" / "a" / "report.json").stat().st_mtime_ns
    (b / "b_vh_clean_2.ply").write_bytes(mesh)
    assert texture([], tmp_path / "out", "--root", str(tmp_path / "scans")) == 0
    assert "2 scenes: 1 done, 1 already there, 0 failed" in capsys.readouterr().out
    assert results(tmp_path / "out") == {"a", "b"}
    assert (tmp_path / "out" / "a" / "report.json").stat().st_mtime_ns == before


def test_bugs_are_recorded_too(tmp_path, monkeypatch, capsys):
    def broken(scene, *args, **kwargs):
        if scene.name == "a":
            raise ZeroDivisionError("a bug\nin two lines")
        return run_stages(scene, *args, **kwargs)

    run_stages = one_scene.run_stages
    monkeypatch.setattr(one_scene, "run_stages", broken)
    assert texture(rooms(tmp_path / "scans", "a", "b"), tmp_path / "out") == 1
    assert "ZeroDivisionError: a bug in two lines" in capsys.readouterr().err
    assert "broken" in (tmp_path / "out" / "a.failed" / "log.txt").read_text()
    assert results(tmp_path / "out") == {"a.failed", "b"}


def test_a_full_disk_ends_the_batch(tmp_path, monkeypatch, capsys):
    def full(folder, *args):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(one_scene, "write_results", full)
    assert texture(rooms(tmp_path / "scans", "a", "b"), tmp_path / "out") == 1
    said = capsys.readouterr()
    assert said.err.count("\n") == 1 and "No space left on device" in said.err and "free some space" in said.err
    assert "2 not done; the same command goes on from here" in said.out
    assert results(tmp_path / "out") == set() and not partial(tmp_path)
    monkeypatch.undo()
    assert texture([tmp_path / "scans" / "a", tmp_path / "scans" / "b"], tmp_path / "out") == 0
    assert {"unwrap", "paint"} <= set(report(tmp_path / "out", "a")["reused"])


def test_a_disk_that_fills_up_while_stages_are_kept(tmp_path, monkeypatch):
    class Full:
        def __init__(self, *args): ...

        def read(self, name): ...

        def write(self, name, arrays):
            raise DiskFull("out: cannot be written (No space left on device); free some space")

    monkeypatch.setattr(one_scene, "StageCache", Full)
    assert texture(rooms(tmp_path / "scans", "a"), tmp_path / "out") == 2
    assert results(tmp_path / "out") == set()


def test_scenes_that_another_run_works_on_are_waited_for(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("scenetex.batch.scenes._PAUSE", 0.01)
    a, b = rooms(tmp_path / "scans", "a", "b")
    held = work_folder(tmp_path / "out", "a")
    held.__enter__()
    done = []

    def watch(path, options, stages, part="all"):
        if path == b:
            held.__exit__(None, None, None)
        outcome = run(path, options, stages, part)
        done.append(path)
        return outcome

    run = one_scene.process
    monkeypatch.setattr(one_scene, "process", watch)
    assert texture([a, b], tmp_path / "out") == 0
    assert done == [b, a] and results(tmp_path / "out") == {"a", "b"}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """Two scenes, what a run leaves that nobody disturbs, and how many changes of the disk it makes."""
    folder = tmp_path_factory.mktemp("undisturbed")
    scenes = rooms(folder / "scans", "a", "b")
    code, changes = run_until(-1, signal.SIGKILL, scenes, folder / "out")
    assert code == 0
    return scenes, left(folder / "out"), changes


def whole_or_absent(output: Path, scenes) -> None:
    """Asserts that folders named after scenes are whole."""
    for scene in scenes:
        folder = output / scene.name
        if folder.exists():
            assert {p.name for p in folder.iterdir()} == RESULT
            assert all((folder / name).stat().st_size for name in report(output, scene.name)["files"])


def test_killed_at_any_moment_a_run_goes_on_and_comes_to_the_same(undisturbed, tmp_path):
    scenes, expected, changes = undisturbed
    assert changes > 30
    for moment in np.unique(np.linspace(1, changes, KILLS).astype(int)):
        output = tmp_path / str(moment)
        code, _ = run_until(int(moment), signal.SIGKILL, scenes, output)
        assert code == -signal.SIGKILL
        whole_or_absent(output, scenes)
        assert texture(scenes, output) == 0
        assert left(output) == expected and not partial(output), moment


@pytest.mark.parametrize(("end", "expected_code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGHUP, 129)])
def test_told_to_end_a_run_tidies_up_and_goes_on_later(undisturbed, tmp_path, end, expected_code):
    scenes, expected, changes = undisturbed
    code, _ = run_until(changes // 3, end, scenes, tmp_path / "out")
    assert code == expected_code and not partial(tmp_path)
    whole_or_absent(tmp_path / "out", scenes)
    assert texture(scenes, tmp_path / "out") == 0
    assert left(tmp_path / "out") == expected


def test_killed_in_the_last_stage_only_that_is_done_again(undisturbed, tmp_path, monkeypatch):
    scenes, expected, _ = undisturbed

    def dies(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(one_scene, "write_results", dies)
    assert texture(scenes, tmp_path / "out") == 130
    monkeypatch.undo()
    assert texture(scenes, tmp_path / "out") == 0
    assert {"keyframes", "unwrap", "refine", "paint"} == set(report(tmp_path / "out", "a")["reused"])
    assert report(tmp_path / "out", "b")["reused"] == []
    assert left(tmp_path / "out") == expected


def test_shards_make_the_whole(undisturbed, tmp_path):
    scenes, expected, _ = undisturbed
    for shard in ("0/2", "1/2"):
        assert texture(scenes, tmp_path / "out", "--shard", shard) == 0
    assert left(tmp_path / "out") == expected
