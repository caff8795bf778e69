"""Embeddings instead of prompts, and steps of a pipeline that others may put their own in place of, as in diffusers."""

import numpy as np
import pytest
import tiny_panorama
import torch
from test_pipelines_backbones import VIEWS, make_xl_pipeline
from test_pipelines_upscale import IMAGES
from test_pipelines_upscale import VIEWS as SMALL
from tiny_pipeline import MVDiffusionPipeline, make_parts, make_pipeline
from tiny_super_resolution import make_super_resolution
from tiny_unet import make_model

from scenetex import InputError
from scenetex.models import SurfaceAutoencoder
from scenetex.pipelines.prompts import EMBEDS

LONG = "oak pine elm ash fir yew"  # read in parts: the tiny tokenizer reads 16 letters at once


@pytest.fixture(scope="module")
def pipe(tmp_path_factory):
    return make_pipeline(tmp_path_factory.mktemp("tokens"))


def latents(pipe, *given, views=VIEWS, steps=2, guidance_scale=2.0, **options) -> torch.Tensor:
    options |= {"generator": torch.Generator().manual_seed(0), "output_type": "latent"}
    return pipe(*given, views=views, num_inference_steps=steps, guidance_scale=guidance_scale, **options).images


def close(a: torch.Tensor, b: torch.Tensor) -> bool:
    """Up to rounding: texts that are read together with others come out the same but for that."""
    return torch.allclose(a, b, atol=1e-4)


@pytest.mark.parametrize("prompt", ["oak", LONG, ["oak", "elm", LONG]])
def test_embeddings_stand_for_prompts(pipe, prompt):
    made = pipe.encode_prompt(prompt, "yew")
    assert made[0].shape == made[1].shape and made[0].shape[0] == (1 if isinstance(prompt, str) else 3)
    assert made[2] is None and made[3] is None
    embeds = {"prompt_embeds": made[0], "negative_prompt_embeds": made[1]}
    out = latents(pipe, prompt, negative_prompt="yew")
    assert torch.equal(latents(pipe, **embeds), out)
    assert not torch.equal(latents(pipe, **embeds | {"negative_prompt_embeds": made[0]}), out)
    # What is left out is read from text, and is as long as what is not.
    assert close(latents(pipe, prompt_embeds=made[0], negative_prompt="yew"), out)
    assert close(latents(pipe, prompt, negative_prompt_embeds=made[1]), out)


def test_no_negative_prompt_is_an_empty_one(pipe):
    embeds, negative, *_ = pipe.encode_prompt("oak")
    assert close(latents(pipe, prompt_embeds=embeds), latents(pipe, "oak"))
    assert torch.equal(latents(pipe, prompt_embeds=embeds, negative_prompt_embeds=negative), latents(pipe, "oak"))
    alone, none, *_ = pipe.encode_prompt("oak", do_classifier_free_guidance=False)
    assert none is None and close(alone, embeds)
    assert torch.equal(latents(pipe, prompt_embeds=alone, guidance_scale=1.0), latents(pipe, "oak", guidance_scale=1.0))


def test_embeddings_of_stable_diffusion_xl(tmp_path):
    pipe = make_xl_pipeline(tmp_path)
    embeds = dict(zip(EMBEDS, pipe.encode_prompt("oak", "elm"), strict=True))
    assert all(value.shape[0] == 1 for value in embeds.values()) and embeds["pooled_prompt_embeds"].shape == (1, 24)
    out = latents(pipe, "oak", negative_prompt="elm")
    assert torch.equal(latents(pipe, **embeds), out)
    swapped = embeds | {"pooled_prompt_embeds": embeds["negative_pooled_prompt_embeds"]}
    assert not torch.equal(latents(pipe, **swapped), out)
    del embeds["pooled_prompt_embeds"]
    with pytest.raises(InputError, match=r"^pooled_prompt_embeds: pass a tensor \(1 or 3, p\).* not none"):
        latents(pipe, **embeds)


def test_embeddings_for_panoramas_and_large_images(tmp_path):
    ring = tiny_panorama.make_panorama_pipeline(tmp_path / "ring")
    (embeds, negative, *_), options = ring.encode_prompt("oak", "elm"), {"views": None, "size": 64}
    given = {"prompt_embeds": embeds, "negative_prompt_embeds": negative}
    assert torch.equal(latents(ring, **given, **options), latents(ring, "oak", negative_prompt="elm", **options))
    pipe = make_pipeline(tmp_path / "large", upscale_unet=make_super_resolution())
    embeds, *_ = pipe.encode_prompt("oak")
    large = [
        latents(pipe.upscale, views=SMALL, images=IMAGES, guidance_scale=1.0, **text)
        for text in ({"prompt": "oak"}, {"prompt_embeds": embeds}, {"prompt": "elm"})
    ]
    assert close(large[0], large[1]) and not close(large[0], large[2])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "^prompt: NoneType is not text"),
        ({"prompt": "oak", "prompt_embeds": torch.zeros(1, 16, 32)}, "^prompt and prompt_embeds: pass one"),
        (
            {"prompt": "oak", "negative_prompt": "", "negative_prompt_embeds": torch.zeros(1, 16, 32)},
            "^negative_prompt and negative_prompt_embeds: pass one",
        ),
        ({"prompt_embeds": np.zeros((1, 16, 32))}, r"^prompt_embeds: pass a tensor \(1 or 3, l, 32\).* not ndarray"),
        ({"prompt_embeds": torch.zeros(2, 16, 32)}, r"^prompt_embeds: .* not \(2, 16, 32\)"),
        ({"prompt_embeds": torch.zeros(1, 16, 31)}, r"^prompt_embeds: .* not \(1, 16, 31\)"),
        ({"prompt_embeds": torch.zeros(16, 32)}, r"^prompt_embeds: .* not \(16, 32\)"),
        ({"prompt_embeds": torch.zeros(1, 17, 32)}, "17 tokens.* 16"),
    ],
)
def test_embeddings_that_do_not_fit(pipe, options, words):
    with pytest.raises(InputError, match=words) as caught:
        latents(pipe, **options)
    assert "\n" not in str(caught.value)


def test_its_steps_can_be_overridden(tmp_path):
    """Other prompts, other noise and other images than those of the class itself."""
    seen = []

    class Own(MVDiffusionPipeline):
        def encode_prompt(self, prompt, *args, **kwargs):
            seen.append(list(prompt))
            return super().encode_prompt(["elm"] * len(prompt), *args, **kwargs)

        def prepare_latents(self, views, plan, shape, sampling, latents):
            noise = super().prepare_latents(views, plan, shape, sampling, latents)
            seen.append(tuple(noise.shape))
            return -noise

        def decode_latents(self, latents, views=None, which=None):
            seen.append(tuple(latents.shape))
            return torch.zeros_like(super().decode_latents(latents, views, which))

    own = Own(**make_parts(tmp_path / "own"), unet=make_model())
    plain = MVDiffusionPipeline(**make_parts(tmp_path / "plain"), unet=make_model())
    for model in (own, plain):
        model.set_progress_bar_config(disable=True)
    assert torch.equal(latents(own, "oak"), latents(plain, "elm", latents=-_noise(plain)))
    assert seen == [["oak"] * 3, (3, 4, 6, 8)]
    images = own("oak", VIEWS, num_inference_steps=1, fusion=False).images
    assert seen[-1] == (3, 4, 6, 8) and (images == 0.5).all()


def _noise(pipe) -> torch.Tensor:
    """What a call with seed 0 starts from."""
    kept = []

    class Watching(type(pipe)):
        def prepare_latents(self, *args):
            kept.append(super().prepare_latents(*args))
            return kept[0]

    watching = Watching(**{name: part for name, part in pipe.components.items() if part is not None})
    watching.set_progress_bar_config(disable=True)
    latents(watching, "oak", steps=1)
    return kept[0]


@pytest.mark.parametrize("own", [False, True])
def test_less_memory_for_any_autoencoder(tmp_path, monkeypatch, own):
    """Autoencoders of diffusers work on one image at a time then; that of the small model does not know how to."""
    change = {"vae": SurfaceAutoencoder()} if own else {}
    pipe, limits = make_pipeline(tmp_path, **change), []
    monkeypatch.setattr(pipe.unet, "set_attention_memory", limits.append)
    pipe.save_memory(32)
    assert np.isfinite(pipe("oak", VIEWS, num_inference_steps=1).images).all()
    assert limits == [32] and getattr(pipe.vae, "use_slicing", None) == (None if own else True)
