"""What is asked of a pipeline: which views, and how to generate them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from ..errors import InputError
from .geometry import Scenery


@dataclass(frozen=True, eq=False)
class Task:
    """Which views to generate.

    Attributes:
        views: m views.
        keys: m entries, the image of a view that is given, (h, w, 3) float32 0..1, or None.
    """

    views: Scenery
    keys: tuple[np.ndarray | None, ...]


@dataclass(frozen=True, eq=False)
class Request:
    """How to generate them; see `MVDiffusionPipeline.__call__`."""

    prompt: str | Sequence[str]
    negative_prompt: str | Sequence[str] | None
    steps: int
    guidance_scale: float
    generator: torch.Generator | None
    latents: torch.Tensor | None
    correspondence: bool
    shared_noise: bool
    fusion: bool
    joint_views: int
    eta: float
    control_scale: float
    on_step_end: Callable | None
    callback_inputs: tuple[str, ...]

    def check(self, levels: int) -> None:
        """Raises InputError for what annotations do not tell; the scheduler knows so many noise levels."""
        if set(self.callback_inputs) - {"latents"}:
            raise InputError(f"callback_on_step_end_tensor_inputs {list(self.callback_inputs)}: only latents is there")
        if self.on_step_end is not None and not callable(self.on_step_end):
            raise InputError(f"callback_on_step_end is a {type(self.on_step_end).__name__}; pass a function")
        if not 1 <= self.steps <= levels:
            raise InputError(f"num_inference_steps {self.steps} is out of range; pass 1 to {levels}")
        if self.generator is not None and not isinstance(self.generator, torch.Generator):
            raise InputError(f"generator is a {type(self.generator).__name__}; pass one torch.Generator for all views")
