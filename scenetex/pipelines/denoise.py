"""Denoising of one window of views: the scheduler's steps, guidance, anchors and fusion."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from diffusers import ControlNetModel, DDIMScheduler, DDPMScheduler, UNet2DConditionModel
from diffusers.schedulers import SchedulerMixin

from ..correspondence import Correspondence
from ..models import MultiViewUNet
from ..models.multiview_unet import base_unet, is_multiview, of_each, uncompiled
from .latent_fusion import Fusion, noise_level
from .noise import DrawnNoise, taken
from .prompts import Embeddings
from .region_prompts import RegionInputs
from .schedulers import check_steps
from .task import Request

_MEMORYLESS = (DDIMScheduler, DDPMScheduler)  # go by the timestep alone: they can begin anywhere
_JUMPS = (0.35, 0.6)  # of the steps, from which views that are known in part are painted again


@dataclass(frozen=True, eq=False)
class Part:
    """n of the views, which are denoised together; tensors are on the device that computes.

    Attributes:
        which: (n,) the views' numbers, ascending by frame id.
        noise: (n, c, h, w) N(0, 1), to start from.
        anchors: (n, c, h, w) latents of what is there already; anything elsewhere.
        known: (n, 1, h, w) bool, which cells those are: all of an anchor's, part of other views'.
        embeddings: of the prompts, with guidance negative ones before them.
        fusion: None = off.
        generators: one per view, for schedulers that draw noise at every step.
        shared: tells which cell's noise each cell takes of what is drawn then, see `noise_source`; None = its own.
        on_step: called with step, timestep and latents after each step; returns the latents to go on with, or None to
            stop.
    """

    which: list[int]
    noise: torch.Tensor
    anchors: torch.Tensor
    known: torch.Tensor
    embeddings: Embeddings
    fusion: Fusion | None
    generators: list[torch.Generator]
    shared: Callable[[], np.ndarray] | None
    on_step: Callable[[int, torch.Tensor, torch.Tensor], torch.Tensor | None]

    @property
    def partial(self) -> bool:
        """Whether some view is there in part."""
        of_view = self.known.flatten(1)
        return bool((of_view.any(1) & ~of_view.all(1)).any())

    def draw(self, like: torch.Tensor) -> torch.Tensor:
        """Noise N(0, 1) of a step, (n, c, h, w), in the precision and on the device of `like`."""
        noise = torch.stack([torch.randn(like.shape[1:], generator=generator) for generator in self.generators])
        return (noise if self.shared is None else taken(noise, self.shared())).to(like)


@dataclass(frozen=True, eq=False)
class Inputs:
    """What the multi-view UNet sees beside the noisy latents of n views, on the device that computes.

    Attributes:
        embeddings: of the prompts, with guidance negative ones before them.
        guide: (n, g, h, w), what a depth UNet is told about the surface, or None.
        control: (n, 3, H, W) for a ControlNet, or None.
        image_size: (width, height), pixels.
        correspondence: what the UNet attends along, or None.
        regions: texts that act on some pixels instead of the prompt, or None.
        looked_at: what an IP-Adapter is told of images, see `embed_images`, the same for all views; or None.
    """

    embeddings: Embeddings
    guide: torch.Tensor | None
    control: torch.Tensor | None
    image_size: tuple[int, int]
    correspondence: Correspondence | None
    regions: RegionInputs | None = None
    looked_at: list[torch.Tensor] | None = None


@dataclass(frozen=True, eq=False)
class Denoiser:
    """The parts of a pipeline that denoise.

    Attributes:
        unet: a `MultiViewUNet`, or any Stable Diffusion UNet.
        scheduler: any of diffusers'.
        controlnet: a depth ControlNet, or None.
        empty_condition: the condition branch gets zeros where nothing is there already, not nothing at all.
        partial_condition: the condition branch was trained on views that are there in part, too; without it is told of
            whole ones alone.
        guided_blocks: the negative half of guidance goes without correspondence blocks, so that guidance makes more of
            these as it does of the prompt.
    """

    unet: MultiViewUNet | UNet2DConditionModel
    scheduler: SchedulerMixin
    controlnet: ControlNetModel | None
    empty_condition: bool
    partial_condition: bool
    guided_blocks: bool

    def denoise(self, part: Part, inputs: Inputs, request: Request) -> torch.Tensor:
        """Clean latents (n, c, h, w)."""
        condition = self.condition(part)
        # With a condition branch, anchors are generated again, as the model has learned it. Without one, their latents
        # with as much noise as the others stand in for them; fusion needs them exact, too.
        exact = part.fusion is not None or condition is None or part.partial

        def predict(x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
            return self.predict(x, t, inputs, condition, request)

        return denoise(self.scheduler, part, predict, request, exact)

    def condition(self, part: Part) -> torch.Tensor | None:
        """(1, n, c + 1, h, w) for the condition branch: anchors' latents and masks, zeros for views to be generated."""
        branch = is_multiview(self.unet) and self.unet.condition_branch is not None
        if not branch or not (part.known.any() or self.empty_condition):
            return None
        known = part.known if self.partial_condition else part.known.all((1, 2, 3), keepdim=True).expand_as(part.known)
        mask = known.to(part.anchors.dtype)
        return torch.cat([torch.where(mask > 0, part.anchors, 0), mask], 1)[None]

    def predict(
        self, x: torch.Tensor, t: torch.Tensor, inputs: Inputs, condition: torch.Tensor | None, request: Request
    ) -> torch.Tensor:
        """The guided model output (m, c, h, w) for scaled noisy latents."""

        def output(embeddings: Embeddings) -> torch.Tensor:
            return self._output(x, t, replace(inputs, embeddings=embeddings), condition, request)

        if inputs.regions is None:
            return guided(output(inputs.embeddings), request)
        networks = [base_unet(self.unet), *([] if inputs.control is None else [uncompiled(self.controlnet)])]
        return guided(inputs.regions.predict(networks, output, inputs.embeddings), request)

    def _output(
        self, x: torch.Tensor, t: torch.Tensor, inputs: Inputs, condition: torch.Tensor | None, request: Request
    ) -> torch.Tensor:
        """The model's output (g, m, c, h, w) of its guidance halves for scaled noisy latents."""
        hidden, m = inputs.embeddings.hidden, len(x)
        halves = len(hidden)
        added, looked_at = _added(inputs, halves), _looked_at(inputs, halves, m)
        sample = x[None].expand(halves, *x.shape)
        unet, control = self.unet, self.controlnet
        if inputs.regions is not None:  # hooks, by which regions come in, are nothing that compiled networks look at
            unet, control = uncompiled(unet), uncompiled(control)
        residuals, middle = None, None
        if inputs.control is not None:
            residuals, middle = control(
                sample.flatten(0, 1),
                t,
                encoder_hidden_states=hidden.flatten(0, 1),
                controlnet_cond=inputs.control.repeat(halves, 1, 1, 1),
                conditioning_scale=request.controlnet_conditioning_scale,
                added_cond_kwargs=of_each(added),
                return_dict=False,
            )
        if inputs.guide is not None:
            sample = torch.cat([sample, inputs.guide[None].expand(halves, -1, -1, -1, -1)], 2)
        if is_multiview(self.unet):
            return unet(
                sample,
                t.reshape(1, 1).expand(halves, m),
                hidden,
                correspondence=inputs.correspondence,
                condition=None if condition is None else condition.expand(halves, *condition.shape[1:]),
                added_cond_kwargs={**(added or {}), **looked_at} or None,
                down_block_additional_residuals=residuals and tuple(r.unflatten(0, (halves, m)) for r in residuals),
                mid_block_additional_residual=None if middle is None else middle.unflatten(0, (halves, m)),
                apart=halves - 1 if self.guided_blocks else 0,
                return_dict=False,
            )[0]
        return unet(
            sample.flatten(0, 1),
            t,
            hidden.flatten(0, 1),
            added_cond_kwargs=of_each({**(added or {}), **looked_at} or None),
            down_block_additional_residuals=residuals,
            mid_block_additional_residual=middle,
            return_dict=False,
        )[0].unflatten(0, (halves, m))


def guided(output: torch.Tensor, request: Request) -> torch.Tensor:
    """The model's output (m, ...) of its guidance halves (1 or 2, m, ...), the negative prompts' first."""
    if len(output) == 1:
        return output[0]
    return output[0] + request.sampling.guidance_scale * (output[1] - output[0])


def denoise(
    scheduler: SchedulerMixin,
    part: Part,
    predict: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    request: Request,
    exact_anchors: bool = True,
) -> torch.Tensor:
    """Clean latents of all views.

    Args:
        scheduler: is started anew.
        predict: the model's output for scaled noisy latents (n, c, h, w) and a timestep.
        request: steps, and `eta` for the schedulers that know it.
        exact_anchors: anchors have to take the course that ends at what they are.

    Returns:
        (n, c, h, w); the anchors' latents as they were.
    """
    accepted = inspect.signature(scheduler.step).parameters
    extra = {"eta": request.eta, "generator": torch.Generator()}
    extra = {name: value for name, value in extra.items() if name in accepted}
    exact_anchors = exact_anchors and bool(part.known.any())
    steps, done = request.sampling.steps, 0
    check_steps(scheduler, steps)
    for first in starts(scheduler, part, steps):
        scheduler.set_timesteps(steps, device=part.noise.device)
        timesteps = scheduler.timesteps
        if first == 0:
            latents = part.noise * scheduler.init_noise_sigma
        else:
            if not isinstance(scheduler, _MEMORYLESS):
                scheduler.set_begin_index(first)
            latents = scheduler.add_noise(latents, part.noise, timesteps[first : first + 1])
        for step in range(first, len(timesteps)):
            t = timesteps[step]
            x = scheduler.scale_model_input(latents, t)
            output = predict(x, t)
            if part.fusion is not None or exact_anchors:
                level = noise_level(scheduler, step, t)
                if exact_anchors:
                    exact = level.output(x.float(), part.anchors.float()).to(output.dtype)
                    output = torch.where(part.known, exact, output)
                if part.fusion is not None:
                    output = part.fusion.apply(x, output, level, part.fusion.is_coarse(scheduler, step, t))
            with DrawnNoise(latents.shape, part.draw):
                latents = scheduler.step(output, t, latents, **extra, return_dict=False)[0]
            go_on = part.on_step(done, t, latents)
            if go_on is None:
                return torch.where(part.known, part.anchors, latents)
            latents, done = go_on, done + 1
        latents = torch.where(part.known, part.anchors, latents)
    return latents


def starts(scheduler: SchedulerMixin, part: Part, steps: int) -> list[int]:
    """The steps at which denoising starts: at the first, and where views are there in part, again at later ones, for
    which what was made gets noise anew: what is painted comes to fit what is known (as in RePaint, Lugmayr et al. 2022,
    section 4.2, in few long jumps). Schedulers that cannot begin in between start once."""
    jumps = part.partial and (hasattr(scheduler, "set_begin_index") or isinstance(scheduler, _MEMORYLESS))
    return [0, *(first for first in (round(share * steps) for share in _JUMPS) if jumps and 0 < first < steps)]


def _looked_at(inputs: Inputs, halves: int, views: int) -> dict[str, list[torch.Tensor]]:
    """What the UNet is told of images, by the name that it has for it; nothing without IP-Adapter. Texts of regions
    have no negative half."""
    if inputs.looked_at is None:
        return {}
    return {"image_embeds": [e[-halves:, None].expand(-1, views, *e.shape[1:]) for e in inputs.looked_at]}


def _added(inputs: Inputs, halves: int) -> dict[str, torch.Tensor] | None:
    """What Stable Diffusion XL is told beside the prompt: the pooled embedding and the size of an uncropped image."""
    pooled = inputs.embeddings.pooled
    if pooled is None:
        return None
    width, height = inputs.image_size
    ids = torch.tensor([height, width, 0, 0, height, width], dtype=pooled.dtype, device=pooled.device)
    return {"text_embeds": pooled, "time_ids": ids.expand(*pooled.shape[:2], -1)}
