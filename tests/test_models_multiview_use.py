"""What users do with a multi-view UNet: train, save, halve its precision, add a ControlNet, bring another base UNet."""

import copy
import logging

import pytest
import torch
from diffusers import ControlNetModel
from tiny_unet import call, inputs, make_model, make_unet, views_of

from scenetex import InputError
from scenetex.models import MultiViewUNet


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_training_moves_only_the_added_parts(layout):
    model = make_model().to(memory_format=layout).train()
    model.enable_gradient_checkpointing()
    views, given, condition = views_of(2, 3), inputs(1, 3), torch.randn(1, 3, 5, 4, 6)
    given["sample"] = given["sample"][0].contiguous(memory_format=layout)[None]
    model(**given, correspondence=views, condition=condition).sample.square().mean().backward()
    added = list(model.multiview_parameters())
    assert len(added) + len(list(model.unet.parameters())) == len(list(model.parameters()))
    assert all(p.grad is not None and p.grad.isfinite().all() for p in added)
    assert all(p.grad is None for p in model.unet.parameters())
    gradients = [p.grad.clone() for p in added]
    model.zero_grad()
    model.disable_gradient_checkpointing()
    model(**given, correspondence=views, condition=condition).sample.square().mean().backward()
    torch.testing.assert_close([p.grad for p in added], gradients, rtol=1e-4, atol=1e-6)


def test_gradient_is_the_slope():
    model, views = make_model().double(), views_of(3, 4)
    given = {k: v.double() if v.is_floating_point() else v for k, v in inputs(1, 4).items()}
    weight = model.down_correspondence[0].attention.to_k.weight

    def loss():
        return model(**given, correspondence=views).sample.square().sum()

    (gradient,) = torch.autograd.grad(loss(), weight)
    direction = torch.randn_like(weight)
    with torch.no_grad():
        values = []
        for step in (1e-5, -2e-5):
            weight += step * direction
            values.append(loss().item())
    slope = (gradient * direction).sum().item()
    assert slope != 0 and (values[0] - values[1]) / 2e-5 == pytest.approx(slope, rel=1e-4)


def test_correspondence_used_in_inference_mode_serves_in_training():
    model, views, given = make_model(), views_of(2, 3), inputs(1, 3)
    with torch.inference_mode():
        model(**given, correspondence=views)
    model(**given, correspondence=views).sample.square().mean().backward()


def test_a_model_that_was_loaded_in_inference_mode_generates_the_same():
    """As ComfyUI loads it. What was computed from its frequencies is computed anew once these are others."""
    plain, views, given = make_model(), views_of(2, 3), inputs(1, 3)
    with torch.inference_mode():
        loaded = copy.deepcopy(plain)
        attention = loaded.down_correspondence[0].attention
        attention.bands = attention.bands.clone()
        assert attention.bands.is_inference()
        wanted = call(plain, given, views)
        for _ in range(2):  # the second time from what was kept
            torch.testing.assert_close(call(loaded, given, views), wanted)
        attention.bands.mul_(1.5)
        plain.down_correspondence[0].attention.bands.mul_(1.5)
        other = call(loaded, given, views)
        assert (other - wanted).abs().max() > 1e-4
        torch.testing.assert_close(other, call(plain, given, views))
    torch.testing.assert_close(call(loaded, given, views), other)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.bfloat16, 0.1), (torch.float16, 0.02)])
def test_half_precision_stays_near(dtype, tolerance):
    model, views, given = make_model(), views_of(2, 3), inputs(1, 3)
    condition = torch.randn(1, 3, 5, 4, 6)
    exact = call(model, given, views, condition)
    half = {k: v.to(dtype) if v.is_floating_point() else v for k, v in given.items()}
    found = call(copy.deepcopy(model).to(dtype), half, views, condition.to(dtype))
    assert found.dtype == dtype
    assert (found.float() - exact).abs().max() < tolerance * exact.abs().max()


@pytest.mark.parametrize("cast", [lambda m: m.to(torch.float16), lambda m: m.to("cpu", dtype=torch.float16)])
def test_frequencies_stay_exact_in_half_precision_without_a_warning(cast):
    model = make_model()
    bands = model.down_correspondence[0].attention.bands.clone()
    said = []
    logger = logging.getLogger("diffusers.models.modeling_utils")
    logger.addFilter(said.append)
    try:
        assert cast(model) is model and model.dtype == torch.float16
    finally:
        logger.removeFilter(said.append)
    assert torch.equal(model.down_correspondence[0].attention.bands, bands) and not said


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_saved_and_loaded_again_is_the_same(tmp_path, dtype):
    model = make_model(kind="panorama")
    model.save_pretrained(tmp_path)
    again = MultiViewUNet.from_pretrained(tmp_path, torch_dtype=dtype)
    assert again.config.kind == "panorama" and again.dtype == dtype
    for name, value in model.state_dict().items():
        kept = torch.float32 if name.endswith("bands") else dtype
        assert torch.equal(again.state_dict()[name], value.to(kept)), name


def test_controlnet_residuals_reach_the_base_unet():
    model = MultiViewUNet.from_unet(make_unet(in_channels=4))
    torch.manual_seed(2)
    given = inputs(1, 3, channels=4)
    flat = [given[k].flatten(0, 1) for k in ("sample", "timestep", "encoder_hidden_states")]
    controlnet = ControlNetModel.from_unet(model.unet, conditioning_channels=3)
    for p in controlnet.parameters():
        torch.nn.init.normal_(p, std=0.1)
    with torch.no_grad():
        down, mid = controlnet(*flat, controlnet_cond=torch.randn(3, 3, 32, 48), return_dict=False)
        expected = model.unet(
            *flat, down_block_additional_residuals=down, mid_block_additional_residual=mid
        ).sample.unflatten(0, (1, 3))
    found = call(
        model,
        given,
        views_of(2, 3),
        down_block_additional_residuals=tuple(d.unflatten(0, (1, 3)) for d in down),
        mid_block_additional_residual=mid.unflatten(0, (1, 3)),
    )
    assert torch.equal(found, expected)


def test_base_unets_of_other_shapes():
    sdxl = make_unet(
        block_out_channels=(16, 48, 96),
        norm_num_groups=16,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        addition_embed_type="text_time",
        addition_time_embed_dim=8,
        projection_class_embeddings_input_dim=6 * 8 + 20,
    )
    model = MultiViewUNet.from_unet(sdxl)
    assert model.condition_branch.mid is not None
    more = {"text_embeds": torch.randn(1, 2, 20), "time_ids": torch.randn(1, 2, 6)}
    given, views = inputs(1, 2, (8, 8)), views_of(2, 2, (64, 64))
    with torch.no_grad():
        expected = sdxl(
            *(given[k][0] for k in ("sample", "timestep", "encoder_hidden_states")),
            added_cond_kwargs={k: v[0] for k, v in more.items()},
        ).sample
    assert torch.equal(call(model, given, views, torch.randn(1, 2, 5, 8, 8), added_cond_kwargs=more)[0], expected)
    with pytest.raises(InputError, match="multiples of 4"):
        MultiViewUNet.from_unet(make_unet(block_out_channels=(34, 34), norm_num_groups=17, attention_head_dim=1))
