"""Whenever a replacement is cut short, one of the two folders is there, whole."""

import errno
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from made_folders import listing, make

from scenetex import InputError
from scenetex.files import exchange
from scenetex.files.output import sweep


@pytest.fixture(params=["at once", "one after the other"])
def way(request, monkeypatch) -> str:
    """Both ways to replace a folder: Linux's exchange, and two renames."""
    if request.param == "at once":
        if exchange._system_call() is None:
            pytest.skip("this system cannot exchange two names")
    else:
        monkeypatch.setattr(exchange, "_exchange", lambda one, other: False)
    return request.param


def test_previous_result_stays_when_the_swap_fails(tmp_path, monkeypatch, way):
    final = tmp_path / "room"
    make(final)

    def refuse(*_):
        raise PermissionError(errno.EACCES, "Permission denied")

    rename = Path.rename
    if way == "at once":
        monkeypatch.setattr(exchange, "_exchange", refuse)
    else:
        monkeypatch.setattr(Path, "rename", lambda self, to: refuse() if "partial" in self.name else rename(self, to))
    with pytest.raises(InputError, match="room: cannot be written"):
        make(final, "new")
    assert listing(tmp_path) == {"room/report.json": b"old"}
    assert [path.name for path in tmp_path.iterdir()] == ["room"]


DIES = """
import os, signal, sys
from pathlib import Path
from scenetex.files import exchange
from scenetex.files.output import output_folder
final, way, moment, number = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
if way != "at once":
    exchange._exchange = lambda one, other: False
changes = 0
def count(event, arguments):
    global changes
    writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
    if writes or event in ("os.rename", "os.mkdir", "os.remove", "os.rmdir", "ctypes.call_function"):
        changes += 1
        if changes == moment:
            os.kill(os.getpid(), number)
signal.signal(signal.SIGINT, signal.default_int_handler)
exchange._system_call()
exchange._system_call().errcheck = lambda result, *_: (count("os.rename", ()), result)[1]
sys.addaudithook(count)
try:
    with output_folder(final) as folder:
        (folder / "report.json").write_text("new")
        (folder / "more").write_text("new")
except KeyboardInterrupt:
    pass
print(changes)
"""


def died(final: Path, way: str, moment: int, number: int) -> str:
    """Replaces the folder in a process that gets the signal at its change number `moment` of the disk."""
    given = [sys.executable, "-c", DIES, str(final), way, str(moment), str(number)]
    return subprocess.run(given, capture_output=True, text=True, cwd=Path(__file__).parents[1]).stdout


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_whenever_it_is_ended_one_of_the_two_results_is_there(tmp_path, way, number):
    changes = int(died(tmp_path / "count" / "room", way, 0, number) or 0)
    make(tmp_path / "count" / "room", "old")
    changes = max(changes, int(died(tmp_path / "count" / "room", way, 0, number)))
    assert changes >= 8
    for moment in range(1, changes + 1):
        folder = tmp_path / str(moment)
        make(folder / "room", "old")
        died(folder / "room", way, moment, number)
        if way == "at once" or number == signal.SIGINT:
            assert listing(folder / "room").get("report.json") in (b"old", b"new")
        sweep(folder)
        assert [path.name for path in folder.iterdir()] == ["room"], moment
        found = listing(folder / "room")
        assert found == {"report.json": b"old"} or found == {"report.json": b"new", "more": b"new"}, moment
        make(folder / "room", "newest")
        assert listing(folder) == {"room/report.json": b"newest"}
