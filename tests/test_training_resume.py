"""Runs that stop go on exactly: after a kill, in several processes, and only from what fits."""

import dataclasses
import json
import os
import resource
import shutil
import signal
import socket
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_training import launch, options

from scenetex import InputError
from scenetex.errors import InputWarning
from scenetex.files.output import DiskFull
from scenetex.training.checkpoint import _LASTING
from scenetex.training.training_folder import training_folder
from scenetex.training.training_options import _PLACES
from scenetex.training.training_run import run_training


def checkpoints(output: Path) -> list[str]:
    return sorted(p.name for p in (output / "checkpoints").glob("*"))


def weights(output: Path, step: int, name: str = "weights") -> dict[str, torch.Tensor]:
    return load_file(output / "checkpoints" / f"step-{step:08d}" / f"{name}.safetensors")


@pytest.fixture(scope="module")
def uninterrupted(tiny_models, tmp_path_factory):
    """A run of six steps, and its options."""
    asked = options("interpolation", tiny_models, tmp_path_factory.mktemp("whole") / "run", steps=6, save_every=2)
    run_training(asked)
    return asked


def same_weights(one: dict, other: dict, tolerance: float) -> None:
    assert one.keys() == other.keys() and one
    for name, value in one.items():
        torch.testing.assert_close(value, other[name], rtol=0, atol=tolerance)


def test_a_killed_run_goes_on_as_if_nothing_had_happened(uninterrupted, tmp_path):
    asked = options("interpolation", uninterrupted.cache.parent, tmp_path / "run", steps=6, save_every=2)
    log = tmp_path / "log"
    process = launch(asked, log)
    while not list(asked.output.glob("checkpoints/step-*")):
        assert process.is_alive(), log.read_text()
        time.sleep(0.002)
    process.kill()
    process.join()
    assert process.exitcode == -9 and "step-00000006" not in checkpoints(asked.output)
    run_training(asked)
    for name in ("weights", "average"):
        same_weights(weights(uninterrupted.output, 6, name), weights(asked.output, 6, name), 1e-6)
    rows = [(asked.output / "losses.jsonl").read_text() for asked in (uninterrupted, asked)]
    assert [json.loads(r)["step"] for r in rows[1].splitlines()] == [1, 2, 3, 4, 5, 6]
    for one, other in zip(*(map(json.loads, r.splitlines()) for r in rows), strict=True):
        assert one["loss"] == pytest.approx(other["loss"], abs=2e-6)


@pytest.mark.parametrize(
    ("ending", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)], ids=lambda v: str(int(v))
)
def test_told_to_end_a_run_saves_the_step_it_is_at(uninterrupted, tmp_path, ending, code):
    """However far it is; what comes of it in the end is the same."""
    asked = options("interpolation", uninterrupted.cache.parent, tmp_path / "run", steps=6, save_every=1000)
    log = tmp_path / "log"
    process = launch(dataclasses.replace(asked, steps=100_000), log)
    while b"1/100000" not in (log.read_bytes() if log.exists() else b""):
        assert process.is_alive(), log.read_text()
        time.sleep(0.002)
    os.kill(process.pid, ending)
    process.join(60)
    said = log.read_text().splitlines()[-2:]
    assert process.exitcode == code and "is saved; the same command goes on from there" in said[0], said
    assert said[1] == "scenetex train: interrupted; nothing half-written was left"
    (saved,) = checkpoints(asked.output)
    step = int(saved[-8:])
    assert step >= 1 and (asked.output / "model" / "model_index.json").is_file()
    assert len((asked.output / "losses.jsonl").read_text().splitlines()) == step
    if step < 6:
        run_training(asked)
        for name in ("weights", "average"):
            same_weights(weights(uninterrupted.output, 6, name), weights(asked.output, 6, name), 1e-6)


def test_what_a_killed_run_was_writing_is_gone_at_the_next_start(uninterrupted, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(uninterrupted.output, folder)
    half = "0123456789ab.partial"
    left = [folder / f".model.{half}" / "unet", folder / "checkpoints" / f".step-00000008.{half}"]
    for path in left:
        path.mkdir(parents=True)
    (folder / f".losses.jsonl.{half}").write_text("half")
    run_training(options("interpolation", uninterrupted.cache.parent, folder, steps=6, save_every=2))
    assert not list(folder.rglob("*.partial")) and checkpoints(folder) == ["step-00000004", "step-00000006"]


def test_one_training_at_a_time_works_in_a_folder(uninterrupted):
    with training_folder(uninterrupted, main=True):
        refused(uninterrupted, "run: another training is at work there; wait, or choose another output folder")


def test_a_run_that_never_began_leaves_no_folder(tiny_models, tmp_path, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("scenetex.training.training_run.build_stage", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run_training(options("multi-view", tiny_models, tmp_path / "deep" / "run"))
    assert not list(tmp_path.iterdir())


# Another value for each option that a run may go on with; whatever else decides on its course is refused.
OTHERS = {
    "learning_rate": 1e-3,
    "rooms": 9,
    "warmup": 7,
    "schedule": "cosine",
    "average": 0.5,
    "precision": "bf16",
    "crop": (16, 16),
    "noise_bias": 2.0,
    "expansion": 2,
    "perceptual": 0.5,
    "agreement": 0.5,
    "adversarial": 0.5,
    "redrawn": 0.5,
    "alignment": 0.5,
    "model": "elsewhere",
    "upscale_unet": Path("elsewhere"),
}


def test_no_option_that_decides_on_the_course_changes_in_silence(uninterrupted):
    """Each option is named where it changes, refused, or one of those that the course does not depend on."""
    course = uninterrupted.course()
    for field in dataclasses.fields(uninterrupted):
        known = field.name in _PLACES or field.name in ("steps", "output")
        assert known or field.name in course, f"{field.name}: neither in the course of a run nor apart from it"
        assert known or field.name in OTHERS or field.name in _LASTING, f"{field.name}: refused or followed?"
    for name, value in OTHERS.items():
        assert dataclasses.replace(uninterrupted, **{name: value}).course() != course
    faster = dataclasses.replace(uninterrupted, schedule="cosine")
    assert faster.course() != dataclasses.replace(faster, steps=99).course(), "where it falls to counts"


def test_another_learning_rate_is_followed_and_said(stopped):
    changed = dataclasses.replace(stopped, learning_rate=1e-3)
    with pytest.warns(InputWarning, match=r"step-00000004: was made with learning_rate 0\.002; goes on with 0\.001"):
        run_training(changed)
    state = stopped.output / "checkpoints" / "step-00000006" / "state.json"
    assert json.loads(state.read_text())["run"]["learning_rate"] == 1e-3


def test_the_last_two_checkpoints_are_kept(uninterrupted):
    assert checkpoints(uninterrupted.output) == ["step-00000004", "step-00000006"]


def test_a_finished_run_is_not_touched_and_more_steps_go_on(uninterrupted, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(uninterrupted.output, folder)
    before = {p: p.stat().st_mtime_ns for p in folder.rglob("*")}
    changes = dict(steps=6, save_every=2)
    run_training(options("interpolation", uninterrupted.cache.parent, folder, **changes))
    assert before == {p: p.stat().st_mtime_ns for p in folder.rglob("*")}
    run_training(options("interpolation", uninterrupted.cache.parent, folder, **(changes | {"steps": 7})))
    assert checkpoints(folder) == ["step-00000006", "step-00000007"]


@pytest.mark.parametrize("changes", [{}, {"device": "auto", "optimizer": "muon"}], ids=["adamw", "muon"])
def test_two_processes_give_the_gradient_of_one(tiny_models, tmp_path, changes):
    """The halves of a step, one in each process, against the whole: first moments hold a part of the gradient."""
    name, share = ("momentum", 0.05) if changes else ("exp_avg", 0.1)
    one = options("multi-view", tiny_models, tmp_path / "one", steps=1, **changes)
    run_training(one)
    two = options("multi-view", tiny_models, tmp_path / "two", steps=1, **changes)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    shared = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    log = tmp_path / "log"
    processes = [launch(two, log, RANK=str(rank), LOCAL_RANK=str(rank), **shared) for rank in range(2)]
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0], log.read_text()
    moments = []
    for asked in (one, two):
        path = asked.output / "checkpoints" / "step-00000001" / "optimizer.pt"
        state = torch.load(path, weights_only=True)["state"]
        moments.append([part[name] / share for part in state.values() if name in part])
    assert len(moments[0]) == len(moments[1]) > 20
    largest = max(float(m.abs().max()) for m in moments[0])
    for a, b in zip(*moments, strict=True):
        assert float((a - b).abs().max()) < 1e-5 * largest
    assert json.loads((one.output / "losses.jsonl").read_text()) == json.loads(
        (two.output / "losses.jsonl").read_text()
    )


@pytest.fixture
def stopped(uninterrupted, tmp_path):
    """The run after its fourth step, to be gone on with."""
    folder = tmp_path / "run"
    shutil.copytree(uninterrupted.output, folder)
    shutil.rmtree(folder / "checkpoints" / "step-00000006")
    return options("interpolation", uninterrupted.cache.parent, folder, steps=6, save_every=2)


def refused(asked, words: str) -> None:
    """Training ends with one line, and what was there is still there."""
    before = {p: p.read_bytes() for p in asked.output.rglob("*") if p.is_file()}
    with pytest.raises(InputError, match=words) as error:
        run_training(asked)
    assert "\n" not in str(error.value)
    assert before == {p: p.read_bytes() for p in asked.output.rglob("*") if p.is_file()}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"samples": 1}, "was made with samples 2, not 1; choose another output folder, or the same settings"),
        ({"seed": 1}, "was made with data RoomStream.seed=0, .* not RoomStream.seed=1"),
        ({"stage": "multi-view"}, "was made with stage interpolation, not multi-view"),
        ({"optimizer": "muon"}, "was made with optimizer adamw, not muon"),
    ],
)
def test_another_runs_settings_are_refused(stopped, change, words):
    refused(type(stopped)(**{**vars(stopped), **change}), words)


def test_a_run_on_other_frozen_weights_is_refused(stopped):
    path = stopped.output / "checkpoints" / "step-00000004" / "state.json"
    state = json.loads(path.read_text())
    state["run"]["frozen"] = "0123456789abcdef"
    path.write_text(json.dumps(state))
    refused(stopped, "was made with frozen 0123456789abcdef")


def test_a_checkpoint_of_another_architecture_is_refused(stopped):
    path = stopped.output / "checkpoints" / "step-00000004" / "weights.safetensors"
    values = load_file(path)
    name = sorted(values)[3]
    save_file({**values, name: torch.zeros(3, 5)}, path)
    refused(stopped, r"is a checkpoint of another architecture .* \(3, 5\) there, \(.*\) here")
    save_file({k: v for k, v in values.items() if k != name}, path)
    refused(stopped, "is a checkpoint of another architecture .* nothing there")


@pytest.mark.parametrize("name", ["weights.safetensors", "average.safetensors", "optimizer.pt", "state.json"])
@pytest.mark.parametrize("damage", ["cut", "noise"])
def test_a_damaged_checkpoint_is_named_and_the_one_before_taken(stopped, name, damage):
    newest = stopped.output / "checkpoints" / "step-00000005"
    shutil.copytree(stopped.output / "checkpoints" / "step-00000004", newest)
    path = newest / name
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 3] if damage == "cut" else b"\x80\x02noise" * 9)
    refused(stopped, "step-00000005: cannot be read .*; delete that folder to go on from the one before")


def test_moments_of_another_optimizer_are_named(stopped):
    torch.save({"state": {}, "param_groups": []}, stopped.output / "checkpoints" / "step-00000004" / "optimizer.pt")
    refused(stopped, "step-00000004: cannot be read")


@pytest.mark.parametrize("limit", [60_000, 200_000])
def test_a_full_disk_keeps_the_last_checkpoint(stopped, limit):
    """Files cannot grow beyond a limit, which for writing programs is the same as a full disk."""
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    before = {p: p.read_bytes() for p in (stopped.output / "checkpoints").rglob("*") if p.is_file()}
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        with pytest.raises(
            InputError, match=r"cannot be written \(File too large\); raise the file size limit"
        ) as error:
            run_training(stopped)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    assert "\n" not in str(error.value)
    assert before == {p: p.read_bytes() for p in (stopped.output / "checkpoints").rglob("*") if p.is_file()}
    assert not list(stopped.output.rglob("*.partial"))
    run_training(stopped)
    assert checkpoints(stopped.output)[-1] == "step-00000006"


def test_a_disk_that_fills_up_is_told_apart(stopped, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("scenetex.training.checkpoint.save_file", full)
    with pytest.raises(DiskFull, match=r"No space left on device\); free some space"):
        run_training(stopped)
    assert checkpoints(stopped.output) == ["step-00000004"]


def test_a_damaged_log_is_named(stopped):
    (stopped.output / "losses.jsonl").write_text('{"step": 1, "lo')
    refused(stopped, "losses.jsonl: cannot be read; delete it")
