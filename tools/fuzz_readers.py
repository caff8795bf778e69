"""Feeds mutated files to every reader: each must read them or raise InputError, in memory that the file warrants.

    python tools/fuzz_readers.py --inputs 100000
    python tools/fuzz_readers.py --readers ply sens --engine atheris

Whatever else a reader does (another exception, a crash of the process, a message of several lines, more memory than its
bound, seconds without an end) is saved with its traceback under --output, and the exit code is 1. The same seed gives
the same inputs with the engine "own". Atheris, which looks for inputs that reach new code, has to be installed.
"""

import importlib.util
import io
import multiprocessing
import os
import resource
import shutil
import sys
import tempfile
import time
import tracemalloc
import warnings
from contextlib import redirect_stderr
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random
from typing import Literal

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from fuzz_probe import LONGEST, Probe, Tally, peak_resident, save

from scenetex.cli.guarded import guarded
from scenetex.cli.parsing import parse
from scenetex.errors import InputError
from scenetex.process.interrupt import as_process

PROGRAM = "fuzz_readers.py"
NAMES = (
    *("ply", "obj", "glb", "gltf", "stl", "sens", "pose", "info", "transforms", "colmap", "colmap-images", "tum"),
    *("polycam", "polycam-mesh", "record3d", "scanner-app"),
    *("photo", "depth", "npy", "square", "list", "cameras", "stage"),
)
_HEADROOM = 4 << 30  # bytes of address space a reader may ask for before the system refuses
_KEPT = 64  # inputs that were read without complaint, to start from again


@dataclass(frozen=True)
class Options:
    """Feeds mutated files to every reader; what they may not do with them is saved, and the exit code 1."""

    inputs: int = 20_000
    """Inputs for each reader."""
    readers: tuple[str, ...] = NAMES
    """Readers to try."""
    seed: int = 0
    """The same seed gives the same inputs (engine own)."""
    engine: Literal["own", "atheris"] = "own"
    """What makes the inputs: mutations from a seed, or atheris, which is guided by coverage."""
    output: Path = Path("fuzz")
    """Folder for inputs that were found, each with its traceback."""


def main(arguments: list[str] | None = None) -> int:
    """Runs the readers one after the other; the exit code: 1 if anything was found, 2 after bad options."""

    def work() -> int:
        options = parse(Options, PROGRAM, arguments)
        unknown = [name for name in options.readers if name not in NAMES]
        if unknown or options.inputs < 1:
            what = f"reader '{unknown[0]}' is not known" if unknown else "--inputs has to be 1 or more"
            raise InputError(f"{what}; the readers are {', '.join(NAMES)}")
        if options.engine == "atheris" and importlib.util.find_spec("atheris") is None:
            raise InputError("atheris is not installed; pip install atheris, or choose --engine own")
        print(f"{'reader':12}{'inputs':>9}{'read':>9}{'refused':>9}{'found':>7}{'inputs/s':>10}", end="")
        print("  most memory (traced, of the bound, process)", flush=True)
        tallies = [run(name, options) for name in options.readers]
        bad = sum(sum(tally.bad.values()) for tally in tallies)
        where = f", see {options.output}" if bad else ""
        print(f"{sum(tally.inputs for tally in tallies)} inputs, {bad} found{where}")
        return int(bad > 0)

    return guarded(PROGRAM, work)


def run(name: str, options: Options) -> Tally:
    """Runs one reader in a process of its own, which may die, and prints its row."""
    total, start, round_ = Tally(), time.perf_counter(), 0
    shm = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(prefix="fuzz-", dir=shm if shm.is_dir() and os.access(shm, os.W_OK) else None))
    context = multiprocessing.get_context("spawn")  # atheris has to see the package's modules being imported
    try:
        while total.inputs < options.inputs:
            here, there = context.Pipe(False)
            left = options.inputs - total.inputs
            child = context.Process(target=_work, args=(name, options, left, round_, folder, there))
            child.start()
            there.close()
            tally = _last(here)
            child.join()
            if tally is None:
                raise RuntimeError(f"{name}: its process ended before the first input, see above")
            _add(total, tally)
            if child.exitcode:
                _found_dead(name, child.exitcode, folder, options, total)
            round_ += 1
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    total.seconds = time.perf_counter() - start
    _print_row(name, total)
    return total


def _last(pipe: Connection) -> Tally | None:
    """What a reader's process said last."""
    tally = None
    try:
        while True:
            tally = pipe.recv()
    except EOFError:
        return tally


def _add(total: Tally, tally: Tally) -> None:
    total.read, total.refused = total.read + tally.read, total.refused + tally.refused
    for key, count in tally.bad.items():
        total.bad[key] = total.bad.get(key, 0) + count
    total.most, total.share = max(total.most, tally.most), max(total.share, tally.share)
    total.resident = max(total.resident, tally.resident)


def _found_dead(name: str, code: int, folder: Path, options: Options, total: Tally) -> None:
    """The input that a process died of is still in its folder."""
    from fuzz_targets import targets

    path = folder / targets()[name].file
    what = f"the process died with exit code {code}"
    data = path.read_bytes() if path.is_file() else b""
    save(options.output, name, path.suffix, data, what)
    total.bad[what] = total.bad.get(what, 0) + 1


def _print_row(name: str, tally: Tally) -> None:
    rate, found = tally.inputs / tally.seconds, sum(tally.bad.values())
    print(f"{name:12}{tally.inputs:9}{tally.read:9}{tally.refused:9}{found:7}{rate:10.0f}", end="")
    print(f"  {tally.most / 1e6:.2f} MB, {100 * tally.share:.0f} %, {tally.resident / 1e6:.0f} MB", flush=True)
    for key, count in tally.bad.items():
        print(f"{'':12}{count} x {key:.100}", flush=True)


def _work(name: str, options: Options, count: int, round_: int, folder: Path, pipe: Connection) -> None:
    """The process of a reader: `count` inputs, and now and then what became of them."""
    if options.engine == "atheris":
        import atheris

        included = ["scenetex.scene", "scenetex.batch", "scenetex.cli.panorama"]
        with redirect_stderr(io.StringIO()), atheris.instrument_imports(include=included):
            from fuzz_targets import targets
    else:
        from fuzz_targets import targets
    from fuzz_mutations import mutate

    warnings.simplefilter("ignore")
    warnings.simplefilter("error", RuntimeWarning)  # of NumPy: numbers that were not looked at
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + _HEADROOM, resource.RLIM_INFINITY))
    target = targets()[name]
    probe = Probe(target, folder, options.output)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # libjpeg, libpng and OpenCV say what they think of each image
    tracemalloc.start()

    def tell() -> None:
        probe.tally.resident = peak_resident()
        pipe.send(probe.tally)

    def feed(data: bytes) -> bool:
        done = probe.feed(data[:LONGEST])
        if probe.tally.inputs % 1000 == 0:
            tell()
        if probe.tally.inputs >= count:
            tell()
            os._exit(0)  # atheris has no other way to end, and says so in many lines
        return done

    tell()
    if options.engine == "atheris":
        _with_atheris(target, feed, mutate, folder / "corpus", options.seed + round_)
    longest = 2 * max(map(len, target.seeds))
    pool, rng = list(target.seeds), Random(f"{options.seed} {round_} {name}")
    while True:
        data = mutate(rng.choice(pool), rng, target.words, target.kind)
        if feed(data) and len(data) <= longest:
            if len(pool) < _KEPT:
                pool.append(data)
            elif rng.random() < 0.05:
                pool[rng.randrange(len(target.seeds), _KEPT)] = data


def _with_atheris(target, feed, mutate, corpus: Path, seed: int) -> None:
    import atheris

    corpus.mkdir(exist_ok=True)
    for i, data in enumerate(target.seeds):
        (corpus / str(i)).write_bytes(data)

    def mutated(data: bytes, largest: int, number: int) -> bytes:
        rng = Random(number)
        if rng.random() < 0.5:
            return bytes(atheris.Mutate(data, largest))
        return mutate(data, rng, target.words, target.kind)[:largest]

    options = [PROGRAM, f"-seed={seed + 1}", f"-max_len={LONGEST}", "-verbosity=0", str(corpus)]
    atheris.Setup(options, lambda data: feed(data) and None, custom_mutator=mutated)
    atheris.Fuzz()


if __name__ == "__main__":
    sys.exit(as_process(main))
