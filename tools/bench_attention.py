"""What correspondence-aware attention costs: one multi-view forward against the same UNet without it.

The two run in turn, in one process, so that a busy machine slows both alike. Weights are random; the views walk
through a box room and look around, so that each sees several others. `--views 150` is the memory case. On a GPU with
Triton the experimental kernel of the attention takes its turn, too. Super-resolution
is that of one step: what is read from the small images once for all steps is reported apart. A panorama's eight views
turn about one point; each query has nine keys in each view that it is seen in.
"""

import resource
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import torch
from diffusers import UNet2DConditionModel

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from scenetex.cli.guarded import guarded
from scenetex.cli.parsing import parse
from scenetex.correspondence import Correspondence, from_depth, from_rotation
from scenetex.errors import InputError
from scenetex.limits import SIDE, THREADS, Between, check_options
from scenetex.models import MultiViewUNet, SuperResolutionUNet
from scenetex.panorama import ring_intrinsics, ring_rotations
from scenetex.process.interrupt import as_process

_FACTOR = 4  # of super-resolution


@dataclass
class Config:
    """Settings of the benchmark."""

    views: Annotated[int, Between(1, 10_000)] = 12
    """Number of views."""
    size: tuple[Annotated[int, SIDE], Annotated[int, SIDE]] = (192, 256)
    """Image height and width, pixels."""
    channels: tuple[int, ...] | None = None
    """Widths of the UNet's blocks; default: 64 128 256 256, for super-resolution 64 128 192."""
    convention: Literal["visible", "mvdiffusion"] = "visible"
    """Convention of the correspondence."""
    device: Literal["cpu", "cuda"] = "cpu"
    """Where to compute."""
    dtype: Literal["float32", "float16", "bfloat16"] = "float32"
    """Precision of weights and features."""
    threads: Annotated[int, THREADS] = 2
    """CPU threads."""
    rounds: Annotated[int, Between(1, 10_000)] = 7
    """Timed rounds of both models; the median of the rounds' ratios counts."""
    module: Literal["depth", "super-resolution", "panorama"] = "depth"
    """Generation of images of `size` with depth, of images four times as large from them, or of a panorama's eight
    square views as wide as that."""


def main() -> int:
    """Reads the options and measures."""

    def work() -> int:
        measure(parse(Config, "bench_attention", None))
        return 0

    return guarded("bench_attention", work)


def measure(config: Config) -> None:
    check_options(config)
    if config.device == "cuda" and not torch.cuda.is_available():
        raise InputError("--device cuda: no CUDA device is available; use --device cpu")
    torch.set_num_threads(config.threads)
    torch.manual_seed(0)
    dtype = getattr(torch, config.dtype)
    small, ring = config.module == "super-resolution", config.module == "panorama"
    size = (config.size[1], config.size[1]) if ring else config.size
    start = time.perf_counter()
    correspondence = turn(size[1], config) if ring else stroll(config)
    image = tuple(side * (_FACTOR if small else 1) for side in size)
    channels = config.channels or ((64, 128, 192) if small else (64, 128, 256, 256))
    sizes = feature_sizes(image, len(channels))
    for size in sizes:
        correspondence.at(size, dtype)
        if small:
            correspondence.at(size, dtype, own=True)
    wait(config.device)
    found = time.perf_counter() - start
    print(f"correspondence: {found:.2f} s, {correspondence.nbytes() / 1e6:.0f} MB")
    print(describe(correspondence, sizes[0], dtype))
    case = super_resolution_case if small else panorama_case if ring else depth_case
    model, plain, joint = case(channels, sizes[0], correspondence, {"device": config.device, "dtype": dtype})
    runs = {"plain UNet": plain, "with attention": joint}
    if config.device == "cuda" and find_spec("triton") is not None:
        runs["with attention in one kernel"] = fused(model, joint)

    with torch.no_grad():
        same = torch.equal(plain(), joint())
        for run in runs.values():
            run()  # kernels are compiled at the first call
        times = [[seconds(run, config.device) for run in runs.values()] for _ in range(config.rounds)]
    for name, each in zip(runs, zip(*times, strict=True), strict=True):
        ratio = statistics.median(b / a for b, (a, *_) in zip(each, times, strict=True))
        print(f"{name}: {statistics.median(each):.3f} s, ratio: {ratio:.3f} (median of {config.rounds} rounds)")
    print(f"identical at zero initialisation: {same}")
    if config.device == "cuda":
        for name, run in runs.items():
            torch.cuda.reset_peak_memory_stats()
            with torch.no_grad():
                run()
            print(f"peak memory, {name}: {torch.cuda.max_memory_allocated() / 1e6:.0f} MB")
    else:
        print(f"peak memory of the process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3:.0f} MB")


def stroll(config: Config) -> Correspondence:
    """Of views that walk through a room."""
    depth, intrinsics, poses = walk(config.views, config.size)
    depth = torch.from_numpy(depth)[None].to(config.device)
    return from_depth(depth, intrinsics[None], poses[None], convention=config.convention)


def turn(side: int, config: Config) -> Correspondence:
    """Of the eight views of a panorama."""
    rotations = torch.from_numpy(ring_rotations())[None].float().to(config.device)
    intrinsics = torch.from_numpy(ring_intrinsics(side))[None].float()
    return from_rotation(intrinsics, rotations, (side, side), convention=config.convention)


def depth_case(channels: tuple[int, ...], size: tuple[int, int], correspondence: Correspondence, like: dict):
    """One step of generation at latents of `size`, without and with attention."""
    return generation_case(MultiViewUNet.from_unet(build_unet(channels, 5)), size, correspondence, like)


def panorama_case(channels: tuple[int, ...], size: tuple[int, int], correspondence: Correspondence, like: dict):
    """The same for a panorama; its UNet takes no depth."""
    model = MultiViewUNet.from_unet(build_unet(channels, 4), kind="panorama")
    return generation_case(model, size, correspondence, like)


def generation_case(model: MultiViewUNet, size: tuple[int, int], correspondence: Correspondence, like: dict):
    """The model's forward, without and with attention."""
    model = model.to(**like).eval().requires_grad_(False)
    sample, step, prompt = noisy(correspondence.views, model.unet.config.in_channels, size, like)

    @torch.no_grad()
    def plain() -> torch.Tensor:
        return model.unet(sample[0], step[0], prompt[0]).sample

    @torch.no_grad()
    def joint() -> torch.Tensor:
        return model(sample, step, prompt, correspondence).sample[0]

    return model, plain, joint


def super_resolution_case(channels: tuple[int, ...], size: tuple[int, int], correspondence: Correspondence, like: dict):
    """One step of super-resolution to latents of `size`, without and with attention."""
    model = SuperResolutionUNet.from_unet(build_light_unet(channels), _FACTOR).to(**like).eval().requires_grad_(False)
    views = correspondence.views
    sample, step, prompt = noisy(views, 4, size, like)
    start = time.perf_counter()
    with torch.no_grad():
        low = model.read_low(torch.randn(1, views, 4, *(side // _FACTOR for side in size), **like))
    wait(like["device"])
    print(f"small images, once for all steps: {time.perf_counter() - start:.3f} s")

    @torch.no_grad()
    def plain() -> torch.Tensor:
        return model.unet(sample[0], step[0], prompt[0]).sample

    @torch.no_grad()
    def joint() -> torch.Tensor:
        return model(sample, step, prompt, low, correspondence).sample[0]

    return model, plain, joint


def noisy(views: int, channels: int, size: tuple[int, int], like: dict) -> tuple[torch.Tensor, ...]:
    """Latents, steps and prompts."""
    steps = torch.full((1, views), 500, device=like["device"])
    return torch.randn(1, views, channels, *size, **like), steps, torch.randn(1, views, 16, 64, **like)


def fused(model: MultiViewUNet | SuperResolutionUNet, joint: Callable[[], torch.Tensor]) -> Callable[[], torch.Tensor]:
    """`joint` with the experimental kernel."""

    def run() -> torch.Tensor:
        model.set_fused_attention()
        try:
            return joint()
        finally:
            model.set_fused_attention(False)

    return run


def build_unet(channels: tuple[int, ...], inputs: int) -> UNet2DConditionModel:
    """A UNet of Stable Diffusion's structure, `inputs` channels in: cross-attention in all blocks but the deepest."""
    n = len(channels) - 1
    return UNet2DConditionModel(
        in_channels=inputs,
        out_channels=4,
        block_out_channels=channels,
        down_block_types=("CrossAttnDownBlock2D",) * n + ("DownBlock2D",),
        up_block_types=("UpBlock2D",) + ("CrossAttnUpBlock2D",) * n,
        cross_attention_dim=64,
        attention_head_dim=8,
    )


def build_light_unet(channels: tuple[int, ...]) -> UNet2DConditionModel:
    """A UNet for super-resolution: attention in the deepest block only."""
    n = len(channels) - 1
    return UNet2DConditionModel(
        in_channels=4,
        out_channels=4,
        block_out_channels=channels,
        down_block_types=("DownBlock2D",) * n + ("CrossAttnDownBlock2D",),
        up_block_types=("CrossAttnUpBlock2D",) + ("UpBlock2D",) * n,
        cross_attention_dim=64,
        attention_head_dim=8,
    )


def feature_sizes(image: tuple[int, int], levels: int) -> list[tuple[int, int]]:
    """(h, w) of the feature maps of each level, latents (an eighth of the image) first."""
    return [tuple(-(-s // (8 * 2**level)) for s in image) for level in range(levels)]


def walk(views: int, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Views on half a loop through a room of 6 x 5 x 2.7 m, looking ahead and a little down.

    Returns:
        depth (views, h, w) float32 metres, intrinsics (3, 3) and poses (views, 4, 4) float64.
    """
    h, w = size
    room = np.array([6.0, 5.0, 2.7])
    intrinsics = np.array([[0.9 * w, 0, (w - 1) / 2], [0, 0.9 * w, (h - 1) / 2], [0, 0, 1]])
    u, v = np.meshgrid(np.arange(w), np.arange(h))
    rays = np.stack([u, v, np.ones_like(u)], -1) @ np.linalg.inv(intrinsics).T
    poses = np.tile(np.eye(4), (views, 1, 1))
    depth = np.empty((views, h, w), np.float32)
    for i in range(views):
        turn = np.pi * i / views
        forward = np.array([np.cos(turn), np.sin(turn), -0.25])
        forward /= np.linalg.norm(forward)
        right = np.cross(forward, [0, 0, 1.0])
        right /= np.linalg.norm(right)
        poses[i, :3, :3] = np.stack([right, np.cross(forward, right), forward], 1)
        poses[i, :3, 3] = room / 2 + [-1.2 * np.cos(turn), -0.9 * np.sin(turn), 0.2]
        direction = rays @ poses[i, :3, :3].T
        # From inside a box the nearest wall is the first of the three slabs the ray leaves.
        with np.errstate(divide="ignore"):
            leave = np.where(direction > 0, room - poses[i, :3, 3], -poses[i, :3, 3]) / direction
        depth[i] = leave.min(-1)
    return depth, intrinsics, poses


def describe(correspondence: Correspondence, size: tuple[int, int], dtype: torch.dtype) -> str:
    """Pairs and keys in words."""
    groups = correspondence.at(size, dtype).groups
    keys = sum(g.keys.query.numel() if g.valid is None else int(g.valid.sum()) for g in groups)
    tokens = correspondence.views * size[0] * size[1]
    return f"{len(correspondence.pairs) / correspondence.views:.1f} partners a view, {keys / tokens:.1f} keys a query"


def seconds(run, device: str) -> float:
    """Wall time of one call."""
    wait(device)
    start = time.perf_counter()
    run()
    wait(device)
    return time.perf_counter() - start


def wait(device: str) -> None:
    """Lets queued work on the device finish."""
    if device == "cuda":
        torch.cuda.synchronize()


if __name__ == "__main__":
    sys.exit(as_process(main))
