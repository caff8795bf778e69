"""Output is whole or absent, and never somebody else's loss."""

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from painted_sheet import painted_sheet

from scenetex import InputError, exchange
from scenetex.manifest import MANIFEST
from scenetex.output import DiskFull, output_folder, remove_folder, sweep, write_files


def listing(folder: Path) -> dict[str, bytes]:
    found = (path for path in folder.rglob("*") if path.is_file() and path.name != MANIFEST)
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def make(final: Path, text: str = "old", kind: str = "result", **more) -> None:
    """A folder of ours with one file of that text."""
    with output_folder(final, kind, **more) as folder:
        (folder / "report.json").write_text(text)


def test_folder_appears_when_complete(tmp_path):
    final = tmp_path / "deep" / "er" / "room"
    with output_folder(final) as folder:
        (folder / "report.json").write_text("{}")
        assert not final.exists()
    assert listing(tmp_path) == {"deep/er/room/report.json": b"{}"}
    assert (final.stat().st_mode & 0o777) == (tmp_path / "deep").stat().st_mode & 0o777


@pytest.mark.parametrize("error", [KeyboardInterrupt, InputError, OSError, SystemExit])
def test_failure_leaves_nothing(tmp_path, error):
    with pytest.raises(error), output_folder(tmp_path / "a" / "room") as folder:
        (folder / "half").write_text("half")
        raise error("stop")
    assert not list(tmp_path.iterdir())


def test_failure_keeps_the_previous_result(tmp_path):
    final = tmp_path / "room"
    with output_folder(final) as folder:
        (folder / "report.json").write_text("old")
    with pytest.raises(KeyboardInterrupt), output_folder(final) as folder:
        (folder / "report.json").write_text("new")
        raise KeyboardInterrupt
    assert listing(tmp_path) == {"room/report.json": b"old"}


def test_success_replaces_the_previous_result_as_a_whole(tmp_path):
    for name in ("one", "two"):
        with output_folder(tmp_path / "room") as folder:
            (folder / "report.json").write_text(name)
            (folder / name).write_text(name)
    assert listing(tmp_path) == {"room/report.json": b"two", "room/two": b"two"}


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
from scenetex import exchange
from scenetex.output import output_folder
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


def test_what_is_being_written_is_not_swept(tmp_path):
    with output_folder(tmp_path / "room") as folder:
        (folder / "half").write_text("half")
        sweep(tmp_path)
        assert (folder / "half").exists()
    assert listing(tmp_path) == {"room/half": b"half"}


def test_foreign_folders_are_refused(tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "draft.tex").write_text("years of work")
    (tmp_path / "thesis" / "report.json").write_text('{"key": "", "files": []}')
    (tmp_path / "file").write_text("a file")
    before = listing(tmp_path)
    for name in ("thesis", "file"):
        with pytest.raises(InputError, match=f"{name}.*choose another"), output_folder(tmp_path / name):
            pytest.fail("must not start")
    assert listing(tmp_path) == before


@pytest.mark.parametrize(
    "change",
    [
        lambda f: (f / "thesis.tex").write_text("years of work"),
        lambda f: (f / "deep").mkdir() or (f / "deep" / "thesis.tex").write_text("years of work"),
        lambda f: (f / "room.obj").write_text("edited"),
        lambda f: (f / "link").symlink_to(f.parent),
        lambda f: (f / "report.json").unlink() or (f / "report.json").symlink_to(f.parent / "mine"),
    ],
    ids=["a file", "a file in a folder", "an edit", "a link", "a link instead of a file"],
)
def test_what_somebody_put_into_a_result_is_not_lost(tmp_path, change):
    (tmp_path / "mine").write_text("old")
    with output_folder(tmp_path / "room") as folder:
        (folder / "report.json").write_text("old")
        (folder / "room.obj").write_text("old")
    change(tmp_path / "room")
    before = listing(tmp_path)
    with pytest.raises(InputError, match=r"room: holds \S+, which scenetex did not write.*move it away") as error:
        make(tmp_path / "room", "new")
    assert "\n" not in str(error.value) and listing(tmp_path) == before
    remove_folder(tmp_path / "room", "result")
    assert listing(tmp_path) == before


def test_what_somebody_puts_there_meanwhile_is_not_lost(tmp_path):
    make(tmp_path / "room")
    with pytest.raises(InputError, match="thesis"), output_folder(tmp_path / "room"):
        (tmp_path / "room" / "thesis").write_text("years of work")
    assert listing(tmp_path) == {"room/report.json": b"old", "room/thesis": b"years of work"}


def test_only_the_same_kind_is_replaced(tmp_path):
    make(tmp_path / "room", kind="scan")
    with pytest.raises(InputError, match="room: holds a scan, not an earlier result"):
        make(tmp_path / "room", "new")
    assert listing(tmp_path) == {"room/report.json": b"old"}
    remove_folder(tmp_path / "room", "result")
    assert listing(tmp_path)
    remove_folder(tmp_path / "room", "scan")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("spoilt", ["", "[]", '{"made_by": "scenetex", "kind": 1, "files": {}}', "[" * 100_000])
def test_a_list_that_is_none_makes_no_folder_ours(tmp_path, spoilt):
    make(tmp_path / "room")
    (tmp_path / "room" / MANIFEST).write_text(spoilt)
    with pytest.raises(InputError, match=r"room: holds something other .*\(no \.scenetex\.json"):
        make(tmp_path / "room", "new")
    assert listing(tmp_path) == {"room/report.json": b"old"}


def test_a_damaged_report_is_made_again(tmp_path):
    make(tmp_path / "room")
    (tmp_path / "room" / "report.json").write_text("[]")
    make(tmp_path / "room", "new")
    assert listing(tmp_path) == {"room/report.json": b"new"}


def test_large_files_are_ours_by_their_ends(tmp_path, monkeypatch):
    monkeypatch.setattr("scenetex.manifest._WHOLE", 8)

    def make_large(text: str) -> None:
        with output_folder(tmp_path / "room") as folder:
            (folder / "large").write_text(text)

    make_large("0123456789")
    make_large("abcdefghijklm")
    for text in ("abcdefghijklM", "abcdefghijkl", "Abcdefghijklm"):
        (tmp_path / "room" / "large").write_text(text)
        with pytest.raises(InputError, match="holds large"):
            make_large("new")


@pytest.mark.parametrize(
    ("given", "final"),
    [
        ("scans/kitchen", "scans/kitchen"),
        ("scans/kitchen", "scans"),
        ("scans/kitchen", "scans/kitchen/deep/er"),
        ("scans/kitchen/0.jpg", "scans/kitchen"),
        ("scans/kitchen", "link"),
        ("link", "scans/kitchen"),
        ("link", "scans/kitchen/deep"),
        ("scans/../scans/kitchen", "scans/kitchen/."),
    ],
)
def test_nothing_that_is_read_is_replaced_or_written_into(tmp_path, given, final):
    make(tmp_path / "scans")  # ours by all appearances
    (tmp_path / "scans" / "kitchen").mkdir()
    (tmp_path / "scans" / "kitchen" / "0.jpg").write_text("photo")
    (tmp_path / "link").symlink_to(tmp_path / "scans" / "kitchen")
    before = listing(tmp_path)
    with pytest.raises(InputError, match="which is read; choose another output folder") as error:
        make(tmp_path / final, inputs=[tmp_path / given])
    assert "\n" not in str(error.value) and listing(tmp_path) == before


def test_what_lies_beside_the_inputs_is_written(tmp_path):
    (tmp_path / "scans" / "kitchen").mkdir(parents=True)
    for final in ("scans/out", "out", "scans/kitchen2"):
        make(tmp_path / final, inputs=[tmp_path / "scans" / "kitchen", "owner/name", tmp_path / "absent"])
        assert (tmp_path / final / "report.json").exists()


def test_devices_and_pipes_are_not_replaced_by_files(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/null")):
        with pytest.raises(InputError, match="is a device or pipe; name a file"):
            write_files({path: b"text"})
        assert not path.is_file() and path.exists()
    assert [path.name for path in tmp_path.iterdir()] == ["pipe"]


def test_names_of_many_bytes_are_written(tmp_path):
    make(tmp_path / ("\u5bb6" * 80))
    write_files({tmp_path / ("\u5bb6" * 79 + ".png"): b"image"})
    assert len(listing(tmp_path)) == 2


def test_empty_folder_and_link_are_used(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    with output_folder(tmp_path / "link") as folder:
        (folder / "report.json").write_text("{}")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real" / "report.json").read_text() == "{}"


def test_path_through_a_file_names_it(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(InputError, match=r"file/room: .*choose another folder"),
        output_folder(tmp_path / "file" / "room"),
    ):
        pytest.fail("must not start")


def test_full_disk_inside_the_block_names_the_folder(tmp_path):
    with pytest.raises(InputError, match=r"room: cannot be written .*free some space"):
        with output_folder(tmp_path / "room") as folder:
            (folder / "half").write_text("half")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("number", "kind"), [(errno.ENOSPC, True), (errno.EDQUOT, True), (errno.EROFS, False)])
def test_full_disks_are_told_from_other_trouble(tmp_path, number, kind):
    with pytest.raises(InputError) as error, output_folder(tmp_path / "room"):
        raise OSError(number, os.strerror(number))
    assert isinstance(error.value, DiskFull) is kind


def test_a_workplace_of_its_own(tmp_path):
    for name in ("one", "two"):
        with output_folder(tmp_path / "out" / "room", workplace=tmp_path / "work" / "place") as folder:
            assert folder.parent == tmp_path / "work" / "place"
            (folder / "report.json").write_text(name)
        assert not list((tmp_path / "work" / "place").iterdir())
    assert listing(tmp_path) == {"out/room/report.json": b"two"}
    with pytest.raises(KeyboardInterrupt), output_folder(tmp_path / "a" / "room", workplace=tmp_path / "b"):
        raise KeyboardInterrupt
    assert {p.name for p in tmp_path.iterdir()} == {"out", "work"}


def test_everything_is_on_the_disk_before_it_gets_its_name(tmp_path, monkeypatch):
    events, sync, rename = [], os.fsync, Path.rename

    def spy(handle):
        events.append(os.path.basename(os.readlink(f"/proc/self/fd/{handle}")))
        sync(handle)

    def renamed(self, target):
        events.append(f"-> {target.name}")
        return rename(self, target)

    monkeypatch.setattr(os, "fsync", spy)
    monkeypatch.setattr(Path, "rename", renamed)
    with output_folder(tmp_path / "room") as folder:
        (folder / "views").mkdir()
        (folder / "views" / "2.png").write_text("image")
        (folder / "report.json").write_text("{}")
    at = events.index("-> room")
    assert {"views", "2.png", "report.json", folder.name} <= set(events[:at])
    assert events[at + 1 :] == [tmp_path.name]


def test_files_failing_midway_leave_the_old_ones(tmp_path):
    (tmp_path / "a").write_bytes(b"old")
    (tmp_path / "b").mkdir()
    with pytest.raises(InputError, match=r"b: cannot be written .*choose another name"):
        write_files({tmp_path / "a": b"new", tmp_path / "b": b"new"})
    assert listing(tmp_path) == {"a": b"old"}


@pytest.mark.parametrize("suffix", [".glb", ".obj"])
def test_export_names_what_is_wrong_with_the_place(tmp_path, suffix):
    (tmp_path / "file").write_text("")
    for path, cure in [
        (tmp_path / "absent" / f"t{suffix}", "make its folder first"),
        (tmp_path / "file" / f"t{suffix}", "choose another folder"),
    ]:
        with pytest.raises(InputError, match=f"t.{suffix[1:]}: .*{cure}|t.png: .*{cure}"):
            painted_sheet().export(path)
    assert listing(tmp_path) == {"file": b""}


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX resource limits")
@pytest.mark.parametrize("suffix", [".glb", ".obj"])
def test_disk_that_fills_up_leaves_nothing(tmp_path, suffix):
    # A file size limit is the one full disk that a test can make without privileges.
    program = (
        "import resource, sys\n"
        "from painted_sheet import painted_sheet\n"
        "from scenetex import InputError\n"
        "textured = painted_sheet(cells=40)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))\n"
        "try:\n"
        "    textured.export(sys.argv[1])\n"
        "except InputError as error:\n"
        "    print(error)\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / f"big{suffix}")],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=True,
    )
    assert f"big{suffix}: cannot be written" in run.stdout and len(run.stdout.splitlines()) == 1
    assert not list(tmp_path.iterdir())
