"""Loads the model of a job, with what options add to it: another scheduler, LoRAs, an image to go by."""

import warnings
from typing import TYPE_CHECKING

from ..adapters import read_adapter
from ..errors import InputError, InputWarning
from .backbone import is_backbone
from .generation import Generation

if TYPE_CHECKING:
    import torch

    from ..pipelines import ConsistentViews, MVDiffusionPanoramaPipeline, MVDiffusionPipeline

# Options that are for Stable Diffusion with a UNet alone, by the settings that they stand for.
_OF_UNETS = {
    "panorama": "--images panorama",
    "mvdiffusion_checkpoint": "--mvdiffusion-checkpoint",
    "paint": "--paint",
    "reference": "--reference",
}
_FOR_FEW_STEPS = ("lcm", "tcd")
_FEW = 16  # steps, more than distilled models are run with


def load_model(generation: Generation) -> "MVDiffusionPipeline | MVDiffusionPanoramaPipeline | ConsistentViews":
    """The pipeline, on the device that is asked for; half precision on a GPU.

    Raises:
        InputError: a device, model or checkpoint that is not there, or does not fit; a model that cannot upscale so.
    """
    import torch

    from ..models import MultiViewUNet
    from ..pipelines import MVDiffusionPanoramaPipeline, MVDiffusionPipeline
    from ..pipelines.loading import load_controlnet, quiet_loading, resolve_device, unet_config

    pipeline, kind = (
        (MVDiffusionPanoramaPipeline, "panorama") if generation.panorama else (MVDiffusionPipeline, "depth")
    )
    device = resolve_device(generation.device)
    if is_backbone(generation.model):
        return load_consistent_views(generation, device)
    half = {"dtype": torch.float16} if device.type == "cuda" else {}
    parts = {}
    with quiet_loading():
        if generation.controlnet is not None:
            parts["controlnet"] = load_controlnet(generation.controlnet, **half)
        if generation.mvdiffusion_checkpoint is not None:
            config = unet_config(generation.model)
            unet = MultiViewUNet.from_mvdiffusion(generation.mvdiffusion_checkpoint, config, kind, **half)
            parts |= {"unet": unet, "convention": "mvdiffusion"}
        pipe = pipeline.from_pretrained(generation.model, **half, **parts).to(device)
        add_to(pipe, generation)
    if generation.upscale > 1:
        # Said now, not after an hour of generating.
        pipe.upscale_factor(generation.upscale)
    return pipe


def load_consistent_views(generation: Generation, device: "torch.device") -> "ConsistentViews":
    """The pipeline that is asked for, on a device; in bfloat16 on a GPU, as these are trained: some of them overflow in
    float16.

    Raises:
        InputError: a model or ControlNet that is not there, or does not fit; options that are for other models.
    """
    import torch

    from ..pipelines import ConsistentViews
    from ..pipelines.loading import quiet_loading

    for name, option in _OF_UNETS.items():
        if getattr(generation, name):
            raise InputError(f"{option}: needs a Stable Diffusion with a UNet, which {generation.model} is not")
    half = {"dtype": torch.bfloat16} if device.type == "cuda" else {}
    with quiet_loading():
        pipe = ConsistentViews.from_pretrained(generation.model, generation.controlnet, **half).to(device)
        add_to(pipe, generation)
    if generation.upscale > 1:
        pipe.upscale_factor(generation.upscale)
    if pipe.guided_by_negatives and generation.negative_prompt is None and generation.sampling.guidance_scale is None:
        warnings.warn(
            f"{type(pipe.pipe).__name__} follows the prompt loosely: it is guided only where it is told to be; add "
            "--guidance-scale 4, or a --negative-prompt, if only ' '",
            InputWarning,
            stacklevel=2,
        )
    return pipe


def add_to(pipe: "MVDiffusionPipeline | MVDiffusionPanoramaPipeline | ConsistentViews", generation: Generation) -> None:
    """Gives a pipeline the scheduler, LoRAs and reference image that are asked for.

    Raises:
        InputError: what cannot be read, or was made for another base.
    """
    from ..pipelines.image_prompts import load_reference, read_reference
    from ..pipelines.lora import load_loras
    from ..pipelines.schedulers import check_steps, set_scheduler

    inner = getattr(pipe, "pipe", pipe)
    image = None if generation.reference is None else read_reference(generation.reference)  # what is quickest, first
    set_scheduler(inner, generation.scheduler)
    load_loras(inner, [read_adapter(text, "--lora") for text in generation.lora])
    if image is not None and generation.ip_adapter is not None:
        load_reference(pipe, read_adapter(generation.ip_adapter, "--ip-adapter"), image)
    steps = generation.sampling.steps
    check_steps(inner.scheduler, steps)
    if generation.scheduler in _FOR_FEW_STEPS and (steps is None or steps > _FEW):
        said = "the model's own number of" if steps is None else str(steps)
        warnings.warn(
            f"scheduler {generation.scheduler} is for distilled models, in {said} steps it blurs; add --steps 4 to 8, "
            "and --guidance-scale 1 to 2",
            InputWarning,
            stacklevel=2,
        )
