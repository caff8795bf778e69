"""The panorama pipeline: eight views around one point, generated together and stitched."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Annotated, Any, Self

import numpy as np
import PIL.Image
import torch
from diffusers.utils import BaseOutput

from ..bundled import locate_model
from ..errors import InputError
from ..limits import GUIDANCE, ROWS, SHARE, SIDE, STEPS, WEIGHT, checked
from ..models.block_folder import load_blocks
from ..models.multiview_unet import base_unet, is_multiview
from ..panorama import VIEWS, known_poles, stitch
from ..views.viewset import ViewSet
from .images import picture
from .multiview import MultiViewPipeline
from .region_prompts import RegionPrompts
from .ring_views import PoleViews, RingViews
from .task import Request, Task

BLOCKS = "panorama"  # the folder in a model's folder that holds blocks of that kind for its UNet
_CELLS = 64  # Stable Diffusion's latents, for models that do not say what they were trained at

# In the forms of `output_type`.
Images = list[PIL.Image.Image] | np.ndarray | torch.Tensor
Image = PIL.Image.Image | np.ndarray | torch.Tensor


@dataclass
class PanoramaOutput(BaseOutput):
    """What the panorama pipeline returns, each as `output_type` says.

    Attributes:
        images: the eight views, s x s pixels, each 45 degrees to the right of the one before.
        panorama: (H, 2 H, 3), equirectangular; the first view is in the middle. None for "latent".
    """

    images: Images
    panorama: Image | None


class MVDiffusionPanoramaPipeline(MultiViewPipeline):
    """Generates panoramas from text: all around a point, outwards from one view, or of a scene with its depth.

    Its parts are those of `MultiViewPipeline`. The UNet is a `MultiViewUNet` of kind "panorama", such as
    `MultiViewUNet.from_mvdiffusion(file, kind="panorama")` with `convention="mvdiffusion"`, or any Stable Diffusion
    UNet, whose views then agree by shared noise and fusion alone. Models that take depth, or come with a depth
    ControlNet, make panoramas of scenes; there, models of kind "depth" serve, too.

    Example:
        With the small model that comes with the package (one step is far too few, but quick):

        >>> import torch
        >>> import scenetex
        >>> pipe = scenetex.MVDiffusionPanoramaPipeline.from_pretrained("mini")
        >>> pipe.set_progress_bar_config(disable=True)
        >>> views = scenetex.panorama_views(scenetex.load_scene("scenes/sample_room"), size=64)
        >>> seeded = torch.Generator().manual_seed(0)
        >>> out = pipe("a red room", views=views, num_inference_steps=1, generator=seeded)
        >>> out.images.shape, out.panorama.shape
        ((8, 64, 64, 3), (128, 256, 3))
    """

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | PathLike[str], **kwargs: Any) -> Self:
        """As for every pipeline here; blocks in the folder's ``panorama`` take the place of the UNet's."""
        pipe = super().from_pretrained(pretrained_model_name_or_path, **kwargs)
        folder = Path(locate_model(pretrained_model_name_or_path)) / BLOCKS
        if "unet" not in kwargs and folder.is_dir():
            pipe.register_modules(unet=load_blocks(folder, base_unet(pipe.unet)))
            # Of parts of views, that branch has not learnt anything.
            learned = {"empty_condition": True, "partial_condition": False, "guided_blocks": False}
            pipe.register_to_config(convention="visible", **learned)
        return pipe

    @torch.no_grad()
    @checked
    def __call__(
        self,
        prompt: str | Sequence[str] | None = None,
        image: PIL.Image.Image | np.ndarray | None = None,
        views: ViewSet | None = None,
        size: Annotated[int | None, SIDE] = None,
        height: Annotated[int | None, ROWS] = None,
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
        region_prompts: Sequence[str] | None = None,
        region_masks: np.ndarray | None = None,
        correspondence: bool = True,
        shared_noise: bool = True,
        fusion: bool = True,
        eta: Annotated[float, SHARE] = 0.0,
        controlnet_conditioning_scale: Annotated[float, WEIGHT] = 1.0,
        output_type: str = "np",
        return_dict: bool = True,
        callback_on_step_end: Callable[..., Any] | None = None,
        callback_on_step_end_tensor_inputs: Sequence[str] = ("latents",),
        poles: ViewSet | None = None,
    ) -> PanoramaOutput | tuple[Any, ...]:
        """A panorama, its eight views generated together.

        Args:
            prompt, negative_prompt: one for all views, or eight.
            image: the first view, if it is there already: (s, s, 3) uint8 or float 0..1, or PIL, of 90 degrees each
                way. The others are outpainted from it: through the condition branch, where the UNet has one.
            views: the ring of a scene, from `panorama_views`; its depth conditions the images.
            size: side s of the views, pixels, a multiple of 8 (16 where the UNet folds latents, 64 with released
                weights); default that of `views`, or what the model was trained at.
            height: rows of the panorama, a multiple of 4; default 2 s.
            latents: (8, c, s / 8, s / 8) noise N(0, 1) to start from, instead of drawn noise.
            output_type: "np" float32 0..1, "pil", "pt" (channels first), "latent" (views alone, not stitched).
            poles: the views around the poles, from `pole_views`: once the ring is there, what it leaves open above and
                below is painted in them, to the first prompt, unless one of the four up or down sees no surface.
                Without them colours run together there.

        The other arguments are those of `MVDiffusionPipeline`; corresponding places are those of one direction, and
        fusion lets go of fine detail in the last steps only.

        Returns:
            `.images` and `.panorama`, see `PanoramaOutput`; `stitch` tells how it is laid out.

        Raises:
            InputError: neither one prompt nor eight, an image or views that are not square or do not match the size,
                no views for a model that goes by depth, or views of a scene for one that does not.
        """
        request = self._request(locals(), joint_views=VIEWS)
        ring = self._ring(views, size)
        if height is not None and height % 4:
            raise InputError(f"panorama of {height} rows; pass a multiple of 4")
        first = None if image is None else picture(image, ring.size, 0)
        regions = RegionPrompts.of(region_prompts, region_masks, VIEWS, ring.size)
        task = Task(ring, (first, *[None] * (VIEWS - 1)), regions=regions)
        halves = () if poles is None else PoleViews.halves(poles, ring)
        images = self._generate(task, request, output_type)
        if output_type == "latent":
            panorama = None
        else:
            ring_images = images.permute(0, 2, 3, 1).cpu().numpy() if isinstance(images, torch.Tensor) else images
            around = self._poles(ring_images, halves, request)
            panorama = self._stitch(ring_images, around, height, output_type)
        return PanoramaOutput(images, panorama) if return_dict else (images, panorama)

    @property
    def view_size(self) -> int:
        """Side of the views that the model was trained at, pixels."""
        cells = base_unet(self.unet).config.sample_size or _CELLS
        return (cells if isinstance(cells, int) else max(cells)) * self.vae_scale_factor

    def _ring(self, views: ViewSet | None, size: int | None) -> RingViews:
        """The views to generate; raises InputError where they do not fit the model."""
        by_depth = is_multiview(self.unet) and self.unet.config.kind == "depth"
        if views is None:
            if by_depth or self.takes_depth:
                raise InputError(
                    "a model that goes by depth makes panoramas of scenes only; pass panorama_views(scene) as views, "
                    'or a model of kind "panorama" without depth'
                )
            return RingViews(self.view_size if size is None else size)
        ring = RingViews.of(views, by_depth)
        if size not in (None, ring.side):
            raise InputError(f"size {size}, but the views have {ring.side} pixels; render them at the size")
        if not self.takes_depth and self.controlnet is None:
            raise InputError("views of a scene, but this model takes no depth; pass a depth ControlNet or a depth UNet")
        return ring

    def _poles(self, images: Images, halves: Sequence[PoleViews | None], request: Request) -> list[np.ndarray | None]:
        """Images (s, s, 3) of the views around the poles, which go on from what the ring's images show of them."""
        made: list[np.ndarray | None] = [None] * VIEWS
        if not any(halves):
            return made
        shown, seen = known_poles(images)
        for i, half in enumerate(halves):
            if half is not None and not self.interrupt:
                mine = slice(4 * i, 4 * i + 4)
                task = Task.of(half, list(shown[mine]), list(seen[mine]))
                made[mine] = self._generate(task, request.of_first(len(half)), "np")
        return made

    def _stitch(
        self, images: Images, poles: Sequence[np.ndarray | None], height: int | None, output_type: str
    ) -> Image:
        """The panorama as `output_type` says."""
        panorama = stitch(images, height, poles)
        if output_type == "pil":
            return self.image_processor.numpy_to_pil(panorama)[0]
        return torch.from_numpy(panorama).permute(2, 0, 1) if output_type == "pt" else panorama
