"""One scene from its path to its folder of results: what every way of running many scenes calls."""

import gc
import json
import time
import traceback
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from ..checks import refuse, run_checks
from ..errors import InputError, plain
from ..files.output import DiskFull, check_replaceable, output_folder, remove_folder, write_files
from ..job.generation import load_model
from ..job.kept_stages import DiskStore
from ..job.results import about_earlier, finished, write_report, write_results
from ..job.run import lay_out, make_images, prepare_model, run_stages
from ..job.stage_keys import FileHashes, content_hash, stage_keys
from ..job.stages import Stages, Watch
from ..process.interrupt import is_interrupted
from ..process.memory import OutOfMemory, is_out_of_memory
from ..process.threads import halve
from ..scene.load import load_scene, scene_name
from .workplace import FAILED, Busy, workplace

if TYPE_CHECKING:
    from ..job.options import TextureOptions

# Of no use once a scene is done; the outputs of the other stages are kept for runs with other settings.
_PASSING = ("generate", "paint")
# All scenes of a run share one model: the process that loaded it keeps it from scene to scene.
_model = lru_cache(maxsize=1)(load_model)


@dataclass(frozen=True)
class Outcome:
    """What became of a scene.

    Attributes:
        name, path: of the result, and of the scene.
        state: "done"; "kept": the result was there already; "failed"; "busy": another run works on it; "full": no room
            on the disk; "partly": the part that was asked for is done.
        says: the result, or what went wrong, in one line.
        seconds: how long it took.
        stage: where it failed.
        notes: what the user should know beside that.
        warnings: what does not look right about the scene.
    """

    name: str
    path: Path
    state: str
    says: str = ""
    seconds: float = 0.0
    stage: str = ""
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def process(path: Path, options: "TextureOptions", stages: Stages, part: str = "all") -> Outcome:
    """Textures a scene; outputs of its stages, and its result, are taken from disk where they are there.

    Args:
        path: of the scene.
        options: of the command.
        stages: shows and times what is done; it gets its store here.
        part: "all", or only up to "layout" (the atlas) or "images": their outputs are there for a later call, then.

    Returns:
        Outcome "done", "kept" or "partly".

    Raises:
        Busy: another run is working on this scene.
        InputError: what `load_scene`, `run_stages` and `output_folder` say; memory that does not suffice.
        DiskFull: no room for the output.
    """
    start = time.perf_counter()
    while True:
        try:
            with workplace(options.output, options.result_name(scene_name(path))) as work:
                return _process(path, options, stages, part, work, start)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            if not halve():
                asked = f" ({error})" if isinstance(error, OutOfMemory) else ""
                raise InputError(
                    f"{path}: out of memory in stage {stages.failed}{asked}; use fewer --workers or --keyframes, or a "
                    "smaller --texture-size"
                ) from error
            stages.notes.append(f"out of memory in stage {stages.failed}; tried again with half the threads")
            stages.failed = None
        gc.collect()


def attempt(path: Path, options: "TextureOptions", watch: Watch, part: str = "all") -> Outcome:
    """`process` for one scene of many: what it raises, bugs included, becomes an outcome and is recorded."""
    name, start, stages = options.result_name(scene_name(path)), time.perf_counter(), Stages(watch)
    try:
        return process(path, options, stages, part)
    except Busy:
        return Outcome(name, path, "busy")
    except DiskFull as error:
        return Outcome(name, path, "full", str(error), time.perf_counter() - start, stages.failed or "")
    except Exception as error:
        if is_interrupted():  # it is no fault of the scene's
            raise KeyboardInterrupt from None
        says = str(error) if isinstance(error, InputError) else f"{type(error).__name__}: {error}"
        says, notes = " ".join(says.split()), tuple(stages.notes)
        spent, warnings = time.perf_counter() - start, tuple(stages.warnings)
        outcome = Outcome(name, path, "failed", says, spent, stages.failed or "start", notes, warnings)
        record_failure(outcome, options.output, traceback.format_exc())
        return outcome


def warm_up(options: "TextureOptions") -> None:
    """Loads the model that `process` would load. Raises InputError for one that cannot be loaded."""
    _model(options.generation())


def record_failure(outcome: Outcome, output: Path, log: str) -> None:
    """Writes `<scene>.failed/failed.json` and `log.txt` beside the results, unless another run works on the scene."""
    about = {"scene": outcome.name, "path": str(outcome.path), "stage": outcome.stage, "message": outcome.says}
    about |= {"seconds": round(outcome.seconds, 3), "notes": outcome.notes, "log": "log.txt"}
    # The failure is known without it: a place that cannot be written to must not end the run.
    with suppress(Busy, InputError), workplace(output, outcome.name) as work:
        with output_folder(output / (outcome.name + FAILED), "failure record", workplace=work) as folder:
            write_files(
                {
                    folder / "log.txt": "\n".join(map(plain, log.split("\n"))).encode(),
                    folder / "failed.json": json.dumps(about, indent=2).encode(),
                }
            )


def _process(path: Path, options: "TextureOptions", stages: Stages, part: str, work: Path, start: float) -> Outcome:
    """`process` in the scene's locked folder; it began at `start`, an attempt that ran out of memory included."""
    with stages.stage("load"):
        meant = {"mesh_scale": options.mesh_scale, "flip_faces": options.flip_faces}
        scene = load_scene(path, options.align, options.allow_outside, **meant)
    if scene.skipped:
        stages.notes.append(f"{len(scene.skipped)} frames without tracking left out")
    stages.warnings.clear()  # of an attempt that ran out of memory
    # Between keyframes, images are generated, too.
    checks = run_checks(scene, stages, options.keyframes if options.generation() is None else "auto")
    if options.strict:
        refuse(checks)
    scene = checks.scene
    with stages.stage("hash"):
        hashes = FileHashes(work / "inputs.json")
        keys = stage_keys(scene, options, hashes)
        # The report says what the checks found; they look at depth, too, which no stage reads.
        keys["result"] = content_hash(keys["result"], checks.report())
        hashes.save()
    name = options.result_name(scene.name)
    final, generation = options.output / name, options.generation()

    def outcome(state: str, says: str) -> Outcome:
        more = {"notes": tuple(stages.notes), "warnings": tuple(stages.warnings)}
        return Outcome(name, path, state, says, time.perf_counter() - start, **more)

    if finished(final, keys["result"]) is not None:
        _forget_failure(options.output, name)
        return outcome("kept", "already there, made from the same scene with the same settings")
    check_replaceable(final, "result")  # said now, not after the work
    replaced = about_earlier(final, scene, options)
    stages.store = DiskStore(work, keys, scene.name)
    if part == "layout":
        lay_out(scene, stages, options.texture_size, options.texels_per_metre, options.packer)
        return outcome("partly", "")
    if part == "images":
        pipe = prepare_model(generation, stages, _model)
        make_images(scene, generation, options.keyframes, stages, pipe)
        return outcome("partly", "")
    inputs = [*scene.places(), *options.inputs()]
    with output_folder(final, inputs=inputs, workplace=work) as folder:
        result = run_stages(
            scene,
            generation=generation,
            keyframes=options.keyframes,
            refine_poses=options.refine_poses,
            texture_size=options.texture_size,
            texels_per_metre=options.texels_per_metre,
            packer=options.packer,
            checks=checks,
            progress=not options.quiet,
            stages=stages,
            model=_model,
        )
        stages.notes += [replaced] if replaced else []
        report = write_results(folder, scene, result, options, stages, keys["result"], start)
        write_report(folder, report, stages, time.perf_counter() - start)
    stages.store.drop(*_PASSING)
    _forget_failure(options.output, name)
    dropped = report["faces_without_area"]
    return outcome(
        "done",
        f"{report['faces_textured']} faces{f' ({dropped} more have no area)' if dropped else ''}, "
        f"{len(result.views)} {'photos' if generation is None else 'generated images'}, "
        f"{100 * report['texels_seen']:.1f} % of the texels seen",
    )


def _forget_failure(output: Path, name: str) -> None:
    remove_folder(output / (name + FAILED), "failure record")
