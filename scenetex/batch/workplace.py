"""A scene's own folder for what is not yet, or not only, its result; one run at a time works in it.

`OUTPUT/.stages/<scene>/` holds a lock file, outputs of stages that later runs may find, and everything that is being
written. The lock is the operating system's: it ends with its process, however that ends.
"""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ..errors import InputError
from ..output import DiskFull, naming

STAGES = ".stages"


class Busy(Exception):
    """Another run is working on this scene."""


@contextmanager
def workplace(output: Path, name: str) -> Iterator[Path]:
    """The locked folder of scene `name`; what a killed run was writing there is gone.

    When the block ends with bad input, nothing is left of a folder that was not there before.

    Raises:
        Busy: another process, or thread, holds the lock.
        InputError: the folder cannot be made, or its disk has no locks.
    """
    folder = output / STAGES / name
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    with naming(output / name):
        handle = _lock(folder)
    try:
        remove_leftovers(folder)
        yield folder
    except DiskFull:
        raise
    except InputError:
        if folder in made:
            shutil.rmtree(folder, ignore_errors=True)
            with suppress(OSError):  # others work beside it
                for parent in made[1:]:
                    parent.rmdir()
        raise
    finally:
        os.close(handle)


def sweep(output: Path) -> None:
    """Removes what killed runs were writing, for all scenes that no run is working on now."""
    for leftover in {path.parent for path in (output / STAGES).glob("*/.*.partial")}:
        with suppress(Busy, OSError):
            handle = _lock(leftover)
            try:
                remove_leftovers(leftover)
            finally:
                os.close(handle)


def remove_leftovers(folder: Path) -> None:
    """Removes everything that has a temporary name; only for whoever holds the folder's lock."""
    for path in folder.glob(".*.partial"):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _lock(folder: Path) -> int:
    """An open file that holds the folder's lock until it is closed; the folder is made if it is not there."""
    path = folder / "lock"
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        except FileNotFoundError:  # removed since, with all that was in it
            continue
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Whoever held it before may have removed the folder: then this is the lock of nothing.
            if os.path.samestat(os.fstat(handle), os.stat(path)):
                return handle
        except BlockingIOError:
            os.close(handle)
            raise Busy from None
        except FileNotFoundError:
            pass
        except OSError as error:
            os.close(handle)
            raise InputError(
                f"{path}: cannot be locked ({error.strerror}); choose an output folder on a disk with locks"
            ) from None
        os.close(handle)
