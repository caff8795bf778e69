"""Finding the file that a list means, which may have been written on Windows or macOS."""

import os
import unicodedata
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from ..files.reading import check_inside


class NamedFiles:
    """Files below a folder, by the names that a list beside them gives.

    A name that is there as it is written comes first. Else backslashes separate folders, too, a suffix may be left
    off, and upper and lower case, and the two ways to write an accent, are one, where only one file is meant.
    """

    def __init__(self, folder: Path, suffixes: tuple[str, ...] = ()):
        self._folder, self._suffixes = folder, suffixes
        self._names: dict[Path, dict[str, list[str]]] = {}

    def find(self, name: str) -> Path | None:
        """The file of that name, or None. Raises `OutsideError` where it would have to be looked for outside."""
        for written in self._spellings(name):
            if _is_file(self._folder / written):
                return self._folder / written
        found = (self._like(written) for written in self._spellings(name))
        return next((path for path in found if path is not None), None)

    def _spellings(self, name: str) -> Iterator[str]:
        for written in dict.fromkeys((name, name.replace("\\", "/"))):
            yield from (written, *(written + suffix for suffix in self._suffixes))

    def _like(self, written: str) -> Path | None:
        """The one file whose name differs in case or in how its accents are written, within the folder."""
        path = self._folder
        for part in Path(written).parts:
            if part in ("..", os.sep):
                return None
            likes = self._listed(path).get(_folded(part), [])
            exact = part if part in likes else None
            if exact is None and len(likes) != 1:
                return None
            path = path / (exact or likes[0])
        return path if _is_file(path) else None

    def _listed(self, folder: Path) -> dict[str, list[str]]:
        if folder not in self._names:
            check_inside(folder)
            self._names[folder] = likes = {}
            with suppress(OSError):  # no folder, or one that may not be listed
                for name in os.listdir(folder):
                    likes.setdefault(_folded(name), []).append(name)
        return self._names[folder]


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name that no file can have
        return False
