"""A tiny model that is told about the surface, procedural rooms for it, and the options of short trainings."""

import os
import signal
import sys
from dataclasses import dataclass
from functools import cache
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path

import torch
from accelerate import Accelerator
from diffusers import UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel

from scenetex.cli.main import main
from scenetex.data.rooms import RingStream, RoomStream
from scenetex.data.sample import Sample
from scenetex.models import PatchAutoencoder
from scenetex.pipelines import MVDiffusionPipeline
from scenetex.pipelines.conditioning import surface_channels
from scenetex.synthetic.words import vocabulary
from scenetex.training.batches import Schedule, Shard
from scenetex.training.loop import train
from scenetex.training.model_folder import save_autoencoder, save_pipeline
from scenetex.training.small_model import small_scheduler, word_tokenizer
from scenetex.training.stage import Data, Stage
from scenetex.training.training_options import TrainOptions
from scenetex.training.training_run import build_stage

SIZE = (64, 48)
TOKENIZER = word_tokenizer(vocabulary())


@dataclass(frozen=True)
class FewRooms(RoomStream):
    """A stream that comes back to its first two rooms: to train autoencoders, which see new rooms all the time."""

    def sample(self, index: int) -> Sample:
        return _room(self, index % 2)


@cache
def _room(stream: FewRooms, index: int) -> Sample:
    return RoomStream.sample(stream, index)


def tiny_autoencoder() -> PatchAutoencoder:
    """Factor 8: patches of 2 pixels, and blocks that halve twice."""
    torch.manual_seed(0)
    return PatchAutoencoder(
        in_channels=12,
        out_channels=12,
        block_out_channels=(8, 8, 8),
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=4,
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        mid_block_add_attention=False,
    ).eval()


def tiny_unet(in_channels: int = 4 + surface_channels(8)) -> UNet2DConditionModel:
    torch.manual_seed(1)
    return UNet2DConditionModel(
        sample_size=8,
        in_channels=in_channels,
        out_channels=4,
        block_out_channels=(16, 32),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=32,
        attention_head_dim=4,
        norm_num_groups=8,
    )


def tiny_pipeline(unet=None) -> MVDiffusionPipeline:
    torch.manual_seed(2)
    text_encoder = CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(TOKENIZER),
            hidden_size=32,
            intermediate_size=32,
            num_hidden_layers=1,
            num_attention_heads=2,
            max_position_embeddings=TOKENIZER.model_max_length,
            bos_token_id=TOKENIZER.bos_token_id,
            eos_token_id=TOKENIZER.eos_token_id,
            pad_token_id=TOKENIZER.pad_token_id,
        )
    )
    return MVDiffusionPipeline(
        vae=tiny_autoencoder(),
        text_encoder=text_encoder.eval(),
        tokenizer=TOKENIZER,
        unet=(tiny_unet() if unet is None else unet).eval(),
        scheduler=small_scheduler(),
    )


def write_models(folder: Path) -> Path:
    """`folder` with the tiny model in ``pipeline``, its autoencoder alone in ``autoencoder``, and in ``upscale`` a UNet
    that takes latents alone."""
    save_pipeline(folder / "pipeline", tiny_pipeline())
    save_autoencoder(folder / "autoencoder", tiny_autoencoder())
    tiny_unet(in_channels=4).save_pretrained(folder / "upscale")
    return folder


def options(stage: str, models: Path, output: Path, **changes) -> TrainOptions:
    """A training of two steps on the CPU, from the tiny model, with what is encoded kept beside it."""
    start = None if stage == "autoencoder" else str(models / "pipeline")
    small = dict(rooms=2, room_views=4, samples=2, views=3, steps=2, warmup=1, save_every=1000, workers=0)
    size = {"super-resolution": (128, 96), "detail": (128, 96), "panorama": (64, 64)}.get(stage, SIZE)
    values = dict(stage=stage, output=output, model=start, image_size=size, cache=models / "encoded", device="cpu")
    return TrainOptions(**{**small, **values, "learning_rate": 2e-3, "schedule": "constant", **changes})


def stage_of(asked: TrainOptions) -> Stage:
    """The stage of such a training, as one process that does all of it has it."""
    torch.manual_seed(asked.seed)
    ring = asked.stage == "panorama"
    source = RingStream(asked.seed, size=asked.size) if ring else FewRooms(asked.seed, asked.room_views, asked.size)
    rooms = None if asked.stage == "autoencoder" else asked.rooms
    return build_stage(
        asked, Data(source, Schedule(asked.seed, asked.samples, rooms), Shard(0, 1, 1)), torch.device("cpu")
    )


def trained(asked: TrainOptions):
    """The stage, its objective's state before the training, and the averaged objective after it."""
    stage = stage_of(asked)
    before = {name: value.clone() for name, value in stage.objective.state_dict().items()}
    asked.output.mkdir(exist_ok=True)
    average = train(stage.objective, stage.batches, asked, Accelerator(cpu=True), asked.output, {}, stage.save)
    return stage, before, average


def changed(before: dict, after: torch.nn.Module) -> set[str]:
    """Names of what differs by a bit."""
    return {name for name, value in after.state_dict().items() if not torch.equal(value, before[name])}


def arguments(asked: TrainOptions) -> list[str]:
    """The command line that gives these options."""
    out = [asked.stage]
    for name, value in vars(asked).items():
        if name == "stage" or value is None or value is False:
            continue
        if value is True:
            out.append(f"--{name.replace('_', '-')}")
            continue
        values = [str(v) for v in value] if isinstance(value, tuple) else [str(value)]
        out += [f"--{name.replace('_', '-')}", *values]
    return out


def launch(asked: TrainOptions, log: Path, **environment: str) -> BaseProcess:
    """The command in a process of its own, forked from one that has loaded PyTorch; what it prints goes to `log`."""
    forks = get_context("forkserver")
    forks.set_forkserver_preload(["scenetex.training.training_run"])
    process = forks.Process(target=_run, args=(arguments(asked), str(log), environment))
    process.start()
    return process


def _run(given: list[str], log: str, environment: dict[str, str]) -> None:
    os.environ.update(environment)
    torch.set_num_threads(1)
    # A shell's background jobs ignore Ctrl-C, and so do their children.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(handle, stream)
    sys.exit(main(["train", *given]))
