"""Results appear whole or not at all: written under a temporary name, handed to the disk, then renamed."""

import errno
import os
import shutil
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from .errors import InputError

_CURES = {
    errno.ENOSPC: "free some space or choose another disk",
    errno.EDQUOT: "free some space or choose another disk",
    errno.EFBIG: "raise the file size limit or choose another disk",
    errno.ENOENT: "make its folder first",
    errno.ENOTDIR: "a part of the path is a file; choose another folder",
    errno.EEXIST: "a part of the path is a file; choose another folder",
    errno.EISDIR: "a folder has that name; choose another name",
    errno.ENOTEMPTY: "a folder has that name; choose another name",
    errno.ENAMETOOLONG: "choose a shorter name",
}
_FULL = (errno.ENOSPC, errno.EDQUOT)
_DISK_TROUBLE = (*_FULL, errno.EFBIG, errno.EROFS)


class DiskFull(InputError):
    """There is no room left for the output: whatever else would be written there has to wait, too."""


def check_file(path: Path) -> None:
    """Raises InputError for a path that no file can be written to: said before the work, not after half an hour."""
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise InputError(f"{path}: cannot be written (no such folder, or a folder itself); name a file in a folder")


def write_files(files: Mapping[Path, bytes]) -> None:
    """Writes several files that belong together; on failure none of them is left half-written.

    All are written in full beside their final places before the first is renamed, in the mapping's order: put the file
    that refers to the others last.

    Raises:
        InputError: a file cannot be written (no such folder, no permission, disk full); names it and the cure.
    """
    staged: list[tuple[Path, Path]] = []
    path = Path()
    try:
        for path, data in files.items():
            path = Path(path)
            if path.is_dir():
                raise OSError(errno.EISDIR, os.strerror(errno.EISDIR))
            temporary = _hidden_sibling(path)
            staged.append((temporary, path))
            with open(temporary, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        for temporary, path in staged:
            os.replace(temporary, path)
    except OSError as error:
        raise _cannot_write(path, error) from error
    finally:
        for temporary, _ in staged:
            with suppress(OSError):
                temporary.unlink()


@contextmanager
def output_folder(final: Path, marker: str = "report.json", workplace: Path | None = None) -> Iterator[Path]:
    """A folder that gets its name only once everything in it is written and has reached the disk.

    Yields an empty temporary folder (missing parents are made). When the block ends it becomes `final`; when the block
    raises, KeyboardInterrupt included, it is removed and an older `final` stays as it was.

    Args:
        final: the folder to make. An older result there is replaced as a whole.
        marker: the file by which an older result is known. A folder that is neither empty nor holds it is somebody
            else's and is refused rather than replaced.
        workplace: folder on the same disk for the temporary one; default: beside `final`.

    Raises:
        InputError: `final` is not ours to replace, or cannot be written.
        DiskFull: the disk fills up while it is written.
    """
    final = Path(final)
    made: list[Path] = []
    with naming(final):
        target = final.resolve()
        if target.exists() and not _replaceable(target, marker):
            raise InputError(f"{final}: holds something other than an earlier result; choose another output folder")
    temporary = _hidden_sibling(target if workplace is None else workplace / target.name)
    try:
        with naming(final):
            for folder in (temporary, target):
                for parent in reversed([p for p in folder.parents if not p.exists()]):
                    parent.mkdir()
                    made.append(parent)
            temporary.mkdir()
        try:
            yield temporary
        except OSError as error:
            # Most OSErrors of the block are about files it reads; a failing disk is surely about this folder.
            if error.errno in _DISK_TROUBLE:
                raise _cannot_write(final, error) from error
            raise
        with naming(final):
            _sync(temporary)
            _rename_over(temporary, target)
            _sync_one(target.parent)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        with suppress(OSError):  # somebody else may have put something there meanwhile
            for parent in reversed(made):
                parent.rmdir()
        raise


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Turns an OSError of the block into an `InputError` that names `path`."""
    try:
        yield
    except OSError as error:
        raise _cannot_write(path, error) from error


def _cannot_write(path: Path, error: OSError) -> InputError:
    cure = _CURES.get(error.errno, "choose a folder that you may write to")
    kind = DiskFull if error.errno in _FULL else InputError
    return kind(f"{path}: cannot be written ({error.strerror or error}); {cure}")


def _sync(folder: Path) -> None:
    """Waits until a folder with all its files is on the disk: a rename must not get there before them."""
    with ThreadPoolExecutor(8) as pool:  # disks take many small files together as fast as one
        list(pool.map(_sync_one, [folder, *folder.rglob("*")]))


def _sync_one(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _hidden_sibling(path: Path) -> Path:
    """A free name beside `path`: on the same disk, so that renaming is atomic."""
    return path.with_name(f".{path.name[:100]}.{uuid4().hex[:12]}.partial")


def _replaceable(folder: Path, marker: str) -> bool:
    return folder.is_dir() and ((folder / marker).is_file() or not any(folder.iterdir()))


def _rename_over(temporary: Path, target: Path) -> None:
    """`temporary` becomes `target`; the folder that was there goes only after the new one is in place."""
    if not target.exists():
        temporary.rename(target)
        return
    previous = _hidden_sibling(temporary.with_name(target.name))
    target.rename(previous)
    try:
        temporary.rename(target)
    except BaseException:
        previous.rename(target)
        raise
    shutil.rmtree(previous, ignore_errors=True)
