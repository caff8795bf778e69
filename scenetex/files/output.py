"""Results appear whole or not at all: written under a temporary name, handed to the disk, then renamed.

What is under a temporary name is locked by whoever writes it: what a killed process left is told from what is being
written by the lock that is gone, and `sweep` removes it.
"""

import errno
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from ..errors import InputError
from .exchange import PREVIOUS, put_in_place, recover, waiting
from .locks import ANYTHING, Busy, mark, seize
from .manifest import MANIFEST, difference, foreign_file, read_manifest, remove_listed, write_manifest

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
_LONGEST_HINT = 50  # characters of a name that its temporary one repeats; names are limited in bytes
_TEMPORARY = re.compile(r"\..+\.[0-9a-f]{12}\.partial", re.DOTALL)


class DiskFull(InputError):
    """There is no room left for the output: whatever else would be written there has to wait, too."""


def write_files(files: Mapping[Path, bytes]) -> None:
    """Writes several files that belong together; on failure none of them is left half-written.

    All are written in full beside their final places before the first is renamed, in the mapping's order: put the file
    that refers to the others last.

    Raises:
        InputError: a file cannot be written (no such folder, no permission, disk full, a device or folder of that
            name); names it and the cure.
    """
    staged: list[tuple[Path, Path]] = []
    handles: list[int] = []
    path = Path()
    try:
        for path, data in files.items():
            path = Path(path)
            _check_regular(path)
            temporary = _hidden_sibling(path)
            staged.append((temporary, path))
            handles.append(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
            mark(handles[-1])
            with open(handles[-1], "wb", closefd=False) as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        if not ANYTHING:
            _close(handles)
        for temporary, path in staged:
            os.replace(temporary, path)
    except OSError as error:
        raise _cannot_write(path, error) from error
    finally:
        _close(handles)
        for temporary, _ in staged:
            with suppress(OSError):
                temporary.unlink()


@contextmanager
def output_folder(
    final: Path, kind: str = "result", inputs: Iterable[str | Path] = (), work_folder: Path | None = None
) -> Iterator[Path]:
    """A folder that gets its name only once everything in it is written and has reached the disk.

    Yields an empty temporary folder (missing parents are made). When the block ends it becomes `final`, with a list of
    its files in it (`manifest.py`); when the block raises, KeyboardInterrupt included, it is removed and an older
    `final` stays as it was.

    Args:
        final: the folder to make. An older one of the same kind is replaced as a whole, if all in it is ours.
        kind: what it is; a result does not replace a scan, though both are ours.
        inputs: files and folders that are read; `final` may be none of them, hold none and lie in none.
        work_folder: folder on the same disk for the temporary one; default: beside `final`.

    Raises:
        InputError: `final` is not ours to replace, or cannot be written.
        DiskFull: the disk fills up while it is written.
    """
    final = Path(final)
    made: list[Path] = []
    handles: list[int] = []
    with naming(final):
        check_apart([final], inputs)
        target = Path(os.path.realpath(final))
        put_back(target)
        check_replaceable(final, kind)
    temporary = _hidden_sibling(target if work_folder is None else work_folder / target.name)
    try:
        with naming(final):
            for folder in (temporary, target):
                for parent in reversed([p for p in folder.parents if not p.exists()]):
                    parent.mkdir()
                    made.append(parent)
            temporary.mkdir()
            if temporary.stat().st_dev != target.parent.stat().st_dev:
                raise InputError(f"{final}: leads to another disk; name a folder there as the output instead")
            if ANYTHING:
                handles.append(os.open(temporary, os.O_RDONLY))
                mark(handles[-1])
        try:
            yield temporary
        except OSError as error:
            # Most OSErrors of the block are about files it reads; a failing disk is surely about this folder.
            if error.errno in _DISK_TROUBLE:
                raise _cannot_write(final, error) from error
            raise
        with naming(final):
            write_manifest(temporary, kind)
            _sync(temporary)
            check_replaceable(final, kind)  # somebody may have put something there meanwhile
            previous = put_in_place(temporary, target)
            _sync_one(target.parent)
            if previous is not None:
                discard(previous)
    except BaseException:
        discard(temporary)
        with suppress(OSError):  # somebody else may have put something there meanwhile
            for parent in reversed(made):
                parent.rmdir()
        raise
    finally:
        _close(handles)


def check_replaceable(final: Path, kind: str) -> None:
    """Raises InputError unless `final` is absent, an empty folder, or one of `kind` in which all is ours."""
    if not os.path.lexists(final) or not (target := Path(os.path.realpath(final))).exists():
        return
    if not target.is_dir():
        raise InputError(f"{final}: is a file; choose another output folder")
    if not any(target.iterdir()):
        return
    found = read_manifest(target)
    if found is None:
        raise InputError(
            f"{final}: holds something other than an earlier {kind} (no {MANIFEST}, as this version writes it; it may "
            "be made by an earlier version); delete it if so, move it away, or choose another output folder"
        )
    if found[0] != kind:
        raise InputError(f"{final}: holds a {found[0]}, not an earlier {kind}; choose another output folder")
    foreign = foreign_file(target, found[1])
    if foreign is not None:
        raise InputError(
            f"{final}: holds {foreign}, which scenetex did not write, or which was cut short or edited since"
            f"{difference(target, foreign, found[1])}; move it away, and the same command makes what is missing, or "
            "choose another output folder"
        )


def check_apart(outputs: Iterable[Path], inputs: Iterable[str | Path]) -> None:
    """Raises InputError for an output that is an input, holds one, or lies in one; links are followed."""
    holds: dict[tuple[int, int], str | Path] = {}
    are: dict[tuple[int, int], str | Path] = {}
    for given in inputs:
        chain = _ancestors(Path(given))
        if chain and os.path.lexists(given):
            are[chain[0]] = given
            holds |= dict.fromkeys(chain, given)
    for final in outputs if are else ():
        chain = _ancestors(final)
        exists = os.path.exists(final)
        found = next((are[place] for place in chain if place in are), holds.get(chain[0]) if exists else None)
        if found is not None:
            raise InputError(
                f"{final}: would lie in, or in the place of, {found}, which is read; choose another output folder, "
                "apart from all that is read"
            )


def check_file(path: Path, inputs: Iterable[str | Path]) -> None:
    """Raises InputError for a path that no file can be written to, and a file that is there already and belongs to what
    is read: said before the work, not after half an hour."""
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise InputError(f"{path}: cannot be written (no such folder, or a folder itself); name a file in a folder")
    with naming(path):
        _check_regular(path)
        if path.exists():
            check_apart([path], inputs)


def put_back(target: Path) -> None:
    """Finishes the replacement of `target` that a kill cut short: see `exchange.py`. For the lock's holder."""
    previous = recover(target)
    if previous is not None:
        discard(previous)


def discard(path: Path) -> None:
    """Removes something that has a temporary name; of a folder that was whole, only what we wrote."""
    if not path.is_dir():
        with suppress(OSError):
            path.unlink()
    elif read_manifest(path) is None:
        shutil.rmtree(path, ignore_errors=True)
    else:
        remove_listed(path)
    with suppress(OSError):  # where two renames were needed, it lay in a folder of its own
        if path.parent.name == PREVIOUS:
            path.parent.rmdir()


def sweep(folder: Path) -> None:
    """Tidies up after killed processes: removes what they were writing right in `folder`, and puts back what they were
    about to replace. For whoever holds the lock of what is written there; what has a lock of its own stays."""
    for target in waiting(folder):
        with suppress(OSError):
            put_back(target)
    for path in folder.glob(".*.partial"):
        with suppress(Busy, OSError):
            if _TEMPORARY.fullmatch(path.name):
                release = seize(path)
                try:
                    discard(path)
                finally:
                    release()


def own_folder(folder: Path, kind: str) -> None:
    """Makes a folder in which all is ours to remove, files without a list as well; or takes up an earlier one.

    Raises:
        InputError: there is something else, or it cannot be made.
    """
    found = read_manifest(folder)
    if found is not None and found[0] == kind:
        return
    check_replaceable(folder, kind)
    with naming(folder):
        folder.mkdir(parents=True, exist_ok=True)
        write_manifest(folder, kind)


def remove_folder(folder: Path, kind: str) -> None:
    """Removes a folder of ours, in one step for whoever looks; one that is not, or holds other files, stays."""
    found = read_manifest(folder)
    if found is None or found[0] != kind or foreign_file(folder, found[1]) is not None:
        return
    with suppress(OSError):
        away = _hidden_sibling(folder)
        folder.rename(away)
        discard(away)


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
    if not ANYTHING and path.is_dir():  # Windows opens no folders, and hands over only what can be written to
        return
    handle = os.open(path, os.O_RDONLY if ANYTHING else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _hidden_sibling(path: Path) -> Path:
    """A free name beside `path`: on the same disk, so that renaming is atomic."""
    name = path.name[:_LONGEST_HINT]
    return path.with_name(f".{name}.{uuid4().hex[:12]}.partial")


def _ancestors(path: Path) -> list[tuple[int, int]]:
    """What tells a path and the folders around it from all others, from the inside out, links followed."""
    real = Path(os.path.realpath(path))
    found = []
    for place in (real, *real.parents):
        with suppress(OSError):  # it is not there yet
            about = os.stat(place)
            found.append((about.st_dev, about.st_ino))
    return found


def _check_regular(path: Path) -> None:
    """Raises OSError for a folder, InputError for a device or pipe: renaming would put a file in its place."""
    if path.is_dir():
        raise OSError(errno.EISDIR, os.strerror(errno.EISDIR))
    if path.exists() and not path.is_file():
        raise InputError(f"{path}: is a device or pipe; name a file")


def _close(handles: list[int]) -> None:
    while handles:
        os.close(handles.pop())
