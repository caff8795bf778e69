"""How many threads one stage may use: many scenes at a time get one each, a scene alone gets all cores."""

import ctypes
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from .environment import environment

# Where the libraries look that compute with threads, when they are loaded: OpenMP and with it torch, the kinds of BLAS,
# uvunwrap, OpenCV. Embree, which builds its trees in a moment, takes no word from anyone.
VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "RAYON_NUM_THREADS",
    "OPENCV_FOR_THREADS_NUM",
)


# What sets the threads of OpenBLAS, as NumPy and SciPy bring it, and as systems have it; and what tells them.
_BLAS = "{}openblas_{}_num_threads{}"


class _Limit:
    """What `halve` has left of the threads in this process, None = not limited yet."""

    threads: int | None = None


def threads() -> int | None:
    """Threads for a pool: what OMP_NUM_THREADS says, as for the numeric libraries; None = as Python thinks best."""
    asked = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    given = int(asked) if asked.isdecimal() and int(asked) > 0 else None
    return min((n for n in (given, _Limit.threads) if n is not None), default=None)


def one_thread() -> None:
    """Leaves one thread to all later pools of this process."""
    _Limit.threads = 1


def halve() -> bool:
    """Halves the threads of all later pools of this process, for whoever ran out of memory; False: one is the least.

    Each thread works on a photo or view of its own, so this halves what is in memory at once.
    """
    now = threads() or os.cpu_count() or 1
    _Limit.threads = max(1, now // 2)
    return now > 1


def asked_for(arguments: Sequence[str]) -> int | None:
    """What `--threads` says on a command line that nobody has parsed yet; None: nothing that can be used."""
    found = re.findall(r"(?:^|\0)--threads[=\0](\d{1,4})(?=\0|$)", "\0".join(arguments))
    return int(found[-1]) if found and 1 <= int(found[-1]) <= 1024 else None


@contextmanager
def limited(count: int | None) -> Iterator[None]:
    """Within the block this process, and all that it starts, computes with at most `count` threads; None: as before.

    BLAS heeds that only if it was not loaded before.
    """
    if count is None:
        yield
        return
    torch, cv2 = sys.modules.get("torch"), sys.modules.get("cv2")
    loaded = torch and torch.get_num_threads(), cv2 and cv2.getNumThreads()
    with announced(count):
        _tell(torch, cv2, count, count)
        try:
            yield
        finally:
            _tell(torch, cv2, *loaded)


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Within the block OpenBLAS computes with one thread, where it is what NumPy and SciPy came with.

    Our own pools work on many small matrices side by side. BLAS would share out each, and its threads wait by spinning:
    they take more time from the pools than they save.
    """
    found = _blas_threads()
    before = [tell() for tell, _ in found]
    for _, give in found:
        give(1)
    try:
        yield
    finally:
        for (_, give), count in zip(found, before, strict=True):
            give(count)


def _blas_threads() -> list[tuple[Callable[[], int], Callable[[int], None]]]:
    """What tells and what sets the threads of each OpenBLAS in this process."""
    try:
        lines = Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    paths = {path for line in lines if "openblas" in (path := line.partition("/")[1] + line.partition("/")[2]).lower()}
    found = []
    for path in sorted(paths):
        with suppress(OSError):
            library = ctypes.CDLL(path)
            for before, after in (("scipy_", "64_"), ("scipy_", ""), ("", "64_"), ("", "")):
                names = [_BLAS.format(before, verb, after) for verb in ("get", "set")]
                if all(hasattr(library, name) for name in names):
                    found.append(tuple(getattr(library, name) for name in names))
                    break
    return found


@contextmanager
def announced(count: int | None) -> Iterator[None]:
    """Within the block, libraries that are loaded, by processes that are started too, find `count`; None: as before."""
    with environment({} if count is None else dict.fromkeys(VARIABLES, str(count)), *VARIABLES):
        yield


def _tell(torch, cv2, torch_threads: int, cv2_threads: int) -> None:
    """Those that are loaded already; the others are None."""
    if torch is not None:
        torch.set_num_threads(torch_threads)
    if cv2 is not None:
        cv2.setNumThreads(cv2_threads)
