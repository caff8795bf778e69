"""A training run from its options: data, stage, loop."""

import torch
from accelerate import Accelerator
from diffusers import ModelMixin

from ..data.rooms import RingStream, RoomStream
from ..data.sample import Source
from ..data.sample_cache import CachedSource
from ..data.scans import ScanFolder
from ..errors import InputError
from ..process.console import say
from . import unet_stages, upscaling_stages
from .autoencoder_stage import autoencoder
from .batches import Schedule, Shard
from .loop import make_accelerator, train
from .stage import Data, Stage
from .training_folder import training_folder
from .training_options import TrainOptions
from .validation import make_painter

_STAGES = {
    "autoencoder": autoencoder,
    "single-view": unet_stages.single_view,
    "multi-view": unet_stages.multi_view,
    "interpolation": unet_stages.multi_view,
    "panorama": unet_stages.panorama,
    "super-resolution": upscaling_stages.super_resolution,
    "detail": upscaling_stages.detail,
}


def run_training(options: TrainOptions) -> None:
    """Trains, or goes on with a training.

    Raises:
        InputError: options, data or models that do not fit, a disk that is full.
    """
    options.check()
    accelerator = make_accelerator(options)
    shard = Shard(accelerator.process_index, accelerator.num_processes, options.accumulation)
    if options.samples % (shard.world * shard.accumulation):
        raise InputError(
            f"--samples {options.samples} cannot be shared by {shard.world} processes in {shard.accumulation} parts; "
            "choose a number that can"
        )
    source = _source(options)
    with training_folder(options, accelerator.is_main_process):
        _run(options, accelerator, shard, source)


def build_stage(options: TrainOptions, data: Data, device: torch.device) -> Stage:
    """The stage that the options name; encodes what it trains on.

    Raises:
        InputError: a model that does not fit the stage, data that cannot be read.
    """
    stage = _STAGES[options.stage](options, data, device)
    if options.gradient_checkpointing:
        for part in stage.objective.children():
            if isinstance(part, ModelMixin):
                part.enable_gradient_checkpointing()
    return stage


def _run(options: TrainOptions, accelerator: Accelerator, shard: Shard, source: Source) -> None:
    """The run in its locked folder."""
    # Fresh weights are drawn while the stage is built.
    torch.manual_seed(options.seed)
    rooms = None if options.stage == "autoencoder" and options.cache is None else options.rooms
    stage = build_stage(
        options, Data(source, Schedule(options.seed, options.samples, rooms), shard), accelerator.device
    )
    accelerator.wait_for_everyone()
    run = {"data": repr(source), "frozen": stage.frozen} | options.course()
    picture = None
    if options.picture_every and accelerator.is_main_process:
        # The first room beyond those trained on; of scans, another run of frames.
        picture = make_painter(source.sample(options.rooms), options.output / "pictures", stage.paint)
    train(stage.objective, stage.batches, options, accelerator, options.output, run, stage.save, picture)
    if accelerator.is_main_process:
        say(f"{options.output / 'model'}: the model, after {options.steps} steps; for --model of the next stage")


def _source(options: TrainOptions) -> Source:
    if options.data is not None:
        return ScanFolder(
            str(options.data),
            options.size,
            options.depth,
            options.room_views,
            options.seed,
            options.views,
            options.allow_outside,
        )
    materials = None if options.materials is None else str(options.materials)
    if options.stage == "panorama":
        rooms = RingStream(options.seed, size=options.size, materials=materials)
    else:
        rooms = RoomStream(options.seed, options.room_views, options.size, materials, options.strayed)
    # Of large images nothing is kept but what is encoded: they would fill the disk.
    large = options.stage in ("super-resolution", "detail")
    return rooms if options.cache is None or large else CachedSource.within(options.cache, rooms)
