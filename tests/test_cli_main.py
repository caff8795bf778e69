"""The command line's frame: commands, options, one-line errors, exit codes."""

import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest
from batch_runs import QUICK, rooms

import scenetex
from scenetex import InputError
from scenetex.cli import main as cli
from scenetex.cli.guarded import guarded
from scenetex.cli.main import COMMANDS, main
from scenetex.cli.parsing import parse
from scenetex.job.options import TextureOptions
from scenetex.process.console import debugging
from scenetex.process.threads import VARIABLES


@dataclass(frozen=True)
class Options:
    """Options of a test."""

    output: Path
    """Where to write."""
    size: int = 3
    """How large, in a sentence that is long enough to be wrapped by any terminal that is eighty columns wide."""
    kind: Literal["one", "other"] = "one"
    """Which."""
    loud: bool = False
    """Shout."""


def test_options_come_out_typed():
    options = parse(Options, "test", ["--output", "a b/c", "--size", "5", "--kind", "other", "--loud"])
    assert options == Options(Path("a b/c"), 5, "other", True)
    assert parse(Options, "test", ["--output", "x"]) == Options(Path("x"))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "--output"),
        (["--output", "x", "--size", "large"], "--size"),
        (["--output", "x", "--size", "2.5"], "--size"),
        (["--output", "x", "--kind", "third"], "--kind"),
        (["--output", "x", "--colour", "red"], "--colour"),
        (["--output", "x", "stray"], "stray"),
        (["--output"], "--output"),
        (["--output", "x", "--size"], "--size"),
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("columns", [None, "40"])
@pytest.mark.parametrize("boxes", ["drawn", "plain", "coloured"])
def test_bad_options_are_one_plain_line(arguments, says, columns, boxes, monkeypatch, request):
    if boxes == "plain":
        request.getfixturevalue("capsys")  # what tyro takes for a stream without Unicode
    monkeypatch.delenv("COLUMNS", raising=False)
    if boxes == "coloured":
        monkeypatch.setenv("FORCE_COLOR", "1")
    if columns:
        monkeypatch.setenv("COLUMNS", columns)
    with pytest.raises(InputError) as error:
        parse(Options, "test", arguments)
    text = str(error.value)
    assert says in text and text.endswith("test --help lists the options")
    assert "\n" not in text and text.isascii() and "  " not in text and len(text) < 300
    assert not text.startswith((" ", "- ", "[")) and "[" not in text
    assert os.environ.get("COLUMNS") == columns


def test_the_box_is_not_printed_as_well(capsys):
    with pytest.raises(InputError):
        parse(Options, "test", ["--output", "x", "--size", "größe"])
    assert capsys.readouterr() == ("", "")


def test_values_are_quoted_as_they_are():
    with pytest.raises(InputError, match="'größe'"):
        parse(Options, "test", ["--output", "x", "--size", "größe"])


def test_help_is_printed_and_ends_well(capsys):
    with pytest.raises(SystemExit) as stop:
        parse(Options, "test", ["--help"])
    assert not stop.value.code
    said = capsys.readouterr()
    assert "Where to write." in said.out and "--size" in said.out and said.err == ""


def test_guarded():
    assert guarded("test", lambda: 0) == 0 and guarded("test", lambda: 7) == 7


def test_bad_input_is_code_2_and_one_line(capsys):
    def fail():
        raise InputError("a.ply: is\n  no mesh;   take another")

    assert guarded("test", fail) == 2
    assert capsys.readouterr() == ("", "test: a.ply: is no mesh; take another\n")


def test_interruption_is_code_130(capsys):
    def stop():
        raise KeyboardInterrupt

    assert guarded("test", stop) == 130
    assert capsys.readouterr().err == "test: interrupted; nothing half-written was left\n"


def test_bugs_keep_their_traceback():
    with pytest.raises(ZeroDivisionError):
        guarded("test", lambda: 1 // 0)


@pytest.mark.parametrize("arguments", [[], ["paint"], ["--colour"]], ids=str)
def test_unknown_commands(arguments, capsys):
    assert main(arguments) == 2
    said = capsys.readouterr()
    assert said.out == "" and said.err.count("\n") == 1 and "texture" in said.err


def test_help_lists_the_commands(capsys):
    assert main(["--help"]) == 0
    said = capsys.readouterr()
    assert said.err == ""
    for name, does in COMMANDS.items():
        assert f"  {name:8}  {does}\n" in said.out


def test_the_version_is_told(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr() == (f"scenetex {scenetex.__version__}\n", "")


def test_commands_get_their_arguments(tmp_path, capsys):
    assert main(["texture", str(tmp_path / "attic"), "--output", str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err.startswith(f"scenetex texture: {tmp_path / 'attic'}: no such file or folder")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command, capsys):
    with pytest.raises(SystemExit) as stop:
        main([command, "--help"])
    assert not stop.value.code
    assert f"scenetex {command}" in capsys.readouterr().out


@pytest.mark.parametrize("subcommand", [*([name] for name in COMMANDS), ["evaluate", "photos"], ["evaluate", "model"]])
def test_help_says_nothing_that_nobody_would_type(subcommand, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "300")
    with pytest.raises(SystemExit):
        main([*subcommand, "--help"])
    said = capsys.readouterr().out
    assert "{None}" not in said and "(default: )" not in said and "default: None" not in said
    # "[PATH [PATH ...]]" tells less than "SCENE ...".
    assert "[[" not in said


def test_none_is_a_word_like_any_other():
    assert parse(TextureOptions, "test", ["a", "--output", "b", "--prompt", "None"]).prompt == "None"


@pytest.mark.parametrize(
    "command", [["texture"], ["panorama"], ["train"], ["evaluate", "photos"], ["evaluate", "model"]]
)
@pytest.mark.parametrize("given", [["--threads", "3"], ["--threads=3"]], ids=str)
def test_threads_are_told_before_anything_is_loaded(command, given, monkeypatch):
    told = []

    class Command:
        def main(arguments, program):
            told.append({os.environ.get(name) for name in VARIABLES})
            return 0

    monkeypatch.setattr(cli, "import_module", lambda *_: Command)
    before = dict(os.environ)
    assert main([*command, *given]) == 0
    assert told == [{"3"}] and os.environ == before


@pytest.mark.parametrize("threads", ["0", "-1", "5000"])
def test_threads_out_of_range(threads, tmp_path, capsys):
    commands = [
        ["texture", "a", "--output", str(tmp_path / "o")],
        ["panorama", "a", "--output", str(tmp_path / "o.png")],
        ["train", "autoencoder", "--output", str(tmp_path / "o")],
        ["evaluate", "photos", "a"],
        ["evaluate", "model", "mini"],
    ]
    for command in commands:
        assert main([*command, f"--threads={threads}"]) == 2
        assert "--threads" in capsys.readouterr().err


def test_debugging_shows_what_led_to_an_error(capsys):
    """What `from None` keeps out of a traceback, too; other runs stay at their line."""

    def work():
        try:
            try:
                {}["frame"]
            except KeyError:
                raise ValueError("no such frame") from None
        except ValueError:
            raise InputError("room: has no frame; check it") from None

    for on in (False, True):
        with debugging(on):
            assert guarded("x", work) == 2
        said = capsys.readouterr().err
        assert said.splitlines()[-1] == "x: room: has no frame; check it"
        assert ("KeyError: 'frame'" in said and "ValueError: no such frame" in said) == on
        assert on or said.count("\n") == 1
    assert not logging.getLogger("scenetex").handlers


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_takes_debug(command, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    given = {"evaluate": ["photos", "nowhere"], "train": ["single-view"], "panorama": ["a room", "--scene", "nowhere"]}
    arguments = [*given.get(command, ["nowhere"]), "--threads", "0"][: -2 if command == "view" else None]
    assert main([command, *arguments, "--debug"]) == 2
    said = capsys.readouterr().err
    assert "Traceback (most recent call last)" in said and "--debug" not in said
    assert said.splitlines()[-1].startswith(f"scenetex {command}: ")
    with pytest.raises(SystemExit):
        main([command, "--help"])
    assert "--debug" in capsys.readouterr().out


def test_debugging_tells_the_stages(tmp_path, capsys):
    (scan,) = rooms(tmp_path, "room")
    assert main(["texture", str(scan), "--output", str(tmp_path / "out"), *QUICK, "--debug"]) == 0
    said = capsys.readouterr().err
    assert "scenetex.job.stages: stage unwrap: " in said and "scenetex.job.stages: stage paint: " in said
