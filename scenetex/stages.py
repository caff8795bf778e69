"""What happens around every stage of a run: its time, its progress, and its output kept on disk."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Protocol

import numpy as np

from .console import bar
from .memory import need_slack

Done = Callable[[], None]
# Shows a stage while it runs: its name and how many steps it takes (0: unknown, None: not worth counting); yields what
# to call after each step.
Watch = Callable[[str, int | None], AbstractContextManager[Done]]


class Store(Protocol):
    """Where outputs of stages are kept, see `scenetex.batch.store`."""

    def has(self, name: str) -> bool: ...

    def read(self, name: str) -> dict[str, np.ndarray] | None: ...

    def write(self, name: str, arrays: dict[str, np.ndarray]) -> None: ...


def silent(name: str, steps: int | None) -> AbstractContextManager[Done]:
    """Shows nothing."""
    return nullcontext(lambda: None)


@contextmanager
def bars(name: str, steps: int | None) -> Iterator[Done]:
    """A progress bar on stderr for every stage that takes more than a second and has steps."""
    form = None if steps else "{desc} {elapsed}"
    with bar(name, total=steps or None, disable=steps is None, delay=1.0, leave=False, bar_format=form) as shown:
        yield lambda: shown.update() and None


class Stages:
    """The stages of one run.

    Attributes:
        seconds: time spent per stage so far.
        reused: stages whose output was found on disk.
        failed: the stage that raised first, or None.
        notes: what the user should know about how the run went.
    """

    def __init__(self, watch: Watch = silent, store: Store | None = None):
        self.seconds: dict[str, float] = {}
        self.reused: list[str] = []
        self.failed: str | None = None
        self.notes: list[str] = []
        self.store = store
        self._watch = watch

    @contextmanager
    def stage(self, name: str, steps: int | None = None) -> Iterator[Done]:
        """Times and shows the block; yields what to call after each of its `steps` (0: unknown how many)."""
        start = time.perf_counter()
        try:
            need_slack(f"stage {name}")
            with self._watch(name, steps) as done:
                yield done
        except BaseException:
            # An inner stage comes before those around it.
            self.failed = self.failed or name
            raise
        finally:
            self.seconds[name] = round(time.perf_counter() - start, 3)

    def has(self, name: str) -> bool:
        """Whether `recall` will find something, unless it turns out to be damaged."""
        return self.store is not None and self.store.has(name)

    def recall(self, name: str) -> dict | None:
        """The arrays that `keep` stored for this stage with the same inputs and settings, numbers as such, or None."""
        arrays = None if self.store is None else self.store.read(name)
        if arrays is None:
            return None
        self.reused.append(name)
        return {key: array if array.ndim else array.item() for key, array in arrays.items()}

    def keep(self, name: str, **values) -> None:
        """Stores a stage's output: arrays, or what NumPy makes arrays of without pickling."""
        if self.store is not None:
            self.store.write(name, {key: np.asarray(value) for key, value in values.items()})
