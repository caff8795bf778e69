"""SIGTERM, which schedulers and `kill` send, ends a run as Ctrl-C does: what is whole stays, the rest is removed."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass
class Stopped:
    """Exit code of a run that was told to end, None if it was not."""

    code: int | None = None


@contextmanager
def terminable() -> Iterator[Stopped]:
    """Within the block SIGTERM raises KeyboardInterrupt in the main thread, the first time; later ones do nothing."""
    stopped = Stopped()
    if threading.current_thread() is not threading.main_thread():
        yield stopped
        return

    def stop(number: int, frame) -> None:
        signal.signal(number, signal.SIG_IGN)
        stopped.code = 128 + number
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield stopped
    finally:
        signal.signal(signal.SIGTERM, before)
