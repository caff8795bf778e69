"""Consistent images from any pipeline of diffusers with depth control, whose own loop is left alone."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache, partial
from os import PathLike
from typing import Annotated, Any, Self

import numpy as np
import torch
from diffusers.image_processor import VaeImageProcessor
from diffusers.pipelines.pipeline_utils import DiffusionPipeline, ImagePipelineOutput
from PIL import Image

from ..errors import InputError
from ..limits import GUIDANCE, JOINT, STEPS, checked
from ..sampling import Sampling
from ..views.viewset import ViewSet
from .backbones import load_backbone
from .depth_control import call_arguments, check_depth_control, depth_arguments
from .finishing import finished
from .fusing_scheduler import FusingScheduler, scheduled_by
from .images import OUTPUT_TYPES
from .latent_layout import LatentLayout, latents_of, least_side
from .prompts import one_per_view
from .scene_views import Plan, SceneViews, fusion_of, shared_cells
from .schedulers import check_steps
from .task import Task, draw_seed

_PER_VIEW = ("prompt", "negative_prompt", "pooled_prompt")  # how arguments begin that may have an entry for each view
_OURS = ("control_image", "image", "width", "height", "num_images_per_prompt")  # what the views tell


class ConsistentViews:
    """Generates consistent images of many views of a scene with a pipeline of diffusers that is controlled by depth,
    such as those of Stable Diffusion 3, FLUX, Z-Image and Qwen-Image with a depth ControlNet.

    The pipeline is called as it is: it gets starting noise that views share where they show the same surface, a prompt
    and a depth image for each view, and for the time of the call a scheduler in whose steps the views agree on the
    clean latents they are heading for. Its networks are not changed, and nothing is trained.

    Args:
        pipe: the pipeline; its offloading, adapters, precision and so on stay what they are.

    Attributes:
        reference: what the pipeline's IP-Adapter looks at where a call gives it nothing; None = nothing.

    Raises:
        InputError: a pipeline without depth control, or with a ControlNet of another base.

    Example:
        ::

            control = FluxControlNetModel.from_pretrained("Shakker-Labs/FLUX.1-dev-ControlNet-Depth")
            pipe = FluxControlNetPipeline.from_pretrained("black-forest-labs/FLUX.1-dev", controlnet=control)
            images = ConsistentViews(pipe)("a bedroom with sage green walls", views).images
    """

    def __init__(self, pipe: DiffusionPipeline):
        if not isinstance(pipe, DiffusionPipeline):
            raise InputError(f"pipe is a {type(pipe).__name__}; pass a pipeline of diffusers with depth control")
        check_depth_control(pipe)
        self.pipe = pipe
        self.reference: Any = None

    @classmethod
    def from_pretrained(cls, model: str | PathLike, controlnet: str | PathLike | None = None, **options: Any) -> Self:
        """Loads a pipeline: a folder in diffusers layout or a Hub id, and if that has none, a depth ControlNet beside.

        Args:
            options: of diffusers' `from_pretrained`.

        Raises:
            InputError: a folder or Hub id that cannot be loaded, or is half a model; no depth control; a ControlNet of
                another base.
        """
        return cls(load_backbone(model, controlnet, **options))

    @torch.no_grad()
    @checked
    def __call__(
        self,
        prompt: str | Sequence[str] | None = None,
        views: ViewSet | None = None,
        negative_prompt: str | Sequence[str] | None = None,
        num_inference_steps: Annotated[int | None, STEPS] = None,
        guidance_scale: Annotated[float | None, GUIDANCE] = None,
        generator: torch.Generator | None = None,
        latents: torch.Tensor | None = None,
        images: Sequence[Any] | np.ndarray | None = None,
        known: Sequence[np.ndarray | None] | np.ndarray | None = None,
        correspondence: bool = True,
        shared_noise: bool = True,
        fusion: bool = True,
        joint_views: Annotated[int, JOINT] = 16,
        output_type: str = "np",
        return_dict: bool = True,
        **options: Any,
    ) -> ImagePipelineOutput | tuple[Any, ...]:
        """Images of all views, generated together; with neither shared noise nor fusion nor anything given, the very
        images that the pipeline makes by itself.

        Up to `joint_views` views are denoised at once. Of more, the first ones are; the others follow in windows that
        hold already generated views beside the new ones, as anchors.

        Args:
            prompt, negative_prompt: one for all views, or one per view. Negative ones count where the pipeline is
                guided by them; Qwen-Image is guided only where one is passed, if only " ", or a guidance scale.
            views: m views, from `render_views`, at the size of the images; sides that are multiples of 16, or whatever
                the pipeline needs.
            num_inference_steps, guidance_scale: as in diffusers; default: the pipeline's own. The scale is passed as
                `true_cfg_scale` to pipelines that have one and no distilled guidance.
            generator: what the seed is drawn from; the same state gives the same images, in any order of views.
            latents: (m, c, h, w) noise N(0, 1) to start from, not packed, instead of drawn noise.
            images: m entries, the anchors, which are there already; None for the others.
            known: m masks (H, W) bool, which pixels of `images` are there: the others are painted, to go on from them;
                None = all of an image. Known pixels come back as they were, those around them come to meet them.
            correspondence: is taken so that all pipelines are called alike; these have no attention between views.
            shared_noise, fusion: as for `MVDiffusionPipeline`.
            joint_views: most views to denoise at once, 4 or more; bounds the memory.
            output_type: "np" (m, H, W, 3) float32 0..1, "pil" list of images, "pt" (m, 3, H, W), or "latent",
                (m, c, h, w), not packed.
            return_dict: False returns a tuple.
            options: what else the pipeline takes, such as `controlnet_conditioning_scale` or `prompt_embeds`. Those of
                prompts may have an entry for each view.

        Returns:
            `.images`, one per view, in the order of the views.

        Raises:
            InputError: arguments that the pipeline does not take, or that do not match the views; a scheduler without
                noise levels.
        """
        scenery = SceneViews.of(views)
        task = Task.of(scenery, images, known)
        scenery.check(self.pipe.vae_scale_factor, least_side(self.pipe))
        if output_type not in OUTPUT_TYPES:
            raise InputError(f"output_type '{output_type}' is not known; choose {', '.join(OUTPUT_TYPES)}")
        check_steps(self.pipe.scheduler, num_inference_steps)
        told = self._told(prompt, negative_prompt, num_inference_steps, guidance_scale, options, len(scenery))
        own = not shared_noise and not fusion and latents is None and images is None
        if own:
            found = self._alone(told, task, joint_views, generator, output_type == "latent")
        else:
            sampling = Sampling(draw_seed(generator), shared_noise=shared_noise, fusion=fusion)
            found = self._together(told, task, sampling, joint_views, latents, output_type == "latent")
        if output_type != "latent":
            found = VaeImageProcessor().postprocess(found, output_type, [False] * len(found))
        return ImagePipelineOutput(found) if return_dict else (found,)

    def interpolate(
        self,
        prompt: str | Sequence[str] | None = None,
        views: ViewSet | None = None,
        images: Sequence[Any] | np.ndarray = (),
        **options: Any,
    ) -> ImagePipelineOutput | tuple[Any, ...]:
        """Images of views between anchors, each generated together with the two anchors around it; arguments, what is
        returned and what is raised are those of `MVDiffusionPipeline.interpolate`.

        Raises:
            InputError: images that do not match the views in number or size, no anchor at all.
        """
        images = list(images)
        if all(image is None for image in images):
            raise InputError("interpolate: no image of an anchor given; pass at least one, or call the pipeline itself")
        return self(prompt, views, images=images, **options)

    def to(self, device: torch.device | str) -> Self:
        """Moves the pipeline to a device."""
        self.pipe.to(device)
        return self

    @property
    def guided_by_negatives(self) -> bool:
        """Whether the pipeline is guided only where it is passed a negative prompt, as Qwen-Image's is."""
        scale = call_arguments(self.pipe).get("true_cfg_scale")
        return scale is not None and scale.default > 1

    def set_progress_bar_config(self, **options: Any) -> None:
        """As of diffusers' pipelines."""
        self.pipe.set_progress_bar_config(**options)

    def save_memory(self, megabytes: int) -> None:
        """Makes do with less memory, for the same images: with one image at a time in the autoencoder."""
        if hasattr(self.pipe.vae, "enable_slicing"):
            self.pipe.vae.enable_slicing()

    def upscale_factor(self, asked: int | None = None) -> int:
        """Raises InputError: these pipelines have no super-resolution."""
        raise InputError(f"{type(self.pipe).__name__} has no super-resolution; do not upscale, or choose another model")

    def _told(
        self,
        prompt: str | Sequence[str] | None,
        negative: str | Sequence[str] | None,
        steps: int | None,
        guidance: float | None,
        options: Mapping[str, Any],
        views: int,
    ) -> dict[str, Any]:
        """What the pipeline is told beside depth and noise, for so many views."""
        taken, name = call_arguments(self.pipe), type(self.pipe).__name__
        if self.reference is not None:
            options = {"ip_adapter_image": Image.fromarray(np.asarray(self.reference))} | options
        options = {option: value for option, value in options.items() if value is not None}
        for option in options:
            if option not in taken or option in _OURS:
                raise InputError(f"{option} is none of the arguments that can be passed on to {name}; leave it out")
        told = dict(options)
        if prompt is not None:
            told["prompt"] = one_per_view(prompt, views, "prompt")
        elif options.get("prompt_embeds") is None:
            raise InputError("prompt: pass one, or prompt_embeds")
        if negative is not None:
            if "negative_prompt" not in taken:
                raise InputError(f"negative_prompt: {name} takes none; leave it out")
            told["negative_prompt"] = one_per_view(negative, views, "negative_prompt")
        if steps is not None:
            told["num_inference_steps"] = steps
        if guidance is not None:
            distilled = getattr(self.pipe, "transformer", None) is None or self.pipe.transformer.config.get(
                "guidance_embeds", False
            )
            told["guidance_scale" if distilled or "true_cfg_scale" not in taken else "true_cfg_scale"] = guidance
            if "true_cfg_scale" in told and guidance > 1 and "negative_prompt_embeds" not in told:
                told.setdefault("negative_prompt", [""] * views)
        elif self.guided_by_negatives and not {"negative_prompt", "negative_prompt_embeds"} & told.keys():
            told.setdefault("true_cfg_scale", 1.0)  # which it is without, but says so less often
        return told

    def _run(self, told: Mapping[str, Any], views: ViewSet, which: Sequence[int], **more: Any) -> torch.Tensor:
        """What the pipeline makes of some of the views: images (n, 3, H, W), 0..1, unless `more` asks for others."""
        m = len(views)
        own = {name: _of_views(name, value, which, m) for name, value in told.items()}
        made = self.pipe(**own, **depth_arguments(self.pipe, views.at(which)), **{"output_type": "pt"} | more)
        return made.images

    def _alone(
        self, told: Mapping[str, Any], task: Task, joint: int, generator: torch.Generator | None, latent: bool
    ) -> torch.Tensor:
        """The pipeline's own images (m, 3, H, W), 0..1, or latents (m, c, h, w), `joint` at a time."""
        views = task.views.surface
        kind, parts = {"output_type": "latent" if latent else "pt"}, []
        for start in range(0, len(views), joint):
            which = list(range(start, min(start + joint, len(views))))
            parts.append(self._run(told, views, which, generator=generator, **kind))
        made = torch.cat(parts)
        return LatentLayout.of(self.pipe, views.size).to_grid(made) if latent else made

    def _together(
        self,
        told: Mapping[str, Any],
        task: Task,
        sampling: Sampling,
        joint: int,
        noise: torch.Tensor | None,
        latent: bool,
    ) -> torch.Tensor:
        """Images (m, 3, H, W), 0..1, or latents (m, c, h, w), window after window.

        Args:
            noise: the caller's own (m, c, h, w), or None.
        """
        pipe, views, layout = self.pipe, task.views, LatentLayout.of(self.pipe, task.views.size)
        device, (width, height) = pipe._execution_device, views.size
        plan = Plan.of(views, [i for i, anchor in enumerate(task.anchors) if anchor is not None], joint)
        if noise is None:
            noise = plan.noise(views.noise_seeds, layout.shape, sampling)
        elif tuple(noise.shape) != (len(views), *layout.shape):
            raise InputError(f"latents are {tuple(noise.shape)}, but the views need {(len(views), *layout.shape)}")
        # Transformers' pipelines bring noise to their own precision, those of UNets take it as it is.
        start = noise.to(device, pipe.unet.dtype if hasattr(pipe, "unet") else torch.float32)
        clean, known = _what_is_there(pipe, task, layout)
        images = torch.zeros(len(views), 3, height, width)
        interrupted = False
        for window in plan.windows:
            which = list(window.views)
            there = known[which]
            there[[i in window.anchors for i in which]] = True
            fusion = fusion_of(views, plan, which, layout.shape[1:], there) if sampling.fusion else None
            shared = cache(partial(shared_cells, views, plan, which, layout.shape[1:], window.anchors))
            shared = shared if sampling.shared_noise and len(which) > 1 else None
            scheduler = FusingScheduler(pipe.scheduler, layout, clean[which], there, fusion, shared)
            with scheduled_by(pipe, scheduler), _own_random(device, sampling.seed) as generator:
                made = self._run(
                    told, views.surface, which, latents=layout.from_grid(start[which]), generator=generator
                )
            clean[which], images[which] = scheduler.latents, made.float().cpu()
            interrupted = getattr(pipe, "interrupt", False)
            if interrupted:
                break
        return clean if latent else finished(images * 2 - 1, task, sampling.fusion and not interrupted) / 2 + 0.5


def _what_is_there(pipe: DiffusionPipeline, task: Task, layout: LatentLayout) -> tuple[torch.Tensor, torch.Tensor]:
    """Latents (m, c, h, w) float32 of what a task knows, zeros elsewhere, and which cells of views that are there in
    part those are, (m, 1, h, w) bool."""
    m, device = len(task.views), pipe._execution_device
    clean = torch.zeros((m, *layout.shape), device=device)
    known = torch.zeros((m, 1, *layout.shape[1:]), dtype=torch.bool, device=device)
    for i, anchor in enumerate(task.anchors):
        if anchor is not None:
            clean[i] = latents_of(pipe, anchor).float()
    for i, part in task.partly.items():
        clean[i] = latents_of(pipe, part.filled()).float()
        known[i, 0] = torch.from_numpy(part.cells(pipe.vae_scale_factor)).to(device)
    return clean, known


def _of_views(name: str, value: Any, which: Sequence[int], views: int) -> Any:
    """An argument for some of the views: of prompts that have an entry for each view, theirs."""
    if not name.startswith(_PER_VIEW) or not isinstance(value, list | tuple | torch.Tensor) or len(value) != views:
        return value
    return value[list(which)] if isinstance(value, torch.Tensor) else [value[i] for i in which]


@contextmanager
def _own_random(device: torch.device, seed: int) -> Iterator[torch.Generator]:
    """A generator for what a pipeline draws beside the starting noise; what it draws without one depends on the seed,
    too, and leaves torch's own state as it was."""
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield torch.Generator().manual_seed(seed + 1)
