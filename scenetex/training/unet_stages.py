"""The stages that train a UNet for generation: single views, several views, interpolation, panoramas."""

from functools import partial

import torch

from ..data.sample import Source
from ..errors import InputError
from ..models import MultiViewUNet
from ..models.image_features import Eyes
from ..models.multiview_unet import base_unet
from ..panorama import VIEWS
from ..pipelines import MVDiffusionPanoramaPipeline, MVDiffusionPipeline
from ..pipelines.multiview import MultiViewPipeline
from . import validation
from .encoded import Encoded, encode_sample
from .encoded_cache import EncodedCache
from .items import Item, multi_view_item, ring_item, single_view_items
from .model_folder import is_pipeline, load_autoencoder, load_pipeline, with_parts
from .objectives import MultiViewObjective, SingleViewObjective
from .small_model import (
    SMALL_GUIDANCE,
    SMALL_STEPS,
    small_scheduler,
    small_text_encoder,
    small_unet,
    word_tokenizer,
)
from .stage import Data, Stage, check_multiple, check_size, diffusion_stage, reading, tuned_pipeline
from .training_options import TrainOptions


def single_view(options: TrainOptions, data: Data, device: torch.device) -> Stage:
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

    shape = None
    if options.crop is not None:
        check_multiple("--crop", options.crop, pipe.vae_scale_factor)
        shape = tuple(side // pipe.vae_scale_factor for side in reversed(options.crop))

    def make(encoded: Encoded, number: int) -> list[Item]:
        return single_view_items(encoded, data.schedule.rng(number), *reading(pipe), shape, options.noise_bias)

    def trained(average: SingleViewObjective) -> MVDiffusionPipeline:
        unet = average.unet if blocks is None else blocks.with_base(average.unet)
        return with_parts(pipe, unet=unet, text_encoder=average.text_encoder)

    cache = _surface_cache(options, data, pipe, device)
    return diffusion_stage(options, data, pipe, objective, cache, make, trained)


def multi_view(options: TrainOptions, data: Data, device: torch.device) -> Stage:
    """Stage two, for generation ("multi-view"), or for it and interpolation in turn ("interpolation")."""
    pipe = tuned_pipeline(options)
    _check_depth(options, pipe)
    if not isinstance(pipe.unet, MultiViewUNet):
        pipe.unet = MultiViewUNet.from_unet(pipe.unet, expansion=options.expansion)
    conditioned = options.stage == "interpolation"
    convention = pipe.config.convention
    objective = MultiViewObjective(pipe.unet, pipe.text_encoder, pipe.scheduler, conditioned, convention, options.whole)

    def make(encoded: Encoded, number: int) -> list[Item]:
        # In turn: from nothing, between keys, from nothing, of views that are there in part.
        between = number % 2 == 1 if conditioned else None
        partly = conditioned and number % 4 == 3
        how = between, partly, options.noise_bias, options.whole
        return [multi_view_item(encoded, data.schedule.rng(number), *reading(pipe), *how)]

    def trained(average: MultiViewObjective) -> MVDiffusionPipeline:
        learned = {"empty_condition": True, "partial_condition": True} if conditioned else {}
        return with_parts(pipe, unet=average.unet, guided_blocks=True, **learned)

    cache = _surface_cache(options, data, pipe, device)
    return diffusion_stage(options, data, pipe, objective, cache, make, trained)


def panorama(options: TrainOptions, data: Data, device: torch.device) -> Stage:
    """Stage two for panoramas: blocks that attend along directions, and the branch through which every second ring is
    outpainted from one of its views. A UNet that takes depth is told the rooms' own."""
    pipe = tuned_pipeline(options, MVDiffusionPanoramaPipeline)
    if not (isinstance(pipe.unet, MultiViewUNet) and pipe.unet.config.kind == "panorama"):
        # As in the released panorama model, without residual blocks.
        shape = {"residual_blocks": False, "expansion": options.expansion}
        unet = MultiViewUNet.from_unet(base_unet(pipe.unet), "panorama", **shape)
        pipe = with_parts(pipe, unet=unet, convention="visible")
    conditioned = pipe.unet.condition_branch is not None
    objective = MultiViewObjective(pipe.unet, pipe.text_encoder, pipe.scheduler, conditioned, pipe.config.convention)

    def make(encoded: Encoded, number: int) -> list[Item]:
        outpaint = number % 2 == 1 if conditioned else None
        return [ring_item(encoded, data.schedule.rng(number), *reading(pipe), outpaint, options.noise_bias)]

    def trained(average: MultiViewObjective) -> MVDiffusionPanoramaPipeline:
        return with_parts(pipe, unet=average.unet, empty_condition=conditioned, guided_blocks=False)

    cache = _surface_cache(options, data, pipe, device)
    return diffusion_stage(options, data, pipe, objective, cache, make, trained, validation.surround, VIEWS)


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


def _surface_cache(options: TrainOptions, data: Data, pipe: MultiViewPipeline, device: torch.device) -> EncodedCache:
    """Samples with what the UNet is told about the surface."""
    check_size(options, pipe.vae_scale_factor)
    vae = pipe.vae.to(device).requires_grad_(False).eval()
    eyes = Eyes() if options.alignment else None
    encode = partial(encode_sample, vae=vae, guide_channels=pipe.guide_channels, eyes=eyes)
    how = f"{pipe.guide_channels} seen" if options.alignment else str(pipe.guide_channels)
    return EncodedCache.within(options.cache_folder, data.source, Encoded, encode, vae, how)
