"""Images that are read when they are looked at, so that many large photos are never in memory at once."""

import os
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from threading import Lock

import cv2
import numpy as np

from ..process.threads import threads

_SMALL = 640  # pixels of width that small images have at the least: what photos are compared by needs no more
ROOM = 1 << 29  # bytes of small images that stay in memory; what does not fit is made again
_AT_ONCE = 50_000_000  # pixels of images that threads work on side by side


class Pictures(Sequence[np.ndarray]):
    """Images (h, w, 3) uint8 sRGB, or what is made of such, each of a size of its own.

    Args:
        sizes: (width, height) of each.
        read: gives the image of a number; called by several threads.
        room: bytes of images that are kept once they are read; the others are read again.

    Attributes:
        sizes: these.
    """

    def __init__(self, sizes: Iterable[tuple[int, int]], read: Callable[[int], np.ndarray], room: int = 0):
        self.sizes = [(int(width), int(height)) for width, height in sizes]
        self._read = _Reader(read, room)

    @classmethod
    def of(cls, images: Sequence[np.ndarray]) -> "Pictures":
        """Images that are in memory; pictures are themselves."""
        if isinstance(images, cls):
            return images
        return cls([(image.shape[1], image.shape[0]) for image in images], images.__getitem__)

    def __len__(self) -> int:
        return len(self.sizes)

    def __getitem__(self, i):
        if isinstance(i, slice):
            return [self[k] for k in range(*i.indices(len(self)))]
        return self._read(range(len(self))[i])

    @property
    def at_once(self) -> int:
        """How many threads may each have an image in memory."""
        largest = max((width * height for width, height in self.sizes), default=1)
        return max(1, min(threads() or os.cpu_count() or 1, _AT_ONCE // largest))

    def resized(self, sizes: Sequence[tuple[int, int]], room: int = 0) -> "Pictures":
        """The same images, each at another size (width, height)."""

        # Not of `self`, which may keep what is made here: nobody would let go of a ring.
        given, whole = self._read, self.sizes

        def read(i: int) -> np.ndarray:
            image, size = given(i), sizes[i]
            same = whole[i] == tuple(size)
            return image if same else cv2.resize(image, size, interpolation=cv2.INTER_AREA)

        return Pictures(sizes, read, room)

    @cached_property
    def small(self) -> "Pictures":
        """The same images as photos are compared by: those of `_SMALL` pixels' width or more shrunk by a whole number
        to less than twice of that; kept, as far as there is room."""
        factors = [max(1, width // _SMALL) for width, _ in self.sizes]
        return self.resized(
            [(max(1, round(w / f)), max(1, round(h / f))) for (w, h), f in zip(self.sizes, factors, strict=True)], ROOM
        )


class _Reader:
    """Reads images, and keeps those that fit into so many bytes."""

    def __init__(self, read: Callable[[int], np.ndarray], room: int):
        self._read, self._room = read, room
        self._kept: dict[int, np.ndarray] = {}
        self._lock = Lock()

    def __call__(self, i: int) -> np.ndarray:
        found = self._kept.get(i)
        if found is None:
            found = self._read(i)
            with self._lock:
                if found.nbytes <= self._room and i not in self._kept:
                    self._kept[i] = found
                    self._room -= found.nbytes
        return found
