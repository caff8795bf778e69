"""What training needs with a backbone of Stable Diffusion 2 depth's shape: memory and seconds of multi-view steps.

    python tools/bench_training.py [--views 4] [--image-size 256 192]

Weights are random, the views those of a procedural room. All that a run holds is counted: the frozen model and its text
encoder, the blocks with gradients, moments and averages, and what writing the checkpoint takes.
"""

import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import torch
from diffusers import DDIMScheduler, UNet2DConditionModel
from torch import nn
from transformers import CLIPTextConfig, CLIPTextModel

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from scenetex.cli.guarded import guarded
from scenetex.cli.parsing import parse
from scenetex.data.rooms import RoomStream
from scenetex.limits import SIDE, Between, check_options
from scenetex.models import MultiViewUNet
from scenetex.pipelines.conditioning import depth_channel
from scenetex.process.interrupt import as_process
from scenetex.training.encoded import Encoded
from scenetex.training.items import multi_view_item
from scenetex.training.loop import make_accelerator, train
from scenetex.training.objectives import MultiViewObjective
from scenetex.training.training_options import LoopOptions

PROGRAM = "bench_training.py"
_CELL = 8
_TOKENS = 77
# The backbone's and the text encoder's published configurations.
_UNET = {
    "block_out_channels": (320, 640, 1280, 1280),
    "attention_head_dim": (5, 10, 20, 20),
    "cross_attention_dim": 1024,
    "use_linear_projection": True,
    "in_channels": 5,
    "out_channels": 4,
    "sample_size": 64,
}
_TEXT = {
    "vocab_size": 49408,
    "hidden_size": 1024,
    "intermediate_size": 4096,
    "num_hidden_layers": 23,
    "num_attention_heads": 16,
    "max_position_embeddings": _TOKENS,
    "hidden_act": "gelu",
}


@dataclass(frozen=True)
class Options:
    """Measures multi-view training steps."""

    views: Annotated[int, Between(1, 10_000)] = 4
    """Views in a step."""
    image_size: tuple[Annotated[int, SIDE], Annotated[int, SIDE]] = (256, 192)
    """Width and height of the images, pixels."""
    steps: int = 1
    """Steps; the last one's seconds are printed."""
    precision: Literal["no", "bf16", "fp16"] = "no"
    """Mixed precision."""
    gradient_checkpointing: bool = True
    """Compute parts of the model twice instead of keeping what is between."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to train."""
    width: Annotated[float, Between(0.01, 4)] = 1.0
    """Share of the backbone's channels, for a quick try."""


def main(arguments: list[str] | None = None) -> int:
    """Runs the benchmark; the exit code."""

    def work() -> int:
        options = parse(Options, PROGRAM, arguments)
        check_options(options)
        loop = LoopOptions(steps=options.steps, precision=options.precision, device=options.device)
        loop.check()
        measure(options, loop)
        return 0

    return guarded(PROGRAM, work)


def measure(options: Options, loop: LoopOptions) -> None:
    """Trains and prints what it took."""
    accelerator = make_accelerator(loop)
    objective = backbone(options)
    trained = sum(p.numel() for p in objective.trained())
    print(f"{sum(p.numel() for p in objective.parameters()) / 1e6:.0f} M parameters, {trained / 1e6:.0f} M trained")
    clocks = []

    def look(*_) -> None:
        clocks.append((time.perf_counter(), time.process_time()))

    def batches(start: int) -> Iterator[list[dict[str, torch.Tensor]]]:
        item = item_of(options)
        while True:
            look()
            yield [{name: value[None] for name, value in item.items()}]

    with tempfile.TemporaryDirectory() as folder:
        train(objective, batches, loop, accelerator, Path(folder), {}, save_model=look)
    wall, processor = (end - start for start, end in zip(*clocks[-2:], strict=True))
    print(
        f"{wall:.1f} s for a step of {options.views} views on {accelerator.device}, {processor:.1f} s of processor time"
    )
    print(f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.1f} GB of memory at the most")
    if accelerator.device.type == "cuda":
        print(f"{torch.cuda.max_memory_allocated() / 2**30:.1f} GB of GPU memory at the most")


def backbone(options: Options) -> nn.Module:
    """The objective of stage two, around random weights."""
    channels = tuple(int(c * options.width) // 32 * 32 for c in _UNET["block_out_channels"])
    unet = MultiViewUNet.from_unet(UNet2DConditionModel(**_UNET | {"block_out_channels": channels}))
    if options.gradient_checkpointing:
        unet.enable_gradient_checkpointing()
    text_encoder = CLIPTextModel(CLIPTextConfig(**_TEXT))
    scheduler = DDIMScheduler(beta_schedule="scaled_linear", prediction_type="epsilon")
    return MultiViewObjective(unet, text_encoder, scheduler, conditioned=False, convention="visible")


def item_of(options: Options) -> dict[str, torch.Tensor]:
    """A set of views of a room, with latents of noise."""
    sample = RoomStream(0, options.views, options.image_size).sample(0)
    width, height = options.image_size
    encoded = Encoded(
        torch.randn(options.views, 4, height // _CELL, width // _CELL),
        depth_channel(sample.views.depth, _CELL),
        torch.from_numpy(sample.views.depth),
        torch.from_numpy(sample.views.intrinsics).float(),
        torch.from_numpy(sample.views.cam_to_world).float(),
        sample.prompts,
    )
    tokenize = lambda text: torch.randint(0, _TEXT["vocab_size"], (_TOKENS,))  # noqa: E731
    return multi_view_item(encoded, np.random.default_rng(0), tokenize, 1000, None)


if __name__ == "__main__":
    sys.exit(as_process(main))
