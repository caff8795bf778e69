"""Measures and checks batches on small procedural scenes: throughput, memory, every way of running, kills, breakage.

    python tools/bench_batch.py --scenes 200 --kills 30

The scenes are made first, into --work, and used again by later calls; a room is scanned into several scenes that differ
in their meshes.
"""

import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from scenetex.cli.guarded import guarded
from scenetex.cli.parsing import parse
from scenetex.errors import InputError
from scenetex.files.manifest import MANIFEST
from scenetex.files.output import own_folder
from scenetex.process.interrupt import as_process
from scenetex.scene.mesh_file import read_mesh
from scenetex.synthetic import RoomSettings, ScanNoise, ScanSettings, make_room, write_scan
from scenetex.synthetic.scan_writer import write_ply

PROGRAM = "bench_batch.py"
TOOL = Path(__file__).with_name("texture_scene.py")
ROOMS = 4  # different ones; building a room takes longer than texturing a small scan
ROOM = RoomSettings(texel=0.016, light_texel=0.3, light_rays=3, shadow_rays=2)
SCAN = ScanSettings(
    frames=8,
    color_size=(160, 120),
    depth_size=(80, 60),
    samples=1,
    noise=ScanNoise(spacing=0.2, wall_spacing=0.3, holes=2, floaters=2),
)
OPTIONS = ("--texture-size", "256", "--no-preview", "--quiet")
VOLATILE = ("seconds", "peak_memory_mb", "reused", "notes", "key")
BREAKAGE = {
    "an empty mesh": lambda scene: next(scene.glob("*.ply")).write_bytes(b""),
    "a photo cut short": lambda scene: _cut(sorted((scene / "color").iterdir())[3]),
    "a pose that is none": lambda scene: (scene / "pose" / "0.txt").write_text("1 0 0 0\n"),
    "no intrinsics": lambda scene: (scene / "intrinsic" / "intrinsic_color.txt").unlink(),
    "no poses": lambda scene: shutil.rmtree(scene / "pose"),
}


@dataclass(frozen=True)
class Options:
    """Measures and checks batches on small procedural scenes."""

    work: Path
    """Folder for scenes and results, new or of an earlier call; what is in it is replaced."""
    scenes: int = 24
    """How many scenes."""
    kills: int = 5
    """Runs that are killed with -9 at a random moment, and then resumed."""
    ray: bool = True
    """Also run on Ray, where it is installed."""
    seed: int = 0
    """Of the moments."""


def main() -> int:
    """Runs all parts; the exit code: 1 if a check failed."""

    def work() -> int:
        options = parse(Options, PROGRAM, None)
        if options.scenes < 1 or options.kills < 0:
            raise InputError("--scenes has to be 1 or more, --kills 0 or more")
        own_folder(options.work, "workshop")
        root = make_scenes(options.work / "scenes", options.scenes)
        good = [_throughput(root, options), _shards(root, options), _killed(root, options), _broken(root, options)]
        print("all checks passed" if all(good) else "a check FAILED, see above")
        return int(not all(good))

    return guarded(PROGRAM, work)


def _throughput(root: Path, options: Options) -> bool:
    """One worker, two, and Ray; prints seconds, memory over the scenes, and whether all came to the same."""
    ways = {"1 worker": ("--workers", "1"), "2 workers": ("--workers", "2")}
    if options.ray and find_spec("ray"):
        ways["ray, 2 CPUs"] = ("--ray", "local", "--workers", "2")
    elif options.ray:
        print("Ray is not installed: left out")
    seconds, results = {}, {}
    for name, way in ways.items():
        output = fresh(options.work / name.replace(" ", "_").replace(",", ""))
        start = time.perf_counter()
        code = texture(root, output, *way).wait()
        seconds[name], results[name] = time.perf_counter() - start, hashes(output)
        print(f"{name:12} {seconds[name]:8.1f} s  {options.scenes / seconds[name]:6.2f} scenes/s  exit code {code}")
        _memory(output)
    print(f"2 workers over 1: {seconds['1 worker'] / seconds['2 workers']:.2f} times the throughput")
    if "ray, 2 CPUs" in ways:
        print(f"overhead of Ray over --workers 2: {seconds['ray, 2 CPUs'] - seconds['2 workers']:.1f} s")
    return check("all ways come to the same", len({json.dumps(h) for h in results.values()}) == 1)


def _memory(output: Path) -> None:
    """Peak memory of a process only ever rises: by how much it does after the first scenes tells of leaks."""
    reports = sorted(output.glob("[!.]*/report.json"), key=lambda path: path.stat().st_mtime_ns)
    peaks = [json.loads(path.read_text())["peak_memory_mb"] for path in reports]
    early = max(peaks[: max(1, len(peaks) // 4)])
    print(f"{'':12} peak memory {early:.0f} MB after a quarter of the scenes, {max(peaks):.0f} MB after all")


def _shards(root: Path, options: Options) -> bool:
    output = fresh(options.work / "shards")
    runs = [texture(root, output, "--shard", f"{i}/4", "--workers", "1") for i in range(4)]
    codes = [run.wait() for run in runs]
    return check("4 shards at a time come to the same", set(codes) == {0} and hashes(output) == _expected(options))


def _killed(root: Path, options: Options) -> bool:
    """Kills runs of all their processes at random moments until one gets to the end."""
    rng, output, kills, good = random.Random(options.seed), fresh(options.work / "killed"), 0, True
    span = 2.0
    while kills < options.kills:
        run = texture(root, output, "--workers", "2")
        try:
            run.wait(rng.uniform(0, span))
            # All scenes are done: begin again.
            good &= run.returncode == 0 and hashes(output) == _expected(options)
            fresh(output)
        except subprocess.TimeoutExpired:
            os.killpg(run.pid, signal.SIGKILL)
            run.wait()
            kills += 1
        # Long enough for some scenes, short enough for several kills on the way to the last.
        span = 60.0
        good &= all((folder / "report.json").is_file() for folder in output.glob("[!.]*"))
    good &= texture(root, output, "--workers", "2").wait() == 0 and hashes(output) == _expected(options)
    left = list(output.rglob("*.partial"))
    return check(f"{kills} kills lose nothing and leave nothing partial", good and not left)


def _broken(root: Path, options: Options) -> bool:
    """Half of the scenes, 40 at most, are broken: the others are textured, and every cause is named."""
    scenes, output = fresh(options.work / "broken_scenes"), fresh(options.work / "broken")
    for i, source in enumerate(sorted(root.iterdir())[:40]):
        shutil.copytree(source, scenes / source.name)
        if i % 2:
            list(BREAKAGE.values())[i // 2 % len(BREAKAGE)](scenes / source.name)
    names = sorted(path.name for path in scenes.iterdir())
    code = texture(scenes, output, "--workers", "2").wait()
    failed = sorted(path.parent.name.removesuffix(".failed") for path in output.glob("*/failed.json"))
    for name in failed:
        print(f"  {name}: {json.loads((output / f'{name}.failed' / 'failed.json').read_text())['message']}")
    done = sorted(path.parent.name for path in output.glob("[!.]*/report.json"))
    good = failed == names[1::2] and done == names[::2] and code == int(len(names) > 1)
    return check(f"{len(failed)} broken scenes among {len(names)} are named, the others done", good)


def make_scenes(root: Path, count: int) -> Path:
    """Scans of a few rooms, each with its own mesh."""
    sources = [root.with_name("rooms") / f"room{k}" for k in range(min(count, ROOMS))]
    for k, source in enumerate(sources):
        if not source.is_dir():
            write_scan(make_room(k, ROOM), source, SCAN)
    shutil.rmtree(root, ignore_errors=True)
    for i in range(count):
        source, scene = sources[i % len(sources)], root / f"scene{i:04d}"
        shutil.copytree(
            source, scene, ignore=shutil.ignore_patterns("*.ply", "depth", "room.json", f"{source.name}.txt")
        )
        shutil.copy(source / f"{source.name}.txt", scene / f"{scene.name}.txt")
        mesh = read_mesh(next(source.glob("*.ply")))
        write_ply(scene / f"{scene.name}_vh_clean_2.ply", replace(mesh, faces=mesh.faces[i // len(sources) :]))
    return root


def texture(root: Path, output: Path, *options: str) -> subprocess.Popen:
    """The command in a group of processes of its own."""
    command = [sys.executable, str(TOOL), "--root", str(root), "--output", str(output), *OPTIONS, *options]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)


def hashes(output: Path) -> dict[str, str]:
    """Hash of every file of every result; of reports, without what differs from run to run."""
    found = {}
    for path in sorted(output.glob("[!.]*/**/*")):
        if path.is_file() and path.name != MANIFEST:
            data = path.read_bytes()
            if path.name == "report.json":
                data = json.dumps({k: v for k, v in json.loads(data).items() if k not in VOLATILE}).encode()
            found[str(path.relative_to(output))] = hashlib.blake2b(data, digest_size=16).hexdigest()
    return found


def _expected(options: Options) -> dict[str, str]:
    return hashes(options.work / "1_worker")


def fresh(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:200])


def check(what: str, good: bool) -> bool:
    print(f"{'ok    ' if good else 'FAILED'} {what}", flush=True)
    return good


if __name__ == "__main__":
    sys.exit(as_process(main))
