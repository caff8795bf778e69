"""One run at a time works on a scene; whatever ends it, the next one starts clean."""

import os
import subprocess
import sys

import pytest

from scenetex import InputError
from scenetex.batch.work_folder import Busy, sweep, work_folder
from scenetex.files.output import DiskFull

HOLD = """
import sys, time
from pathlib import Path
from scenetex.batch.work_folder import work_folder
with work_folder(Path(sys.argv[1]), "room") as work:
    (work / ".half.partial").write_text("half")
    print("held", flush=True)
    time.sleep(60)
"""


def test_one_at_a_time(tmp_path):
    with work_folder(tmp_path, "room") as work:
        assert work == tmp_path / ".stages" / "room"
        with pytest.raises(Busy), work_folder(tmp_path, "room"):
            pytest.fail("must not start")
        with work_folder(tmp_path, "hall"):
            pass
    with work_folder(tmp_path, "room"):
        pass


def test_a_killed_process_holds_nothing_and_leaves_nothing(tmp_path):
    with subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "held\n"
        with pytest.raises(Busy), work_folder(tmp_path, "room"):
            pytest.fail("must not start")
        sweep(tmp_path)
        assert (tmp_path / ".stages" / "room" / ".half.partial").exists(), "it is still being written"
        other.kill()
    sweep(tmp_path)
    assert [p.name for p in (tmp_path / ".stages" / "room").iterdir()] == ["lock"]


def test_leftovers_go_and_kept_stages_stay(tmp_path):
    with work_folder(tmp_path, "room") as work:
        (work / "unwrap-k.npz").write_text("kept")
        (work / ".room.1.partial").mkdir()
        (work / ".room.1.partial" / "half").write_text("half")
        (work / ".unwrap.2.partial").write_text("half")
    with work_folder(tmp_path, "room") as work:
        assert sorted(p.name for p in work.iterdir()) == ["lock", "unwrap-k.npz"]


def test_bad_input_leaves_nothing_that_was_not_there(tmp_path):
    with pytest.raises(InputError), work_folder(tmp_path / "a" / "out", "room"):
        raise InputError("no mesh")
    assert not list(tmp_path.iterdir())
    with work_folder(tmp_path, "room") as work:
        (work / "unwrap-k.npz").write_text("kept")
    with pytest.raises(InputError), work_folder(tmp_path, "room"):
        raise InputError("no mesh")
    assert (work / "unwrap-k.npz").exists()


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError, DiskFull])
def test_other_trouble_leaves_what_was_kept(tmp_path, error):
    with pytest.raises(error), work_folder(tmp_path, "room") as work:
        (work / "unwrap-k.npz").write_text("kept")
        raise error
    assert (work / "unwrap-k.npz").exists()


def test_a_lock_whose_folder_was_removed_is_nobodys(tmp_path):
    with pytest.raises(InputError), work_folder(tmp_path, "room"):
        inside = os.open(tmp_path / ".stages" / "room" / "lock", os.O_RDWR)
        raise InputError("removes the folder")
    with work_folder(tmp_path, "room") as work:
        assert not os.path.samestat(os.fstat(inside), os.stat(work / "lock"))
    os.close(inside)


def test_disks_without_locks_are_named(tmp_path, monkeypatch):
    def no_locks(*args):
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr("fcntl.flock", no_locks)
    with (
        pytest.raises(InputError, match=r"lock: cannot be locked .*choose an output folder"),
        work_folder(tmp_path, "a"),
    ):
        pytest.fail("must not start")
