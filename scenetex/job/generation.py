"""Images of a scene from a prompt: keyframes and the views between them, or the views of a panorama."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np

from ..adapters import ADAPTER, read_adapter
from ..errors import InputError
from ..limits import (
    BETWEEN,
    DEVICE,
    JOINT,
    PAINT,
    SIDE,
    TILE,
    UPSCALE,
    WORDS,
    PathOrName,
    check_options,
    read_paint,
)
from ..panorama.standpoint import panorama_views
from ..sampling import Sampling, SchedulerName
from ..scene.scene import Scene
from ..views.region_masks import region_masks
from ..views.viewset import ViewSet, render_views
from .additions import check_additions
from .backbone import sampling_defaults
from .keyframe_images import check_finite, generate_keyframes, run_pipeline
from .less_memory import LEAST_JOINT, with_less_memory
from .stages import Stages

if TYPE_CHECKING:
    from ..pipelines import ConsistentViews, MVDiffusionPanoramaPipeline, MVDiffusionPipeline

_LEFT_OPEN = ("steps", "guidance_scale", "device")  # options that may be left to the model, or to torch
_DEPTH_SHARE = 2  # large images over the depth maps they are baked with, as for photos


@dataclass(frozen=True)
class Generation:
    """How images are generated.

    Attributes:
        prompt, negative_prompt: what the room is to look like, and what not; "" = what is known of it speaks alone.
        model: folder in diffusers layout or Hub id: Stable Diffusion with depth, one with multi-view weights, or any
            other pipeline of diffusers with depth control, see `scenetex.pipelines.ConsistentViews`.
        mvdiffusion_checkpoint: released MVDiffusion weights to use as the model's UNet, or None.
        controlnet: folder or Hub id of a depth ControlNet, for models that do not take depth, or None.
        lora: LoRAs to add to the model, ``FOLDER-OR-HUB-ID[:WEIGHT]`` each.
        scheduler: by name, see `pipelines.schedulers`; "default" = the model's own.
        ip_adapter: weights for image prompts, ``FOLDER-OR-HUB-ID[:WEIGHT]``, or None.
        reference: an image that says what the whole scene is to look like; with `ip_adapter`.
        sampling: seed, steps, guidance, and what keeps the views consistent.
        device: "auto", "cpu", "cuda", or "cuda:N" for one of several GPUs.
        image_size: (width, height) of the images, pixels.
        between: views to generate between any two consecutive keyframes.
        joint_views: most views to denoise at once.
        panorama: generate the views of a panorama (square, as wide as `image_size`) from a point inside the scene,
            instead of views along its trajectory.
        upscale: how many times larger to make the images once they are there; 1 = leave them.
        upscale_tile: side of the tiles that this works on, pixels of the large images; None = whole images.
        paint: prompts for single regions, ``"REGION: WORDS"`` each; where regions overlap, the last counts.

    Example:
        >>> import scenetex
        >>> scenetex.Generation("a bedroom with sage green walls", image_size=(320, 240)).model
        'mini'
        >>> scenetex.Generation("a bedroom", between=-1)
        Traceback (most recent call last):
            ...
        scenetex.errors.InputError: between -1 is out of range; choose 0 to ...
    """

    prompt: Annotated[str, WORDS]
    negative_prompt: Annotated[str | None, WORDS] = None
    model: Annotated[str, PathOrName] = "mini"
    mvdiffusion_checkpoint: Path | None = None
    controlnet: Annotated[str | None, PathOrName] = None
    lora: Annotated[tuple[str, ...], ADAPTER] = ()
    scheduler: SchedulerName = "default"
    ip_adapter: Annotated[str | None, ADAPTER] = None
    reference: Path | None = None
    sampling: Sampling = field(default_factory=Sampling)
    device: Annotated[str, DEVICE] = "auto"
    image_size: Annotated[tuple[int, int], SIDE] = (256, 192)
    between: Annotated[int, BETWEEN] = 1
    joint_views: Annotated[int, JOINT] = 16
    panorama: bool = False
    upscale: Annotated[int, UPSCALE] = 1
    upscale_tile: Annotated[int | None, TILE] = None
    paint: Annotated[tuple[str, ...], PAINT] = ()

    def __post_init__(self) -> None:
        check_options(self, flags=False)
        check_additions(self.reference, self.ip_adapter)
        if self.upscale > 1 and self.panorama:
            raise InputError(f"upscale {self.upscale} (--upscale): not for panoramas")
        if self.upscale_tile is not None and self.upscale == 1:
            raise InputError(f"upscale_tile {self.upscale_tile} (--upscale-tile): only with --upscale")

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> "Generation":
        """The settings among options by name, whatever else there is; those of `Sampling` may stand beside them."""
        own = {f.name: options[f.name] for f in fields(cls) if f.name in options}
        sampling = vars(own.get("sampling", Sampling()))
        return cls(**own | {"sampling": Sampling.of(sampling | dict(options))})

    @property
    def added_files(self) -> tuple[Path, ...]:
        """Files and folders of what is added to the model; Hub ids look like such, but nothing lies there."""
        texts = (*self.lora, *([] if self.ip_adapter is None else [self.ip_adapter]))
        sources = (read_adapter(text, "lora").source for text in texts)
        return tuple(Path(source) for source in sources) + (() if self.reference is None else (self.reference,))

    @property
    def named_regions(self) -> tuple[str, ...]:
        """The regions that have prompts of their own."""
        return tuple(read_paint(text, "paint")[0] for text in self.paint)

    @property
    def region_prompts(self) -> list[str]:
        """Those prompts, as models are told."""
        from ..pipelines.region_prompts import region_prompt

        return [region_prompt(*read_paint(text, "paint")) for text in self.paint]

    def prompts(self, views: ViewSet, regions: Mapping[str, np.ndarray]) -> dict[str, Any]:
        """What pipelines are told to show, by their keywords.

        Args:
            views: that are generated.
            regions: (f,) bool per face of the mesh, those that have prompts of their own.
        """
        told: dict[str, Any] = {"prompt": self.prompt, "negative_prompt": self.negative_prompt}
        if self.paint:
            told["region_prompts"] = self.region_prompts
            told["region_masks"] = region_masks(views, [regions[name] for name in self.named_regions])
        return told


def generate_images(
    model: Callable[[], Any],
    scene: Scene,
    keyframes: list[int],
    generation: Generation,
    stages: Stages,
    progress: bool = False,
    regions: Mapping[str, np.ndarray] | None = None,
) -> tuple[ViewSet, list[np.ndarray], tuple[bool, ...]]:
    """Generates keyframes together, and then what lies between them; or the views of a panorama.

    Args:
        model: gives the pipeline, from `load_model`, whichever it is; called only if images are missing.
        keyframes: frame ids; those that see nothing of the mesh are left out. None are needed for a panorama.
        stages: the stages of the run; images that they find on disk are not generated again.
        progress: show progress bars on stderr.
        regions: (f,) bool per face of the mesh, those that have prompts of their own.

    Returns:
        The views in trajectory order; their (h, w, 3) uint8 images; which of them are keyframes.

    Raises:
        InputError: nothing of the mesh is seen, an image size the model cannot work at, too little memory.
    """
    regions = regions or {}
    if generation.panorama:
        return _around(model, scene, generation, stages, progress, regions)
    views, is_key = _views(scene, keyframes, generation, stages)
    at = [i for i, key in enumerate(is_key) if key]
    found = stages.recall("images")
    if found is None:
        images = _generated(model(), views, at, generation, stages, progress, regions)
        if generation.upscale > 1:
            images = _upscaled(model(), scene, views, images, generation, stages, progress)
        found = {"images": images} | _used(generation)
        stages.keep("images", ("small", "generate", "interpolate", "render surface", "upscale"), **found)
    stages.used |= {name: found[name] for name in _LEFT_OPEN}
    if generation.upscale > 1:
        with stages.stage("render large"):
            width, height = (max(1, side * generation.upscale // _DEPTH_SHARE) for side in views.size)
            views = render_views(scene, list(views.frame_ids), (width, height))
    return views, list(found["images"]), is_key


def keyframe_views(scene: Scene, keyframes: list[int], generation: Generation, stages: Stages) -> ViewSet:
    """The views that `generate_images` generates first and together. Raises InputError as that does."""
    return _views(scene, keyframes, replace(generation, between=0), stages)[0]


def _views(
    scene: Scene, keyframes: list[int], generation: Generation, stages: Stages
) -> tuple[ViewSet, tuple[bool, ...]]:
    """Views along the trajectory that see something of the mesh, and which of them are keyframes."""
    with stages.stage("render"):
        frames = frames_between(scene, keyframes, generation.between)
        views = render_views(scene, frames, generation.image_size)
        views = views.at([i for i, depth in enumerate(views.depth) if (depth > 0).any()])
    wanted = set(keyframes)
    is_key = tuple(frame in wanted for frame in views.frame_ids)
    if not any(is_key):
        raise InputError(f"{scene.name}: no keyframe sees the mesh; poses and mesh have to share one frame and unit")
    return views, is_key


def _around(
    model: Callable[[], Any],
    scene: Scene,
    generation: Generation,
    stages: Stages,
    progress: bool,
    regions: Mapping[str, np.ndarray],
) -> tuple[ViewSet, list[np.ndarray], tuple[bool, ...]]:
    """`generate_images` for a panorama."""
    with stages.stage("render"):
        views = panorama_views(scene, size=generation.image_size[0])
    found = stages.recall("images")
    if found is None:
        with stages.stage("generate"):
            pipe = model()
            pipe.set_progress_bar_config(disable=not progress, desc="generate", leave=False)
            prompts = generation.prompts(views, regions)

            def attempt(_: int) -> np.ndarray:
                # Any: never the tuple of return_dict=False.
                made: Any = pipe(**prompts, views=views, **generation.sampling.keywords())
                check_finite(made.images, generation.model)
                return made.images

            # All views of a panorama are generated together: only the attention can do with less.
            images = with_less_memory(pipe, len(views), LEAST_JOINT, attempt, stages.notes.append)
        found = {"images": np.round(images * 255).astype(np.uint8)} | _used(generation)
        stages.keep("images", ("generate",), **found)
    stages.used |= {name: found[name] for name in _LEFT_OPEN}
    return views, list(found["images"]), (True,) * len(views)


def _used(generation: Generation) -> dict[str, Any]:
    """What `_LEFT_OPEN` names, as it was used."""
    from ..pipelines.loading import resolve_device

    defaults = sampling_defaults(generation.model, generation.controlnet)
    given = {name: getattr(generation.sampling, name) for name in defaults}
    chosen = {name: value for name, value in given.items() if value is not None}
    return defaults | chosen | {"device": resolve_device(generation.device).type}


def _generated(
    pipe: "MVDiffusionPipeline | MVDiffusionPanoramaPipeline | ConsistentViews",
    views: ViewSet,
    at: list[int],
    generation: Generation,
    stages: Stages,
    progress: bool,
    regions: Mapping[str, np.ndarray],
) -> np.ndarray:
    """(m, h, w, 3) uint8 images of all views; the keyframes are those at the positions `at`."""
    small = stages.recall("small")
    if small is not None:
        return small["images"]
    images = generate_keyframes(lambda: pipe, views.at(at), generation, stages, progress, regions)
    if len(at) < len(views):
        with stages.stage("interpolate"):
            anchors = [None] * len(views)
            for i, image in zip(at, images, strict=True):
                anchors[i] = image
            call = pipe.interpolate, "interpolate"
            images = run_pipeline(pipe, *call, views, generation, stages, progress, regions, images=anchors)
    images = np.round(images * 255).astype(np.uint8)
    if generation.upscale > 1:
        stages.keep("small", ("generate", "interpolate"), images=images)
    return images


def _upscaled(
    pipe: "MVDiffusionPipeline",
    scene: Scene,
    views: ViewSet,
    images: np.ndarray,
    generation: Generation,
    stages: Stages,
    progress: bool,
) -> np.ndarray:
    """(m, H, W, 3) uint8, the images (m, h, w, 3) made larger."""
    # Steps and guidance are those that super-resolution was trained with, not those of the small images.
    sampling = replace(generation.sampling, steps=None, guidance_scale=None)
    options: dict[str, Any] = {"factor": generation.upscale, "tile": generation.upscale_tile}
    options |= {"negative_prompt": generation.negative_prompt}
    if pipe.takes_large_views:
        with stages.stage("render surface", len(views)) as done:
            width, height = (side * generation.upscale for side in views.size)
            options["large_views"] = render_views(scene, list(views.frame_ids), (width, height), done)
    pipe.set_progress_bar_config(disable=not progress, desc="upscale", leave=False)

    def attempt(joint_views: int) -> np.ndarray:
        less = options | {"joint_views": joint_views}
        # Any: never the tuple of return_dict=False.
        made: Any = pipe.upscale(generation.prompt, views, images, **less, **sampling.keywords())
        check_finite(made.images, generation.model)
        return made.images

    with stages.stage("upscale"):
        large = with_less_memory(pipe, len(views), generation.joint_views, attempt, stages.notes.append)
    return np.round(large * 255).astype(np.uint8)


def frames_between(scene: Scene, keyframes: list[int], count: int) -> list[int]:
    """Keyframes and up to `count` frames between any two consecutive ones, evenly along the trajectory."""
    place = {frame.id: i for i, frame in enumerate(scene.frames)}
    at = sorted(place[frame] for frame in keyframes)
    chosen = set(at)
    for a, b in pairwise(at):
        chosen.update(a + round((b - a) * k / (count + 1)) for k in range(1, count + 1))
    return [scene.frames[i].id for i in sorted(chosen)]
