"""``scenetex train STAGE``: trains the parts of a model on scans or on an endless stream of procedural rooms."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from .cli import guarded, parse


@dataclass(frozen=True)
class TrainOptions:
    """Trains a model, stage by stage: autoencoder, single-view, multi-view, interpolation.

    A run resumes from its last checkpoint when it is started again with the same options.
    """

    stage: Annotated[Literal["autoencoder", "single-view", "multi-view", "interpolation"], tyro.conf.Positional]
    """What to train."""
    output: Path
    """Folder for the model, checkpoints, losses and pictures."""
    model: Path | None = None
    """Model folder to start from: the stage before, or Stable Diffusion with depth. A folder with nothing but an
    autoencoder starts a small model from scratch."""
    data: Path | None = None
    """Folder of scenes in ScanNet layout with prompts; default: procedural rooms."""
    materials: Path | None = None
    """Folder of material images by category, for the procedural rooms."""
    rooms: int = 2000
    """Number of different rooms, or runs of frames of scans; autoencoders see new ones all the time."""
    room_views: int = 16
    """Views of each room, or frames in a run."""
    depth: Literal["rendered", "sensor"] = "rendered"
    """Depth of scans: ray-cast from the mesh, or the sensor's."""
    image_size: tuple[int, int] = (256, 192)
    """Width and height of the images, pixels."""
    cache: Path | None = None
    """Folder for encoded samples, shared by runs; default: in the output folder."""
    workers: int = 2
    """Processes that render or read samples."""
    samples: int = 4
    """Scenes in one step, over all processes."""
    views: int = 4
    """Views of each scene in a step."""
    steps: int = 20000
    """Steps in all."""
    learning_rate: float = 2e-4
    """Peak learning rate."""
    warmup: int = 100
    """Steps until then."""
    schedule: Literal["cosine", "constant"] = "cosine"
    """Learning rate after that."""
    average: float = 0.999
    """Decay of the moving average of the weights."""
    accumulation: int = 1
    """Parts that each step is computed in."""
    precision: Literal["no", "bf16", "fp16"] = "no"
    """Mixed precision."""
    save_every: int = 500
    """Steps between checkpoints."""
    picture_every: int = 0
    """Steps between validation pictures; 0 = none."""
    seed: int = 0
    """Seed of everything random."""
    device: Literal["auto", "cpu"] = "auto"
    """Where to train."""


def main(arguments: list[str] | None = None) -> int:
    """Runs the command; the exit code."""
    return guarded("scenetex train", lambda: _train(parse(TrainOptions, "scenetex train", arguments)))


def _train(options: TrainOptions) -> int:
    from .training.run import run_training

    run_training(options)
    return 0
