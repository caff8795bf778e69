"""Folders of models with one file too few: each is named in one line, at the command line, too."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file
from test_pipeline_generated import command, walk  # noqa: F401 (a fixture)
from tiny_backbones import make_backbone
from tiny_pipeline import make_pipeline

from scenetex import InputError, MVDiffusionPipeline
from scenetex.pipelines import ConsistentViews

# Files of a part, without which it is none.
LACKING = [
    ("vae/config.json", "vae/config.json"),
    ("text_encoder/config.json", "text_encoder/config.json"),
    ("text_encoder/model.safetensors", "text_encoder/safetensors file"),
    ("scheduler/scheduler_config.json", "scheduler/scheduler_config.json"),
    ("tokenizer/tokenizer_config.json", "tokenizer/tokenizer_config.json"),
    ("tokenizer/tokenizer.json", "tokenizer/tokenizer.json"),
]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A model of each kind of pipeline, and how it is loaded."""
    at = tmp_path_factory.mktemp("models")
    make_pipeline(at / "tokens").save_pretrained(at / "unet")
    make_backbone("FLUX", at / "more tokens").save_pretrained(at / "transformer")
    return {"unet": (at / "unet", MVDiffusionPipeline), "transformer": (at / "transformer", ConsistentViews)}


def refused(kind, folder) -> str:
    with pytest.raises(InputError) as error:
        kind.from_pretrained(folder)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("network", ["unet", "transformer"])
@pytest.mark.parametrize(("lost", "named"), LACKING)
def test_a_part_without_a_file_is_named(folders, tmp_path, network, lost, named):
    source, kind = folders[network]
    half = shutil.copytree(source, tmp_path / "half")
    (half / lost).write_bytes(b"")
    assert f"has no {named}; copy the folder again" in refused(kind, half)
    (half / lost).unlink()
    assert f"has no {named}; copy the folder again" in refused(kind, half)


@pytest.mark.parametrize("network", ["unet", "transformer"])
@pytest.mark.parametrize("text", ["{", "[]", '{"model": {"type": "BPE"}}'])
def test_words_that_cannot_be_read(folders, tmp_path, network, text):
    source, kind = folders[network]
    half = shutil.copytree(source, tmp_path / "half")
    (half / "tokenizer" / "tokenizer.json").write_text(text)
    assert "half: cannot be loaded" in refused(kind, half)


@pytest.mark.parametrize("network", ["unet", "transformer"])
def test_the_network_and_its_shards(folders, tmp_path, network):
    source, kind = folders[network]
    half = shutil.copytree(source, tmp_path / "half")
    weights = half / network / "diffusion_pytorch_model.safetensors"
    parts = [f"diffusion_pytorch_model-0000{i}-of-00002.safetensors" for i in (1, 2)]
    weights.rename(half / network / parts[0])
    index = {"metadata": {}, "weight_map": {"a": parts[0], "b": parts[1]}}
    (half / network / "diffusion_pytorch_model.safetensors.index.json").write_text(json.dumps(index))
    assert f"has no {network}/{parts[1]}" in refused(kind, half)
    shutil.copy(half / network / parts[0], half / network / parts[1])
    other = {"weight_map": {"a": "pytorch_model-00001-of-00002.bin"}}
    (half / network / "pytorch_model.bin.index.json").write_text(json.dumps(other))
    kind.from_pretrained(half)
    for part in parts:
        (half / network / part).unlink()
    (half / network / "pytorch_model.bin.index.json").unlink()
    assert f"has no {network}/{parts[0]}" in refused(kind, half)
    shutil.rmtree(half / network)
    assert f"has no {network}; pass the folder of a whole" in refused(kind, half)


def test_tokenizers_that_say_too_little(folders, tmp_path):
    half = shutil.copytree(folders["unet"][0], tmp_path / "half")
    file = half / "tokenizer" / "tokenizer_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"model_max_length": 10**30}))
    assert "does not say how many tokens are read" in refused(MVDiffusionPipeline, half)
    (half / "tokenizer" / "tokenizer.json").rename(half / "tokenizer" / "vocab.json")
    assert "has no tokenizer/merges.txt" in refused(MVDiffusionPipeline, half)


def test_command_says_it_in_one_line(folders, walk, tmp_path, capfd):  # noqa: F811
    half = shutil.copytree(folders["unet"][0], tmp_path / "half")
    (half / "vae" / "diffusion_pytorch_model.safetensors").rename(half / "vae" / "odd.safetensors")
    capfd.readouterr()
    assert command(walk, half, tmp_path / "out", "--prompt", "red", "--keyframes", "0,40", "--quiet") == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert "cannot be loaded" in line and not (tmp_path / "out" / "walk").exists()


def rewrite(file, change) -> None:
    """The tensors of a safetensors file, changed."""
    weights = load_file(file)
    change(weights)
    save_file(weights, file)


@pytest.mark.parametrize("network", ["unet", "transformer"])
@pytest.mark.parametrize("part", ["network", "text_encoder", "vae"])
def test_weights_that_are_not_there_are_not_made_up(folders, tmp_path, network, part):
    source, kind = folders[network]
    half = shutil.copytree(source, tmp_path / "half")
    folder = half / (network if part == "network" else part)
    (file,) = folder.glob("*.safetensors")
    rewrite(file, lambda weights: weights.pop(max(weights)))
    assert f"{folder}: the weights" in refused(kind, half)
    kind.from_pretrained(source)


def test_images_that_are_no_numbers_are_no_result(folders, walk, tmp_path, capfd):  # noqa: F811
    half = shutil.copytree(folders["unet"][0], tmp_path / "half")
    rewrite(
        half / "unet" / "diffusion_pytorch_model.safetensors",
        lambda weights: weights["unet.conv_out.bias"].fill_(torch.nan),
    )
    capfd.readouterr()
    assert command(walk, half, tmp_path / "out", "--prompt", "red", "--keyframes", "0,40", "--quiet") == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert "2 of 2 images have values that are not finite" in line and not (tmp_path / "out" / "walk").exists()
