"""What has a name but is no regular file, and an end to waiting for it."""

import os
import signal
from contextlib import contextmanager

ODD = {
    "pipe": os.mkfifo,
    "folder": os.mkdir,
    "device": lambda path: os.symlink("/dev/zero", path),
    "terminal": lambda path: os.symlink("/dev/tty", path),
    "loop": lambda path: os.symlink(path, path),
    "nothing": lambda path: os.symlink(path.with_name("none"), path),
}


@contextmanager
def in_time(seconds: int = 20):
    """Ends what would wait for ever."""
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
