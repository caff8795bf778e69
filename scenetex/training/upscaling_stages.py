"""The stages of larger images: the super-resolution UNet, and the decoder that makes images of what it finds."""

from functools import partial

import torch

from ..models import DetailDecoder, SuperResolutionUNet, SurfaceAutoencoder
from ..models.patch_autoencoder import image_factor
from ..pipelines import MVDiffusionPipeline
from . import validation
from .encoded import Encoded, EncodedDetail, encode_detail, encode_large
from .encoded_cache import EncodedCache
from .items import Item, detail_items, super_resolution_item
from .model_folder import load_unet, with_parts
from .objectives import DetailObjective, SuperResolutionObjective
from .small_model import small_super_resolution
from .stage import Data, Stage, check_multiple, check_size, diffusion_stage, reading, tuned_pipeline
from .training_options import TrainOptions


def super_resolution(options: TrainOptions, data: Data, device: torch.device) -> Stage:
    """A pipeline's super-resolution, or a new one for it. With several views, one that is there already is taken for
    trained on single views: its base UNet is frozen."""
    pipe = tuned_pipeline(options)
    unet, known = pipe.upscale_unet, pipe.upscale_unet is not None
    if options.upscale_unet is not None:
        unet = SuperResolutionUNet.from_unet(load_unet(options.upscale_unet))
    elif not known:
        unet = small_super_resolution(pipe.vae.config.latent_channels, pipe.text_encoder.config.hidden_size)
    pipe = with_parts(pipe, upscale_unet=unet)
    freeze = known and options.upscale_unet is None and options.views > 1
    objective = SuperResolutionObjective(unet, pipe.text_encoder, pipe.scheduler, freeze)
    cell = image_factor(pipe.vae)
    check_size(options, max(cell * unet.alignment, cell * unet.ratio, unet.config.factor))
    width, height = options.size

    def make(encoded: Encoded, number: int) -> list[Item]:
        shape = (height // cell, width // cell)
        return [super_resolution_item(encoded, data.schedule.rng(number), *reading(pipe), shape, options.noise_bias)]

    def trained(average: SuperResolutionObjective) -> MVDiffusionPipeline:
        return with_parts(pipe, upscale_unet=average.unet)

    vae = pipe.vae.to(device).requires_grad_(False).eval()
    how = f"super-resolution {unet.config.factor} {unet.config.enlarge} {unet.alignment}"
    encode = partial(encode_large, vae=vae, unet=unet)
    cache = EncodedCache.within(options.cache_folder, data.source, Encoded, encode, vae, how)
    return diffusion_stage(options, data, pipe, objective, cache, make, trained, validation.upscale)


def detail(options: TrainOptions, data: Data, device: torch.device) -> Stage:
    """The pipeline's detail decoder, or a new one for it; of the pipeline, only the autoencoder is asked. Where that is
    told the surface, a new decoder is, too."""
    pipe = tuned_pipeline(options)
    cell = image_factor(pipe.vae)
    decoder = pipe.detail_decoder
    if decoder is None:
        factor = 4 if pipe.upscale_unet is None else pipe.upscale_unet.config.factor
        guide = pipe.vae.config.guide_channels if isinstance(pipe.vae, SurfaceAutoencoder) else 0
        decoder = DetailDecoder(pipe.vae.config.latent_channels, factor, guide_channels=guide)
    factor, surface = decoder.config.factor, decoder.config.guide_channels > 0
    check_size(options, 4 * max(cell, factor))
    shape = None
    if options.crop is not None:
        check_multiple("--crop", options.crop, max(cell, factor))
        shape = tuple(side // cell for side in reversed(options.crop))

    def make(encoded: EncodedDetail, number: int) -> list[Item]:
        return detail_items(encoded, data.schedule.rng(number), shape)

    def trained(average: DetailObjective) -> MVDiffusionPipeline:
        return with_parts(pipe, detail_decoder=average.decoder)

    vae = pipe.vae.to(device).requires_grad_(False).eval()
    encode = partial(encode_detail, vae=vae, factor=factor, surface=surface)
    how = f"detail {factor}{' surface' if surface else ''}"
    cache = EncodedCache.within(options.cache_folder, data.source, EncodedDetail, encode, vae, how)
    return diffusion_stage(options, data, pipe, DetailObjective(decoder), cache, make, trained, validation.enlarge)
