"""Out of memory: asking before it is taken, and how each library says so."""

import ctypes
import mmap
import sys
from contextlib import suppress
from pathlib import Path

from .threads import one_thread

try:
    import resource
except ImportError:  # Windows
    resource = None

# What else libraries say: OpenCV, torch on a CPU and on a GPU, C++, the loader of libraries, threads, the system.
_SAYINGS = ("Insufficient memory", "Failed to allocate", "DefaultCPUAllocator", "CUDA out of memory", "bad_alloc")
_SAYINGS += ("bad allocation", "failed to map segment", "can't start new thread", "Cannot allocate memory")
_ROOMY = 1 << 31  # bytes of address space
_SLACK = 1 << 27  # bytes that a stage takes at least
_ARENA_MAX = -8  # of glibc's mallopt
_GROUP = Path("/sys/fs/cgroup")


class OutOfMemory(MemoryError):
    """What would be needed is more than there is; said before it is taken."""


def need(size: float, what: str) -> None:
    """Raises OutOfMemory unless about `size` bytes can be had for `what`."""
    if not fits(size):
        raise OutOfMemory(f"{what} needs about {size / 2**20:,.0f} MB of memory, more than there is")


def fits(size: float) -> bool:
    """Whether so many bytes can be had now: of the address space, and of what the machine, or its share of it, has."""
    left = _available()
    if left is not None and size > left:
        return False
    try:
        mmap.mmap(-1, max(1, int(size))).close()  # not touched, it takes no memory
    except (OSError, ValueError, OverflowError, MemoryError):
        return False
    return True


def ran_out(error: BaseException, size: float) -> bool:
    """Whether an error means that memory ran out: not so if the `size` bytes of something sound can be had, and only
    damage can have asked for more."""
    return is_out_of_memory(error) and not fits(size)


def spare_address_space() -> None:
    """Where the address space is limited (`ulimit -v`), one thread works, and threads share what the C library would
    reserve for each, 64 MB."""
    if _is_limited():
        one_thread()
        with suppress(OSError, AttributeError, TypeError):
            ctypes.CDLL(None).mallopt(_ARENA_MAX, 1)


def need_slack(what: str) -> None:
    """Raises OutOfMemory where the address space is limited and all but used up: native libraries take what they need
    without asking, and end the process when they get no more."""
    if _is_limited():
        need(_SLACK, what)


def _is_limited() -> bool:
    if resource is None:
        return False
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    return limit != resource.RLIM_INFINITY and limit < _ROOMY


def peak_memory() -> int:
    """Bytes of memory that this process had at the most so far."""
    if resource is not None:
        unit = 1 if sys.platform == "darwin" else 1024
        return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    import psutil

    told = psutil.Process().memory_info()
    return getattr(told, "peak_wset", told.rss)  # the former on Windows


def _available() -> int | None:
    """Bytes that the system has left for this process, swap included; None where it does not say."""
    try:
        import psutil
    except ImportError:  # not even its library can be loaded
        return 0

    left = []
    with suppress(OSError, ValueError, KeyError, RuntimeError, psutil.Error):
        left.append(psutil.virtual_memory().available + psutil.swap_memory().free)
    with suppress(OSError, ValueError, KeyError):  # Linux's control groups
        limit, used = (int(_told(name)) for name in ("memory.max", "memory.current"))
        lines = _told("memory.stat").splitlines()
        told = {name: int(value) for name, value in map(str.split, lines)}
        left.append(limit - used + told["inactive_file"])
    return min(left, default=None)


def _told(name: str) -> str:
    return (_GROUP / name).read_text(encoding="utf-8")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out: Python's and NumPy's, OpenCV's, torch's on a GPU or a CPU."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    text = str(error)
    return any(saying in text for saying in _SAYINGS)
