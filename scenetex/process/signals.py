"""SIGTERM, which schedulers and `kill` send, and SIGHUP, which closed terminals do, end a run as Ctrl-C does: what is
whole stays, the rest is removed."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from .interrupt import ENDING, no_longer_heard, obey

_ENDING = ENDING[1:]


@dataclass
class Stopped:
    """Exit code of a run that was told to end, None if it was not."""

    code: int | None = None


@dataclass
class Asked:
    """Whether a signal has asked for the end, and what would have been done about it.

    Attributes:
        signal: its number, or None.
    """

    signal: int | None = None
    before: dict = field(default_factory=dict)

    def obey(self) -> None:
        """Ends now, as the signal would have."""
        number = signal.SIGINT if self.signal is None else self.signal
        handler = self.before.get(number)
        if callable(handler):
            handler(number, None)
        raise KeyboardInterrupt


@contextmanager
def terminable() -> Iterator[Stopped]:
    """Within the block SIGTERM and SIGHUP raise KeyboardInterrupt in the main thread, the first time; later ones do
    nothing. What is ignored from the start, as SIGHUP by `nohup`, stays so."""
    stopped = Stopped()

    def stop(number: int, frame) -> None:
        for ending in _ENDING:
            no_longer_heard(ending)
        stopped.code = 128 + number
        obey(number, frame)

    with _handled_by(stop, _ENDING):
        yield stopped


@contextmanager
def deferred() -> Iterator[Asked]:
    """Within the block the first Ctrl-C, SIGTERM or SIGHUP is only noted, for whoever can end well at the next chance;
    a second one ends at once."""
    asked = Asked()

    def note(number: int, frame) -> None:
        if asked.signal is not None:
            asked.obey()
        asked.signal = number

    with _handled_by(note, ENDING) as asked.before:
        yield asked


@contextmanager
def _handled_by(handler, numbers) -> Iterator[dict]:
    """Handles signals within the block, but those that are ignored; yields what handled them before."""
    before = {}
    try:
        if threading.current_thread() is threading.main_thread():
            for number in numbers:
                if signal.getsignal(number) is not signal.SIG_IGN:
                    before[number] = signal.signal(number, handler)
        yield before
    finally:
        for number, earlier in before.items():
            signal.signal(number, signal.SIG_DFL if earlier is None else earlier)
