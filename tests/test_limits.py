"""What values options may have: every option of every command is walked, one that is added later, too."""

import importlib
import inspect
import math
import os
import re
import types
from dataclasses import fields, is_dataclass, make_dataclass
from pathlib import Path
from typing import Annotated, Union, get_args, get_origin, get_type_hints

import numpy as np
import pytest
import tyro

from scenetex import InputError
from scenetex.cli import main as cli
from scenetex.cli.parsing import parse
from scenetex.errors import plain
from scenetex.job.generation import Generation
from scenetex.job.options import TextureOptions
from scenetex.job.run import run_stages
from scenetex.limits import Between, PathOrName, check_options, check_value, option_name
from scenetex.pipelines import MVDiffusionPanoramaPipeline, MVDiffusionPipeline
from scenetex.sampling import Sampling
from scenetex.texture.unwrap import unwrap

# What a command cannot do without.
NEEDED = {
    "TextureOptions": ["room", "--output", "out"],
    "TrainOptions": ["multi-view", "--output", "out"],
    "PanoramaOptions": ["a room", "--output", "out.png"],
    "ViewOptions": ["room"],
    "ImagesOptions": ["out", "--scene", "room"],
    "PhotosOptions": ["room"],
    "ModelOptions": ["mini"],
    "UpscaleOptions": ["mini"],
    "AppOptions": [],
}


def unwrapped(hint) -> tuple[object, tuple]:
    """A type without its annotations, and these."""
    marks: tuple = ()
    while get_origin(hint) is Annotated:
        hint, marks = hint.__origin__, marks + hint.__metadata__
    return hint, marks


def kinds(hint) -> set:
    """All plain types within a type."""
    hint, _ = unwrapped(hint)
    inner = get_args(hint) if get_origin(hint) in (Union, types.UnionType, tuple, list) else ()
    return set().union(*map(kinds, inner)) if inner else {hint}


def classes() -> list[tuple[list[str], type]]:
    """Words of every command, and the dataclass of its options."""
    found = []
    for command in cli.COMMANDS:
        home = importlib.import_module(f"scenetex.cli.{command}")
        if command == "evaluate":
            for part in get_args(home.Options):
                inner, marks = unwrapped(part)
                name = next(m.name for m in marks if isinstance(m, tyro.conf._confstruct._SubcommandConfig))
                found.append(([command, name], inner))
            continue
        (options,) = {v for k, v in vars(home).items() if k.lower() == f"{command}options" and is_dataclass(v)}
        found.append(([command], options))
    return found


CLASSES = classes()
OPTIONS = [(words, kind, field.name) for words, kind in CLASSES for field in fields(kind)]
NUMBERS = [
    (words, kind, name, hint)
    for words, kind, name in OPTIONS
    for hint in [get_type_hints(kind, include_extras=True)[name]]
    if kinds(hint) & {int, float}
]


def run(capsys, words, kind, name, *values) -> str:
    """The one line that a command ends with."""
    needed = NEEDED.get(kind.__name__, ["mini"])
    if kind.__name__ == "PanoramaOptions" and words[0] == "evaluate":
        needed = ["mini"]
    capsys.readouterr()
    flag = f"--{name.replace('_', '-')}"
    given = [f"{flag}={values[0]}"] if len(values) == 1 else [flag, *values]
    code = cli.main([*words, *needed, *given])
    said = capsys.readouterr()
    assert code == 2 and said.out == "" and said.err.count("\n") == 1, said
    return said.err


def test_all_commands_are_walked():
    assert len(CLASSES) >= 9 and len(NUMBERS) > 40


@pytest.mark.parametrize(("words", "kind", "name", "hint"), NUMBERS, ids=lambda v: v if isinstance(v, str) else "")
def test_every_number_has_limits_and_is_held_to_them(words, kind, name, hint, capsys, monkeypatch, tmp_path):
    """nan, infinite, negative and absurd numbers get one line before any work: the option, and what is allowed."""
    monkeypatch.chdir(tmp_path)
    plain, marks = unwrapped(hint)
    (limits,) = [mark for mark in marks if isinstance(mark, Between)]
    assert math.isfinite(limits.least) and math.isfinite(limits.most)
    absurd = [str(int(limits.most) + 1), "1" + "0" * 30, str(math.ceil(limits.least) - 1)]
    absurd += ["nan", "inf", "-inf", "1e400"] if float in kinds(hint) else []
    pair = "tuple" in str(plain)
    for value in absurd:
        said = run(capsys, words, kind, name, *[value] * (1 + pair))
        assert f"--{name.replace('_', '-')} " in said and str(limits) in said, said
    assert not list(tmp_path.iterdir())


def test_commands_that_load_scenes_can_be_allowed_to_read_outside():
    loading = [kind for words, kind in CLASSES for field in fields(kind) if field.name in ("scenes", "scene", "data")]
    loading += [kind for words, kind in CLASSES if words == ["view"]]
    assert len(loading) >= 6 and all("allow_outside" in {field.name for field in fields(kind)} for kind in loading)


# What people and scripts put in place of a value.
ODD = ["nan", "inf", "-inf", "-1", "0", "1e400", "9" * 30, "abc", "", "1,5", "\x1b[31m", "x" * 300, "٣"]


@pytest.mark.parametrize(("words", "kind", "name"), OPTIONS, ids=lambda v: v if isinstance(v, str) else "")
def test_odd_values_of_every_option_are_allowed_or_one_line(words, kind, name, monkeypatch, tmp_path):
    """What `parse` lets through is what the annotations allow: nothing is left for later, and nothing leaks."""
    monkeypatch.chdir(tmp_path)
    hints = get_type_hints(kind, include_extras=True)
    flag = option_name(name, hints)
    if not flag.startswith("--") or kinds(hints[name]) == {bool}:
        return
    needed = ["mini"] if words == ["evaluate", "panorama"] else NEEDED.get(kind.__name__, ["mini"])
    for value in ODD:
        try:
            found = parse(kind, "scenetex", [*needed, f"{flag}={value}"])
        except InputError as error:
            line = plain(" ".join(str(error).split()))  # as a command line prints it
            assert len(line) < 600
            assert not re.search(r"parsing|literal|instantiated|class|INT|FLOAT|Expected|Traceback", line), line
        else:
            check_value(getattr(found, name), hints[name], flag)
            assert not kinds(hints[name]) & {int, float} or value in ("0", "-1", "٣"), "no number, but taken for one"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("value", ["mps", "toaster", "cuda:", "cuda:x", "CUDA", "cpu:0", "meta"])
def test_devices_that_nothing_can_work_on(value, capsys):
    for _, command in DEVICES:
        assert cli.main([*command, f"--device={value}"]) == 2
        said = capsys.readouterr().err
        assert f"--device '{value}' is not" in said and "auto, cpu, cuda" in said and said.count("\n") == 1
    with pytest.raises(InputError, match=f"^device '{value}' is not known"):
        Generation("a room", device=value)


DEVICES = [
    (kind, [*words, *(["mini"] if words == ["evaluate", "panorama"] else NEEDED.get(kind.__name__, ["mini"]))])
    for words, kind in CLASSES
    if "device" in {field.name for field in fields(kind)}
]


def test_gpus_that_are_not_here_are_said_before_any_work(capsys, monkeypatch, tmp_path):
    """Of every command, photos to texture as well; but of a cluster, others may have them."""
    monkeypatch.chdir(tmp_path)
    assert len(DEVICES) >= 6
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    for _, command in DEVICES:
        assert cli.main([*command, "--device", "cuda"]) == 2
        assert "--device 'cuda': torch finds no CUDA GPU" in capsys.readouterr().err
    parse(TextureOptions, "p", ["room", "--output", "out", "--device", "cuda", "--ray", "10.0.0.1:6379"])
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    parse(TextureOptions, "p", ["room", "--output", "out", "--device", "cuda:1"])
    with pytest.raises(InputError, match="'cuda:2': torch finds 2 CUDA GPUs; choose cuda:1"):
        parse(TextureOptions, "p", ["room", "--output", "out", "--device", "cuda:2"])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "function",
    [
        run_stages,
        unwrap,
        MVDiffusionPipeline.__call__,
        MVDiffusionPipeline.upscale,
        MVDiffusionPanoramaPipeline.__call__,
    ],
    ids=lambda function: function.__qualname__,
)
def test_numbers_from_python_are_held_to_their_limits_before_anything_else(function):
    """Every number that the function takes; the others are nothing that it could work with."""
    parameters = inspect.signature(function).parameters
    numbers = {name: p.annotation for name, p in parameters.items() if kinds(p.annotation) & {int, float}}
    required = {name: None for name, p in parameters.items() if p.default is inspect.Parameter.empty}
    assert len(numbers) >= 2
    for name, hint in numbers.items():
        (limits,) = [mark for mark in unwrapped(hint)[1] if isinstance(mark, Between)]
        for value in (math.nan, math.inf, -1, 10**30, "abc", True, limits.most + 1):
            with pytest.raises(InputError, match=f"^{name} .*choose {re.escape(str(limits))}$") as caught:
                function(**required | {name: value})
            assert str(caught.value).isprintable()


def test_numpys_numbers_are_numbers():
    Sampling(seed=np.int64(3), guidance_scale=np.float32(2.5), steps=np.uint8(4))
    Generation("a room", image_size=[64, 48])
    for change in ({"steps": 2.5}, {"steps": np.float64(2)}, {"fusion": "off"}, {"model": 3}, {"image_size": (64,)}):
        with pytest.raises(InputError, match=f"^{next(iter(change))} "):
            Generation.of({"prompt": "a room"} | change)


PATHS = [(words, kind, name) for words, kind, name in OPTIONS]


@pytest.mark.parametrize(("words", "kind", "name"), PATHS, ids=lambda v: v if isinstance(v, str) else "")
def test_every_path_and_text(words, kind, name, tmp_path, monkeypatch):
    """Names of 300 letters, symlinks to themselves, and what is no text."""
    monkeypatch.chdir(tmp_path)
    hint = get_type_hints(kind, include_extras=True)[name]
    plain, marks = unwrapped(hint)
    within = kinds(hint)
    os.symlink("loop", "loop")

    def check(value):
        check_options(make_dataclass("One", [(name, hint)])((value,) if get_origin(plain) is tuple else value))

    flag = f"{name} " if any("Positional" in repr(mark) for mark in marks) else f"--{name.replace('_', '-')} "
    if Path in within:
        for path in ("a" * 300, "a/" * 3000, "loop", "a\0b"):
            with pytest.raises(InputError, match=flag) as caught:
                check(Path(path))
            assert str(caught.value).isprintable()
        check(Path("none/there"))
    if str in within:
        with pytest.raises(InputError, match=f"{flag}.* no text in UTF-8"):
            check("a \udcff room")
        if name in ("model", "controlnet", "clip_model"):
            assert PathOrName in marks
        if PathOrName in marks:
            with pytest.raises(InputError, match=flag):
                check("a" * 300)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("steps", 1001),
        ("guidance_scale", math.nan),
        ("guidance_scale", -1.0),
        ("image_size", (10**6, 10**6)),
        ("seed", -1),
        ("seed", 2**63),
        pytest.param("seed", 10**400, id="huge"),
        ("upscale", 0),
        ("prompt", "\udcff"),
        ("joint_views", 3),
    ],
)
def test_values_from_python_go_the_same_way(name, value):
    with pytest.raises(InputError, match=f"^{name} ") as caught:
        Generation.of({"prompt": "a room"} | {name: value})
    assert str(caught.value).isprintable() and len(str(caught.value)) < 200


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("0", "--keyframes 0 is out of range; choose 1 to 1000000"),
        ("-3", "--keyframes -3 is out of range"),
        ("every:0", "--keyframes 0 is out of range"),
        ("every:-2", "--keyframes -2 is out of range"),
        ("9999999999999999999", "--keyframes 9999999999999999999 is out of range"),
        ("9" * 29, "--keyframes of 97 bits is out of range"),
        (",", "--keyframes ',' is not understood"),
    ],
)
def test_numbers_of_keyframes_have_limits(text, says, capsys):
    for command in (["texture", "room", "--output", "out"], ["evaluate", "photos", "room"]):
        assert cli.main([*command, f"--keyframes={text}"]) == 2
        assert says in capsys.readouterr().err


@pytest.mark.parametrize("text", ["often", "every:x", "1,b", "9" * 5000, "\x1b[31m", "every:1e9"])
def test_keyframes_are_understood_before_any_work(text, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for command in (["texture", "room", "--output", "out"], ["evaluate", "photos", "room"]):
        assert cli.main([*command, "--keyframes", text]) == 2
        said = capsys.readouterr().err
        assert "is not understood" in said and said.count("\n") == 1 and said.rstrip("\n").isprintable()


@pytest.mark.parametrize("text", ["nan,0,0", "1,inf,2", "1e300,0,0", "1,2"])
def test_positions_are_places(text, capsys):
    assert cli.main(["panorama", "a room", "-o", "x.png", "--scene", "room", f"--position={text}"]) == 2
    assert "--position" in capsys.readouterr().err
