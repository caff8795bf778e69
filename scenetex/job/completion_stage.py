"""`complete` as a stage of a run, for what no view saw, and for what is to be painted anew."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ..scene.scene import Scene
from ..texture.textured_mesh import TexturedMesh
from ..views.keyframes import select_keyframes
from ..views.viewset import ViewSet, cast_views, render_views
from .completion import MOST_VIEWS, Completed, complete
from .generation import Generation
from .less_memory import with_less_memory
from .repainting import Repainting, repainted
from .stages import Stages

if TYPE_CHECKING:
    from ..pipelines import ConsistentViews, MVDiffusionPipeline

_PAGES = ("textures", "coverage", "generated")


def completion_stage(
    scene: Scene,
    textured: TexturedMesh,
    generation: Generation,
    regions: Mapping[str, np.ndarray],
    stages: Stages,
    pipe: "Callable[[], MVDiffusionPipeline | ConsistentViews]",
    progress: bool = False,
    repainting: Repainting | None = None,
) -> Completed:
    """Paints what is not covered of a texture, or with `repainting` some of its regions anew.

    Args:
        scene: whose mesh it is.
        textured: the texture.
        generation: how to generate.
        regions: (f,) bool per face of the mesh, for each name in `generation` and `repainting`.
        stages: of the run; they find the outcome on disk, or keep it there.
        pipe: gives the pipeline; called only where something has to be generated.
        progress: show progress bars on stderr.
        repainting: what to paint anew; None = nothing.
    """
    name = "complete" if repainting is None else "repaint"
    found = stages.recall(name)
    if found is not None:
        return _restored(textured, found)

    prompt, texts = generation.prompt, generation.region_prompts
    painted = [regions[part] for part in generation.named_regions]
    if repainting is not None and prompt:
        # The words are about what is painted anew, not about what stays.
        prompt, texts, painted = "", [prompt, *texts], [repainting.faces(regions), *painted]

    def paint(started: TexturedMesh) -> Completed:
        model = pipe()
        # Views as the trajectory has them are what models know; others see the rest.
        first = None if repainting is None else _keyframes(scene, generation.image_size, stages)
        model.set_progress_bar_config(disable=not progress, desc=name, leave=False)

        def attempt(joint_views: int) -> Completed:
            return complete(
                scene,
                started,
                model,
                prompt,
                generation.sampling,
                generation.image_size,
                joint_views=joint_views,
                negative_prompt=generation.negative_prompt,
                region_prompts=texts,
                regions=painted,
                like_known=repainting is None or not texts,
                first=first,
            )

        return with_less_memory(model, MOST_VIEWS, generation.joint_views, attempt, stages.notes.append)

    with stages.stage(name):
        if repainting is None:
            done = paint(textured)
        else:
            done = repainted(textured, repainting.faces(regions), paint)
        views = done.views
        stages.keep(
            name,
            **{part: getattr(done.mesh, part) for part in _PAGES},
            images=np.stack(done.images) if done.images else np.zeros((0, 1, 1, 3), np.uint8),
            known=np.stack(done.known) if done.known else np.zeros((0, 1, 1), bool),
            frame_ids=views.frame_ids,
            intrinsics=views.intrinsics,
            cam_to_world=views.cam_to_world,
            size=views.size,
            reachable=done.reachable,
        )
    return done


def _keyframes(scene: Scene, size: tuple[int, int], stages: Stages) -> ViewSet:
    """What keyframes see, as they are chosen for generation."""
    with stages.stage("keyframes"):
        return render_views(scene, select_keyframes(scene, sharpness=False), size)


def _restored(textured: TexturedMesh, found: dict) -> Completed:
    """What `keep` was given."""
    width, height = found["size"].tolist()
    cameras = found["intrinsics"], found["cam_to_world"], (width, height)
    views = cast_views(textured.mesh, *cameras, tuple(found["frame_ids"].astype(int).tolist()))
    mesh = replace(textured, **{part: tuple(found[part]) for part in _PAGES})
    return Completed(mesh, views, list(found["images"]), list(found["known"]), found["reachable"])
