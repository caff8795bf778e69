"""A new folder takes the place of an old one: at every moment, one of the two has the name."""

import ctypes
import errno
import os
from contextlib import suppress
from functools import cache
from pathlib import Path

from .locks import ANYTHING
from .manifest import read_manifest

_HERE = -100  # AT_FDCWD: relative paths mean what they mean everywhere else
_EXCHANGE = 2  # RENAME_EXCHANGE
# What kernels and file systems say that cannot exchange: old ones, and network disks.
_CANNOT = (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EPERM)
PREVIOUS = ".scenetex-previous"  # folder of those that were moved out of the way


def put_in_place(new: Path, target: Path) -> Path | None:
    """Gives `new` the name `target`; where the folder lies now that had it, or None.

    Raises:
        OSError: it cannot be done; both are where they were.
    """
    if not target.exists() or not any(target.iterdir()):
        if not ANYTHING and target.exists():  # Windows renames to free names alone
            target.rmdir()
        new.rename(target)
        return None
    if _exchange(new, target):
        return new
    return _one_after_the_other(new, target)


def recover(target: Path) -> Path | None:
    """Puts the old folder back where a process was killed after it had moved that out of the way, and before the new
    one had its name.

    Returns:
        An old folder whose successor is in place, to be removed.
    """
    previous = target.parent / PREVIOUS / target.name
    if read_manifest(previous) is None:
        with suppress(OSError):  # it was all but removed
            previous.rmdir()
            previous.parent.rmdir()
        return None
    if target.exists():
        return previous
    previous.rename(target)
    with suppress(OSError):
        previous.parent.rmdir()
    return None


def waiting(folder: Path) -> list[Path]:
    """The places in a folder for which `recover` may have something; where nothing waits, nothing is left of that."""
    with suppress(OSError):
        (folder / PREVIOUS).rmdir()
    with suppress(OSError):
        return [folder / path.name for path in (folder / PREVIOUS).iterdir()]
    return []


def _exchange(one: Path, other: Path) -> bool:
    """Exchanges two names in one step; False where the system or the disk cannot."""
    call = _system_call()
    if call is None:
        return False
    if call(_HERE, os.fsencode(one), _HERE, os.fsencode(other), _EXCHANGE) == 0:
        return True
    number = ctypes.get_errno()
    if number in _CANNOT:
        return False
    raise OSError(number, os.strerror(number), str(other))


@cache
def _system_call():
    """Linux's renameat2; None elsewhere."""
    try:
        call = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError, TypeError):
        return None
    call.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint)
    return call


def _one_after_the_other(new: Path, target: Path) -> Path:
    """Two renames. A process that is killed between them leaves the old folder where `recover` finds it."""
    previous = target.parent / PREVIOUS / target.name
    previous.parent.mkdir(exist_ok=True)
    try:
        target.rename(previous)
        new.rename(target)
    except BaseException:
        if not target.exists() and previous.exists():
            previous.rename(target)
        with suppress(OSError):
            previous.parent.rmdir()
        raise
    return previous
