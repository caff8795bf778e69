"""The stages of training: what each starts from, what it minimises, and the model folder it leaves behind."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch import nn

from ..errors import InputError
from ..models import MultiViewUNet
from ..models.patch_autoencoder import PatchAutoencoder, image_factor
from ..output import output_folder
from ..pipelines import MVDiffusionPipeline
from ..pipelines.loading import quiet_loading
from .batches import Schedule, multi_view_item, single_view_items
from .encoded import Encoded
from .feed import EncodedStore, Part, encoded_batches, image_batches
from .objectives import AutoencoderObjective, MultiViewObjective, SingleViewObjective
from .prefetch import Source
from .small_model import (
    SMALL_GUIDANCE,
    SMALL_STEPS,
    small_autoencoder,
    small_scheduler,
    small_text_encoder,
    small_unet,
    word_tokenizer,
)

STAGES = ("autoencoder", "single-view", "multi-view", "interpolation")
_INDEX = "model_index.json"


@dataclass(frozen=True, eq=False)
class Stage:
    """One stage, ready for the loop.

    Attributes:
        objective: what is minimised.
        batches: as `loop.train` takes them.
        save: writes the model folder from the averaged objective.
        describe: what of the model belongs to the run's identity.
        pipeline: the pipeline with an objective's parts, for pictures; None for autoencoders.
    """

    objective: nn.Module
    batches: Callable
    save: Callable[[nn.Module], None]
    describe: dict
    pipeline: Callable[[nn.Module], MVDiffusionPipeline] | None = None


@dataclass(frozen=True)
class Data:
    """What to train on.

    Attributes:
        source: samples.
        scenes: number of different samples.
        schedule: which of them a step takes.
        views: views of each sample.
        part: which part of each step is this process's.
        workers: processes that make samples.
        cache: folder for encoded samples.
    """

    source: Source
    scenes: int
    schedule: Schedule
    views: int
    part: Part
    workers: int
    cache: Path


def build_stage(name: str, data: Data, model: Path | None, output: Path, device: torch.device) -> Stage:
    """A stage by its name in `STAGES`.

    Args:
        model: what to start from, see the stages' functions.
        output: gets ``model``, the trained model in diffusers layout.

    Raises:
        InputError: a model that does not fit the stage.
    """
    build = {"autoencoder": autoencoder_stage, "single-view": single_view_stage}.get(name, multi_view_stage)
    return build(name, data, model, output / "model", device)


def autoencoder_stage(name: str, data: Data, model: Path | None, output: Path, device: torch.device) -> Stage:
    """An autoencoder: the small one from scratch, or that of the folder `model`, trained on."""
    vae = small_autoencoder() if model is None else load_autoencoder(model)
    factor = image_factor(vae)
    first = data.source.sample(0)
    width, height = first.views.size
    shape = (vae.config.latent_channels, height // factor, width // factor)

    def save(objective: AutoencoderObjective) -> None:
        objective.vae.register_to_config(scaling_factor=_scaling(objective.vae, first.images, device))
        _save(output, objective.vae, "vae")

    batches = image_batches(data.source, data.schedule, data.part, data.views, data.workers, shape)
    return Stage(AutoencoderObjective(vae), batches, save, {"size": [width, height]})


def single_view_stage(name: str, data: Data, model: Path | None, output: Path, device: torch.device) -> Stage:
    """Stage one. `model` is a pipeline to tune, or the folder of an autoencoder for a small model from scratch."""
    if model is None:
        raise InputError("train single-view: needs --model, a pipeline to tune or an autoencoder to start from")
    scratch = not (model / _INDEX).is_file()
    if scratch:
        tokenizer = word_tokenizer(data.source.words())
        pipe = MVDiffusionPipeline(
            vae=load_autoencoder(model),
            text_encoder=small_text_encoder(tokenizer),
            tokenizer=tokenizer,
            unet=small_unet(),
            scheduler=small_scheduler(),
            default_steps=SMALL_STEPS,
            default_guidance=SMALL_GUIDANCE,
        )
    else:
        pipe = _load(model)
        if isinstance(pipe.unet, MultiViewUNet):
            pipe.unet = pipe.unet.unet
    objective = SingleViewObjective(pipe.unet, pipe.text_encoder, pipe.scheduler, train_text=scratch)

    def make(encoded: Encoded, number: int) -> list:
        return single_view_items(encoded, data.schedule.rng(number), _tokenize(pipe), _levels(pipe))

    def pipeline(average: SingleViewObjective) -> MVDiffusionPipeline:
        return _with(pipe, unet=average.unet, text_encoder=average.text_encoder)

    batches = encoded_batches(_store(pipe, pipe.unet, data, device), data.schedule, data.part, data.views, False, make)
    return Stage(objective, batches, lambda average: _save(output, pipeline(average)), {}, pipeline)


def multi_view_stage(name: str, data: Data, model: Path | None, output: Path, device: torch.device) -> Stage:
    """Stage two, for generation ("multi-view") or for both in turn ("interpolation"), on the pipeline in `model`."""
    if model is None or not (model / _INDEX).is_file():
        raise InputError(f"train {name}: needs --model, a pipeline folder that stage one left behind")
    pipe = _load(model)
    unet = pipe.unet if isinstance(pipe.unet, MultiViewUNet) else MultiViewUNet.from_unet(pipe.unet)
    conditioned = name == "interpolation"
    objective = MultiViewObjective(unet, pipe.text_encoder, pipe.scheduler, conditioned, pipe.config.convention)

    def make(encoded: Encoded, number: int) -> list:
        between = number % 2 == 1 if conditioned else None
        return [multi_view_item(encoded, data.schedule.rng(number), _tokenize(pipe), _levels(pipe), between)]

    def pipeline(average: MultiViewObjective) -> MVDiffusionPipeline:
        empty = pipe.config.empty_condition or conditioned
        return _with(pipe, unet=average.unet, empty_condition=empty)

    store = _store(pipe, unet.unet, data, device)
    batches = encoded_batches(store, data.schedule, data.part, data.views, True, make)
    return Stage(objective, batches, lambda average: _save(output, pipeline(average)), {}, pipeline)


def load_autoencoder(model: Path) -> AutoencoderKL:
    """The autoencoder of a model folder, or in a folder of its own.

    Raises:
        InputError: there is none.
    """
    folder = model / "vae" if (model / "vae").is_dir() else model
    try:
        config = AutoencoderKL.load_config(folder)
        kind = PatchAutoencoder if config.get("_class_name") == "PatchAutoencoder" else AutoencoderKL
        with quiet_loading():
            return kind.from_pretrained(folder)
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        said = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"{folder}: holds no autoencoder that can be loaded ({said}); train one first") from None


def _load(model: Path) -> MVDiffusionPipeline:
    with quiet_loading():
        return MVDiffusionPipeline.from_pretrained(model)


def _store(pipe, unet, data: Data, device: torch.device) -> EncodedStore:
    guide = unet.config.in_channels - pipe.vae.config.latent_channels
    if guide <= 0:
        raise InputError(
            "training: the UNet takes no depth; start from a depth UNet such as Stable Diffusion 2 depth's"
        )
    vae = pipe.vae.to(device).requires_grad_(False).eval()
    store = EncodedStore(data.source, vae, guide, data.cache)
    store.fill(data.scenes, data.part, data.workers)
    return store


def _tokenize(pipe) -> Callable[[str], torch.Tensor]:
    length = pipe.tokenizer.model_max_length

    def tokenize(text: str) -> torch.Tensor:
        return pipe.tokenizer(
            text, padding="max_length", max_length=length, truncation=True, return_tensors="pt"
        ).input_ids[0]

    return tokenize


def _levels(pipe) -> int:
    return pipe.scheduler.config.num_train_timesteps


def _with(pipe: MVDiffusionPipeline, empty_condition: bool | None = None, **parts) -> MVDiffusionPipeline:
    """The pipeline with other parts."""
    config = {
        name: pipe.config[name] for name in ("convention", "empty_condition", "default_steps", "default_guidance")
    }
    if empty_condition is not None:
        config["empty_condition"] = empty_condition
    return MVDiffusionPipeline(**pipe.components | parts | config)


def _save(output: Path, model, subfolder: str = "") -> None:
    """Writes a model folder that appears whole or not at all."""
    with output_folder(output, marker=f"{subfolder}/config.json" if subfolder else _INDEX) as partial:
        model.save_pretrained(partial / subfolder)


@torch.no_grad()
def _scaling(vae: AutoencoderKL, images: np.ndarray, device: torch.device) -> float:
    """What brings the latents to a standard deviation of one."""
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2).to(device).float() / 127.5 - 1
    return 1 / float(vae.encode(pixels).latent_dist.mean.std())
