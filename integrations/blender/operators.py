"""The operators: texture, and cancel."""

from dataclasses import dataclass, field
from pathlib import Path

import bpy

from .cameras import views_of
from .errors import AddonError
from .program import find_program, texture_arguments
from .result import import_model, paint_objects, result_folder
from .run import Run
from .scan import image_size, scan_name, write_scan
from .surface import Piece, pieces_of

_LOOK = 0.2  # seconds between looks at the run


@dataclass
class Job:
    """What is being worked on.

    Attributes:
        run: the process.
        output: folder for results.
        pieces: the scene's surface, if it is what is painted.
        keep_uvs: put the result onto the objects.
    """

    run: Run
    output: Path
    pieces: list[Piece] = field(default_factory=list)
    keep_uvs: bool = False

    def load(self, context) -> str:
        """Brings the result into the scene; what came of it. Raises AddonError."""
        folder = result_folder(self.output, self.run.said)
        if self.keep_uvs:
            made = paint_objects(folder, self.pieces)
        else:
            made = import_model(context, folder, [piece.object for piece in self.pieces])
        return f"{', '.join(made)}: {self.run.said[-1].rpartition(': ')[2]}"


_jobs: list[Job] = []  # at most one


def current_job() -> Job | None:
    """The job at work, if there is one."""
    return _jobs[0] if _jobs else None


def stop() -> None:
    """Ends the job at work, and waits for that."""
    while _jobs:
        job = _jobs.pop()
        job.run.cancel()
        job.run.wait()


def _start(context) -> Job:
    """Raises AddonError."""
    if _jobs:
        raise AddonError("scenetex is at work already; wait, or cancel it")
    settings = context.scene.scenetex
    program = find_program(bpy.path.abspath(context.preferences.addons[__package__].preferences.program))
    root = _output_root(settings.output)
    results, pieces, size = root / "results", [], settings.image_size.strip()
    size = "" if size == "auto" else size
    try:
        if settings.source == "SCAN":
            if not settings.scan_folder:
                raise AddonError("no scan folder is chosen")
            scan = Path(bpy.path.abspath(settings.scan_folder)).absolute()
        else:
            scan = root / "scans" / scan_name(context.scene.name)
            pieces = pieces_of(context, settings.keep_uvs)
            views = views_of(context, settings)
            size = size or image_size(views[0])
            write_scan(scan, pieces, views)
    except OSError as error:
        raise AddonError(f"{root}: cannot be written ({error.strerror}); choose another output folder") from None
    run = Run(program + texture_arguments(settings, scan, results, size))
    job = Job(run, results, pieces, settings.keep_uvs and settings.source == "SCENE")
    _jobs.append(job)
    return job


def _output_root(given: str) -> Path:
    """The output folder; paths that begin with ``//`` are relative to the .blend file, if there is one."""
    if not given.strip() or (given.startswith("//") and not bpy.data.filepath):
        return Path(bpy.app.tempdir).absolute() / "scenetex"
    return Path(bpy.path.abspath(given)).absolute()


class SCENETEX_OT_texture(bpy.types.Operator):
    """Texture the scene, or a scan, by the installed scenetex; Esc cancels"""

    bl_idname = "scenetex.texture"
    bl_label = "Texture"
    bl_options = {"UNDO"}  # noqa: RUF012

    _job = _timer = None

    def execute(self, context) -> set[str]:
        """Waits for the result: for scripts."""
        try:
            self._job = _start(context)
            self._job.run.wait()
        except AddonError as error:
            return self._fail(error)
        finally:
            if self._job in _jobs and not self._job.run.is_over():
                stop()
        return self._finish(context)

    def invoke(self, context, event) -> set[str]:
        """Works beside the user interface."""
        try:
            self._job = _start(context)
        except AddonError as error:
            return self._fail(error)
        self._timer = context.window_manager.event_timer_add(_LOOK, window=context.window)
        context.window_manager.modal_handler_add(self)
        return {"RUNNING_MODAL"}

    def modal(self, context, event) -> set[str]:
        if event.type == "ESC" and event.value == "PRESS":
            self._job.run.cancel()
            return {"RUNNING_MODAL"}
        if event.type != "TIMER":
            return {"PASS_THROUGH"}
        _redraw(context)
        if not self._job.run.is_over():
            return {"PASS_THROUGH"}
        context.window_manager.event_timer_remove(self._timer)
        return self._finish(context)

    def cancel(self, context) -> None:
        """Another file is opened, or Blender closed."""
        context.window_manager.event_timer_remove(self._timer)
        stop()

    def _finish(self, context) -> set[str]:
        job = self._job
        if job in _jobs:
            _jobs.remove(job)
        error = job.run.error()
        for note in job.run.notes[: -1 if error else None]:
            self.report({"WARNING"}, note)
        if job.run.cancelled:
            self.report({"WARNING"}, "cancelled; nothing has changed")
            return {"CANCELLED"}
        try:
            if error:
                raise AddonError(error)
            self.report({"INFO"}, job.load(context))
        except AddonError as failure:
            return self._fail(failure)
        return {"FINISHED"}

    def _fail(self, error: AddonError) -> set[str]:
        self.report({"ERROR"}, " ".join(str(error).split()))
        return {"CANCELLED"}


class SCENETEX_OT_cancel(bpy.types.Operator):
    """Stop scenetex; nothing changes"""

    bl_idname = "scenetex.cancel"
    bl_label = "Cancel"

    @classmethod
    def poll(cls, context) -> bool:
        return bool(_jobs)

    def execute(self, context) -> set[str]:
        _jobs[0].run.cancel()
        return {"FINISHED"}


def _redraw(context) -> None:
    for window in context.window_manager.windows:
        for area in window.screen.areas:
            if area.type == "VIEW_3D":
                area.tag_redraw()
