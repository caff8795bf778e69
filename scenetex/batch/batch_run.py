"""One scene, or many: how they are worked on, what is printed about them, and the exit code."""

import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from ..job.options import TextureOptions
from ..job.stages import Stages, bars, silent
from ..process.console import say
from ..report.overview import INDEX, has_overview, write_overview
from ..scene.load import scene_name
from .one_scene import attempt, process
from .outcome import Outcome, line, table
from .progress import Board
from .scenes import SceneQueue
from .work_folder import Busy, sweep

_PAUSE = 1.0  # seconds between looks at a scene that another run works on


def run_alone(path: Path, options: TextureOptions) -> int:
    """Textures one scene in this process; waits while another run works on it. Raises what `process` does."""
    waiting, part = False, "all" if options.seeds is None else "seeds"
    while True:
        try:
            outcome = process(path, options, Stages(silent if options.quiet else bars), part)
        except Busy:
            if not waiting:
                say(f"{options.result_name(scene_name(path))}: another run is working on it; waiting", error=True)
            waiting = True
            time.sleep(_PAUSE)
        else:
            break
    for warning in outcome.warnings:
        say(f"{outcome.name}: {warning}", error=True)
    for note in outcome.notes:
        say(f"{outcome.name}: {note}", error=True)
    say(line(outcome, options.output))
    _write_overview(options)
    return 0


def run_batch(paths: list[Path], options: TextureOptions, program: str) -> int:
    """Textures many scenes; those that fail are recorded and do not keep the others from their result.

    Returns:
        0, or 1 if a scene failed or the disk is full.
    """
    sweep(options.output)
    outcomes: list[Outcome] = []
    board = Board(len(paths), options.quiet)
    try:
        with closing(_runner(options)(SceneQueue(paths), options, board)) as results:
            for outcome in results:
                outcomes.append(outcome)
                _tell(outcome, options, program, board)
                if outcome.state == "full":
                    break
    finally:
        board.close()
        if outcomes or not paths:
            for row in table(outcomes, len(paths)):
                say(row)
    if all(outcome.state != "full" for outcome in outcomes):
        _write_overview(options)
    return int(any(outcome.state in ("failed", "full") for outcome in outcomes))


def _runner(options: TextureOptions):
    if options.ray is not None:
        from .ray_cluster import on_ray

        return on_ray
    if options.workers or options.time_limit is not None:
        from .workers import in_workers

        return in_workers
    return _one_by_one


def _one_by_one(scenes: SceneQueue, options: TextureOptions, board: Board) -> Iterator[Outcome]:
    while scenes:
        scene = scenes.next()
        if scene is None:
            time.sleep(scenes.pause())
            continue
        outcome = attempt(scene, options, board.watch(options.result_name(scene_name(scene))))
        if outcome.state == "busy":
            scenes.again(scene)
        else:
            yield outcome


def _tell(outcome: Outcome, options: TextureOptions, program: str, board: Board) -> None:
    board.advance()
    for warning in () if outcome.state in ("failed", "full") else outcome.warnings:
        board.write(f"{outcome.name}: {warning}", error=True)
    if not options.quiet:
        for note in outcome.notes:
            board.write(f"{outcome.name}: {note}", error=True)
    if outcome.state in ("failed", "full"):
        board.write(f"{program}: {outcome.name}: {outcome.says}", error=True)
    else:
        board.write(line(outcome, options.output))


def _write_overview(options: TextureOptions) -> None:
    """Writes the index if it is asked for, or if there is one: its links and figures would no longer be true."""
    if options.report or has_overview(options.output):
        write_overview(options.output)
    if options.report:
        say(f"{options.output / INDEX}: report, for a browser")
