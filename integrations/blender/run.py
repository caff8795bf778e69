"""scenetex at work: a process whose progress can be looked at without waiting for it. Knows nothing of Blender."""

import os
import re
import subprocess
import threading
import time
from typing import IO

from .errors import AddonError

_COUNTED = re.compile(r"^(.+?):\s+(\d+)%\|")  # "generate:  40%|####      | 4/10 [...]"
_TIMED = re.compile(r"^([\w ]+?) (?:\d+:)+\d\d$")  # "model 00:03"
_GRACE = 10.0  # seconds to tidy up after it was told to end


class Run:
    """A process of scenetex.

    Attributes:
        stage: what it is at.
        fraction: how much of that is done, 0 to 1.
        notes: lines that it said beside its result: warnings, and at the end of one that failed what went wrong.
        said: lines of its result.
        cancelled: whether it was told to end.
    """

    def __init__(self, command: list[str]):
        """Starts it. Raises AddonError for a program that does not start."""
        self.stage, self.fraction, self.cancelled = "starting", 0.0, False
        self.notes: list[str] = []
        self.said: list[str] = []
        self._ended: float | None = None
        quiet = {"creationflags": subprocess.CREATE_NO_WINDOW} if os.name == "nt" else {}
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        try:
            there = os.environ | {"PYTHONUTF8": "1", "PYTHONIOENCODING": "utf-8"}
            self._process = subprocess.Popen(command, env=there, **pipes, **quiet)
        except (OSError, ValueError) as error:
            raise AddonError(f"{command[0]}: does not start ({error}); check the path in the preferences") from None
        readers = ((self._process.stdout, self.said.append), (self._process.stderr, self._hear))
        self._readers = [threading.Thread(target=_read, args=reader, daemon=True) for reader in readers]
        for reader in self._readers:
            reader.start()

    def is_over(self) -> bool:
        """Whether it has ended and all that it said has been read; does not wait."""
        if self._process.poll() is None:
            if self._ended is not None and time.monotonic() - self._ended > _GRACE:
                self._process.kill()
            return False
        for reader in self._readers:
            reader.join(1.0)
        return True

    def wait(self) -> None:
        """Until it is over."""
        while not self.is_over():
            time.sleep(0.05)

    def cancel(self) -> None:
        """Tells it to end; it leaves nothing half-written."""
        self.cancelled = True
        if self._ended is None and self._process.poll() is None:
            self._ended = time.monotonic()
            self._process.terminate()

    def error(self) -> str | None:
        """After it is over, what went wrong in one line; None = nothing."""
        if self.cancelled:
            return "cancelled"
        if self._process.returncode == 0:
            return None
        last = next(reversed(self.notes), "")
        return re.sub(r"^scenetex[\w ]*: ", "", last) or f"scenetex ended with code {self._process.returncode}"

    def _hear(self, line: str) -> None:
        counted, timed = _COUNTED.match(line), _TIMED.match(line)
        if counted:
            self.stage, self.fraction = counted[1], int(counted[2]) / 100
        elif timed:
            self.stage, self.fraction = timed[1], 0.0
        else:
            self.notes.append(line)


def _read(stream: IO[bytes], hear) -> None:
    """Hands over what a stream says line by line; bars end theirs with a carriage return."""
    rest = b""
    while chunk := os.read(stream.fileno(), 1 << 16):
        *lines, rest = re.split(rb"[\r\n]", rest + chunk)
        for line in lines:
            if text := line.decode("utf-8", "replace").strip():
                hear(text)
    if text := rest.decode("utf-8", "replace").strip():
        hear(text)
    stream.close()
