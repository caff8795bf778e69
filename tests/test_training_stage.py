"""Every stage learns, trains what it should and nothing else, and leaves a model that the pipelines load."""

from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest
import torch
from diffusers import ControlNetModel
from tiny_training import SIZE, FewRooms, changed, options, stage_of, tiny_pipeline, tiny_unet, trained

from scenetex import InputError, MVDiffusionPipeline
from scenetex.data.rooms import RoomStream
from scenetex.models import DetailDecoder, MultiViewUNet, PatchAutoencoder, SurfaceAutoencoder
from scenetex.training.model_folder import save_pipeline, with_parts
from scenetex.training.small_model import SMALL_GUIDANCE, SMALL_STEPS, small_super_resolution


@pytest.fixture
def models(tiny_models):
    return tiny_models


def held_out_loss(stage, objective, count=4) -> float:
    """Mean loss on steps far behind those trained on: other views and noise, the same for every objective."""
    batches = stage.batches(10_000)
    with torch.no_grad():
        loss = np.mean([float(objective(next(batches)[0])) for _ in range(count)])
    batches.close()
    return loss


@pytest.mark.parametrize(
    ("stage", "steps", "falls"),
    [
        ("autoencoder", 20, 0.8),
        ("single-view", 40, 0.8),
        ("multi-view", 15, 0.9),
        ("interpolation", 15, 0.9),
        ("super-resolution", 12, 0.9),
        ("detail", 60, 0.98),
    ],
)
def test_the_loss_falls(models, tmp_path, stage, steps, falls):
    light = {
        "autoencoder": {"model": str(models / "autoencoder")},
        "super-resolution": {"upscale_unet": models / "upscale"},
    }
    asked = options(stage, models, tmp_path / "run", steps=steps, average=0.5, samples=1, **light.get(stage, {}))
    made, before, average = trained(asked)
    after = held_out_loss(made, average)
    made.objective.load_state_dict(before)
    assert after < falls * held_out_loss(made, made.objective)
    rows = (asked.output / "losses.jsonl").read_text().splitlines()
    assert len(rows) == steps and (asked.output / "losses.png").stat().st_size > 1000


@pytest.mark.parametrize("stage", ["multi-view", "interpolation"])
def test_stage_two_leaves_everything_else_as_it_was(models, tmp_path, stage):
    asked = options(stage, models, tmp_path / "run")
    made, before, average = trained(asked)
    for objective in (made.objective, average):
        names = changed(before, objective)
        parts = {name.split(".")[1] for name in names}
        blocks = {"down_correspondence", "mid_correspondence", "up_correspondence"}
        assert parts == (blocks | {"condition_branch"} if stage == "interpolation" else blocks)
    saved = MVDiffusionPipeline.from_pretrained(asked.output / "model")
    start = tiny_pipeline()
    for part, other in (
        (saved.unet.unet, start.unet),
        (saved.text_encoder, start.text_encoder),
        (saved.vae, start.vae),
    ):
        assert not changed(other.state_dict(), part)
    assert saved.config.empty_condition == (stage == "interpolation") and saved.config.guided_blocks


def test_frozen_weights_are_held_once(models, tmp_path):
    made, _, average = trained(options("multi-view", models, tmp_path / "run", steps=1))
    mine, other = (dict(objective.named_parameters()) for objective in (made.objective, average))
    for name, value in mine.items():
        assert (value is other[name]) == (not value.requires_grad), name


def test_single_views_train_the_text_only_from_scratch(models, tmp_path):
    made, before, _ = trained(options("single-view", models, tmp_path / "tuned"))
    assert {name.split(".")[0] for name in changed(before, made.objective)} == {"unet"}
    made, before, _ = trained(
        options("single-view", models, tmp_path / "new", model=str(models / "autoencoder"), views=1, steps=1)
    )
    assert {name.split(".")[0] for name in changed(before, made.objective)} == {"unet", "text_encoder"}
    saved = MVDiffusionPipeline.from_pretrained(tmp_path / "new" / "model")
    assert isinstance(saved.vae, PatchAutoencoder) and saved.guide_channels == 80
    assert (saved.config.default_steps, saved.config.default_guidance) == (SMALL_STEPS, SMALL_GUIDANCE)
    assert saved.tokenizer.unk_token_id not in saved.tokenizer("a bright kitchen with red brick walls").input_ids


def test_an_autoencoder_leaves_standard_latents(models, tmp_path):
    asked = options("autoencoder", models, tmp_path / "run", steps=1)
    _, _, average = trained(asked)
    vae = SurfaceAutoencoder.from_pretrained(asked.output / "model" / "vae")
    around = {f"{n}quant_conv.{p}" for n in ("", "post_") for p in ("weight", "bias")}
    assert changed(average.vae.state_dict(), vae) == around
    images = torch.from_numpy(RoomStream(0, 4, SIZE).sample(0).images).permute(0, 3, 1, 2) / 127.5 - 1
    with torch.no_grad():
        latents = vae.encode(images).latent_dist.mean * vae.config.scaling_factor
    assert float(latents.std()) == pytest.approx(1, abs=0.2)
    # One that is trained on begins as it was, and leaves standard latents again.
    more = options("autoencoder", models, tmp_path / "more", model=str(asked.output / "model"), steps=1)
    _, before, average = trained(more)
    assert not changed({k.removeprefix("vae."): v for k, v in before.items()}, vae)
    again = SurfaceAutoencoder.from_pretrained(more.output / "model" / "vae")
    assert changed(average.vae.state_dict(), again) == around
    # Latents that no UNet of ours has to know are nobody's to change.
    plain = options("autoencoder", models, tmp_path / "plain", model=str(models / "autoencoder"), steps=1)
    _, _, average = trained(plain)
    assert not changed(average.vae.state_dict(), PatchAutoencoder.from_pretrained(plain.output / "model" / "vae"))


def test_a_run_that_goes_on_keeps_its_words(models, tmp_path, monkeypatch):
    def begun(output):
        return stage_of(options("single-view", models, output, model=str(models / "autoencoder"), views=1))

    def embedded(output):
        return begun(output).objective.text_encoder.config.vocab_size

    first = begun(tmp_path / "run")
    (tmp_path / "run").mkdir()
    first.save(first.objective)
    known = first.objective.text_encoder.config.vocab_size
    # A later version's rooms are described in other words.
    monkeypatch.setattr(FewRooms, "words", lambda self: {"zebra"})
    assert embedded(tmp_path / "run") == known
    assert embedded(tmp_path / "new") == 4


def test_parts_of_images_are_trained_on(models, tmp_path):
    stage = stage_of(options("autoencoder", models, tmp_path / "vae", crop=(32, 16)))
    with closing(stage.batches(0)) as batches:
        (batch,) = next(batches)
    # Of views that are encoded whole, latents are cut.
    assert batch["images"].shape[-2:] == (48, 64) and batch["noise"].shape[-2:] == (2, 4)
    tuned = options("autoencoder", models, tmp_path / "tuned", crop=(32, 16), model=str(models / "autoencoder"))
    with closing(stage_of(tuned).batches(0)) as batches:
        (batch,) = next(batches)
    assert batch["images"].shape[-2:] == (16, 32) and batch["noise"].shape[-2:] == (2, 4)
    stage = stage_of(options("single-view", models, tmp_path / "unet", crop=(32, 32)))
    with closing(stage.batches(0)) as batches:
        (batch,) = next(batches)
    assert batch["latents"].shape[-2:] == batch["guide"].shape[-2:] == (4, 4)
    for name in ("autoencoder", "single-view"):
        with pytest.raises(InputError, match="--crop 30 32: choose multiples of 8"):
            stage_of(options(name, models, tmp_path / "odd", crop=(30, 32)))


def test_super_resolution_is_trained_whole_then_around_its_unet(models, tmp_path, monkeypatch):
    monkeypatch.setattr("scenetex.training.validation._STEPS", 2)
    asked = options("super-resolution", models, tmp_path / "one", views=1, steps=1)
    made, before, _ = trained(asked)
    assert {name.split(".")[1] for name in changed(before, made.objective)} >= {
        "unet",
        "low_attention",
        "low_resolution",
    }
    more = options("super-resolution", models, tmp_path / "two", model=str(asked.output / "model"))
    made, before, _ = trained(more)
    parts = {name.split(".")[1] for name in changed(before, made.objective)}
    assert parts == {"low_resolution", "low_attention", "up_correspondence"}
    pipe = MVDiffusionPipeline.from_pretrained(more.output / "model")
    assert pipe.upscale_unet.config.factor == 4
    sample = RoomStream(0, 2, (128, 96)).sample(0)
    for paint in (made.paint(made.objective, sample), sample.images):
        assert paint.shape == (2, 96, 128, 3) and paint.dtype == np.uint8


def test_detail_is_trained_beside_everything_else(models, tmp_path):
    """The decoder alone changes; trained on, it goes on from where it was."""
    made, before, average = trained(options("detail", models, tmp_path / "one", crop=(32, 32)))
    assert changed(before, average) and all(name.startswith("decoder.") for name in before)
    saved = MVDiffusionPipeline.from_pretrained(tmp_path / "one" / "model")
    assert not changed(average.decoder.state_dict(), saved.detail_decoder) and saved.detail_decoder.config.factor == 4
    assert not changed(tiny_pipeline().vae.state_dict(), saved.vae)
    again = stage_of(options("detail", models, tmp_path / "two", model=str(tmp_path / "one" / "model")))
    assert not changed(average.state_dict(), again.objective)
    sample = RoomStream(0, 3, (128, 96)).sample(5)
    assert made.paint(average, sample).shape == sample.images.shape


def test_detail_is_told_the_surface_where_the_autoencoder_is(models, tmp_path):
    """A new decoder; one that is there keeps its shape, and finds its samples where they were."""
    widths = {"encoder_widths": (8, 8, 8), "decoder_widths": (8, 8, 8)}
    vae = SurfaceAutoencoder(latent_channels=4, **widths, encoder_layers=(1, 1, 1), decoder_layers=(1, 1, 1))
    save_pipeline(tmp_path / "told", with_parts(tiny_pipeline(), vae=vae))
    cache = {"cache": tmp_path / "cache"}
    made, before, average = trained(options("detail", models, tmp_path / "one", model=str(tmp_path / "told"), **cache))
    assert average.decoder.config.guide_channels == 5
    assert any(name.startswith("decoder.rise") for name in changed(before, average))
    sample = RoomStream(0, 3, (128, 96)).sample(5)
    flat = replace(sample, views=replace(sample.views, depth=0 * sample.views.depth))
    assert not np.array_equal(made.paint(average, sample), made.paint(average, flat))
    plain = with_parts(tiny_pipeline(), vae=vae, detail_decoder=DetailDecoder(4, 4, width=8, layers=1))
    save_pipeline(tmp_path / "plain", plain)
    kept = stage_of(options("detail", models, tmp_path / "two", model=str(tmp_path / "plain"), **cache))
    assert kept.objective.decoder.config.guide_channels == 0 and len(list((tmp_path / "cache").glob("[0-9a-f]*"))) == 2


def test_super_resolution_starts_from_a_given_unet(models, tmp_path):
    unet = tiny_unet(in_channels=4)
    unet.save_pretrained(tmp_path / "unet")
    made = stage_of(options("super-resolution", models, tmp_path / "run", upscale_unet=tmp_path / "unet"))
    assert not changed(unet.state_dict(), made.objective.unet.unet)
    assert made.objective.unet.config.enlarge == 1 and all(p.requires_grad for p in made.objective.unet.parameters())


def test_validation_pictures_are_the_same_every_time(models, tmp_path, monkeypatch):
    monkeypatch.setattr("scenetex.training.validation._STEPS", 3)
    made = stage_of(options("multi-view", models, tmp_path / "run"))
    sample = RoomStream(0, 2, SIZE).sample(0)
    one, two = (made.paint(made.objective, sample) for _ in range(2))
    assert np.array_equal(one, two) and one.shape == sample.images.shape


def test_gradient_checkpointing_gives_the_same_gradient(models, tmp_path):
    found = []
    for on in (False, True):
        made = stage_of(options("multi-view", models, tmp_path / "run", gradient_checkpointing=on))
        for p in made.objective.trained():
            torch.nn.init.normal_(p, std=0.05, generator=torch.Generator().manual_seed(p.numel()))
        batches = made.batches(0)
        made.objective(next(batches)[0]).backward()
        batches.close()
        found.append([p.grad for p in made.objective.trained()])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize(
    ("stage", "change", "words"),
    [
        ("single-view", {"model": None}, "needs --model"),
        ("multi-view", {"model": None}, "train multi-view: needs --model"),
        ("multi-view", {"model": "{models}/autoencoder"}, "has no model_index.json"),
        ("multi-view", {"model": "{models}/nothing"}, "no such model folder"),
        ("single-view", {"model": "{models}/encoded"}, "holds no autoencoder"),
        ("autoencoder", {"model": "{models}/nothing"}, "no such model folder"),
        ("autoencoder", {"model": "{models}/encoded"}, "holds no autoencoder"),
        ("super-resolution", {"upscale_unet": "{models}/nothing"}, "holds no UNet"),
        ("super-resolution", {"upscale_unet": "{models}/pipeline/unet"}, "takes 84 channels"),
        ("single-view", {"image_size": (60, 48)}, "--image-size 60 48: choose multiples of 8"),
        ("autoencoder", {"image_size": (64, 44)}, "--image-size 64 44: choose multiples of 8"),
        ("super-resolution", {"image_size": (128, 80)}, "--image-size 128 80: choose multiples of 32"),
        ("detail", {"image_size": (128, 80)}, "--image-size 128 80: choose multiples of 32"),
        ("detail", {"crop": (32, 36)}, "--crop 32 36: choose multiples of 8"),
    ],
)
def test_starts_that_do_not_fit_are_named(models, tmp_path, stage, change, words):
    (models / "encoded").mkdir(exist_ok=True)
    change = {k: v.format(models=models) if isinstance(v, str) else v for k, v in change.items()}
    with pytest.raises(InputError, match=words) as error:
        stage_of(options(stage, models, tmp_path / "run", **change))
    assert "\n" not in str(error.value)


def test_a_unet_without_depth_is_named(models, tmp_path):
    unet = tiny_unet(in_channels=4)
    controlled = with_parts(tiny_pipeline(), unet=unet, controlnet=ControlNetModel.from_unet(unet))
    save_pipeline(tmp_path / "controlled", controlled)
    save_pipeline(tmp_path / "plain", tiny_pipeline())
    unet.save_pretrained(tmp_path / "plain" / "unet")
    for stage in ("single-view", "multi-view"):
        for model in ("controlled", "plain"):
            with pytest.raises(InputError, match=r"the UNet takes (no depth|4 channels, none for depth)"):
                stage_of(options(stage, models, tmp_path / "run", model=str(tmp_path / model)))


def test_stage_two_can_be_gone_on_with_and_stage_one_taken_up_again(models, tmp_path):
    pipe = tiny_pipeline(MultiViewUNet.from_unet(tiny_unet()))
    save_pipeline(tmp_path / "two", with_parts(pipe, upscale_unet=small_super_resolution(4, 32)))
    asked = options("interpolation", models, tmp_path / "run", model=str(tmp_path / "two"), steps=1)
    trained(asked)
    assert MVDiffusionPipeline.from_pretrained(asked.output / "model").upscale_unet is not None
    trained_blocks = MVDiffusionPipeline.from_pretrained(asked.output / "model").unet
    again, before, average = trained(
        options("single-view", models, tmp_path / "more", model=str(asked.output / "model"), steps=1)
    )
    start = {name.removeprefix("unet."): value for name, value in before.items() if name.startswith("unet.")}
    assert not changed(start, tiny_unet()) and changed(before, again.objective)
    saved = MVDiffusionPipeline.from_pretrained(tmp_path / "more" / "model")
    assert saved.upscale_unet is not None and not changed(average.unet.state_dict(), saved.unet.unet)
    # The blocks are those that were there, around the tuned UNet.
    parts = zip(trained_blocks.multiview_parameters(), saved.unet.multiview_parameters(), strict=True)
    assert all(torch.equal(old, new) for old, new in parts)


def test_of_a_pipeline_the_autoencoder_stage_tunes_the_decoder_alone(models, tmp_path):
    asked = options("autoencoder", models, tmp_path / "run", model=str(models / "pipeline"), steps=1)
    made, before, average = trained(asked)
    parts = {name.split(".")[1] for name in changed(before, made.objective)}
    assert parts <= {"decoder", "post_quant_conv"} and "decoder" in parts
    saved, start = (MVDiffusionPipeline.from_pretrained(p) for p in (asked.output / "model", models / "pipeline"))
    assert not changed(average.vae.state_dict(), saved.vae)
    assert not changed(start.unet.state_dict(), saved.unet)
    assert not changed(start.vae.encoder.state_dict(), saved.vae.encoder)
