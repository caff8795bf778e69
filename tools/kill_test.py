"""Kills textures, batches and trainings at random moments, and checks that no finished result is lost or half-written.

    python tools/kill_test.py --work DIR --kills 200

Half of the kills fall into a command's first second. Every run would replace a finished result by one with other
settings; after every kill there has to be the one or the other, whole. What a killed run was writing has to be gone
once the next one of the same command has begun, and at the end each has to come to what it comes to undisturbed.
"""

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from bench_batch import OPTIONS, check, fresh, hashes, make_scenes

from scenetex.cli.guarded import guarded
from scenetex.cli.parsing import parse
from scenetex.errors import InputError
from scenetex.files.manifest import foreign_file, read_manifest
from scenetex.files.output import own_folder
from scenetex.process.interrupt import as_process

PROGRAM = "kill_test.py"
ROOT = Path(__file__).resolve().parents[1]
# kill -9 most of the time; Ctrl-C, a scheduler, a closed terminal.
SIGNALS = (*[signal.SIGKILL] * 5, signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
SIZES = ("64", "128")  # of texture pages: what the runs take turns with
TRAINING = (
    "--rooms",
    "2",
    "--room-views",
    "2",
    "--views",
    "2",
    "--samples",
    "1",
    "--workers",
    "0",
    "--image-size",
    "32",
    "32",
)
TRAINING += ("--save-every", "2", "--device", "cpu", "--schedule", "constant")
PATIENCE = 60.0  # seconds in which a run that is told to end has to


@dataclass(frozen=True)
class Options:
    """Kills textures, batches and trainings at random moments, and checks what is left."""

    work: Path
    """Folder for scenes and results, new or of an earlier call; what is in it is replaced."""
    kills: int = 60
    """How many, over all three."""
    scenes: int = 3
    """Scenes of a batch."""
    seed: int = 0
    """Of the moments."""


@dataclass
class Texturing:
    """One scene, or many.

    Attributes:
        name: of the command.
        arguments: which scenes.
        output: of the runs.
        wanted: what a run comes to, by the size of its pages.
    """

    name: str
    arguments: tuple[str, ...]
    output: Path
    wanted: dict[str, dict[str, str]] = field(default_factory=dict)
    turn: int = 0

    def command(self) -> list[str]:
        self.turn += 1
        size = SIZES[self.turn % len(SIZES)]
        return ["texture", *self.arguments, "--output", str(self.output), *OPTIONS, "--texture-size", size]

    def prepare(self) -> float:
        """Undisturbed runs; seconds of one."""
        start = time.perf_counter()
        for _ in SIZES:
            command = self.command()
            if run(command).wait():
                raise InputError(f"{self.name}: fails without being disturbed")
            self.wanted[command[-1]] = hashes(self.output)
        return (time.perf_counter() - start) / len(SIZES)

    def is_whole(self) -> bool:
        """Whether each scene has one of its two results, and all of it."""
        found = hashes(self.output)
        for scene in {Path(name).parts[0] for name in self.wanted[SIZES[0]]}:
            results = [_of(scene, wanted) for wanted in self.wanted.values()]
            if _of(scene, found) not in results or not _is_whole(self.output / scene):
                return False
        return all(Path(name).parts[0] in {Path(n).parts[0] for n in self.wanted[SIZES[0]]} for name in found)

    def finish(self) -> bool:
        """Whether a run that is left alone comes to what it should."""
        command = self.command()
        return run(command).wait() == 0 and hashes(self.output) == self.wanted[command[-1]]


@dataclass
class Training:
    """A training that would go on for long."""

    name: str
    output: Path
    cache: Path
    step: int = 0

    def command(self, steps: int = 1_000_000) -> list[str]:
        given = ["--output", str(self.output), "--cache", str(self.cache), *TRAINING, "--steps", str(steps)]
        return ["train", "autoencoder", *given]

    def prepare(self) -> float:
        start = time.perf_counter()
        if run(self.command(2)).wait():
            raise InputError("training fails without being disturbed")
        return 1.5 * (time.perf_counter() - start)

    def is_whole(self) -> bool:
        """Whether the model and all checkpoints are whole, and none was lost."""
        checkpoints = sorted(self.output.glob("checkpoints/step-*"))
        before, self.step = self.step, int(checkpoints[-1].name[-8:]) if checkpoints else 0
        return self.step >= max(before, 2) and all(map(_is_whole, [self.output / "model", *checkpoints]))

    def finish(self) -> bool:
        return run(self.command(self.step + 1)).wait() == 0 and self.is_whole()


def main() -> int:
    """Runs all; the exit code: 1 if a check failed."""

    def work() -> int:
        options = parse(Options, PROGRAM, None)
        if options.kills < 1 or options.scenes < 1:
            raise InputError("--kills and --scenes have to be 1 or more")
        own_folder(options.work, "workshop")
        root = make_scenes(options.work / "scenes", options.scenes)
        many = ("--root", str(root), "--workers", "2")
        targets = [
            Texturing("texture", (str(root / "scene0000"),), fresh(options.work / "one")),
            Texturing("batch", many, fresh(options.work / "many")),
            Training("training", fresh(options.work / "run"), options.work / "cache"),
        ]
        rng = random.Random(options.seed)
        good = [_kill(target, options.kills // 3 + (i < options.kills % 3), rng) for i, target in enumerate(targets)]
        print("all checks passed" if all(good) else "a check FAILED, see above")
        return int(not all(good))

    return guarded(PROGRAM, work)


def _kill(target: Texturing | Training, kills: int, rng: random.Random) -> bool:
    span, good, count = target.prepare(), target_is_whole(target, "undisturbed"), Counter()
    while sum(count.values()) < kills:
        early = 2 * count["early"] < kills
        moment, number = rng.uniform(0, 1.0 if early else span), rng.choice(SIGNALS)
        process = run(target.command())
        try:
            process.wait(moment)
            continue  # it was done before; with other settings next time
        except subprocess.TimeoutExpired:
            pass
        if number == signal.SIGKILL:
            os.killpg(process.pid, number)
        else:
            process.send_signal(number)
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            good = check(f"{target.name}: {number.name} after {moment:.2f} s ends it", False)
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        count["early" if moment < 1 else "late"] += 1
        good &= target_is_whole(target, f"{number.name} after {moment:.2f} s")
    good &= target.finish()
    left = [path for path in target.output.rglob("*") if path.name.endswith(".partial") or "-previous" in path.name]
    said = f"{target.name}: {kills} kills, {count['early']} of them in the first second, cost nothing and leave nothing"
    return check(said, good and not left)


def target_is_whole(target: Texturing | Training, when: str) -> bool:
    whole = target.is_whole()
    return whole or check(f"{target.name}: all is whole, {when}", False)


def run(command: list[str]) -> subprocess.Popen:
    """The command in a group of processes of its own."""
    given = [sys.executable, "-m", "scenetex", *command]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return subprocess.Popen(given, cwd=ROOT, start_new_session=True, **quiet)


def _of(scene: str, files: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in files.items() if Path(name).parts[0] == scene}


def _is_whole(folder: Path) -> bool:
    """Whether a folder of ours has all of its files, as they were written, and no other."""
    found = read_manifest(folder)
    return (
        found is not None and foreign_file(folder, found[1]) is None and all((folder / n).is_file() for n in found[1])
    )


if __name__ == "__main__":
    sys.exit(as_process(main))
