"""The stage of autoencoders, which comes first."""

import copy
from functools import partial

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch import nn

from ..data.sample import Sample
from ..errors import InputError
from ..models import SurfaceAutoencoder
from ..models.patch_autoencoder import image_factor
from . import validation
from .autoencoder_objectives import AutoencoderObjective, SurfaceObjective
from .batches import image_batches
from .encoded_cache import weights_digest
from .items import Item, choose_views, image_items, surface_item
from .model_folder import is_pipeline, load_autoencoder, load_pipeline, save_autoencoder, save_pipeline, with_parts
from .redrawn import Redrawn, redrawn_item
from .small_model import small_autoencoder
from .stage import Data, Stage, check_multiple
from .training_options import TrainOptions

_MEASURED = 4  # samples whose latents' means and deviations stand for all


def autoencoder(options: TrainOptions, data: Data, device: torch.device) -> Stage:
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
    if options.redrawn and not (pipe is not None and pipe.takes_depth and isinstance(vae, SurfaceAutoencoder)):
        raise InputError("--redrawn: needs --model, a pipeline whose UNet and decoder are told the surface, as mini")
    images = np.concatenate([data.source.sample(i).images for i in range(_MEASURED)]) if standard else None

    def save(average: nn.Module) -> None:
        if pipe is not None:
            save_pipeline(options.output / "model", with_parts(pipe, vae=average.vae))
        else:
            save_autoencoder(options.output / "model", standardized(average.vae, images) if standard else average.vae)

    shape = (vae.config.latent_channels, height // factor, width // factor)
    if isinstance(vae, SurfaceAutoencoder):
        weights = options.perceptual, options.agreement, options.adversarial
        redrawn = None if not options.redrawn else Redrawn(pipe)
        objective = SurfaceObjective(vae, pipe is not None, *weights, redrawn)
        whole = (shape[0], *(side // factor for side in reversed(options.size)))

        def make(sample: Sample, rng: np.random.Generator) -> list[Item]:
            which = choose_views(rng, len(sample), options.views, together=True)
            item = surface_item(sample, which, rng, shape, factor)
            if redrawn is not None:
                item |= redrawn_item(sample, which, rng, pipe, options.redrawn, whole)
            return [item]
    else:
        objective = AutoencoderObjective(vae, decoder_only=pipe is not None)

        def make(sample: Sample, rng: np.random.Generator) -> list[Item]:
            return image_items(sample, options.views, rng, shape, crop)

    batches = image_batches(data.source, data.schedule, data.shard, options.workers, make)
    frozen = {name: p for name, p in objective.named_parameters() if not p.requires_grad}
    return Stage(
        objective,
        batches,
        save,
        paint=lambda average, sample: validation.reconstruct(average.vae, sample),
        frozen=weights_digest("", frozen.items()) if frozen else "",
    )


@torch.no_grad()
def standardized(vae: AutoencoderKL, images: np.ndarray) -> AutoencoderKL:
    """An autoencoder that makes the same images by way of latents that are standardised on `images`: of mean 0 and
    deviation 1 in each channel, as diffusion's noise has.

    Scale and offset become part of its two 1 x 1 convolutions around the latents, exactly; `scaling_factor` is 1.

    Args:
        vae: with those convolutions.
        images: (m, h, w, 3) uint8.
    """
    result = copy.deepcopy(vae)
    means = []
    for image in images:
        pixels = torch.from_numpy(image).permute(2, 0, 1)[None].to(vae.device, vae.dtype) / 127.5 - 1
        means.append(vae.encode(pixels).latent_dist.mean[0].flatten(1))
    means = torch.cat(means, 1)
    mean, std = means.mean(1), means.std(1).clamp_min(1e-6)
    into, out = result.quant_conv, result.post_quant_conv
    channels = len(mean)
    into.weight[:channels] /= std[:, None, None, None]
    into.bias[:channels] = (into.bias[:channels] - mean) / std
    if len(into.bias) > channels:  # it tells how noisy its latents are, too
        into.bias[channels:] -= 2 * std.log()
    out.bias += (out.weight[:, :, 0, 0] * mean).sum(1)
    out.weight *= std[None, :, None, None]
    result.register_to_config(scaling_factor=1.0, shift_factor=None)
    return result
