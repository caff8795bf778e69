"""From samples to batches: what each process trains on, step by step, got ready while the model works."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import blake2b
from itertools import count
from pathlib import Path
from queue import Queue
from threading import Thread

import torch
from tqdm import tqdm

from ..output import naming
from .batches import Item, Schedule, choose_views, collate, image_items, share
from .encoded import Encoded, encode_sample, read_encoded, write_encoded
from .prefetch import Source, prefetch

_AHEAD = 4


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
    source: Source, schedule: Schedule, part: Part, views: int, workers: int, latent_shape
) -> Callable[[int], Iterator[list[Item]]]:
    """Batches for the autoencoder: `views` images of each sample."""

    def batches(start: int) -> Iterator[list[Item]]:
        steps = part.slots(schedule, start)
        ahead, slots = [], (slot for step in steps for slot in step)

        def indices() -> Iterator[int]:
            for slot in slots:
                ahead.append(slot[0])
                yield slot[1]

        samples, per_step = prefetch(source, indices(), workers), schedule.samples // part.world
        while True:
            items = []
            for _ in range(per_step):
                sample = next(samples)
                items.append(image_items(sample, views, schedule.rng(ahead.pop(0)), latent_shape))
            yield part.collated(items)

    return lambda start: _in_background(batches(start))


def encoded_batches(
    store: "EncodedStore",
    schedule: Schedule,
    part: Part,
    views: int,
    together: bool,
    make: Callable[[Encoded, int], list[Item]],
) -> Callable[[int], Iterator[list[Item]]]:
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


class EncodedStore:
    """Encoded samples of a source, kept on disk.

    Args:
        source: where samples come from.
        vae: the autoencoder, on the device it is to run on.
        guide_channels: as for `encode_sample`.
        folder: where to keep them, in a folder for this source and autoencoder.
    """

    def __init__(self, source: Source, vae, guide_channels: int, folder: Path):
        self.source, self.vae, self.guide_channels = source, vae, guide_channels
        self.folder = folder / _key(source, vae, guide_channels)
        with naming(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)

    def fill(self, total: int, part: Part, workers: int) -> None:
        """Makes what is missing of the first `total` samples; of several processes each makes its part."""
        missing = [i for i in range(part.rank, total, part.world) if not self._path(i).is_file()]
        samples = prefetch(self.source, missing, workers)
        for i in tqdm(missing, desc="encode", unit="scene", disable=part.rank > 0 or not missing):
            self._keep(i, encode_sample(next(samples), self.vae, self.guide_channels))

    def get(self, index: int, choose: Callable[[int], list[int]] | None = None) -> Encoded:
        """Sample number `index`, or the views of it that `choose` picks; made now if it is missing or damaged."""
        found = read_encoded(self._path(index), choose)
        if found is None:
            whole = encode_sample(self.source.sample(index), self.vae, self.guide_channels)
            self._keep(index, whole)
            found = read_encoded(self._path(index), choose)
        return found

    def _keep(self, index: int, encoded: Encoded) -> None:
        with naming(self._path(index)):
            write_encoded(self._path(index), encoded)

    def _path(self, index: int) -> Path:
        return self.folder / f"{index:08d}.safetensors"


def _key(source: Source, vae, guide_channels: int) -> str:
    digest = blake2b(f"{source!r} {guide_channels} {vae.config.scaling_factor}".encode(), digest_size=8)
    for name, value in vae.state_dict().items():
        digest.update(name.encode() + value.detach().float().cpu().contiguous().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _in_background(batches: Iterator[list[Item]]) -> Iterator[list[Item]]:
    """The same batches, made by a thread a few steps ahead; its errors come out here."""
    queue: Queue = Queue(_AHEAD)

    def work() -> None:
        try:
            for batch in batches:
                queue.put(batch)
            queue.put(None)
        except BaseException as error:
            queue.put(error)

    Thread(target=work, daemon=True).start()
    while (batch := queue.get()) is not None:
        if isinstance(batch, BaseException):
            raise batch
        yield batch
