"""One reader under test: what it does with an input, and what it may not."""

import os
import resource
import signal
import sys
import traceback
import tracemalloc
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from scenetex.errors import InputError

LONGEST = 1 << 16  # bytes of an input
_SECONDS = 20.0  # of processor time an input may take
_SLACK = 32 << 20  # bytes by which the process may grow beyond a reader's bound, for what libraries keep


class TooLong(BaseException):
    """An input that keeps a reader busy; no Exception, so that nobody takes it for a damaged file."""


@dataclass
class Tally:
    """What became of a reader's inputs.

    Attributes:
        read, refused: inputs that were read, and that ended in InputError.
        bad: found, by what happened and where: how often.
        most: bytes allocated for an input, at most.
        share: of its bound that an input came to, at most.
        seconds: spent in the reader and in making its inputs.
    """

    read: int = 0
    refused: int = 0
    bad: dict[str, int] = field(default_factory=dict)
    most: int = 0
    share: float = 0.0
    seconds: float = 0.0
    resident: int = 0

    @property
    def inputs(self) -> int:
        """How many there were."""
        return self.read + self.refused + sum(self.bad.values())


class Probe:
    """One reader in its working folder, and what became of its inputs so far."""

    def __init__(self, target, folder: Path, output: Path):
        self.target, self.output, self.tally = target, output, Tally()
        self.path = folder / target.file
        signal.signal(signal.SIGVTALRM, _too_long)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        target.prepare(folder)
        for seed in target.seeds:  # whatever is loaded on first use counts for no input
            self._write(seed)
            with suppress(InputError):  # several readers share the files of matrices
                target.read(self.path)

    def feed(self, data: bytes) -> bool:
        """Reads an input; whether it was read without complaint."""
        self._write(data)
        bound, resident = self.target.times * len(data) + self.target.floor, peak_resident()
        found, done, took = self._read()
        grown = peak_resident() - resident
        if found is None and took > bound:
            # What an input takes it takes each time; tables of the interpreter (interned names) just have to grow once.
            found, done, took = self._read()
        if found is None and (took > bound or grown > bound + _SLACK):
            found = f"{max(took, grown)} bytes allocated for a file of {len(data)}; its bound is {bound}"
        tally = self.tally
        tally.most, tally.share = max(tally.most, took), max(tally.share, took / bound)
        if found is not None:
            self._save(data, found)
            return False
        tally.read, tally.refused = tally.read + done, tally.refused + (not done)
        return done

    def _read(self) -> tuple[str | None, bool, int]:
        """Has the reader read the file: what is wrong with that, whether it got to the end, bytes allocated at most."""
        found, done = None, False
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        signal.setitimer(signal.ITIMER_VIRTUAL, _SECONDS)
        try:
            self.target.read(self.path)
            done = True
        except InputError as error:
            if not _is_one_line(str(error)):
                found = f"a message of several lines, or one that cannot be printed: {str(error)!r:.300}"
        except (Exception, TooLong) as error:
            found = _where(error)
        finally:
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        return found, done, tracemalloc.get_traced_memory()[1] - before

    def _write(self, data: bytes) -> None:
        # By hand: Path.write_bytes takes longer than some of the readers.
        handle = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.write(handle, data)
        os.close(handle)

    def _save(self, data: bytes, found: str) -> None:
        key = found.splitlines()[0]
        for kind in ("bytes allocated", "a message"):
            key = kind if kind in key else key
        if key not in self.tally.bad:
            save(self.output, self.target.name, self.path.suffix, data, found)
        self.tally.bad[key] = self.tally.bad.get(key, 0) + 1


def save(output: Path, name: str, suffix: str, data: bytes, found: str) -> Path:
    """Writes an input, and what it did."""
    output.mkdir(parents=True, exist_ok=True)
    path = output / f"{name}-{sha256(data).hexdigest()[:12]}{suffix}"
    path.write_bytes(data)
    path.with_name(path.name + ".log").write_text(found + "\n", errors="backslashreplace")
    return path


def peak_resident() -> int:
    """Most memory of this process so far, bytes: libraries in C allocate where tracemalloc does not look."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _where(error: BaseException) -> str:
    frames = [f for f in traceback.extract_tb(error.__traceback__) if "fuzz_" not in f.filename]
    own = [f for f in frames if "scenetex" in f.filename] or frames
    place = f"{Path(own[-1].filename).name}:{own[-1].lineno}" if own else "?"
    return f"{type(error).__name__} at {place}\n" + "".join(traceback.format_exception(error))


def _is_one_line(message: str) -> bool:
    return len(message) < LONGEST and message.isprintable()


def _too_long(number, frame) -> None:
    raise TooLong(f"more than {_SECONDS} s")
