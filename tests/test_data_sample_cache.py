"""Kept samples are the source's own, whoever reads them and whatever happened to their files."""

from pathlib import Path

import numpy as np
import pytest

from scenetex import InputError
from scenetex.data.rooms import RoomStream
from scenetex.data.sample_cache import CachedSource

STREAM = RoomStream(3, 2, (32, 24))


def files(cache: Path) -> list[Path]:
    return sorted(cache.rglob("*.safetensors"))


def assert_same(one, other):
    for name in ("intrinsics", "cam_to_world", "depth", "face_id", "face_normals", "axis_alignment"):
        a, b = getattr(one.views, name), getattr(other.views, name)
        assert a.dtype == b.dtype and np.array_equal(a, b)
    assert one.views.frame_ids == other.views.frame_ids and one.prompts == other.prompts
    assert one.images.dtype == np.uint8 and np.array_equal(one.images, other.images)


def test_a_sample_is_made_once_and_comes_back_whole(tmp_path, monkeypatch):
    kept = CachedSource.within(tmp_path, STREAM)
    assert_same(kept.sample(5), STREAM.sample(5))
    monkeypatch.setattr(RoomStream, "sample", lambda *_: pytest.fail("made again"))
    assert [p.name for p in files(tmp_path)] == ["00000005.safetensors"]
    again = CachedSource.within(tmp_path, STREAM).sample(5)
    monkeypatch.undo()
    assert_same(again, STREAM.sample(5))


def test_it_passes_for_its_source(tmp_path):
    kept = CachedSource.within(tmp_path, STREAM)
    assert kept.size == STREAM.size and kept.words() == STREAM.words() and repr(kept) == repr(STREAM)


def test_sources_do_not_mix(tmp_path):
    CachedSource.within(tmp_path, STREAM).sample(0)
    CachedSource.within(tmp_path, RoomStream(4, 2, (32, 24))).sample(0)
    assert len({p.parent for p in files(tmp_path)}) == 2


@pytest.mark.parametrize("damage", [b"", b"nonsense", None])
def test_damaged_files_are_made_again(tmp_path, damage):
    kept = CachedSource.within(tmp_path, STREAM)
    kept.sample(0)
    path = files(tmp_path)[0]
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2] if damage is None else damage)
    assert_same(kept.sample(0), STREAM.sample(0))
    assert path.stat().st_size == len(whole)


def test_a_cache_that_cannot_be_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="file"):
        CachedSource.within(tmp_path / "file", STREAM)
