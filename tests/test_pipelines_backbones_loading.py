"""Pipelines of diffusers from folders, with a ControlNet beside them; and folders that do not fit."""

import json
import shutil

import diffusers
import numpy as np
import pytest
import torch
from tiny_backbones import make_backbone, woken
from tiny_pipeline import room_views

from scenetex import Generation, InputError, InputWarning
from scenetex.job.load_model import load_model
from scenetex.pipelines import ConsistentViews
from scenetex.pipelines.backbones import has_transformer, sampling_defaults

VIEWS = room_views(2)
KINDS = ["Stable Diffusion 3", "FLUX", "Z-Image", "Qwen-Image"]
# The pipelines of text alone that the same parts make.
PLAIN = {
    "Stable Diffusion 3": "StableDiffusion3Pipeline",
    "FLUX": "FluxPipeline",
    "Z-Image": "ZImagePipeline",
    "Qwen-Image": "QwenImagePipeline",
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """For each kind: the whole pipeline, that of text alone, and its ControlNet."""
    found = {}
    for kind in KINDS:
        at = tmp_path_factory.mktemp("models")
        pipe = make_backbone(kind, at / "tokens")
        pipe.save_pretrained(at / "whole")
        pipe.controlnet.save_pretrained(at / "control")
        parts = {name: part for name, part in pipe.components.items() if name != "controlnet"}
        getattr(diffusers, PLAIN[kind])(**parts).save_pretrained(at / "plain")
        found[kind] = at
    return found


def images(pipe) -> np.ndarray:
    pipe.set_progress_bar_config(disable=True)
    generator = torch.Generator().manual_seed(0)
    return pipe("a red room", VIEWS, num_inference_steps=2, generator=generator).images


@pytest.mark.parametrize("kind", KINDS)
def test_whole_pipelines_and_those_with_a_control_net_beside_them(folders, tmp_path, kind):
    at = folders[kind]
    expected = images(ConsistentViews(make_backbone(kind, tmp_path)))
    assert has_transformer(at / "whole") and has_transformer(at / "plain") and not has_transformer(at)
    assert np.allclose(images(ConsistentViews.from_pretrained(at / "whole")), expected, atol=1e-5)
    beside = ConsistentViews.from_pretrained(at / "plain", at / "control")
    assert np.allclose(images(beside), expected, atol=1e-5)
    steps = {"Stable Diffusion 3": 28, "FLUX": 28, "Z-Image": 50, "Qwen-Image": 50}[kind]
    guidance = {"Stable Diffusion 3": 7.0, "FLUX": 7.0, "Z-Image": 5.0, "Qwen-Image": 4.0}[kind]
    wanted = {"steps": steps, "guidance_scale": guidance}
    assert sampling_defaults(at / "plain", at / "control") == sampling_defaults(at / "whole") == wanted


@pytest.mark.parametrize("kind", KINDS)
def test_folders_that_do_not_fit_get_one_line(folders, tmp_path, kind):
    def refused(message, *folders_given):
        with pytest.raises(InputError, match=message) as error:
            ConsistentViews.from_pretrained(*folders_given)
        assert "\n" not in str(error.value)

    at = folders[kind]
    refused("has no depth control", at / "plain")
    other = folders[KINDS[KINDS.index(kind) - 1]]
    refused("was made for another base than", at / "plain", other / "control")
    refused("no such model folder", at / "plain", at / "nothing")
    for part in ("transformer", "vae", "text_encoder", "tokenizer", "scheduler", "controlnet"):
        half = shutil.copytree(at / "whole", tmp_path / part)
        shutil.rmtree(half / part)
        refused(f"has no {part}; pass the folder of a whole model", half)
    for part in ("transformer", "vae", "controlnet"):
        half = shutil.copytree(at / "whole", tmp_path / f"{part} without weights")
        (half / part / "diffusion_pytorch_model.safetensors").unlink()
        refused(f"has no {part}/safetensors file; copy the folder again", half)
    cut = shutil.copytree(at / "whole", tmp_path / "cut")
    weights = cut / "transformer" / "diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    refused("cannot be loaded", cut)
    (cut / "model_index.json").write_text("{")
    refused("has no model_index.json that can be read", cut)


def test_a_control_net_of_another_size_is_named(folders, tmp_path):
    at = folders["FLUX"]
    config = json.loads((at / "control" / "config.json").read_text())
    wide = diffusers.FluxControlNetModel.from_config(config | {"num_attention_heads": 4})
    woken(wide).save_pretrained(tmp_path / "wide")
    message = "made for another base: its num_attention_heads is 4, the transformer's 2"
    with pytest.raises(InputError, match=message):
        ConsistentViews.from_pretrained(at / "plain", tmp_path / "wide")


def test_what_is_guided_only_when_told_says_so(folders, capfd):
    generation = Generation.of({"prompt": "red", "model": str(folders["Qwen-Image"] / "whole"), "device": "cpu"})
    with pytest.warns(InputWarning, match="add --guidance-scale 4, or a --negative-prompt"):
        pipe = load_model(generation)
    capfd.readouterr()
    plain = images(pipe)
    assert "true_cfg_scale" not in capfd.readouterr().err
    told = {"num_inference_steps": 2, "guidance_scale": 4.0, "generator": torch.Generator().manual_seed(0)}
    assert not np.array_equal(pipe("a red room", VIEWS, **told).images, plain)
