"""Runs all that the package does on a GPU, on random weights of full size made there, and writes down what it took.

    python tools/check_gpu.py --output gpu

It takes four minutes at most, and needs this repository and what the package needs; docs/figures.md says how to carry
both to a machine without a network. Each part has seconds of its own: what does not fit is left out and said to be,
what fails is written down, and the rest goes on. With `--device cpu --tiny` it runs anywhere, to see that it runs.
"""

import faulthandler
import json
import platform
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

START = time.monotonic()
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

try:
    import torch
    from gpu_parts import PARTS
    from gpu_setup import Setup, machine

    from scenetex.cli.guarded import guarded
    from scenetex.cli.parsing import parse
    from scenetex.errors import InputError
    from scenetex.files.output import naming, write_files
    from scenetex.limits import Between, check_options
    from scenetex.process.console import say
    from scenetex.process.interrupt import as_process
except ImportError as error:
    sys.exit(f"check_gpu: {error.name or error} is not installed; docs/figures.md says which wheels to carry along")

PROGRAM = "check_gpu"
_LAST = 5.0  # seconds kept for writing


@dataclass(frozen=True)
class Options:
    """Runs all that the package does on a GPU, and writes gpu.json and gpu.md."""

    output: Path
    """Folder to write gpu.json and gpu.md to."""
    device: Literal["cuda", "cpu"] = "cuda"
    """Where to run."""
    tiny: bool = False
    """Small models, images and counts of views: to see that it runs."""
    seconds: Annotated[float, Between(10, 3600)] = 240.0
    """For all of it, start-up included."""
    parts: tuple[str, ...] = tuple(PARTS)
    """Parts to run."""


class OutOfTimeError(Exception):
    """A part has used up its seconds."""


@dataclass
class Done:
    """What became of a part: status "ok", "out of time", "failed" or "skipped", and why."""

    name: str
    budget: float
    status: str = "skipped"
    why: str = ""
    seconds: float = 0.0
    figures: list[dict[str, Any]] = field(default_factory=list)


def main(arguments: list[str] | None = None) -> int:
    """Runs the command; the exit code, 1 where a part failed."""

    def work() -> int:
        options = parse(Options, PROGRAM, arguments)
        check_options(options)
        unknown = [name for name in options.parts if name not in PARTS]
        if unknown:
            raise InputError(f"--parts {unknown[0]}: there is no such part; choose from {', '.join(PARTS)}")
        if options.device == "cuda" and not torch.cuda.is_available():
            raise InputError("--device cuda: torch finds no CUDA GPU; --device cpu --tiny shows that the check runs")
        with naming(options.output):
            options.output.mkdir(parents=True, exist_ok=True)
        done = run(options)
        say(f"{options.output / 'gpu.md'}: {', '.join(f'{part.name} {part.status}' for part in done)}")
        return int(any(part.status == "failed" for part in done))

    return guarded(PROGRAM, work)


def run(options: Options) -> list[Done]:
    """All parts, one after the other; the files are written after each."""
    end = START + options.seconds if options.device == "cuda" else time.monotonic() + options.seconds
    setup = Setup(torch.device(options.device), options.tiny)
    here, lost = machine(setup.device), ""
    done = [Done(name, PARTS[name].budget) for name in options.parts]
    # A kernel that does not end lets no signal through: what there is then has been written.
    faulthandler.dump_traceback_later(max(1.0, end - time.monotonic()), exit=True, file=sys.__stderr__)
    try:
        for part in done:
            say(f"{part.name} ...")
            part.why = lost or "it did not come back"
            write(options, here, done)
            if not lost and not one(part, setup, min(part.budget, end - _LAST - time.monotonic())):
                lost = f"the GPU no longer answers, since {part.name}"
            write(options, here, done)
    finally:
        faulthandler.cancel_dump_traceback_later()
    return done


def one(part: Done, setup: Setup, seconds: float) -> bool:
    """Runs a part within its seconds; what it measured until it ended stays. Whether the device still answers."""
    part.why = ""
    if seconds < 1:
        part.why = "the time for all was used up"
        return True
    start = time.monotonic()
    try:
        with limited(seconds):
            for figure in PARTS[part.name].work(setup):
                part.figures.append(figure)
        part.status = "ok"
    except OutOfTimeError:
        part.status, part.why = "out of time", f"its {seconds:.0f} s were used up"
    except Exception as error:  # whatever it is, it is a result
        lines = str(error).strip().splitlines() or [""]
        part.status, part.why = "failed", f"{type(error).__name__}: {lines[0][:300]}"
    part.seconds = round(time.monotonic() - start, 1)
    return setup.free()


@contextmanager
def limited(seconds: float) -> Iterator[None]:
    """Raises OutOfTimeError in the midst of what takes longer, as soon as Python has its turn."""

    def over(*_: object) -> None:
        raise OutOfTimeError

    before = signal.signal(signal.SIGALRM, over)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def write(options: Options, here: dict[str, Any], done: list[Done]) -> None:
    """gpu.json and gpu.md; `here` is the machine."""
    found = {
        "machine": here,
        "device": options.device,
        "tiny": options.tiny,
        "seconds": round(time.monotonic() - START, 1),
        "parts": [vars(part) for part in done],
    }
    files = {"gpu.json": json.dumps(found, indent=2, allow_nan=False) + "\n", "gpu.md": page(found)}
    write_files({options.output / name: text.encode() for name, text in files.items()})


def page(found: dict[str, Any]) -> str:
    """The results as Markdown, a table for each part."""
    size = "tiny models" if found["tiny"] else "models of full size"
    lines = ["# GPU check", "", f"On `{found['device']}`, {size}, random weights; {found['seconds']} s in all.", ""]
    lines += table([{"machine": name, "": value} for name, value in found["machine"].items()])
    for part in found["parts"]:
        why = f" ({part['why']})" if part["why"] else ""
        lines += ["", f"## {part['name']}: {part['status']}{why}", ""]
        lines += [" ".join(PARTS[part["name"]].work.__doc__.split()), ""]
        lines += [f"{part['seconds']} s of {part['budget']:g}.", ""]
        lines += table(part["figures"])
    return "\n".join(lines) + "\n"


def table(rows: list[dict[str, Any]]) -> list[str]:
    """Rows of one Markdown table, whose columns are all keys in order."""
    if not rows:
        return ["Nothing was measured."]
    columns = list(dict.fromkeys(key for row in rows for key in row))
    cell: Callable[[Any], str] = lambda value: "–" if value is None else str(value).replace("|", "/")  # noqa: E731
    lines = [f"| {' | '.join(columns)} |", f"|{'---|' * len(columns)}"]
    return lines + [f"| {' | '.join(cell(row.get(key)) for key in columns)} |" for row in rows]


if __name__ == "__main__":
    print(f"{PROGRAM}: Python {platform.python_version()}, torch {torch.__version__}", flush=True)
    sys.exit(as_process(main))
