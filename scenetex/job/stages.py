"""What happens around every stage of a run: its time, its progress, and its output kept on disk."""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext

import numpy as np

from ..process.console import bar
from ..process.memory import need_slack
from .stage_cache import StageCache

Done = Callable[[], None]
# Shows a stage while it runs: its name and how many steps it takes (0: unknown, None: not worth counting); yields what
# to call after each step.
Watch = Callable[[str, int | None], AbstractContextManager[Done]]


_log = logging.getLogger(__name__)
_SECONDS = "seconds spent"  # beside an output: what it took to make it


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
        seconds: time spent per stage, those that are over.
        reused: stages whose output was found on disk.
        earlier: seconds that making those outputs took, in whichever run made them.
        used: options that were left to the model, as they were used.
        failed: the stage that raised first, or None.
        notes: what the user should know about how the run went.
        warnings: what does not look right about the scene.
        cache: where outputs of stages are kept, or None.
    """

    def __init__(self, watch: Watch = silent, cache: StageCache | None = None):
        self.seconds: dict[str, float] = {}
        self.reused: list[str] = []
        self.earlier: dict[str, float] = {}
        self.used: dict[str, object] = {}
        self.failed: str | None = None
        self.notes: list[str] = []
        self.warnings: list[str] = []
        self.cache = cache
        self._watch = watch
        self._began: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str, steps: int | None = None) -> Iterator[Done]:
        """Times and shows the block; yields what to call after each of its `steps` (0: unknown how many)."""
        before = self.seconds.get(name, 0.0)  # of an attempt that failed
        start = self._began[name] = time.perf_counter()
        try:
            need_slack(f"stage {name}")
            with self._watch(name, steps) as done:
                yield done
        except BaseException:
            # An inner stage comes before those around it.
            self.failed = self.failed or name
            raise
        finally:
            self._began.pop(name, None)
            self.seconds[name] = round(before + time.perf_counter() - start, 3)
            _log.debug("stage %s: %.3f s", name, self.seconds[name])

    def so_far(self) -> dict[str, float]:
        """Seconds per stage, with those that are running."""
        now = time.perf_counter()
        running = {name: round(self.seconds.get(name, 0.0) + now - start, 3) for name, start in self._began.items()}
        return self.seconds | running

    def note(self, said: str) -> None:
        """Adds to `notes`; once, however often a stage is tried again."""
        if said not in self.notes:
            self.notes.append(said)

    def has(self, name: str) -> bool:
        """Whether `recall` will find something, unless it turns out to be damaged."""
        return self.cache is not None and self.cache.has(name)

    def recall(self, name: str) -> dict | None:
        """The arrays that `keep` stored for this stage with the same inputs and settings, numbers as such, or None."""
        arrays = None if self.cache is None else self.cache.read(name)
        if arrays is None:
            return None
        self.reused.append(name)
        self.earlier[name] = float(arrays.pop(_SECONDS, 0.0))
        return {key: array if array.ndim else array.item() for key, array in arrays.items()}

    def keep(self, name: str, made_by: Sequence[str] = (), **values) -> None:
        """Stores a stage's output: arrays, or what NumPy makes arrays of without pickling.

        Args:
            name: of the output.
            made_by: the stages it took, where these are others than the one of that name.
            values: the output.
        """
        if self.cache is None:
            return
        spent = self.so_far() | self.earlier
        seconds = sum(spent.get(stage, 0.0) for stage in made_by or (name,))
        arrays = {key: np.asarray(value) for key, value in values.items()}
        self.cache.write(name, arrays | {_SECONDS: np.asarray(seconds)})
