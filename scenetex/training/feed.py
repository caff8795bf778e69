"""From samples to batches: what each process trains on, step by step, got ready while the model works."""

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import chain, count
from queue import Empty, Queue
from threading import Event, Thread

import numpy as np

from ..data.prefetch import Source, prefetch
from ..data.sample import Sample
from .batches import Item, Schedule, choose_views, collate, share
from .encoded import Encoded
from .store import EncodedStore

_AHEAD = 4
_LOOK = 0.2  # seconds between looks at whether batches are still wanted

Batches = Callable[[int], Iterator[list[Item]]]
"""Called with the first step, yields for each step this process's accumulated parts; to be closed."""


@dataclass(frozen=True)
class Part:
    """Which part of each step is this process's: number `rank` of `world`, in `accumulation` pieces."""

    rank: int
    world: int
    accumulation: int

    def slots(self, schedule: Schedule, start: int) -> Iterator[list[tuple[int, int]]]:
        """This process's slots of step `start`, `start` + 1, ..."""
        for step in count(start):
            yield list(share(schedule.slots(step), self.rank, self.world))

    def collated(self, items: list[list[Item]]) -> list[Item]:
        """One step's items per slot, as one batch for each accumulated piece."""
        pieces = range(self.accumulation)
        return [collate([i for slot in share(items, piece, len(pieces)) for i in slot]) for piece in pieces]


def image_batches(
    source: Source,
    schedule: Schedule,
    part: Part,
    workers: int,
    make: Callable[[Sample, np.random.Generator], list[Item]],
) -> Batches:
    """Batches for the autoencoder: what `make` makes of each sample."""

    def batches(start: int) -> Iterator[list[Item]]:
        indices = (index for _, index in chain.from_iterable(part.slots(schedule, start)))
        with closing(prefetch(source, indices, workers)) as samples:
            for slots in part.slots(schedule, start):
                yield part.collated([make(next(samples), schedule.rng(number)) for number, _ in slots])

    return lambda start: _in_background(batches(start))


def encoded_batches(
    store: EncodedStore,
    schedule: Schedule,
    part: Part,
    views: int,
    together: bool,
    make: Callable[[Encoded, int], list[Item]],
) -> Batches:
    """Batches for the diffusion stages.

    Args:
        views: views of each sample, a run of them if `together`, else any.
        make: items from an encoded sample and the number of its turn.
    """

    def batches(start: int) -> Iterator[list[Item]]:
        for slots in part.slots(schedule, start):
            items = []
            for number, index in slots:
                rng = schedule.rng(number)
                encoded = store.get(index, lambda total, rng=rng: choose_views(rng, total, views, together))
                items.append(make(encoded, number))
            yield part.collated(items)

    return lambda start: _in_background(batches(start))


def _in_background(batches: Iterator[list[Item]]) -> Iterator[list[Item]]:
    """The same endless batches, made by a thread a few steps ahead until closed; its errors come out here."""
    queue, unwanted = Queue(_AHEAD), Event()

    def work() -> None:
        with closing(batches):
            while not unwanted.is_set():
                try:
                    made = next(batches)
                except Exception as error:
                    made = error
                queue.put(made)
                if isinstance(made, Exception):
                    return

    thread = Thread(target=work, daemon=True)
    thread.start()
    try:
        while True:
            batch = queue.get()
            if isinstance(batch, Exception):
                raise batch
            yield batch
    finally:
        unwanted.set()
        while thread.is_alive():
            try:
                queue.get(timeout=_LOOK)
            except Empty:
                thread.join(_LOOK)
