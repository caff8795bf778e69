"""Encoded samples: what the pipelines would feed to the UNet, kept in files that are whole or made again."""

import numpy as np
import pytest
import torch
from tiny_training import SIZE, tiny_autoencoder, tiny_pipeline, tiny_unet

from scenetex import InputError
from scenetex.data.rooms import RoomStream
from scenetex.models import SuperResolutionUNet
from scenetex.models.image_features import Eyes
from scenetex.pipelines.conditioning import make_guide
from scenetex.pipelines.cross_view import evidence
from scenetex.pipelines.upscale import enlarged
from scenetex.training.encoded import (
    detail_parts,
    encode_detail,
    encode_large,
    encode_sample,
    read_encoded,
    write_encoded,
)
from scenetex.training.store import EncodedStore

TENSORS = ("latents", "guide", "depth", "intrinsics", "cam_to_world")


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


def test_files_come_back_in_whole_or_in_part(encoded, tmp_path):
    path = tmp_path / "a.safetensors"
    write_encoded(path, encoded)
    whole, part = read_encoded(path), read_encoded(path, lambda total: [total - 1, 0])
    for name in TENSORS:
        exact = getattr(encoded, name)
        exact = exact.half().float() if name in ("latents", "guide", "depth") else exact
        assert torch.equal(getattr(whole, name), exact) and torch.equal(getattr(part, name), exact[[2, 0]])
    assert whole.prompts == encoded.prompts and part.prompts == (encoded.prompts[2], encoded.prompts[0])
    assert [p.name for p in tmp_path.iterdir()] == ["a.safetensors"]


def test_what_eyes_see_is_kept_where_it_is_wanted(pipe, sample, encoded, tmp_path):
    eyes = Eyes()
    seeing = encode_sample(sample, pipe.vae, 80, eyes)
    write_encoded(tmp_path / "a.safetensors", seeing)
    found = read_encoded(tmp_path / "a.safetensors", lambda total: [2])
    image = torch.from_numpy(sample.images[2:]).permute(0, 3, 1, 2) / 127.5 - 1
    torch.testing.assert_close(found.seen, eyes(image)[-1], rtol=0, atol=2e-3)
    assert encoded.seen is None and torch.equal(seeing.latents, encoded.latents)


def test_what_chooses_views_may_refuse(encoded, tmp_path):
    def refuse(total: int):
        raise InputError(f"{total} are not enough")

    write_encoded(tmp_path / "a.safetensors", encoded)
    with pytest.raises(InputError, match="3 are not enough"):
        read_encoded(tmp_path / "a.safetensors", refuse)


@pytest.mark.parametrize("damage", ["absent", "empty", "cut", "noise"])
def test_damaged_files_are_made_again(pipe, encoded, sample, tmp_path, damage):
    made = []

    def encode_once(given):
        made.append(given)
        return encoded

    store = EncodedStore.within(tmp_path, RoomStream(0, 3, SIZE), encode_once, pipe.vae, "80")
    path = store.folder / "00000000.safetensors"
    write_encoded(path, encoded)
    content = path.read_bytes()
    if damage == "absent":
        path.unlink()
    else:
        path.write_bytes({"empty": b"", "cut": content[: len(content) // 2], "noise": b"\x09" * 500}[damage])
    assert torch.equal(store.get(0, lambda total: [1]).depth, encoded.depth[1:2].half().float())
    assert len(made) == 1 and np.array_equal(made[0].images, sample.images) and path.read_bytes() == content


def test_a_store_belongs_to_its_source_autoencoder_and_way(pipe, tmp_path):
    def folder(source=None, vae=pipe.vae, how="80"):
        source = RoomStream(0, 3, SIZE) if source is None else source
        return EncodedStore.within(tmp_path, source, lambda sample: None, vae, how).folder

    other = tiny_autoencoder()
    with torch.no_grad():
        next(other.parameters()).add_(1e-3)
    rescaled = tiny_autoencoder()
    rescaled.register_to_config(scaling_factor=0.5)
    folders = [folder(), folder(RoomStream(1, 3, SIZE)), folder(vae=other), folder(vae=rescaled), folder(how="1")]
    assert len(set(folders)) == 5 and folder() == folders[0] and all(f.is_dir() for f in folders)


def test_processes_fill_a_store_together(pipe, encoded, tmp_path):
    store = EncodedStore.within(tmp_path, RoomStream(0, 3, SIZE), lambda sample: encoded, pipe.vae, "80")
    store.fill(3, 1, 2, workers=0)
    assert [p.name for p in store.folder.iterdir()] == ["00000001.safetensors"]
    before = (store.folder / "00000001.safetensors").stat().st_mtime_ns
    store.fill(2, 0, 1, workers=0)
    assert sorted(p.name for p in store.folder.iterdir()) == ["00000000.safetensors", "00000001.safetensors"]
    assert (store.folder / "00000001.safetensors").stat().st_mtime_ns == before


def test_a_cache_that_cannot_be_is_named(pipe, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="a part of the path is a file"):
        EncodedStore.within(tmp_path / "file", RoomStream(0, 3, SIZE), lambda sample: None, pipe.vae, "80")


@torch.no_grad()
@pytest.mark.parametrize("factor", [2, 4])
def test_detail_is_told_of_the_middle_of_large_images(pipe, factor):
    large = RoomStream(0, 3, (256, 192)).sample(0)
    encoded = encode_detail(large, pipe.vae, factor)
    middle = (slice(48, 144), slice(64, 192))
    truth = torch.from_numpy(large.images[:, *middle]).permute(0, 3, 1, 2) / 127.5 - 1
    parts = detail_parts(encoded.guide, factor)
    assert torch.allclose(parts["large"], truth, atol=1e-6)
    assert torch.allclose(parts["small"], torch.nn.functional.avg_pool2d(truth, factor), atol=0.6 / 127.5)
    whole = large.shrunk(factor)
    difference, told = evidence(whole.images.astype(np.float32) / 127.5 - 1, 1, whole.views, factor)
    inner = tuple(slice(s.start // factor, s.stop // factor) for s in middle)
    assert torch.equal(parts["difference"][1], difference[:, *middle]) and torch.equal(parts["told"][1], told[inner])
    assert (parts["told"] > 0).any()
    exact = pipe.encode_image(large.images[1, *middle].astype(np.float32) / 255)
    torch.testing.assert_close(encoded.latents[1], exact, rtol=0, atol=1e-4)
