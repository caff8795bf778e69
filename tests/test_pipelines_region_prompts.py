"""Prompts by region: each text acts on its own pixels alone, as it would by itself."""

import warnings

import numpy as np
import pytest
import torch
from test_pipelines_backbones import control_for, make_xl_pipeline
from tiny_panorama import make_panorama_pipeline
from tiny_pipeline import MultiViewUNet, make_pipeline, make_unet, room_views, run

from scenetex import InputError, InputWarning
from scenetex.models.region_attention import reads_by_region
from scenetex.pipelines import region_prompts as module
from scenetex.pipelines.region_prompts import RegionPrompts, region_prompt

VIEWS = room_views(3)
TEXTS = ("an oak floor", "red walls")


def make(kind: str, folder):
    if kind == "xl":
        return make_xl_pipeline(folder)
    if kind == "control":
        unet = make_unet(in_channels=4)
        return make_pipeline(folder, MultiViewUNet.from_unet(unet), controlnet=control_for(unet))
    unet = {"plain": make_unet, "crossing": lambda: make_unet(only_cross_attention=True)}.get(kind, lambda: None)()
    return make_pipeline(folder, unet)


@pytest.fixture(scope="module", params=["blocks", "plain", "crossing", "control", "xl"])
def pipe(request, tmp_path_factory):
    """Of a UNet with multi-view blocks; without; where blocks attend to nothing but the prompt; with a ControlNet; and
    of Stable Diffusion XL's, which makes a pass for each text."""
    made = make(request.param, tmp_path_factory.mktemp(request.param))
    made.set_progress_bar_config(disable=True)
    assert reads_by_region(getattr(made.unet, "unet", made.unet)) == (request.param != "xl")
    return made


@pytest.fixture(scope="module")
def blocks(tmp_path_factory):
    return make_pipeline(tmp_path_factory.mktemp("tokens"))


def latents(pipe, views=VIEWS, prompt="a room", **options) -> torch.Tensor:
    return run(pipe, views, prompt, output_type="latent", **{"guidance_scale": 2.0} | options)


def halves(r: int = 2, m: int = 3) -> np.ndarray:
    """Masks of r upright stripes of every view, which leave as much for the prompt."""
    masks = np.zeros((r, m, 48, 64), bool)
    for i in range(r):
        masks[i, :, :, 64 * i // (r + 1) : 64 * (i + 1) // (r + 1)] = True
    return masks


def whole(views, m: int = 3) -> np.ndarray:
    """Masks that cover one view each."""
    masks = np.zeros((len(views), m, 48, 64), bool)
    for i, view in enumerate(views):
        masks[i, view] = True
    return masks


@pytest.mark.parametrize("guidance", [1.0, 3.0])
def test_one_text_for_all_regions_is_that_text_alone(pipe, guidance):
    options = {"guidance_scale": guidance, "negative_prompt": "dark"}
    found = latents(pipe, region_prompts=["a room"] * 2, region_masks=halves(), **options)
    assert torch.allclose(found, latents(pipe, **options), atol=1e-3)


@pytest.mark.parametrize("guidance", [1.0, 3.0])
def test_a_mask_of_a_whole_view_is_that_views_own_prompt(pipe, guidance):
    options = {"guidance_scale": guidance, "negative_prompt": ["dark", "dim", "grey"]}
    found = latents(pipe, region_prompts=TEXTS, region_masks=whole([2, 0]), **options)
    expected = latents(pipe, prompt=["red walls", "a room", "an oak floor"], **options)
    assert torch.allclose(found, expected, atol=1e-3)
    assert not torch.allclose(found, latents(pipe, **options), atol=1e-2)


def test_passes_give_what_masks_give_where_they_cover_whole_views(tmp_path, monkeypatch):
    """Of views that do not attend to each other: in a pass, all of them have its text."""
    pipe = make_pipeline(tmp_path, make_unet())
    options = {"region_prompts": TEXTS, "region_masks": whole([1, 2])}
    masked = latents(pipe, **options)
    monkeypatch.setattr(module, "reads_by_region", lambda network: False)
    assert torch.allclose(latents(pipe, **options), masked, atol=1e-3)


def test_each_text_and_the_prompt_have_a_say(pipe):
    options = {"region_masks": halves()}
    found = latents(pipe, region_prompts=TEXTS, **options)
    for other in (("an elm floor", TEXTS[1]), (TEXTS[0], "blue walls")):
        assert not torch.allclose(found, latents(pipe, region_prompts=other, **options), atol=1e-3)
    assert not torch.allclose(found, latents(pipe, prompt="a hall", region_prompts=TEXTS, **options), atol=1e-3)


def test_of_masks_that_overlap_the_later_counts(blocks):
    over = np.ones((2, 3, 48, 64), bool)
    over[1] = halves()[1]
    apart = np.stack([~over[1], over[1]])
    assert torch.equal(*(latents(blocks, region_prompts=TEXTS, region_masks=m) for m in (over, apart)))


def test_no_regions_change_nothing(blocks):
    plain = latents(blocks)
    assert torch.equal(latents(blocks, region_prompts=None, region_masks=None), plain)
    assert torch.equal(latents(blocks, region_prompts=[], region_masks=np.zeros((0, 3, 48, 64), bool)), plain)


def test_windows_have_their_own_pixels(blocks):
    views = room_views(6)
    options = {"joint_views": 4}
    found = latents(blocks, views, region_prompts=TEXTS, region_masks=whole([5, 2], 6), **options)
    prompts = ["a room", "a room", "red walls", "a room", "a room", "an oak floor"]
    assert torch.allclose(found, latents(blocks, views, prompts, **options), atol=1e-3)
    prompts[2] = "a room"  # then the first window has no region at all
    found = latents(blocks, views, region_prompts=TEXTS[:1], region_masks=whole([5], 6), **options)
    assert torch.allclose(found, latents(blocks, views, prompts, **options), atol=1e-3)


def test_views_between_and_known_pixels_come_along(blocks):
    images = np.random.default_rng(0).random((3, 48, 64, 3)).astype(np.float32)
    known = np.zeros((3, 48, 64), bool)
    known[:, :, :32] = True
    prompts = ["a room", "an oak floor", "a room"]
    regions = {"region_prompts": TEXTS[:1], "region_masks": whole([1])}
    seeded = {"num_inference_steps": 3, "guidance_scale": 2.0}
    for call, more in (
        (blocks.interpolate, {"images": [images[0], None, images[2]]}),
        (blocks, {"images": images, "known": known}),
    ):
        found, expected = (
            call(prompt, VIEWS, generator=torch.Generator().manual_seed(0), **more, **seeded, **by_region).images
            for prompt, by_region in (("a room", regions), (prompts, {}))
        )
        assert np.allclose(found, expected, atol=2e-3)
        if "known" in more:
            assert np.abs(found[known] - images[known]).max() < 1e-6


def test_texts_longer_than_an_encoder_reads(blocks):
    long = "oak planks and elm planks and pine planks on the floor, " * 2
    prompts = ["a room", long, "a room"]
    for prompt, text in (("a room", long), (long, "a room")):
        mask = whole([1]) if text == long else ~whole([1])
        found = latents(blocks, prompt=prompt, region_prompts=[text], region_masks=mask)
        assert torch.allclose(found, latents(blocks, prompt=prompts), atol=1e-3)


def test_embeddings_in_place_of_a_prompt(blocks):
    embeds = dict(zip(("prompt_embeds", "negative_prompt_embeds"), blocks.encode_prompt("a room"), strict=False))
    by_region = {"region_prompts": TEXTS, "region_masks": halves()}
    assert torch.equal(latents(blocks, prompt=None, **embeds, **by_region), latents(blocks, **by_region))


def test_networks_are_left_as_they_were(blocks):
    unet = blocks.unet.unet
    before = dict(unet.attn_processors)

    def stop(*_):
        raise ZeroDivisionError

    by_region = {"region_prompts": TEXTS, "region_masks": halves()}
    latents(blocks, **by_region)
    with pytest.raises(ZeroDivisionError):
        latents(blocks, callback_on_step_end=stop, **by_region)
    assert unet.attn_processors == before
    assert not any(part._forward_pre_hooks or part._forward_hooks for part in unet.modules())


def test_a_panorama_has_regions_too(tmp_path):
    pipe, masks = make_panorama_pipeline(tmp_path), np.zeros((1, 8, 64, 64), bool)
    masks[0, 3] = True
    options = {"size": 64, "num_inference_steps": 2, "guidance_scale": 2.0, "output_type": "latent"}
    found, expected = (
        pipe(prompt, generator=torch.Generator().manual_seed(0), **options, **more).images
        for prompt, more in (
            ("a room", {"region_prompts": ["red walls"], "region_masks": masks}),
            (["red walls" if i == 3 else "a room" for i in range(8)], {}),
        )
    )
    assert torch.allclose(found, expected, atol=1e-3)


def test_shares_of_cells():
    masks = np.zeros((2, 1, 8, 16), bool)
    masks[0, :, :, :6] = True
    masks[1, :, :4, :2] = True
    shares = RegionPrompts.of(["a", "b"], masks, 1, (16, 8)).shares(8)
    assert shares.shape == (1, 3, 1, 2)
    assert torch.equal(shares[0, :, 0], torch.tensor([[0.25, 1.0], [0.625, 0.0], [0.125, 0.0]]))


@pytest.mark.parametrize(
    ("texts", "masks", "says"),
    [
        (
            ["a"],
            None,
            "region_masks: none, .* for 1 texts and 3 views of 64 x 48 pixels; pass 1 x 3 x 48 x 64",
        ),
        (None, whole([0]), "region_prompts: none for the region_masks"),
        ("red walls", whole([0]), "region_prompts: str for the region_masks; pass a list"),
        (["a", 3], whole([0, 1]), "region_prompts: int is not text"),
        (["a", " "], whole([0, 1]), "region_prompts: text 1 is empty"),
        (["a", "b"], whole([0]), "region_masks: 1 x 3 x 48 x 64 of bool for 2 texts"),
        (["a"], whole([0], 2), "region_masks: 1 x 2 x 48 x 64 of bool for 1 texts and 3 views"),
        (["a"], whole([0]).astype(float), "region_masks: 1 x 3 x 48 x 64 of float64"),
        (["a"], [[np.zeros((48, 64))] * 2, [np.zeros((2, 2))]], "none, or odd ones, for 1 texts"),
        (["a"], "walls", "region_masks: .* pass 1 x 3 x 48 x 64 bools"),
    ],
)
def test_what_does_not_fit_is_said_in_one_line(blocks, texts, masks, says):
    with pytest.raises(InputError, match=says) as raised:
        run(blocks, VIEWS, region_prompts=texts, region_masks=masks)
    assert "\n" not in str(raised.value)


def test_a_text_that_acts_nowhere_is_named(blocks):
    masks = whole([0, 0])
    with pytest.warns(InputWarning, match="region_prompts: 'an oak floor' acts on no pixel"):
        found = latents(blocks, region_prompts=TEXTS, region_masks=masks)
    with warnings.catch_warnings():
        warnings.simplefilter("error", InputWarning)
        expected = latents(blocks, region_prompts=TEXTS[1:], region_masks=masks[1:])
    assert torch.allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize(
    ("region", "words", "text"),
    [
        ("floor", "dark walnut planks", "a floor of dark walnut planks dark walnut planks"),
        ("floor", "white", "a white white floor"),
        ("floor", " oak parquet ", "an oak parquet oak parquet floor"),
        ("floor", "a chequered tile floor", "a chequered tile floor a chequered tile floor"),
        ("floor", "frosted glass", "a frosted glass frosted glass floor"),
        ("walls", "white", "white white walls"),
        ("walls", "red brick", "red brick red brick walls"),
        ("walls", "white tiles", "white tiles white tiles on the walls"),
        ("walls", "walls painted sage green", "walls painted sage green walls painted sage green"),
        ("ceiling", "oak boards", "a ceiling of oak boards oak boards"),
        ("label:sofa", "green velvet", "a green velvet green velvet sofa"),
        ("label:sofa", "a red", "a red red sofa"),
        ("label:coffee table", "white marble", "a white marble white marble coffee table"),
        ("label:curtains", "blue", "blue blue curtains"),
        ("label:otherfurniture", "blue cloth", "blue cloth blue cloth"),
        ("instance:17", "green velvet", "green velvet green velvet"),
        ("box:0,0,0,1,1,1", "a red rug", "a red rug a red rug"),
        ("faces.npy", "a red rug", "a red rug a red rug"),
    ],
)
def test_the_text_of_a_region_says_what_it_is(region, words, text):
    assert region_prompt(region, words) == f"a room with {text}"


def test_a_region_has_words():
    with pytest.raises(InputError, match="region 'walls' has no words"):
        region_prompt("walls", "  ")
