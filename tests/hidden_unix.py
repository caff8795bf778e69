"""Runs a command where nothing is that Windows lacks: `python hidden_unix.py scenetex-arguments ...`.

The platform stays Linux, so the libraries keep what they need; this package, and `filelock`, find none of it. Open
files and folders behave as on Windows: folders cannot be opened, nothing that is open can be renamed or removed, and
nothing takes a name that is taken.
"""

import builtins
import errno
import os
import signal
import sys
from pathlib import Path

MODULES = {"fcntl", "resource", "pwd", "grp", "termios", "tty", "pty", "syslog", "posix", "crypt", "readline"}
OF_OS = ("fork", "forkpty", "O_CLOEXEC", "O_NONBLOCK", "O_NOFOLLOW", "O_DIRECTORY", "getuid", "geteuid", "killpg")
OF_OS += (
    "setsid",
    "getpgid",
    "sched_getaffinity",
    "statvfs",
    "sysconf",
    "uname",
    "mkfifo",
    "chown",
    "nice",
    "getloadavg",
)
OF_SIGNAL = ("SIGHUP", "SIGKILL", "SIGALRM", "SIGUSR1", "SIGQUIT", "SIGPIPE", "setitimer", "ITIMER_REAL")
OF_SIGNAL += ("pthread_sigmask", "SIG_BLOCK", "SIG_SETMASK", "pthread_kill", "siginterrupt")
OURS = ("scenetex", "filelock")


class Without:
    """A module as it is seen from this package: without some names."""

    def __init__(self, module, names):
        self.__dict__.update({name: value for name, value in vars(module).items() if name not in names})


def hide() -> None:
    """From now on this package finds no Unix."""
    given, seen = builtins.__import__, {"os": Without(os, OF_OS), "signal": Without(signal, OF_SIGNAL)}

    def found(name, globals=None, locals=None, fromlist=(), level=0):
        whose = (globals or {}).get("__name__", "")
        if level == 0 and whose.split(".")[0] == "scenetex" and name in seen:
            return seen[name]
        if level == 0 and whose.split(".")[0] in OURS and name.split(".")[0] in MODULES:
            raise ModuleNotFoundError(f"No module named '{name}'", name=name)
        return given(name, globals, locals, fromlist, level)

    builtins.__import__ = found
    _as_windows(seen["os"])


def _as_windows(ours) -> None:
    """Files of this package, and of pathlib, which it calls, behave as there."""
    opened = os.open

    def open_file(path, flags, mode=0o777, **more):
        if os.path.isdir(path):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return opened(path, flags, mode, **more)

    def unless_open(change):
        def changed(path, *more, **named):
            _refuse_open(path)
            return change(path, *more, **named)

        return changed

    def rename(old, new, **named):
        if os.path.lexists(new):
            raise FileExistsError(errno.EEXIST, "File exists", str(new))
        return renamed(old, new, **named)

    ours.open = open_file
    renamed = unless_open(os.rename)
    os.rename = ours.rename = rename
    os.replace = ours.replace = unless_open(os.replace)
    os.unlink = ours.unlink = unless_open(os.unlink)
    os.remove = ours.remove = unless_open(os.remove)


def _refuse_open(path) -> None:
    real = os.path.realpath(os.fsdecode(path))
    for handle in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{handle}")
        except OSError:
            continue
        if target == real or target.startswith(real + os.sep):
            raise PermissionError(errno.EACCES, "Permission denied (it is open)", str(path))


if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parents[1])
    hide()
    from scenetex.__main__ import main

    sys.exit(main())
