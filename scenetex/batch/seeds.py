"""Several seeds side by side: the keyframes that each makes, on one sheet, for whoever wants to choose."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ..files.output import check_replaceable, output_folder
from ..job.cache_keys import cache_keys
from ..job.content_hash import FileHashes
from ..job.generation import keyframe_views
from ..job.keyframe_images import generate_keyframes
from ..job.options import TextureOptions
from ..job.photo_stages import frames_stage
from ..job.run import prepare_model
from ..job.stage_cache import MOST_KEPT, StageCache
from ..job.stages import Stages
from ..report.seed_sheet import seed_sheet
from ..scene.scene import Scene
from ..texture.glb_writer import encode_png
from .work_folder import SEEDS

SHEET = "seeds.png"
KIND = "sheet of seeds"
FEW = 4  # denoising steps, unless others are asked for


def compare_seeds(
    scene: Scene,
    options: TextureOptions,
    regions: Mapping[str, np.ndarray],
    stages: Stages,
    work: Path,
    model: Callable[[Any], Any],
) -> str:
    """Generates the keyframes of `options.seeds` seeds and writes a sheet of them, into a folder of its own.

    They are kept in the scene's folder: a run with one of these seeds and the same options, steps included, goes on
    from them.

    Args:
        scene: as it was checked.
        options: of the command.
        regions: (f,) bool per face of the mesh, those that have prompts of their own.
        stages: shows and times what is done; it gets its cache here.
        work: the scene's locked folder.
        model: loads the pipeline.

    Returns:
        What was done, in words.

    Raises:
        InputError: what `generate_images` and `output_folder` say.
    """
    final = options.output / (options.result_name(scene.name) + SEEDS)
    check_replaceable(final, KIND)  # said now, not after the work
    steps = FEW if options.steps is None else options.steps
    seeds = range(options.seed, options.seed + (options.seeds or 1))
    hashes = FileHashes(work / "inputs.json")
    rows, pipe, frame_ids = {}, None, ()
    with output_folder(final, KIND, [*scene.places(), *options.inputs()], work) as folder:
        with stages.stage("seeds", len(seeds)) as done:
            for seed in seeds:
                mine = replace(options, seed=seed, steps=steps, seeds=None)
                keys, generation = cache_keys(scene, mine, hashes, regions), mine.generation()
                stages.cache = StageCache(work, keys, scene.name, max(MOST_KEPT, len(seeds)))
                pipe = pipe or prepare_model(generation, stages, model, ["generate"])
                views = keyframe_views(scene, frames_stage(scene, options.keyframes, stages, False), generation, stages)
                images = generate_keyframes(pipe, views, generation, stages, not options.quiet, regions)
                rows[seed], frame_ids = np.round(images * 255).astype(np.uint8), views.frame_ids
                done()
        about = f"{len(frame_ids)} keyframes of each seed, generated together in {steps} step{'s' * (steps > 1)}"
        sheet = seed_sheet(rows, frame_ids, options.prompt or "", f"{about}, by {options.model}")
        (folder / SHEET).write_bytes(encode_png(sheet))
    hashes.save()
    return f"seeds {seeds[0]} to {seeds[-1]}, {about}; --seed N in place of --seeds textures with the one you choose"
