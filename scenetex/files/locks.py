"""Locks of the operating system on files and folders: each ends with its process, however that ends."""

import errno
import fcntl
import os
from pathlib import Path


class Busy(Exception):
    """Somebody else holds the lock."""


def hold(path: Path, flags: int = os.O_RDONLY) -> int:
    """An open handle of a file or folder that holds its lock until it is closed; `flags` as for `os.open`.

    Raises:
        Busy: another process, or another handle of this one, holds it.
        FileNotFoundError: nothing of that name, or somebody removed it meanwhile: this would be the lock of nothing.
        OSError: it cannot be opened, or its disk has no locks.
    """
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
    return handle
