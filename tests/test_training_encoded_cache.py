"""Encoded samples in files that are whole or made again."""

import numpy as np
import pytest
import torch
from tiny_training import SIZE, tiny_autoencoder, tiny_pipeline

from scenetex import InputError
from scenetex.data.rooms import RoomStream
from scenetex.models.image_features import Eyes
from scenetex.training.encoded import Encoded, EncodedDetail, encode_detail, encode_sample
from scenetex.training.encoded_cache import EncodedCache, read_encoded, write_encoded

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


def test_files_come_back_in_whole_or_in_part(encoded, tmp_path):
    path = tmp_path / "a.safetensors"
    write_encoded(path, encoded)
    whole, part = read_encoded(path, Encoded), read_encoded(path, Encoded, lambda total: [total - 1, 0])
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
    found = read_encoded(tmp_path / "a.safetensors", Encoded, lambda total: [2])
    image = torch.from_numpy(sample.images[2:]).permute(0, 3, 1, 2) / 127.5 - 1
    torch.testing.assert_close(found.seen, eyes(image)[-1], rtol=0, atol=2e-3)
    assert encoded.seen is None and torch.equal(seeing.latents, encoded.latents)


def test_what_chooses_views_may_refuse(encoded, tmp_path):
    def refuse(total: int):
        raise InputError(f"{total} are not enough")

    write_encoded(tmp_path / "a.safetensors", encoded)
    with pytest.raises(InputError, match="3 are not enough"):
        read_encoded(tmp_path / "a.safetensors", Encoded, refuse)


@pytest.mark.parametrize("damage", ["absent", "empty", "cut", "noise"])
def test_damaged_files_are_made_again(pipe, encoded, sample, tmp_path, damage):
    made = []

    def encode_once(given):
        made.append(given)
        return encoded

    cache = EncodedCache.within(tmp_path, RoomStream(0, 3, SIZE), Encoded, encode_once, pipe.vae, "80")
    path = cache.folder / "00000000.safetensors"
    write_encoded(path, encoded)
    content = path.read_bytes()
    if damage == "absent":
        path.unlink()
    else:
        path.write_bytes({"empty": b"", "cut": content[: len(content) // 2], "noise": b"\x09" * 500}[damage])
    assert torch.equal(cache.get(0, lambda total: [1]).depth, encoded.depth[1:2].half().float())
    assert len(made) == 1 and np.array_equal(made[0].images, sample.images) and path.read_bytes() == content


def test_a_cache_belongs_to_its_source_autoencoder_and_way(pipe, tmp_path):
    def folder(source=None, vae=pipe.vae, how="80"):
        source = RoomStream(0, 3, SIZE) if source is None else source
        return EncodedCache.within(tmp_path, source, Encoded, lambda sample: None, vae, how).folder

    other = tiny_autoencoder()
    with torch.no_grad():
        next(other.parameters()).add_(1e-3)
    rescaled = tiny_autoencoder()
    rescaled.register_to_config(scaling_factor=0.5)
    folders = [folder(), folder(RoomStream(1, 3, SIZE)), folder(vae=other), folder(vae=rescaled), folder(how="1")]
    assert len(set(folders)) == 5 and folder() == folders[0] and all(f.is_dir() for f in folders)


def test_processes_fill_a_cache_together(pipe, encoded, tmp_path):
    cache = EncodedCache.within(tmp_path, RoomStream(0, 3, SIZE), Encoded, lambda sample: encoded, pipe.vae, "80")
    cache.fill(3, 1, 2, workers=0)
    assert [p.name for p in cache.folder.iterdir()] == ["00000001.safetensors"]
    before = (cache.folder / "00000001.safetensors").stat().st_mtime_ns
    cache.fill(2, 0, 1, workers=0)
    assert sorted(p.name for p in cache.folder.iterdir()) == ["00000000.safetensors", "00000001.safetensors"]
    assert (cache.folder / "00000001.safetensors").stat().st_mtime_ns == before


def test_a_cache_that_cannot_be_is_named(pipe, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="a part of the path is a file"):
        EncodedCache.within(tmp_path / "file", RoomStream(0, 3, SIZE), Encoded, lambda sample: None, pipe.vae, "80")


@pytest.mark.parametrize(("factor", "surface"), [(2, False), (4, False), (4, True)])
def test_detail_comes_back_in_whole_or_in_part(pipe, tmp_path, factor, surface):
    encoded = encode_detail(RoomStream(0, 3, (128, 96)).sample(0), pipe.vae, factor, surface)
    write_encoded(tmp_path / "a.safetensors", encoded)
    whole = read_encoded(tmp_path / "a.safetensors", EncodedDetail)
    part = read_encoded(tmp_path / "a.safetensors", EncodedDetail, lambda total: [total - 1, 0])
    assert (whole.surface is not None) is (part.surface is not None) is surface
    for name in vars(encoded) if surface else set(vars(encoded)) - {"surface"}:
        exact = getattr(encoded, name).half().float()
        assert torch.equal(getattr(whole, name), exact) and torch.equal(getattr(part, name), exact[[2, 0]])


def test_records_of_another_kind_are_made_again(encoded, tmp_path):
    write_encoded(tmp_path / "a.safetensors", encoded)
    assert read_encoded(tmp_path / "a.safetensors", EncodedDetail) is None
