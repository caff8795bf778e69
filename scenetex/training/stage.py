"""A stage of training, and what stages have in common."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from ..data.sample import Sample, Source
from ..errors import InputError, InputWarning, shown
from ..pipelines import MVDiffusionPipeline
from ..pipelines.multiview import MultiViewPipeline
from ..pipelines.prompts import parts_of
from . import validation
from .batches import Batches, Schedule, Shard, encoded_batches
from .encoded import Encoded, EncodedDetail
from .encoded_cache import EncodedCache, weights_digest
from .items import Item
from .model_folder import load_pipeline, save_pipeline
from .training_options import TrainOptions


@dataclass(frozen=True, eq=False)
class Stage:
    """One stage, ready for the loop.

    Attributes:
        objective: what is minimised.
        batches: what to train on.
        save: writes the model folder from an objective with averaged weights.
        paint: images (m, h, w, 3) uint8 that an objective makes of a sample's views.
        frozen: tells the weights that are not trained from others.
    """

    objective: nn.Module
    batches: Batches
    save: Callable[[nn.Module], None]
    paint: Callable[[nn.Module, Sample], np.ndarray]
    frozen: str


@dataclass(frozen=True, eq=False)
class Data:
    """What to train on: samples, which of them a step takes, and which part of each step is this process's."""

    source: Source
    schedule: Schedule
    shard: Shard


def diffusion_stage(
    options: TrainOptions,
    data: Data,
    pipe: MultiViewPipeline,
    objective: nn.Module,
    cache: EncodedCache,
    make: Callable[[Encoded | EncodedDetail, int], list[Item]],
    trained: Callable[[nn.Module], MultiViewPipeline],
    draw: Callable[[MultiViewPipeline, Sample, int], np.ndarray] = validation.generate,
    views: int | None = None,
) -> Stage:
    """What the stages with a UNet share; `trained` gives the pipeline with an objective's parts, `draw` its pictures.
    `views` of each sample make a step where the options do not say how many."""
    cache.fill(options.rooms, data.shard.rank, data.shard.world, options.workers, options.quiet)
    together, views = options.stage not in ("single-view", "detail"), views or options.views
    batches = encoded_batches(cache, data.schedule, data.shard, views, together, make)
    frozen = {name: p for name, p in objective.named_parameters() if not p.requires_grad} | pipe.vae.state_dict()
    return Stage(
        objective,
        batches,
        save=lambda average: save_pipeline(options.output / "model", trained(average)),
        paint=lambda average, sample: draw(trained(average), sample, options.seed),
        frozen=weights_digest("", frozen.items()),
    )


def tuned_pipeline(options: TrainOptions, kind: type[MultiViewPipeline] = MVDiffusionPipeline) -> MultiViewPipeline:
    if options.model is None:
        raise InputError(f"train {options.stage}: needs --model, a pipeline that stage one left behind")
    return load_pipeline(options.model, kind)


def reading(pipe: MultiViewPipeline) -> tuple[Callable[[str], torch.Tensor], int]:
    """How the pipeline reads prompts, and how many noise levels it knows; prompts that it cannot read whole are cut
    where a part ends, with a warning that names what is left out."""

    def tokenize(text: str) -> torch.Tensor:
        length, (head, *rest) = pipe.tokenizer.model_max_length, parts_of(pipe.tokenizer, text)
        if rest:
            warnings.warn(
                f"prompt '{shown(text, 60)}' is too long to train on; left out: '{shown(' '.join(rest), 200)}'",
                InputWarning,
                stacklevel=2,
            )
        tokens = pipe.tokenizer(head, padding="max_length", max_length=length, truncation=True, return_tensors="pt")
        return tokens.input_ids[0]

    return tokenize, pipe.scheduler.config.num_train_timesteps


def check_size(options: TrainOptions, multiple: int) -> None:
    check_multiple("--image-size", options.size, multiple)


def check_multiple(name: str, size: tuple[int, int], multiple: int) -> None:
    width, height = size
    if width % multiple or height % multiple:
        raise InputError(f"{name} {width} {height}: choose multiples of {multiple} for this model")
