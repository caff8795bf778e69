"""Opening what others made: regular files only, of a size that was reckoned with, and nothing outside a folder."""

import errno
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import BinaryIO

from ..errors import InputError, OutsideError, shown

MESH_BYTES = 1 << 33  # most bytes of a mesh,
IMAGE_BYTES = 1 << 30  # of an image,
TEXT_BYTES = 1 << 24  # and of a text that people write
_POINTER = b"version https://git-lfs.github.com/spec/"  # what stands for a file in a clone made without Git LFS
_POINTER_BYTES = 1024  # less than that, by its specification


@dataclass(frozen=True)
class _Bounds:
    """A folder that is not to be left, and real paths of folders that were looked up."""

    folder: str
    named: str
    known: dict[str, str] = field(default_factory=dict)

    def hold(self, path: str) -> bool:
        """Whether a path, symlinks followed, lies in the folder, or is the file that the user named."""
        # Never shortened by its text: where `link/..` leads, only the disk knows.
        parent, name = os.path.split(path)
        if parent not in self.known:
            self.known[parent] = os.path.realpath(parent)
        real = os.path.join(self.known[parent], name)
        real = os.path.realpath(real) if name == ".." or os.path.islink(real) else real
        return lies_in(real, self.folder) or path == self.named


def lies_in(path: str, folder: str, places: ModuleType = os.path) -> bool:
    """Whether a real path is a real folder or lies in it; `places` are those of another system, if need be."""
    try:
        return places.commonpath([path, folder]) == places.commonpath([folder])
    except ValueError:  # on another drive
        return False


_bounds: ContextVar[_Bounds | None] = ContextVar("bounds", default=None)


# Of files that Python opens: code is no data, nor is what libraries and the system bring along.
_CODE = (".py", ".pyc", ".so", ".pyd")
_LIBRARIES = tuple(
    {os.path.realpath(place) + os.sep for place in (sys.prefix, sys.base_prefix, "/usr", "/proc", "/sys")}
)
_watching: ContextVar[list[InputError] | None] = ContextVar("watching", default=None)


def bounds_folder() -> str | None:
    """The folder that `only_inside` was told, None where everything passes."""
    bounds = _bounds.get()
    return None if bounds is None else bounds.folder


@contextmanager
def libraries_inside() -> Iterator[None]:
    """In the block, what libraries open through Python has to pass `check_inside`, too, as it does in `open_file`.

    Raises:
        InputError: at the end of the block, whatever the library has made of it.
    """
    _watch()
    token = _watching.set([])
    try:
        yield
    except Exception:
        if refused := _watching.get():
            raise refused[0] from None
        raise
    finally:
        refused = _watching.get()
        _watching.reset(token)
    if refused:
        raise refused[0]


@cache
def _watch() -> None:
    """Has Python ask before it opens a file; such a hook stays for good."""

    def ask(event: str, args: tuple) -> None:
        if event == "open" and _watching.get() is not None and isinstance(args[0], str | bytes | os.PathLike):
            path = os.fsdecode(args[0])
            if path.endswith(_CODE) or os.path.realpath(path).startswith(_LIBRARIES):
                return
            try:
                check_inside(path)
            except InputError as error:
                _watching.get().append(error)
                raise

    sys.addaudithook(ask)


@contextmanager
def only_inside(folder: Path | None, named: Path | None = None) -> Iterator[None]:
    """In the block, `open_file` and `check_inside` refuse what lies outside `folder`, symlinks followed.

    The folder may be a symlink itself, and so may `named`, a file that the user named. None: everything passes.
    """
    bounds = None
    if folder is not None:
        bounds = _Bounds(os.path.realpath(folder), str(named))
    token = _bounds.set(bounds)
    try:
        yield
    finally:
        _bounds.reset(token)


def check_inside(path: str | Path) -> None:
    """Raises OutsideError for a path that leads out of the folder that `only_inside` was told."""
    bounds = _bounds.get()
    if bounds is not None and not bounds.hold(str(path)):
        raise OutsideError(
            f"{path}: leads out of the folder {bounds.folder}, to {shown(os.path.realpath(path))}; put the file there, "
            "or, if you trust what it comes from, add --allow-outside (in Python: allow_outside=True)"
        )


def open_file(path: str | Path, buffering: int = -1) -> BinaryIO:
    """Opens a regular file to read bytes: a pipe would be waited for, a device might never end.

    Raises:
        OSError: there is none, or something else of that name; readers say so in their own words.
        InputError: it lies outside the folder that `only_inside` was told.
    """
    check_inside(path)
    check_regular(path)
    file = open(path, "rb", buffering)
    if os.fstat(file.fileno()).st_size < _POINTER_BYTES:
        start = file.read(len(_POINTER))
        if start == _POINTER:
            file.close()
            raise OSError(errno.ENODATA, "a Git LFS pointer to the file; fetch it: git lfs pull", str(path))
        file.seek(0)
    return file


def check_path(path: str | Path, name: str = "") -> None:
    """Raises InputError for a path that cannot even be looked up; one where there is nothing passes.

    `name` is that of an option, for the message.
    """
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        pass
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "no path has such characters"
        raise InputError(f"{name} {shown(str(path))}: cannot be used ({why}); check the path".lstrip()) from None


def check_regular(path: str | Path) -> None:
    """Raises OSError for what is no regular file; for a library that opens the file itself, in place of `open_file`."""
    mode = os.stat(path).st_mode
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, "a folder, not a file", str(path))
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "a pipe, socket or device, not a file", str(path))


def read_bytes(path: str | Path, most: int) -> bytes:
    """All of a regular file. Raises OSError, too, if it has more than `most` bytes."""
    with open_file(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > most:
            raise OSError(errno.EFBIG, f"larger than {most >> 20} MB", str(path))
        # Not to its end: what grows while it is read has none.
        return file.read(size)


def read_text(path: str | Path, most: int = TEXT_BYTES, errors: str = "strict") -> str:
    """All of a text in UTF-8, with or without the mark that Windows puts before it. Raises OSError as `read_bytes`, and
    ValueError for other bytes if `errors` is strict."""
    return read_bytes(path, most).decode("utf-8-sig", errors)
