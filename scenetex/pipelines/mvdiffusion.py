"""The multi-view depth-to-image pipeline: views of a scene from prompts, views between anchors, larger images."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Annotated, Any

import numpy as np
import torch
from diffusers.pipelines.pipeline_utils import ImagePipelineOutput

from ..errors import InputError
from ..limits import GUIDANCE, JOINT, SHARE, STEPS, TILE, UPSCALE, WEIGHT, checked
from ..models.multiview_unet import is_multiview
from ..views.viewset import ViewSet
from .cross_view import agree
from .images import picture
from .multiview import MultiViewPipeline
from .region_prompts import RegionPrompts
from .scene_views import SceneViews
from .task import Request, Task
from .tiles import Tiles, check_tile
from .upscale import LargeDenoiser, add_detail, check_detail, check_large, enlarged, restore


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

        The floor by a text of its own:

        >>> masks = scenetex.region_masks(views, [scenetex.regions(scene)["floor"]])
        >>> own = {"region_prompts": ["a room with an oak floor"], "region_masks": masks}
        >>> pipe("a room", views, num_inference_steps=2, **own).images.shape
        (2, 48, 64, 3)
    """

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
        prompt_embeds: torch.Tensor | None = None,
        negative_prompt_embeds: torch.Tensor | None = None,
        pooled_prompt_embeds: torch.Tensor | None = None,
        negative_pooled_prompt_embeds: torch.Tensor | None = None,
        ip_adapter_image: Any = None,
        ip_adapter_image_embeds: Sequence[torch.Tensor] | None = None,
        images: Sequence[Any] | np.ndarray | None = None,
        known: Sequence[np.ndarray | None] | np.ndarray | None = None,
        region_prompts: Sequence[str] | None = None,
        region_masks: np.ndarray | None = None,
        correspondence: bool = True,
        shared_noise: bool = True,
        fusion: bool = True,
        joint_views: Annotated[int, JOINT] = 16,
        eta: Annotated[float, SHARE] = 0.0,
        controlnet_conditioning_scale: Annotated[float, WEIGHT] = 1.0,
        output_type: str = "np",
        return_dict: bool = True,
        callback_on_step_end: Callable[..., Any] | None = None,
        callback_on_step_end_tensor_inputs: Sequence[str] = ("latents",),
    ) -> ImagePipelineOutput | tuple[Any, ...]:
        """Images of all views, generated together.

        Up to `joint_views` views are denoised at once. Of more, the first ones are; the others follow in windows that
        hold already generated views beside the new ones, as anchors.

        Args:
            prompt, negative_prompt: one for all views, or one per view.
            views: m views, from `render_views`, at the size of the images; sides that are multiples of 8 (16
                where the UNet folds latents, 64 with released weights).
            num_inference_steps, guidance_scale: as in diffusers; default: the model's own; a guidance of 1 or less is
                none.
            generator: what the seed is drawn from; the same state gives the same images, in any order of views.
            latents: (m, c, h, w) noise N(0, 1) to start from, instead of drawn noise.
            prompt_embeds, negative_prompt_embeds: embeddings (1 or m, l, d), for prompts that are left out; and
                pooled_prompt_embeds, negative_pooled_prompt_embeds: (1 or m, p), for Stable Diffusion XL; all of them
                as `encode_prompt` gives them.
            ip_adapter_image, ip_adapter_image_embeds: with `load_ip_adapter`, an image that says what all views are to
                look like, PIL or (h, w, 3), or its embeddings, as in diffusers; default: the pipeline's `reference`.
            images: m entries, the anchors, which are there already; None for the others; see `interpolate`.
            known: m masks (H, W) bool, which pixels of `images` are there: the others are painted, to go on from them;
                None = all of an image. Known pixels come back as they were, those around them come to meet them.
            region_prompts, region_masks: r texts that act on their own pixels instead of the prompt, and which those
                are, (r, m, H, W) bool, from `scenetex.region_masks`; where masks overlap, the later one counts.
                Negative prompts act everywhere.
            correspondence: use the UNet's correspondence attention.
            shared_noise: corresponding places of different views start from the same noise.
            fusion: at each step, views agree on the clean latents they are heading for; below two thirds of the
                noise, not on their fine detail. In the end pixels agree, too: what a view shows, those after it that
                see it about as finely show alike; anchors come first.
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
            InputError: prompts, images or masks that do not match the views, views without depth or pose, sizes that do
                not fit.
        """
        request = self._request(locals())
        scenery = SceneViews.of(views)
        regions = RegionPrompts.of(region_prompts, region_masks, len(scenery), scenery.size)
        found = self._generate(Task.of(scenery, images, known, regions), request, output_type)
        return ImagePipelineOutput(found) if return_dict else (found,)

    def interpolate(
        self,
        prompt: str | Sequence[str] | None = None,
        views: ViewSet | None = None,
        images: Sequence[Any] | np.ndarray = (),
        **options: Any,
    ) -> ImagePipelineOutput | tuple[Any, ...]:
        """Images of views between anchors, each generated together with the two anchors around it.

        Anchors and views between are told apart by the condition branch, where the UNet has one; without it anchors
        reach the others through attention, noise and fusion alone. With a generator in the state that the anchors were
        generated from, the views between start from the anchors' noise.

        Args:
            prompt: one for all views, or one per view.
            views: m views in the order of their frame ids, anchors and views between them.
            images: m entries, the image of each anchor, (H, W, 3) uint8 or float 0..1, or PIL; None = generate it.
            options: as for calling the pipeline.

        What is returned and what is raised are those of calling the pipeline. Anchors come back as they were given, up
        to rounding.

        Raises:
            InputError: images that do not match the views in number or size, no anchor at all.
        """
        images = list(images)
        if all(image is None for image in images):
            raise InputError("interpolate: no image of an anchor given; pass at least one, or call the pipeline itself")
        return self(prompt, views, images=images, **options)

    @torch.no_grad()
    @checked
    def upscale(
        self,
        prompt: str | Sequence[str] | None = None,
        views: ViewSet | None = None,
        images: Sequence[Any] | np.ndarray = (),
        factor: Annotated[int | None, UPSCALE] = None,
        negative_prompt: str | Sequence[str] | None = None,
        num_inference_steps: Annotated[int, STEPS] = 20,
        guidance_scale: Annotated[float, GUIDANCE] = 1.0,
        generator: torch.Generator | None = None,
        latents: torch.Tensor | None = None,
        prompt_embeds: torch.Tensor | None = None,
        negative_prompt_embeds: torch.Tensor | None = None,
        pooled_prompt_embeds: torch.Tensor | None = None,
        negative_pooled_prompt_embeds: torch.Tensor | None = None,
        correspondence: bool = True,
        shared_noise: bool = True,
        fusion: bool = True,
        joint_views: Annotated[int, JOINT] = 16,
        detail: Annotated[float | None, SHARE] = None,
        tile: Annotated[int | None, TILE] = None,
        eta: Annotated[float, SHARE] = 0.0,
        output_type: str = "np",
        return_dict: bool = True,
        callback_on_step_end: Callable[..., Any] | None = None,
        callback_on_step_end_tensor_inputs: Sequence[str] = ("latents",),
        large_views: ViewSet | None = None,
    ) -> ImagePipelineOutput | tuple[Any, ...]:
        """Large images of views whose small images are there; needs the optional part `upscale_unet`, or
        `detail_decoder`, or better both.

        Without fusion, every small pixel stays what it is: it is the mean of the large ones in its place.

        Args:
            prompt, negative_prompt: one for all views, or one per view.
            views: m views, as for calling the pipeline.
            images: m small images of the views' size, (h, w, 3) uint8 or float 0..1, or PIL.
            factor: how many times larger; what the model was trained for, which None stands for.
            correspondence: let views see each other's images, small and large.
            fusion: in the end, let views that show the same surface show it alike.
            detail: how much of what the model invents is believed, 0 to 1, where a detail decoder makes the images: at
                0 they show no more than the small ones of all views tell. Default: one half; 0 for models that have
                nothing but that decoder.
            tile: side of tiles, pixels of the large images; None = whole images at once. Bounds the memory, as does
                `joint_views`; tiles overlap and are denoised together, so that none of them shows.
            large_views: the same views at the size of the large images, for a detail decoder that is told the surface:
                outlines become as sharp as the depth; None = it is not known.

        The other arguments, what is returned and what is raised are those of calling the pipeline.

        Raises:
            InputError: images or large views that do not match the views, a factor that is not the model's, no
                super-resolution model.
        """
        unused = {"ip_adapter_image": None, "ip_adapter_image_embeds": None}
        request = self._request(locals(), controlnet_conditioning_scale=1.0, fusion=False, **unused)
        factor = self.upscale_factor(factor)
        detail = check_detail(self.upscale_unet, detail, output_type == "latent")
        scenery = SceneViews.of(views)
        check_large(large_views, scenery, factor)
        images = list(images)
        if len(images) != len(scenery):
            raise InputError(f"{len(images)} images for {len(scenery)} views; pass one image per view")
        pictures = [picture(image, scenery.size, i) for i, image in enumerate(images)]
        small = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2)

        def run(latent: bool) -> torch.Tensor:
            tiles = self._tiles(scenery, tile)
            invented = latent or self.detail_decoder is None or detail > 0
            latents = self._large_latents(small, scenery, request, tiles, invented)
            if latent:
                return latents
            tiles, together = tiles.scaled(self.vae_scale_factor), correspondence and len(scenery) > 1
            if self.detail_decoder is None:
                large = self._decoded(latents, tiles)
            else:
                large = add_detail(self.detail_decoder, latents, small, scenery, detail, together, tiles, large_views)
            # The mean over each small pixel is that pixel.
            large = restore(large, small.to(large.device) * 2 - 1)
            return self._agreed(large, scenery) if fusion and len(large) > 1 else large

        found = self._finish(run, request, output_type)
        return ImagePipelineOutput(found) if return_dict else (found,)

    def upscale_factor(self, asked: int | None = None) -> int:
        """How many times larger the model makes images.

        Raises:
            InputError: neither super-resolution model nor detail decoder, or ones for another factor than is `asked`.
        """
        parts = [part for part in (self.upscale_unet, self.detail_decoder) if part is not None]
        if not parts:
            raise InputError(
                "the model has no super-resolution (upscale_unet, detail_decoder); pass one that has, or do not upscale"
            )
        trained = parts[0].config.factor
        if asked not in (None, trained):
            raise InputError(f"cannot upscale {asked} times: the model was trained to upscale {trained} times")
        return trained

    @property
    def takes_large_views(self) -> bool:
        """Whether the detail decoder is told the surface at the size of the large images, see `upscale`."""
        return self.detail_decoder is not None and self.detail_decoder.config.guide_channels > 0

    def _tiles(self, views: SceneViews, tile: int | None) -> Tiles:
        """Tiles of the large latents; `tile` is their side, pixels of the large images, None = whole ones.

        Raises:
            InputError: views or a side that do not fit the model.
        """
        unet, cell, factor = self.upscale_unet, self.vae_scale_factor, self.upscale_factor()
        least = max(1, cell // (factor if unet is None else unet.config.enlarge))
        views.check(least, least)
        alignment = 1 if unet is None else unet.alignment
        check_tile(tile, alignment * cell)
        width, height = views.size
        shape = (height * factor // cell, width * factor // cell)
        return Tiles.cover(shape, None if tile is None else tile // cell, alignment)

    def _large_latents(
        self, small: torch.Tensor, views: SceneViews, request: Request, tiles: Tiles, invented: bool
    ) -> torch.Tensor:
        """Latents (m, c, h, w) of large images: what the super-resolution UNet makes of small ones (m, 3, h', w'), or
        zeros where nothing is to be `invented`."""
        device, unet = self._execution_device, self.upscale_unet
        if not invented:
            request.texts(len(views))  # wrong ones are named, though nothing is asked of them
            channels = self.detail_decoder.config.latent_channels
            return torch.zeros((len(views), channels, *tiles.shape), device=device)
        larger = (enlarged(image[None], unet.config.enlarge)[0].permute(1, 2, 0).numpy() for image in small)
        low = torch.stack([self.encode_image(image) for image in larger]).to(unet.dtype)
        denoiser = LargeDenoiser(unet, self.scheduler, views, low, tiles, request)
        return self._window_by_window(views, request, tiles.shape, {}, denoiser.denoise)

    def _decoded(self, latents: torch.Tensor, tiles: Tiles) -> torch.Tensor:
        """Large images (m, 3, H, W), about -1..1, of latents (m, c, h, w), where the autoencoder makes them."""
        # One image and one tile at a time: at this size it takes more memory than the UNet.
        return torch.cat([tiles.blend(partial(self._decode_tile, z)) for z in latents.split(1)])

    def _decode_tile(self, latents: torch.Tensor, rows: slice, columns: slice) -> torch.Tensor:
        """A tile (1, 3, H, W) of the image of latents (1, c, h, w)."""
        cell = self.vae_scale_factor
        down, across = (slice(side.start // cell, side.stop // cell) for side in (rows, columns))
        return self.decode_latents(latents[..., down, across])

    def _agreed(self, large: torch.Tensor, views: SceneViews) -> torch.Tensor:
        """Large images (m, 3, H, W), -1..1, of views that show alike what they share."""
        pictures = agree(large.permute(0, 2, 3, 1).cpu().contiguous().numpy(), views.views)
        return torch.from_numpy(pictures).permute(0, 3, 1, 2).to(large.device).clamp(-1, 1)

    def _check_parts(self) -> None:
        if is_multiview(self.unet) and self.unet.config.kind != "depth":
            raise InputError(
                f'the UNet is of kind "{self.unet.config.kind}", made for panoramas; pass one of kind "depth", or use '
                "MVDiffusionPanoramaPipeline"
            )
        if not self.takes_depth and self.controlnet is None:
            raise InputError(
                f"the UNet takes {self.vae.config.latent_channels} channels, none for depth; pass a depth ControlNet, "
                "or a depth UNet such as Stable Diffusion 2 depth's"
            )
