"""Models that are pipelines of diffusers and know nothing of several views, as a job loads them."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..bundled import locate_model
from ..errors import InputError

if TYPE_CHECKING:
    import torch

    from ..pipelines import ConsistentViews

_OF_UNETS = ("panorama", "mvdiffusion_checkpoint", "paint")  # options that are for Stable Diffusion with a UNet alone


def is_backbone(model: str) -> bool:
    """Whether a model is one for `ConsistentViews`."""
    from ..pipelines.backbones import has_transformer

    return has_transformer(locate_model(model))


def load_consistent_views(options: Mapping[str, Any], device: "torch.device") -> "ConsistentViews":
    """The pipeline that options, by the names of `Generation`, ask for, on a device; in bfloat16 on a GPU, as these are
    trained: some of them overflow in float16.

    Raises:
        InputError: a model or ControlNet that is not there, or does not fit; options that are for other models.
    """
    import torch

    from ..pipelines import ConsistentViews
    from ..pipelines.loading import quiet_loading

    for name in _OF_UNETS:
        if options[name]:
            option = f"--{name.replace('_', '-')}"
            raise InputError(f"{option}: needs a Stable Diffusion with a UNet, which {options['model']} is not")
    half = {"dtype": torch.bfloat16} if device.type == "cuda" else {}
    with quiet_loading():
        pipe = ConsistentViews.from_pretrained(options["model"], options["controlnet"], **half).to(device)
    if options["upscale"] > 1:
        pipe.upscale_factor(options["upscale"])
    return pipe


def sampling_defaults(model: str, controlnet: str | None) -> dict[str, float | None]:
    """Those settings of `Sampling` that a model of any kind, which has been loaded before, has its own values of."""
    from ..pipelines import backbones
    from ..pipelines.multiview import MultiViewPipeline

    if is_backbone(model):
        return backbones.sampling_defaults(locate_model(model), controlnet)
    return MultiViewPipeline.sampling_defaults(model)
