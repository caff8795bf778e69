"""Latents of all views of a task: noise, windows, and the denoising of each."""

from collections.abc import Callable

import numpy as np
import torch

from ..errors import InputError
from ..models import MultiViewUNet
from ..models.multiview_unet import base_unet
from ..models.patch_unet import patch_size
from .denoise import Inputs, Part, denoise_views
from .depth_condition import control_image
from .fusion import Fusion
from .geometry import Scenery
from .guide import make_guide
from .noise import draw_noise, share_noise, view_generators
from .prompts import embed, one_per_view
from .request import Request, Task
from .windows import Window, noise_turns


def generate(pipe, task: Task, request: Request, known: dict[int, torch.Tensor]) -> torch.Tensor:
    """Clean latents (m, c, h, w) of all views, in their order.

    Args:
        pipe: the pipeline.
        known: latents (c, h, w) of the views that are given.

    Raises:
        InputError: views, prompts or latents that do not fit.
    """
    views, factor = task.views, pipe.vae_scale_factor
    multiview = isinstance(pipe.unet, MultiViewUNet) and request.correspondence
    released = multiview and pipe.config.convention == "mvdiffusion"
    views.check(factor, 64 if released else factor * patch_size(base_unet(pipe.unet)))
    width, height = views.size
    device, dtype = pipe._execution_device, pipe.unet.dtype

    surface = views.surface
    guide = make_guide(surface, pipe.guide_channels, factor).to(device, dtype) if pipe.takes_depth else None

    def run(part: Part) -> torch.Tensor:
        control = None
        if pipe.controlnet is not None and surface is not None:
            control = control_image(surface.depth[part.which]).to(device, dtype)
        together = multiview and len(part.which) > 1
        inputs = Inputs(
            embeddings=part.embeddings,
            guide=None if guide is None else guide[part.which],
            control=control,
            image_size=(height, width),
            correspondence=views.attended(part.which, pipe.config.convention).to(device) if together else None,
        )
        return denoise_views(pipe, part, inputs, request)

    return run_windows(pipe, views, request, (height // factor, width // factor), known, run)


def run_windows(
    pipe,
    views: Scenery,
    request: Request,
    size: tuple[int, int],
    known: dict[int, torch.Tensor],
    run: Callable[[Part], torch.Tensor],
) -> torch.Tensor:
    """Latents (m, c, h, w) of all views, in their order: window after window, from noise that they share.

    Args:
        pipe: the pipeline.
        views: m views.
        size: (h, w) of the latents.
        known: latents (c, h, w) of the views that are given.
        run: denoises the views of a window.

    Raises:
        InputError: prompts or latents that do not fit.
    """
    m = len(views)
    prompts = one_per_view(request.prompt, m, "prompt")
    guided = request.guidance_scale > 1
    negative = one_per_view(request.negative_prompt or "", m, "negative_prompt")
    device, dtype = pipe._execution_device, pipe.unet.dtype
    embeddings = embed(pipe, prompts, negative if guided else None, device)
    shape = (pipe.vae.config.latent_channels, *size)

    # In this order whatever the caller's: sums over views and windows come out the same.
    order = sorted(range(m), key=lambda i: (views.names[i], views.keys[i]))
    places = views.places(order)
    given = [i in known for i in order]
    plan = views.plan(given, places, request.joint_views)
    seed = _seed(request.generator)
    noise = _start(request, shape, m, device)
    if noise is None:
        noise = draw_noise(seed, [views.keys[i] for i in order], shape)
        if request.shared_noise:
            turns = noise_turns(plan, [i for i in range(m) if given[i]], request.joint_views)
            noise = share_noise(noise, places, turns)
        noise = noise[np.argsort(order)]
    latents = torch.zeros((m, *shape), dtype=dtype, device=device)
    for i, value in known.items():
        latents[i] = value.to(dtype)
    windows = [Window(tuple(order[i] for i in w.views), frozenset(order[i] for i in w.given)) for w in plan]
    pipe._num_timesteps = request.steps * len(windows)
    with pipe.progress_bar(total=pipe._num_timesteps) as bar:
        for number, window in enumerate(windows):
            which = list(window.views)
            given = torch.tensor([i in window.given for i in which], device=device)
            fusion = None
            if request.fusion and len(which) > 1:
                among = places if which == order else views.places(which)
                fusion = Fusion(among.to(device), size, given, views.fused_share)
            part = Part(
                which=which,
                noise=noise[which].to(device, dtype),
                known=latents[which],
                given=given,
                embeddings=embeddings.at(which),
                fusion=fusion,
                generators=view_generators(seed + 1, [views.keys[i] for i in which]),
                on_step=_stepper(pipe, bar, number * request.steps, request),
            )
            latents[which] = run(part)
            if pipe.interrupt:
                break
    return latents


def _stepper(pipe, bar, first: int, request: Request):
    """What happens after each step of a window: progress, and the caller's callback."""

    def on_step(step: int, t: torch.Tensor, latents: torch.Tensor) -> torch.Tensor | None:
        bar.update()
        if request.on_step_end is not None:
            tensors = {"latents": latents} if request.callback_inputs else {}
            latents = (request.on_step_end(pipe, first + step, t, tensors) or {}).get("latents", latents)
        return None if pipe.interrupt else latents

    return on_step


def _seed(generator: torch.Generator | None) -> int:
    device = "cpu" if generator is None else generator.device
    return int(torch.randint(2**62, (), generator=generator, device=device))


def _start(request: Request, shape: tuple[int, int, int], m: int, device) -> torch.Tensor | None:
    """The caller's own noise, checked."""
    if request.latents is None:
        return None
    if tuple(request.latents.shape) != (m, *shape):
        raise InputError(f"latents are {tuple(request.latents.shape)}, but the views need {(m, *shape)}")
    return request.latents.to(device)
