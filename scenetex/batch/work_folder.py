"""A scene's own folder for what is not yet, or not only, its result; one run at a time works in it.

`OUTPUT/.stages/<scene>/` holds a lock file, outputs of stages that later runs may find, and everything that is being
written. The lock is the operating system's: it ends with its process, however that ends.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ..errors import InputError
from ..files.exchange import waiting
from ..files.locks import Busy, Release, hold
from ..files.output import DiskFull, discard, naming, put_back

STAGES = ".stages"
FAILED = ".failed"  # behind the name of a scene, the folder that tells why it has none
SEEDS = ".seeds"  # behind that name, the folder that compares seeds


@contextmanager
def work_folder(output: Path, name: str) -> Iterator[Path]:
    """The locked folder of scene `name`; what a killed run was writing there is gone.

    When the block ends with bad input, nothing is left of a folder that was not there before.

    Raises:
        Busy: another process, or thread, holds the lock.
        InputError: the folder cannot be made, or its disk has no locks.
    """
    folder = output / STAGES / name
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    check_output(output)
    with naming(output / name if folder in made else folder):
        release = _lock(folder)
    try:
        _tidy(output, name)
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
        release()


def check_output(output: Path) -> None:
    """Raises InputError, which names it, where a file is in the place of a folder that all scenes need."""
    for folder in (output, output / STAGES):
        if os.path.lexists(folder) and not folder.is_dir():
            raise InputError(f"{folder}: is no folder, but one is needed there; move it away, or choose another output")


def sweep(output: Path) -> None:
    """Removes what killed runs were writing, and puts back what they were about to replace, for all scenes that no run
    is working on now."""
    names = {path.parent.name for path in (output / STAGES).glob("*/.*.partial")}
    names |= {target.name.removesuffix(FAILED).removesuffix(SEEDS) for target in waiting(output)}
    for name in names:
        with suppress(Busy, OSError, InputError):
            release = _lock(output / STAGES / name)
            try:
                _tidy(output, name)
            finally:
                release()


def _tidy(output: Path, name: str) -> None:
    """What killed runs left of a scene; only for whoever holds its lock."""
    for result in (name, name + FAILED, name + SEEDS):
        put_back(Path(os.path.realpath(output / result)))
    for path in (output / STAGES / name).glob(".*.partial"):
        discard(path)


def _lock(folder: Path) -> Release:
    """Locks the folder, which is made if it is not there; what ends the lock."""
    path = folder / "lock"
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            return hold(path)
        except FileNotFoundError:  # removed since, with all that was in it
            continue
        except OSError as error:
            raise InputError(
                f"{path}: cannot be locked ({error.strerror}); choose an output folder on a disk with locks"
            ) from None
