"""A scan that comes as a zip archive, from somebody nobody knows: unpacked whole into a folder of its own, or not at
all."""

import re
import shutil
import stat
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from ..errors import DAMAGE, InputError, shown
from ..files.output import naming
from ..files.reading import open_file

MOST_ENTRIES, MOST_BYTES = 100_000, 1 << 34  # of an archive, once it is unpacked
_CHUNK = 1 << 20
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENCRYPTED = 1  # bit of an entry's flags
_LEFT_OUT = ("__MACOSX", ".DS_Store", "Thumbs.db")  # what systems put in by themselves
_LONGEST_NAME = 60


def unpack_scan(archive: Path, into: Path, most_entries: int = MOST_ENTRIES, most_bytes: int = MOST_BYTES) -> Path:
    """The folder of the scan in an archive, unpacked to a new folder in `into`.

    Nothing is written outside of that folder, no links are made, and nothing is left of an archive that is refused.
    Archives of Windows may have backslashes between folders.

    Args:
        archive: of a scan's folder, or of what is in one.
        into: folder that the scan's is made in; it is made, if need be.
        most_entries, most_bytes: that an archive may hold, unpacked.

    Returns:
        The innermost folder that holds all of the archive; where that is the archive's own, it has the archive's name.

    Raises:
        InputError: the archive is none, damaged, encrypted, too large, or has an entry that is no plain file or folder,
            is there twice, or leads out; the disk is full.
    """
    name = archive.name
    target = _free(into / scan_name(name))
    with naming(target):
        target.mkdir(parents=True)
    try:
        with open_file(archive) as file, zipfile.ZipFile(file) as opened:
            places = _places(opened, name, most_entries, most_bytes)
            _write(opened, places, target, name, most_bytes)
    except InputError:
        shutil.rmtree(target, ignore_errors=True)
        raise
    except DAMAGE as error:
        shutil.rmtree(target, ignore_errors=True)
        why = getattr(error, "strerror", None) or shown(str(error), 100) or type(error).__name__
        raise InputError(f"{shown(name)}: cannot be unpacked ({why}); give a .zip of a scan's folder") from None
    except BaseException:
        shutil.rmtree(target, ignore_errors=True)
        raise
    return _innermost(target)


def scan_name(archive: str) -> str:
    """What a scan is called that comes in an archive of that name: letters, digits, -, _ and dots inside."""
    stem = archive[:-4] if archive.lower().endswith(".zip") else archive
    return re.sub(r"[^A-Za-z0-9._-]+", "_", stem).strip("._-")[:_LONGEST_NAME] or "scan"


def _free(path: Path) -> Path:
    """The path, or the first with a number behind it where nothing is."""
    number, found = 1, path
    while found.exists():
        number += 1
        found = path.with_name(f"{path.name}-{number}")
    return found


def _places(opened: zipfile.ZipFile, name: str, most_entries: int, most_bytes: int) -> dict[str, zipfile.ZipInfo]:
    """Entries by the path that each is written to, all looked at before the first is written."""
    entries = opened.infolist()
    if len(entries) > most_entries:
        raise InputError(f"{shown(name)}: has {len(entries):,} entries; at most {most_entries:,} are unpacked")
    size = sum(entry.file_size for entry in entries)
    if size > most_bytes:
        raise InputError(
            f"{shown(name)}: holds {size / 1e9:,.1f} GB; at most {most_bytes / 1e9:,.1f} GB are unpacked; give every "
            "second photo, or use scenetex texture"
        )
    places: dict[str, zipfile.ZipInfo] = {}
    for entry in entries:
        path = _inside(entry, name)
        if not set(path.parts) & set(_LEFT_OUT):
            if str(path) in places and not entry.is_dir():
                raise _refused(entry, name, "is there twice")
            places[str(path)] = entry
    if not any(not entry.is_dir() for entry in places.values()):
        raise InputError(f"{shown(name)}: holds no file; give a .zip of a scan's folder")
    return places


def _inside(entry: zipfile.ZipInfo, name: str) -> PurePosixPath:
    """The path of an entry below the folder. Raises InputError for what is no plain file or folder below it."""
    if not entry.orig_filename.isprintable():
        raise _refused(entry, name, "has a name that cannot be printed")
    path = PurePosixPath(entry.filename.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or ":" in entry.filename:
        raise _refused(entry, name, "leads out of it")
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise _refused(entry, name, "is a link or device, not a file")
    if entry.flag_bits & _ENCRYPTED:
        raise _refused(entry, name, "is encrypted")
    if entry.compress_type not in _METHODS:
        raise _refused(entry, name, "is compressed by another method than deflate")
    return path


def _refused(entry: zipfile.ZipInfo, name: str, why: str) -> InputError:
    return InputError(
        f"{shown(name)}: '{shown(entry.orig_filename, _LONGEST_NAME)}' in it {why}; give a .zip of a scan's folder"
    )


def _write(
    opened: zipfile.ZipFile, places: dict[str, zipfile.ZipInfo], target: Path, name: str, most_bytes: int
) -> None:
    """Writes all entries; sizes are counted again, as what an archive says of them need not be true."""
    left = most_bytes
    for place, entry in places.items():
        path = target / place
        if entry.is_dir():
            path.mkdir(parents=True, exist_ok=True)
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        with opened.open(entry) as source, open(path, "wb") as file:
            for chunk in _chunks(source):
                left -= len(chunk)
                if left < 0:
                    raise InputError(f"{shown(name)}: holds more than it says; give a .zip of a scan's folder")
                file.write(chunk)


def _chunks(source) -> Iterator[bytes]:
    while chunk := source.read(_CHUNK):
        yield chunk


def _innermost(folder: Path) -> Path:
    """Goes down while there is nothing but one folder."""
    while len(inside := list(folder.iterdir())) == 1 and inside[0].is_dir():
        folder = inside[0]
    return folder
