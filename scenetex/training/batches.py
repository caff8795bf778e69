"""From samples to batches: what each process trains on, step by step, got ready while the model works.

Which samples, and what is drawn for them, is a function of the seed and the step alone. So a run resumes exactly, and
any number of processes shares out the same step.
"""

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import chain, count
from queue import Empty, Queue
from threading import Event, Thread

import numpy as np
import torch

from ..data.prefetch import prefetch
from ..data.sample import Sample, Source
from .encoded import Encoded, EncodedDetail
from .encoded_cache import EncodedCache
from .items import Item, choose_views

_AHEAD = 4
_LOOK = 0.2  # seconds between looks at whether batches are still wanted

Batches = Callable[[int], Iterator[list[Item]]]
"""Called with the first step, yields for each step this process's accumulated parts; to be closed."""


@dataclass(frozen=True)
class Schedule:
    """Which samples a step takes.

    Attributes:
        seed: of the order and of everything else that is random.
        samples: samples of one step, over all processes and accumulated parts.
        rooms: number of different samples, each seen once before any is seen again; None = always new ones.
    """

    seed: int
    samples: int
    rooms: int | None

    def slots(self, step: int) -> list[tuple[int, int]]:
        """For each sample of a step its running number and its index in the data."""
        numbers = range(step * self.samples, (step + 1) * self.samples)
        return [(number, self._index(number)) for number in numbers]

    def _index(self, number: int) -> int:
        if self.rooms is None:
            return number
        epoch, place = divmod(number, self.rooms)
        return int(np.random.default_rng([self.seed, 1, epoch]).permutation(self.rooms)[place])

    def rng(self, number: int) -> np.random.Generator:
        """The randomness of one sample's turn."""
        return np.random.default_rng([self.seed, 2, number])


@dataclass(frozen=True)
class Shard:
    """Which part of each step is this process's: number `rank` of `world`, in `accumulation` pieces."""

    rank: int
    world: int
    accumulation: int

    def slots(self, schedule: Schedule, start: int) -> Iterator[list[tuple[int, int]]]:
        """This process's slots of step `start`, `start` + 1, ..."""
        for step in count(start):
            yield nth_part(schedule.slots(step), self.rank, self.world)

    def collated(self, items: list[list[Item]]) -> list[Item]:
        """One step's items per slot, as one batch for each accumulated piece."""
        pieces = range(self.accumulation)
        return [collate([i for slot in nth_part(items, piece, len(pieces)) for i in slot]) for piece in pieces]


def collate(items: list[Item]) -> Item:
    """Stacks the items' tensors."""
    return {name: torch.stack([item[name] for item in items]) for name in items[0]}


def nth_part(slots: list, part: int, parts: int) -> list:
    """The slots of one of `parts` equal parts of a step (a process, or an accumulated part)."""
    size = len(slots) // parts
    return slots[part * size : (part + 1) * size]


def image_batches(
    source: Source,
    schedule: Schedule,
    shard: Shard,
    workers: int,
    make: Callable[[Sample, np.random.Generator], list[Item]],
) -> Batches:
    """Batches for the autoencoder: what `make` makes of each sample."""

    def batches(start: int) -> Iterator[list[Item]]:
        indices = (index for _, index in chain.from_iterable(shard.slots(schedule, start)))
        with closing(prefetch(source, indices, workers)) as samples:
            for slots in shard.slots(schedule, start):
                yield shard.collated([make(next(samples), schedule.rng(number)) for number, _ in slots])

    return lambda start: _in_background(batches(start))


def encoded_batches(
    cache: EncodedCache,
    schedule: Schedule,
    shard: Shard,
    views: int,
    together: bool,
    make: Callable[[Encoded | EncodedDetail, int], list[Item]],
) -> Batches:
    """Batches for the diffusion stages.

    Args:
        views: views of each sample, a run of them if `together`, else any.
        make: items from an encoded sample and the number of its turn.
    """

    def batches(start: int) -> Iterator[list[Item]]:
        for slots in shard.slots(schedule, start):
            items = []
            for number, index in slots:
                rng = schedule.rng(number)
                encoded = cache.get(index, lambda total, rng=rng: choose_views(rng, total, views, together))
                items.append(make(encoded, number))
            yield shard.collated(items)

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
