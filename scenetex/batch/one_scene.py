"""One scene from its path to its folder of results: what every way of running many scenes calls."""

import gc
import logging
import time
import traceback
import warnings
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from ..checks import refuse
from ..errors import InputError, InputWarning
from ..files.output import check_replaceable, output_folder
from ..job.bake_stages import lay_out
from ..job.base_result import find_base
from ..job.cache_keys import cache_keys
from ..job.content_hash import FileHashes, content_hash
from ..job.levels import Sizes, size_stages
from ..job.load_model import load_model
from ..job.options import TextureOptions
from ..job.result_folder import COLLISION, COMPLETED, PREVIEW, REPAINTED, TEXTURED, ResultFolder
from ..job.run import Result, make_images, prepare_model, run_checks, run_stages, with_named
from ..job.stage_cache import StageCache
from ..job.stages import Stages, Watch
from ..job.summary import about_run, summarize
from ..job.texture_size import chosen_size
from ..process.interrupt import is_interrupted
from ..process.memory import OutOfMemory, is_out_of_memory
from ..process.threads import halve
from ..report.frames import shown_frames
from ..report.page import write_page
from ..report.preview import contact_sheet
from ..scene.load import load_scene, scene_name
from ..scene.regions import regions
from ..scene.scene import Scene
from ..texture.collision import write_collision
from ..texture.glb_writer import encode_png
from ..texture.textured_mesh import TexturedMesh
from .failure import forget_failure, outcome_of_error, record_failure
from .outcome import Outcome
from .seeds import SHEET, compare_seeds
from .work_folder import SEEDS, work_folder

# Of no use once a scene is done; the outputs of the other stages are kept for runs with other settings.
_PASSING = ("generate", "paint", "repaint", "complete")
# All scenes of a run share one model: the process that loaded it keeps it from scene to scene.
_model = lru_cache(maxsize=1)(load_model)
_log = logging.getLogger(__name__)


def process(path: Path, options: TextureOptions, stages: Stages, part: str = "all") -> Outcome:
    """Textures a scene; outputs of its stages, and its result, are taken from disk where they are there.

    Args:
        path: of the scene.
        options: of the command.
        stages: shows and times what is done; it gets its cache here.
        part: "all", or only up to "layout" (the atlas) or "images": their outputs are there for a later call, then; or
            "seeds", which compares seeds instead.

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
            with work_folder(options.output, options.result_name(scene_name(path))) as work:
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
            _log.debug("%s: %s", path, stages.notes[-1], exc_info=error)
            stages.failed = None
        gc.collect()


def attempt(path: Path, options: TextureOptions, watch: Watch, part: str = "all") -> Outcome:
    """`process` for one scene of many: what it raises, bugs included, becomes an outcome and is recorded."""
    name, start, stages = options.result_name(scene_name(path)), time.perf_counter(), Stages(watch)
    try:
        return process(path, options, stages, part)
    except Exception as error:
        if is_interrupted():  # it is no fault of the scene's
            raise KeyboardInterrupt from None
        outcome = outcome_of_error(error, name, path, time.perf_counter() - start, stages)
        if outcome.state == "failed":
            _log.debug("%s: failed in stage %s", path, outcome.stage, exc_info=error)
            record_failure(outcome, options.output, traceback.format_exc())
        return outcome


def warm_up(options: TextureOptions) -> None:
    """Loads the model that `process` would load. Raises InputError for one that cannot be loaded."""
    _model(options.generation())


def _process(path: Path, options: TextureOptions, stages: Stages, part: str, work: Path, start: float) -> Outcome:
    """`process` in the scene's locked folder; it began at `start`, an attempt that ran out of memory included."""
    with stages.stage("load"):
        names = ("mesh", "mesh_scale", "flip_faces", "close_holes")
        meant = {name: getattr(options, name) for name in names}
        scene = load_scene(path, options.align, options.allow_outside, **meant)
    if scene.skipped:
        stages.note(f"{len(scene.skipped)} frames without tracking left out")
    if options.close_holes is not None:
        stages.note(str(scene.closed or f"no holes of up to {options.close_holes:g} m to close"))
    stages.warnings.clear()  # of an attempt that ran out of memory
    # Between keyframes, images are generated, too.
    checks = run_checks(scene, stages, options.keyframes if options.source == "photos" else "auto")
    if options.strict:
        refuse(checks)
    scene = checks.scene
    meant_photos = options.images == "auto" and all(frame.color is not None for frame in scene.frames)
    if options.complete and options.source == "generated" and meant_photos:
        stages.note(
            "all is generated, as there is a --prompt; --images photos keeps the photos and paints what they lack"
        )
    generation, repainting = options.generation(), options.repainting()
    regions = with_named({}, scene, generation, repainting)
    name = options.result_name(scene.name)
    final = options.output / name
    if part == "seeds":
        says = compare_seeds(scene, options, regions, stages, work, _model)
        told = {"notes": tuple(stages.notes), "warnings": tuple(stages.warnings)}
        return Outcome(f"{name}{SEEDS}/{SHEET}", path, "done", says, time.perf_counter() - start, **told)
    base = None
    if repainting is not None:
        repainting.faces(regions)
        base = find_base(options, scene.name)
        options = base.like(options) if base else options
    photos = options.source == "photos"
    chosen = options.texture_size, options.texels_per_metre, options.keyframes, None if photos else generation
    options = replace(options, texture_size=chosen_size(scene, *chosen, options.uvs, stages))
    with stages.stage("hash"):
        hashes = FileHashes(work / "inputs.json")

        def keys_over(over: str | None) -> dict[str, str]:
            """Keys of what is painted over the result with that key."""
            keys = cache_keys(scene, options, hashes, regions, over)
            # The report says what the checks found; they look at depth, too, which no stage reads.
            return keys | {"result": content_hash(keys["result"], checks.report())}

        keys = keys_over(base and base.key)
        # What was painted over the result that lay here before is not painted over itself.
        before = ResultFolder(final).known_report() or {}
        earlier = keys_over(before.get("base")) if repainting and options.base is None else keys
        keys = earlier if ResultFolder(final).is_finished(earlier["result"]) else keys
        hashes.save()

    def outcome(state: str, says: str) -> Outcome:
        more = {"notes": tuple(stages.notes), "warnings": tuple(stages.warnings)}
        return Outcome(name, path, state, says, time.perf_counter() - start, **more)

    if ResultFolder(final).is_finished(keys["result"]):
        forget_failure(options.output, name)
        return outcome("kept", "already there, made from the same scene with the same settings")
    check_replaceable(final, "result")  # said now, not after the work
    replaced = ResultFolder(final).about_replacing(scene.name, options)
    stages.cache = StageCache(work, keys, scene.name)
    if part == "layout":
        lay_out(scene, stages, options.texture_size, options.texels_per_metre, options.packer, options.uvs)
        return outcome("partly", "")
    if part == "images" and options.source == "photos":
        return outcome("partly", "")
    if part == "images":
        pipe = prepare_model(generation, stages, _model)
        make_images(scene, generation, options.keyframes, stages, pipe, regions=regions)
        return outcome("partly", "")
    inputs = [*scene.places(), *options.inputs()]
    with output_folder(final, inputs=inputs, work_folder=work) as folder:
        result = run_stages(
            scene,
            generation=generation,
            images="photos" if options.source == "photos" else "generated",
            complete=options.complete,
            repainting=repainting,
            base=base and base.read(scene, stages),
            regions=regions,
            keyframes=options.keyframes,
            refine_poses=options.refine_poses,
            texture_size=options.texture_size,
            texels_per_metre=options.texels_per_metre,
            packer=options.packer,
            uvs=options.uvs,
            checks=checks,
            progress=not options.quiet,
            stages=stages,
            model=_model,
        )
        stages.notes += [replaced] if replaced else []
        report = write_results(
            ResultFolder(folder),
            scene,
            size_stages(result, options, stages),
            options,
            stages,
            keys["result"],
            start,
            base and base.key,
        )
    stages.cache.drop(*_PASSING)
    forget_failure(options.output, name)
    dropped = report["faces_without_area"]
    return outcome(
        "done",
        f"{report['faces_textured']} faces{f' ({dropped} more have no area)' if dropped else ''}, "
        f"{len(result.views)} {'photos' if options.source == 'photos' else 'generated images'}{_further(result)}, "
        f"{100 * report['texels_seen']:.1f} % of the texels seen{_clipped(report['clipped_texels'])}",
    )


def _clipped(share: dict[str, float] | None) -> str:
    """How much is blown out or black, in words."""
    if share is None:
        return ""
    return f", {100 * share['before']:.1f} % clipped in the photos, {100 * share['after']:.1f} % in the texture"


def _further(result: Result) -> str:
    """What was painted beside the first images, in words."""
    done = {"to paint parts anew": result.repainted, "of what these did not see": result.completed}
    return "".join(f", {len(views.views)} further views {what}" for what, views in done.items() if views)


def _of_format(suffix: str, scene: Scene, options: TextureOptions, mesh: TexturedMesh, sizes: Sizes) -> dict:
    """What else `TexturedMesh.export` is told of one of the sizes."""
    if suffix == "glb":
        return {"texture_format": options.texture_format, "compress": options.compress}
    if suffix in ("usd", "usdz"):
        # Labels are of the scan's own faces.
        labels = _labels(scene) if mesh.mesh is scene.mesh else {}
        return {"labels": labels, "collision": sizes.collision if mesh is sizes.result.mesh else None}
    return {}


def _labels(scene: Scene) -> dict[str, np.ndarray]:
    """What the faces are called; nothing, with a warning, where the scan's labels cannot be read."""
    head = "label:"
    try:
        return {name.removeprefix(head): mask for name, mask in regions(scene).items() if name.startswith(head)}
    except InputError as error:
        warnings.warn(f"labels are left out: {error}", InputWarning, stacklevel=2)
        return {}


def write_results(
    folder: ResultFolder,
    scene: Scene,
    sizes: Sizes,
    options: TextureOptions,
    stages: Stages,
    key: str,
    start: float,
    base: str | None = None,
) -> dict:
    """Writes meshes, images, preview, page and report, which is returned.

    Args:
        folder: where to; it exists and is empty.
        scene: what was textured.
        sizes: what came out.
        options: of the command.
        stages: of the run.
        key: hash of all that the result depends on, for later runs.
        start: of the run, as `time.perf_counter` told.
        base: key of the result of which parts were painted anew.
    """
    result = sizes.result
    with stages.stage("export"):
        for name, mesh in sizes.meshes(TEXTURED).items():
            for suffix in options.suffixes():
                extra = _of_format(suffix, scene, options, mesh, sizes)
                mesh.export(folder.path / f"{name}.{suffix}", **extra)
        if sizes.collision is not None:
            write_collision(folder.path / COLLISION, sizes.collision)
        folder.write_sources(result.mesh)
    with stages.stage("views"):
        folder.write_views(result.views, result.images, result.keyframe)
        for views, done in ((REPAINTED, result.repainted), (COMPLETED, result.completed)):
            if done is not None and done.images:
                further = ResultFolder(folder.path, folder.path / views)
                further.write_views(done.views, done.images, [False] * len(done.images))
    if options.preview:
        with stages.stage("preview"):
            sheet = contact_sheet(result.views, result.images, result.mesh)
            (folder.path / PREVIEW).write_bytes(encode_png(sheet))
    about = summarize(scene, result, options, stages.used) | sizes.report()

    def so_far() -> dict:
        return about | about_run(stages, time.perf_counter() - start)

    if options.report:
        with stages.stage("report", len(shown_frames(result.keyframe))) as done:
            write_page(folder.path, result, so_far, done)
    about |= {"key": key, "base": base, "files": folder.files()}
    folder.write_report(so_far())
    return about
