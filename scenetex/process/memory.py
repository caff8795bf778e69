"""Out of memory: asking before it is taken, how each library says so, and generating again with less at a time."""

import ctypes
import gc
import mmap
import resource
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Protocol, TypeVar

from ..errors import InputError
from .threads import one_thread

LEAST_JOINT = 4  # views that the pipeline can still generate together
_ATTENTION = 128  # megabytes, half of what attention takes on a GPU by itself
_LEAST_ATTENTION = 8

# What else libraries say: OpenCV, torch on a CPU and on a GPU, C++, the loader of libraries, threads, the system.
_SAYINGS = ("Insufficient memory", "Failed to allocate", "DefaultCPUAllocator", "CUDA out of memory", "bad_alloc")
_SAYINGS += ("bad allocation", "failed to map segment", "can't start new thread", "Cannot allocate memory")
_ROOMY = 1 << 31  # bytes of address space
_SLACK = 1 << 27  # bytes that a stage takes at least
_ARENA_MAX = -8  # of glibc's mallopt
_GROUP = Path("/sys/fs/cgroup")

T = TypeVar("T")


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
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    return limit != resource.RLIM_INFINITY and limit < _ROOMY


def _available() -> int | None:
    """Bytes that the system has left for this process, swap included; None where it does not say."""
    left = []
    with suppress(OSError, ValueError, KeyError):
        lines = Path("/proc/meminfo").read_text().splitlines()
        told = {name: int(value.split()[0]) for name, _, value in (line.partition(":") for line in lines)}
        left.append(1024 * (told["MemAvailable"] + told["SwapFree"]))
    with suppress(OSError, ValueError, KeyError):
        limit, used = (int((_GROUP / name).read_text()) for name in ("memory.max", "memory.current"))
        lines = (_GROUP / "memory.stat").read_text().splitlines()
        told = {name: int(value) for name, value in map(str.split, lines)}
        left.append(limit - used + told["inactive_file"])
    return min(left, default=None)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out: Python's and NumPy's, OpenCV's, torch's on a GPU or a CPU."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    text = str(error)
    return any(saying in text for saying in _SAYINGS)


class Frugal(Protocol):
    """What can make do with less memory, such as a pipeline."""

    def save_memory(self, megabytes: int) -> None:
        """Attention takes no more than that from now on."""


def with_less_memory(
    pipe: Frugal, views: int, joint_views: int, call: Callable[[int], T], note: Callable[[str], None]
) -> T:
    """Calls with `joint_views`, and with half as many views at a time and half the attention memory while that fails.

    Attention memory does not change the images; fewer joint views do, a little.

    Args:
        pipe: the pipeline that `call` runs; its attention memory is lowered for good.
        views: how many views there are.
        joint_views: most views to denoise at once.
        call: generates with that many joint views.
        note: told, in words, what was changed.

    Raises:
        InputError: the least number of joint views is too many.
    """
    attention = _ATTENTION
    while True:
        try:
            return call(joint_views)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            if min(views, joint_views) <= LEAST_JOINT and attention < _LEAST_ATTENTION:
                raise InputError(
                    "out of memory even with as few views at a time as possible; choose a smaller image size or model, "
                    "or free some memory"
                ) from None
        # The error is gone by now, and with it the tensors that its traceback held.
        _collect()
        before, joint_views = joint_views, min(joint_views, max(LEAST_JOINT, min(views, joint_views) // 2))
        less = f"{joint_views} instead of {before} joint views" if joint_views < before else "less attention memory"
        note(f"out of memory while generating; tried again with {less}")
        pipe.save_memory(attention)
        attention //= 4


def _collect() -> None:
    """Gives back what nothing refers to any more, on the GPU too."""
    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
