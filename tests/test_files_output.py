"""Output is whole or absent, and never somebody else's loss."""

import errno
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from made_folders import listing, make
from painted_sheet import painted_sheet

from scenetex import InputError
from scenetex.files.output import DiskFull, output_folder, sweep, write_files


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


def test_a_work_folder_of_its_own(tmp_path):
    for name in ("one", "two"):
        with output_folder(tmp_path / "out" / "room", work_folder=tmp_path / "work" / "place") as folder:
            assert folder.parent == tmp_path / "work" / "place"
            (folder / "report.json").write_text(name)
        assert not list((tmp_path / "work" / "place").iterdir())
    assert listing(tmp_path) == {"out/room/report.json": b"two"}
    with pytest.raises(KeyboardInterrupt), output_folder(tmp_path / "a" / "room", work_folder=tmp_path / "b"):
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


def test_a_link_to_another_disk_is_said_before_the_work(tmp_path):
    other = Path("/dev/shm")
    if not other.is_dir() or other.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("needs two disks")
    with TemporaryDirectory(dir=other) as elsewhere:
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "room").symlink_to(Path(elsewhere) / "room")
        Path(elsewhere, "room").mkdir()
        with pytest.raises(InputError, match="room: leads to another disk; name a folder there as the output"):
            with output_folder(tmp_path / "out" / "room", work_folder=tmp_path / "out" / ".stages"):
                pytest.fail("work has begun")
        assert not list(tmp_path.rglob("*.partial")) and not list(Path(elsewhere, "room").iterdir())
