"""Images of a scene from a prompt: keyframes and the views between them, or the views of a panorama."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Annotated

import numpy as np

from ..errors import InputError
from ..limits import (
    BETWEEN,
    DEVICE,
    GUIDANCE,
    JOINT,
    PROMPT,
    SEED,
    SIDE,
    STEPS,
    TILE,
    UPSCALE,
    WORDS,
    PathOrName,
    check_options,
)
from ..panorama.standpoint import panorama_views
from ..process.memory import LEAST_JOINT, with_less_memory
from ..scene.scene import Scene
from ..views.viewset import ViewSet, render_views
from .stages import Stages

_LEFT_OPEN = ("steps", "guidance_scale", "device")  # options that may be left to the model, or to torch
_DEPTH_SHARE = 2  # large images over the depth maps they are baked with, as for photos


@dataclass(frozen=True)
class Generation:
    """How images are generated.

    Attributes:
        prompt, negative_prompt: what the room is to look like, and what not.
        model: folder in diffusers layout or Hub id: Stable Diffusion with depth, or one with multi-view weights.
        mvdiffusion_checkpoint: released MVDiffusion weights to use as the model's UNet, or None.
        controlnet: folder or Hub id of a depth ControlNet, for models that do not take depth, or None.
        seed: seed, 0 or more; the same seed gives the same images on as many threads of the same
            machine; other numbers of threads add in another order, which single pixels show.
        device: "auto", "cpu", "cuda", or "cuda:N" for one of several GPUs.
        steps, guidance_scale: of the denoising; None = the model's own.
        image_size: (width, height) of the images, pixels.
        correspondence, shared_noise, fusion: what keeps the views consistent, see `MVDiffusionPipeline.__call__`.
        between: views to generate between any two consecutive keyframes.
        joint_views: most views to denoise at once.
        panorama: generate the views of a panorama (square, as wide as `image_size`) from a point inside the scene,
            instead of views along its trajectory.
        upscale: how many times larger to make the images once they are there; 1 = leave them.
        upscale_tile: side of the tiles that this works on, pixels of the large images; None = whole images.

    Example:
        >>> import scenetex
        >>> scenetex.Generation("a bedroom with sage green walls", image_size=(320, 240)).model
        'mini'
        >>> scenetex.Generation("a bedroom", between=-1)
        Traceback (most recent call last):
            ...
        scenetex.errors.InputError: between -1 is out of range; choose 0 to ...
    """

    prompt: Annotated[str, PROMPT]
    negative_prompt: Annotated[str | None, WORDS] = None
    model: Annotated[str, PathOrName] = "mini"
    mvdiffusion_checkpoint: Path | None = None
    controlnet: Annotated[str | None, PathOrName] = None
    seed: Annotated[int, SEED] = 0
    device: Annotated[str, DEVICE] = "auto"
    steps: Annotated[int | None, STEPS] = None
    guidance_scale: Annotated[float | None, GUIDANCE] = None
    image_size: Annotated[tuple[int, int], SIDE] = (256, 192)
    correspondence: bool = True
    shared_noise: bool = True
    fusion: bool = True
    between: Annotated[int, BETWEEN] = 1
    joint_views: Annotated[int, JOINT] = 16
    panorama: bool = False
    upscale: Annotated[int, UPSCALE] = 1
    upscale_tile: Annotated[int | None, TILE] = None

    def __post_init__(self):
        check_options(self, flags=False)
        if self.upscale > 1 and self.panorama:
            raise InputError(f"upscale {self.upscale} (--upscale): not for panoramas")
        if self.upscale_tile is not None and self.upscale == 1:
            raise InputError(f"upscale_tile {self.upscale_tile} (--upscale-tile): only with --upscale")


def load_model(generation: Generation):
    """The pipeline, on the device that is asked for; half precision on a GPU.

    Raises:
        InputError: a device, model or checkpoint that is not there, or does not fit; a model that cannot upscale so.
    """
    import torch

    from ..models import MultiViewUNet
    from ..pipelines import MVDiffusionPanoramaPipeline, MVDiffusionPipeline
    from ..pipelines.loading import load_controlnet, quiet_loading, resolve_device, unet_config
    from ..pipelines.upscale import check_factor

    pipeline, kind = (
        (MVDiffusionPanoramaPipeline, "panorama") if generation.panorama else (MVDiffusionPipeline, "depth")
    )
    device = resolve_device(generation.device)
    half = {"dtype": torch.float16} if device.type == "cuda" else {}
    parts = {}
    with quiet_loading():
        if generation.controlnet is not None:
            parts["controlnet"] = load_controlnet(generation.controlnet, **half)
        if generation.mvdiffusion_checkpoint is not None:
            config = unet_config(generation.model)
            unet = MultiViewUNet.from_mvdiffusion(generation.mvdiffusion_checkpoint, config, kind)
            parts |= {"unet": unet.to(*half.values()), "convention": "mvdiffusion"}
        pipe = pipeline.from_pretrained(generation.model, **half, **parts).to(device)
    if generation.upscale > 1:
        # Said now, not after an hour of generating.
        check_factor(pipe, generation.upscale)
    return pipe


def generate_images(
    pipe: Callable,
    scene: Scene,
    keyframes: list[int],
    generation: Generation,
    stages: Stages,
    progress: bool = False,
) -> tuple[ViewSet, list[np.ndarray], tuple[bool, ...]]:
    """Generates keyframes together, and then what lies between them; or the views of a panorama.

    Args:
        pipe: gives the pipeline, from `load_model`; called only if images are missing.
        keyframes: frame ids; those that see nothing of the mesh are left out. None are needed for a panorama.
        stages: the stages of the run; images that they find on disk are not generated again.
        progress: show progress bars on stderr.

    Returns:
        The views in trajectory order; their (h, w, 3) uint8 images; which of them are keyframes.

    Raises:
        InputError: nothing of the mesh is seen, an image size the model cannot work at, too little memory.
    """
    if generation.panorama:
        return _around(pipe, scene, generation, stages, progress)
    with stages.stage("render"):
        frames = frames_between(scene, keyframes, generation.between)
        views = render_views(scene, frames, generation.image_size)
        views = views.at([i for i, depth in enumerate(views.depth) if (depth > 0).any()])
    wanted = set(keyframes)
    is_key = tuple(frame in wanted for frame in views.frame_ids)
    at = [i for i, key in enumerate(is_key) if key]
    if not at:
        raise InputError(f"{scene.name}: no keyframe sees the mesh; poses and mesh have to share one frame and unit")
    found = stages.recall("images")
    if found is None:
        images = _generated(pipe(), views, at, generation, stages, progress)
        if generation.upscale > 1:
            images = _upscaled(pipe(), views, images, generation, stages, progress)
        found = {"images": images} | _used(generation)
        stages.keep("images", ("small", "generate", "interpolate", "upscale"), **found)
    stages.used |= {name: found[name] for name in _LEFT_OPEN}
    if generation.upscale > 1:
        with stages.stage("render large"):
            fine = tuple(max(1, side * generation.upscale // _DEPTH_SHARE) for side in views.size)
            views = render_views(scene, list(views.frame_ids), fine)
    return views, list(found["images"]), is_key


def _around(
    pipe: Callable, scene: Scene, generation: Generation, stages: Stages, progress: bool
) -> tuple[ViewSet, list[np.ndarray], tuple[bool, ...]]:
    """`generate_images` for a panorama."""
    with stages.stage("render"):
        views = panorama_views(scene, size=generation.image_size[0])
    found = stages.recall("images")
    if found is None:
        with stages.stage("generate"):
            call = pipe()
            call.set_progress_bar_config(disable=not progress, desc="generate", leave=False)

            def attempt(_) -> np.ndarray:
                seeded = _generator(generation)
                return call(generation.prompt, views=views, generator=seeded, **_options(generation)).images

            # All views of a panorama are generated together: only the attention can do with less.
            images = with_less_memory(call, len(views), LEAST_JOINT, attempt, stages.notes.append)
        found = {"images": np.round(images * 255).astype(np.uint8)} | _used(generation)
        stages.keep("images", ("generate",), **found)
    stages.used |= {name: found[name] for name in _LEFT_OPEN}
    return views, list(found["images"]), (True,) * len(views)


def _used(generation: Generation) -> dict:
    """What `_LEFT_OPEN` names, as it was used."""
    from ..pipelines.loading import resolve_device, sampling_defaults

    given = {"steps": generation.steps, "guidance_scale": generation.guidance_scale}
    chosen = {name: value for name, value in given.items() if value is not None}
    return sampling_defaults(generation.model) | chosen | {"device": resolve_device(generation.device).type}


def _options(generation: Generation) -> dict:
    """What both pipelines are called with."""
    return {
        "negative_prompt": generation.negative_prompt,
        "num_inference_steps": generation.steps,
        "guidance_scale": generation.guidance_scale,
        "correspondence": generation.correspondence,
        "shared_noise": generation.shared_noise,
        "fusion": generation.fusion,
    }


def _generator(generation: Generation):
    """A `torch.Generator` in the state of the seed."""
    import torch

    return torch.Generator().manual_seed(generation.seed)


def _generated(
    pipe, views: ViewSet, at: list[int], generation: Generation, stages: Stages, progress: bool
) -> np.ndarray:
    """(m, h, w, 3) uint8 images of all views; the keyframes are those at the positions `at`."""
    small = stages.recall("small")
    if small is not None:
        return small["images"]
    joint, options = generation.joint_views, _options(generation)

    def run(call, name: str, views: ViewSet, *args) -> np.ndarray:
        pipe.set_progress_bar_config(disable=not progress, desc=name, leave=False)

        def attempt(joint_views: int) -> np.ndarray:
            # The same state for both calls: views between start from the noise of the keys.
            seeded = _generator(generation)
            return call(generation.prompt, views, *args, generator=seeded, joint_views=joint_views, **options).images

        return with_less_memory(pipe, len(views), joint, attempt, stages.notes.append)

    with stages.stage("generate"):
        found = stages.recall("generate")
        images = found["images"] if found else run(pipe, "generate", views.at(at))
        if found is None:
            stages.keep("generate", images=images)
    if len(at) < len(views):
        with stages.stage("interpolate"):
            given = [None] * len(views)
            for i, image in zip(at, images, strict=True):
                given[i] = image
            images = run(pipe.interpolate, "interpolate", views, given)
    images = np.round(images * 255).astype(np.uint8)
    if generation.upscale > 1:
        stages.keep("small", ("generate", "interpolate"), images=images)
    return images


def _upscaled(
    pipe, views: ViewSet, images: np.ndarray, generation: Generation, stages: Stages, progress: bool
) -> np.ndarray:
    """(m, H, W, 3) uint8, the images (m, h, w, 3) made larger."""
    given = _options(generation)
    options = {name: given[name] for name in ("negative_prompt", "correspondence", "shared_noise", "fusion")}
    options |= {"factor": generation.upscale, "tile": generation.upscale_tile}
    pipe.set_progress_bar_config(disable=not progress, desc="upscale", leave=False)

    def attempt(joint_views: int) -> np.ndarray:
        seeded = _generator(generation)
        return pipe.upscale(
            images, views, generation.prompt, generator=seeded, joint_views=joint_views, **options
        ).images

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
