"""The super-resolution UNet: what guides what, where it starts, what it refuses."""

import copy

import pytest
import torch
from tiny_super_resolution import call, low_latents, make_light_unet, make_super_resolution, noisy
from tiny_unet import plain, views_of

from scenetex import InputError, SuperResolutionUNet
from scenetex.correspondence import from_depth, from_rotation

SIZE = (8, 12)


@pytest.fixture(scope="module")
def model():
    return make_super_resolution()


@pytest.mark.parametrize("enlarge", [1, 2, 4])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_fresh_blocks_change_no_bit(enlarge, layout):
    unet = make_light_unet().to(memory_format=layout)
    fresh, given = SuperResolutionUNet.from_unet(unet, enlarge=enlarge), noisy(2, 3)
    low, views = low_latents(fresh, 2, 3, SIZE), views_of(2, 3)
    for correspondence in (None, views):
        assert torch.equal(call(fresh, given, low, correspondence), plain(unet, given))
    given["sample"] = given["sample"][..., 2:6, 4:10].contiguous()
    assert torch.equal(call(fresh, given, low, views, (2, 4)), plain(unet, given))


@pytest.mark.parametrize(("factor", "enlarge"), [(4, 1), (4, 2), (4, 4), (2, 1), (8, 2)])
def test_low_features_lie_cell_on_cell_under_the_blocks_they_guide(factor, enlarge):
    """One latent cell to the right, and the features are that much further right, on every block's grid."""
    model = make_super_resolution(factor, enlarge)
    size = (32 * model.ratio, 32 * model.ratio)
    low = low_latents(model, 1, 1, size)
    shift = 2
    moved = low.roll(shift, -1)
    with torch.no_grad():
        for level, (a, b) in enumerate(zip(model.read_low(low), model.read_low(moved), strict=True)):
            grid = size[0] // 2**level
            assert a.shape[-2:] == (grid, grid)
            step, border = shift * grid // 32, 6 * grid // 32 + 1
            inner = slice(border, grid - border)
            assert torch.allclose(b.roll(-step, -1)[..., inner, inner], a[..., inner, inner], atol=1e-5)
            assert not torch.allclose(b[..., inner, inner], a[..., inner, inner], atol=1e-2)


def test_without_correspondence_each_view_sees_its_own_image_alone(model):
    given, low = noisy(1, 3), low_latents(model, 1, 3, SIZE)
    found = call(model, given, low)
    other = low.clone()
    other[:, 1] += 1
    changed = call(model, given, other)
    assert torch.equal(changed[:, [0, 2]], found[:, [0, 2]])
    assert not torch.allclose(changed[:, 1], found[:, 1], atol=1e-3)
    one = {k: v[:, 1:2] for k, v in given.items()}
    assert torch.allclose(call(model, one, low[:, 1:2]), found[:, 1:2], atol=1e-5)


def test_along_correspondence_views_see_each_others_images(model):
    given, low, views = noisy(1, 3), low_latents(model, 1, 3, SIZE), views_of(2, 3)
    found = call(model, given, low, views)
    assert not torch.allclose(found, call(model, given, low), atol=1e-3)
    for seen in range(3):
        other = low.clone()
        other[:, seen] += 1
        changed = (call(model, given, other, views) - found).abs().amax((2, 3, 4))[0] > 1e-4
        partners = {i for i, j in views.pairs.tolist() if j == seen} | {seen}
        assert partners == set(changed.nonzero()[:, 0].tolist())
    assert views.pairs.tolist() == [[0, 1], [1, 0]], "the third view overlaps neither"


def test_order_of_views_does_not_show(model):
    import loop_reference as loops

    scene, order = loops.room_views(3, 4, (16, 24)), [2, 0, 3, 1]
    given, low = noisy(1, 4), low_latents(model, 1, 4, SIZE)
    straight = call(model, given, low, from_depth(*(t[None] for t in scene), overlap=0.1))
    turned = {k: v[:, order] for k, v in given.items()}
    views = from_depth(*(t[order][None] for t in scene), overlap=0.1)
    assert torch.allclose(call(model, turned, low[:, order], views), straight[:, order], atol=1e-4)


def test_guidance_halves_share_images_and_correspondence(model):
    given, low, views = noisy(2, 3), low_latents(model, 1, 3, SIZE), views_of(2, 3)
    both = call(model, given, low, views)
    for i in range(2):
        one = {k: v[i : i + 1] for k, v in given.items()}
        assert torch.allclose(call(model, one, low, views), both[i : i + 1], atol=1e-4)
    assert torch.allclose(call(model, given, low.repeat(2, 1, 1, 1, 1), views), both, atol=1e-4)


def test_scenes_of_a_batch_do_not_see_each_other(model):
    import loop_reference as loops

    rooms = [loops.room_views(seed, 2, (16, 24)) for seed in (3, 8)]
    together = from_depth(*(torch.stack([torch.from_numpy(t) for t in pair]) for pair in zip(*rooms, strict=True)))
    given, low = noisy(2, 2), low_latents(model, 2, 2, SIZE)
    both = call(model, given, low, together)
    for i, room in enumerate(rooms):
        one = {k: v[i : i + 1] for k, v in given.items()}
        alone = call(model, one, low[i : i + 1], from_depth(*(t[None] for t in room)))
        assert torch.allclose(alone, both[i : i + 1], atol=1e-4)


def test_a_window_is_seen_where_it_is(model):
    """A window sees the images under it; another corner, other images."""
    given, low, views = noisy(1, 3), low_latents(model, 1, 3, SIZE), views_of(2, 3)
    part = {**given, "sample": given["sample"][..., 2:6, 4:10]}
    found = call(model, part, low, views, (2, 4))
    assert found.shape == (1, 3, 4, 4, 6)
    assert not torch.allclose(call(model, part, low, views, (4, 4)), found, atol=1e-3)
    assert torch.equal(call(model, given, low, views, (0, 0)), call(model, given, low, views))


def test_training_reaches_every_added_part():
    model = make_super_resolution().train()
    model.enable_gradient_checkpointing()
    given, low, views = noisy(1, 3), low_latents(model, 1, 3, SIZE), views_of(2, 3)
    part = {**given, "sample": given["sample"][..., 2:6, 4:10]}
    for sample, corner in ((given, None), (part, (2, 4))):
        model.zero_grad()
        features = model.read_low(low)
        model(**sample, low=features, correspondence=views, corner=corner).sample.square().mean().backward()
        assert all(p.grad is not None and p.grad.isfinite().all() for p in model.multiview_parameters())
        assert all(p.grad is None for p in model.unet.parameters())


def test_attention_memory_does_not_show(model):
    given, low, views = noisy(1, 3), low_latents(model, 1, 3, SIZE), views_of(2, 3)
    found = call(model, given, low, views)
    model.set_attention_memory(0.01)
    try:
        assert torch.allclose(call(model, given, low, views), found, atol=1e-4)
    finally:
        model.set_attention_memory(None)
    with pytest.raises(InputError, match="attention memory"):
        model.set_attention_memory(0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_saved_and_loaded_again_is_the_same(tmp_path, dtype):
    model = make_super_resolution(8, 2)
    model.save_pretrained(tmp_path)
    again = SuperResolutionUNet.from_pretrained(tmp_path, torch_dtype=dtype)
    assert (again.config.factor, again.config.enlarge, again.ratio, again.dtype) == (8, 2, 4, dtype)
    for name, value in model.state_dict().items():
        kept = torch.float32 if name.endswith("bands") else dtype
        assert torch.equal(again.state_dict()[name], value.to(kept)), name


def test_half_precision_stays_near(model):
    given, low, views = noisy(1, 3), low_latents(model, 1, 3, SIZE), views_of(2, 3)
    exact = call(model, given, low, views)
    half = {k: v.bfloat16() if v.is_floating_point() else v for k, v in given.items()}
    found = call(copy.deepcopy(model).to(torch.bfloat16), half, low.bfloat16(), views)
    assert found.dtype == torch.bfloat16 and (found.float() - exact).abs().max() < 0.1 * exact.abs().max()


@pytest.mark.parametrize(("factor", "enlarge"), [(3, 1), (1, 1), (0, 1), (4, 3), (4, 8), (4, 0)])
def test_factors_that_are_no_powers_of_two_are_named(factor, enlarge):
    with pytest.raises(InputError, match=f"super-resolution by {factor}"):
        SuperResolutionUNet.from_unet(make_light_unet(), factor, enlarge)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"sample": torch.zeros(3, 4, 8, 12)}, "pass .scenes, views"),
        ({"sample": torch.zeros(1, 3, 4, 8, 8)}, "enlarges 4 times"),
        ({"sample": torch.zeros(1, 3, 4, 4, 6), "corner": (6, 0)}, "4 x 6 cells at .6, 0."),
        ({"sample": torch.zeros(1, 3, 4, 4, 6), "corner": (1, 2)}, "multiples of 2"),
        ({"encoder_hidden_states": torch.zeros(1, 2, 7, 32)}, "1 x 3 views"),
        ({"low": []}, "read_low"),
        ({"low": [torch.zeros(1, 2, 8, 8, 12), torch.zeros(1, 2, 16, 4, 6)]}, "read_low"),
        ({"correspondence": views_of(2, 2)}, "1 x 2 views"),
        ({"correspondence": views_of(2, 3, (16, 16))}, "whole views"),
        ({"correspondence": views_of(2, 3, (64, 96), convention="mvdiffusion")}, "from_depth"),
        (
            {"correspondence": from_rotation(torch.eye(3)[None], torch.eye(3).expand(1, 3, 3, 3), (16, 24))},
            "from_depth",
        ),
    ],
)
def test_bad_input_is_named(model, change, words):
    given = {**noisy(1, 3), "low": model.read_low(low_latents(model, 1, 3, SIZE)), **change}
    with pytest.raises(InputError, match=words) as error:
        model(**given)
    assert "\n" not in str(error.value)


def test_latents_of_the_wrong_shape_are_named(model):
    with pytest.raises(InputError, match="low-resolution latents are"):
        model.read_low(torch.zeros(3, 4, 2, 3))
