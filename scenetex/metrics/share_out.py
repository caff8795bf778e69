"""Rooms measured by several processes at a time, each with a model and its share of the cores."""

import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context

from ..errors import InputError

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class _Model:
    """What a process measures, once it is loaded."""

    pipe = None


def share_out(load: Callable, measure: Callable, settings, count: int, workers: int, done: Callable[[], None]) -> list:
    """`measure(pipe, settings, i)` for i = 0 .. count - 1, in that order.

    Args:
        load: gives the pipeline; called once by each process. It and `measure` are functions of a module.
        done: called whenever one of them is there.

    Raises:
        InputError: what one of them raised, or a process that was killed.
    """
    threads = max(1, (os.cpu_count() or 1) // workers)
    start = {"mp_context": get_context("spawn"), "initializer": _start, "initargs": (load, threads)}
    try:
        with ProcessPoolExecutor(workers, **start) as pool:
            tasks = [pool.submit(_measure, measure, settings, i) for i in range(count)]
            try:
                for task in as_completed(tasks):
                    task.result()
                    done()
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
            return [task.result() for task in tasks]
    except BrokenProcessPool:
        raise InputError("a worker was killed, or could not load the model; try again with fewer --workers") from None


def _start(load: Callable, threads: int) -> None:
    # Before the libraries are loaded that read it.
    os.environ.update(dict.fromkeys(_THREADS, str(threads)))
    _Model.pipe = load()


def _measure(measure: Callable, settings, i: int):
    return measure(_Model.pipe, settings, i)
