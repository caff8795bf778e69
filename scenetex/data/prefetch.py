"""Samples made ahead by other processes, while the model trains on earlier ones."""

import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context, parent_process
from threading import Thread

from ..errors import InputError
from ..process.interrupt import unheard_by_children
from .sample import Sample, Source


def prefetch(source: Source, indices: Iterable[int], workers: int) -> Iterator[Sample]:
    """The samples of `indices` (may be endless) in their order, made ahead by `workers` processes; 0 = none.

    Raises:
        InputError: what the source raises; a process that was killed, for lack of memory most likely.
    """
    if not workers:
        yield from map(source.sample, indices)
        return
    # Processes, as threads would wait for each other in the ray caster; spawned ones inherit no locks of torch's. Those
    # of torch's DataLoader load torch, of which samples need nothing: three times the memory, twice as long to start;
    # it waits for a sample under way when it is closed, and tells of a killed one by an exception out of a signal
    # handler, wherever the main thread is.
    pool = ProcessPoolExecutor(workers, get_context("spawn"), initializer=_start_worker)
    try:
        waiting = deque()
        for index in indices:
            with unheard_by_children():
                waiting.append(pool.submit(source.sample, index))
            if len(waiting) > 2 * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BrokenProcessPool:
        raise InputError(
            "training: a process that makes samples was killed; use fewer workers if memory is short"
        ) from None
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _start_worker() -> None:
    import cv2

    cv2.setNumThreads(1)
    end_with_parent()


def end_with_parent() -> None:
    """Ends this process, a worker, when its parent was killed: it would wait for work for ever."""

    def follow() -> None:
        parent_process().join()
        os._exit(1)

    Thread(target=follow, daemon=True).start()
