"""What is kept of a stage comes back as it was, or not at all."""

import errno
import io
import os
import zipfile

import numpy as np
import pytest

from scenetex.files.output import DiskFull
from scenetex.job.stage_cache import MOST_KEPT, StageCache
from scenetex.job.stages import Stages

ARRAYS = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "empty": np.zeros((0, 3), np.int32), "flag": np.True_}


def test_arrays_come_back(tmp_path):
    store = StageCache(tmp_path, {"unwrap": "k"})
    assert not store.has("unwrap") and store.read("unwrap") is None
    store.write("unwrap", ARRAYS)
    found = StageCache(tmp_path, {"unwrap": "k"}).read("unwrap")
    assert found.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)
    assert [p.name for p in tmp_path.iterdir()] == ["unwrap-k.npz"]


def test_outputs_of_some_settings_are_kept_and_the_longest_unused_go(tmp_path):
    stores = [StageCache(tmp_path, {"unwrap": f"k{i}", "paint": f"k{i}"}) for i in range(MOST_KEPT + 2)]
    for i, store in enumerate(stores):
        if i == MOST_KEPT:  # the first is asked for again: now the second is the longest unused
            assert stores[0].read("unwrap") is not None
        assert not store.has("unwrap")
        store.write("unwrap", ARRAYS)
        os.utime(tmp_path / f"unwrap-k{i}.npz", (i, i))
        if i == MOST_KEPT - 1:
            assert all(earlier.has("unwrap") for earlier in stores[:MOST_KEPT])
    assert [i for i, store in enumerate(stores) if not store.has("unwrap")] == [1, 2]
    stores[-1].write("paint", ARRAYS)
    stores[-1].drop("unwrap")
    assert stores[-1].has("paint") and not stores[-1].has("unwrap") and stores[3].has("unwrap")


def test_what_other_results_of_the_scene_have_is_found_and_no_other_scenes(tmp_path):
    for folder in ("room", "room-warm", "room-[a]", "hall"):
        (tmp_path / folder).mkdir()
    StageCache(tmp_path / "room-warm", {"unwrap": "k"}, "room").write("unwrap", ARRAYS)
    for folder, scene in (("room", "room"), ("room-cold", "room")):
        store = StageCache(tmp_path / folder, {"unwrap": "k"}, scene)
        assert store.has("unwrap") and store.read("unwrap").keys() == ARRAYS.keys()
        assert not StageCache(tmp_path / folder, {"unwrap": "other"}, scene).has("unwrap")
    assert not StageCache(tmp_path / "hall", {"unwrap": "k"}, "hall").has("unwrap")
    assert not StageCache(tmp_path / "room-[a]", {"unwrap": "k"}, "room-[a]").has("unwrap")


@pytest.mark.parametrize(
    "damage", [lambda d: b"", lambda d: d[: len(d) // 2], lambda d: b"PK" + d[::-1], lambda d: d[:-9]]
)
def test_damaged_files_count_as_missing(tmp_path, damage):
    store = StageCache(tmp_path, {"unwrap": "k"})
    store.write("unwrap", ARRAYS)
    (file,) = tmp_path.iterdir()
    file.write_bytes(damage(file.read_bytes()))
    assert store.read("unwrap") is None


def test_a_flipped_bit_is_noticed(tmp_path):
    store = StageCache(tmp_path, {"unwrap": "k"})
    store.write("unwrap", {"a": np.zeros(1000)})
    (file,) = tmp_path.iterdir()
    data = bytearray(file.read_bytes())
    data[4000] ^= 1
    file.write_bytes(data)
    assert store.read("unwrap") is None


def test_objects_are_never_unpickled(tmp_path):
    np.savez(tmp_path / "unwrap-k.npz", a=np.array([{"code": "would run"}], object))
    assert StageCache(tmp_path, {"unwrap": "k"}).read("unwrap") is None


def test_a_full_disk_is_said(tmp_path, monkeypatch):
    def full(*args):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DiskFull, match=r"unwrap-k\.npz: cannot be written .*free some space"):
        StageCache(tmp_path, {"unwrap": "k"}).write("unwrap", ARRAYS)
    assert not list(tmp_path.iterdir())


def test_stages_give_numbers_back_as_numbers(tmp_path):
    for first in (True, False):
        stages = Stages(cache=StageCache(tmp_path, {"refine": "k"}))
        found = stages.recall("refine")
        if first:
            assert found is None and not stages.has("refine")
            stages.keep("refine", size=(160, 120), error=2.5, accepted=True)
            assert stages.has("refine")
    assert found["size"].tolist() == [160, 120] and found["error"] == 2.5 and found["accepted"] is True
    assert stages.reused == ["refine"]


def test_headers_that_lie_about_anything_count_as_missing(tmp_path):
    """Every byte of the zip's and the array's headers set to something else, one at a time."""
    store = StageCache(tmp_path, {"unwrap": "k"})
    store.write("unwrap", {"a": np.arange(6, dtype=np.float32)})
    (file,) = tmp_path.iterdir()
    data = file.read_bytes()
    for at in range(len(data)):
        for value in (0, 1, 57, 255):
            changed = bytearray(data)
            changed[at] = value
            file.write_bytes(changed)
            found = store.read("unwrap")
            assert found is None or all(array.nbytes <= 4096 for array in found.values())


def test_shapes_beyond_all_memory_count_as_missing(tmp_path):
    with zipfile.ZipFile(tmp_path / "unwrap-k.npz", "w") as archive:
        header = io.BytesIO()
        np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": (10**9, 10**6)})
        archive.writestr("a.npy", header.getvalue())
    assert StageCache(tmp_path, {"unwrap": "k"}).read("unwrap") is None
