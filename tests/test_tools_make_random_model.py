"""Models of random weights in published layouts: their sizes, and every path of the command line at a tenth of it."""

import importlib.util
import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import transformers
from test_models_mvdiffusion_weights import fixtures  # noqa: F401 (a fixture)
from test_pipeline_generated import command, walk  # noqa: F401 (a fixture)

from scenetex.cli import panorama as panorama_command
from scenetex.job.generation import Generation
from scenetex.job.load_model import load_model
from scenetex.models import MultiViewUNet, SuperResolutionUNet
from scenetex.pipelines import MVDiffusionPipeline

FILE = Path(__file__).resolve().parents[1] / "tools" / "make_random_model.py"
spec = importlib.util.spec_from_file_location("make_random_model", FILE)
tool = importlib.util.module_from_spec(spec)
spec.loader.exec_module(tool)

KINDS = ["sd2-depth", "sd15-controlnet", "sdxl-controlnet", "mvdiffusion"]
# Parameters of the published weights.
UNETS = {"sd2": 865_910_724, "sd15": 859_520_964, "sdxl": 2_567_463_684}
TEXTS = {"sd2": 340_387_840, "sd15": 123_060_480, "sdxl": 694_659_840}
VAE = 83_653_863
PARTS = {
    "sd2-depth": {"depth_estimator", "feature_extractor", "scheduler", "text_encoder", "tokenizer", "unet", "vae"},
    "sd15-controlnet": {"scheduler", "text_encoder", "tokenizer", "unet", "vae"},
    "sdxl-controlnet": {"scheduler", "text_encoder", "text_encoder_2", "tokenizer", "tokenizer_2", "unet", "vae"},
}


def count(network) -> int:
    return sum(weight.numel() for weight in network.parameters())


@pytest.mark.parametrize("name", UNETS)
def test_full_width_is_that_of_the_published_weights(name):
    with torch.device("meta"):
        unet = tool.make_unet(name, "full")
        assert count(unet) == UNETS[name]
        assert count(tool.make_text_encoder(name, "full")) == TEXTS[name]
        assert count(tool.make_vae(name, "full")) == VAE
        if name == "sd15":
            assert count(tool.make_controlnet(unet)) == 361_279_120


def test_full_checkpoint_has_the_released_keys_and_shapes(fixtures):  # noqa: F811
    shapes = json.loads((fixtures / "keys_sd2_depth.json").read_text())
    with torch.device("meta"):
        weights = tool.mvdiffusion_weights("full")
    assert {name: list(weight.shape) for name, weight in weights.items()} == shapes


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Gives the folder of a kind at a tenth of the width, written once."""
    made = {}

    def make(kind: str) -> Path:
        if kind not in made:
            made[kind] = tmp_path_factory.mktemp(kind)
            tool.write(kind, made[kind], "tenth")
        return made[kind]

    return make


def options_of(folder: Path) -> list[str]:
    """What the command line is told of a folder's weights beside the model."""
    given = []
    if (folder / "controlnet").is_dir():
        given += ["--controlnet", str(folder / "controlnet")]
    if (folder / "depth.ckpt").is_file():
        given += ["--mvdiffusion-checkpoint", str(folder / "depth.ckpt")]
    return given


@pytest.mark.parametrize("kind", PARTS)
def test_layout_is_the_published_one(models, kind):
    folder = models(kind) / "model"
    index = json.loads((folder / "model_index.json").read_text())
    assert {path.name for path in folder.iterdir() if path.is_dir()} == PARTS[kind]
    assert (index["_class_name"] == "StableDiffusionDepth2ImgPipeline") == (kind == "sd2-depth")
    assert (folder / "unet" / "diffusion_pytorch_model.safetensors").is_file()
    assert (folder / "text_encoder" / "model.safetensors").is_file()
    for tokenizer in folder.glob("tokenizer*"):
        names = {"merges.txt", "special_tokens_map.json", "tokenizer_config.json", "vocab.json"}
        assert {path.name for path in tokenizer.iterdir()} == names
        read = transformers.CLIPTokenizer.from_pretrained(tokenizer)
        assert len(read) == 49408 and read("a red room").input_ids == tool.make_tokenizer()("a red room").input_ids
        assert len(set(read("a red room").input_ids)) > 4


@pytest.mark.parametrize("kind", KINDS)
def test_command_generates_in_windows_interpolates_and_resumes(walk, models, tmp_path, kind):  # noqa: F811
    """Five keyframes of which four fit at once, the views between them, and again: nothing is generated twice."""
    folder = models(kind)
    options = ["--prompt", "a red room", "--keyframes", "every:2", "--joint-views", "4", "--image-size", "128x64"]
    assert command(walk, folder / "model", tmp_path, *options, *options_of(folder)) == 0
    report = json.loads((tmp_path / "walk" / "report.json").read_text())
    assert len(json.loads((tmp_path / "walk" / "views" / "cameras.json").read_text())) == 9
    assert {"generate", "interpolate"} <= report["seconds"].keys()
    larger = [*options, *options_of(folder), "--texture-size", "128"]
    assert command(walk, folder / "model", tmp_path, *larger) == 0
    again = json.loads((tmp_path / "walk" / "report.json").read_text())
    assert "images" in again["reused"] and "generate" not in again["seconds"]


@pytest.mark.parametrize("kind", ["sd2-depth", "sd15-controlnet", "sdxl-controlnet"])
def test_command_makes_panoramas(walk, models, tmp_path, kind):  # noqa: F811
    folder, out = models(kind), tmp_path / "round.jpg"
    given = ["a red room", "--output", str(out), "--scene", str(walk), "--model", str(folder / "model")]
    given += ["--steps", "1", "--size", "64", "--device", "cpu", "--quiet", *options_of(folder)]
    assert panorama_command.main(given) == 0
    assert out.stat().st_size > 500


def test_command_makes_larger_images_with_an_upscaler_beside(walk, models, tmp_path):  # noqa: F811
    pipe = MVDiffusionPipeline.from_pretrained(
        models("sd2-depth") / "model",
        upscale_unet=SuperResolutionUNet.from_unet(tool.make_unet("sd2", "tenth"), 4),
    )
    pipe.save_pretrained(tmp_path / "model")
    options = ("--prompt", "a red room", "--keyframes", "0,40", "--between", "0", "--upscale", "4")
    assert command(walk, tmp_path / "model", tmp_path / "out", *options) == 0
    cameras = json.loads((tmp_path / "out" / "walk" / "views" / "cameras.json").read_text())
    assert {(camera["width"], camera["height"]) for camera in cameras.values()} == {(256, 192)}


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_folders_load_as_float32_on_a_cpu(tmp_path, monkeypatch, dtype):
    given = ["sd2-depth", str(tmp_path), "--width", "tenth", "--dtype", dtype]
    monkeypatch.setattr("sys.argv", ["make_random_model", *given])
    assert tool.main() == 0
    pipe = MVDiffusionPipeline.from_pretrained(tmp_path / "model")
    assert {part.dtype for part in (pipe.unet, pipe.vae, pipe.text_encoder)} == {torch.float32}
    half = MVDiffusionPipeline.from_pretrained(tmp_path / "model", dtype=getattr(torch, dtype))
    assert half.unet.dtype == getattr(torch, dtype)
    assert half.unet.num_parameters() == pipe.unet.num_parameters()


@pytest.mark.parametrize("base", ["sd15", "sdxl"])
def test_additions_have_the_published_layout(tmp_path, base):
    """LCM-LoRA's keys, of which 1.5's has 834 and XL's 2,364, and h94/IP-Adapter's: 16 and 70 layers."""
    with torch.device("meta"):
        unet = tool.make_unet(base, "full")
        lora = tool.lora_weights(unet, 64)
        adapter = tool.ip_adapter_weights(unet, tool.make_image_encoder("full"))
    assert len(lora) == {"sd15": 834, "sdxl": 2364}[base]
    assert "lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn1_to_q.lora_down.weight" in lora
    keys = [key for key in adapter if key.endswith("to_k_ip.weight")]
    assert len(keys) == {"sd15": 16, "sdxl": 70}[base] and "ip_adapter.1.to_k_ip.weight" in keys
    tool.write("ip-adapter", tmp_path, "tenth", base=base)
    folder = tmp_path / {"sd15": "models", "sdxl": "sdxl_models"}[base]
    assert {path.name for path in folder.iterdir()} == {f"ip-adapter_{base}.safetensors", "image_encoder"}
    tool.write("lora", tmp_path / "lora", "tenth", base=base)
    assert [path.name for path in (tmp_path / "lora").iterdir()] == ["pytorch_lora_weights.safetensors"]


@pytest.fixture
def casts(monkeypatch):
    """Counts the numbers that are cast, by what they are cast from and to, in all threads."""
    counts, to = Counter(), torch.Tensor.to

    def counted(tensor, *args, **kwargs):
        found = to(tensor, *args, **kwargs)
        real = found.device.type != "meta" and found.is_floating_point() and tensor.is_floating_point()
        if real and found.dtype != tensor.dtype:
            counts[tensor.dtype, found.dtype] += tensor.numel()
        return found

    monkeypatch.setattr(torch.Tensor, "to", counted)
    return counts


def test_half_precision_becomes_float32_once(tmp_path, casts):
    """Loading holds the file, which the system can drop, and one copy."""
    tool.write("sd15-controlnet", tmp_path, "tenth", torch.float16)
    casts.clear()
    generation = Generation.of({"prompt": "", "model": str(tmp_path / "model"), "device": "cpu"})
    pipe = load_model(replace(generation, controlnet=str(tmp_path / "controlnet")))
    parts = (pipe.unet, pipe.vae, pipe.text_encoder, pipe.controlnet)
    assert {part.dtype for part in parts} == {torch.float32}
    assert casts == {(torch.float16, torch.float32): sum(count(part) for part in parts)}
    casts.clear()
    MVDiffusionPipeline.from_pretrained(tmp_path / "model", dtype=torch.float16, controlnet=pipe.controlnet)
    assert not casts


def test_half_precision_checkpoints_stay_what_they_are(tmp_path, casts):
    tool.write("mvdiffusion", tmp_path, "tenth", torch.float16)
    casts.clear()
    config = {**tool.UNETS["sd2"]["both"], **tool.UNETS["sd2"]["tenth"], "in_channels": 5, "out_channels": 4}
    unet = MultiViewUNet.from_mvdiffusion(tmp_path / "depth.ckpt", config, dtype=torch.float16)
    bands = [module.bands for module in unet.modules() if hasattr(module, "bands")]
    assert unet.dtype == torch.float16 and {band.dtype for band in bands} == {torch.float32}
    assert casts[torch.float16, torch.float32] <= sum(band.numel() for band in bands)
    casts.clear()
    unet = MultiViewUNet.from_mvdiffusion(tmp_path / "depth.ckpt", config)
    assert casts[torch.float16, torch.float32] >= count(unet) > 0 and len(casts) == 1


def test_unknown_kinds_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.argv", ["make_random_model", "nothing", str(tmp_path)])
    assert tool.main() != 0
    assert not list(tmp_path.iterdir())
