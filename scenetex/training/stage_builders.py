"""The stages of training: what each starts from, what it minimises, and the model folder it leaves behind."""

from functools import partial

import numpy as np
import torch
from diffusers import ModelMixin
from torch import nn

from ..data.digest import weights_digest
from ..data.prefetch import Source
from ..data.sample import Sample
from ..errors import InputError
from ..models import MultiViewUNet, SurfaceAutoencoder
from ..models.image_features import Eyes
from ..models.multiview_unet import base_unet
from ..models.patch_autoencoder import image_factor
from ..panorama import VIEWS
from ..pipelines import MVDiffusionPanoramaPipeline, MVDiffusionPipeline
from ..pipelines.multiview import MultiViewPipeline
from . import enlarging, validation
from .batches import Item, image_items, multi_view_item, ring_item, single_view_items, surface_item
from .encoded import Encoded, encode_sample
from .feed import image_batches
from .model_folder import is_pipeline, load_autoencoder, load_pipeline, save_autoencoder, save_pipeline, with_parts
from .objectives import AutoencoderObjective, MultiViewObjective, SingleViewObjective
from .small_model import (
    SMALL_GUIDANCE,
    SMALL_STEPS,
    small_autoencoder,
    small_scheduler,
    small_text_encoder,
    small_unet,
    word_tokenizer,
)
from .stage import Data, Stage, check_multiple, check_size, diffusion_stage, reading, tuned_pipeline
from .standardize import standardized
from .store import EncodedStore
from .surface_objective import SurfaceObjective
from .training_options import TrainOptions

_MEASURED = 4  # samples whose latents' means and deviations stand for all


def build_stage(options: TrainOptions, data: Data, device: torch.device) -> Stage:
    """The stage that the options name; encodes what it trains on.

    Raises:
        InputError: a model that does not fit the stage, data that cannot be read.
    """
    build = {
        "autoencoder": _autoencoder,
        "single-view": _single_view,
        "multi-view": _multi_view,
        "interpolation": _multi_view,
        "panorama": _panorama,
        "super-resolution": enlarging.super_resolution,
        "detail": enlarging.detail,
    }
    stage = build[options.stage](options, data, device)
    if options.gradient_checkpointing:
        for part in stage.objective.children():
            if isinstance(part, ModelMixin):
                part.enable_gradient_checkpointing()
    return stage


def _autoencoder(options: TrainOptions, data: Data, device: torch.device) -> Stage:
    """The small autoencoder from scratch, or one that is trained on; of a pipeline only the decoder is, so that the
    latents still fit its UNet."""
    scratch = options.model is None
    pipe = load_pipeline(options.model) if not scratch and is_pipeline(options.model) else None
    fresh = partial(small_autoencoder, options.latent_channels)
    vae = fresh() if scratch else load_autoencoder(options.model) if pipe is None else pipe.vae
    factor = image_factor(vae)
    width, height = crop = options.size if options.crop is None else tuple(options.crop)
    check_multiple("--image-size" if options.crop is None else "--crop", crop, factor)
    standard = scratch or (pipe is None and isinstance(vae, SurfaceAutoencoder))
    images = np.concatenate([data.source.sample(i).images for i in range(_MEASURED)]) if standard else None

    def save(average: nn.Module) -> None:
        if pipe is not None:
            save_pipeline(options.output / "model", with_parts(pipe, vae=average.vae))
        else:
            save_autoencoder(options.output / "model", standardized(average.vae, images) if standard else average.vae)

    shape = (vae.config.latent_channels, height // factor, width // factor)
    if isinstance(vae, SurfaceAutoencoder):
        objective = SurfaceObjective(vae, pipe is not None, options.perceptual, options.agreement, options.adversarial)

        def make(sample: Sample, rng: np.random.Generator) -> list[Item]:
            return [surface_item(sample, options.views, rng, shape, factor)]
    else:
        objective = AutoencoderObjective(vae, decoder_only=pipe is not None)

        def make(sample: Sample, rng: np.random.Generator) -> list[Item]:
            return image_items(sample, options.views, rng, shape, crop)

    batches = image_batches(data.source, data.schedule, data.part, options.workers, make)
    frozen = {name: p for name, p in objective.named_parameters() if not p.requires_grad}
    return Stage(
        objective,
        batches,
        save,
        paint=lambda average, sample: validation.reconstruct(average.vae, sample),
        frozen=weights_digest("", frozen.items()) if frozen else "",
    )


def _single_view(options: TrainOptions, data: Data, device: torch.device) -> Stage:
    """Stage one: tunes a pipeline's UNet, or makes a small model from scratch around an autoencoder. Blocks that the
    pipeline has already stay as they are, to be trained on around the tuned UNet."""
    if options.model is None:
        raise InputError("train single-view: needs --model, a pipeline to tune or an autoencoder to start from")
    scratch = not is_pipeline(options.model)
    pipe = _small_pipeline(options, data.source) if scratch else load_pipeline(options.model)
    _check_depth(options, pipe)
    blocks = pipe.unet if isinstance(pipe.unet, MultiViewUNet) else None
    base = pipe.unet if blocks is None else blocks.unet
    objective = SingleViewObjective(base, pipe.text_encoder, pipe.scheduler, scratch, options.alignment)

    crop = None
    if options.crop is not None:
        check_multiple("--crop", options.crop, pipe.vae_scale_factor)
        crop = tuple(side // pipe.vae_scale_factor for side in reversed(options.crop))

    def make(encoded: Encoded, number: int) -> list[Item]:
        return single_view_items(encoded, data.schedule.rng(number), *reading(pipe), crop, options.noise_bias)

    def trained(average: SingleViewObjective) -> MVDiffusionPipeline:
        unet = average.unet if blocks is None else blocks.with_base(average.unet)
        return with_parts(pipe, unet=unet, text_encoder=average.text_encoder)

    store = _surface_store(options, data, pipe, device)
    return diffusion_stage(options, data, pipe, objective, store, make, trained)


def _multi_view(options: TrainOptions, data: Data, device: torch.device) -> Stage:
    """Stage two, for generation ("multi-view"), or for it and interpolation in turn ("interpolation")."""
    pipe = tuned_pipeline(options)
    _check_depth(options, pipe)
    if not isinstance(pipe.unet, MultiViewUNet):
        pipe.unet = MultiViewUNet.from_unet(pipe.unet)
    conditioned = options.stage == "interpolation"
    objective = MultiViewObjective(pipe.unet, pipe.text_encoder, pipe.scheduler, conditioned, pipe.config.convention)

    def make(encoded: Encoded, number: int) -> list[Item]:
        between = number % 2 == 1 if conditioned else None
        return [multi_view_item(encoded, data.schedule.rng(number), *reading(pipe), between)]

    def trained(average: MultiViewObjective) -> MVDiffusionPipeline:
        empty = pipe.config.empty_condition or conditioned
        return with_parts(pipe, unet=average.unet, empty_condition=empty)

    store = _surface_store(options, data, pipe, device)
    return diffusion_stage(options, data, pipe, objective, store, make, trained)


def _panorama(options: TrainOptions, data: Data, device: torch.device) -> Stage:
    """Stage two for panoramas: blocks that attend along directions, and the branch through which every second ring is
    outpainted from one of its views. A UNet that takes depth is told the rooms' own."""
    pipe = tuned_pipeline(options, MVDiffusionPanoramaPipeline)
    if not (isinstance(pipe.unet, MultiViewUNet) and pipe.unet.config.kind == "panorama"):
        pipe = with_parts(pipe, unet=MultiViewUNet.from_unet(base_unet(pipe.unet), "panorama"), convention="visible")
    conditioned = pipe.unet.condition_branch is not None
    objective = MultiViewObjective(pipe.unet, pipe.text_encoder, pipe.scheduler, conditioned, pipe.config.convention)

    def make(encoded: Encoded, number: int) -> list[Item]:
        outpaint = number % 2 == 1 if conditioned else None
        return [ring_item(encoded, data.schedule.rng(number), *reading(pipe), outpaint)]

    def trained(average: MultiViewObjective) -> MVDiffusionPanoramaPipeline:
        return with_parts(pipe, unet=average.unet, empty_condition=conditioned)

    store = _surface_store(options, data, pipe, device)
    return diffusion_stage(options, data, pipe, objective, store, make, trained, validation.surround, VIEWS)


def _small_pipeline(options: TrainOptions, source: Source) -> MVDiffusionPipeline:
    """An untrained small model around the autoencoder in a folder, which knows the words of the source; a run that goes
    on keeps those that it began with."""
    begun = options.output / "model"
    tokenizer = load_pipeline(str(begun)).tokenizer if begun.is_dir() else word_tokenizer(source.words())
    vae = load_autoencoder(options.model)
    return MVDiffusionPipeline(
        vae=vae,
        text_encoder=small_text_encoder(tokenizer),
        tokenizer=tokenizer,
        unet=small_unet(vae.config.latent_channels),
        scheduler=small_scheduler(),
        default_steps=SMALL_STEPS,
        default_guidance=SMALL_GUIDANCE,
    )


def _check_depth(options: TrainOptions, pipe: MultiViewPipeline) -> None:
    if not pipe.takes_depth:
        raise InputError(
            f"{options.model}: the UNet takes no depth; start from a depth UNet such as Stable Diffusion 2 depth's"
        )


def _surface_store(options: TrainOptions, data: Data, pipe: MultiViewPipeline, device: torch.device) -> EncodedStore:
    """Samples with what the UNet is told about the surface."""
    check_size(options, pipe.vae_scale_factor)
    vae = pipe.vae.to(device).requires_grad_(False).eval()
    eyes = Eyes() if options.alignment else None
    encode = partial(encode_sample, vae=vae, guide_channels=pipe.guide_channels, eyes=eyes)
    how = f"{pipe.guide_channels} seen" if options.alignment else str(pipe.guide_channels)
    return EncodedStore.within(options.cache_folder, data.source, encode, vae, how)
