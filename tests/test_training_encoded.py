"""Encoded samples: what the pipelines would feed to the UNet."""

import numpy as np
import pytest
import torch
from tiny_training import SIZE, tiny_autoencoder, tiny_pipeline, tiny_unet

from scenetex.data.rooms import RoomStream
from scenetex.models import SuperResolutionUNet
from scenetex.pipelines.conditioning import make_guide, surface_fields
from scenetex.pipelines.cross_view import evidence
from scenetex.pipelines.upscale import enlarged
from scenetex.training.encoded import encode_detail, encode_large, encode_sample


@pytest.fixture(scope="module")
def pipe():
    return tiny_pipeline()


@pytest.fixture(scope="module")
def sample():
    return RoomStream(0, 3, SIZE).sample(0)


@pytest.fixture(scope="module")
def encoded(pipe, sample):
    return encode_sample(sample, pipe.vae, 80)


@torch.no_grad()
def test_it_is_what_the_pipeline_makes_of_the_same_views(pipe, sample, encoded):
    for i, image in enumerate(sample.images):
        exact = pipe.encode_image(image.astype(np.float32) / 255)
        torch.testing.assert_close(encoded.latents[i], exact, rtol=0, atol=1e-4)
    assert torch.equal(encoded.guide, make_guide(sample.views, 80, 8)) and encoded.prompts == sample.prompts
    assert np.array_equal(encoded.depth, sample.views.depth)
    moved = encoded.cam_to_world.numpy() - sample.views.cam_to_world
    assert np.ptp(moved[:, :3, 3], axis=0).max() < 1e-5 and np.abs(moved[:, :3, :3]).max() < 1e-6
    torch.manual_seed(9)
    shifted = tiny_autoencoder()
    shifted.register_to_config(shift_factor=0.3, scaling_factor=2.0)
    other = encode_sample(sample, shifted, 80).latents
    plain = encoded.latents / pipe.vae.config.scaling_factor
    torch.testing.assert_close(other, (plain - 0.3) * 2, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_large_images_give_their_middle_and_the_small_ones_whole(pipe):
    large = RoomStream(0, 2, (256, 192)).sample(0)
    for enlarge in (1, 4):
        unet = SuperResolutionUNet.from_unet(tiny_unet(in_channels=4), factor=4, enlarge=enlarge)
        encoded = encode_large(large, pipe.vae, unet)
        # Of 24 x 32 cells the middle 12 x 16, from cell (6, 8) on: multiples of what the UNet's grids need.
        assert encoded.latents.shape == (2, 4, 12, 16)
        middle = large.images[1, 48:144, 64:192].astype(np.float32) / 255
        torch.testing.assert_close(encoded.latents[1], pipe.encode_image(middle), rtol=0, atol=1e-4)
        small = large.shrunk(4)
        assert encoded.guide.shape == (2, 4, 6 * enlarge, 8 * enlarge)
        whole = enlarged(torch.from_numpy(small.images[1:]).permute(0, 3, 1, 2) / 255, enlarge)[0].permute(1, 2, 0)
        torch.testing.assert_close(encoded.guide[1], pipe.encode_image(whole.numpy()), rtol=0, atol=1e-4)
        assert np.array_equal(encoded.depth, small.views.depth)
        assert np.allclose(encoded.intrinsics, small.views.intrinsics, atol=1e-4)


@torch.no_grad()
@pytest.mark.parametrize("factor", [2, 4])
def test_detail_is_told_of_the_middle_of_large_images(pipe, factor):
    large = RoomStream(0, 3, (256, 192)).sample(0)
    encoded = encode_detail(large, pipe.vae, factor)
    middle = (slice(48, 144), slice(64, 192))
    truth = torch.from_numpy(large.images[:, *middle]).permute(0, 3, 1, 2) / 127.5 - 1
    assert torch.allclose(encoded.large, truth, atol=1e-6)
    assert torch.allclose(encoded.small, torch.nn.functional.avg_pool2d(truth, factor), atol=0.6 / 127.5)
    whole = large.shrunk(factor)
    difference, told = evidence(whole.images.astype(np.float32) / 127.5 - 1, 1, whole.views, factor)
    inner = tuple(slice(s.start // factor, s.stop // factor) for s in middle)
    assert torch.equal(encoded.difference[1], difference[:, *middle]) and torch.equal(encoded.told[1], told[inner])
    assert (encoded.told > 0).any()
    exact = pipe.encode_image(large.images[1, *middle].astype(np.float32) / 255)
    torch.testing.assert_close(encoded.latents[1], exact, rtol=0, atol=1e-4)


def test_detail_is_told_the_surface_of_the_large_images(pipe):
    """Heights count from the floor that all views see, not each by itself."""
    large = RoomStream(0, 3, (128, 96)).sample(0)
    told = encode_detail(large, pipe.vae, 4, surface=True).surface
    assert torch.equal(told, surface_fields(large.views)[:, :, 24:72, 32:96])
    assert encode_detail(large, pipe.vae, 4).surface is None
