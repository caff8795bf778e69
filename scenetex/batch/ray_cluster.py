"""Many scenes on a Ray cluster: processes that hold the model, one per GPU, and tasks on CPUs around them.

The outputs of stages travel through the output folder, which all nodes have to see.
"""

import logging
import os
import secrets
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from ipaddress import ip_address
from pathlib import Path

from ..errors import InputError, extra
from ..job.options import TextureOptions
from ..job.stages import silent
from ..process.threads import VARIABLES
from ..scene.load import scene_name
from .failure import record_failure
from .one_scene import attempt, warm_up
from .outcome import Outcome
from .progress import Board
from .scenes import SceneQueue

# Named after the systems on which it is the default.
_LOOPBACK = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"
_LOOK = 0.5  # seconds between looks at the clock
_RETRIES = 3  # after a node or process was lost
_AHEAD = 2  # scenes per painter that are laid out before it is their turn


@dataclass
class _Job:
    """A scene on its way through its parts.

    Attributes:
        scene: its path.
        parts: what is still to be done, the next first.
        since: when the part that is running began.
        used: seconds that the parts before it took.
        painter: what it runs on, None for a CPU task.
    """

    scene: Path
    parts: list[str]
    since: float = 0.0
    used: float = 0.0
    painter: object = None


class _Painter:
    """Holds the model and generates images: an actor, one per GPU."""

    def warm_up(self, place: str, options: TextureOptions) -> None:
        os.chdir(place)
        warm_up(options)

    def attempt(self, place: str, scene: Path, options: TextureOptions) -> Outcome:
        return _attempt(place, scene, options, "images")


def _attempt(place: str, scene: Path, options: TextureOptions, part: str) -> Outcome:
    """`attempt` on a node, where relative paths mean what they mean to the driver."""
    os.chdir(place)
    return attempt(scene, options, silent, part)


def on_ray(scenes: SceneQueue, options: TextureOptions, board: Board) -> Iterator[Outcome]:
    """Works on all scenes of the queue.

    Raises:
        InputError: Ray is not installed or cannot be reached, or the model cannot be loaded.
    """
    if options.ray == "local":
        _stay_private()
    try:
        import ray
    except ImportError:
        raise InputError(f"--ray: Ray is not installed; {extra('batch')}") from None
    _connect(ray, options)
    try:
        yield from _Driver(ray, scenes, replace(options, quiet=True)).outcomes()
    finally:
        ray.shutdown()


def _stay_private() -> None:
    """Whoever reaches one of Ray's ports can run code: one that starts here, and reads this as it is imported, listens
    on the loopback interface only, and asks other users of this machine for a token."""
    os.environ[_LOOPBACK] = "0"
    if "RAY_AUTH_MODE" not in os.environ:
        os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}


def _connect(ray, options: TextureOptions) -> None:
    local = {"num_cpus": options.workers or None, "include_dashboard": False} if options.ray == "local" else {}
    try:
        ray.init(
            address=options.ray,
            runtime_env={"env_vars": dict.fromkeys(VARIABLES, str(options.threads or 1))},
            log_to_driver=False,
            logging_level=logging.ERROR,
            **local,
        )
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        why = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
        raise InputError(f"--ray {options.ray}: cannot be reached ({why}); check the address, or use local") from None
    if local and not ip_address(ray.util.get_node_ip_address()).is_loopback:
        ray.shutdown()
        raise InputError("--ray local: this version of Ray listens to the whole network; update Ray, or use --workers")


class _Driver:
    """Hands out parts of scenes, no more at a time than the cluster has room for."""

    def __init__(self, ray, scenes: SceneQueue, options: TextureOptions):
        self._ray, self._scenes, self._options, self._place = ray, scenes, options, os.getcwd()
        resources = ray.cluster_resources()
        self._cpus, self._gpus = max(1, int(resources.get("CPU", 1))), int(resources.get("GPU", 0))
        self._painter_count = self._gpus or max(1, self._cpus // 2)
        self._task = ray.remote(num_cpus=1, max_retries=_RETRIES)(_attempt)
        self._painters: list | None = None
        self._idle: list = []  # painters
        self._running: dict = {}  # what runs -> its job, or the painter that is warming up
        self._to_paint: deque[_Job] = deque()
        self._to_finish: deque[_Job] = deque()

    def outcomes(self) -> Iterator[Outcome]:
        """Outcomes of all scenes, as they come."""
        while self._scenes or self._running or self._to_paint or self._to_finish:
            self._hand_out()
            if not self._running:
                time.sleep(self._scenes.pause())
                continue
            ready, _ = self._ray.wait(list(self._running), timeout=_LOOK)
            for reference in ready or self._late():
                outcome = self._take(reference, late=not ready)
                if outcome is not None and outcome.state == "busy":
                    self._scenes.again(outcome.path)
                elif outcome is not None:
                    yield outcome

    def _hand_out(self) -> None:
        """Starts what there is room for: what is furthest on its way comes first."""
        if self._to_paint and self._painters is None:
            self._painters = [self._new_painter() for _ in range(self._painter_count)]
        while self._to_paint and self._idle:
            job, painter = self._to_paint.popleft(), self._idle.pop()
            self._start(job, painter.attempt.remote(self._place, job.scene, self._options), painter)
        while sum(job.painter is None for job in self._jobs()) < self._cpus:
            job = self._to_finish.popleft() if self._to_finish else self._new_job()
            if job is None:
                return
            self._start(job, self._task.remote(self._place, job.scene, self._options, job.parts[0]))

    def _new_job(self) -> _Job | None:
        """The next scene, unless enough are waiting for a painter already."""
        generating = self._options.source != "photos"
        ahead = len(self._to_paint) + sum(job.parts[0] == "layout" for job in self._jobs())
        if generating and ahead >= _AHEAD * self._painter_count:
            return None
        scene = self._scenes.next()
        return scene and _Job(scene, ["layout", "images", "all"] if generating else ["all"])

    def _jobs(self) -> list[_Job]:
        """Those that are running."""
        return [job for job in self._running.values() if isinstance(job, _Job)]

    def _start(self, job: _Job, reference, painter=None) -> None:
        job.since, job.painter = time.monotonic(), painter
        self._running[reference] = job

    def _new_painter(self):
        """An actor that loads the model first; it is idle, and fit for work, when that is done."""
        # Without a GPU it shares a core with tasks: holding one for good could leave none for them.
        options = {"num_gpus": 1} if self._gpus else {"num_cpus": 0}
        remote = self._ray.remote(max_restarts=-1, max_task_retries=_RETRIES, **options)(_Painter)
        painter = remote.remote()
        self._running[painter.warm_up.remote(self._place, self._options)] = painter
        return painter

    def _late(self) -> list:
        """What has taken longer than the time limit."""
        limit, now = self._options.time_limit, time.monotonic()
        if limit is None:
            return []
        jobs = ((r, job) for r, job in self._running.items() if isinstance(job, _Job))
        return [reference for reference, job in jobs if job.used + now - job.since > limit]

    def _take(self, reference, late: bool) -> Outcome | None:
        """What has come of a part; None if the scene has more of them before it, or no scene was concerned."""
        job = self._running.pop(reference)
        if not isinstance(job, _Job):
            self._warmed_up(reference, job)
            return None
        outcome = self._end(job, reference) if late else self._result(job, reference)
        if job.painter is not None and not late:
            self._idle.append(job.painter)
        if outcome.state != "partly":
            return outcome
        job.used += time.monotonic() - job.since
        job.parts.pop(0)
        (self._to_paint if job.parts[0] == "images" else self._to_finish).append(job)
        return None

    def _warmed_up(self, reference, painter) -> None:
        try:
            self._ray.get(reference)
        except self._ray.exceptions.RayTaskError as error:
            if isinstance(error.cause, InputError):
                raise InputError(str(error.cause)) from None
            raise
        except self._ray.exceptions.RayError as error:
            why = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise InputError(f"--ray: the process that holds the model was lost again and again ({why})") from None
        self._idle.append(painter)

    def _result(self, job: _Job, reference) -> Outcome:
        try:
            return self._ray.get(reference)
        except self._ray.exceptions.RayError as error:
            why = (str(error).strip() or type(error).__name__).splitlines()[0]
            return self._failure(job, f"its process was lost, and again when tried anew ({why})")

    def _end(self, job: _Job, reference) -> Outcome:
        """Stops a part that takes too long."""
        if job.painter is None:
            self._ray.cancel(reference, force=True)
        else:
            self._ray.kill(job.painter)
            self._painters[self._painters.index(job.painter)] = self._new_painter()
        return self._failure(job, f"took longer than the {self._options.time_limit:g} s of --time-limit")

    def _failure(self, job: _Job, says: str) -> Outcome:
        stage = {"layout": "unwrap", "images": "generate"}.get(job.parts[0], "start")
        seconds = job.used + time.monotonic() - job.since
        outcome = Outcome(self._options.result_name(scene_name(job.scene)), job.scene, "failed", says, seconds, stage)
        record_failure(outcome, self._options.output, says + "\n")
        return outcome
