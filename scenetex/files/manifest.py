"""The list in every folder we write of the files we wrote there: by it and nothing else, a folder is ours to replace.

A scan, a thesis or somebody's model has no such file, and a folder that holds anything beside what its list names, or a
file that was changed since, holds something of somebody else's.
"""

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from .json_file import read_json
from .reading import open_file

MANIFEST = ".scenetex.json"
_ABOUT = "report.json"  # what we say about a result, which others may cut short when they copy it
_LARGEST = 1 << 26  # bytes; a list of a million files


def write_manifest(folder: Path, kind: str) -> None:
    """Lists all files of a folder; what it is called, "result" or "model", has to be the same when it is replaced."""
    files = {name: _fingerprint(folder / name) for name in _names(folder) if name != MANIFEST}
    text = json.dumps({"made_by": "scenetex", "kind": kind, "files": files}, indent=1)
    (folder / MANIFEST).write_text(text + "\n", encoding="utf-8")


def read_manifest(folder: Path) -> tuple[str, dict[str, str]] | None:
    """Kind of a folder, and fingerprints by file; None for one that we did not write."""
    path = folder / MANIFEST
    try:
        if path.is_symlink():
            return None
        told = read_json(path, most=_LARGEST)
        kind, files = told["kind"], told["files"]
        if told["made_by"] == "scenetex" and isinstance(kind, str) and isinstance(files, dict):
            return kind, files
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return None


def foreign_file(folder: Path, files: dict[str, str]) -> str | None:
    """A file in the folder that is not of those listed, or not as it was written, or a folder in it that cannot be
    looked into; None where all are ours. One that was changed comes before one that was added."""
    try:
        foreign = [name for name in _names(folder) if name != MANIFEST and not _is_ours(folder, name, files)]
    except OSError as error:
        return os.path.relpath(error.filename, folder)
    return min(foreign, key=lambda name: name not in files, default=None)


def is_whole(folder: Path) -> bool:
    """Whether all files that a folder's list names are there as they were written, but for what is said about them.

    Of a folder without a list nobody knows better.
    """
    found = read_manifest(folder)
    files = {} if found is None else found[1]
    try:
        return all(name == _ABOUT or told == _fingerprint(folder / name) for name, told in files.items())
    except OSError:
        return False


def difference(folder: Path, name: str, files: dict[str, str]) -> str:
    """What tells a file from the one that was written under its name, for messages."""
    before = str(files.get(name, "")).partition("-")[0]
    try:
        size = str(os.stat(folder / name).st_size)
    except OSError:
        return ""
    if not before.isdecimal() or size == before:
        return ""
    return f" ({size} bytes, {before} when it was written)"


def remove_listed(folder: Path) -> None:
    """Removes the files that a folder's own list names and that are as we wrote them, and what folders that empties.

    Whatever else is in it stays, and the list with it.
    """
    found = read_manifest(folder)
    if found is None:
        return
    try:
        names = list(_names(folder))
    except OSError:  # nobody knows what is in there
        return
    foreign = False
    for name in names:
        if name != MANIFEST and _is_ours(folder, name, found[1]):
            (folder / name).unlink(missing_ok=True)
        elif name != MANIFEST:
            foreign = True
    for inside, _, _ in os.walk(folder, topdown=False):
        if not foreign and Path(inside) == folder:  # last of all: a kill before leaves a folder that is known as ours
            (folder / MANIFEST).unlink(missing_ok=True)
        with suppress(OSError):  # it is not empty
            os.rmdir(inside)


def _is_ours(folder: Path, name: str, files: dict[str, str]) -> bool:
    """Whether a file is as we wrote it, or there is surely nothing of anybody's in it."""
    try:
        found = _fingerprint(folder / name)
    except OSError:
        return False
    size, before = (text.partition("-")[0] for text in (found, str(files.get(name, ""))))
    if name not in files or files[name] == found:
        return name in files
    return size == "0" or (name == _ABOUT and before.isdecimal() and int(size) < int(before) and _is_cut(folder / name))


def _is_cut(report: Path) -> bool:
    """Whether it is no report any more, not even an edited one."""
    try:
        return not isinstance(read_json(report), dict)
    except (OSError, ValueError):
        return True


def _names(folder: Path) -> Iterator[str]:
    """All that is in a folder but folders themselves, links included, which are not followed. Raises OSError for one
    that cannot be looked into."""

    def unread(error: OSError) -> None:
        raise error

    for inside, folders, files in os.walk(folder, onerror=unread):
        links = [name for name in folders if os.path.islink(os.path.join(inside, name))]
        for name in sorted([*files, *links]):
            yield Path(os.path.relpath(os.path.join(inside, name), folder)).as_posix()


def _fingerprint(path: Path) -> str:
    """Size and hash of a file. Raises OSError for one that cannot be read, or is no file."""
    if path.is_symlink() or not path.is_file():
        raise FileNotFoundError(path)
    size = path.stat().st_size
    with open_file(path) as file:
        digest = hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16))
    return f"{size}-{digest.hexdigest()}"
