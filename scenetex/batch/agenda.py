"""What is still to be done: scenes in their order, and those that have to be tried again later."""

import time
from collections import deque
from collections.abc import Iterable
from pathlib import Path

_PAUSE = 1.0  # seconds until a scene that another run works on is looked at again


class Agenda:
    """Scenes to do; true while there are any."""

    def __init__(self, scenes: Iterable[Path]):
        self._ready, self._later = deque(scenes), deque()

    def __len__(self) -> int:
        return len(self._ready) + len(self._later)

    def next(self) -> Path | None:
        """Takes the next scene; None if all that are left have to wait."""
        if self._ready:
            return self._ready.popleft()
        if self._later and self._later[0][0] <= time.monotonic():
            return self._later.popleft()[1]
        return None

    def again(self, scene: Path) -> None:
        """Puts a scene back, behind all others and not before a pause."""
        self._later.append((time.monotonic() + _PAUSE, scene))

    def pause(self) -> float:
        """Seconds until `next` has a scene; 0 if it has one or will have none."""
        if self._ready or not self._later:
            return 0.0
        return max(0.0, self._later[0][0] - time.monotonic())
