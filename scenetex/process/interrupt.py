"""Ctrl-C at any moment ends a command quietly, with exit code 130, and its processes with it; SIGTERM and SIGHUP, too,
with 143 and 129."""

import os
import signal
import sys
import threading
import time
from _thread import interrupt_main
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from .console import tolerate_lost_readers

INTERRUPTED = 128 + signal.SIGINT
# Windows has no SIGHUP.
ENDING = (signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else []))
_HAS_ALARM = hasattr(signal, "setitimer")  # not on Windows
_AGAIN = 0.05  # seconds until an interruption that came at a bad moment is tried again
_PATIENCE = 3.0  # seconds for threads to end on their own
_GRACE = 1.0  # seconds for tidying up, in which further ones do nothing: some launchers send several


def as_process(work: Callable[[], int]) -> int:
    """Runs a command that has its process to itself, from its first import to its exit code.

    Until `interruptible` is entered nothing has been begun: a signal leaves at once, whatever is being imported. What
    is ignored from the start, as Ctrl-C in the background of a script, stays so.
    """
    heard = [number for number in ENDING if signal.getsignal(number) is not signal.SIG_IGN]
    for number in heard:
        signal.signal(number, _leave)
    _State.own = True
    tolerate_lost_readers()
    try:
        code = work()
    except KeyboardInterrupt:
        code = INTERRUPTED
    finally:
        _State.own = False
        # All is said and done: what Python does at its end is not to be disturbed.
        for number in heard:
            no_longer_heard(number)
    if code > 128 and not _alone(_PATIENCE):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    return code


def _alone(patience: float) -> bool:
    """Whether other threads end in that many seconds; Python would wait for what nobody wants any more."""
    until = time.monotonic() + patience
    others = [t for t in threading.enumerate() if t is not threading.main_thread() and not t.daemon]
    for thread in others:
        thread.join(max(0.0, until - time.monotonic()))
    return not any(thread.is_alive() for thread in others)


@contextmanager
def interruptible(own: bool = False) -> Iterator[None]:
    """Within the block Ctrl-C, and what `obey` is told of, raises KeyboardInterrupt in the main thread, where it will
    be noticed.

    Outside of `as_process`, and in processes that are not said to be our `own`, signals are others' business, and this
    does nothing.
    """
    if _State.current is not None or not (own or _State.own):
        yield
        return
    interruption, report = _Interruption(), sys.unraisablehook

    def unraisable(about) -> None:
        # Python drops what is raised in a destructor or callback.
        if issubclass(about.exc_type, KeyboardInterrupt):
            interruption.again()
        else:
            report(about)

    alarm = signal.signal(signal.SIGALRM, interruption) if _HAS_ALARM else None
    hears = signal.getsignal(signal.SIGINT) is _leave
    if hears:
        signal.signal(signal.SIGINT, interruption)
    _State.current = interruption
    sys.unraisablehook = unraisable
    sys.meta_path.insert(0, interruption)
    try:
        yield
    except Exception:
        if interruption.since is not None:  # libraries turn it into errors of theirs
            raise KeyboardInterrupt from None
        raise
    finally:
        interruption.alarm(0)
        sys.meta_path.remove(interruption)
        _State.current = None
        if hears:
            signal.signal(signal.SIGINT, _leave if interruption.since is None else _nothing)
        if _HAS_ALARM:
            signal.signal(signal.SIGALRM, alarm)
        sys.unraisablehook = report


def no_longer_heard(number: int) -> None:
    """From now on a signal does nothing. One that has come just before is taken first: Python would print of it."""
    signal.signal(number, _nothing)
    signal.signal(number, signal.SIG_IGN)


def _nothing(number: int, frame) -> None:
    """What a signal does that is not heard any more."""


def obey(number: int, frame) -> None:
    """Does for another signal what would be done for Ctrl-C; to be called by its handler."""
    if _State.current is not None:
        _State.current(number, frame)
    elif _State.own:
        _leave(number, frame)
    else:
        raise KeyboardInterrupt


def is_interrupted() -> bool:
    """Whether the end has been asked for: what fails now may have failed because of that."""
    return _State.current is not None and _State.current.since is not None


@contextmanager
def unheard_by_children() -> Iterator[None]:
    """Processes that are started in the block do not hear Ctrl-C, which reaches every process of a terminal.

    Their parent tells them to end, and they need not say so, each with a traceback.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows; workers ignore it as soon as they can
        yield
        return
    from multiprocessing import resource_tracker

    resource_tracker.ensure_running()  # as it starts, it would lift the block
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class _Interruption:
    """The handler of SIGINT, and of the alarm that tries again; in `sys.meta_path` it sees every import that begins.

    Extension modules that are being imported turn an exception into another, or crash. So one comes between two
    modules, or after the import.

    Attributes:
        asked: when Ctrl-C came, or None.
        since: when KeyboardInterrupt was raised, or None.
    """

    _later: threading.Timer | None = None  # what stands for the alarm where there is none
    _rang = False

    def __init__(self):
        self.asked: float | None = None
        self.since: float | None = None
        self._pending = False

    def __call__(self, number: int, frame) -> None:
        now = time.monotonic()
        again, self._rang = self._rang or (_HAS_ALARM and number == signal.SIGALRM), False
        if not again and self.asked is not None and now - self.asked > _GRACE:
            _leave(number, frame)
        self.asked = self.asked or now
        if _is_importing(frame):
            self._pending = True
            self.alarm(_AGAIN)
        elif self.since is None:
            self._raise()

    def find_spec(self, name: str, path=None, target=None) -> None:
        """Finds nothing, but ends an import that nobody waits for any more."""
        if self._pending and threading.current_thread() is threading.main_thread():
            self.alarm(_AGAIN)  # some imports are tried only, and may fail
            self._raise()

    def again(self) -> None:
        """KeyboardInterrupt was raised, but got lost."""
        self.since = None
        self.alarm(_AGAIN)

    def alarm(self, seconds: float) -> None:
        """Tries again in so many seconds; 0: not any more."""
        if _HAS_ALARM:
            signal.setitimer(signal.ITIMER_REAL, seconds)
            return
        if self._later is not None:
            self._later.cancel()
        self._later = None
        if seconds:
            self._later = threading.Timer(seconds, self._ring)
            self._later.daemon = True
            self._later.start()

    def _ring(self) -> None:
        self._rang = True
        interrupt_main()

    def _raise(self) -> None:
        self._pending, self.since = False, time.monotonic()
        raise KeyboardInterrupt


def _is_importing(frame) -> bool:
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


def _leave(number: int, frame) -> None:
    """Ends the process as it is; no exception, which a library might swallow or print."""
    os.write(2, b"scenetex: interrupted\n")
    os._exit(128 + number)


class _State:
    """Of this process.

    Attributes:
        own: it is that of a command.
        current: what hears signals, or None.
    """

    own = False
    current: _Interruption | None = None
