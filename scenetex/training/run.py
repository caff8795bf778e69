"""A training run from its options: data, stage, loop."""

from pathlib import Path

from ..errors import InputError
from ..output import naming
from .batches import Schedule
from .feed import Part
from .loop import LoopSettings, make_accelerator, train
from .prefetch import Source
from .rooms import RoomStream
from .scans import ScanFolder
from .stages import Data, build_stage
from .validation import make_painter


def run_training(options) -> None:
    """Trains as `train_command.TrainOptions` say.

    Raises:
        InputError: options, data or models that do not fit, a disk that is full.
    """
    settings = LoopSettings(**{name: getattr(options, name) for name in LoopSettings.__dataclass_fields__})
    accelerator = make_accelerator(settings)
    world = accelerator.num_processes
    if options.samples % (world * settings.accumulation) or options.views < 1:
        raise InputError(
            f"training: {options.samples} samples of {options.views} views cannot be shared by {world} processes in "
            f"{settings.accumulation} parts; choose --samples that can"
        )
    source = _source(options)
    total = options.rooms
    with naming(options.output):
        Path(options.output).mkdir(parents=True, exist_ok=True)
    data = Data(
        source,
        total,
        Schedule(options.seed, options.samples, None if options.stage == "autoencoder" else total),
        options.views,
        Part(accelerator.process_index, world, settings.accumulation),
        options.workers,
        options.cache or options.output / "encoded",
    )
    stage = build_stage(options.stage, data, options.model, options.output, accelerator.device)
    accelerator.wait_for_everyone()
    run = {
        "stage": options.stage,
        "data": repr(source),
        "rooms": total,
        "samples": options.samples,
        "views": options.views,
        "seed": options.seed,
        **stage.describe,
    }
    picture = None
    if settings.picture_every and accelerator.is_main_process:
        # Beyond the samples that the diffusion stages train on.
        unseen = source.sample(total)
        picture = make_painter(unseen, options.output / "pictures", options.seed, stage.pipeline)
    train(stage.objective, stage.batches, settings, accelerator, options.output, run, stage.save, picture)


def _source(options) -> Source:
    if options.data is not None:
        return ScanFolder(str(options.data), tuple(options.image_size), options.depth, options.room_views, options.seed)
    materials = None if options.materials is None else str(options.materials)
    return RoomStream(options.seed, options.room_views, tuple(options.image_size), materials)
