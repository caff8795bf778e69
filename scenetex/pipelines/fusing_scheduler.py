"""A scheduler that lets views agree in each step, whoever runs the steps."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import wraps

import numpy as np
import torch
from diffusers.pipelines.pipeline_utils import DiffusionPipeline
from diffusers.schedulers import SchedulerMixin

from .latent_fusion import Fusion, noise_level
from .latent_layout import LatentLayout
from .noise import DrawnNoise, taken


class FusingScheduler:
    """A scheduler of diffusers, of which only `step` is another: before it, known cells take the course that ends at
    what they are, and views that show the same surface agree on the clean latents they are heading for.

    Everything else is asked of, and set in, the scheduler itself.

    Args:
        scheduler: any of diffusers' with noise levels, see `noise_level`; one that starts anew.
        layout: of the latents that it is handed.
        anchors: (n, c, h, w) latents of what is there already; anything elsewhere.
        known: (n, 1, h, w) bool, which cells those are.
        fusion: of the n views; None = off.
        shared: tells which cell's noise each cell takes of what a step draws, see `noise_source`; None = its own.

    Attributes:
        latents: (n, c, h, w) float32 as the last step left them, known cells as they are.
    """

    def __init__(
        self,
        scheduler: SchedulerMixin,
        layout: LatentLayout,
        anchors: torch.Tensor,
        known: torch.Tensor,
        fusion: Fusion | None,
        shared: Callable[[], np.ndarray] | None = None,
    ):
        steps = 0
        given, real_step = (anchors.float(), known), scheduler.step

        def share(noise: torch.Tensor) -> torch.Tensor:
            return layout.from_grid(taken(layout.to_grid(noise), shared()))

        # Pipelines ask for the signature of `step`, which `wraps` makes that of the scheduler.
        @wraps(real_step)
        def step(model_output: torch.Tensor, timestep: torch.Tensor, sample: torch.Tensor, *args, **kwargs):
            nonlocal steps
            output = self._agreed(steps, model_output, timestep, sample)
            steps += 1
            with nullcontext() if shared is None else DrawnNoise(sample.shape, share):
                result = real_step(output, timestep, sample, *args, **kwargs)
            vars(self)["latents"] = torch.where(known, given[0], layout.to_grid(result[0]).float())
            if steps == len(scheduler.timesteps) and known.any():
                # Schedulers that stop above zero leave some noise.
                result[0].copy_(layout.from_grid(self.latents))
            return result

        vars(self).update(_real=scheduler, _layout=layout, _given=given, _fusion=fusion, step=step, latents=None)

    def __getattr__(self, name: str):
        return getattr(self._real, name)

    def __setattr__(self, name: str, value) -> None:
        setattr(self._real, name, value)

    def _agreed(
        self, step: int, model_output: torch.Tensor, timestep: torch.Tensor, sample: torch.Tensor
    ) -> torch.Tensor:
        """The model's output for latents on which the views agree, laid out as it came."""
        real, layout, (anchors, known), fusion = self._real, self._layout, self._given, self._fusion
        if fusion is None and not known.any():
            return model_output
        seen = real.scale_model_input(sample, timestep) if hasattr(real, "scale_model_input") else sample
        x, output = layout.to_grid(seen).float(), layout.to_grid(model_output)
        level = noise_level(real, step, timestep)
        output = torch.where(known, level.output(x, anchors).to(output.dtype), output)
        if fusion is not None:
            output = fusion.apply(x, output, level, fusion.is_coarse(real, step, timestep))
        return layout.from_grid(output)


@contextmanager
def scheduled_by(pipe: DiffusionPipeline, scheduler: FusingScheduler) -> Iterator[None]:
    """A pipeline with another scheduler for a while; neither its configuration nor its own scheduler is changed."""
    own = pipe.scheduler
    try:
        object.__setattr__(pipe, "scheduler", scheduler)
        yield
    finally:
        object.__setattr__(pipe, "scheduler", own)
