"""Other backbones and schedulers: ControlNet, Stable Diffusion XL, every prediction; and input that does not fit."""

from dataclasses import replace

import diffusers
import numpy as np
import pytest
import torch
from diffusers import ControlNetModel
from tiny_backbones import make_backbone
from tiny_pipeline import MultiViewUNet, make_pipeline, make_tokenizer, make_unet, room_views, run, text_config
from transformers import CLIPTextModelWithProjection

from scenetex import InputError
from scenetex.pipelines.conditioning import control_image, depth_channel
from scenetex.pipelines.loading import load_controlnet

VIEWS = room_views(3)


@pytest.fixture(scope="module")
def pipe(tmp_path_factory):
    return make_pipeline(tmp_path_factory.mktemp("tokens"))


def latents(pipe, views=VIEWS, **options) -> torch.Tensor:
    return run(pipe, views, output_type="latent", guidance_scale=options.pop("guidance_scale", 2.0), **options)


def control_for(unet) -> ControlNetModel:
    """A ControlNet with random weights where it starts at zero."""
    control = ControlNetModel.from_unet(unet, conditioning_channels=3).eval()
    torch.manual_seed(2)
    for block in [
        *control.controlnet_down_blocks,
        control.controlnet_mid_block,
        control.controlnet_cond_embedding.conv_out,
    ]:
        torch.nn.init.normal_(block.weight, std=0.2)
    return control


@pytest.mark.parametrize("multiview", [False, True])
def test_depth_control_net(tmp_path, multiview):
    unet = make_unet(in_channels=4)
    control = control_for(unet)
    model = make_pipeline(tmp_path, MultiViewUNet.from_unet(unet) if multiview else unet, controlnet=control)
    out = latents(model)
    assert out.isfinite().all()
    assert not torch.allclose(out, latents(model, controlnet_conditioning_scale=0.0), atol=1e-3)
    nearer = replace(VIEWS, depth=np.where(VIEWS.depth > 2, 1, VIEWS.depth))
    assert not torch.allclose(out, latents(model, nearer), atol=1e-3)
    model.save_pretrained(tmp_path / "saved")
    loaded = type(model).from_pretrained(tmp_path / "saved")
    loaded.set_progress_bar_config(disable=True)
    assert torch.equal(latents(loaded), out)


def make_xl_pipeline(folder):
    """With two text encoders, and a ControlNet for a UNet that takes no depth."""
    change = dict(addition_embed_type="text_time", addition_time_embed_dim=8)
    change |= dict(projection_class_embeddings_input_dim=6 * 8 + 24, cross_attention_dim=64)
    unet = make_unet(in_channels=4, **change)
    torch.manual_seed(3)
    second = CLIPTextModelWithProjection(text_config(projection_dim=24)).eval()
    parts = dict(text_encoder_2=second, tokenizer_2=make_tokenizer(folder / "second"), controlnet=control_for(unet))
    return make_pipeline(folder / "first", unet, **parts)


def test_stable_diffusion_xl(tmp_path):
    model = make_xl_pipeline(tmp_path)
    out = latents(model, prompt="oak")
    assert out.isfinite().all() and not torch.allclose(out, latents(model, prompt="elm"), atol=1e-3)


@pytest.mark.parametrize(
    "name",
    ["DDIMScheduler", "EulerDiscreteScheduler", "EulerAncestralDiscreteScheduler", "DPMSolverMultistepScheduler"],
)
@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction", "sample"])
def test_schedulers_and_predictions(pipe, name, prediction):
    if (name, prediction) == ("EulerAncestralDiscreteScheduler", "sample"):
        pytest.skip("diffusers' scheduler does not have it")
    options = dict(beta_schedule="scaled_linear", prediction_type=prediction)
    scheduler, kept = getattr(diffusers, name)(**options), pipe.scheduler
    pipe.scheduler = scheduler
    try:
        out = latents(pipe)
        assert out.isfinite().all() and torch.equal(out, latents(pipe))
        assert not torch.allclose(out, latents(pipe, fusion=False), atol=1e-3)
    finally:
        pipe.scheduler = kept


def test_eta_draws_noise_from_the_seed(pipe):
    assert torch.equal(latents(pipe, eta=0.7), latents(pipe, eta=0.7))
    assert not torch.allclose(latents(pipe, eta=0.7), latents(pipe), atol=1e-3)


def test_depth_as_the_released_model_reads_it():
    depth = np.zeros((1, 16, 16), np.float32)
    depth[0, :8], depth[0, 8:, :8] = 2.0, 4.0
    out = depth_channel(depth, 8)
    assert out.shape == (1, 1, 2, 2)
    assert np.allclose(out[0, 0], [[1, 1], [-1, -2]], atol=1e-4)
    depth[0, 0, 1] = 1.0  # nearer, at a pixel that is not read: it still takes part in the range
    assert np.allclose(depth_channel(depth, 8)[0, 0], [[-1 / 3, -1 / 3], [-1, -2]], atol=1e-4)
    image = control_image(depth)
    assert image.shape == (1, 3, 16, 16) and image[0, :, 0, 1].allclose(torch.ones(3))
    assert (image[0, :, 8:, 8:] == 0).all() and (image[0, :, 8:, :8] == 0).all()


def broken(**change):
    return replace(VIEWS, **change)


def poses_with(value):
    poses = VIEWS.cam_to_world.copy()
    poses[1, 0, 3] = value
    return poses


def depth_without(view):
    depth = VIEWS.depth.copy()
    depth[view] = np.nan if view == 2 else 0
    return depth


@pytest.mark.parametrize(
    ("views", "options", "words"),
    [
        (VIEWS, {"prompt": ["a", "b"]}, "prompt: 2 prompts for 3 views"),
        (VIEWS, {"prompt": [1, 2, 3]}, "int is not text"),
        (VIEWS, {"negative_prompt": ["a"] * 4}, "negative_prompt: 4 prompts for 3 views"),
        (broken(cam_to_world=poses_with(np.nan)), {}, r"view 1 \(frame 10\): cam_to_world is not finite"),
        (broken(cam_to_world=poses_with(-np.inf)), {}, r"view 1 \(frame 10\): cam_to_world is not finite"),
        (broken(depth=depth_without(0)), {}, r"view 0 \(frame 0\) has no valid depth"),
        (broken(depth=depth_without(2)), {}, r"view 2 \(frame 20\) has no valid depth"),
        (broken(depth=VIEWS.depth[:2]), {}, "there are 3 views"),
        (broken(intrinsics=VIEWS.intrinsics[0]), {}, "views.intrinsics is"),
        (room_views(2, size=(60, 48)), {}, "60 x 48 pixels; .*multiples of 8"),
        (VIEWS.depth, {}, "ndarray is not a ViewSet"),
        (VIEWS, {"steps": 0}, "num_inference_steps 0"),
        (VIEWS, {"joint_views": 1}, "joint_views 1"),
        (VIEWS, {"output_type": "jpeg"}, "output_type 'jpeg'"),
    ],
)
def test_input_that_does_not_fit(pipe, views, options, words):
    with pytest.raises(InputError, match=words) as caught:
        run(pipe, views, **options)
    assert "\n" not in str(caught.value)


def test_parts_that_do_not_fit(tmp_path):
    with pytest.raises(InputError, match="none for depth; pass a depth ControlNet"):
        make_pipeline(tmp_path, make_unet(in_channels=4))
    with pytest.raises(InputError, match="takes 9 channels"):
        make_pipeline(tmp_path, make_unet(in_channels=9))
    with pytest.raises(InputError, match="convention 'other'"):
        make_pipeline(tmp_path, convention="other")


def test_a_control_net_of_another_base_is_named(tmp_path):
    control = control_for(make_unet(in_channels=4, cross_attention_dim=16))
    with pytest.raises(InputError, match="another base: its cross_attention_dim is 16, the unet's 32; pass one for"):
        make_pipeline(tmp_path, make_unet(in_channels=4), controlnet=control)


def test_a_control_net_of_another_kind_of_network_is_named(tmp_path):
    make_backbone("FLUX", tmp_path / "tokens").controlnet.save_pretrained(tmp_path / "control")
    with pytest.raises(InputError, match="a FluxControlNetModel was made for another base than Stable Diffusion"):
        load_controlnet(tmp_path / "control")
    control_for(make_unet(in_channels=4)).save_pretrained(tmp_path / "whole")
    assert load_controlnet(tmp_path / "whole").config.conditioning_channels == 3
