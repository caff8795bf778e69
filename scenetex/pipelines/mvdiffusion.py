"""The multi-view depth-to-image pipeline: views of a scene from prompts, views between painted ones, larger images."""

from collections.abc import Callable, Sequence
from typing import Annotated

import torch
from diffusers.pipelines.pipeline_utils import ImagePipelineOutput

from ..errors import InputError
from ..limits import GUIDANCE, JOINT, SHARE, STEPS, TILE, UPSCALE, WEIGHT, checked
from ..models import MultiViewUNet
from ..views.viewset import ViewSet
from .geometry import SceneViews
from .images import picture
from .multiview import MultiViewPipeline
from .request import Request, Task
from .upscale import check_detail, check_factor, upscale


class MVDiffusionPipeline(MultiViewPipeline):
    """Generates consistent images of many views of a scene from text and depth.

    Its parts are those of `MultiViewPipeline`; a UNet without depth channel comes with a depth ControlNet.

    Raises:
        InputError: a UNet that neither takes depth nor comes with a ControlNet, or is made for panoramas; an unknown
            convention.

    Example:
        With the small model that comes with the package (two steps are far too few, but quick):

        >>> import torch
        >>> import scenetex
        >>> pipe = scenetex.MVDiffusionPipeline.from_pretrained("mini")
        >>> pipe.set_progress_bar_config(disable=True)
        >>> scene = scenetex.load_scene("scenes/sample_room")
        >>> views = scenetex.render_views(scene, [0, 12], size=(64, 48))
        >>> seeded = torch.Generator().manual_seed(0)
        >>> pipe("a red room", views, num_inference_steps=2, generator=seeded).images.shape
        (2, 48, 64, 3)
    """

    @torch.no_grad()
    @checked
    def __call__(
        self,
        prompt: str | Sequence[str],
        views: ViewSet,
        negative_prompt: str | Sequence[str] | None = None,
        num_inference_steps: Annotated[int | None, STEPS] = None,
        guidance_scale: Annotated[float | None, GUIDANCE] = None,
        generator: torch.Generator | None = None,
        latents: torch.Tensor | None = None,
        images: Sequence | None = None,
        correspondence: bool = True,
        shared_noise: bool = True,
        fusion: bool = True,
        joint_views: Annotated[int, JOINT] = 16,
        eta: Annotated[float, SHARE] = 0.0,
        controlnet_conditioning_scale: Annotated[float, WEIGHT] = 1.0,
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
            views: m views, from `render_views`, at the size of the images; sides that are multiples of 8 (16
                where the UNet folds latents, 64 with released weights).
            num_inference_steps, guidance_scale: as in diffusers; default: the model's own; a guidance of 1 or less is
                none.
            generator: what the seed is drawn from; the same state gives the same images, in any order of views.
            latents: (m, c, h, w) noise N(0, 1) to start from, instead of drawn noise.
            images: m entries, the images of the views that are there already, None for the others; see `interpolate`.
            correspondence: use the UNet's correspondence attention.
            shared_noise: corresponding places of different views start from the same noise.
            fusion: at each step, views agree on the clean latents they are heading for; after the first third of the
                steps, not on their fine detail. In the end pixels agree, too: what a view shows, those after it that
                see it about as finely show alike; given images come first.
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
            InputError: prompts or images that do not match the views, views without depth or pose, sizes that do not
                fit.
        """
        request = Request(
            prompt=prompt,
            negative_prompt=negative_prompt,
            steps=self.config.default_steps if num_inference_steps is None else num_inference_steps,
            guidance_scale=self.config.default_guidance if guidance_scale is None else guidance_scale,
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
        scenery = SceneViews.of(views)
        given = [None] * len(scenery) if images is None else list(images)
        if len(given) != len(scenery):
            raise InputError(
                f"{len(given)} images for {len(scenery)} views; pass one image per view, None where there is none"
            )
        keys = tuple(None if image is None else picture(image, scenery.size, i) for i, image in enumerate(given))
        found = self._generate(Task(scenery, keys), request, output_type)
        return ImagePipelineOutput(found) if return_dict else (found,)

    def interpolate(
        self, prompt: str | Sequence[str], views: ViewSet, images: Sequence, **options
    ) -> ImagePipelineOutput | tuple:
        """Images of views between key images, each generated together with the two keys around it.

        Keys and views between are told apart by the condition branch, where the UNet has one; without it the keys
        anchor the others through attention, noise and fusion alone. With a generator in the state that the keys were
        generated from, the views between start from the keys' noise.

        Args:
            prompt: one for all views, or one per view.
            views: m views in the order of their frame ids, keys and views between them.
            images: m entries, the image of each key view, (H, W, 3) uint8 or float 0..1, or PIL; None = generate it.
            options: as for calling the pipeline.

        What is returned and what is raised are those of calling the pipeline. Keys come back as they were given, up to
        rounding.

        Raises:
            InputError: images that do not match the views in number or size, no key at all.
        """
        images = list(images)
        if all(image is None for image in images):
            raise InputError("interpolate: no key image given; pass at least one, or call the pipeline itself")
        return self(prompt, views, images=images, **options)

    @torch.no_grad()
    @checked
    def upscale(
        self,
        images: Sequence,
        views: ViewSet,
        prompt: str | Sequence[str],
        factor: Annotated[int | None, UPSCALE] = None,
        negative_prompt: str | Sequence[str] | None = None,
        num_inference_steps: Annotated[int, STEPS] = 20,
        guidance_scale: Annotated[float, GUIDANCE] = 1.0,
        generator: torch.Generator | None = None,
        latents: torch.Tensor | None = None,
        correspondence: bool = True,
        shared_noise: bool = True,
        fusion: bool = True,
        joint_views: Annotated[int, JOINT] = 16,
        detail: Annotated[float | None, SHARE] = None,
        tile: Annotated[int | None, TILE] = None,
        eta: Annotated[float, SHARE] = 0.0,
        output_type: str = "np",
        return_dict: bool = True,
        callback_on_step_end: Callable | None = None,
        callback_on_step_end_tensor_inputs: Sequence[str] = ("latents",),
    ) -> ImagePipelineOutput | tuple:
        """Large images of views whose small images are there; needs the optional part `upscale_unet`, or
        `detail_decoder`, or better both.

        Without fusion, every small pixel stays what it is: it is the mean of the large ones in its place.

        Args:
            images: m small images of the views' size, (h, w, 3) uint8 or float 0..1, or PIL.
            views: m views, as for calling the pipeline.
            prompt, negative_prompt: one for all views, or one per view.
            factor: how many times larger; what the model was trained for, which None stands for.
            correspondence: let views see each other's images, small and large.
            fusion: in the end, let views that show the same surface show it alike.
            detail: how much of what the model invents is believed, 0 to 1, where a detail decoder makes the images: at
                0 they show no more than the small ones of all views tell. Default: one half; 0 for models that have
                nothing but that decoder.
            tile: side of tiles, pixels of the large images; None = whole images at once. Bounds the memory, as does
                `joint_views`; tiles overlap and are denoised together, so that none of them shows.

        The other arguments, what is returned and what is raised are those of calling the pipeline.

        Raises:
            InputError: images that do not match the views in number or size, a factor that is not the model's, no
                super-resolution model.
        """
        request = Request(
            prompt=prompt,
            negative_prompt=negative_prompt,
            steps=num_inference_steps,
            guidance_scale=guidance_scale,
            generator=generator,
            latents=latents,
            correspondence=correspondence,
            shared_noise=shared_noise,
            fusion=False,
            joint_views=joint_views,
            eta=eta,
            control_scale=1.0,
            on_step_end=callback_on_step_end,
            callback_inputs=tuple(callback_on_step_end_tensor_inputs),
        )
        check_factor(self, factor)
        detail = check_detail(self, detail, output_type == "latent")
        scenery = SceneViews.of(views)
        given = list(images)
        if len(given) != len(scenery):
            raise InputError(f"{len(given)} images for {len(scenery)} views; pass one image per view")
        pictures = [picture(image, scenery.size, i) for i, image in enumerate(given)]

        def run(latent: bool) -> torch.Tensor:
            return upscale(self, pictures, scenery, request, tile, detail, fusion, latent)

        found = self._finish(run, request, output_type)
        return ImagePipelineOutput(found) if return_dict else (found,)

    def _check_parts(self) -> None:
        if isinstance(self.unet, MultiViewUNet) and self.unet.config.kind != "depth":
            raise InputError(
                f'the UNet is of kind "{self.unet.config.kind}", made for panoramas; pass one of kind "depth", or use '
                "MVDiffusionPanoramaPipeline"
            )
        if not self.takes_depth and self.controlnet is None:
            raise InputError(
                f"the UNet takes {self.vae.config.latent_channels} channels, none for depth; pass a depth ControlNet, "
                "or a depth UNet such as Stable Diffusion 2 depth's"
            )
