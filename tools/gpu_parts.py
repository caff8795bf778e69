"""What `check_gpu.py` runs, part by part: each yields rows of figures, measured one by one."""

import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import diffusers
import make_random_model as weights
import numpy as np
import torch
from bench_training import Options as TrainingOptions
from bench_training import item_of
from gpu_setup import (
    PROMPT,
    Row,
    Setup,
    call,
    correspondence_of,
    figure,
    made_on,
    multiview_unet,
    name_of,
    pipeline,
    tokenizer,
    views_of,
)

import scenetex
from scenetex.correspondence.matches import Matches
from scenetex.models import MultiViewUNet
from scenetex.models.attention import CorrespondenceAttention
from scenetex.pipelines import ConsistentViews, MVDiffusionPipeline
from scenetex.training.loop import make_accelerator, train
from scenetex.training.objectives import MultiViewObjective
from scenetex.training.training_options import LoopOptions
from scenetex.views.viewset import ViewSet

_ROUNDS = 5


def attention(setup: Setup) -> Iterator[Row]:
    """Correspondence attention alone, with two guidance halves: forward, and forward and backward."""
    yield from _attention(setup, (False,))


def _attention(setup: Setup, ways: tuple[bool, ...]) -> Iterator[Row]:
    """The same, without the fused kernel and with it, as `ways` say."""
    width = 64 if setup.tiny else 320
    cells = (setup.size[1] // 8, setup.size[0] // 8)
    for m in setup.counts:
        correspondence = correspondence_of(setup, views_of(setup, m))
        for dtype in setup.dtypes:
            torch.manual_seed(0)
            layer = CorrespondenceAttention(width, torch.logspace(0, 1, width // 2, base=256.0))
            torch.nn.init.normal_(layer.to_out.weight, std=0.05)
            layer = layer.to(setup.device, dtype)
            x = torch.randn(2, m * cells[0] * cells[1], width, device=setup.device, dtype=dtype)
            yield from _rows_of_attention(setup, layer, x, correspondence.at(cells, dtype), ways)


def _rows_of_attention(
    setup: Setup, layer: CorrespondenceAttention, x: torch.Tensor, matches: Matches, ways: tuple[bool, ...]
) -> Iterator[Row]:
    keys = max((group.shape[1] for group in matches.groups), default=0)
    row = {"views": matches.views, "keys at most": keys, "dtype": name_of(x.dtype)}
    expected = None
    for layer.fused in ways:
        with torch.no_grad():
            found, took = setup.measured(lambda: layer(x, x, matches), _ROUNDS)

        def both() -> None:
            asked = x.detach().requires_grad_()
            layer(asked, asked, matches).square().sum().backward()

        _, back = setup.measured(both, _ROUNDS)
        layer.zero_grad()
        row |= {"kernel": layer.fused} | took
        row |= {"with backward, s": back["seconds"], "with backward, GB": back["memory, GB"]}
        expected = found if expected is None else expected
        yield row | {"largest difference": figure((found - expected).abs().max()), "of": figure(expected.abs().max())}


def step(setup: Setup) -> Iterator[Row]:
    """One denoising step of Stable Diffusion 2 depth's UNet: without attention along correspondences, and with it."""
    yield from _step(setup, ("without", "plain"))


def _step(setup: Setup, ways: tuple[str, ...]) -> Iterator[Row]:
    """The same, for each of these kinds of attention."""
    m = setup.counts[0]
    correspondence = correspondence_of(setup, views_of(setup, m))
    for dtype in setup.dtypes:
        unet = multiview_unet(setup, dtype)
        like = {"device": setup.device, "dtype": dtype}
        sample = torch.randn(1, m, 5, setup.size[1] // 8, setup.size[0] // 8, **like)
        hidden = torch.randn(1, m, 77, unet.unet.config.cross_attention_dim, **like)
        for name in ways:
            unet.set_fused_attention(name == "kernel")
            with torch.no_grad():
                run = partial(unet, sample, 500, hidden, None if name == "without" else correspondence)
                _, took = setup.measured(run, _ROUNDS)
            yield {"views": m, "dtype": name_of(dtype), "attention": name} | took


def generate(setup: Setup) -> Iterator[Row]:
    """Images from text by Stable Diffusion 2 depth's shape with multi-view blocks: together, interpolated, in
    windows."""
    views, walked = (views_of(setup, count) for count in setup.counts)
    for dtype in setup.dtypes:
        yield from _generate(setup, pipeline(setup, "sd2", dtype), views, walked)


def _generate(setup: Setup, pipe: MVDiffusionPipeline, views: ViewSet, walked: ViewSet) -> Iterator[Row]:
    def row(name: str, of: ViewSet, steps: int, by: Callable[..., Any] = pipe, **options) -> tuple[np.ndarray, Row]:
        images, took = setup.measured(lambda: call(by, of, steps, **options))
        told = {"what": name, "views": len(of), "dtype": name_of(pipe.unet.dtype), "steps": steps}
        return images, told | took | {"finite": bool(np.isfinite(images).all())}

    steps = setup.steps(10)
    call(pipe, views, 1)  # what is compiled or chosen at the first call
    images, found = row("generate", views, steps)
    yield found
    yield row("without fusion", views, steps, fusion=False)[1]
    anchors = [image if i % 2 == 0 else None for i, image in enumerate(images)]
    yield row("interpolate", views, steps, pipe.interpolate, images=anchors)[1]
    yield row("generate in windows", walked, setup.steps(2), joint_views=16)[1]


def offload(setup: Setup) -> Iterator[Row]:
    """Generating with the parts on the CPU until each is needed, against all of them on the GPU."""
    views, steps, dtype = views_of(setup, setup.counts[0]), setup.steps(4), setup.dtypes[0]
    pipe = pipeline(setup, "sd2", dtype)
    expected, took = setup.measured(lambda: call(pipe, views, steps))
    yield {"offload": False, "steps": steps} | took
    if setup.device.type == "cpu":
        yield {"offload": True, "steps": steps, "seconds": None, "difference": "needs a GPU"}
        return
    pipe.to("cpu")
    setup.free()
    pipe.enable_model_cpu_offload(device=setup.device)
    found, took = setup.measured(lambda: call(pipe, views, steps))
    yield {"offload": True, "steps": steps} | took | {"difference": figure(np.abs(found - expected).max())}


def controlnets(setup: Setup) -> Iterator[Row]:
    """Stable Diffusion 1.5 and XL, each with a depth ControlNet, without multi-view weights."""
    m, steps = min(4, setup.counts[0]), setup.steps(4)
    views = views_of(setup, m)
    for kind in ("sd15", "sdxl"):
        for dtype in setup.dtypes:
            pipe = pipeline(setup, kind, dtype)
            images, took = setup.measured(partial(call, pipe, views, steps))
            row = {"model": kind, "dtype": name_of(dtype), "views": m, "steps": steps} | took
            yield row | {"finite": bool(np.isfinite(images).all())}


def transformer(setup: Setup) -> Iterator[Row]:
    """Stable Diffusion 3 medium's shape with a depth ControlNet, in diffusers' own pipeline (`ConsistentViews`)."""
    m, steps, dtype = min(4, setup.counts[0]), setup.steps(4), torch.bfloat16
    heads, layers = (2, 2) if setup.tiny else (24, 24)
    sizes = dict(sample_size=128, patch_size=2, in_channels=16, attention_head_dim=64, num_attention_heads=heads)
    sizes |= dict(joint_attention_dim=256 if setup.tiny else 4096, caption_projection_dim=64 * heads)
    small, large = (weights.TEXTS[name][setup.width][0] for name in ("sd15", "sdxl"))
    sizes |= dict(pooled_projection_dim=small + large, pos_embed_max_size=192)
    with made_on(setup.device, dtype):
        network = diffusers.SD3Transformer2DModel(num_layers=layers, out_channels=16, **sizes)
        control = diffusers.SD3ControlNetModel(num_layers=layers // 2, **sizes)
        vae = weights.make_vae("sd15", setup.width, latent_channels=16, shift_factor=0.0609, scaling_factor=1.5305)
        encoders = [weights.make_text_encoder(name, setup.width, projected=True) for name in ("sd15", "sdxl")]
    inner = diffusers.StableDiffusion3ControlNetPipeline(
        transformer=network,
        controlnet=control,
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0),
        vae=vae,
        text_encoder=encoders[0],
        tokenizer=tokenizer(),
        text_encoder_2=encoders[1],
        tokenizer_2=tokenizer(),
        text_encoder_3=None,
        tokenizer_3=None,
    )
    inner.set_progress_bar_config(disable=True)
    pipe, views = ConsistentViews(inner), views_of(setup, m)
    for fusion in (True, False):
        images, took = setup.measured(partial(call, pipe, views, steps, fusion=fusion))
        row = {"fusion": fusion, "dtype": "bfloat16", "views": m, "steps": steps} | took
        yield row | {"finite": bool(np.isfinite(images).all())}


def training(setup: Setup) -> Iterator[Row]:
    """Steps of multi-view training (stage two) with a backbone of Stable Diffusion 2 depth's shape, in bfloat16."""
    size, m = setup.size, 4 if setup.device.type == "cuda" else 2
    loop = LoopOptions(steps=3, precision="bf16", device=setup.device.type, quiet=True)
    with made_on(setup.device, torch.float32):
        unet = MultiViewUNet.from_unet(weights.make_unet("sd2", setup.width, in_channels=5))
        text = weights.make_text_encoder("sd2", setup.width)
    unet.enable_gradient_checkpointing()
    scheduler = diffusers.DDIMScheduler(beta_schedule="scaled_linear", prediction_type="epsilon")
    objective = MultiViewObjective(unet, text, scheduler, conditioned=False, convention="visible")
    item = item_of(TrainingOptions(views=m, image_size=size))
    clocks: list[float] = []

    def batches(_: int) -> Iterator[list[dict[str, torch.Tensor]]]:
        while True:
            tick()
            yield [{name: value[None] for name, value in item.items()}]

    def tick(*_: object) -> None:
        setup.wait()
        clocks.append(time.perf_counter())

    with tempfile.TemporaryDirectory() as folder:
        run = lambda: train(objective, batches, loop, make_accelerator(loop), Path(folder), {}, save_model=tick)  # noqa: E731
        _, took = setup.measured(run)
    trained = sum(p.numel() for p in objective.trained())
    yield {"views": m, "parameters trained": trained, "first step, s": figure(clocks[1] - clocks[0])} | {
        "last step, s": figure(clocks[3] - clocks[2]),
        "memory, GB": took["memory, GB"],
        "with checkpoint, s": took["seconds"],
    }


def texture(setup: Setup) -> Iterator[Row]:
    """The sample room by mini: on this device against the CPU, in levels of 0 to 255 over the texture's texels."""
    scene = scenetex.load_scene(Path(__file__).resolve().parents[1] / "scenes" / "sample_room")
    options = dict(prompt=PROMPT, keyframes="2" if setup.tiny else "6", between=0, image_size=setup.size)
    options |= dict(texture_size=256 if setup.tiny else 1024, steps=setup.steps(8))
    rooms = []
    for device in (setup.device.type, "cpu"):
        room, took = setup.measured(partial(scenetex.texture_scene, scene, device=device, **options))
        rooms.append(room.textures[0].astype(int))
        yield {"device": device} | took
    difference = np.abs(rooms[0] - rooms[-1])
    yield {"device": "difference", "largest": int(difference.max()), "mean": figure(difference.mean())}


def kernel(setup: Setup) -> Iterator[Row]:
    """The fused kernel beside the plain path: the UNet's step, whole images, and attention alone. It comes last: what
    goes wrong on a GPU may take all that follows with it."""
    if not setup.kernel:
        yield {"kernel": "needs a GPU and Triton"}
        return
    yield from _step(setup, ("plain", "kernel"))
    views, steps, dtype = views_of(setup, setup.counts[0]), setup.steps(10), setup.dtypes[0]
    pipe = pipeline(setup, "sd2", dtype)
    images, _ = setup.measured(lambda: call(pipe, views, steps))
    pipe.unet.set_fused_attention()
    other, took = setup.measured(lambda: call(pipe, views, steps))
    row = {"views": len(views), "dtype": name_of(dtype), "attention": "kernel", "steps": steps} | took
    yield row | {"mean difference of images": figure(np.abs(other - images).mean())}
    yield from _attention(setup, (False, True))


@dataclass(frozen=True)
class Part:
    """A part: its work, and the seconds that it may take."""

    work: Callable[[Setup], Iterator[Row]]
    budget: float


PARTS = {
    "attention": Part(attention, 30),
    "step": Part(step, 20),
    "generate": Part(generate, 45),
    "texture": Part(texture, 30),
    "training": Part(training, 30),
    "offload": Part(offload, 15),
    "controlnets": Part(controlnets, 20),
    "transformer": Part(transformer, 15),
    "kernel": Part(kernel, 35),
}
