"""Which pipelines of diffusers are controlled by depth, how they are told it, and whether their parts fit."""

from collections.abc import Mapping
from inspect import Parameter, signature
from typing import Any, Literal

from diffusers import ModelMixin
from diffusers.pipelines.pipeline_utils import DiffusionPipeline
from PIL import Image

from ..errors import InputError
from ..views.viewset import ViewSet
from .conditioning import control_image
from .latent_layout import PATCH

# Arguments of pipelines that repaint an image, rather than make one.
_REPAINTING = ("strength", "mask_image", "control_mask")
_UNION_DEPTH = 2  # what FLUX's union ControlNets, which know several kinds of image, call depth
# What a ControlNet has in common with the network that it was made for, besides the class.
_ALIKE = {
    "unet": ("cross_attention_dim", "block_out_channels"),
    "transformer": (
        *("joint_attention_dim", "pooled_projection_dim", "num_attention_heads", "attention_head_dim"),
        *("dim", "n_heads"),
    ),
}


def check_depth_control(pipe: DiffusionPipeline) -> None:
    """Raises InputError for a pipeline that is not controlled by depth, or by a ControlNet of another base."""
    name, arguments = type(pipe).__name__, call_arguments(pipe)
    control = getattr(pipe, "controlnet", None)
    if hasattr(control, "nets"):
        raise InputError(f"{name}: has {len(control.nets)} ControlNets; pass one with a single ControlNet for depth")
    depth = "control_image" in arguments if control is None else {"control_image", "image"} & arguments.keys()
    missing = control is None and ("controlnet" in getattr(pipe, "config", {}) or _takes_latents_alone(pipe))
    if not depth or missing or "latents" not in arguments or any(word in arguments for word in _REPAINTING):
        raise InputError(
            f"{name}: has no depth control; pass a pipeline with a depth ControlNet that makes images from text, such "
            "as FluxControlNetPipeline"
        )
    if control is not None:
        kind = "transformer" if hasattr(pipe, "transformer") else "unet"
        check_controlnet(control, getattr(pipe, kind), kind)


def check_controlnet(control: ModelMixin, base: ModelMixin, kind: Literal["unet", "transformer"]) -> None:
    """Raises InputError for a ControlNet that was made for another network than `base`."""
    for key in _ALIKE[kind]:
        theirs, ours = control.config.get(key), base.config.get(key)
        if None not in (theirs, ours) and _plain(theirs) != _plain(ours):
            raise InputError(
                f"the ControlNet was made for another base: its {key} is {_plain(theirs)}, the {kind}'s "
                f"{_plain(ours)}; pass one for this model"
            )


def call_arguments(pipe: DiffusionPipeline) -> Mapping[str, Parameter]:
    """What calling a pipeline takes, by name."""
    return signature(type(pipe).__call__).parameters


def depth_arguments(pipe: DiffusionPipeline, views: ViewSet) -> dict[str, Any]:
    """What a pipeline is told of n views: a control image for each, near is bright, and their size."""
    images = (control_image(views.depth).permute(0, 2, 3, 1).numpy() * 255).round().astype("uint8")
    width, height = views.size
    name = "control_image" if "control_image" in call_arguments(pipe) else "image"
    told = {name: [Image.fromarray(image) for image in images], "width": width, "height": height}
    if getattr(getattr(pipe, "controlnet", None), "union", False):
        told["control_mode"] = _UNION_DEPTH
    return told


def _takes_latents_alone(pipe: DiffusionPipeline) -> bool:
    """Whether a pipeline's transformer has no channels for a control image beside its latents."""
    if not hasattr(pipe, "transformer") or getattr(pipe, "vae", None) is None:
        return False
    latent = pipe.vae.config.get("latent_channels") or pipe.vae.config.get("z_dim") or 0
    cells = PATCH**2 if hasattr(pipe, "_pack_latents") else 1
    return pipe.transformer.config.get("in_channels") == latent * cells


def _plain(value):
    """A value of a configuration, whichever kind of sequence it was kept as."""
    return list(value) if isinstance(value, list | tuple) else value
