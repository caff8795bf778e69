"""The autoencoder on patches: ordinary at the patches, whole at the images, and kept by the pipelines."""

import pytest
import torch
from diffusers import AutoencoderKL
from tiny_training import tiny_autoencoder, tiny_pipeline

from scenetex import MVDiffusionPipeline, PatchAutoencoder
from scenetex.models.patch_autoencoder import image_factor, patch_size

IMAGES = torch.rand(3, 3, 48, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1


@pytest.fixture(scope="module")
def vae():
    return tiny_autoencoder()


def folded(images: torch.Tensor, p: int) -> torch.Tensor:
    """(n, 3 p p, h / p, w / p), pixel by pixel."""
    n, c, h, w = images.shape
    out = torch.empty(n, c * p * p, h // p, w // p)
    for k in range(c):
        for a in range(p):
            for b in range(p):
                out[:, k * p * p + a * p + b] = images[:, k, a::p, b::p]
    return out


@torch.no_grad()
def test_it_is_the_ordinary_one_on_folded_images(vae):
    plain = AutoencoderKL.from_config({**vae.config, "_class_name": "AutoencoderKL"}).eval()
    plain.load_state_dict(vae.state_dict())
    mean = vae.encode(IMAGES).latent_dist.mean
    assert mean.shape == (3, 4, 6, 8)
    assert torch.equal(mean, plain.encode(folded(IMAGES, 2)).latent_dist.mean)
    out = vae.decode(mean).sample
    assert out.shape == IMAGES.shape and torch.equal(folded(out, 2), plain.decode(mean).sample)
    assert torch.equal(vae.decode(mean, return_dict=False)[0], out) and torch.equal(
        vae.encode(IMAGES, False)[0].mean, mean
    )


def test_factors(vae):
    assert (patch_size(vae), image_factor(vae)) == (2, 8)
    ordinary = AutoencoderKL(
        block_out_channels=(4,) * 4,
        norm_num_groups=2,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
    )
    assert (patch_size(ordinary), image_factor(ordinary)) == (1, 8)


@torch.no_grad()
def test_slices_change_nothing():
    vae = tiny_autoencoder()
    latents = vae.encode(IMAGES).latent_dist.mean
    whole = vae.decode(latents).sample
    vae.enable_slicing()
    # One at a time, the convolutions may add in another order.
    assert torch.allclose(vae.encode(IMAGES).latent_dist.mean, latents, atol=1e-5)
    assert torch.allclose(vae.decode(latents).sample, whole, atol=1e-5)


@torch.no_grad()
def test_a_pipeline_keeps_it(vae, tmp_path):
    pipe = tiny_pipeline()
    assert pipe.vae_scale_factor == 8 and pipe.guide_channels == 80
    pipe.save_pretrained(tmp_path)
    loaded = MVDiffusionPipeline.from_pretrained(tmp_path)
    assert type(loaded.vae) is PatchAutoencoder and loaded.vae_scale_factor == 8
    latents = pipe.vae.encode(IMAGES).latent_dist.mean
    assert torch.equal(loaded.vae.encode(IMAGES).latent_dist.mean, latents)
    assert torch.equal(loaded.vae.decode(latents).sample, pipe.vae.decode(latents).sample)
    alone = PatchAutoencoder.from_pretrained(tmp_path, subfolder="vae")
    assert torch.equal(alone.encode(IMAGES).latent_dist.mean, latents)
