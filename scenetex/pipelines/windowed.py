"""Latents of many views: window after window, from noise that they share."""

from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial

import torch
from diffusers.pipelines.pipeline_utils import DiffusionPipeline
from tqdm import tqdm

from ..errors import InputError
from ..models.multiview_unet import base_unet
from ..sampling import Sampling
from .denoise import Part, starts
from .noise import view_generators
from .prompts import EMBEDS, Embeddings, TextEncoder, embed, for_each_view, one_per_view
from .scene_views import Plan, Scenery, fusion_of, shared_cells
from .task import Request


class WindowedPipeline(DiffusionPipeline):
    """Denoises views in windows, of which each holds views of those before it; the parts are those of
    `MultiViewPipeline`."""

    def encode_prompt(
        self,
        prompt: str | Sequence[str],
        negative_prompt: str | Sequence[str] | None = None,
        do_classifier_free_guidance: bool = True,
        device: torch.device | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor | None, torch.Tensor | None, torch.Tensor | None]:
        """Embeddings of prompts, as calling the pipeline takes them; prompts longer than the encoders read at once are
        read in parts.

        Args:
            prompt, negative_prompt: n texts, or one.
            do_classifier_free_guidance: whether negative embeddings are wanted.
            device: default: where the pipeline computes.

        Returns:
            As diffusers' Stable Diffusion XL pipelines: `prompt_embeds` (n, l, d), `negative_prompt_embeds` (n, l, d),
            `pooled_prompt_embeds` (n, p), `negative_pooled_prompt_embeds` (n, p). Negative ones are None without
            guidance, pooled ones for models with one text encoder.

        Raises:
            InputError: something that is not text, or not as many negative prompts.
        """
        count = len(prompt) if isinstance(prompt, Sequence) and not isinstance(prompt, str) else 1
        prompts = one_per_view(prompt, count, "prompt")
        negative = one_per_view(negative_prompt or "", len(prompts), "negative_prompt")
        pairs = [(self.tokenizer, self.text_encoder), (self.tokenizer_2, self.text_encoder_2)]
        encoders = [TextEncoder(tokenizer, model) for tokenizer, model in pairs if model is not None]
        negative = negative if do_classifier_free_guidance else None
        found = embed(encoders, prompts, negative, device or self._execution_device)
        halves = []
        for both in (found.hidden, found.pooled):
            both = None if both is None else both.to(self.unet.dtype)
            halves += [None if both is None else both[-1], None if both is None or negative is None else both[0]]
        return tuple(halves)

    def prepare_latents(
        self, views: Scenery, plan: Plan, shape: tuple[int, int, int], sampling: Sampling, latents: torch.Tensor | None
    ) -> torch.Tensor:
        """The noise N(0, 1) that views start from, (m, c, h, w); the scheduler scales it.

        Args:
            views: m views.
            plan: the way through them.
            shape: (c, h, w) of a view's latents.
            sampling: the seed, and whether views share their noise.
            latents: the caller's own noise, to take as it is.

        Raises:
            InputError: noise of another shape.
        """
        if latents is None:
            return plan.noise(views.noise_seeds, shape, sampling)
        if tuple(latents.shape) != (len(views), *shape):
            raise InputError(f"latents are {tuple(latents.shape)}, but the views need {(len(views), *shape)}")
        return latents.to(self._execution_device)

    def _window_by_window(
        self,
        views: Scenery,
        request: Request,
        shape: tuple[int, int],
        anchors: Mapping[int, torch.Tensor],
        denoise: Callable[[Part], torch.Tensor],
        partly: Mapping[int, tuple[torch.Tensor, torch.Tensor]] | None = None,
    ) -> torch.Tensor:
        """Latents (m, c, h, w) of all views, in their order: window after window, from noise that they share.

        Args:
            views: m views.
            shape: (h, w) of the latents.
            anchors: latents (c, h, w) of the views that are there already.
            denoise: gives the clean latents of the views of a window.
            partly: latents (c, h, w) of views of which some cells are there already, and which those are, (h, w) bool.

        Raises:
            InputError: prompts or latents that do not fit.
        """
        device, dtype, sampling = self._execution_device, self.unet.dtype, request.sampling
        embeddings = self._embeddings(request, len(views))
        shape = (self.vae.config.latent_channels, *shape)
        plan = Plan.of(views, anchors, request.joint_views)
        noise = self.prepare_latents(views, plan, shape, sampling, request.latents)
        latents = torch.zeros((len(views), *shape), dtype=dtype, device=device)
        for i, value in anchors.items():
            latents[i] = value.to(dtype)
        known = torch.zeros((len(views), 1, *shape[1:]), dtype=torch.bool, device=device)
        for i, (value, cells) in (partly or {}).items():
            latents[i], known[i, 0] = value.to(dtype), cells.to(device)
        self._num_timesteps = sampling.steps * len(plan.windows)
        with self.progress_bar(total=self._num_timesteps) as bar:
            begun = 0
            for window in plan.windows:
                which = list(window.views)
                there = known[which]
                there[[i in window.anchors for i in which]] = True
                shared = partial(shared_cells, views, plan, which, shape[1:], window.anchors)
                part = Part(
                    which=which,
                    noise=noise[which].to(device, dtype),
                    anchors=latents[which],
                    known=there,
                    embeddings=embeddings.at(which),
                    fusion=fusion_of(views, plan, which, shape[1:], there) if sampling.fusion else None,
                    generators=view_generators(sampling.seed + 1, [views.noise_seeds[i] for i in which]),
                    shared=cache(shared) if sampling.shared_noise and len(which) > 1 else None,
                    on_step=partial(self._after_step, request, bar, begun),
                )
                again = sum(sampling.steps - first for first in starts(self.scheduler, part, sampling.steps)[1:])
                begun += sampling.steps + again
                bar.total = self._num_timesteps = self._num_timesteps + again
                latents[which] = denoise(part)
                if self.interrupt:
                    break
        return latents

    def _embeddings(self, request: Request, views: int) -> Embeddings:
        """For each view the embeddings that were passed, and for what was not, those of the texts."""
        prompts, negative = request.texts(views)
        wanted = [name for name in EMBEDS if request.sampling.guided or "negative" not in name]
        if self.text_encoder_2 is None:
            wanted = [name for name in wanted if "pooled" not in name]
        embeds = {name: getattr(request, name) for name in wanted}
        guided = request.sampling.guided and negative is not None
        if prompts is not None or guided:
            made = self.encode_prompt(prompts or [""] * views, negative, guided)
            for name, value in zip(EMBEDS, made, strict=True):
                if name in embeds and (negative if "negative" in name else prompts) is not None:
                    embeds[name] = value
        found = for_each_view(embeds, views, base_unet(self.unet).config.cross_attention_dim)
        return found.to(self._execution_device, self.unet.dtype)

    def _after_step(
        self, request: Request, bar: tqdm, first: int, step: int, t: torch.Tensor, latents: torch.Tensor
    ) -> torch.Tensor | None:
        """What happens after each step of a window: progress, and the caller's callback."""
        bar.update()
        callback = request.callback_on_step_end
        if callback is not None:
            tensors = {"latents": latents} if request.callback_on_step_end_tensor_inputs else {}
            latents = (callback(self, first + step, t, tensors) or {}).get("latents", latents)
        return None if self.interrupt else latents

    @property
    def interrupt(self) -> bool:
        """Set `pipe._interrupt = True` in a callback to stop after that step."""
        return self._interrupt

    @property
    def num_timesteps(self) -> int:
        """Steps of the last call, over all windows."""
        return self._num_timesteps
