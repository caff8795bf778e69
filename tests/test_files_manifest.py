"""A folder is ours to replace by the list of what we wrote in it, and only if there is nothing else."""

import os

import pytest
from made_folders import listing, make

from scenetex import InputError
from scenetex.files.manifest import MANIFEST, remove_listed
from scenetex.files.output import output_folder, remove_folder


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


def test_a_change_anywhere_in_a_file_is_somebodys(tmp_path):
    def make_large(text: str) -> None:
        with output_folder(tmp_path / "room") as folder:
            (folder / "large").write_text(text)

    make_large("0123456789")
    make_large("abcdefghijklm")
    for text in ("abcdefghijklM", "abcdefghijkl", "Abcdefghijklm", "abcdefGhijklm"):
        (tmp_path / "room" / "large").write_text(text)
        with pytest.raises(InputError, match="holds large"):
            make_large("new")


def test_a_folder_that_cannot_be_looked_into_is_somebodys(tmp_path, monkeypatch):
    make(tmp_path / "room")
    (tmp_path / "room" / "private").mkdir()
    walk = os.walk

    def refusing(folder, *args, onerror=None, **options):
        if onerror is not None:  # as for others than root, who may look into everything
            onerror(PermissionError(13, "Permission denied", os.path.join(folder, "private")))
        yield from walk(folder, *args, **options)

    monkeypatch.setattr("os.walk", refusing)
    with pytest.raises(InputError, match="holds private"):
        make(tmp_path / "room", "new")
    remove_listed(tmp_path / "room")
    assert (tmp_path / "room" / MANIFEST).is_file() and (tmp_path / "room" / "report.json").is_file()
