"""What command lines print: a line at a time, without anything that a terminal obeys; names are other people's text.

Output that nobody takes any more, such as after ``| head``, is dropped: that is no reason to stop the work.
"""

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import TextIOWrapper
from typing import TYPE_CHECKING

from ..errors import plain

if TYPE_CHECKING:
    from tqdm import tqdm


def say(line: str, error: bool = False) -> None:
    """Prints one line, above the bars if there are any, to stdout, or stderr for what is no result."""
    from tqdm import tqdm  # not before the process hears signals

    stream = sys.stderr if error else sys.stdout
    tqdm.write(plain(line), file=stream)
    stream.flush()


def bar(desc: str, **options) -> "tqdm":
    """A progress bar on stderr; `options` of tqdm."""
    from tqdm import tqdm

    return tqdm(desc=plain(desc), **options)


class _Lines(logging.Handler):
    """Says what is logged as everything is said here: printable, above the bars."""

    def emit(self, record: logging.LogRecord) -> None:
        for line in self.format(record).split("\n"):
            say(line, error=True)


@contextmanager
def debugging(on: bool) -> Iterator[None]:
    """Within the block, if it is `on`, all that the package logs goes to stderr, with the tracebacks of errors."""
    log, handler = logging.getLogger("scenetex"), _Lines()
    if not on:
        yield
        return
    handler.setFormatter(logging.Formatter("%(asctime)s %(name)s: %(message)s"))
    level = log.level
    log.addHandler(handler)
    log.setLevel(logging.DEBUG)
    try:
        yield
    finally:
        log.setLevel(level)
        log.removeHandler(handler)


class Tolerant:
    """A text stream that goes on when it can no longer be written to; None stands for one that was closed.

    What else is asked of it, the stream answers.
    """

    def __init__(self, stream):
        self._stream = TextIOWrapper(open(os.devnull, "wb")) if stream is None else stream

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except OSError:
            self._drop()
            return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError:
            self._drop()

    def __getattr__(self, name: str):
        return getattr(self._stream, name)

    def _drop(self) -> None:
        """From now on to nowhere, with what is still waiting."""
        with suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)
            self._stream.flush()


def tolerate_lost_readers() -> None:
    """Makes stdout and stderr of this process `Tolerant`."""
    sys.stdout, sys.stderr = Tolerant(sys.stdout), Tolerant(sys.stderr)
