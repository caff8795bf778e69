"""Depth and faces of views by ray casting (Embree) and by rasterising (PyTorch3D): seconds, their ratio, and whether
both see the same.

    python tools/bench_views.py scenes/sample_room --views 12 --size 256 192 --device cuda

The two run in turn, in one process, so that a busy machine slows both alike. PyTorch3D on a CPU tries every face at
every pixel, and is there for tests alone.
"""

import statistics
import sys
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import tyro

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from scenetex.cli.guarded import guarded
from scenetex.cli.parsing import parse
from scenetex.limits import SIDE, Between, check_device_is_here, check_options
from scenetex.process.console import say
from scenetex.process.interrupt import as_process
from scenetex.scene.load import load_scene
from scenetex.views.viewset import ViewSet, render_views

PROGRAM = "bench_views"


@dataclass(frozen=True)
class Options:
    """Times depth and faces of views by ray casting and by rasterising."""

    scene: tyro.conf.Positional[Path]
    """The scene."""
    views: Annotated[int, Between(1, 10_000)] = 12
    """Views, evenly along the trajectory."""
    size: tuple[Annotated[int, SIDE], Annotated[int, SIDE]] = (256, 192)
    """Width and height of the views, pixels."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where PyTorch3D works; Embree works on the CPU."""
    rounds: Annotated[int, Between(1, 1000)] = 5
    """Timed rounds of both; the median of the rounds' ratios counts."""


def main(arguments: list[str] | None = None) -> int:
    """Runs the command; the exit code."""

    def work() -> int:
        options = parse(Options, PROGRAM, arguments)
        check_options(options)
        check_device_is_here(options.device, "--device")
        compare(options)
        return 0

    return guarded(PROGRAM, work)


def compare(options: Options) -> None:
    """Times both, and prints what came out."""
    scene = load_scene(options.scene)
    at = np.linspace(0, len(scene.frames) - 1, min(options.views, len(scene.frames))).round().astype(int)
    frames = [scene.frames[i].id for i in at]
    cast = partial(render_views, scene, frames, options.size)
    rasterise = partial(render_views, scene, frames, options.size, backend="pytorch3d", device=options.device)
    views = cast(), rasterise()
    times = [(seconds(cast), seconds(rasterise)) for _ in range(options.rounds)]
    say(f"{len(frames)} views of {options.size[0]} x {options.size[1]}, {len(scene.mesh.faces)} faces")
    for name, each in zip(("embree", "pytorch3d"), zip(*times, strict=True), strict=True):
        say(f"{name}: {statistics.median(each):.3f} s")
    say(f"ratio: {statistics.median(b / a for a, b in times):.2f} (median of {options.rounds} rounds)")
    say(difference(*views))


def seconds(run) -> float:
    """Wall time of one call; what it gives is on the CPU, so that nothing is left to wait for."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def difference(cast: ViewSet, rasterised: ViewSet) -> str:
    """How far two sets of the same views differ, in words."""
    same = cast.face_id == rasterised.face_id
    depth = np.abs(cast.depth - rasterised.depth)[same].max(initial=0)
    return f"the same face in {100 * same.mean():.2f} % of pixels, there depth to {depth:.1e}"


if __name__ == "__main__":
    sys.exit(as_process(main))
