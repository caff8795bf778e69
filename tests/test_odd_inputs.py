"""Pipes, devices, symlinks to themselves, folders and noise in place of every input of every command: one line."""

import io
import json
import os
import shutil
from pathlib import Path

import pytest
import tiny_scan
import torch
from odd_files import ODD, in_time
from safetensors.torch import load_file, save_file
from test_limits import NEEDED, OPTIONS, kinds
from tiny_training import options as training_options

from scenetex import InputError
from scenetex.cli import main as cli
from scenetex.cli.texture import main as texture
from scenetex.cli.view import collect
from scenetex.limits import PathOrName
from scenetex.metrics.image_folder import read_images
from scenetex.report.overview import overview_page
from scenetex.training.training_run import run_training

ODD = ODD | {
    "noise": lambda path: path.write_bytes(b"\x80\x02\xff noise\0" * 9),
    "endless": lambda path: os.truncate(_new(path), 1 << 38),
}
# What else an option's command line needs, to get as far as its file.
BESIDE = {"mvdiffusion_checkpoint": ["--prompt", "x"], "controlnet": ["--prompt", "x"], "model": ["--prompt", "x"]}


def _new(path: Path) -> Path:
    path.touch()
    return path


def inputs() -> list[tuple[list[str], str, str]]:
    """Every option of every command that is a path to read."""
    from typing import get_type_hints

    found = []
    for words, kind, name in OPTIONS:
        hint = get_type_hints(kind, include_extras=True)[name]
        if (Path in kinds(hint) or PathOrName in getattr(hint, "__metadata__", ())) and name not in ("output", "cache"):
            found.append((words, kind.__name__, name))
    return found


INPUTS = inputs()


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize(("words", "kind", "name"), INPUTS, ids=lambda v: v if isinstance(v, str) else "-".join(v))
def test_every_input_of_every_command(words, kind, name, odd, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    ODD[odd](tmp_path / "odd")
    needed = ["mini"] if words[0] == "evaluate" and kind == "PanoramaOptions" else NEEDED.get(kind, ["mini"])
    needed = list(needed)
    positional = {"scenes": 0, "path": 0, "folder": 0}
    if name in positional or (name == "model" and words[0] == "evaluate"):
        needed[0] = "odd"
        given = []
    else:
        given = [f"--{name.replace('_', '-')}", "odd"]
    if words == ["texture"] and name in ("list", "root"):
        needed = needed[1:]
    given += BESIDE.get(name, []) if words == ["texture"] else []
    if name == "scene" and "--scene" in needed:
        needed = needed[:1]
    if name in ("clip_model", "inception_weights"):
        pytest.skip("read after the images; see the files of results below")
    with in_time(60):
        code = cli.main([*words, *needed, *given])
    said = capsys.readouterr()
    lines = [line for line in said.err.split("\n") if line]
    assert code == 2 and len(lines) == 1 and lines[0].isprintable(), (code, said)


@pytest.fixture(scope="module")
def result(tmp_path_factory) -> tuple[Path, Path]:
    """A tiny scan, and what came of it."""
    folder = tmp_path_factory.mktemp("result")
    scan = tiny_scan.write_extracted(folder / "room")
    tiny_scan.write_ply(next(scan.glob("*.ply")), faces=tiny_scan.ROOM_FACES[:, ::-1])
    given = ["--texture-size", "64", "--no-preview", "--no-refine-poses", "--quiet"]
    assert texture([str(scan), "--output", str(folder / "out"), *given]) == 0
    return scan, folder / "out" / "room"


@pytest.mark.parametrize("odd", ODD)
def test_every_file_of_a_result(result, odd, tmp_path):
    """As view, evaluate images, the index and a run that looks for earlier results read them."""
    scan, made = result
    copy, read = tmp_path / "out" / "room", 0
    shutil.copytree(made, copy)
    for path in sorted(copy.rglob("*")):
        if not path.is_file() or path.suffix in (".obj", ".mtl"):
            continue
        path.rename(tmp_path / "kept")
        ODD[odd](path)
        for reader in (
            lambda: collect(tmp_path / "out" / "room"),
            lambda: read_images(tmp_path / "out" / "room", scan),
        ):
            try:
                with in_time():
                    reader()
                read += 1
            except InputError as error:
                assert str(error).isprintable()
        with in_time():
            overview_page(tmp_path / "out")
        path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
        (tmp_path / "kept").rename(path)
    assert read > 0


def test_a_report_with_a_number_of_400_digits(result, tmp_path):
    scan, made = result
    shutil.copytree(made, tmp_path / "out" / "room")
    report = tmp_path / "out" / "room" / "report.json"
    known = json.loads(report.read_text())
    for where in ("coverage", "seconds", "axis_alignment", "settings"):
        report.write_text(json.dumps(known | {where: 10**400}))
        for reader in (collect, lambda folder: read_images(folder, scan)):
            with pytest.raises(InputError, match=r"report\.json: holds a number of 401 digits"):
                reader(tmp_path / "out" / "room")
        assert "room" not in overview_page(tmp_path / "out").partition("<main>")[2]


def test_a_result_reads_nothing_outside(result, tmp_path):
    scan, made = result
    shutil.copytree(made, tmp_path / "room")
    photo = tmp_path / "room" / "views" / "2.png"
    photo.rename(tmp_path / "2.png")
    photo.symlink_to(tmp_path / "2.png")
    for reader in (collect, lambda folder, allow_outside=False: read_images(folder, scan, allow_outside)):
        with pytest.raises(InputError, match=r"2\.png: leads out of the folder"):
            reader(tmp_path / "room")
        reader(tmp_path / "room", allow_outside=True)


@pytest.fixture(scope="module")
def trained(tiny_models, tmp_path_factory):
    asked = training_options("multi-view", tiny_models, tmp_path_factory.mktemp("run") / "run", steps=2, save_every=2)
    run_training(asked)
    return asked


def resumed(trained, tmp_path):
    shutil.copytree(trained.output, tmp_path / "run")
    return type(trained)(**{**vars(trained), "output": tmp_path / "run", "steps": 3, "cache": trained.cache_folder})


def state_with(**changes):
    def damage(folder: Path) -> None:
        path = folder / "state.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return damage


def moments_with(change):
    def damage(folder: Path) -> None:
        found = torch.load(folder / "optimizer.pt", weights_only=True)
        change(found["state"])
        data = io.BytesIO()
        torch.save(found, data)
        (folder / "optimizer.pt").write_bytes(data.getvalue())

    return damage


def weights_with(change, name="weights"):
    def damage(folder: Path) -> None:
        values = load_file(folder / f"{name}.safetensors")
        first = sorted(values)[0]
        save_file(values | {first: change(values[first])}, folder / f"{name}.safetensors")

    return damage


@pytest.mark.parametrize(
    "damage",
    [
        weights_with(lambda value: torch.zeros_like(value, dtype=torch.int32)),
        weights_with(lambda value: value.to(torch.complex64), "average"),
        weights_with(lambda value: value * torch.nan),
        weights_with(lambda value: value + torch.inf, "average"),
        moments_with(lambda state: state[0]["exp_avg"].fill_(torch.nan)),
        state_with(step=-1),
        state_with(step=float("inf")),
        state_with(step=1.5),
        state_with(step="2e0"),
        state_with(step=10**30),
        lambda folder: (folder / "state.json").write_text('{"step": 1e400, "run": {}}'),
        state_with(run=3),
        moments_with(lambda state: state[0].update(exp_avg=torch.zeros(1))),
        moments_with(lambda state: state[0].update(exp_avg=torch.zeros_like(state[0]["exp_avg"], dtype=torch.int32))),
        moments_with(lambda state: state[0].update(step=torch.zeros(5))),
        moments_with(lambda state: state[0].pop("exp_avg_sq")),
        moments_with(lambda state: state.update({10**6: state[0]})),
        moments_with(lambda state: state.update({0: 3})),
        moments_with(lambda state: state.update(a=state[0])),
    ],
)
def test_checkpoints_that_lie(trained, damage, tmp_path):
    asked = resumed(trained, tmp_path)
    damage(asked.output / "checkpoints" / "step-00000002")
    with pytest.raises(InputError, match=r"step-00000002: cannot be read .*; delete that folder") as caught:
        run_training(asked)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("name", ["weights.safetensors", "optimizer.pt", "losses.jsonl"])
def test_files_of_a_run(trained, name, odd, tmp_path):
    asked = resumed(trained, tmp_path)
    path = asked.output / name if name.startswith("losses") else asked.output / "checkpoints" / "step-00000002" / name
    path.unlink()
    ODD[odd](path)
    if name == "losses.jsonl" and odd in ("nothing", "loop"):
        return  # there is none, and it is written anew
    with in_time(), pytest.raises(InputError, match=rf"{name}: (cannot be|is a device)|cannot be read"):
        run_training(asked)
