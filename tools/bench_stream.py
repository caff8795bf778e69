"""How fast procedural rooms stream in for training: views a second, in all and of one core.

    python tools/bench_stream.py [--workers 2] [--rooms 12] [--materials DIR]

The first figure depends on what else the machine does; seconds of processor time, in the others, much less.
"""

import sys
import time
from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from scenetex.cli.guarded import guarded
from scenetex.cli.parsing import parse
from scenetex.data.prefetch import prefetch
from scenetex.data.rooms import RoomStream
from scenetex.errors import InputError
from scenetex.process.interrupt import as_process
from scenetex.synthetic import RoomSettings, make_room, render_room, walk

PROGRAM = "bench_stream.py"


@dataclass(frozen=True)
class Options:
    """Times the stream of procedural rooms."""

    rooms: int = 12
    """Rooms to time."""
    room_views: int = 16
    """Views of each."""
    image_size: tuple[int, int] = (256, 192)
    """Width and height of the views, pixels."""
    workers: int = 2
    """Processes."""
    materials: Path | None = None
    """Folder of material images by category."""
    seed: int = 0
    """Which rooms."""


def main(arguments: list[str] | None = None) -> int:
    """Runs the benchmark; the exit code."""

    def work() -> int:
        options = parse(Options, PROGRAM, arguments)
        if options.rooms < 1 or options.workers < 1:
            raise InputError(f"--rooms {options.rooms}, --workers {options.workers}: give at least 1")
        materials = None if options.materials is None else str(options.materials)
        stream = RoomStream(options.seed, options.room_views, options.image_size, materials)
        cv2.setNumThreads(1)
        views = options.rooms * options.room_views
        seconds, wall = one_process(stream, options.rooms), all_processes(stream, options)
        size = f"{stream.size[0]} x {stream.size[1]} pixels, {options.rooms} rooms of {stream.views} views"
        print(f"{views / wall:.1f} views/s from {options.workers} processes ({size})")
        print(f"{views / seconds:.1f} views for a second of one core")
        for name, part in parts(stream, options.rooms).items():
            print(f"  {name:12s} {1000 * part / options.rooms:7.1f} ms a room")
        return 0

    return guarded(PROGRAM, work)


def one_process(stream: RoomStream, rooms: int) -> float:
    """Seconds of processor time for so many rooms, here."""
    stream.sample(0)
    start = time.process_time()
    for index in range(1, rooms + 1):
        stream.sample(index)
    return time.process_time() - start


def all_processes(stream: RoomStream, options: Options) -> float:
    """Seconds until the workers have delivered so many rooms, once they are under way."""
    with closing(prefetch(stream, count(), options.workers)) as samples:
        for _ in range(2 * options.workers + 1):
            next(samples)
        start = time.perf_counter()
        for _ in range(options.rooms):
            next(samples)
        return time.perf_counter() - start


def parts(stream: RoomStream, rooms: int) -> Counter:
    """Seconds of processor time for each part of making so many rooms."""
    spent = Counter()

    def timed(name: str, action):
        start = time.process_time()
        made = action()
        spent[name] += time.process_time() - start
        return made

    settings = RoomSettings(swatches=stream.materials).coarse()
    for index in range(rooms):
        rng = np.random.default_rng([stream.seed, index])
        camera = stream.camera(rng)
        room = timed("build", lambda seed=index: make_room(seed, settings))
        poses = timed("walk", lambda room=room, rng=rng, camera=camera: walk(room, stream.views, rng, camera))
        timed("render", lambda room=room, camera=camera, poses=poses: render_room(room, camera, poses))
    return spent


if __name__ == "__main__":
    sys.exit(as_process(main))
