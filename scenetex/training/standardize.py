"""Latents of mean 0 and deviation 1 in each channel, as diffusion's noise has."""

import copy

import numpy as np
import torch
from diffusers import AutoencoderKL


@torch.no_grad()
def standardized(vae: AutoencoderKL, images: np.ndarray) -> AutoencoderKL:
    """An autoencoder that makes the same images by way of latents that are standardised on `images`.

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
