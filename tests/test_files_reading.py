"""Opening what others made: regular files, of a size that was reckoned with, inside a folder."""

import os
from contextlib import suppress

import pytest
from odd_files import ODD, in_time
from PIL import Image

from scenetex import InputError
from scenetex.files.reading import (
    check_inside,
    libraries_inside,
    only_inside,
    open_file,
    read_bytes,
    read_text,
)


@pytest.mark.parametrize("kind", ODD)
def test_what_is_no_file_is_not_opened(tmp_path, kind):
    ODD[kind](tmp_path / "x")
    with in_time(), pytest.raises(OSError) as caught:
        open_file(tmp_path / "x")
    assert caught.value.strerror


def test_no_more_is_read_than_was_asked_for(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(b"abc")
    assert read_bytes(path, 3) == b"abc" and read_text(path) == "abc"
    with pytest.raises(OSError, match="larger than"):
        read_bytes(path, 2)
    os.truncate(path, 1 << 40)
    with pytest.raises(OSError, match="larger than"):
        read_bytes(path, 1 << 33)
    assert read_bytes("/proc/kmsg", 1 << 20) == b"" if os.access("/proc/kmsg", os.R_OK) else True


@pytest.mark.parametrize("buffering", [-1, 0])
def test_a_pointer_of_git_lfs_is_not_taken_for_the_file(tmp_path, buffering):
    path = tmp_path / "x"
    path.write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"a" * 64 + b"\nsize 12\n")
    with pytest.raises(OSError, match=r"Git LFS pointer.*git lfs pull"):
        open_file(path, buffering)
    path.write_bytes(b"version")
    with open_file(path, buffering) as file:
        assert file.read() == b"version"


def test_text_is_utf_8(tmp_path):
    (tmp_path / "x").write_bytes(b"gr\xf6\xdfe")
    with pytest.raises(ValueError):
        read_text(tmp_path / "x")
    assert read_text(tmp_path / "x", errors="replace") == "gr\ufffd\ufffde"


@pytest.fixture
def folders(tmp_path):
    """A scene's folder, and one beside it whose name begins alike."""
    for name in ("scan", "scan2"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a").write_text(name)
    return tmp_path / "scan", tmp_path / "scan2"


@pytest.mark.parametrize(
    "name",
    [
        "../scan2/a",
        "/{}/scan2/a",
        "link",
        "away/a",
        "away/../scan2/a",
        "./../scan2/a",
        "away/..",
        "..",
        "none/../../scan2",
    ],
)
def test_nothing_leads_out(folders, name):
    scan, other = folders
    (scan / "link").symlink_to(other / "a")
    (scan / "away").symlink_to(other)
    path = scan / name.format(str(scan.parent).strip("/"))
    with only_inside(scan):
        with pytest.raises(InputError, match=r"leads out of the folder .*--allow-outside") as caught:
            check_inside(path)
        assert str(path) in str(caught.value)
        with pytest.raises(InputError):
            open_file(path)
    check_inside(path)
    with only_inside(None):
        check_inside(path)


def test_what_stays_inside_passes(folders, tmp_path, monkeypatch):
    scan, _ = folders
    (scan / "b").mkdir()
    (scan / "link").symlink_to("b/../a")
    (tmp_path / "room").symlink_to(scan)
    monkeypatch.chdir(tmp_path)
    for folder in (scan, tmp_path / "room", scan.relative_to(tmp_path)):
        with only_inside(folder):
            for name in ("a", "link", "b/../a", "../scan/a", "../room/link"):
                with open_file(folder / name) as file:
                    assert file.read() == b"scan"


def test_the_file_that_was_named_may_be_a_symlink(folders):
    scan, other = folders
    (scan / "named").symlink_to(other / "a")
    (scan / "other").symlink_to(other / "a")
    with only_inside(scan, named=scan / "named"):
        check_inside(scan / "named")
        with pytest.raises(InputError):
            check_inside(scan / "other")


def test_what_libraries_open_stays_inside_too(tmp_path):
    inside, outside = tmp_path / "scene", tmp_path / "secret.png"
    inside.mkdir()
    for file in (inside / "photo.png", outside):
        Image.new("RGB", (4, 3)).save(file)
    (inside / "link.png").symlink_to(outside)
    with only_inside(inside), libraries_inside():
        assert Image.open(inside / "photo.png").size == (4, 3)
    for path in (outside, inside / "link.png", inside / ".." / "secret.png"):
        with pytest.raises(InputError, match="leads out of the folder"), only_inside(inside), libraries_inside():
            with suppress(ValueError):  # as libraries do
                Image.open(path)
        with only_inside(inside):
            assert Image.open(path).size == (4, 3), "what is no data set's business"
        with only_inside(None), libraries_inside():
            assert Image.open(path).size == (4, 3)
