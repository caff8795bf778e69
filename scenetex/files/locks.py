"""Locks of the operating system on files and folders: each ends with its process, however that ends.

Where there is `fcntl` (Linux, macOS), anything can be locked, whatever it is called later. Windows locks files alone,
and what is open keeps its name there.
"""

import errno
import os
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

try:
    import fcntl
except ImportError:
    fcntl = None

ANYTHING = fcntl is not None  # can be locked, and renamed while it is open
_DAY = 86400.0  # seconds in which something that has no lock may still be written to
Release = Callable[[], None]  # ends a lock


class Busy(Exception):
    """Somebody else holds the lock."""


def hold(path: Path) -> Release:
    """Locks a file, which is made if it is not there; what ends the lock.

    Raises:
        Busy: another process, or another part of this one, holds it.
        FileNotFoundError: somebody removed it meanwhile: this would be the lock of nothing.
        OSError: it cannot be opened, or its disk has no locks.
    """
    return _by_name(path) if fcntl is None else _by_handle(path, os.O_RDWR | os.O_CREAT)


def seize(path: Path) -> Release:
    """Locks what has a temporary name, a file or a folder, and no links: only what a killed process left can be.

    Raises:
        Busy: it is being written; where folders have no locks, it may be, as it is not a day old.
        OSError: it is not there any more, or cannot be opened.
    """
    if fcntl is not None:
        return _by_handle(path, os.O_RDONLY | os.O_NOFOLLOW)
    if time.time() - path.lstat().st_mtime < _DAY:
        raise Busy
    return lambda: None


def mark(handle: int) -> None:
    """From now on an open file or folder is locked, until it is closed; not where its disk has no locks."""
    if fcntl is not None:
        with suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _by_handle(path: Path, flags: int) -> Release:
    # A pipe of that name must not keep us waiting for its other end.
    handle = os.open(path, flags | os.O_CLOEXEC | os.O_NONBLOCK, 0o666)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not os.path.samestat(os.fstat(handle), os.stat(path)):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
    except BlockingIOError:
        os.close(handle)
        raise Busy from None
    except BaseException:
        os.close(handle)
        raise
    return partial(os.close, handle)


def _by_name(path: Path) -> Release:
    from filelock import FileLock, Timeout

    lock = FileLock(path, thread_local=False)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        raise Busy from None
    return partial(lock.release, force=True)
