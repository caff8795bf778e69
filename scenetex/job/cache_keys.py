"""Keys of kept outputs: what each stage depends on, so that a rerun does only what is missing."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path

import numpy as np

from ..bundled import locate_model
from ..files.folders import files_below
from ..scene.frame import Frame
from ..scene.scene import Scene
from .content_hash import FileHashes, content_hash, parts_of
from .generation import Generation
from .options import TextureOptions
from .source_hash import PACKAGE, source_hash

# Where the code of each stage begins; `run` calls them with values of its own. What was read counts by its content, not
# by the code that read it; photos are read by the stages themselves, those of data sets by `zoo`.
_CODE = {
    "unwrap": ("texture.unwrap",),
    "keyframes": ("views.keyframes", "scene.published_datasets"),
    "refine": ("texture.refine", "views.viewset", "scene.published_datasets"),
    "images": ("job.generation", "views.keyframes"),
    "paint": ("texture.bake", "views.viewset", "scene.published_datasets"),
    "further": ("job.completion_stage",),
    "result": ("report.page", "report.preview", "texture.textured_mesh"),
}
_STAGES = ("job.run", "job.photo_stages", "job.bake_stages")
_WRITING = ("job.result_folder", "job.summary")
# What images do not depend on as long as there are only the keyframes', or as long as they are small.
# Of a frame, what only stages that paint with photos read; of a photo, the file, whose content counts.
_PIXELS = ("color", "depth", "mask", "pixels")
_LATER = {"generate": ("between", "upscale", "upscale_tile"), "small": ("upscale", "upscale_tile")}


def cache_keys(
    scene: Scene,
    options: TextureOptions,
    files: FileHashes,
    regions: Mapping[str, np.ndarray] | None = None,
    over: str | None = None,
) -> dict[str, str]:
    """Per kept stage, and for the whole result, the hash of this package's code and all that goes into the stage.

    Args:
        scene: what was read; of the photos, the files' bytes count.
        options: of the command.
        files: hashes of files, remembered from earlier runs.
        regions: (f,) bool per face of the mesh, those that the options name.
        over: key of the result of which parts are painted anew; None = there is none yet.

    Raises:
        InputError: a photo that cannot be read.
    """
    shape = content_hash(*parts_of(scene.mesh))
    laid_out = options.texture_size, options.texels_per_metre, options.packer, options.uvs
    unwrap = content_hash(_code("unwrap"), shape, *laid_out)
    keys = {"unwrap": unwrap}
    generation, masks = options.generation(), [part for entry in sorted((regions or {}).items()) for part in entry]
    cameras = [part for frame in scene.frames for part in parts_of(frame, without=_PIXELS)]
    seen = content_hash(_code("keyframes"), shape, *cameras, options.keyframes, options.source == "photos")
    wanted = None if generation is None else _generation_parts(generation, files)
    if options.source == "photos" or wanted is None:
        seen = content_hash(seen, *(part for frame in scene.frames for part in _photo(frame, files)))
        keys["refine"] = refine = content_hash("refine", _code("refine"), seen)
        images = content_hash(refine, options.refine_poses)
    else:
        wanted["code"] = _code("images")
        seen = content_hash(seen, *masks) if masks else seen
        for stage, later in _LATER.items():
            keys[stage] = content_hash(stage, seen, {name: wanted[name] for name in wanted if name not in later})
        images = keys["images"] = content_hash("images", seen, wanted)
    keys["keyframes"] = content_hash("keyframes", seen)
    last = keys["paint"] = content_hash("paint", _code("paint"), unwrap, images)
    if wanted is not None:
        repainting = options.repainting()
        for stage, asked in (("repaint", repainting and asdict(repainting)), ("complete", options.complete)):
            if asked:
                before = over if stage == "repaint" and over is not None else last
                last = keys[stage] = content_hash(stage, _code("further"), before, seen, wanted, asked, *masks)
    shown = options.settings(), _code("result")
    keys["result"] = content_hash("result", last, *parts_of(scene, without=("mesh", "frames", "path")), *shown)
    return keys


def _code(stage: str) -> str:
    """Hash of a stage's code: what another version made is not taken for what this one makes."""
    if stage != "result":
        return source_hash(_CODE[stage], _STAGES)
    scripts = [f"report/{path.name}" for path in (PACKAGE / "report").iterdir() if path.suffix in (".js", ".css")]
    return source_hash(_CODE[stage], (*_STAGES, *_WRITING), tuple(scripts))


def _photo(frame: Frame, files: FileHashes) -> Iterator:
    """What counts of a frame's photo: the bytes of its file and of its mask's, and how they are read."""
    photo = frame.color
    if photo is None:
        return
    # Published data sets stay as they are, and only scenezoo knows which files hold a photo.
    yield str(photo.path) if photo.codec == "scenezoo" else files.of(photo.path, photo.label(frame.id))
    yield from parts_of(photo, without=("path",))
    if frame.mask is not None:
        yield files.of(frame.mask.path, str(frame.mask.path))
        yield from parts_of(frame.mask, without=("path",))


def _generation_parts(generation: Generation, files: FileHashes) -> dict:
    """The options of `Generation`; of models in folders and files, the contents."""
    parts = asdict(generation) | {"model": locate_model(generation.model)}
    added = [_contents(path, files) for path in generation.added_files]
    for name in ("model", "mvdiffusion_checkpoint", "controlnet"):
        path = Path(str(parts[name]))
        if parts[name] is not None and path.exists():
            parts[name] = _contents(path, files)
    return parts | ({"added": added} if added else {})


def _contents(path: Path, files: FileHashes) -> list[tuple[str, str]]:
    """Names and hashes of the files that a path leads to; none of a Hub id."""
    inside = sorted(files_below(path)) if path.is_dir() else [path] if path.exists() else []
    return [(os.path.relpath(p, path), files.of(p, str(p))) for p in inside]
