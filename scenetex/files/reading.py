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
from typing import BinaryIO

from ..errors import InputError, OutsideError, shown

MESH_BYTES = 1 << 33  # most bytes of a mesh,
IMAGE_BYTES = 1 << 30  # of an image,
TEXT_BYTES = 1 << 24  # and of a text that people write


_WEIGHTS = (".safetensors", ".bin", ".ckpt", ".pt", ".pth", ".h5", ".msgpack", ".onnx", ".onnx_data")
_PARTS = ".index.json"  # of weights in several files
_TOLD_BYTES = 1 << 28  # most bytes of what else belongs to a model, such as its settings and words


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
        return os.path.commonpath([real, self.folder]) == self.folder or path == self.named


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
    return open(path, "rb", buffering)


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


def _folders(folder: str | Path) -> Iterator[tuple[str, list[str]]]:
    """Every folder below one, itself first, with the names of its files; symlinks are followed."""
    seen: set[str] = set()
    for parent, folders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(parent)
        if real in seen:  # symlinks may lead round in a circle
            folders.clear()
            continue
        seen.add(real)
        yield parent, names


def files_below(folder: Path) -> list[Path]:
    """The files in a folder and those below it, as a library finds them that reads it by names: symlinks followed."""
    paths = [Path(parent, name) for parent, names in _folders(folder) for name in names]
    return [path for path in paths if path.is_file()]


def check_folder(folder: str | Path) -> None:
    """Raises InputError where a folder that a library will read, such as a model's, holds what it would wait for, or a
    list of files that leads out of it."""
    for parent, names in _folders(folder):
        for name in names:
            path = os.path.join(parent, name)
            try:
                check_regular(path)
                # Libraries read these whole; of weights they know the size.
                if not name.endswith(_WEIGHTS) and os.path.getsize(path) > _TOLD_BYTES:
                    raise OSError(errno.EFBIG, f"larger than {_TOLD_BYTES >> 20} MB")
            except FileNotFoundError:  # a symlink to nothing
                continue
            except OSError as error:
                raise InputError(f"{path}: cannot be read ({error.strerror or error}); copy the folder again") from None
            if name.endswith(_PARTS):
                _check_parts(path)


def _check_parts(index: str) -> None:
    """Raises InputError for a list of the files of a model's weights that names one elsewhere: libraries would read
    it."""
    from .json_file import read_json  # which reads by this module

    try:
        told = read_json(index)
    except (OSError, ValueError):  # loading will say so
        return
    files = told.get("weight_map") if isinstance(told, dict) else None
    for file in files.values() if isinstance(files, dict) else ():
        if isinstance(file, str) and (os.path.isabs(file) or ".." in file.replace("\\", "/").split("/")):
            raise InputError(f"{index}: leads out of its folder, to {shown(file)}; copy the model again, all of it")


def read_bytes(path: str | Path, most: int) -> bytes:
    """All of a regular file. Raises OSError, too, if it has more than `most` bytes."""
    with open_file(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > most:
            raise OSError(errno.EFBIG, f"larger than {most >> 20} MB", str(path))
        # Not to its end: what grows while it is read has none.
        return file.read(size)


def read_text(path: str | Path, most: int = TEXT_BYTES, errors: str = "strict") -> str:
    """All of a text in UTF-8. Raises OSError as `read_bytes`, and ValueError for other bytes if `errors` is strict."""
    return read_bytes(path, most).decode("utf-8", errors)
