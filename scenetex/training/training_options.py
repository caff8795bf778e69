"""What a training run is asked to do. The fields' texts are the command line's help."""

import math
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Literal

import tyro

from ..errors import InputError
from ..limits import SEED, SIDE, THREADS, Between, PathOrName, check_options

_FINAL_RATE = 1e-7
# Where and by how many a run is worked on, when it is saved, and what its data tells of itself.
_PLACES = {"output", "cache", "workers", "threads", "device", "accumulation", "gradient_checkpointing", "save_every"}
_PLACES |= {"quiet", "picture_every"}
_PLACES |= {"data", "allow_outside", "materials", "room_views", "strayed", "depth", "image_size"}
_PLAIN = int | float | str | None


@dataclass(frozen=True, kw_only=True)
class LoopOptions:
    """How long and how to train."""

    steps: Annotated[int, Between(1, 1_000_000_000)] = 20000
    """Steps in all; a run that has done them goes on when there are more."""
    learning_rate: Annotated[float, Between(0, 100, ("least",))] = 2e-4
    """Peak learning rate."""
    warmup: Annotated[int, Between(0, 1_000_000_000)] = 100
    """Steps until then."""
    optimizer: Literal["adamw", "muon"] = "adamw"
    """AdamW, or Muon: learns more per step, at ten times the learning rate; for models from scratch."""
    schedule: Literal["cosine", "constant"] = "cosine"
    """Learning rate after that: down to 1e-7 at the last step, or constant, to be gone on with."""
    average: Annotated[float, Between(0, 1, ("most",))] = 0.999
    """Decay of the moving average of the weights, which is what the model folder gets."""
    accumulation: Annotated[int, Between(1, 65536)] = 1
    """Parts that each step is computed in, one after the other: more need less memory."""
    precision: Literal["no", "bf16", "fp16"] = "no"
    """Mixed precision."""
    save_every: Annotated[int, Between(1, 1_000_000_000)] = 500
    """Steps between checkpoints."""
    picture_every: Annotated[int, Between(0, 1_000_000_000)] = 0
    """Steps between validation pictures; 0 = none."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to train."""
    threads: Annotated[int | None, THREADS] = None
    """Most threads to compute with, in each process that trains; default: all cores."""
    quiet: bool = False
    """No progress bars."""

    def check(self) -> None:
        """Raises InputError for values that are out of range."""
        check_options(self)

    def rate(self, step: int) -> float:
        """Learning rate of a step, counted from 0."""
        rise = min(1.0, (step + 1) / max(self.warmup, 1))
        if self.schedule == "constant":
            return rise * self.learning_rate
        fall = 0.5 + 0.5 * math.cos(math.pi * min(step / self.steps, 1.0))
        return _FINAL_RATE + (rise * self.learning_rate - _FINAL_RATE) * fall


@dataclass(frozen=True, kw_only=True)
class TrainOptions(LoopOptions):
    """Trains a model, stage by stage: autoencoder, single-view, multi-view, interpolation, panorama, super-resolution,
    detail.

    A run resumes from its last checkpoint when it is started again with the same options.
    """

    stage: Annotated[
        Literal["autoencoder", "single-view", "multi-view", "interpolation", "panorama", "super-resolution", "detail"],
        tyro.conf.Positional,
    ]
    """What to train."""
    output: Path
    """Folder for the model, checkpoints, losses and pictures."""
    model: Annotated[str | None, PathOrName] = None
    """Model to start from: the folder that the stage before left, or Stable Diffusion with depth (folder or Hub id). A
    folder with nothing but an autoencoder starts a small model from scratch."""
    upscale_unet: Path | None = None
    """Folder of a UNet that takes latents alone, to start super-resolution from; default: a small one from scratch."""
    gradient_checkpointing: bool = False
    """Compute parts of the model twice instead of keeping what is between: less memory, more time."""
    data: Path | None = None
    """Folder of scenes in ScanNet layout with prompts; default: procedural rooms."""
    allow_outside: bool = False
    """Read files outside a scene's folder where names or symlinks in it lead there; for scenes you trust."""
    materials: Path | None = None
    """Folder of material images by category, for the procedural rooms."""
    rooms: Annotated[int, Between(1, 1_000_000_000)] = 2000
    """Number of different rooms, or runs of frames of scans; autoencoders see new ones all the time, unless there is a
    cache. A run may go on with more than it began with."""
    room_views: Annotated[int, Between(1, 10_000)] = 16
    """Views of each room, or frames in a run; of panoramas always 8."""
    strayed: Annotated[float, Between(0, 1)] = 0.0
    """Share of the procedural rooms' views that look up or down from any height, as those that complete a scene do."""
    depth: Literal["rendered", "sensor"] = "rendered"
    """Depth of scans: ray-cast from the mesh, or the sensor's."""
    image_size: Annotated[tuple[int, int] | None, SIDE] = None
    """Width and height of the images, pixels; default: 256 192, 256 256 for panoramas, 1024 768 for
    super-resolution and detail."""
    crop: Annotated[tuple[int, int] | None, SIDE] = None
    """Width and height of a random part of each image to train on, pixels: faster steps, for the autoencoder, single
    views and detail; default: whole images, of which detail learns from the middle, half as wide and high."""
    noise_bias: Annotated[float, Between(0, 100, ("least",))] = 1.0
    """How much more to train on high noise levels, where colours and layout are decided and views come to agree: 1 = on
    all alike; a level's share grows with its power of this less 1."""
    whole: bool = False
    """Train the UNet between the blocks on, too, for models made from scratch (multi-view, interpolation). Some sets of
    views then go without blocks, as half of guidance does."""
    expansion: Annotated[int, Between(1, 16)] = 4
    """Width of the feed-forward layers inside new correspondence blocks over the UNet's: less makes small blocks."""
    latent_channels: Annotated[int, Between(1, 64)] = 8
    """Channels of the latents of a new autoencoder."""
    perceptual: Annotated[float, Between(0, 100)] = 0.25
    """Weight of images' likeness to eyes trained on ImageNet, for autoencoders that are told the surface; needs
    the extra [train] unless it is 0."""
    agreement: Annotated[float, Between(0, 100)] = 0.1
    """Weight of the agreement of two views' latents of one surface, for a new autoencoder."""
    adversarial: Annotated[float, Between(0, 100)] = 0.0
    """Strength of a discriminator that learns to tell decoded images from true ones, against all likenesses, for
    autoencoders that are told the surface: patterns come out as patterns; for the last steps."""
    redrawn: Annotated[float, Between(0, 1)] = 0.0
    """Share of the scenes whose latents a pipeline's UNet draws again from noise before its decoder makes images of
    them, for the decoder of a whole pipeline: it learns to draw what the UNet leaves out."""
    alignment: Annotated[float, Between(0, 100)] = 0.0
    """Weight of the UNet's middle features telling what eyes trained on ImageNet see in the true image, on single
    views: a model from scratch learns faster (REPA); needs the extra `train` unless it is 0."""
    cache: Path | None = None
    """Folder for rendered and encoded samples, shared by runs; default: in the output folder. Delete it when scans
    change."""
    workers: Annotated[int, Between(0, 1024)] = 2
    """Processes that render or read samples."""
    samples: Annotated[int, Between(1, 65536)] = 4
    """Scenes in one step, over all processes."""
    views: Annotated[int, Between(1, 10_000)] = 4
    """Views of each scene in a step; of panoramas always 8."""
    seed: Annotated[int, SEED] = 0
    """Seed of everything random."""

    def course(self) -> dict:
        """What decides on the course of a run beside its data and what is frozen: all options but those that say where,
        or by how many, it is worked on. What the last step is counts only where the learning rate falls towards it."""
        apart = {*_PLACES, "steps"} if self.schedule == "constant" else _PLACES
        values = {field.name: getattr(self, field.name) for field in fields(self) if field.name not in apart}
        return {name: value if isinstance(value, _PLAIN) else str(value) for name, value in values.items()}

    def check(self) -> None:
        """Raises InputError for values that are out of range or do not go together."""
        super().check()
        if self.views > self.room_views:
            raise InputError(
                f"--views {self.views} of each scene in a step, but it has --room-views {self.room_views}; choose fewer"
            )
        if self.views < 2 and self.stage in ("multi-view", "interpolation"):
            raise InputError(f"--views {self.views}: stage {self.stage} joins views; choose 2 or more")
        if self.data is not None and self.materials is not None:
            raise InputError("--materials are for procedural rooms; leave them out with --data")
        if self.data is not None and self.stage == "panorama":
            raise InputError("--data: panoramas are trained on procedural rooms; leave it out for panorama")
        if self.upscale_unet is not None and self.stage != "super-resolution":
            raise InputError(f"--upscale-unet is for stage super-resolution; leave it out for {self.stage}")
        if self.strayed and (self.data is not None or self.stage == "panorama"):
            raise InputError("--strayed is for walks through procedural rooms; leave it out with --data, for panorama")
        if self.whole and self.stage not in ("multi-view", "interpolation"):
            raise InputError(f"--whole is for multi-view and interpolation; leave it out for {self.stage}")
        if self.redrawn and self.stage != "autoencoder":
            raise InputError(f"--redrawn is for stage autoencoder; leave it out for {self.stage}")
        if self.alignment and (self.crop is not None or self.stage != "single-view"):
            raise InputError("--alignment is for single-view, with whole images; leave it out, or --crop")
        if self.crop is not None:
            if self.stage not in ("autoencoder", "single-view", "detail"):
                raise InputError(f"--crop is for autoencoder, single-view and detail; leave it out for {self.stage}")
            images = tuple(side // 2 for side in self.size) if self.stage == "detail" else self.size
            if any(part > whole for part, whole in zip(self.crop, images, strict=True)):
                raise InputError(f"--crop {self.crop[0]} {self.crop[1]}: choose 8 pixels or more, within the images")
        if self.stage == "panorama" and self.size[0] != self.size[1]:
            raise InputError(f"--image-size {self.size[0]} {self.size[1]}: views of panoramas are square")

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of the images, pixels."""
        if self.image_size is not None:
            return tuple(self.image_size)
        large = (1024, 768)
        return {"super-resolution": large, "detail": large, "panorama": (256, 256)}.get(self.stage, (256, 192))

    @property
    def cache_folder(self) -> Path:
        """Where encoded samples are kept."""
        return self.output / "encoded" if self.cache is None else self.cache
