"""Worker processes: same results, no scene lost with a process that dies, none that takes for ever."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from multiprocessing import Pipe
from pathlib import Path
from types import SimpleNamespace

import pytest
from batch_runs import left, partial, rooms, run_until, texture

from scenetex.batch import workers
from scenetex.batch.progress import Board
from scenetex.batch.work_folder import Busy, work_folder
from scenetex.process.threads import VARIABLES


@pytest.fixture
def quick_start(monkeypatch):
    """Workers that need not import everything anew."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["batch_runs", "scenetex.batch.workers", "scenetex.report.preview"])
    monkeypatch.setattr(workers, "get_context", lambda kind: context)


def test_workers_come_to_the_same_as_one_process(tmp_path, capsys):
    scenes = rooms(tmp_path / "scans", "a", "b", "c")
    (tmp_path / "scans" / "b" / "color" / "2.jpg").write_bytes(b"no photo")
    assert texture(scenes, tmp_path / "one") == 1
    assert texture(scenes, tmp_path / "many", "--workers", "2") == 1
    said = capsys.readouterr()
    assert said.out.count("3 scenes: 2 done, 0 already there, 1 failed") == 2 and said.err.count("2.jpg") == 2
    one, many = left(tmp_path / "one"), left(tmp_path / "many")
    for found in (one, many):  # whose tracebacks and times differ
        del found["b.failed/log.txt"], found["b.failed/failed.json"]
    assert one == many


def test_a_scene_whose_worker_dies_is_tried_again_once(tmp_path, quick_start, monkeypatch, capsys):
    a, b, c = rooms(tmp_path / "scans", "a", "b", "c")
    given, give = [], workers._Worker.give

    def deadly(worker, scene, limit):
        given.append(scene)
        if scene == c or (scene == b and given.count(b) == 1):
            worker.process.kill()
        give(worker, scene, limit)

    monkeypatch.setattr(workers._Worker, "give", deadly)
    assert texture([a, b, c], tmp_path / "out", "--workers", "2") == 1
    assert sorted(given) == [a, b, b, c, c]
    said = capsys.readouterr()
    assert "c: its process was ended by SIGKILL; if memory was short, use fewer --workers" in said.err
    assert {p.name for p in (tmp_path / "out").glob("[!.]*")} == {"a", "b", "c.failed"}
    assert json.loads((tmp_path / "out" / "c.failed" / "failed.json").read_text())["scene"] == "c"


def test_a_scene_that_takes_too_long_fails(tmp_path, quick_start, capsys):
    (scan,) = rooms(tmp_path / "scans", "a")
    assert texture([scan], tmp_path / "out", "--time-limit", "0.02") == 1
    assert "a: took longer than the 0.02 s of --time-limit" in capsys.readouterr().err
    assert texture([scan], tmp_path / "out", "--time-limit", "300") == 0
    assert {p.name for p in (tmp_path / "out").glob("[!.]*")} == {"a"} and not partial(tmp_path)


def test_workers_do_not_outlive_a_run_that_is_killed(tmp_path):
    (scan,) = rooms(tmp_path / "scans", "a")
    # The parent's own first changes are few: it dies when it hears of the outcome, or before.
    code, _ = run_until(3, signal.SIGKILL, [scan], tmp_path / "out", "--workers", "1")
    assert code in (-signal.SIGKILL, 0)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            with work_folder(tmp_path / "out", "a"):
                return
        except Busy:
            time.sleep(0.1)
    pytest.fail("a worker went on without its parent and holds the scene's lock")


def test_a_worker_that_cannot_start_is_no_endless_loop(tmp_path, quick_start, monkeypatch, capsys):
    monkeypatch.setattr(workers, "work", exit)
    assert texture(rooms(tmp_path / "scans", "a", "b"), tmp_path / "out", "--workers", "1") == 2
    assert "5 worker processes in a row ended while they were starting" in capsys.readouterr().err


@pytest.mark.parametrize("moment", ["at once", "when it is heard first"])
def test_a_worker_that_is_killed_in_its_first_moments_is_replaced(tmp_path, quick_start, monkeypatch, capsys, moment):
    start, hear, killed = workers._start, workers._Worker.hear, []

    def kill(worker):
        if len(killed) < 3:
            worker.process.kill()
            worker.process.join()
            killed.append(worker.process.pid)

    def started(lane, options):
        worker = start(lane, options)
        if moment == "at once":
            kill(worker)
        return worker

    def heard(worker, board):
        outcome = hear(worker, board)
        if moment != "at once" and worker.ready and worker.scene is None and outcome is None:
            kill(worker)
        return outcome

    monkeypatch.setattr(workers, "_start", started)
    monkeypatch.setattr(workers._Worker, "hear", heard)
    assert texture(rooms(tmp_path / "scans", "a", "b"), tmp_path / "out", "--workers", "2") == 0
    said = capsys.readouterr()
    assert len(killed) == 3 and "2 scenes: 2 done, 0 already there, 0 failed" in said.out and not said.err
    assert {p.name for p in (tmp_path / "out").glob("[!.]*")} == {"a", "b"} and not partial(tmp_path)


def test_a_message_that_breaks_off_is_a_death_and_no_bug():
    ours, theirs = Pipe()
    worker = workers._Worker(0, None, ours)
    os.write(theirs.fileno(), b"\0\0\1\0half a message")
    theirs.close()
    assert worker.hear(Board(1, quiet=True)) is None


def test_loading_a_model_is_not_the_scenes_time(monkeypatch):
    now = 100.0
    monkeypatch.setattr(workers, "time", SimpleNamespace(monotonic=lambda: now))
    ours, theirs = Pipe()
    worker, board = workers._Worker(0, None, ours, ready=True), Board(1, quiet=True)
    worker.give(Path("room"), limit=10)
    for message in (("begin", "total", None), ("begin", "model", None)):
        theirs.send(message)
    assert worker.hear(board) is None
    now = 150.0
    assert not worker.is_late()
    theirs.send(("end", "model"))
    worker.hear(board)
    now = 159.9
    assert not worker.is_late() and worker.failure("a", "x").stage == "start"
    theirs.send(("begin", "paint", 7))
    worker.hear(board)
    now = 160.1
    assert worker.is_late() and worker.failure("a", "x").stage == "paint"


def test_the_libraries_take_one_thread_of_a_worker():
    alone = {name: value for name, value in os.environ.items() if not name.endswith("_THREADS")}
    told = subprocess.run(
        [sys.executable, "-c", "import torch; print(torch.get_num_threads())"],
        env=alone | dict.fromkeys(VARIABLES, "1"),
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout.strip() == "1"
