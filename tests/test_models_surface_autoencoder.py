"""The surface autoencoder: guided upsampling against plain loops, what it is told and what not, its reach."""

import numpy as np
import pytest
import torch
from tiny_pipeline import room_views
from tiny_training import tiny_pipeline
from torch.nn import functional as F

from scenetex import MVDiffusionPipeline, SurfaceAutoencoder
from scenetex.models.patch_autoencoder import image_factor
from scenetex.models.surface_autoencoder import GuidedUpsampling
from scenetex.pipelines.conditioning import surface_fields
from scenetex.training.model_folder import with_parts


def rand(*shape, seed=0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def tiny(**options) -> SurfaceAutoencoder:
    torch.manual_seed(0)
    sizes = dict(
        encoder_widths=(8, 8, 8), decoder_widths=(8, 8, 12), encoder_layers=(1, 1, 1), decoder_layers=(1, 1, 1)
    )
    vae = SurfaceAutoencoder(latent_channels=4, **sizes | options)
    # Fresh residual blocks are the identity; here they should do something.
    for name, parameter in vae.named_parameters():
        if name.endswith("second.weight"):
            torch.nn.init.normal_(parameter, std=0.1)
    return vae.eval()


@torch.no_grad()
def test_fine_cells_take_from_coarse_ones_by_likeness():
    torch.manual_seed(1)
    rise, x, guide = GuidedUpsampling(3), rand(2, 5, 3, 4), rand(2, 3, 6, 8, seed=1)
    rise.place += rand(4, 9, seed=2)
    found, fine = rise(x, guide), rise.likeness(guide).numpy()
    coarse = F.avg_pool2d(torch.from_numpy(fine), 2).numpy()
    for n, row, column in np.ndindex(2, 6, 8):
        weights, values = [], []
        for k, (down, right) in enumerate(np.ndindex(3, 3)):
            y, z = (np.clip(row // 2 + down - 1, 0, 2), np.clip(column // 2 + right - 1, 0, 3))
            apart = ((fine[n, :, row, column] - coarse[n, :, y, z]) ** 2).sum()
            weights.append(np.exp(-apart + rise.place[row % 2 * 2 + column % 2, k].item()))
            values.append(x[n, :, y, z].numpy())
        mean = np.tensordot(weights, values, 1) / np.sum(weights)
        np.testing.assert_allclose(found[n, :, row, column], mean, rtol=0, atol=1e-5)


@torch.no_grad()
def test_an_outline_within_a_cell_stays_where_the_surface_has_it():
    # Black beside white, the border within the third cell, whose latent says grey.
    rise, x = GuidedUpsampling(1), torch.tensor([-1.0, -1, 0, 1, 1]).expand(1, 1, 5, 5).clone()
    for layer in (rise.likeness[0], rise.likeness[2]):
        layer.weight.fill_(0.5)
        layer.bias.zero_()
    guide = torch.where(torch.arange(10) < 5, -4.0, 4.0).expand(1, 1, 10, 10)
    told, untold = rise(x, guide)[0, 0, 5], rise(x, None)[0, 0, 5]
    assert (told[:5] < -0.9).all() and (told[5:] > 0.9).all()
    assert abs(untold[4] - untold[5]) < 0.7


@torch.no_grad()
def test_no_surface_is_one_that_tells_nothing():
    vae, z = tiny(), rand(2, 4, 3, 4)
    plain = vae.decode(z).sample
    assert plain.shape == (2, 3, 24, 32)
    torch.testing.assert_close(vae.decode(z, surface=torch.zeros(2, 5, 24, 32)).sample, plain, rtol=0, atol=1e-6)
    assert not torch.allclose(vae.decode(z, surface=rand(2, 5, 24, 32)).sample, plain, atol=1e-3)
    assert torch.equal(vae.decode(z, return_dict=False)[0], plain)


@torch.no_grad()
def test_far_corners_do_not_know_of_each_other():
    vae, image, surface = tiny(), rand(1, 3, 128, 192), rand(1, 5, 128, 192, seed=1)
    latents = vae.encode(image).latent_dist.mode()
    out = vae.decode(latents, surface=surface).sample
    image[..., :16, :16], surface[..., :16, :16] = 1, 0
    other = vae.encode(image).latent_dist.mode()
    torch.testing.assert_close(other[..., 8:, 12:], latents[..., 8:, 12:])
    torch.testing.assert_close(vae.decode(other, surface=surface).sample[..., 88:, 120:], out[..., 88:, 120:])


def test_latents_have_the_noise_that_the_decoder_bears():
    vae = tiny(latent_noise=0.3)
    with torch.no_grad():
        found = vae.encode(rand(1, 3, 16, 16)).latent_dist
    assert found.mean.shape == (1, 4, 2, 2) and torch.allclose(found.std, torch.tensor(0.3))
    assert image_factor(vae) == 8


@pytest.fixture
def pipe():
    return with_parts(tiny_pipeline(), vae=tiny())


def test_pipelines_tell_it_the_surface_and_keep_it(pipe, tmp_path):
    pipe.save_pretrained(tmp_path)
    loaded = MVDiffusionPipeline.from_pretrained(tmp_path)
    assert type(loaded.vae) is SurfaceAutoencoder and loaded.vae_scale_factor == 8
    z, views = rand(2, 4, 6, 8), room_views(2)
    with torch.no_grad():
        along = pipe.vae.decode(z, surface=surface_fields(views)).sample
        assert torch.equal(loaded.vae.decode(z).sample, pipe.vae.decode(z).sample)
        torch.testing.assert_close(loaded.decode_latents(z, views), along)
        torch.testing.assert_close(loaded.decode_latents(z), pipe.vae.decode(z).sample)
