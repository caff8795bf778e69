"""Images of a scene from a prompt: loads the model, generates keyframes, then the views between them."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from .errors import InputError
from .scene.scene import Scene
from .views.viewset import ViewSet, render_views


@dataclass(frozen=True)
class Generation:
    """How images are generated.

    Attributes:
        prompt, negative_prompt: what the room is to look like, and what not.
        model: folder in diffusers layout or Hub id: Stable Diffusion with depth, or one with multi-view weights.
        mvdiffusion_checkpoint: released MVDiffusion weights to use as the model's UNet, or None.
        controlnet: folder or Hub id of a depth ControlNet, for models that do not take depth, or None.
        seed: seed, 0 or more; the same seed gives the same images.
        device: "auto", "cpu" or "cuda".
        steps, guidance_scale: of the denoising.
        image_size: (width, height) of the images, pixels.
        correspondence, shared_noise, fusion: what keeps the views consistent, see `MVDiffusionPipeline.__call__`.
        between: views to generate between any two consecutive keyframes.
        joint_views: most views to denoise at once.
    """

    prompt: str
    negative_prompt: str | None = None
    model: str = "mini"
    mvdiffusion_checkpoint: Path | None = None
    controlnet: str | None = None
    seed: int = 0
    device: str = "auto"
    steps: int = 50
    guidance_scale: float = 9.0
    image_size: tuple[int, int] = (256, 192)
    correspondence: bool = True
    shared_noise: bool = True
    fusion: bool = True
    between: int = 1
    joint_views: int = 16

    def __post_init__(self):
        if not self.prompt.strip():
            raise InputError("the prompt is empty; say in a few words what the room is to look like")
        for name, least in (("between", 0), ("steps", 1), ("joint_views", 4)):
            if getattr(self, name) < least:
                raise InputError(f"{name} {getattr(self, name)} is too small; give {least} or more")
        if not 0 <= self.seed < 2**63:
            raise InputError(f"seed {self.seed} is out of range; give a number from 0 to 2^63 - 1")


def load_model(generation: Generation):
    """The pipeline, on the device that is asked for; half precision on a GPU.

    Raises:
        InputError: a device, model or checkpoint that is not there, or does not fit.
    """
    import torch

    from .models import MultiViewUNet
    from .pipelines import MVDiffusionPipeline
    from .pipelines.loading import load_controlnet, quiet_loading, resolve_device, unet_config

    device = resolve_device(generation.device)
    half = {"torch_dtype": torch.float16} if device.type == "cuda" else {}
    parts = {}
    with quiet_loading():
        if generation.controlnet is not None:
            parts["controlnet"] = load_controlnet(generation.controlnet, **half)
        if generation.mvdiffusion_checkpoint is not None:
            config = unet_config(generation.model)
            unet = MultiViewUNet.from_mvdiffusion(generation.mvdiffusion_checkpoint, unet_config=config)
            parts |= {"unet": unet.to(*half.values()), "convention": "mvdiffusion"}
        return MVDiffusionPipeline.from_pretrained(generation.model, **half, **parts).to(device)


def generate_images(
    pipe,
    scene: Scene,
    keyframes: list[int],
    generation: Generation,
    stage: Callable[[str], AbstractContextManager],
    progress: bool = False,
) -> tuple[ViewSet, list[np.ndarray], tuple[bool, ...]]:
    """Generates keyframes together, and then what lies between them.

    Args:
        pipe: from `load_model`.
        keyframes: frame ids; those that see nothing of the mesh are left out.
        stage: opens a context in which a named stage runs.
        progress: show progress bars on stderr.

    Returns:
        The views in trajectory order; their (h, w, 3) uint8 images; which of them are keyframes.

    Raises:
        InputError: nothing of the mesh is seen, an image size the model cannot work at.
    """
    import torch

    with stage("render"):
        frames = frames_between(scene, keyframes, generation.between)
        views = render_views(scene, frames, generation.image_size)
        views = _some(views, [i for i, depth in enumerate(views.depth) if (depth > 0).any()])
    wanted = set(keyframes)
    is_key = tuple(frame in wanted for frame in views.frame_ids)
    at = [i for i, key in enumerate(is_key) if key]
    if not at:
        raise InputError(f"{scene.name}: no keyframe sees the mesh; poses and mesh have to share one frame and unit")
    options = {
        "negative_prompt": generation.negative_prompt,
        "num_inference_steps": generation.steps,
        "guidance_scale": generation.guidance_scale,
        "correspondence": generation.correspondence,
        "shared_noise": generation.shared_noise,
        "fusion": generation.fusion,
        "joint_views": generation.joint_views,
    }

    def run(call, name: str, *args) -> np.ndarray:
        pipe.set_progress_bar_config(disable=not progress, desc=name, leave=False)
        # The same state for both calls: views between start from the noise of the keys.
        seeded = torch.Generator().manual_seed(generation.seed)
        return call(generation.prompt, *args, generator=seeded, **options).images

    with stage("generate"):
        images = run(pipe, "generate", _some(views, at))
    if len(at) < len(views):
        with stage("interpolate"):
            given = [None] * len(views)
            for i, image in zip(at, images, strict=True):
                given[i] = image
            images = run(pipe.interpolate, "interpolate", views, given)
    return views, list(np.round(images * 255).astype(np.uint8)), is_key


def frames_between(scene: Scene, keyframes: list[int], count: int) -> list[int]:
    """Keyframes and up to `count` frames between any two consecutive ones, evenly along the trajectory."""
    place = {frame.id: i for i, frame in enumerate(scene.frames)}
    at = sorted(place[frame] for frame in keyframes)
    chosen = set(at)
    for a, b in pairwise(at):
        chosen.update(a + round((b - a) * k / (count + 1)) for k in range(1, count + 1))
    return [scene.frames[i].id for i in sorted(chosen)]


def _some(views: ViewSet, which: list[int]) -> ViewSet:
    return ViewSet(
        tuple(views.frame_ids[i] for i in which),
        views.intrinsics[which],
        views.cam_to_world[which],
        views.depth[which],
        views.face_id[which],
        views.face_normals,
        views.axis_alignment,
    )
