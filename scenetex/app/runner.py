"""The process that works for the page: it does one run at a time, says how far it is, keeps its model for the next run,
and can be stopped in the middle of anything."""

import signal
import threading
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

from ..batch.one_scene import attempt
from ..batch.outcome import Outcome
from ..batch.worker import follow_parent
from ..errors import InputError, InputWarning
from ..job.options import TextureOptions
from ..job.stages import Done, bars
from ..process.interrupt import interruptible, unheard_by_children
from ..process.memory import spare_address_space
from ..process.signals import terminable

_LOOK = 0.2  # seconds between looks at whether the process is still there
_PATIENCE = 5.0  # seconds that it has to tidy up
# Is told what is being done, how many steps of that are done, and of how many, if that is known.
Tell = Callable[[str, int, int | None], None]


class Stopped(InputError):
    """The run was stopped because somebody asked for it."""


class Runner:
    """Textures scans in a process of its own, which is started for the first run, and anew after one that was stopped.

    One run at a time: `run` waits for those that other threads have begun.
    """

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._process: BaseProcess | None = None
        self._connection: Connection | None = None
        self._owner: str | None = None
        self._stopped = False

    def run(self, path: Path, options: TextureOptions, tell: Tell, owner: str = "") -> Outcome:
        """Textures the scan at `path`.

        Args:
            path: of the scan.
            options: as of ``scenetex texture``.
            tell: is told of the progress.
            owner: whose run it is, for `stop`.

        Raises:
            Stopped: `stop` was called.
            InputError: what the run says of its input, in one line; or the process has died.
        """
        with self._turn:
            self._owner, self._stopped = owner, False
            try:
                outcome = self._hear(path, options, tell)
            except (EOFError, OSError):
                code = self._end()
                if self._stopped:
                    raise Stopped("stopped; what was there before is still there") from None
                raise InputError(
                    f"the process that works ended by itself, with code {code}; if memory was short, ask for fewer "
                    "views or a smaller texture"
                ) from None
            finally:
                self._owner = None
                if self._stopped:
                    self._end()
        if outcome.state in ("failed", "full"):
            raise InputError(outcome.says)
        return outcome

    def stop(self, owner: str = "") -> bool:
        """Ends the run of `owner`; whether there was one. Its process tidies up, and is replaced for the next run."""
        if self._owner != owner:
            return False
        self._stopped = True
        return True

    def close(self) -> None:
        """Ends the process, whatever it is doing."""
        self._stopped = True
        self._end()

    def _hear(self, path: Path, options: TextureOptions, tell: Tell) -> Outcome:
        if self._process is None or not self._process.is_alive():
            tell("starting", 0, None)
            self._begin()
        process, connection = self._process, self._connection
        assert process is not None and connection is not None
        connection.send((path, options))
        while True:
            if self._stopped:
                raise EOFError
            if connection.poll(_LOOK):
                message = connection.recv()
                if isinstance(message, Outcome):
                    return message
                tell(*message)
            elif not process.is_alive():
                raise EOFError

    def _begin(self) -> None:
        self._end()
        context = get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_work, args=(theirs,), daemon=True)
        with unheard_by_children():
            self._process.start()
        theirs.close()

    def _end(self) -> int | None:
        """Ends the process, with a little time to tidy up; its exit code."""
        process, self._process = self._process, None
        if process is None:
            return None
        process.terminate()
        process.join(_PATIENCE)
        process.kill()
        process.join()
        if self._connection is not None:
            self._connection.close()
        return process.exitcode


def _work(connection: Connection) -> None:
    """The inside of the process: takes runs from the pipe, and sends what `Tell` takes, and outcomes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches it, too, but its parent decides
    threading.Thread(target=follow_parent, daemon=True).start()
    lock = threading.Lock()  # unwrapping has a thread of its own

    def send(message: Outcome | tuple[str, int, int | None]) -> None:
        with lock:
            connection.send(message)

    def watch(stage: str, steps: int | None) -> AbstractContextManager[Done]:
        if stage != "total":
            send((stage, 0, steps or None))
        return bars(stage, steps)

    with terminable(), interruptible(own=True), suppress(EOFError, OSError, KeyboardInterrupt):
        spare_address_space()
        _divert_bars(send)
        while True:
            path, options = connection.recv()
            with warnings.catch_warnings(record=True) as found:
                warnings.simplefilter("always", InputWarning)
                outcome = attempt(path, options, watch)
            said = dict.fromkeys(str(w.message) for w in found if issubclass(w.category, InputWarning))
            send(replace(outcome, warnings=(*said, *outcome.warnings)))


def _divert_bars(send: Callable[[tuple[str, int, int | None]], None]) -> None:
    """Every progress bar of this process, those in diffusers' pipelines too, is sent where it would be drawn."""
    from tqdm import tqdm

    def display(bar: tqdm, msg: str | None = None, pos: int | None = None) -> bool:
        # Where it is wiped away, at its end, too: steps quicker than bars are drawn are told at least then.
        send((str(bar.desc or "").removesuffix(": "), int(bar.n), bar.total and int(bar.total)))
        return True

    tqdm.display = display
