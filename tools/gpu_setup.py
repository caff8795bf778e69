"""What the parts of `check_gpu.py` stand on: where they run, how they measure, and random models made in place."""

import gc
import math
import platform
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from statistics import median
from typing import Any

import diffusers
import make_random_model as weights
import numpy as np
import torch
import transformers
from bench_attention import walk

import scenetex
from scenetex.correspondence import Correspondence, from_depth
from scenetex.models import MultiViewUNet
from scenetex.pipelines import MVDiffusionPipeline
from scenetex.scene.mesh import Mesh
from scenetex.views.viewset import ViewSet, cast_views

Row = dict[str, Any]
PROMPT = "a living room with yellow walls, a walnut plank floor and a green sofa"
_ROOM = np.array([6.0, 5.0, 2.7])  # metres, that of `walk`


@dataclass(frozen=True)
class Setup:
    """Where and how large: on `device`, and `tiny` for a look at whether it runs."""

    device: torch.device
    tiny: bool

    @property
    def width(self) -> str:
        """That of random models."""
        return "tenth" if self.tiny else "full"

    @property
    def dtypes(self) -> tuple[torch.dtype, ...]:
        return (torch.float16, torch.bfloat16) if self.device.type == "cuda" else (torch.bfloat16,)

    @property
    def counts(self) -> tuple[int, int]:
        """Few views, and many."""
        return (3, 5) if self.tiny else (12, 150)

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of the images."""
        return (64, 64) if self.tiny else (256, 192)

    @property
    def kernel(self) -> bool:
        """Whether the fused kernel can run: on a GPU, with Triton."""
        try:
            import triton  # noqa: F401
        except ImportError:
            return False
        return self.device.type == "cuda"

    def steps(self, full: int) -> int:
        return 1 if self.tiny else full

    def wait(self) -> None:
        """Lets queued work finish."""
        if self.device.type == "cuda":
            torch.cuda.synchronize()

    def free(self) -> bool:
        """Gives back what nothing refers to any more; whether the device still answers: after some errors a GPU does
        nothing more for a process."""
        gc.collect()
        try:
            self.wait()
            if self.device.type == "cuda":
                torch.cuda.empty_cache()
        except RuntimeError:
            return False
        return True

    def measured(self, run: Callable[[], Any], rounds: int = 1) -> tuple[Any, Row]:
        """What `run` gives, its seconds (the median, after one round more where there are several) and peak memory."""
        cuda, times = self.device.type == "cuda", []
        if cuda:
            torch.cuda.reset_peak_memory_stats()
        for _ in range(rounds + (rounds > 1)):
            self.wait()
            start = time.perf_counter()
            found = run()
            self.wait()
            times.append(time.perf_counter() - start)
        memory = round(torch.cuda.max_memory_allocated() / 2**30, 3) if cuda else None
        return found, {"seconds": figure(median(times[rounds > 1 :])), "memory, GB": memory}


def figure(value: float) -> float | None:
    """Four digits of a number; None for what is none."""
    value = float(value)
    return float(f"{value:.4g}") if math.isfinite(value) else None


def name_of(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def machine(device: torch.device) -> Row:
    """What it runs on."""
    found = {"python": platform.python_version(), "torch": torch.__version__, "diffusers": diffusers.__version__}
    found |= {"transformers": transformers.__version__, "scenetex": scenetex.__version__, "device": str(device)}
    if device.type == "cuda":
        properties = torch.cuda.get_device_properties(device)
        found |= {"GPU": properties.name, "memory, GB": round(properties.total_memory / 2**30, 1)}
        found |= {"CUDA": torch.version.cuda}
    return found


@contextmanager
def made_on(device: torch.device, dtype: torch.dtype) -> Iterator[None]:
    """Networks are made there, in that dtype: nothing is carried, copied or cast."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with torch.device(device):
            yield
    finally:
        torch.set_default_dtype(before)


def views_of(setup: Setup, m: int) -> ViewSet:
    """Views on half a loop through a room."""
    width, height = setup.size
    _, intrinsics, poses = walk(m, (height, width))
    corners = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)]) * _ROOM
    sides = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    faces = np.array([(a, b, c) for a, b, c, _ in sides] + [(a, c, d) for a, _, c, d in sides], np.int32)
    return cast_views(Mesh(corners, faces), np.stack([intrinsics] * m), poses, setup.size, tuple(range(m)))


def correspondence_of(setup: Setup, views: ViewSet) -> Correspondence:
    depth = torch.from_numpy(views.depth)[None].to(setup.device)
    return from_depth(depth, torch.from_numpy(views.intrinsics)[None], torch.from_numpy(views.cam_to_world)[None])


def multiview_unet(setup: Setup, dtype: torch.dtype) -> MultiViewUNet:
    """Stable Diffusion 2 depth's, with blocks that do something."""
    with made_on(setup.device, dtype):
        unet = MultiViewUNet.from_unet(weights.make_unet("sd2", setup.width, in_channels=5))
        for weight in unet.multiview_parameters():
            if not weight.any():
                torch.nn.init.normal_(weight, std=0.02)
    return unet.eval().requires_grad_(False)


@cache
def tokenizer() -> transformers.CLIPTokenizer:
    return weights.make_tokenizer()


def pipeline(setup: Setup, kind: str, dtype: torch.dtype) -> MVDiffusionPipeline:
    """Random weights by their kind, sd2, sd15 or sdxl; the latter two with a depth ControlNet."""
    more = {}
    with made_on(setup.device, dtype):
        vae = weights.make_vae(kind, setup.width)
        text = weights.make_text_encoder("sd15" if kind == "sdxl" else kind, setup.width)
        if kind == "sdxl":
            more |= {"text_encoder_2": weights.make_text_encoder(kind, setup.width), "tokenizer_2": tokenizer()}
        unet = None if kind == "sd2" else weights.make_unet(kind, setup.width)
        if unet is not None:
            more["controlnet"] = weights.make_controlnet(unet)
    scheduler = diffusers.DDIMScheduler(beta_schedule="scaled_linear", clip_sample=False, set_alpha_to_one=False)
    unet = multiview_unet(setup, dtype) if unet is None else unet
    pipe = MVDiffusionPipeline(vae, text, tokenizer(), unet, scheduler, **more)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def call(pipe: Callable[..., Any], views: ViewSet, steps: int, **options: Any) -> np.ndarray:
    """Images of a seeded call."""
    generator = torch.Generator().manual_seed(0)
    return pipe(PROMPT, views, num_inference_steps=steps, generator=generator, **options).images
