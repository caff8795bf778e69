"""The images of keyframes, generated together: what all other images of a scene go on from."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InputError
from ..views.viewset import ViewSet
from .less_memory import with_less_memory
from .stages import Stages

if TYPE_CHECKING:
    from ..pipelines import ConsistentViews, MVDiffusionPanoramaPipeline, MVDiffusionPipeline


def generate_keyframes(
    model: Callable[[], Any],
    views: ViewSet,
    generation: Any,
    stages: Stages,
    progress: bool = False,
    regions: Mapping[str, np.ndarray] | None = None,
) -> np.ndarray:
    """(m, h, w, 3) float32 images of the keyframes, 0 to 1, generated together.

    Args:
        model: gives the pipeline; called only if these images are not on disk.
        views: of the keyframes.
        generation: how, a `Generation`, which is built on this module.
        stages: the stages of the run; what they find on disk is not generated again.
        progress: show progress bars on stderr.
        regions: (f,) bool per face of the mesh, those that have prompts of their own.
    """
    with stages.stage("generate"):
        found = stages.recall("generate")
        if found is not None:
            return found["images"]
        pipe = model()
        images = run_pipeline(pipe, pipe, "generate", views, generation, stages, progress, regions or {})
        stages.keep("generate", images=images)
    return images


def run_pipeline(
    pipe: "MVDiffusionPipeline | MVDiffusionPanoramaPipeline | ConsistentViews",
    call: Callable[..., Any],
    name: str,
    views: ViewSet,
    generation: Any,
    stages: Stages,
    progress: bool,
    regions: Mapping[str, np.ndarray],
    **given: Any,
) -> np.ndarray:
    """What a call of a pipeline makes of all views, with as many at once as memory holds."""
    pipe.set_progress_bar_config(disable=not progress, desc=name, leave=False)
    given |= generation.prompts(views, regions)

    def attempt(joint_views: int) -> np.ndarray:
        # The same state for every call: views between start from the noise of the keyframes.
        images = call(views=views, joint_views=joint_views, **given, **generation.sampling.keywords()).images
        check_finite(images, generation.model)
        return images

    return with_less_memory(pipe, len(views), generation.joint_views, attempt, stages.notes.append)


def check_finite(images: Sequence[np.ndarray] | np.ndarray, model: str) -> None:
    """Raises InputError for images, m of (h, w, 3), that a model has made of which a part is no number."""
    odd = sum(not np.isfinite(image).all() for image in images)
    if odd:
        raise InputError(
            f"{model}: {odd} of {len(images)} images have values that are not finite; its weights are damaged, or too "
            "large for half precision: copy the model again, or try --device cpu"
        )
