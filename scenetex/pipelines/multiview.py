"""What all pipelines here share: parts, checks, loading, and the way from a task to images."""

from collections.abc import Callable, Mapping, Sequence
from inspect import signature
from os import PathLike
from typing import Any, Self

import numpy as np
import torch
from diffusers import AutoencoderKL, ControlNetModel, UNet2DConditionModel
from diffusers.image_processor import VaeImageProcessor
from diffusers.models.embeddings import MultiIPAdapterImageProjection
from diffusers.schedulers import KarrasDiffusionSchedulers
from transformers import CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer, CLIPVisionModelWithProjection

from ..bundled import locate_model
from ..errors import InputError
from ..models import DetailDecoder, MultiViewUNet, SuperResolutionUNet
from ..models.multiview_unet import base_unet, is_multiview
from ..models.patch_autoencoder import image_factor
from ..models.patch_unet import patch_size
from ..sampling import MODELS_OWN
from ..views.viewset import ViewSet
from .adapter_loader import AdapterLoader
from .conditioning import control_image, make_guide
from .denoise import Denoiser, Inputs, Part
from .depth_control import check_controlnet
from .finishing import finished
from .image_prompts import embed_images, given_embeddings
from .images import OUTPUT_TYPES, decode, encode, told_surface
from .loading import (
    LOAD_ERRORS,
    check_model,
    check_networks,
    check_parts,
    check_tokenizer,
    first_line,
    is_load_error,
)
from .prompts import Embeddings
from .region_prompts import RegionInputs, RegionPrompts
from .task import Request, Task
from .windowed import WindowedPipeline

_CONVENTIONS = ("visible", "mvdiffusion")


class MultiViewPipeline(WindowedPipeline, AdapterLoader):
    """Generates consistent images of several views at once; its subclasses say which views.

    Args:
        vae, text_encoder, tokenizer, scheduler: as in diffusers' Stable Diffusion pipelines; any of their schedulers.
        unet: a `MultiViewUNet`, or any Stable Diffusion UNet, with a depth channel or without. Without multi-view
            weights, shared noise and fusion alone make the views agree.
        controlnet: a depth ControlNet, for a UNet without depth channel.
        text_encoder_2, tokenizer_2: Stable Diffusion XL's.
        upscale_unet: a `SuperResolutionUNet`, for `MVDiffusionPipeline.upscale`.
        detail_decoder: a `DetailDecoder`, to make images of what that finds; without it the autoencoder does.
        image_encoder: what IP-Adapters look at images with.
        convention: of the correspondence the UNet was trained with: "visible", or "mvdiffusion" for released weights.
        empty_condition: whether the UNet was trained with an empty condition (zeros, mask 0) where nothing is given, or
            with none at all, as released weights are used.
        partial_condition: whether the UNet's condition branch was trained on views that are there in part, too.
        guided_blocks: whether guidance makes more of the correspondence blocks, too: its negative half goes without.
        default_steps, default_guidance: steps and guidance scale where a call gives none.

    Attributes:
        reference: what an IP-Adapter looks at where a call gives it nothing, PIL or (h, w, 3) uint8; None = nothing.

    Raises:
        InputError: a UNet of other channels, a ControlNet of another base, an unknown convention.
    """

    model_cpu_offload_seq = "text_encoder->text_encoder_2->image_encoder->unet->upscale_unet->vae->detail_decoder"
    _optional_components = [  # noqa: RUF012 (as diffusers)
        "controlnet",
        "text_encoder_2",
        "tokenizer_2",
        "upscale_unet",
        "detail_decoder",
        "image_encoder",
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
        image_encoder: CLIPVisionModelWithProjection | None = None,
        convention: str = "visible",
        empty_condition: bool = False,
        partial_condition: bool = False,
        guided_blocks: bool = False,
        default_steps: int = 50,
        default_guidance: float = 9.0,
    ):
        super().__init__()
        if convention not in _CONVENTIONS:
            raise InputError(f"convention {convention!r} is not one of {', '.join(_CONVENTIONS)}")
        check_parts(base_unet(unet), vae, upscale_unet, detail_decoder)
        for reader in filter(None, (tokenizer, tokenizer_2)):
            check_tokenizer(reader)
        if controlnet is not None:
            check_controlnet(controlnet, base_unet(unet), "unet")
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
            image_encoder=image_encoder,
        )
        self.register_to_config(
            convention=convention,
            empty_condition=empty_condition,
            partial_condition=partial_condition,
            guided_blocks=guided_blocks,
            default_steps=default_steps,
            default_guidance=default_guidance,
        )
        self.guide_channels = base_unet(unet).config.in_channels - vae.config.latent_channels
        self.vae_scale_factor = image_factor(vae)
        self.reference: Any = None
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
        check_model(model, set(kwargs), cls._optional_components)
        try:
            # diffusers warns of the name that its users know.
            dtype = kwargs.pop("torch_dtype", torch.float32)
            pipe = super().from_pretrained(model, **{"dtype": dtype} | kwargs)
        except InputError:
            raise
        except Exception as error:
            if not is_load_error(error):
                raise
            raise InputError(
                f"{pretrained_model_name_or_path}: cannot be loaded ({first_line(error)}); check the name "
                "and the network, or pass the folder of a whole model"
            ) from None
        check_networks(model, pipe.components, set(kwargs))
        return pipe

    @classmethod
    def sampling_defaults(cls, model: str | PathLike) -> dict[str, float]:
        """Those settings of `Sampling` that a model, which has been loaded before, has its own values of."""
        ours = signature(cls.__init__).parameters
        try:
            own = cls.load_config(locate_model(model), local_files_only=True)
        except LOAD_ERRORS:  # it was made by hand
            own = {}
        return {name: own.get(kept, ours[kept].default) for name, kept in MODELS_OWN.items()}

    def enable_vae_slicing(self) -> None:
        """The autoencoder works on one image at a time, if it is of a kind that can."""
        if hasattr(self.vae, "enable_slicing"):
            self.vae.enable_slicing()

    def disable_vae_slicing(self) -> None:
        """The autoencoder works on several images at a time again."""
        if hasattr(self.vae, "disable_slicing"):
            self.vae.disable_slicing()

    def enable_vae_tiling(self) -> None:
        """The autoencoder works on tiles of large images, which then differ a little, if it is of a kind that can."""
        if hasattr(self.vae, "enable_tiling"):
            self.vae.enable_tiling()

    def disable_vae_tiling(self) -> None:
        """The autoencoder works on whole images again."""
        if hasattr(self.vae, "disable_tiling"):
            self.vae.disable_tiling()

    def save_memory(self, megabytes: int) -> None:
        """Makes do with less memory, for the same images: with so much for the intermediate results of each
        correspondence attention, and with one image at a time in the autoencoder."""
        for unet in (self.unet, self.upscale_unet):
            if is_multiview(unet) or isinstance(unet, SuperResolutionUNet):
                unet.set_attention_memory(megabytes)
        self.enable_vae_slicing()

    def encode_image(self, image: np.ndarray) -> torch.Tensor:
        """(c, h, w) latents of an image (H, W, 3) float32 0..1."""
        return encode(self.vae, image, self._execution_device)

    def decode_latents(
        self, latents: torch.Tensor, views: ViewSet | None = None, which: Sequence[int] | None = None
    ) -> torch.Tensor:
        """(n, 3, H, W) images, about -1..1, of latents (n, c, h, w).

        Args:
            views: m views with what they see of the surface; autoencoders that can be told it are told.
            which: those of the views that the latents are of; None = all.
        """
        surface = told_surface(self.vae, views)
        return decode(self.vae, latents, surface if surface is None or which is None else surface[list(which)])

    def _request(self, arguments: Mapping[str, object], **fixed) -> Request:
        """What a call asks for: its arguments by name, and those that this kind of call has `fixed`."""
        return Request.of({**arguments, **fixed}, self.config)

    def _generate(self, task: Task, request: Request, output_type: str):
        """Images of the task's views, as `output_type` says."""

        def run(latent: bool) -> torch.Tensor:
            latents = self._latents(task, request)
            if latent:
                return latents
            images = self._images(latents, task)
            # Nothing is carried over in a call that was interrupted: its images are no images yet.
            return finished(images, task, request.sampling.fusion and not self.interrupt)

        return self._finish(run, request, output_type)

    def _images(self, latents: torch.Tensor, task: Task) -> torch.Tensor:
        """(m, 3, H, W) images, -1..1, of latents (m, c, h, w); nothing where anchors are."""
        missing = [i for i, anchor in enumerate(task.anchors) if anchor is None]
        width, height = task.views.size
        images = latents.new_zeros((len(latents), 3, height, width), dtype=torch.float32)
        if missing:
            images[missing] = self.decode_latents(latents[missing], task.views.surface, missing)
        return images

    def _latents(self, task: Task, request: Request) -> torch.Tensor:
        """Clean latents (m, c, h, w) of all views, in their order.

        Raises:
            InputError: views, prompts or latents that do not fit.
        """
        views, factor = task.views, self.vae_scale_factor
        multiview = is_multiview(self.unet) and request.sampling.correspondence
        released = multiview and self.config.convention == "mvdiffusion"
        views.check(factor, 64 if released else factor * patch_size(base_unet(self.unet)))
        device, dtype = self._execution_device, self.unet.dtype
        surface = views.surface
        guide = make_guide(surface, self.guide_channels, factor).to(device, dtype) if self.takes_depth else None
        regions = None if task.regions is None else self._region_inputs(task.regions)
        looked_at = self._looked_at(request)
        denoiser = Denoiser(
            self.unet,
            self.scheduler,
            self.controlnet,
            self.config.empty_condition,
            self.config.partial_condition,
            self.config.guided_blocks,
        )

        def denoise(part: Part) -> torch.Tensor:
            control = None
            if self.controlnet is not None and surface is not None:
                control = control_image(surface.depth[part.which]).to(device, dtype)
            together = multiview and len(part.which) > 1
            inputs = Inputs(
                embeddings=part.embeddings,
                guide=None if guide is None else guide[part.which],
                control=control,
                image_size=views.size,
                correspondence=views.attended(part.which, self.config.convention).to(device) if together else None,
                regions=None if regions is None else regions.at(part.which),
                looked_at=looked_at,
            )
            return denoiser.denoise(part, inputs, request)

        anchors = {i: self.encode_image(image) for i, image in enumerate(task.anchors) if image is not None}
        partly = {
            i: (self.encode_image(known.filled()), torch.from_numpy(known.cells(factor)))
            for i, known in task.partly.items()
        }
        width, height = views.size
        return self._window_by_window(views, request, (height // factor, width // factor), anchors, denoise, partly)

    def _region_inputs(self, regions: RegionPrompts) -> RegionInputs:
        """What the texts of regions are to the UNet, for all views."""
        hidden, _, pooled, _ = self.encode_prompt(regions.texts, do_classifier_free_guidance=False)
        embeddings = Embeddings(hidden[None], None if pooled is None else pooled[None])
        device = self._execution_device
        shares = regions.shares(self.vae_scale_factor).to(device)
        return RegionInputs(embeddings.to(device, self.unet.dtype), shares)

    def _looked_at(self, request: Request) -> list[torch.Tensor] | None:
        """What the UNet is told of the images that IP-Adapters look at, see `embed_images`; None without IP-Adapter.

        Raises:
            InputError: images without IP-Adapter, an IP-Adapter without image, or those that do not fit.
        """
        image, embeds = request.ip_adapter_image, request.ip_adapter_image_embeds
        if not isinstance(getattr(base_unet(self.unet), "encoder_hid_proj", None), MultiIPAdapterImageProjection):
            if image is not None or embeds is not None:
                raise InputError("ip_adapter_image: the pipeline has no IP-Adapter; call load_ip_adapter first")
            return None
        if embeds is None and image is None and self.reference is None:
            raise InputError("the pipeline has an IP-Adapter, which needs an image; pass ip_adapter_image")
        halves = 1 + request.sampling.guided
        if embeds is None:
            return embed_images(self, self.reference if image is None else image, halves)
        return given_embeddings(self, embeds, halves)

    def _finish(self, run: Callable[[bool], torch.Tensor], request: Request, output_type: str):
        """What `run` gives, latents or images (m, 3, H, W) -1..1, as `output_type` says."""
        if output_type not in OUTPUT_TYPES:
            raise InputError(f"output_type '{output_type}' is not known; choose {', '.join(OUTPUT_TYPES)}")
        request.check(self.scheduler.config.num_train_timesteps)
        self._interrupt = False
        images = run(output_type == "latent")
        if output_type != "latent":
            images = self.image_processor.postprocess(images, output_type=output_type)
        self.maybe_free_model_hooks()
        return images
