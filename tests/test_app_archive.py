"""Archives of scans: what comes out is what went in, and what leads out, deceives or is damaged leaves nothing."""

import io
import stat
import struct
import zipfile
from pathlib import Path

import pytest
import tiny_scan
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scenetex import InputError, load_scene
from scenetex.app.archive import scan_name, unpack_scan


def written(path: Path, entries: dict, method: int = zipfile.ZIP_DEFLATED) -> Path:
    """An archive of these entries: bytes by name, or by ZipInfo."""
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    return path


def of_mode(name: str, mode: int) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name)
    entry.create_system, entry.external_attr = 3, mode << 16
    return entry


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def zipped(folder: Path, path: Path, inside: str = "") -> Path:
    return written(path, {f"{inside}{name}": data for name, data in files(folder).items()})


@pytest.mark.parametrize("inside", ["", "room/", "Users/me/room/"])
def test_a_scan_comes_out_as_it_went_in(tmp_path, inside):
    scan = tiny_scan.write_extracted(tmp_path / "room")
    got = unpack_scan(zipped(scan, tmp_path / "my room.ZIP", inside), tmp_path / "scans")
    assert files(got) == files(scan)
    assert got.name == ("room" if inside else "my_room")
    assert len(load_scene(got).frames) == 3


def test_backslashes_of_windows_are_folders_and_its_litter_is_left_out(tmp_path):
    entries = {"room\\pose\\0.txt": b"1", "__MACOSX/room/._0.txt": b"2", "room/.DS_Store": b"3"}
    got = unpack_scan(written(tmp_path / "a.zip", entries), tmp_path / "scans")
    assert files(tmp_path / "scans" / "a") == {"room/pose/0.txt": b"1"} and got.name == "pose"


def test_one_name_twice_gives_two_scans(tmp_path):
    archive = written(tmp_path / "a.zip", {"x.txt": b"1"})
    found = [unpack_scan(archive, tmp_path / "scans").name for _ in range(3)]
    assert found == ["a", "a-2", "a-3"]


def lied_about(path: Path) -> Path:
    """Says of a megabyte of zeros that it is one byte."""
    data = written(path, {"x.bin": bytes(1 << 20)}).read_bytes()
    path.write_bytes(data.replace(struct.pack("<I", 1 << 20), struct.pack("<I", 1)))
    return path


def encrypted(path: Path) -> Path:
    data = bytearray(written(path, {"x.txt": b"1"}).read_bytes())
    data[6] |= 1
    data[data.index(b"PK\1\2") + 8] |= 1
    path.write_bytes(data)
    return path


HOSTILE = {
    "no archive": (lambda p: p.write_bytes(b"hello") and p, "cannot be unpacked"),
    "empty": (lambda p: written(p, {}), "holds no file"),
    "folders alone": (lambda p: written(p, {"room/": b""}), "holds no file"),
    "cut short": (lambda p: p.write_bytes(written(p, {"x.txt": b"1" * 99}).read_bytes()[:-30]) and p, "cannot be"),
    "up": (lambda p: written(p, {"room/../../evil.txt": b"1"}), "leads out"),
    "up by backslash": (lambda p: written(p, {"..\\evil.txt": b"1"}), "leads out"),
    "absolute": (lambda p: written(p, {"/evil.txt": b"1"}), "leads out"),
    "drive": (lambda p: written(p, {"C:evil.txt": b"1"}), "leads out"),
    "link": (lambda p: written(p, {of_mode("evil", stat.S_IFLNK | 0o777): "/etc"}), "is a link"),
    "pipe": (lambda p: written(p, {of_mode("evil", stat.S_IFIFO | 0o666): b""}), "is a link"),
    "up and down again": (lambda p: written(p, {"y/../x.txt": b"2"}), "leads out"),
    "twice, plainly": (lambda p: written(p, {"x.txt": b"1", "./x.txt": b"2"}), "is there twice"),
    "a file as a folder": (lambda p: written(p, {"x": b"1", "x/y": b"2"}), "cannot be unpacked"),
    "escape": (lambda p: written(p, {"a\x1b[2J.txt": b"1"}), "cannot be printed"),
    "long name": (lambda p: written(p, {"a" * 300: b"1"}), "cannot be unpacked"),
    "method": (lambda p: written(p, {"x.txt": b"1"}, zipfile.ZIP_LZMA), "another method"),
    "encrypted": (encrypted, "is encrypted"),
    "too large": (lambda p: written(p, {f"{i}.bin": bytes(1000) for i in range(9)}), "at most"),
    "too many": (lambda p: written(p, {f"{i}.bin": b"" for i in range(20)}), "at most 10"),
    "lies": (lied_about, "cannot be unpacked"),
}


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("case", HOSTILE)
def test_what_is_hostile_or_damaged_is_one_line_and_leaves_nothing(case, tmp_path):
    make, says = HOSTILE[case]
    archive = make(tmp_path / "scan.zip")
    with pytest.raises(InputError, match=says) as error:
        unpack_scan(archive, tmp_path / "in" / "scans", most_entries=10, most_bytes=5000)
    assert "\n" not in str(error.value) and str(error.value).startswith("scan.zip: ") and str(error.value).isprintable()
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["in", "scan.zip", "scans"]


def test_names_of_archives_become_names_of_folders():
    assert [scan_name(name) for name in ("a b.zip", "../../etc.zip", ".zip", "é?.zip", "x" * 99)] == [
        *("a_b", "etc", "scan", "scan"),
        "x" * 60,
    ]


PARTS = st.sampled_from(["a", "b", "..", ".", "", "c:", "\\", "~", "a\0b", "é", "x" * 300, "..\\..", "CON", " "])
NAMES = st.lists(PARTS, min_size=1, max_size=4).map("/".join)
MODES = st.sampled_from([0, 0o644, stat.S_IFREG | 0o644, stat.S_IFLNK | 0o777, stat.S_IFDIR | 0o755, stat.S_IFSOCK])
ENTRIES = st.lists(st.tuples(NAMES, MODES, st.binary(max_size=9)), max_size=4)


@pytest.mark.filterwarnings("ignore:Duplicate name")
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(entries=ENTRIES, damage=st.none() | st.tuples(st.integers(0, 400), st.integers(0, 255)))
def test_whatever_an_archive_says_nothing_is_written_outside(entries, damage, tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for name, mode, content in entries:
            archive.writestr(of_mode(name, mode), content)
    data = bytearray(data.getvalue())
    if damage is not None and damage[0] < len(data):
        data[damage[0]] = damage[1]
    (home / "scan.zip").write_bytes(data)
    try:
        got = unpack_scan(home / "scan.zip", home / "scans")
    except InputError:
        assert list((home / "scans").iterdir()) == []
    else:
        assert (home / "scans" / "scan").is_dir() and got.is_relative_to(home / "scans" / "scan")
        assert not any(path.is_symlink() for path in home.rglob("*"))
    assert sorted(path.name for path in home.iterdir()) == ["scan.zip", "scans"]
