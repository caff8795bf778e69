"""Progress of many scenes on a terminal: one bar over all of them, and one per stage that is running."""

import sys
import time
from contextlib import AbstractContextManager

from tqdm import tqdm

from ..job.stages import Done, Watch, bars, silent
from ..process.console import bar, say

_DELAY = 1.0  # seconds that a stage runs before it gets a bar


class Board:
    """Bars on stderr, and lines that do not disturb them.

    Args:
        scenes: how many there are.
        quiet: no bars.
    """

    def __init__(self, scenes: int, quiet: bool):
        self._quiet = quiet
        self._all = bar("scenes", total=scenes, unit="scene", disable=quiet, leave=False, smoothing=0)
        self._running: dict[tuple[int, str], _Running] = {}

    def watch(self, scene: str) -> Watch:
        """Shows the stages of a scene in this process."""

        def show(name: str, steps: int | None) -> AbstractContextManager[Done]:
            return bars(f"{scene}: {name}", steps)

        return silent if self._quiet else show

    def begin(self, lane: int, scene: str, stage: str, steps: int | None) -> None:
        """A stage begins in another process; `lane` numbers those that work side by side."""
        if steps is not None and not self._quiet:
            self._running[lane, stage] = _Running(f"{scene}: {stage}", steps, time.monotonic())

    def step(self, lane: int, stage: str, count: int) -> None:
        """It has done so many more steps."""
        if (lane, stage) in self._running:
            self._running[lane, stage].done += count

    def end(self, lane: int, stage: str) -> None:
        """It has ended."""
        if (lane, stage) in self._running:
            self._running.pop((lane, stage)).close()

    def idle(self, lane: int) -> None:
        """Nothing is going on there any more."""
        for where in [where for where in self._running if where[0] == lane]:
            self.end(*where)

    def refresh(self) -> None:
        """Brings the bars up to date; to be called a few times a second. Logs get fewer lines than terminals."""
        if self._quiet or not sys.stderr.isatty():
            return
        for (lane, _), running in self._running.items():
            running.show(lane + 1)
        self._all.refresh()

    def advance(self) -> None:
        """A scene is finished, well or badly."""
        self._all.update()

    def write(self, line: str, error: bool = False) -> None:
        """Prints a line above the bars."""
        say(line, error)

    def close(self) -> None:
        """Removes the bars."""
        for where in list(self._running):
            self.end(*where)
        self._all.close()


class _Running:
    """A stage in another process."""

    def __init__(self, label: str, steps: int, since: float):
        self.done = 0
        self._label, self._steps, self._since = label, steps, since
        self._bar: tqdm | None = None

    def show(self, position: int) -> None:
        if self._bar is None and time.monotonic() - self._since > _DELAY:
            form = None if self._steps else "{desc} {elapsed}"
            self._bar = bar(self._label, total=self._steps or None, position=position, leave=False, bar_format=form)
        if self._bar is not None:
            self._bar.update(self.done - self._bar.n)
            self._bar.refresh()

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()
