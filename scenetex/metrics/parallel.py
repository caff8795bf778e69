"""Rooms measured by several processes at a time, each with a model and its share of the cores."""

import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context

from ..data.prefetch import end_with_parent
from ..errors import InputError
from ..process.interrupt import unheard_by_children
from ..process.threads import announced


class _Model:
    """What a process measures, once it is loaded."""

    pipe = None


def measure_in_parallel(
    load: Callable,
    measure: Callable,
    settings,
    count: int,
    workers: int,
    done: Callable[[], None],
    threads: int | None = None,
) -> list:
    """`measure(pipe, settings, i)` for i = 0 .. count - 1, in that order.

    Args:
        load: gives the pipeline; called once by each process. It and `measure` are functions of a module.
        done: called whenever one of them is there.
        threads: of each process; None = its share of the cores.

    Raises:
        InputError: what one of them raised, or a process that was killed.
    """
    share = threads or max(1, (os.cpu_count() or 1) // workers)
    pool = ProcessPoolExecutor(workers, get_context("spawn"), initializer=_start, initargs=(load,))
    try:
        with announced(share), unheard_by_children():
            tasks = [pool.submit(_measure, measure, settings, i) for i in range(count)]
        for task in as_completed(tasks):
            task.result()
            done()
        return [task.result() for task in tasks]
    except BrokenProcessPool:
        raise InputError("a worker was killed, or could not load the model; try again with fewer --workers") from None
    finally:
        # One that is measuring would go on for minutes, though nobody waits for it.
        for process in list((pool._processes or {}).values()):
            process.kill()
        pool.shutdown(cancel_futures=True)


def _start(load: Callable) -> None:
    end_with_parent()
    _Model.pipe = load()


def _measure(measure: Callable, settings, i: int):
    return measure(_Model.pipe, settings, i)
