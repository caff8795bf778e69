"""Output that nobody takes any more costs nothing but itself."""

import os
import subprocess
import sys

import pytest

from scenetex.process.streams import Tolerant

COMMAND = [sys.executable, "-m", "scenetex"]


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
