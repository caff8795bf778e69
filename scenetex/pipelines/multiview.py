"""What all pipelines here share: parts, checks, loading, and the way from a task to images."""

from collections.abc import Callable
from os import PathLike
from typing import Self

import numpy as np
import torch
from diffusers import AutoencoderKL, ControlNetModel, UNet2DConditionModel
from diffusers.image_processor import VaeImageProcessor
from diffusers.pipelines.pipeline_utils import DiffusionPipeline
from diffusers.schedulers import KarrasDiffusionSchedulers
from transformers import CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

from ..bundled import locate_model
from ..errors import InputError
from ..models import DetailDecoder, MultiViewUNet, SuperResolutionUNet
from ..models.multiview_unet import base_unet
from ..models.patch_autoencoder import image_factor
from .carry_over import carry_over
from .generate import generate
from .images import decode, encode
from .loading import LOAD_ERRORS, check_model, first_line
from .request import Request, Task
from .surface_condition import surface_channels

_CONVENTIONS = ("visible", "mvdiffusion")
_OUTPUT_TYPES = ("np", "pil", "pt", "latent")


class MultiViewPipeline(DiffusionPipeline):
    """Generates consistent images of several views at once; its subclasses say which views.

    Args:
        vae, text_encoder, tokenizer, scheduler: as in diffusers' Stable Diffusion pipelines; any of their schedulers.
        unet: a `MultiViewUNet`, or any Stable Diffusion UNet, with a depth channel or without. Without multi-view
            weights, shared noise and fusion alone make the views agree.
        controlnet: a depth ControlNet, for a UNet without depth channel.
        text_encoder_2, tokenizer_2: Stable Diffusion XL's.
        upscale_unet: a `SuperResolutionUNet`, for `MVDiffusionPipeline.upscale`.
        detail_decoder: a `DetailDecoder`, to make images of what that finds; without it the autoencoder does.
        convention: of the correspondence the UNet was trained with: "visible", or "mvdiffusion" for released weights.
        empty_condition: whether the UNet was trained with an empty condition (zeros, mask 0) where nothing is given, or
            with none at all, as released weights are used.
        default_steps, default_guidance: steps and guidance scale where a call gives none.

    Raises:
        InputError: a UNet of other channels, an unknown convention.
    """

    model_cpu_offload_seq = "text_encoder->text_encoder_2->unet->upscale_unet->vae->detail_decoder"
    _optional_components = [  # noqa: RUF012 (as diffusers)
        "controlnet",
        "text_encoder_2",
        "tokenizer_2",
        "upscale_unet",
        "detail_decoder",
    ]
    _callback_tensor_inputs = ("latents",)

    def __init__(
        self,
        vae: AutoencoderKL,
        text_encoder: CLIPTextModel,
        tokenizer: CLIPTokenizer,
        unet: MultiViewUNet | UNet2DConditionModel,
        scheduler: KarrasDiffusionSchedulers,
        controlnet: ControlNetModel | None = None,
        text_encoder_2: CLIPTextModelWithProjection | None = None,
        tokenizer_2: CLIPTokenizer | None = None,
        upscale_unet: SuperResolutionUNet | None = None,
        detail_decoder: DetailDecoder | None = None,
        convention: str = "visible",
        empty_condition: bool = False,
        default_steps: int = 50,
        default_guidance: float = 9.0,
    ):
        super().__init__()
        if convention not in _CONVENTIONS:
            raise InputError(f"convention {convention!r} is not one of {', '.join(_CONVENTIONS)}")
        base = base_unet(unet)
        wanted, latent = base.config.in_channels, vae.config.latent_channels
        factor = image_factor(vae)
        if wanted - latent not in (0, 1, surface_channels(factor)):
            raise InputError(
                f"the UNet takes {wanted} channels; pass one that takes {latent}, {latent + 1} with depth, or "
                f"{latent + surface_channels(factor)} with depth, normals and heights"
            )
        if upscale_unet is not None and upscale_unet.unet.config.in_channels != latent:
            raise InputError(
                f"the super-resolution UNet takes {upscale_unet.unet.config.in_channels} channels, but the autoencoder "
                f"gives {latent}; pass one that was trained with this autoencoder"
            )
        if detail_decoder is not None and detail_decoder.config.latent_channels != latent:
            raise InputError(
                f"the detail decoder takes {detail_decoder.config.latent_channels} channels, but the autoencoder gives "
                f"{latent}; pass one that was trained with this autoencoder"
            )
        if None not in (upscale_unet, detail_decoder) and upscale_unet.config.factor != detail_decoder.config.factor:
            raise InputError(
                f"the super-resolution UNet enlarges {upscale_unet.config.factor} times, the detail decoder "
                f"{detail_decoder.config.factor} times; pass two that were trained for the same"
            )
        self.register_modules(
            vae=vae,
            text_encoder=text_encoder,
            tokenizer=tokenizer,
            unet=unet,
            scheduler=scheduler,
            controlnet=controlnet,
            text_encoder_2=text_encoder_2,
            tokenizer_2=tokenizer_2,
            upscale_unet=upscale_unet,
            detail_decoder=detail_decoder,
        )
        self.register_to_config(
            convention=convention,
            empty_condition=empty_condition,
            default_steps=default_steps,
            default_guidance=default_guidance,
        )
        self.guide_channels = wanted - latent
        self.vae_scale_factor = factor
        self.image_processor = VaeImageProcessor(vae_scale_factor=self.vae_scale_factor)
        self._check_parts()

    @property
    def takes_depth(self) -> bool:
        """Whether the UNet is told about the surface, see `make_guide`."""
        return self.guide_channels > 0

    def _check_parts(self) -> None:
        """Raises InputError for parts that do not serve this kind of pipeline."""

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | PathLike, **kwargs) -> Self:
        """Loads a folder in diffusers layout, or a Hub id: this pipeline's, or any Stable Diffusion model's that fits.

        Args:
            pretrained_model_name_or_path: the folder or Hub id, or "mini", the small model that comes with the package.
            kwargs: as for every diffusers pipeline, such as `dtype` (default float32), or parts to use instead of the
                model's own: `unet=MultiViewUNet.from_mvdiffusion(...)`, `controlnet=...`.

        Raises:
            InputError: a folder that is not such a model, a Hub id that cannot be loaded, parts that do not fit.
        """
        model = locate_model(pretrained_model_name_or_path)
        check_model(model, set(kwargs))
        try:
            # diffusers warns of the name that its users know.
            dtype = kwargs.pop("torch_dtype", torch.float32)
            return super().from_pretrained(model, **{"dtype": dtype} | kwargs)
        except InputError:
            raise
        except LOAD_ERRORS as error:
            raise InputError(
                f"{pretrained_model_name_or_path}: cannot be loaded ({first_line(error)}); check the name "
                "and the network, or pass the folder of a whole model"
            ) from None

    def enable_vae_slicing(self) -> None:
        """The autoencoder works on one image at a time."""
        self.vae.enable_slicing()

    def disable_vae_slicing(self) -> None:
        """The autoencoder works on several images at a time again."""
        self.vae.disable_slicing()

    def _generate(self, task: Task, request: Request, output_type: str):
        """Images of the task's views, as `output_type` says."""

        def run(latent: bool) -> torch.Tensor:
            known = {i: encode(self, key) for i, key in enumerate(task.keys) if key is not None}
            latents = generate(self, task, request, known)
            if latent:
                return latents
            images = decode(self, latents, task.keys, task.views.surface)
            # Nothing is carried over in a call that was interrupted: its images are no images yet.
            if not request.fusion or task.views.surface is None or self.interrupt:
                return images
            pixels = images.permute(0, 2, 3, 1).cpu().numpy()
            carried = carry_over(pixels, np.array([key is not None for key in task.keys]), task.views.surface)
            return torch.from_numpy(carried).permute(0, 3, 1, 2).to(images)

        return self._finish(run, request, output_type)

    def _finish(self, run: Callable[[bool], torch.Tensor], request: Request, output_type: str):
        """What `run` gives, latents or images (m, 3, H, W) -1..1, as `output_type` says."""
        if output_type not in _OUTPUT_TYPES:
            raise InputError(f"output_type '{output_type}' is not known; choose {', '.join(_OUTPUT_TYPES)}")
        request.check(self.scheduler.config.num_train_timesteps)
        self._interrupt = False
        images = run(output_type == "latent")
        if output_type != "latent":
            images = self.image_processor.postprocess(images, output_type=output_type)
        self.maybe_free_model_hooks()
        return images

    @property
    def interrupt(self) -> bool:
        """Set `pipe._interrupt = True` in a callback to stop after that step."""
        return self._interrupt

    @property
    def num_timesteps(self) -> int:
        """Steps of the last call, over all windows."""
        return self._num_timesteps
