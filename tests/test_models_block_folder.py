"""Blocks in a folder of their own: around another copy of the UNet they do what they did, and damage is named."""

import json

import pytest
import torch
from tiny_panorama import make_panorama_model, make_panorama_pipeline
from tiny_panorama import run as run_panorama
from tiny_pipeline import make_pipeline
from tiny_unet import inputs, make_model, make_unet

from scenetex import InputError, MVDiffusionPanoramaPipeline, MVDiffusionPipeline
from scenetex.models import MultiViewUNet
from scenetex.models.block_folder import load_blocks, save_blocks


@pytest.fixture
def saved(tmp_path):
    """A model of kind "panorama" and the folder with its blocks."""
    model = make_model("panorama")
    save_blocks(model, tmp_path / "blocks")
    return model, tmp_path / "blocks"


def test_blocks_come_back_around_the_same_base(saved):
    model, folder = saved
    loaded = load_blocks(folder, model.unet)
    assert loaded.unet is model.unet and loaded.config.kind == "panorama"
    ours, theirs = model.state_dict(), loaded.state_dict()
    assert set(ours) == set(theirs) and all(torch.equal(ours[name], theirs[name]) for name in ours)
    given = inputs(1, 2)
    assert torch.equal(model(**given).sample, loaded(**given).sample)


def test_slim_blocks_come_back_slim(saved, tmp_path):
    model, folder = saved
    slim = MultiViewUNet.from_unet(model.unet, "panorama", residual_blocks=False, expansion=1)
    save_blocks(slim, tmp_path / "slim")
    assert load_blocks(tmp_path / "slim", model.unet).config.expansion == 1
    size, usual = ((path / "blocks.safetensors").stat().st_size for path in (tmp_path / "slim", folder))
    assert size < usual / 2


def test_folders_from_before_blocks_could_be_slim_are_read(saved):
    model, folder = saved
    told = json.loads((folder / "config.json").read_text())
    assert told.pop("expansion") == 4
    (folder / "config.json").write_text(json.dumps(told))
    assert load_blocks(folder, model.unet).config.expansion == 4


def test_the_base_is_not_in_the_file(saved):
    model, folder = saved
    size = sum(p.numel() * p.element_size() for p in model.multiview_parameters())
    assert (folder / "blocks.safetensors").stat().st_size < 1.2 * size + 20_000


def test_a_depth_model_with_blocks_for_panoramas_serves_both(tmp_path):
    """The depth pipeline ignores them, the panorama pipeline takes them instead of the UNet's own."""
    depth = make_model()
    make_pipeline(tmp_path / "tokens", depth).save_pretrained(tmp_path / "model")
    ring = make_panorama_model(in_channels=5)
    save_blocks(ring, tmp_path / "model" / "panorama")
    assert MVDiffusionPipeline.from_pretrained(tmp_path / "model").unet.config.kind == "depth"
    pipe = MVDiffusionPanoramaPipeline.from_pretrained(tmp_path / "model")
    assert pipe.unet.config.kind == "panorama" and pipe.config.empty_condition
    assert torch.equal(pipe.unet.unet.conv_in.weight, depth.unet.conv_in.weight)
    block = pipe.unet.mid_correspondence.state_dict()
    assert all(torch.equal(value, block[name]) for name, value in ring.mid_correspondence.state_dict().items())
    pipe.save_pretrained(tmp_path / "whole")
    assert MVDiffusionPanoramaPipeline.from_pretrained(tmp_path / "whole").unet.config.kind == "panorama"


def test_a_plain_model_gets_them_too(tmp_path):
    plain = make_unet(in_channels=4)
    make_panorama_pipeline(tmp_path / "tokens", plain).save_pretrained(tmp_path / "model")
    save_blocks(make_panorama_model(), tmp_path / "model" / "panorama")
    pipe = MVDiffusionPanoramaPipeline.from_pretrained(tmp_path / "model")
    pipe.set_progress_bar_config(disable=True)
    assert pipe.unet.config.kind == "panorama"
    assert run_panorama(pipe, steps=1).images.shape == (8, 64, 64, 3)
    assert MVDiffusionPanoramaPipeline.from_pretrained(tmp_path / "model", unet=plain).unet is plain


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("config.json", b"{"),
        ("config.json", b"[]"),
        ("config.json", json.dumps({"kind": "cube", "residual_blocks": True, "condition_channels": 5}).encode()),
        ("blocks.safetensors", b"1234"),
        ("blocks.safetensors", None),
    ],
)
def test_damage_is_named(saved, name, content):
    model, folder = saved
    (folder / name).unlink()
    if content is not None:
        (folder / name).write_bytes(content)
    with pytest.raises(InputError) as error:
        load_blocks(folder, model.unet)
    assert "\n" not in str(error.value)


def test_blocks_of_another_unet_are_named(saved):
    with pytest.raises(InputError, match="holds no blocks that fit the UNet"):
        load_blocks(saved[1], make_unet(block_out_channels=(64, 96)))


def test_bugs_of_our_own_are_no_damage(saved, monkeypatch):
    model, folder = saved
    monkeypatch.setattr(MultiViewUNet, "from_unet", lambda base, **options: None + 1)
    with pytest.raises(TypeError):
        load_blocks(folder, model.unet)
