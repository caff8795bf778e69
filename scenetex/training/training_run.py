"""A training run from its options: data, stage, loop."""

import torch
from accelerate import Accelerator

from ..data.prefetch import Source
from ..data.rings import RingStream
from ..data.rooms import RoomStream
from ..data.sample_cache import KeptSource
from ..data.scans import ScanFolder
from ..errors import InputError
from ..process.console import say
from .batches import Schedule
from .feed import Part
from .loop import make_accelerator, train
from .run_folder import run_folder
from .stage_builders import Data, build_stage
from .training_options import TrainOptions
from .validation import make_painter


def run_training(options: TrainOptions) -> None:
    """Trains, or goes on with a training.

    Raises:
        InputError: options, data or models that do not fit, a disk that is full.
    """
    options.check()
    accelerator = make_accelerator(options)
    part = Part(accelerator.process_index, accelerator.num_processes, options.accumulation)
    if options.samples % (part.world * part.accumulation):
        raise InputError(
            f"--samples {options.samples} cannot be shared by {part.world} processes in {part.accumulation} parts; "
            "choose a number that can"
        )
    source = _source(options)
    with run_folder(options, accelerator.is_main_process):
        _run(options, accelerator, part, source)


def _run(options: TrainOptions, accelerator: Accelerator, part: Part, source: Source) -> None:
    """The run in its locked folder."""
    # Fresh weights are drawn while the stage is built.
    torch.manual_seed(options.seed)
    rooms = None if options.stage == "autoencoder" and options.cache is None else options.rooms
    stage = build_stage(options, Data(source, Schedule(options.seed, options.samples, rooms), part), accelerator.device)
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
        rooms = RoomStream(options.seed, options.room_views, options.size, materials)
    # Of large images nothing is kept but what is encoded: they would fill the disk.
    large = options.stage in ("super-resolution", "detail")
    return rooms if options.cache is None or large else KeptSource.within(options.cache, rooms)
