"""The multi-view depth-to-image pipeline: all views of a scene from prompts, and views between painted ones."""

from collections.abc import Callable, Sequence
from os import PathLike

import torch
from diffusers import AutoencoderKL, ControlNetModel, UNet2DConditionModel
from diffusers.image_processor import VaeImageProcessor
from diffusers.pipelines.pipeline_utils import DiffusionPipeline, ImagePipelineOutput
from diffusers.schedulers import KarrasDiffusionSchedulers
from transformers import CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

from ..errors import InputError
from ..models import MultiViewUNet
from ..views.viewset import ViewSet
from .generate import generate
from .images import decode, encode, picture
from .loading import LOAD_ERRORS, check_model, first_line
from .request import Request, Task

_CONVENTIONS = ("visible", "mvdiffusion")


class MVDiffusionPipeline(DiffusionPipeline):
    """Generates consistent images of many views of a scene from text and depth.

    Args:
        vae, text_encoder, tokenizer, scheduler: as in diffusers' Stable Diffusion pipelines; any of their schedulers.
        unet: a `MultiViewUNet`, or any Stable Diffusion UNet: with a depth channel, or with a depth ControlNet. Without
            multi-view weights, shared noise and fusion alone make the views agree.
        controlnet: a depth ControlNet, for a UNet without depth channel.
        text_encoder_2, tokenizer_2: Stable Diffusion XL's.
        convention: of the correspondence the UNet was trained with: "visible", or "mvdiffusion" for released weights.
        empty_condition: whether the UNet was trained with an empty condition (zeros, mask 0) where nothing is given, or
            with none at all, as released weights are used.

    Raises:
        InputError: a UNet that neither takes depth nor comes with a ControlNet, an unknown convention.
    """

    model_cpu_offload_seq = "text_encoder->text_encoder_2->unet->vae"
    _optional_components = ["controlnet", "text_encoder_2", "tokenizer_2"]  # noqa: RUF012 (diffusers' own form)
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
        convention: str = "visible",
        empty_condition: bool = False,
    ):
        super().__init__()
        if convention not in _CONVENTIONS:
            raise InputError(f"convention {convention!r} is not one of {', '.join(_CONVENTIONS)}")
        base = unet.unet if isinstance(unet, MultiViewUNet) else unet
        wanted, latent = base.config.in_channels, vae.config.latent_channels
        if wanted not in (latent, latent + 1):
            raise InputError(
                f"the UNet takes {wanted} channels; pass one that takes {latent}, or {latent + 1} with depth"
            )
        if wanted == latent and controlnet is None:
            raise InputError(
                f"the UNet takes {wanted} channels, none for depth; pass a depth ControlNet, or a depth UNet such as "
                "Stable Diffusion 2 depth's"
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
        )
        self.register_to_config(convention=convention, empty_condition=empty_condition)
        self.takes_depth = wanted == latent + 1
        self.vae_scale_factor = 2 ** (len(vae.config.block_out_channels) - 1)
        self.image_processor = VaeImageProcessor(vae_scale_factor=self.vae_scale_factor)

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | PathLike, **kwargs) -> "MVDiffusionPipeline":
        """Loads a folder in diffusers layout, or a Hub id: this pipeline's, or any Stable Diffusion model's with depth.

        Args:
            pretrained_model_name_or_path: the folder or Hub id.
            kwargs: as for every diffusers pipeline, such as `torch_dtype`, or parts to use instead of the model's own:
                `unet=MultiViewUNet.from_mvdiffusion(...)`, `controlnet=...`.

        Raises:
            InputError: a folder that is not such a model, a Hub id that cannot be loaded, parts that do not fit.
        """
        check_model(pretrained_model_name_or_path, set(kwargs))
        try:
            return super().from_pretrained(pretrained_model_name_or_path, **kwargs)
        except InputError:
            raise
        except LOAD_ERRORS as error:
            raise InputError(
                f"{pretrained_model_name_or_path}: cannot be loaded ({first_line(error)}); check the name "
                "and the network, or pass the folder of a whole model"
            ) from None

    @torch.no_grad()
    def __call__(
        self,
        prompt: str | Sequence[str],
        views: ViewSet,
        negative_prompt: str | Sequence[str] | None = None,
        num_inference_steps: int = 50,
        guidance_scale: float = 9.0,
        generator: torch.Generator | None = None,
        latents: torch.Tensor | None = None,
        correspondence: bool = True,
        shared_noise: bool = True,
        fusion: bool = True,
        joint_views: int = 16,
        eta: float = 0.0,
        controlnet_conditioning_scale: float = 1.0,
        output_type: str = "np",
        return_dict: bool = True,
        callback_on_step_end: Callable | None = None,
        callback_on_step_end_tensor_inputs: Sequence[str] = ("latents",),
    ) -> ImagePipelineOutput | tuple:
        """Images of all views, generated together.

        Up to `joint_views` views are denoised at once. Of more, the first ones are; the others follow in windows that
        hold already generated views beside the new ones.

        Args:
            prompt, negative_prompt: one for all views, or one per view.
            views: m views, from `render_views`, at the size of the images; sides that are multiples of 8 (64 with
                released weights).
            num_inference_steps, guidance_scale: as in diffusers; 1 or less = no guidance.
            generator: what the seed is drawn from; the same state gives the same images, in any order of views.
            latents: (m, c, h, w) noise N(0, 1) to start from, instead of drawn noise.
            correspondence: use the UNet's correspondence attention.
            shared_noise: corresponding places of different views start from the same noise.
            fusion: during the first half of the steps, views agree on the clean latents they are heading for.
            joint_views: most views to denoise at once, 4 or more; bounds the memory.
            eta: of the DDIM paper, for schedulers that have it.
            controlnet_conditioning_scale: weight of the ControlNet.
            output_type: "np" (m, H, W, 3) float32 0..1, "pil" list of images, "pt" (m, 3, H, W), "latent".
            return_dict: False returns a tuple.
            callback_on_step_end: called as in diffusers with the pipeline, step, timestep and {"latents"}: (n, c, h, w)
                of the n views that are denoised together, ascending by frame id. Steps count on through all windows.
            callback_on_step_end_tensor_inputs: "latents" is all there is.

        Returns:
            `.images`, one per view, in the order of the views.

        Raises:
            InputError: prompts that do not match the views, views without depth or pose, sizes that do not fit.
        """
        task = Task(views, (None,) * len(views), between=False)
        request = Request(
            prompt=prompt,
            negative_prompt=negative_prompt,
            steps=num_inference_steps,
            guidance_scale=guidance_scale,
            generator=generator,
            latents=latents,
            correspondence=correspondence,
            shared_noise=shared_noise,
            fusion=fusion,
            joint_views=joint_views,
            eta=eta,
            control_scale=controlnet_conditioning_scale,
            on_step_end=callback_on_step_end,
            callback_inputs=tuple(callback_on_step_end_tensor_inputs),
        )
        return self._run(task, request, output_type, return_dict)

    @torch.no_grad()
    def interpolate(
        self,
        prompt: str | Sequence[str],
        views: ViewSet,
        images: Sequence,
        negative_prompt: str | Sequence[str] | None = None,
        num_inference_steps: int = 50,
        guidance_scale: float = 9.0,
        generator: torch.Generator | None = None,
        correspondence: bool = True,
        shared_noise: bool = True,
        fusion: bool = True,
        joint_views: int = 16,
        eta: float = 0.0,
        controlnet_conditioning_scale: float = 1.0,
        output_type: str = "np",
        return_dict: bool = True,
        callback_on_step_end: Callable | None = None,
        callback_on_step_end_tensor_inputs: Sequence[str] = ("latents",),
    ) -> ImagePipelineOutput | tuple:
        """Images of views between key images, each generated together with the two keys around it.

        Keys and views between are told apart by the condition branch, where the UNet has one; without it the keys
        anchor the others through attention, noise and fusion alone. With a generator in the state that the keys were
        generated from, the views between start from the keys' noise.

        Args:
            views: m views in the order of their frame ids, keys and views between them.
            images: m entries, the image of each key view, (H, W, 3) uint8 or float 0..1, or PIL; None = generate it.

        The other arguments, what is returned and what is raised are those of calling the pipeline. Keys come back as
        they were given, up to rounding.

        Raises:
            InputError: images that do not match the views in number or size, no key at all.
        """
        given = list(images)
        if len(given) != len(views):
            raise InputError(
                f"interpolate: {len(given)} images for {len(views)} views; pass one per view, None where there is none"
            )
        keys = [None if image is None else picture(image, views.size, i) for i, image in enumerate(given)]
        if all(key is None for key in keys):
            raise InputError("interpolate: no key image given; pass at least one, or call the pipeline itself")
        task = Task(views, tuple(keys), between=True)
        request = Request(
            prompt=prompt,
            negative_prompt=negative_prompt,
            steps=num_inference_steps,
            guidance_scale=guidance_scale,
            generator=generator,
            latents=None,
            correspondence=correspondence,
            shared_noise=shared_noise,
            fusion=fusion,
            joint_views=joint_views,
            eta=eta,
            control_scale=controlnet_conditioning_scale,
            on_step_end=callback_on_step_end,
            callback_inputs=tuple(callback_on_step_end_tensor_inputs),
        )
        return self._run(task, request, output_type, return_dict)

    def enable_vae_slicing(self) -> None:
        """The autoencoder works on one image at a time."""
        self.vae.enable_slicing()

    def disable_vae_slicing(self) -> None:
        """The autoencoder works on several images at a time again."""
        self.vae.disable_slicing()

    def _run(self, task: Task, request: Request, output_type: str, return_dict: bool):
        """What both ways of calling share, from checks to images."""
        if output_type not in ("np", "pil", "pt", "latent"):
            raise InputError(f"output_type '{output_type}' is not known; choose np, pil, pt or latent")
        request.check()
        self._interrupt = False
        known = {i: encode(self, key) for i, key in enumerate(task.keys) if key is not None}
        images = generate(self, task, request, known)
        if output_type != "latent":
            images = self.image_processor.postprocess(decode(self, images, task.keys), output_type=output_type)
        self.maybe_free_model_hooks()
        return ImagePipelineOutput(images) if return_dict else (images,)

    @property
    def interrupt(self) -> bool:
        """Set `pipe._interrupt = True` in a callback to stop after that step."""
        return self._interrupt

    @property
    def num_timesteps(self) -> int:
        """Steps of the last call, over all windows."""
        return self._num_timesteps
