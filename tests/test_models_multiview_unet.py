"""The multi-view UNet: identity at start, the whole forward in plain loops, independence of order and chunks."""

import loop_reference as loops
import numpy as np
import pytest
import torch
from tiny_unet import call, inputs, make_model, make_unet, plain, views_of

from scenetex import InputError
from scenetex.correspondence import from_depth, from_rotation
from scenetex.models import MultiViewUNet


@pytest.mark.parametrize("kind", ["depth", "panorama"])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_fresh_model_is_the_base_unet_to_the_bit(kind, layout):
    unet = make_unet().to(memory_format=layout)
    model = MultiViewUNet.from_unet(unet, kind=kind)
    given = inputs(2, 3, (5, 7))
    given["sample"] = given["sample"].flatten(0, 1).contiguous(memory_format=layout).unflatten(0, (2, 3))
    if kind == "depth":
        correspondence = views_of(0, 3, (20, 28))
    else:
        K = torch.tensor([[10.0, 0, 13.5], [0, 10.0, 9.5], [0, 0, 1]])
        correspondence = from_rotation(K[None], torch.eye(3).repeat(1, 3, 1, 1), (20, 28))
    assert len(correspondence.pairs)
    with torch.no_grad():
        assert torch.equal(call(model, given, correspondence, torch.randn(2, 3, 5, 5, 7)), plain(unet, given))
    assert model.unet is unet


def forward_in_loops(model, given, keys, condition, clamp) -> np.ndarray:
    """One scene through a UNet of plain blocks, in the order of the released model (facts 5 to 7)."""
    unet, m = model.unet, given["sample"].shape[1]
    sample, prompt = given["sample"][0], given["encoder_hidden_states"][0]
    emb = unet.time_embedding(unet.time_proj(given["timestep"][0]).to(sample.dtype))
    branch = model.condition_branch
    condition = None if condition is None else branch.conv_in(condition[0])

    def joined(block, x):
        if m == 1:
            return x
        x = x + torch.from_numpy(loops.messages(block.attention, x.numpy(), keys[tuple(x.shape[2:])], clamp))
        tokens = x.movedim(1, -1)
        x = x + block.feed_forward(block.norm(tokens)).movedim(-1, 1)
        inner = block.residual.conv1(block.residual.norm1(x).relu())
        return x + block.residual.conv2(block.residual.norm2(inner).relu())

    def layer(block, n, x):
        x = block.resnets[n](x, emb)
        return block.attentions[n](x, encoder_hidden_states=prompt).sample if hasattr(block, "attentions") else x

    x = unet.conv_in(sample)
    skips = [x]
    for i, block in enumerate(unet.down_blocks):
        if condition is not None:
            x = x + branch.down[i](condition)
            skips[-1] = x
        for n in range(len(block.resnets)):
            x = layer(block, n, x)
            skips.append(x)
        x = joined(model.down_correspondence[i], x)
        for sampler in block.downsamplers or ():
            x = sampler(x)
            skips.append(x)
    if condition is not None:
        x = x + branch.down[-1](condition)
        if m == 1:
            skips[-1] = x
    x = unet.mid_block.resnets[0](x, emb)
    for attention, resnet in zip(unet.mid_block.attentions, unet.mid_block.resnets[1:], strict=True):
        x = resnet(attention(x, encoder_hidden_states=prompt).sample, emb)
    x = joined(model.mid_correspondence, x)
    for i, block in enumerate(unet.up_blocks):
        if condition is not None:
            x = x + branch.up[i](condition)
        for n in range(len(block.resnets)):
            x = layer(block, n, torch.cat([x, skips.pop()], 1))
        x = joined(model.up_correspondence[i], x)
        for sampler in block.upsamplers or ():
            x = sampler(x)
    return unet.conv_out(unet.conv_act(unet.conv_norm_out(x)))


@pytest.mark.parametrize("convention", ["visible", "mvdiffusion"])
@pytest.mark.parametrize("conditioned", [False, True])
@pytest.mark.parametrize("m", [1, 3])
def test_forward_equals_loops(convention, conditioned, m):
    scene = loops.room_views(7, m, (16, 24))
    model = make_model(block_out_channels=(32, 32)).double()
    given = {k: v.double() for k, v in inputs(1, m).items()}
    condition = torch.randn(1, m, 5, 4, 6).double() if conditioned else None
    correspondence = from_depth(*(t[None] for t in scene), convention=convention, overlap=0.1)
    keys = {size: loops.depth_keys(scene, convention, 0.1, size) for size in ((4, 6), (2, 3))}
    with torch.no_grad():
        expected = forward_in_loops(model, given, keys, condition, clamp=convention == "visible")
    found = call(model, given, correspondence, condition)[0]
    assert (found - expected).abs().max() < 1e-8 * expected.abs().max()


def test_batches_and_guidance_halves_are_the_scenes_apart():
    model = make_model()
    scenes = [loops.room_views(seed, 3, (16, 24)) for seed in (1, 2)]
    both = from_depth(*(np.stack(t) for t in zip(*scenes, strict=True)), overlap=0.1)
    given = inputs(4, 3)
    joint = call(model, given, both)
    for item in range(4):
        alone = from_depth(*(t[None] for t in scenes[item % 2]), overlap=0.1)
        one = {k: v[item : item + 1] for k, v in given.items()}
        torch.testing.assert_close(joint[item : item + 1], call(model, one, alone), rtol=0, atol=1e-5)


def test_the_first_sets_can_do_without_blocks():
    model, given, views = make_model(), inputs(2, 3), views_of(1, 3)
    found = call(model, given, views, apart=1)
    alone = call(model, {k: v[:1] for k, v in given.items()})
    torch.testing.assert_close(found[:1], alone, rtol=0, atol=1e-5)
    torch.testing.assert_close(found[1:], call(model, given, views)[1:], rtol=0, atol=1e-5)
    assert (found[:1] - call(model, given, views)[:1]).abs().max() > 1e-2


def test_permuted_views_give_permuted_images():
    model, given, order = make_model(), inputs(1, 4), [2, 0, 3, 1]
    scene = loops.room_views(3, 4, (16, 24))
    condition = torch.randn(1, 4, 5, 4, 6)
    found = call(model, given, from_depth(*(t[None] for t in scene), overlap=0.1), condition)
    permuted = {k: v[:, order] for k, v in given.items()}
    views = from_depth(*(t[order][None] for t in scene), overlap=0.1)
    assert (found - call(model, given, None, condition)).abs().max() > 1e-2
    torch.testing.assert_close(call(model, permuted, views, condition[:, order]), found[:, order], rtol=0, atol=1e-5)


def test_same_images_at_any_attention_memory():
    model, given, views = make_model(), inputs(2, 3), views_of(2, 3)
    whole = call(model, given, views)
    model.set_attention_memory(0.001)
    torch.testing.assert_close(call(model, given, views), whole, rtol=0, atol=1e-5)
    model.set_attention_memory(None)
    assert torch.equal(call(model, given, views), whole)
    with pytest.raises(InputError, match="memory"):
        model.set_attention_memory(-1)


def test_views_without_overlap_do_not_feel_each_other():
    model, given = make_model(), inputs(1, 3)
    views = views_of(2, 3, overlap=1.0)
    assert len(views.pairs) == 0
    found = call(model, given, views)
    given["sample"][0, 1] += 1
    changed = call(model, given, views)
    assert torch.equal(found[0, 0], changed[0, 0]) and not torch.equal(found[0, 1], changed[0, 1])


def test_without_correspondence_and_with_one_view_it_is_the_base_unet():
    model = make_model()
    with torch.no_grad():
        for given, views in ((inputs(1, 3), None), (inputs(1, 1), views_of(0, 1))):
            assert torch.equal(call(model, given, views), plain(model.unet, given))


@pytest.mark.parametrize("size", [(5, 7), (3, 5)])
def test_odd_sizes_run_with_condition(size):
    image = tuple(8 * s for s in size)
    model, views = make_model(), views_of(1, 2, image)
    found = call(model, inputs(1, 2, size), views, torch.randn(1, 2, 5, *size))
    assert found.shape == (1, 2, 4, *size) and found.isfinite().all()


def test_condition_reaches_its_own_view_and_through_correspondence_the_others():
    model, given, condition = make_model(), inputs(1, 3), torch.randn(1, 3, 5, 4, 6)
    other = condition.clone()
    other[0, 2] += 1
    apart = call(model, given, None, other) - call(model, given, None, condition)
    assert apart[0, 2].abs().max() > 1e-3 and apart[0, :2].abs().max() == 0
    views = views_of(3, 3)
    assert any(pair == [0, 2] for pair in views.pairs.tolist())
    joint = call(model, given, views, other) - call(model, given, views, condition)
    assert joint[0, 0].abs().max() > 1e-4


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sample": torch.zeros(3, 5, 4, 6)}, r"sample is \(3, 5, 4, 6\)"),
        ({"encoder_hidden_states": torch.zeros(1, 2, 7, 32)}, r"encoder_hidden_states is .*1 x 3 views"),
        ({"condition": torch.zeros(1, 2, 5, 4, 6)}, "condition is"),
        ({"correspondence": views_of(0, 3, (16, 16))}, "4 x 6 cells has not the shape of the 16 x 16 pixels"),
        ({"correspondence": views_of(0, 2)}, r"correspondence is of 1 x 2 views, but sample has 1 x 3"),
        (
            {"correspondence": from_rotation(torch.eye(3)[None], torch.eye(3).repeat(1, 3, 1, 1), (16, 24))},
            "needs correspondence made by from_depth",
        ),
    ],
)
def test_bad_input_is_named(change, message):
    with pytest.raises(InputError, match=message):
        make_model()(**{**inputs(1, 3), **change})


def test_hooks_are_gone_after_an_error():
    model, given = make_model(), inputs(1, 3)
    with pytest.raises(InputError, match="views"):
        model(**given, condition=torch.zeros(1, 3, 5, 4, 6), correspondence=views_of(0, 2))
    with torch.no_grad():
        assert torch.equal(call(model, given), plain(model.unet, given))


def test_unknown_kind_is_named():
    with pytest.raises(InputError, match="kind 'video'"):
        MultiViewUNet.from_unet(make_unet(), kind="video")
