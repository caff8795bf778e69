"""Which scenes a command works on."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenetex import InputError
from scenetex.batch.scenes import find_scenes
from scenetex.scene.load import scene_name

OUT = Path("out")


@pytest.fixture
def root(tmp_path) -> Path:
    for name in ("scene0010_00", "scene0002_00", ".hidden", "out"):
        (tmp_path / "scans" / name).mkdir(parents=True)
    (tmp_path / "scans" / "notes.txt").write_text("no scene")
    return tmp_path / "scans"


def test_every_folder_of_a_root_but_the_output(root):
    found = find_scenes((), None, root, None, root / "out")
    assert [path.name for path in found] == ["scene0002_00", "scene0010_00"]


def test_a_list_names_paths_or_folders_of_the_root(tmp_path):
    listed = tmp_path / "val.txt"
    listed.write_text("# validation\nb/two\n\n  one  # the first\n")
    assert find_scenes((), listed, None, None, OUT) == [Path("b/two"), Path("one")]
    assert find_scenes((Path("x"),), listed, Path("scans"), None, OUT) == [
        *(Path("x"), Path("scans/b/two"), Path("scans/one"))
    ]


@given(count=st.integers(1, 40), shards=st.integers(1, 9))
def test_shards_are_a_partition(count, shards):
    scenes = [Path(f"scene{i}") for i in range(count)]
    parts = [find_scenes(scenes, None, None, f"{i}/{shards}", OUT) for i in range(shards)]
    assert sorted(scene for part in parts for scene in part) == sorted(scenes)
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


@pytest.mark.parametrize("shard", ["", "1", "2/2", "-1/2", "0/0", "a/b", "0/2/3"])
def test_shards_that_are_none(shard):
    with pytest.raises(InputError, match=r"--shard .* is not understood; give I/N"):
        find_scenes((Path("a"),), None, None, shard, OUT)


@pytest.mark.parametrize(
    "names", [("a/room", "b/room"), ("room", "./room"), ("room", "room/room.sens"), ("room", "room.failed")]
)
def test_two_scenes_of_one_name_are_refused(names, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"room.*; rename"):
        find_scenes([Path(name) for name in names], None, None, None, OUT)


@pytest.mark.parametrize("name", [".stages", "index.html", "Index.HTML", ".scenetex-previous", ".scenetex.json"])
def test_names_that_are_taken_in_the_output(name, tmp_path):
    (tmp_path / name).mkdir()
    with pytest.raises(InputError, match=r"a scene cannot have the name .*; rename its folder"):
        find_scenes([Path("scans/room"), tmp_path / name], None, None, "0/2", OUT)


def test_lists_and_roots_that_cannot_be_read(tmp_path):
    (tmp_path / "empty.txt").write_text("\n# nothing\n")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00\x81")
    for listed, root, says in [
        (tmp_path / "none.txt", None, "none.txt: cannot be read"),
        (tmp_path / "binary", None, "binary: cannot be read"),
        (tmp_path / "empty.txt", None, "empty.txt: holds no scene"),
        (None, tmp_path / "none", "none: cannot be read"),
        (None, tmp_path / "empty.txt", "empty.txt: cannot be read"),
        (None, None, "no scene given"),
    ]:
        with pytest.raises(InputError, match=says):
            find_scenes((), listed, root, None, OUT)


@pytest.mark.parametrize(
    ("path", "name"),
    [("scans/room", "room"), ("room/room.sens", "room"), ("room/transforms.json", "room"), ("v1.sens/..", None)],
)
def test_names_are_folders_names(path, name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert scene_name(path) == (name or tmp_path.name)
