"""Standardised latents: mean 0, deviation 1 in each channel, and the same images."""

import numpy as np
import torch
from tiny_training import tiny_autoencoder

from scenetex.training.autoencoder_stage import standardized


def test_latents_become_standard_and_images_stay():
    vae = tiny_autoencoder()
    with torch.no_grad():
        vae.quant_conv.bias += torch.arange(8.0) - 3
        vae.quant_conv.weight *= 3
    before = {name: value.clone() for name, value in vae.state_dict().items()}
    images = np.random.default_rng(0).integers(0, 256, (3, 48, 64, 3), np.uint8)
    made = standardized(vae, images)
    assert all(torch.equal(before[name], value) for name, value in vae.state_dict().items())
    assert made.config.scaling_factor == 1 and not made.config.shift_factor
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2) / 127.5 - 1
    with torch.no_grad():
        old, new = (v.encode(pixels).latent_dist for v in (vae, made))
        torch.testing.assert_close(made.decode(new.mean).sample, vae.decode(old.mean).sample, rtol=0, atol=1e-4)
        # Noise grows and shrinks with the channels.
        torch.testing.assert_close(
            made.decode(new.mean + new.std).sample, vae.decode(old.mean + old.std).sample, rtol=0, atol=1e-4
        )
    latents = new.mean.permute(1, 0, 2, 3).flatten(1)
    torch.testing.assert_close(latents.mean(1), torch.zeros(4), rtol=0, atol=1e-4)
    torch.testing.assert_close(latents.std(1), torch.ones(4), rtol=0, atol=1e-3)
