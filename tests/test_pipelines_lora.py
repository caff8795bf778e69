"""LoRAs in every layout that they are published in, for every kind of pipeline; those that do not fit, in one line."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from test_pipeline_generated import command, model, walk  # noqa: F401 (fixtures)
from test_pipelines_consistent_views import run as run_backbone
from test_pipelines_habits import EVERY, LAYOUTS
from tiny_adapters import FORMATS, kohya, peft, write_lora
from tiny_backbones import make_backbone
from tiny_pipeline import make_pipeline, room_views, run

from scenetex import InputError, InputWarning, MVDiffusionPipeline
from scenetex.adapters import Adapter
from scenetex.batch import one_scene
from scenetex.pipelines import ConsistentViews, lora
from scenetex.pipelines.lora import load_loras

VIEWS = room_views(4)


@pytest.fixture(autouse=True)
def needs_peft(request):
    if request.node.name != "test_without_peft_it_says_how_to_get_it":
        pytest.importorskip("peft", reason="the extra [lora] is not installed")


def worth(pipe, **options) -> np.ndarray:
    return run(pipe, VIEWS, steps=2, **options)


@EVERY
@pytest.mark.parametrize("layout_of_lora", FORMATS)
def test_loras_change_images_by_their_weight(tmp_path, layout, layout_of_lora):
    pipe = LAYOUTS[layout](tmp_path / "tokens")
    folder, plain = write_lora(FORMATS[layout_of_lora](pipe.unet), tmp_path / "lora"), worth(pipe)
    load_loras(pipe, [Adapter(str(folder), 0.5)])
    half = worth(pipe)
    assert not np.allclose(half, plain, atol=1e-3)
    pipe.set_adapters(["lora_0"], [0.0])
    assert np.allclose(worth(pipe), plain, atol=1e-6)
    pipe.set_adapters(["lora_0"], [-0.5])
    assert not np.allclose(worth(pipe), half, atol=1e-3)
    pipe.disable_lora()
    assert np.allclose(worth(pipe), plain, atol=1e-6)
    pipe.enable_lora()
    pipe.set_adapters(["lora_0"], [0.5])
    pipe.fuse_lora()
    pipe.unload_lora_weights()
    assert np.allclose(worth(pipe), half, atol=1e-4)


def test_a_lora_is_what_its_weights_say(tmp_path):
    """W + weight * alpha / rank * up @ down, in the UNet that the blocks are around."""
    pipe = make_pipeline(tmp_path / "tokens")
    weights = kohya(pipe.unet)
    for name in weights:
        if name.endswith("alpha"):
            weights[name] = torch.tensor(1.0)  # of a rank of two
    folder, before = write_lora(weights, tmp_path / "lora"), pipe.unet.unet.state_dict()
    before = {name: value.clone() for name, value in before.items()}
    load_loras(pipe, [Adapter(str(folder), 0.8)])
    pipe.fuse_lora()
    pipe.unload_lora_weights()
    name = "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q"
    key = f"lora_unet_{name.replace('.', '_')}"
    added = 0.8 * 0.5 * weights[f"{key}.lora_up.weight"] @ weights[f"{key}.lora_down.weight"]
    after = pipe.unet.unet.state_dict()
    assert before.keys() == after.keys()
    assert torch.allclose(after[f"{name}.weight"], before[f"{name}.weight"] + added, atol=1e-5)
    assert torch.equal(after["conv_in.weight"], before["conv_in.weight"])


def test_several_add_up(tmp_path):
    pipe = make_pipeline(tmp_path / "tokens")
    first = write_lora(peft(pipe.unet), tmp_path / "first")
    second = write_lora({k: -v if "lora_B" in k else v for k, v in peft(pipe.unet).items()}, tmp_path / "second")
    plain = worth(pipe)
    load_loras(pipe, [Adapter(str(first), 0.5), Adapter(str(second / "pytorch_lora_weights.safetensors"), 0.5)])
    assert np.allclose(worth(pipe), plain, atol=1e-4)
    pipe.set_adapters(["lora_0", "lora_1"], [0.5, 0.2])
    assert not np.allclose(worth(pipe), plain, atol=1e-3)


def test_checkpoints_of_tensors_alone_are_read_too(tmp_path):
    pipe = make_pipeline(tmp_path / "tokens")
    weights, plain = peft(pipe.unet), worth(pipe)
    torch.save(weights, tmp_path / "pytorch_lora_weights.bin")
    load_loras(pipe, [Adapter(str(tmp_path / "pytorch_lora_weights.bin"))])
    assert not np.allclose(worth(pipe), plain, atol=1e-3)


@pytest.mark.parametrize("name", ["Stable Diffusion", "Stable Diffusion 3", "FLUX", "Z-Image", "Qwen-Image"])
def test_backbones_take_loras(tmp_path, name):
    pipe = make_backbone(name, tmp_path)
    part = "unet" if name == "Stable Diffusion" else "transformer"
    folder = write_lora(peft(getattr(pipe, part), part), tmp_path / "lora")
    plain = run_backbone(ConsistentViews(pipe), VIEWS, steps=2)
    load_loras(pipe, [Adapter(str(folder))])
    assert not np.allclose(run_backbone(ConsistentViews(pipe), VIEWS, steps=2), plain, atol=1e-3)
    pipe.disable_lora()
    assert np.allclose(run_backbone(ConsistentViews(pipe), VIEWS, steps=2), plain, atol=1e-5)


def refused(pipe, source) -> str:
    with pytest.raises(InputError) as error:
        load_loras(pipe, [Adapter(str(source))])
    assert "\n" not in str(error.value) and len(str(error.value)) < 500
    return str(error.value)


def test_what_does_not_fit_is_named(tmp_path, capfd):
    pipe, other = make_pipeline(tmp_path / "tokens"), LAYOUTS["XL"](tmp_path / "other")
    for weights in (FORMATS[name](other.unet) for name in FORMATS):
        folder = write_lora(weights, tmp_path / "xl")
        said = refused(pipe, folder)
        assert str(folder) in said and "the LoRA was made for another base: it takes down_blocks" in said
        assert "64" in said and "32 in this model" in said
    names = {k.replace("down_blocks", "blocks").replace("up_blocks", "blocks"): v for k, v in peft(pipe.unet).items()}
    assert "of its" in refused(pipe, write_lora(names, tmp_path / "names"))
    transformer = {f"transformer.{k.removeprefix('unet.')}": v for k, v in peft(pipe.unet).items()}
    assert str(tmp_path / "flux") in refused(pipe, write_lora(transformer, tmp_path / "flux"))
    flux = make_backbone("FLUX", tmp_path)
    assert str(tmp_path / "xl") in refused(flux, tmp_path / "xl")
    assert capfd.readouterr().err.count("\n") == capfd.readouterr().err.count("\n") == 0


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda at: None, "no such file or folder"),
        (lambda at: at.mkdir(), "has no pytorch_lora_weights.safetensors"),
        (lambda at: write_lora({"a.lora_A.weight": torch.full((2, 2), torch.nan)}, at), "not finite"),
        (lambda at: write_lora({"weight": torch.zeros(2, 2)}, at), "holds no LoRA"),
        (lambda at: at.write_bytes(b"nothing"), "not a checkpoint"),
        (lambda at: torch.save({"a.lora_A.weight": print}, at), "which is never run"),
        (lambda at: torch.save([1, 2], at), "not a state dict"),
        (lambda at: [write_lora({"a.lora": torch.zeros(2)}, at / "c"), _several(at)], "has 2 files of weights"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path, write, message):
    pipe, at = make_pipeline(tmp_path / "tokens"), tmp_path / "lora"
    write(at)
    said = refused(pipe, at)
    assert message in said and str(at) in said


def _several(at):
    for name in ("a", "b"):
        save_file({"x.lora_A.weight": torch.zeros(2, 2)}, at / f"{name}.safetensors")


def test_cut_files_are_named(tmp_path):
    pipe = make_pipeline(tmp_path / "tokens")
    file = write_lora(peft(pipe.unet), tmp_path / "lora") / "pytorch_lora_weights.safetensors"
    file.write_bytes(file.read_bytes()[:-100])
    assert str(file) in refused(pipe, file) and "not a safetensors file" in refused(pipe, tmp_path / "lora")


def test_layers_that_the_model_lacks_are_told_of(tmp_path):
    pipe = make_pipeline(tmp_path / "tokens")
    weights = peft(pipe.unet)
    weights |= {f"unet.down_blocks.7.to_q.lora_{x}.weight": torch.zeros(2, 2) for x in "AB"}
    plain = worth(pipe)
    with pytest.warns(
        InputWarning, match=r"1 of the LoRA's \d+ layers, such as down_blocks.7.to_q, are not in this model"
    ):
        load_loras(pipe, [Adapter(str(write_lora(weights, tmp_path / "lora")))])
    assert not np.allclose(worth(pipe), plain, atol=1e-3)


def test_the_small_model_takes_none_of_stable_diffusion(tmp_path):
    other = LAYOUTS["XL"](tmp_path / "other")
    folder = write_lora(kohya(other.unet), tmp_path / "lora")
    assert "another base" in refused(MVDiffusionPipeline.from_pretrained("mini"), folder)


def test_without_peft_it_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr(lora, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r'^a LoRA needs peft; pip install .*"\.\[lora\]"'):
        load_loras(None, [Adapter("owner/name")])
    load_loras(None, [])


def test_command_adds_loras_for_few_steps(walk, model, tmp_path, capfd):  # noqa: F811
    """Two of them, with LCM; what was made without them is not taken for what is made with them."""
    unet = MVDiffusionPipeline.from_pretrained(model).unet
    first, second = (write_lora(make(unet), tmp_path / name) for name, make in (("one", kohya), ("two", peft)))
    options = ["--prompt", "a red room", "--keyframes", "0,40", "--between", "0"]
    few = [*options, "--scheduler", "lcm", "--steps", "4", "--guidance-scale", "1"]
    few += ["--lora", f"{first}:0.7", "--lora", f"{second}:-0.2"]
    images = []
    for given in (options, few, few):
        assert command(walk, model, tmp_path / "out", *given) == 0
        images.append(sorted(path.read_bytes() for path in (tmp_path / "out" / "walk" / "views").glob("*.png")))
    assert images[0] != images[1] == images[2]
    report = json.loads((tmp_path / "out" / "walk" / "report.json").read_text())
    assert report["settings"]["lora"] == [f"{first}:0.7", f"{second}:-0.2"]
    assert report["settings"]["scheduler"] == "lcm" and report["steps"] == 4
    # Another file under the same name is another LoRA.
    file = first / "pytorch_lora_weights.safetensors"
    save_file({k: -v if k.endswith("up.weight") else v for k, v in load_file(file).items()}, file)
    one_scene._model.cache_clear()  # of this process, which a command has for itself
    assert command(walk, model, tmp_path / "out", *few) == 0
    assert images[2] != sorted(path.read_bytes() for path in (tmp_path / "out" / "walk" / "views").glob("*.png"))
    capfd.readouterr()
    assert command(walk, model, tmp_path / "out", *options, "--lora", str(tmp_path / "none")) != 0
    said = capfd.readouterr().err.strip().splitlines()
    assert len(said) == 1 and "no such file or folder" in said[0]
