"""Loads the model of a job: a pipeline of the package, or one of diffusers that knows nothing of several views."""

from typing import TYPE_CHECKING

from ..bundled import locate_model
from ..errors import InputError
from .additions import add_to

if TYPE_CHECKING:
    import torch

    from ..pipelines import ConsistentViews, MVDiffusionPanoramaPipeline, MVDiffusionPipeline
    from .generation import Generation

_OF_UNETS = (
    "panorama",
    "mvdiffusion_checkpoint",
    "paint",
    "reference",
)  # options that are for Stable Diffusion with a UNet alone


def is_backbone(model: str) -> bool:
    """Whether a model is one for `ConsistentViews`."""
    from ..pipelines.backbones import has_transformer

    return has_transformer(locate_model(model))


def load_model(generation: "Generation") -> "MVDiffusionPipeline | MVDiffusionPanoramaPipeline | ConsistentViews":
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
            unet = MultiViewUNet.from_mvdiffusion(generation.mvdiffusion_checkpoint, config, kind)
            parts |= {"unet": unet.to(*half.values()), "convention": "mvdiffusion"}
        pipe = pipeline.from_pretrained(generation.model, **half, **parts).to(device)
        add_to(pipe, generation)
    if generation.upscale > 1:
        # Said now, not after an hour of generating.
        pipe.upscale_factor(generation.upscale)
    return pipe


def load_consistent_views(generation: "Generation", device: "torch.device") -> "ConsistentViews":
    """The pipeline that is asked for, on a device; in bfloat16 on a GPU, as these are trained: some of them overflow in
    float16.

    Raises:
        InputError: a model or ControlNet that is not there, or does not fit; options that are for other models.
    """
    import torch

    from ..pipelines import ConsistentViews
    from ..pipelines.loading import quiet_loading

    for name in _OF_UNETS:
        if getattr(generation, name):
            option = f"--{name.replace('_', '-')}"
            raise InputError(f"{option}: needs a Stable Diffusion with a UNet, which {generation.model} is not")
    half = {"dtype": torch.bfloat16} if device.type == "cuda" else {}
    with quiet_loading():
        pipe = ConsistentViews.from_pretrained(generation.model, generation.controlnet, **half).to(device)
        add_to(pipe, generation)
    if generation.upscale > 1:
        pipe.upscale_factor(generation.upscale)
    return pipe


def sampling_defaults(model: str, controlnet: str | None) -> dict[str, float | None]:
    """Those settings of `Sampling` that a model of any kind, which has been loaded before, has its own values of."""
    from ..pipelines import backbones
    from ..pipelines.multiview import MultiViewPipeline

    if is_backbone(model):
        return backbones.sampling_defaults(locate_model(model), controlnet)
    return MultiViewPipeline.sampling_defaults(model)
