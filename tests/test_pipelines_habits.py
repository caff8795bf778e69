"""What users of diffusers do with any pipeline: offloading, tiling, compiling, publishing."""

import json
import shutil

import diffusers
import numpy as np
import pytest
import torch
from accelerate import cpu_offload
from diffusers import ControlNetModel
from diffusers.utils import hub_utils
from test_pipelines_backbones import make_xl_pipeline
from tiny_backbones import make_backbone
from tiny_pipeline import make_pipeline, make_unet, room_views, run
from tiny_unet import call, inputs, make_model, views_of
from torch._dynamo.testing import CompileCounter
from torch._dynamo.utils import counters

import scenetex
from scenetex.models import MultiViewUNet
from scenetex.pipelines import ConsistentViews, MVDiffusionPipeline

VIEWS = room_views(4)


def make_control_pipeline(folder):
    unet = make_unet(in_channels=4)
    return make_pipeline(folder, unet, controlnet=ControlNetModel.from_unet(unet).eval())


LAYOUTS = {"depth": make_pipeline, "ControlNet": make_control_pipeline, "XL": make_xl_pipeline}
EVERY = pytest.mark.parametrize("layout", LAYOUTS)


@EVERY
def test_prompts_may_come_as_embeddings(tmp_path, layout):
    pipe = LAYOUTS[layout](tmp_path)
    named = ("prompt_embeds", "negative_prompt_embeds", "pooled_prompt_embeds", "negative_pooled_prompt_embeds")
    embeds = dict(zip(named, pipe.encode_prompt("a red room"), strict=True))
    assert (embeds["pooled_prompt_embeds"] is not None) == (layout == "XL")
    given = run(pipe, VIEWS, None, **{k: v for k, v in embeds.items() if v is not None})
    assert np.allclose(given, run(pipe, VIEWS, "a red room"), atol=1e-5)


@EVERY
def test_whole_models_are_offloaded(tmp_path, layout):
    """The CPU stands for the device: hooks are set and run in the order of use, memory of a GPU is not looked at."""
    pipe = LAYOUTS[layout](tmp_path)
    expected, used = run(pipe, VIEWS, steps=2), []
    pipe.enable_model_cpu_offload(device="cpu")
    parts = {name: part for name, part in pipe.components.items() if isinstance(part, torch.nn.Module)}
    order = pipe.model_cpu_offload_seq.split("->")
    # A ControlNet works beside the UNet, step by step: diffusers leaves it on the device.
    assert {name for name in parts if name not in order} <= {"controlnet"}
    for name, part in parts.items():
        hook = part._hf_hook
        before = hook.pre_forward
        hook.pre_forward = lambda *a, n=name, f=before, **k: used.append(n) or f(*a, **k)
    assert np.array_equal(run(pipe, VIEWS, steps=2), expected)
    first = list(dict.fromkeys(name for name in used if name in order))
    assert first == [name for name in order if name in parts]


def test_layer_by_layer_offloading_fetches_every_weight(tmp_path):
    """As `enable_sequential_cpu_offload` does it for each part: between calls no weight is there at all."""
    pipe = make_pipeline(tmp_path)
    expected = run(pipe, VIEWS, steps=2)
    for name in ("unet", "vae"):
        cpu_offload(getattr(pipe, name), torch.device("cpu"))
    assert all(p.is_meta for p in pipe.unet.parameters())
    assert np.array_equal(run(pipe, VIEWS, steps=2), expected)
    assert all(p.is_meta for p in pipe.unet.parameters())


def test_the_small_model_can_be_offloaded():
    """Its autoencoder, detail decoder and super-resolution, too."""
    pipe = MVDiffusionPipeline.from_pretrained("mini")
    pipe.set_progress_bar_config(disable=True)
    views = room_views(2)

    def large():
        small = run(pipe, views, steps=1)
        generator = torch.Generator().manual_seed(0)
        return pipe.upscale("a red room", views, small, num_inference_steps=1, generator=generator).images

    expected = large()
    for part in pipe.components.values():
        if isinstance(part, torch.nn.Module) and part is not pipe.text_encoder:
            cpu_offload(part, torch.device("cpu"))
    assert np.array_equal(large(), expected)


@EVERY
def test_the_autoencoder_works_in_tiles(tmp_path, layout):
    """Of a tile's size and more, as large images are; tiles see less around them, and blend into each other."""
    pipe = LAYOUTS[layout](tmp_path)
    views = room_views(2, size=(128, 96))
    whole = run(pipe, views, steps=1)
    pipe.enable_vae_tiling()
    tiled = run(pipe, views, steps=1)
    assert not np.array_equal(tiled, whole)
    assert np.corrcoef(tiled.ravel(), whole.ravel())[0, 1] > 0.85 and np.abs(tiled - whole).mean() < 0.05
    pipe.disable_vae_tiling()
    assert np.array_equal(run(pipe, views, steps=1), whole)


def test_repeated_parts_compile_without_breaks_and_once():
    """Whatever the correspondence: as long as shapes repeat, nothing is compiled again."""
    model, given = make_model(), inputs(2, 3)
    places = [views_of(seed, 3) for seed in (0, 1)]
    expected = [call(model, given, place) for place in places]
    torch._dynamo.reset()
    counters.clear()
    compiled = CompileCounter()
    model.compile_repeated_blocks(backend=compiled, fullgraph=True)
    for place in places:
        call(model, given, place)
    made = compiled.frame_count
    assert made >= 3  # correspondence blocks of several shapes, and the blocks of the base UNet
    for _ in range(3):
        for place, value in zip(places, expected, strict=True):
            assert torch.equal(call(model, given, place), value)
    assert compiled.frame_count == made and not counters["graph_break"]


@pytest.mark.parametrize("whole", [True, False])
def test_pipelines_take_compiled_networks(tmp_path, whole):
    """`torch.compile(pipe.unet)` as well as `pipe.unet.compile()`, with regions, whose hooks compiled code passes over,
    and for other views than were seen first."""
    pipe = make_pipeline(tmp_path)
    masks = np.zeros((1, 4, 48, 64), bool)
    masks[..., :24, :] = True
    regions = {"region_prompts": ["oak"], "region_masks": masks}
    calls = [(VIEWS, {}), (VIEWS, regions), (room_views(4, 0.3), {})]
    expected = [run(pipe, views, steps=2, **options) for views, options in calls]
    torch._dynamo.reset()
    if whole:
        pipe.unet = torch.compile(pipe.unet, backend="eager")
    else:
        pipe.unet.compile(backend="eager")
    for (views, options), images in zip(calls, expected, strict=True):
        assert np.allclose(run(pipe, views, steps=2, **options), images, atol=1e-5)


def test_plain_networks_may_be_compiled_whole(tmp_path):
    pipe = make_control_pipeline(tmp_path)
    masks = np.zeros((1, 4, 48, 64), bool)
    masks[..., :24, :] = True
    regions = {"region_prompts": ["oak"], "region_masks": masks}
    expected = [run(pipe, VIEWS, steps=1, **options) for options in ({}, regions)]
    torch._dynamo.reset()
    pipe.unet = torch.compile(pipe.unet, backend="eager")
    for options, images in zip(({}, regions), expected, strict=True):
        assert np.allclose(run(pipe, VIEWS, steps=1, **options), images, atol=1e-5)


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """Stands for the Hub: what is uploaded lies in a folder, by repository."""

    def create(repo_id, **_):
        (tmp_path / "hub" / repo_id).mkdir(parents=True, exist_ok=True)
        return type("Url", (), {"repo_id": repo_id})()

    def commit(repo_id, operations, **_):
        for operation in operations:
            target = tmp_path / "hub" / repo_id / operation.path_in_repo
            target.parent.mkdir(parents=True, exist_ok=True)
            with operation.as_file() as file:
                target.write_bytes(file.read())

    def upload_folder(repo_id, folder_path, **_):
        shutil.copytree(folder_path, tmp_path / "hub" / repo_id, dirs_exist_ok=True)

    def nothing(*_, **__):
        pass

    for module in (hub_utils, diffusers.pipelines.pipeline_utils, diffusers.models.modeling_utils):
        for name, fake in (("create_repo", create), ("create_commit", commit), ("upload_folder", upload_folder)):
            if hasattr(module, name):
                monkeypatch.setattr(module, name, fake)
        for name in ("load_or_create_model_card", "populate_model_card"):
            if hasattr(module, name):
                card = type("Card", (), {"save": nothing})()
                monkeypatch.setattr(module, name, lambda *_, c=card, **__: c)
    return tmp_path / "hub"


def test_pipelines_are_published_whole(hub, tmp_path):
    pipe = make_pipeline(tmp_path / "tokens")
    expected = run(pipe, VIEWS, steps=1)
    pipe.push_to_hub("me/room")
    index = json.loads((hub / "me" / "room" / "model_index.json").read_text())
    assert index["_class_name"] == "MVDiffusionPipeline"
    loaded = MVDiffusionPipeline.from_pretrained(hub / "me" / "room")
    loaded.set_progress_bar_config(disable=True)
    assert isinstance(loaded.unet, MultiViewUNet) and np.array_equal(run(loaded, VIEWS, steps=1), expected)


def test_the_multi_view_network_is_published_alone(hub):
    model, given, place = make_model(), inputs(2, 3), views_of(0, 3)
    model.push_to_hub("me/blocks")
    loaded = scenetex.MultiViewUNet.from_pretrained(hub / "me" / "blocks").eval()
    assert torch.equal(call(loaded, given, place), call(model, given, place))


@pytest.mark.parametrize("name", ["Stable Diffusion", "FLUX", "Qwen-Image"])
def test_pipelines_that_are_wrapped_are_offloaded_as_they_are(tmp_path, name):
    pipe = make_backbone(name, tmp_path)
    views = ConsistentViews(pipe)
    told = dict(prompt="a red room", views=VIEWS, num_inference_steps=2)
    expected = views(**told, generator=torch.Generator().manual_seed(3)).images
    pipe.enable_model_cpu_offload(device="cpu")
    assert np.allclose(views(**told, generator=torch.Generator().manual_seed(3)).images, expected, atol=1e-5)
