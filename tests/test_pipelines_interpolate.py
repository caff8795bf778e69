"""Views between anchors."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from tiny_pipeline import MultiViewUNet, make_pipeline, make_unet, room_views, run, some_of

from scenetex import InputError
from scenetex.pipelines.denoise import Denoiser
from scenetex.pipelines.images import picture
from scenetex.pipelines.noise import draw_noise, share_noise
from scenetex.pipelines.scene_views import SceneViews
from scenetex.pipelines.windows import noise_turns

VIEWS = room_views(7)
ANCHORS = [0, 3, 6]


@pytest.fixture(scope="module")
def pipe(tmp_path_factory):
    return make_pipeline(tmp_path_factory.mktemp("tokens"))


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    return make_pipeline(tmp_path_factory.mktemp("tokens"), make_unet())


@pytest.fixture(scope="module")
def anchors(pipe):
    return run(pipe, some_of(VIEWS, ANCHORS), guidance_scale=2.0)


def fill(pipe, anchors, at=ANCHORS, views=VIEWS, **options):
    images = [None] * len(views)
    for i, anchor in zip(at, anchors, strict=True):
        images[i] = anchor
    generator = torch.Generator().manual_seed(0)
    options = {"num_inference_steps": 3, "guidance_scale": 2.0, "output_type": "latent", **options}
    return pipe.interpolate("a red room", views, images, generator=generator, **options).images


def test_keys_come_back_and_the_rest_is_generated(pipe, plain, anchors):
    for model in (pipe, plain):
        images = fill(model, anchors, output_type="np")
        assert images.shape == (7, 48, 64, 3)
        assert np.allclose(images[ANCHORS], anchors, atol=1e-6)
        assert (images[[1, 2, 4, 5]].std((1, 2, 3)) > 0.01).all()


def test_views_between_depend_on_their_two_keys_alone(pipe, plain, anchors):
    other = anchors.copy()
    other[2] = 1 - other[2]
    for model in (pipe, plain):
        one, two = fill(model, anchors), fill(model, other)
        assert torch.equal(one[1:3], two[1:3])
        assert not torch.allclose(one[4:6], two[4:6], atol=1e-3)


def test_the_condition_branch_tells_anchors_from_views_between(pipe, anchors):
    """Without fusion the anchors are generated again, under their condition alone, as the released model does."""
    off = {"fusion": False, "shared_noise": False, "correspondence": False}
    other = 1 - anchors
    assert torch.equal(fill(pipe, anchors, **off)[1], fill(pipe, other, **off)[1])
    assert not torch.allclose(
        fill(
            pipe,
            anchors,
            **off,
        )[1],
        fill(pipe, anchors)[1],
        atol=1e-3,
    )


def test_condition_holds_latents_and_masks(pipe, anchors):
    first, second = map(pipe.encode_image, anchors[:2])

    class Part:
        anchors = torch.stack([first, torch.ones(4, 6, 8), second])
        known = torch.tensor([True, False, True])[:, None, None, None].expand(3, 1, 6, 8)

    denoiser = Denoiser(
        pipe.unet, pipe.scheduler, None, empty_condition=False, partial_condition=False, guided_blocks=False
    )
    condition = denoiser.condition(Part)
    assert condition.shape == (1, 3, 5, 6, 8)
    assert torch.equal(condition[0, [0, 2], :4], Part.anchors[[0, 2]]) and (condition[0, [0, 2], 4] == 1).all()
    assert (condition[0, 1] == 0).all()
    # Of what is there in part it is told by models alone that have learned it.
    Part.known = Part.known.clone()
    Part.known[0, :, :3] = False
    assert (denoiser.condition(Part)[0, 0] == 0).all() and (denoiser.condition(Part)[0, 2, 4] == 1).all()
    part = replace(denoiser, partial_condition=True).condition(Part)
    assert torch.equal(part[0, 0, :4, 3:], first[:, 3:]) and (part[0, 0, :, :3] == 0).all()
    Part.known = torch.zeros(3, 1, 6, 8, dtype=torch.bool)
    assert denoiser.condition(Part) is None


def test_a_plain_unet_meets_anchors_with_as_much_noise_as_the_others(plain, anchors):
    """Held at the level of each step, the anchors' latents end where they were given."""
    seen = []

    def watch(_, step, t, tensors):
        seen.append(tensors["latents"][0].clone())
        return tensors

    fill(plain, anchors[:2], [0, 3], some_of(VIEWS, range(4)), callback_on_step_end=watch, fusion=False)
    truth = plain.encode_image(anchors[0])
    distance = [float((x - truth).abs().mean()) for x in seen]
    assert distance == sorted(distance, reverse=True) and distance[-1] < 0.2 * distance[0]


def test_views_between_start_from_the_noise_of_the_anchors():
    """Whatever is between, anchors draw what they drew when they were generated, so nothing changes for more views."""
    views, anchors = room_views(13, 0.15), [0, 2, 4, 6, 9, 12]

    def noise(which, anchors, joint):
        scenery = SceneViews.of(some_of(views, which))
        places = scenery.places(range(len(scenery)))
        windows = scenery.plan([i in anchors for i in which], places, joint)
        turns = noise_turns(windows, [which.index(i) for i in anchors], joint)
        return share_noise(draw_noise(3, scenery.noise_seeds, (4, 6, 8)), places, turns)

    for joint in (4, 16):
        alone = noise(anchors, [], joint)
        together = noise(list(range(13)), anchors, joint)
        assert torch.equal(together[anchors], alone)
        assert torch.isin(together[1], alone[0]).float().mean() > 0.3


def test_order_and_windows(pipe, anchors):
    straight = fill(pipe, anchors)
    order = [5, 0, 3, 1, 6, 2, 4]
    turned = fill(pipe, anchors[[0, 1, 2]], [order.index(k) for k in ANCHORS], some_of(VIEWS, order))
    assert torch.allclose(turned, straight[order], atol=1e-5)
    many = room_views(9, 0.2)
    assert fill(pipe, anchors[:1], [4], many, joint_views=4).isfinite().all()
    assert fill(pipe, anchors[:2], [0, 8], many, joint_views=4).isfinite().all()


def test_nothing_between(pipe, anchors):
    images = fill(pipe, anchors, [0, 1, 2], some_of(VIEWS, ANCHORS), output_type="np")
    assert np.allclose(images, anchors, atol=1e-6)


def test_images_of_all_kinds(pipe, anchors):
    narrow = [np.round(k * 255).astype(np.uint8) for k in anchors]
    assert torch.equal(fill(pipe, narrow), fill(pipe, [Image.fromarray(k) for k in narrow]))
    assert np.abs(picture(narrow[0], (64, 48), 0) - anchors[0]).max() < 0.003


def test_branchless_model_takes_anchors(anchors, tmp_path):
    unet = make_unet()
    config = {k: v for k, v in unet.config.items() if not k.startswith("_")}
    model = make_pipeline(tmp_path, MultiViewUNet(config, condition_channels=0, unet=unet).eval())
    assert fill(model, anchors).isfinite().all()


@pytest.mark.parametrize(
    ("images", "words"),
    [
        ([None] * 7, "no image of an anchor"),
        ([np.zeros((48, 64, 3))] + [None] * 5, "6 images for 7 views"),
        ([np.zeros((48, 60, 3))] + [None] * 6, "48 x 60 x 3"),
        ([np.zeros((48, 64))] + [None] * 6, "48 x 64 of float64"),
        ([np.full((48, 64, 3), np.nan)] + [None] * 6, "not finite"),
        ([np.zeros((48, 64, 3), np.int64)] + [None] * 6, "int64"),
    ],
)
def test_images_that_do_not_fit(pipe, images, words):
    with pytest.raises(InputError, match=words):
        pipe.interpolate("x", VIEWS, images)
