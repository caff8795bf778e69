"""Hashes of contents: of arrays, of values and all that they hold, of files, which are read once."""

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..files.json_file import read_json
from ..files.output import write_files
from ..files.reading import open_file


def content_hash(*parts) -> str:
    """Hash, 32 hex digits, of arrays and of what JSON can hold; paths count as their text."""
    out = hashlib.blake2b(digest_size=16)
    for part in parts:
        if isinstance(part, np.ndarray):
            head, data = (
                f"{part.dtype.str}{part.shape}",
                np.ascontiguousarray(part).data.cast("B") if part.size else b"",
            )
        else:
            head, data = "", json.dumps(part, sort_keys=True, default=str).encode()
        # Lengths keep parts apart.
        out.update(f"{head} {len(data)} ".encode())
        out.update(data)
    return out.hexdigest()


def parts_of(value, without: tuple[str, ...] = ()) -> Iterator:
    """All that a value holds, for `content_hash`: the fields of dataclasses, whichever they are, each after its name.

    Raises:
        TypeError: something that has no content of its own; a stage must not depend on what the hash does not see.
    """
    if is_dataclass(value):
        for field in fields(value):
            if field.name not in without:
                yield field.name
                yield from parts_of(getattr(value, field.name))
    elif value is None or isinstance(value, np.ndarray | str | int | float | bool | Path):
        yield value
    elif isinstance(value, tuple | list):
        yield len(value)
        for part in value:
            yield from parts_of(part)
    else:
        raise TypeError(f"{type(value).__name__}: tell the content hash what counts of it")


class FileHashes:
    """Hashes of files' contents, computed once as long as a file's size and times of change stay the same.

    Args:
        path: where they are remembered between runs.
    """

    def __init__(self, path: Path):
        self._path, self._changed = path, False
        try:
            known = read_json(path)
        except (OSError, ValueError):
            known = None
        self._known: dict[str, list] = known if isinstance(known, dict) else {}
        self._used: dict[str, list] = {}

    def of(self, path: Path, label: str) -> str:
        """The file's hash.

        Raises:
            InputError: the file cannot be read; `label` names it.
        """
        name = os.path.abspath(path)
        if name not in self._used:
            try:
                about = os.stat(path)
                entry = self._known.get(name)
                # Copying tools keep the time of change, but none can keep that of the inode's.
                stamp = [about.st_size, about.st_mtime_ns, about.st_ctime_ns]
                if not isinstance(entry, list) or entry[:3] != stamp or len(entry) != 4:
                    with open_file(path) as file:
                        digest = hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16))
                    entry, self._changed = [*stamp, digest.hexdigest()], True
            except OSError as error:
                raise InputError(f"{label}: cannot be read ({error.strerror or error}); check the file") from None
            self._used[name] = entry
        return self._used[name][3]

    def save(self) -> None:
        """Remembers the files that were asked for."""
        if self._changed:
            write_files({self._path: json.dumps(self._used).encode()})
