"""Tiny scenes for batches, runs in processes of their own that end at a chosen moment, and what a run has left."""

import hashlib
import json
import os
import signal
import sys
from multiprocessing import get_context
from pathlib import Path

import tiny_scan

from scenetex.cli import texture as texture_command
from scenetex.files.manifest import MANIFEST

QUICK = ("--texture-size", "64", "--no-preview", "--formats", "obj", "--keyframes", "2", "--quiet")
_CHANGES = {"os.rename", "os.mkdir", "os.remove", "os.rmdir"}


def rooms(folder: Path, *names: str) -> list[Path]:
    """Tiny scans whose walls look at their cameras."""
    for name in names:
        scan = tiny_scan.write_extracted(folder / name, depth=False)
        tiny_scan.write_ply(scan / f"{name}_vh_clean_2.ply", faces=tiny_scan.ROOM_FACES[:, ::-1])
    return [folder / name for name in names]


def texture(scenes, output: Path, *options: str) -> int:
    """Runs the command in this process; its exit code."""
    return texture_command.main([*map(str, scenes), "--output", str(output), *QUICK, *options])


def left(output: Path) -> dict[str, str]:
    """Hash of every file of every result, without what differs from run to run."""
    found = {}
    for path in sorted(output.glob("[!.]*/**/*")):
        if path.is_file() and path.name != MANIFEST:  # which holds the reports' hashes
            data = path.read_bytes()
            if path.name == "report.json":
                report = json.loads(data)
                for name in (
                    "seconds",
                    "peak_memory_mb",
                    "reused",
                    "key",
                ):  # the key holds the code, which may be edited
                    del report[name]
                data = json.dumps(report).encode()
            found[str(path.relative_to(output))] = hashlib.sha1(data).hexdigest()
    return found


def report(output: Path, scene: str) -> dict:
    return json.loads((output / scene / "report.json").read_text())


def partial(output: Path) -> list[Path]:
    """Everything that has a temporary name."""
    return list(output.rglob("*.partial"))


def run_until(moment: int, end: int, scenes, output: Path, *options: str) -> tuple[int, int]:
    """Runs the command in a process that sends itself the signal `end` at its change number `moment` of the disk.

    Returns:
        Its exit code (negative: the signal that ended it), and how many changes it made, -1 if it could not say.
    """
    context = get_context("forkserver")
    context.set_forkserver_preload(["batch_runs", "scenetex.batch.workers", "scenetex.report.preview"])
    ours, theirs = context.Pipe(duplex=False)
    child = context.Process(target=_run_until, args=(theirs, moment, end, scenes, output, options))
    child.start()
    theirs.close()
    child.join()
    return child.exitcode, ours.recv() if ours.poll() and not child.exitcode else -1


def _run_until(connection, moment: int, end: int, scenes, output: Path, options) -> None:
    changes = 0

    def count(event: str, arguments) -> None:
        nonlocal changes
        writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
        if writes or event in _CHANGES:
            changes += 1
            if changes == moment:
                os.kill(os.getpid(), end)

    sys.stdout = sys.stderr = open(os.devnull, "w")
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.addaudithook(count)
    code = texture(scenes, output, *options)
    connection.send(changes)
    sys.exit(code)
