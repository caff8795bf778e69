"""How many threads one stage may use: many scenes at a time get one each, a scene alone gets all cores."""

import os


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
