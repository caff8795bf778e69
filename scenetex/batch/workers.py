"""Many scenes on one machine: processes with one thread each, started anew when one dies or takes too long."""

import logging
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path

from ..errors import InputError
from ..job.options import TextureOptions
from ..process.interrupt import unheard_by_children
from ..process.threads import announced
from ..scene.load import scene_name
from .failure import record_failure
from .outcome import Outcome
from .progress import Board
from .scenes import SceneQueue
from .worker import work

_log = logging.getLogger(__name__)
_LOOK = 0.5  # seconds between looks at the clock
_PATIENCE = 5.0  # seconds that workers have to tidy up when the run is stopped
_STARTS = 5  # workers in a row that end while they are starting, before that is taken for a lasting fault
_TRIES = 2  # a worker may have died of what its neighbours did, as when memory ran out


@dataclass
class _Worker:
    """A process, and what it is doing.

    Attributes:
        lane: its number, which its successor takes over.
        process, connection: itself, and the pipe to it.
        ready: it has started up.
        scene: what it is working on, or None.
        since, deadline: when it got the scene, and when that has taken too long.
        stages: names of the stages that are running, the innermost last, and when each began.
    """

    lane: int
    process: BaseProcess
    connection: Connection
    ready: bool = False
    scene: Path | None = None
    since: float = 0.0
    deadline: float = float("inf")
    stages: list[tuple[str, float]] = field(default_factory=list)

    def give(self, scene: Path, limit: float) -> None:
        """Sends it a scene, for which it has `limit` seconds."""
        self.scene, self.since, self.stages = scene, time.monotonic(), []
        self.deadline = self.since + limit
        with suppress(OSError):  # it has just died, which is noticed soon
            self.connection.send(scene)

    def hear(self, board: Board) -> Outcome | None:
        """Takes what it has said; an outcome, if that was the last of it."""
        with suppress(EOFError, OSError):  # it has died, in the middle of a word perhaps
            while self.connection.poll():
                kind, *about = self.connection.recv()
                if kind == "outcome":
                    self.scene = None
                    board.idle(self.lane)
                    return about[0]
                self._note(kind, about, board)
        return None

    def _note(self, kind: str, about: list, board: Board) -> None:
        now = time.monotonic()
        if kind == "ready":
            self.ready = True
        elif kind == "begin":
            self.stages.append((about[0], now))
            board.begin(self.lane, scene_name(self.scene), about[0], about[1])
        elif kind == "steps":
            board.step(self.lane, *about)
        else:
            at = max(i for i, (stage, _) in enumerate(self.stages) if stage == about[0])
            stage, began = self.stages.pop(at)
            board.end(self.lane, stage)
            if stage == "model":  # which the first scene loads for all that follow
                self.deadline += now - began

    def is_late(self) -> bool:
        """Whether its scene has taken too long."""
        loading = any(stage == "model" for stage, _ in self.stages)
        return self.scene is not None and not loading and time.monotonic() > self.deadline

    def failure(self, name: str, says: str) -> Outcome:
        """What has become of its scene, whose result is called `name`, when it ends now."""
        stage = next((stage for stage, _ in reversed(self.stages) if stage != "total"), "start")
        seconds = time.monotonic() - self.since
        return Outcome(name, self.scene, "failed", says, seconds, stage)


def in_workers(scenes: SceneQueue, options: TextureOptions, board: Board) -> Iterator[Outcome]:
    """Works on all scenes of the queue; closing the iterator stops the workers.

    With `workers` = 0 there is one process with all threads, so that a time limit can end what it does.
    """
    losses = _Losses()
    limit = float("inf") if options.time_limit is None else options.time_limit
    team = [_start(lane, options) for lane in range(min(max(options.workers, 1), len(scenes)))]
    try:
        while scenes or any(worker.scene for worker in team):
            for worker in team:
                if worker.ready and worker.scene is None and (scene := scenes.next()) is not None:
                    worker.give(scene, limit)
            wait([worker.connection for worker in team], _LOOK)
            board.refresh()
            for worker in list(team):
                outcome = worker.hear(board)
                if outcome is None and (worker.is_late() or not worker.process.is_alive()):
                    outcome = _replace(worker, team, options, board, limit, losses)
                if outcome is not None and outcome.state == "busy":
                    scenes.again(outcome.path)
                elif outcome is not None:
                    yield outcome
    finally:
        _stop(team)


@dataclass
class _Losses:
    """Workers that died.

    Attributes:
        starting: how many in a row, while they were starting.
        scenes: how many over each scene.
    """

    starting: int = 0
    scenes: dict[Path, int] = field(default_factory=dict)


def _replace(worker: _Worker, team: list, options, board: Board, limit: float, losses: _Losses) -> Outcome | None:
    """Ends a worker that is late or dead and starts another one; what that means for its scene, if it had one."""
    late = worker.is_late()
    name = worker.scene and options.result_name(scene_name(worker.scene))
    worker.process.kill()
    worker.process.join()
    worker.connection.close()
    board.idle(worker.lane)
    losses.starting = 0 if worker.ready else losses.starting + 1
    if losses.starting >= _STARTS:
        raise InputError(
            f"{_STARTS} worker processes in a row ended while they were starting, see above; run without --workers, or "
            "with fewer if memory was short"
        )
    team[worker.lane] = _start(worker.lane, options)
    if worker.scene is None:
        return None
    if late:
        outcome = worker.failure(name, f"took longer than the {limit:g} s of --time-limit")
    else:
        code = worker.process.exitcode
        how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
        outcome = worker.failure(name, f"its process {how}; if memory was short, use fewer --workers")
        losses.scenes[worker.scene] = losses.scenes.get(worker.scene, 0) + 1
        if losses.scenes[worker.scene] < _TRIES:
            return replace(outcome, state="busy")
    record_failure(outcome, options.output, f"{outcome.says}\n")
    return outcome


def _start(lane: int, options: TextureOptions) -> _Worker:
    """A fresh process, which loads no more than it needs and shows no bars of its own."""
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(
        target=work, args=(theirs, replace(options, quiet=True), lane, _log.isEnabledFor(logging.DEBUG)), daemon=True
    )
    with announced((options.threads or 1) if options.workers else None), unheard_by_children():
        process.start()
    theirs.close()
    return _Worker(lane, process, ours)


def _stop(team: list[_Worker]) -> None:
    """Ends all workers; those that are in the middle of something have a little time to tidy up."""
    for worker in team:
        worker.process.terminate()
    until = time.monotonic() + _PATIENCE
    for worker in team:
        worker.process.join(max(0.0, until - time.monotonic()))
        worker.process.kill()
        worker.process.join()
        worker.connection.close()
