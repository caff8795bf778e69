"""What is asked of a pipeline: which views, and how to generate them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
import torch

from ..errors import InputError
from ..sampling import KEYWORDS, MODELS_OWN, Sampling
from .images import picture
from .known_pixels import Known, partly_known
from .prompts import EMBEDS, one_per_view
from .region_prompts import RegionPrompts
from .scene_views import Scenery


@dataclass(frozen=True, eq=False)
class Task:
    """Which views to generate.

    Attributes:
        views: m views.
        anchors: m entries, the image of a view that is there already, (h, w, 3) float32 0..1, or None.
        partly: views of which some pixels are there already, by number.
        regions: texts that act on some pixels instead of the prompt, or None.
    """

    views: Scenery
    anchors: tuple[np.ndarray | None, ...]
    partly: Mapping[int, Known] = field(default_factory=dict)
    regions: RegionPrompts | None = None

    @classmethod
    def of(
        cls,
        views: Scenery,
        images: Sequence[Any] | np.ndarray | None,
        known: Sequence[np.ndarray | None] | np.ndarray | None,
        regions: RegionPrompts | None = None,
    ) -> "Task":
        """What a call of a pipeline asks for.

        Args:
            images: m entries, the anchors, (h, w, 3) uint8, float 0..1 or PIL, None for the others; None = none at all.
            known: m masks (h, w) bool, which pixels of `images` are there; None = all of an image.

        Raises:
            InputError: images or masks that do not match the views.
        """
        anchors = [None] * len(views) if images is None else list(images)
        if len(anchors) != len(views):
            raise InputError(
                f"{len(anchors)} images for {len(views)} views; pass one image per view, None where there is none"
            )
        anchors = [None if image is None else picture(image, views.size, i) for i, image in enumerate(anchors)]
        partly = {} if known is None else partly_known(anchors, known)
        return cls(views, tuple(None if i in partly else image for i, image in enumerate(anchors)), partly, regions)


@dataclass(frozen=True, eq=False)
class Request:
    """How to generate them; see `MVDiffusionPipeline.__call__`, whose names these are.

    Attributes:
        sampling: with steps and guidance; its seed is drawn from the caller's generator.
    """

    sampling: Sampling
    prompt: str | Sequence[str] | None
    negative_prompt: str | Sequence[str] | None
    prompt_embeds: torch.Tensor | None
    negative_prompt_embeds: torch.Tensor | None
    pooled_prompt_embeds: torch.Tensor | None
    negative_pooled_prompt_embeds: torch.Tensor | None
    ip_adapter_image: Any
    ip_adapter_image_embeds: Sequence[torch.Tensor] | None
    latents: torch.Tensor | None
    joint_views: int
    eta: float
    controlnet_conditioning_scale: float
    callback_on_step_end: Callable | None
    callback_on_step_end_tensor_inputs: Sequence[str]

    @classmethod
    def of(cls, arguments: Mapping[str, object], config: Mapping[str, object]) -> "Request":
        """What a call of a pipeline asks for.

        Args:
            arguments: of the call, by name; those that are no part of a request are passed over.
            config: of the pipeline, with its own steps and guidance, which hold where the call gives none.

        Raises:
            InputError: something that is no generator.
        """
        settings = {**arguments, "seed": draw_seed(arguments["generator"])}
        for name, keyword in KEYWORDS.items():
            settings[name] = config[MODELS_OWN[name]] if arguments[keyword] is None else arguments[keyword]
        named = {f.name: arguments[f.name] for f in fields(cls) if f.name != "sampling"}
        return cls(sampling=Sampling.of(settings), **named)

    def texts(self, views: int) -> tuple[list[str] | None, list[str] | None]:
        """Prompts and negative prompts, one per view; None for those that come as embeddings instead.

        Raises:
            InputError: both of a kind, or texts that are neither one nor one per view.
        """
        for name in ("prompt", "negative_prompt"):
            if getattr(self, name) is not None and getattr(self, f"{name}_embeds") is not None:
                raise InputError(f"{name} and {name}_embeds: pass one of the two")
        prompts = one_per_view(self.prompt, views, "prompt") if self.prompt_embeds is None else None
        if self.negative_prompt_embeds is not None:
            return prompts, None
        return prompts, one_per_view(self.negative_prompt or "", views, "negative_prompt")

    def of_first(self, views: int) -> "Request":
        """The same for other views, all of them as the first one was asked for."""
        first = {}
        for name in ("prompt", "negative_prompt"):
            given = getattr(self, name)
            first[name] = given if given is None or isinstance(given, str) else given[0]
        for name in EMBEDS:
            given = getattr(self, name)
            first[name] = None if given is None else given[:1]
        return replace(self, **first, latents=None, joint_views=views)

    def check(self, levels: int) -> None:
        """Raises InputError for what annotations do not tell; the scheduler knows so many noise levels."""
        inputs, callback = list(self.callback_on_step_end_tensor_inputs), self.callback_on_step_end
        if set(inputs) - {"latents"}:
            raise InputError(f"callback_on_step_end_tensor_inputs {inputs}: only latents is there")
        if callback is not None and not callable(callback):
            raise InputError(f"callback_on_step_end is a {type(callback).__name__}; pass a function")
        if not 1 <= self.sampling.steps <= levels:
            raise InputError(f"num_inference_steps {self.sampling.steps} is out of range; pass 1 to {levels}")


def draw_seed(generator: torch.Generator | None) -> int:
    """A seed from a generator, or from torch's own.

    Raises:
        InputError: something else, such as a list of generators.
    """
    if generator is not None and not isinstance(generator, torch.Generator):
        raise InputError(f"generator is a {type(generator).__name__}; pass one torch.Generator for all views")
    device = "cpu" if generator is None else generator.device
    return int(torch.randint(2**62, (), generator=generator, device=device))
