"""The pipeline on tiny random weights: what depends on what, what goes in and what comes out."""

import numpy as np
import pytest
import tiny_pipeline
import torch
from tiny_pipeline import MultiViewUNet, MVDiffusionPipeline, make_pipeline, make_unet, room_views, run, some_of

from scenetex import InputError


@pytest.fixture(scope="module")
def pipe(tmp_path_factory):
    return make_pipeline(tmp_path_factory.mktemp("tokens"))


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    return make_pipeline(tmp_path_factory.mktemp("tokens"), make_unet())


VIEWS = room_views(4)


def latents(pipe, views=VIEWS, **options) -> torch.Tensor:
    return run(pipe, views, output_type="latent", guidance_scale=options.pop("guidance_scale", 2.0), **options)


def test_shapes_and_kinds(pipe):
    images = run(pipe, VIEWS)
    assert images.shape == (4, 48, 64, 3) and images.dtype == np.float32
    assert images.min() >= 0 and images.max() <= 1 and images.std() > 0.01
    pictures = run(pipe, VIEWS, output_type="pil")
    assert len(pictures) == 4 and pictures[0].size == (64, 48)
    assert np.abs(np.asarray(pictures[2]) / 255 - images[2]).max() < 0.003
    tensor = run(pipe, VIEWS, output_type="pt")
    assert np.allclose(tensor.permute(0, 2, 3, 1).numpy(), images)
    assert latents(pipe).shape == (4, 4, 6, 8)
    assert pipe("a", some_of(VIEWS, [0]), num_inference_steps=1, return_dict=False)[0].shape == (1, 48, 64, 3)


def test_same_seed_same_images(pipe):
    assert np.array_equal(run(pipe, VIEWS, seed=1), run(pipe, VIEWS, seed=1))
    assert not np.allclose(run(pipe, VIEWS, seed=1), run(pipe, VIEWS, seed=2))


@pytest.mark.parametrize("megabytes", [0.01, 0.1, 100])
def test_attention_memory_does_not_show(pipe, megabytes):
    expected = latents(pipe)
    pipe.unet.set_attention_memory(megabytes)
    try:
        assert (latents(pipe) - expected).abs().max() < 1e-5 * expected.abs().max()
    finally:
        pipe.unet.set_attention_memory(None)


@pytest.mark.parametrize("options", [{}, {"joint_views": 4}, {"shared_noise": False, "fusion": False}])
def test_order_of_views_does_not_show(pipe, options):
    views = room_views(7)
    order = [4, 0, 6, 2, 5, 1, 3]
    prompts = [f"room {'abcdefg'[i]}" for i in range(7)]
    straight = latents(pipe, views, prompt=prompts, **options)
    turned = latents(pipe, some_of(views, order), prompt=[prompts[i] for i in order], **options)
    assert torch.allclose(turned, straight[order], atol=1e-5)


def test_one_prompt_is_that_prompt_for_all(pipe):
    one = latents(pipe, prompt="oak", negative_prompt="fog")
    assert torch.equal(one, latents(pipe, prompt=["oak"] * 4, negative_prompt=["fog"] * 4))
    mixed = latents(
        pipe, prompt=["oak", "oak", "oak", "elm"], negative_prompt="fog", correspondence=False, fusion=False
    )
    alike = latents(pipe, prompt="oak", negative_prompt="fog", correspondence=False, fusion=False)
    assert torch.allclose(mixed[:3], alike[:3], atol=1e-5) and not torch.allclose(mixed[3], alike[3], atol=1e-3)
    assert not torch.allclose(one, latents(pipe, prompt="oak"), atol=1e-3)


def test_no_guidance_ignores_the_negative_prompt(pipe):
    assert torch.equal(latents(pipe, guidance_scale=1.0), latents(pipe, guidance_scale=1.0, negative_prompt="fog"))


@pytest.mark.parametrize("switch", ["correspondence", "shared_noise", "fusion"])
def test_each_switch_changes_the_images(pipe, switch):
    assert not torch.allclose(latents(pipe), latents(pipe, **{switch: False}), atol=1e-3)


def test_everything_off_is_every_view_alone(plain):
    """Without blocks, shared noise and fusion a view does not depend on the others."""
    off = {"shared_noise": False, "fusion": False}
    together = latents(plain, **off)
    for i in range(4):
        assert torch.allclose(latents(plain, some_of(VIEWS, [i]), **off)[0], together[i], atol=1e-4)


def test_fresh_blocks_change_nothing(plain, tmp_path):
    unet = make_unet()
    fresh = make_pipeline(tmp_path, MultiViewUNet.from_unet(unet))
    assert torch.equal(latents(fresh), latents(plain))
    empty = make_pipeline(tmp_path, MultiViewUNet.from_unet(unet), empty_condition=True)
    assert torch.equal(latents(empty), latents(plain))


def test_guidance_can_make_more_of_the_blocks(pipe, tmp_path):
    """Where the prompt says nothing, all that guidance makes more of is the blocks."""
    model = make_pipeline(tmp_path, guided_blocks=True)
    assert torch.equal(latents(model, guidance_scale=1.0), latents(pipe, guidance_scale=1.0))
    asked = {"prompt": "", "steps": 1, "fusion": False}
    one, three = (latents(model, guidance_scale=scale, **asked) for scale in (1.0, 3.0))
    without = latents(model, correspondence=False, **asked)
    torch.testing.assert_close(three - without, 3 * (one - without), rtol=0, atol=1e-3)
    assert torch.allclose(latents(pipe, guidance_scale=3.0, **asked), one, atol=1e-4)


def test_empty_condition_reaches_a_trained_branch(pipe, tmp_path):
    assert not torch.allclose(latents(make_pipeline(tmp_path, empty_condition=True)), latents(pipe), atol=1e-3)


def test_more_views_than_fit_together(pipe, plain):
    """Views of the first window do not depend on later ones; later ones depend on their anchors."""
    views = room_views(9)
    for model in (pipe, plain):
        images = latents(model, views, joint_views=4)
        assert images.shape == (9, 4, 6, 8) and images.isfinite().all()
        assert torch.allclose(latents(model, some_of(views, range(4)), joint_views=4), images[:4], atol=1e-5)
        prompts = ["a red room"] * 3 + ["snow"] + ["a red room"] * 5
        assert not torch.allclose(latents(model, views, joint_views=4, prompt=prompts)[4], images[4], atol=1e-3)


def test_own_latents(pipe):
    start = torch.randn(4, 4, 6, 8)
    assert torch.equal(latents(pipe, latents=start), latents(pipe, latents=start, seed=5))
    with pytest.raises(InputError, match="latents are"):
        latents(pipe, latents=start[:3])


def test_callback_sees_every_step_and_may_change_the_latents(pipe):
    seen = []

    def watch(which, step, t, tensors):
        assert which is pipe and set(tensors) == {"latents"}
        seen.append((step, int(t)))
        return {"latents": tensors["latents"] * 0} if step == 2 else tensors

    out = latents(pipe, callback_on_step_end=watch)
    assert [s for s, _ in seen] == [0, 1, 2] and seen[0][1] > seen[2][1] and pipe.num_timesteps == 3
    assert (out == 0).all()
    seen.clear()
    latents(pipe, room_views(9), joint_views=4, callback_on_step_end=lambda *a: seen.append(a[1]), steps=2)
    assert seen == list(range(pipe.num_timesteps)) and len(seen) > 4
    with pytest.raises(InputError, match="only latents"):
        latents(pipe, callback_on_step_end=watch, callback_on_step_end_tensor_inputs=["noise"])


def test_interrupt_stops(pipe):
    seen = []

    def stop(which, step, t, tensors):
        seen.append(step)
        which._interrupt = step == 1
        return tensors

    latents(pipe, callback_on_step_end=stop, steps=5)
    assert seen == [0, 1] and pipe.interrupt


def test_users_of_diffusers_find_their_ways(pipe, capsys):
    pipe.enable_vae_slicing()
    sliced = run(pipe, VIEWS)
    pipe.disable_vae_slicing()
    assert np.allclose(sliced, run(pipe, VIEWS), atol=1e-5)
    pipe.set_progress_bar_config(disable=False)
    run(pipe, VIEWS)
    pipe.set_progress_bar_config(disable=True)
    assert "3/3" in capsys.readouterr().err
    assert pipe.to("cpu").device.type == "cpu" and "unet->upscale_unet->vae" in pipe.model_cpu_offload_seq


def test_half_precision(tmp_path):
    narrow = make_pipeline(tmp_path).to(torch.bfloat16)
    assert np.isfinite(run(narrow, VIEWS)).all()


def test_save_and_load(pipe, plain, tmp_path):
    for name, model in (("multi", pipe), ("plain", plain)):
        model.save_pretrained(tmp_path / name)
        loaded = MVDiffusionPipeline.from_pretrained(tmp_path / name)
        loaded.set_progress_bar_config(disable=True)
        assert type(loaded.unet) is type(model.unet)
        assert torch.equal(latents(loaded), latents(model))
    settings = {"convention": "mvdiffusion", "empty_condition": True, "guided_blocks": True}
    parts = make_pipeline(tmp_path / "t", **settings)
    parts.save_pretrained(tmp_path / "options")
    loaded = MVDiffusionPipeline.from_pretrained(tmp_path / "options")
    assert {name: loaded.config[name] for name in settings} == settings


def test_released_convention(tmp_path):
    unet = tiny_pipeline.make_unet(
        block_out_channels=(8, 8, 8, 8),
        norm_num_groups=4,
        down_block_types=("DownBlock2D",) * 4,
        up_block_types=("UpBlock2D",) * 4,
    )
    model = make_pipeline(tmp_path, MultiViewUNet.from_unet(unet), convention="mvdiffusion")
    assert latents(model, room_views(3, size=(128, 64))).isfinite().all()
    with pytest.raises(InputError, match="multiples of 64"):
        latents(model)
    assert latents(model, correspondence=False).isfinite().all()
