"""What options add to a model that is loaded: another scheduler, LoRAs, an image to go by."""

import warnings
from typing import TYPE_CHECKING

from ..adapters import read_adapter
from ..errors import InputError, InputWarning

if TYPE_CHECKING:
    from ..pipelines import ConsistentViews, MVDiffusionPanoramaPipeline, MVDiffusionPipeline
    from .generation import Generation

_FOR_FEW_STEPS = ("lcm", "tcd")
_FEW = 16  # steps, more than distilled models are run with


def check_additions(generation: "Generation") -> None:
    """Raises InputError for options that do not go together."""
    if generation.reference is not None and generation.ip_adapter is None:
        raise InputError(
            f"reference {generation.reference} (--reference): needs weights for image prompts; add --ip-adapter, such "
            "as h94/IP-Adapter for Stable Diffusion 1.5 and XL"
        )
    if generation.ip_adapter is not None and generation.reference is None:
        raise InputError(
            f"ip_adapter {generation.ip_adapter} (--ip-adapter): has no image to go by; add --reference IMAGE"
        )


def add_to(
    pipe: "MVDiffusionPipeline | MVDiffusionPanoramaPipeline | ConsistentViews", generation: "Generation"
) -> None:
    """Gives a pipeline the scheduler, LoRAs and reference image that are asked for.

    Raises:
        InputError: what cannot be read, or was made for another base.
    """
    from ..pipelines.image_prompts import load_reference, read_reference
    from ..pipelines.lora import load_loras
    from ..pipelines.schedulers import set_scheduler

    inner = getattr(pipe, "pipe", pipe)
    image = None if generation.reference is None else read_reference(generation.reference)  # what is quickest, first
    set_scheduler(inner, generation.scheduler)
    load_loras(inner, [read_adapter(text, "--lora") for text in generation.lora])
    if image is not None and generation.ip_adapter is not None:
        load_reference(pipe, read_adapter(generation.ip_adapter, "--ip-adapter"), image)
    steps = generation.sampling.steps
    if generation.scheduler in _FOR_FEW_STEPS and (steps is None or steps > _FEW):
        said = "the model's own number of" if steps is None else str(steps)
        warnings.warn(
            f"scheduler {generation.scheduler} is for distilled models, in {said} steps it blurs; add --steps 4 to 8, "
            "and --guidance-scale 1 to 2",
            InputWarning,
            stacklevel=2,
        )
