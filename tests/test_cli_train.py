"""``scenetex train``: options and mistakes at the command line."""

import os
import signal
import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import tiny_scan
from tiny_training import arguments, launch, options

from scenetex.cli.main import main
from scenetex.cli.train import main as train
from scenetex.training.training_options import LoopOptions, TrainOptions


def said(capsys, *given: str) -> str:
    """The one line that a bad command ends with."""
    assert main(["train", *given]) == 2
    out = capsys.readouterr()
    (line,) = [part for part in out.err.splitlines() if part.startswith("scenetex train: ")]
    assert "Traceback" not in out.err and not out.out
    return line


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"steps": 0}, "--steps 0 is out of range; choose 1 to"),
        ({"views": 5}, "--views 5 of each scene in a step, but it has --room-views 4"),
        ({"views": 1}, "--views 1: stage multi-view joins views; choose 2 or more"),
        ({"workers": -1}, "--workers -1 is out of range; choose 0 to"),
        ({"learning_rate": 0.0}, "--learning-rate 0.0 is out of range; choose more than 0 to"),
        ({"learning_rate": float("nan")}, "--learning-rate nan is out of range"),
        ({"average": 1.0}, "--average 1.0 is out of range; choose 0 to less than 1"),
        ({"image_size": (64, 4)}, "--image-size 4 is out of range; choose 8 to 8192"),
        ({"accumulation": 3}, "--samples 2 cannot be shared by 1 processes in 3 parts"),
        ({"device": "tpu"}, "tpu"),
        ({"precision": "fp8"}, "fp8"),
        ({"stage": "two"}, "two"),
        ({"stage": "detail", "crop": (520, 384)}, "--crop 520 384: choose 8 pixels or more, within the images"),
        ({"upscale_unet": Path("x")}, "--upscale-unet is for stage super-resolution"),
        ({"data": Path("x"), "materials": Path("y")}, "--materials are for procedural rooms"),
        ({"strayed": 0.5, "data": Path("x")}, "--strayed is for walks through procedural rooms"),
        ({"stage": "single-view", "whole": True}, "--whole is for multi-view and interpolation"),
        ({"materials": Path("nowhere")}, "nowhere: no such folder of material swatches"),
        ({"data": Path("nowhere")}, "nowhere: cannot be read"),
        ({"model": "nowhere"}, "nowhere: no such model folder"),
    ],
    ids=str,
)
def test_mistakes_are_one_line(capsys, tiny_models, tmp_path, monkeypatch, change, words):
    monkeypatch.chdir(tmp_path)
    asked = replace(options("multi-view", tiny_models, tmp_path / "run"), **change)
    assert words in said(capsys, *arguments(asked))
    assert not list(tmp_path.glob("run/*"))


def test_an_output_that_cannot_be_is_named(capsys, tiny_models, tmp_path):
    (tmp_path / "file").write_text("")
    asked = options("multi-view", tiny_models, tmp_path / "file" / "run")
    assert "a part of the path is a file" in said(capsys, *arguments(asked))


@pytest.mark.parametrize("broken", ["empty", "no prompts", "no depth", "no photos"])
def test_data_that_cannot_be_trained_on_is_one_line(capsys, tiny_models, tmp_path, broken):
    data = tmp_path / "data"
    data.mkdir()
    words = {
        "empty": "data: holds no scenes",
        "no prompts": "room: has no prompts; write prompt.txt",
        "no depth": "0 of the frames 2 to 100 have rendered depth, but a step takes 3",
        "no photos": "room: has no photos to train on",
    }
    if broken != "empty":
        # Looking up into a room without a ceiling, cameras see nothing.
        up = {i: tiny_scan.look(0.1 * i) @ _turn_up() for i in (2, 10, 100)} if broken == "no depth" else None
        scene = tiny_scan.write_extracted(data / "room", poses=up, color=broken != "no photos")
        if broken != "no prompts":
            (scene / "prompt.txt").write_text("a red room\n")
    asked = options("multi-view", tiny_models, tmp_path / "run", data=data, cache=tmp_path / "cache")
    assert words[broken] in said(capsys, *arguments(asked))
    assert not list(tmp_path.glob("cache/*/*")), "nothing half-made is kept"


def _turn_up():
    turn = np.eye(4)
    turn[:3, :3] = [[1, 0, 0], [0, 0, -1], [0, 1, 0]]
    return turn


def test_ctrl_c_is_one_line_and_leaves_nothing_half_written(tiny_models, tmp_path):
    asked = options("multi-view", tiny_models, tmp_path / "run", steps=100_000, save_every=2, workers=1)
    log = tmp_path / "log"
    process = launch(asked, log)
    while not list(tmp_path.glob("run/checkpoints/step-*")):
        assert process.is_alive(), log.read_text()
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGINT)
    process.join()
    error = log.read_text()
    assert process.exitcode == 130 and "Traceback" not in error
    assert error.rstrip().splitlines()[-1] == "scenetex train: interrupted; nothing half-written was left"
    assert not list(tmp_path.rglob("*.partial"))


def test_help_tells_every_option(capsys):
    with pytest.raises(SystemExit) as stop:
        train(["--help"])
    assert stop.value.code == 0
    shown = capsys.readouterr().out
    for name in TrainOptions.__dataclass_fields__:
        assert name == "stage" or f"--{name.replace('_', '-')}" in shown


def test_learning_rates():
    cosine = LoopOptions(steps=100, learning_rate=1.0, warmup=10)
    rates = [cosine.rate(step) for step in range(101)]
    assert rates[0] == pytest.approx(0.1, abs=1e-3) and rates[9] == pytest.approx(1, abs=0.03)
    assert rates[50] == pytest.approx(0.5, abs=1e-6) and rates[100] == pytest.approx(1e-7)
    assert all(a > b for a, b in pairwise(rates[9:]))
    constant = LoopOptions(steps=100, learning_rate=1.0, warmup=4, schedule="constant")
    assert [constant.rate(step) for step in (0, 1, 3, 4, 99)] == [0.25, 0.5, 1, 1, 1]


def test_sizes_follow_the_stage(tmp_path):
    small, large = (TrainOptions(stage=stage, output=tmp_path) for stage in ("multi-view", "super-resolution"))
    assert (small.size, large.size) == ((256, 192), (1024, 768))
    assert TrainOptions(stage="super-resolution", output=tmp_path, image_size=(128, 96)).size == (128, 96)
    assert small.cache_folder == tmp_path / "encoded"
