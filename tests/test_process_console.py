"""What is printed: nothing that a terminal obeys, whatever scenes and files are called; output that nobody takes any
more costs nothing but itself."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest
import tiny_scan
from hypothesis import given
from hypothesis import strategies as st

from scenetex.cli import main as cli
from scenetex.cli.guarded import guarded
from scenetex.errors import InputError, InputWarning, plain, shown
from scenetex.process.console import Tolerant, bar, say

ROOT = Path(__file__).resolve().parents[1]
COMMAND = [sys.executable, "-m", "scenetex"]
EVIL = "a\x1b[31m\x1b]0;x\x07\nb\r\t\x9b2J\u202e\u2028c"


@given(st.text())
def test_plain_is_one_printable_line_and_changes_nothing_twice(text):
    found = plain(text)
    assert found.isprintable() and plain(found) == found
    assert found == text or not text.isprintable()
    assert shown(text, 5).isprintable()


def test_what_is_spelt_out():
    assert plain("größe 房间 \\ '\"") == "größe 房间 \\ '\""
    assert plain("\x1b[31m\n\u202e\udcff") == r"\x1b[31m\n\u202e\udcff"


def test_lines_and_bars(capsys):
    say(EVIL)
    say(EVIL, error=True)
    with bar(EVIL, total=3) as shown_bar:
        shown_bar.update()
    said = capsys.readouterr()
    assert said.out == plain(EVIL) + "\n" and plain(EVIL) in said.err
    assert not set("\x1b\x07\x9b\u202e\u2028") & set(said.out + said.err)


def test_errors_warnings_and_bugs_of_libraries(capsys):
    import warnings

    def work():
        warnings.warn(EVIL, InputWarning, stacklevel=1)
        warnings.warn(EVIL, UserWarning, stacklevel=1)
        raise InputError(EVIL)

    assert guarded("x", work) == 2
    said = capsys.readouterr()
    assert said.err.count("\n") == 3 and said.out == ""
    assert all(line.isprintable() for line in said.err.splitlines())
    assert cli.main([EVIL]) == 2
    assert capsys.readouterr().err.rstrip("\n").isprintable()


def test_all_is_printed_in_one_place():
    """Who prints later does it there, too."""
    tools = [ROOT / "tools" / f"{name}.py" for name in ("make_room", "pack_model", "texture_scene")]
    for path in [*(ROOT / "scenetex").rglob("*.py"), *tools]:
        if path.name == "console.py":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            called = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
            assert called not in ("print", "tqdm", "tqdm.write", "sys.stdout.write", "sys.stderr.write"), path
            assert not called.endswith("print_exc"), path


@pytest.mark.parametrize("many", [False, True], ids=["one", "batch"])
def test_a_scene_with_an_evil_name(tmp_path, many):
    """From its folder's name to the table, the bars, the failure's log and what is listed for a browser."""
    name = EVIL.replace("/", "").replace("\u2028", "")
    scenes = [tiny_scan.write_extracted(tmp_path / name)]
    tiny_scan.write_ply(next(scenes[0].glob("*.ply")), faces=tiny_scan.ROOM_FACES[:, ::-1])
    if many:
        broken = tiny_scan.write_extracted(tmp_path / f"{name}2")
        (broken / "color" / "2.jpg").write_bytes(b"")
        scenes += [broken, tmp_path / f"{name}3"]
    command = [sys.executable, "-m", "scenetex", "texture", *map(str, scenes), "--output", str(tmp_path / "out")]
    command += ["--texture-size", "64", "--no-preview", "--no-refine-poses", "--report"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    run = subprocess.run(command, capture_output=True, cwd=tmp_path, env=environment)
    assert run.returncode == int(many), run.stderr
    logs = [path.read_bytes() for path in tmp_path.glob("out/*.failed/log.txt")]
    assert len(logs) == 2 * many
    for text in (run.stdout, run.stderr.replace(b"\r", b""), *logs):
        assert all(line.isprintable() for line in text.decode().split("\n")), text
    # One line for the scene, and one for the index; of several, one each, the table, and the sum.
    assert run.stdout.count(b"\n") == (1 + 1 + 3 + 1 + 1 if many else 2)


@pytest.mark.parametrize("arguments", [["--help"], ["texture", "--help"], ["nothing"], ["texture", "not-there"]])
@pytest.mark.parametrize("gone", ["stdout", "stderr", "both"])
def test_a_reader_that_goes_away_is_no_error(arguments, gone, tmp_path):
    read, write = os.pipe()
    os.close(read)  # whoever writes there now is told that the pipe is broken
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    streams |= {name: write for name in streams if gone in (name, "both")}
    run = subprocess.run([*COMMAND, *arguments], **streams, cwd=tmp_path, text=True, timeout=120)
    os.close(write)
    assert run.returncode == (0 if "--help" in arguments else 2)
    assert "Traceback" not in (run.stderr or "") and "Broken pipe" not in (run.stderr or "")


@pytest.mark.parametrize("streams", [">/dev/full", "2>/dev/full", ">&-", "2>&-", ">&- 2>&-"])
def test_streams_that_are_full_or_closed(streams, tmp_path):
    run = subprocess.run(
        f"'{sys.executable}' -m scenetex --version {streams}", shell=True, capture_output=True, text=True, cwd=tmp_path
    )
    assert run.returncode == 0 and "Traceback" not in run.stderr and "rror" not in run.stderr


def test_what_else_is_asked_the_stream_answers(tmp_path):
    with open(tmp_path / "a.txt", "w") as file:
        stream = Tolerant(file)
        assert stream.write("abc") == 3 and stream.encoding == file.encoding and stream.fileno() == file.fileno()
        stream.flush()
    assert (tmp_path / "a.txt").read_text() == "abc"
    assert Tolerant(None).write("x") == 1
