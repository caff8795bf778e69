"""The panorama pipeline on tiny random weights: what goes in, what comes out, what keeps the views together."""

from dataclasses import replace

import numpy as np
import pytest
import tiny_scan
import torch
from test_pipelines_backbones import control_for
from tiny_panorama import column_steps, make_panorama_model, make_panorama_pipeline, make_unet, run
from tiny_pipeline import make_pipeline, room_views
from tiny_unet import make_model

from scenetex import InputError, MVDiffusionPanoramaPipeline, load_scene, panorama_views, pole_views
from scenetex.models import MultiViewUNet
from scenetex.panorama import stitch
from scenetex.pipelines.conditioning import floor_height, surface_fields
from scenetex.pipelines.noise import draw_noise, noise_source, one_to_one
from scenetex.pipelines.ring_views import PoleViews, RingViews


@pytest.fixture(scope="module")
def pipe(tmp_path_factory):
    return make_panorama_pipeline(tmp_path_factory.mktemp("tokens"))


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    return make_panorama_pipeline(tmp_path_factory.mktemp("tokens"), make_unet(in_channels=4))


@pytest.fixture(scope="module")
def ring(tmp_path_factory):
    return panorama_views(load_scene(tiny_scan.write_extracted(tmp_path_factory.mktemp("scan") / "room")), size=64)


def latents(pipe, **options) -> torch.Tensor:
    return run(pipe, output_type="latent", **options).images


def test_shapes_and_kinds(pipe):
    out = run(pipe)
    assert out.images.shape == (8, 64, 64, 3) and out.panorama.shape == (128, 256, 3)
    assert out.panorama.dtype == np.float32 and np.array_equal(out.panorama, stitch(out.images))
    pictures = run(pipe, output_type="pil", height=64)
    assert len(pictures.images) == 8 and pictures.panorama.size == (128, 64)
    tensors = run(pipe, output_type="pt", return_dict=False)
    assert tensors[0].shape == (8, 3, 64, 64) and tensors[1].shape == (3, 128, 256)
    assert np.allclose(tensors[1].permute(1, 2, 0), out.panorama, atol=1e-6)
    assert np.abs(np.asarray(run(pipe, output_type="pil").panorama) / 255 - out.panorama).max() < 0.01
    out = run(pipe, output_type="latent", size=32)
    assert out.images.shape == (8, 4, 4, 4) and out.panorama is None


@pytest.mark.parametrize("seed", range(3))
def test_columns_at_180_degrees_are_neighbours_like_any_others(pipe, seed):
    steps = column_steps(run(pipe, seed=seed, steps=1).panorama)
    assert steps[0] <= steps[1:].max()


@pytest.fixture(scope="module")
def deep(tmp_path_factory):
    return make_panorama_pipeline(tmp_path_factory.mktemp("tokens"), make_panorama_model(in_channels=5))


@pytest.fixture(scope="module")
def around(ring, tmp_path_factory):
    scene = load_scene(tiny_scan.write_extracted(tmp_path_factory.mktemp("scan") / "room"))
    return pole_views(scene.mesh, ring)


def test_poles_go_on_from_the_ring(deep, ring, around):
    without, out = run(deep, views=ring), run(deep, views=ring, poles=around)
    assert np.array_equal(out.images, without.images), "the ring comes first"
    assert np.array_equal(out.panorama[40:-40], without.panorama[40:-40])
    assert np.abs(out.panorama[-8:] - without.panorama[-8:]).mean() > 0.02
    tensors = run(deep, views=ring, poles=around, output_type="pt")
    assert np.allclose(tensors.panorama.permute(1, 2, 0), out.panorama, atol=1e-6)
    eight = run(deep, views=ring, poles=around, prompt=["a red room"] * 8)
    assert np.allclose(eight.panorama, out.panorama, atol=1e-5)


def test_where_nothing_is_seen_above_colours_run_together(deep, ring, around):
    depth, face_id = around.depth.copy(), around.face_id.copy()
    depth[2], face_id[2] = 0, -1
    out = run(deep, views=ring, poles=replace(around, depth=depth, face_id=face_id))
    assert np.array_equal(out.panorama[:64], run(deep, views=ring).panorama[:64])
    assert np.array_equal(out.panorama[64:], run(deep, views=ring, poles=around).panorama[64:])


def test_views_that_look_up_know_how_high_they_look(ring, around):
    up, down = PoleViews.halves(around, RingViews.of(ring, False))
    height = surface_fields(up.surface)[:, 4]
    # The room of `tiny_scan` is as high above the floor, whoever looks.
    ceiling = height[around.depth[:4] > 0].max()
    assert float(ceiling) == pytest.approx(float(surface_fields(ring)[:, 4].max()), abs=0.05)
    assert up.surface.floor == down.surface.floor == pytest.approx(floor_height(ring))


def test_other_views_are_no_poles(deep, pipe, ring, around):
    for given, words in (
        ({"poles": around}, "pass its ring, too"),
        ({"poles": ring, "views": ring}, "do not look up and down"),
        ({"poles": ring.at([0]), "views": ring}, "are not the eight"),
        ({"poles": 3, "views": ring}, "are not the eight"),
    ):
        with pytest.raises(InputError, match=words):
            run(deep if "views" in given else pipe, **given)


def test_the_ring_is_closed(pipe):
    """Turned noise and prompts give the turned panorama: no view is the first one to the model."""
    start = torch.randn(8, 4, 8, 8)
    prompts = [f"room {letter}" for letter in "abcdefgh"]
    straight = latents(pipe, latents=start, prompt=prompts)
    turned = latents(pipe, latents=start.roll(3, 0), prompt=prompts[-3:] + prompts[:-3])
    assert torch.allclose(turned, straight.roll(3, 0), atol=1e-4)


def test_same_seed_same_panorama(pipe):
    assert torch.equal(latents(pipe, seed=1), latents(pipe, seed=1))
    assert not torch.allclose(latents(pipe, seed=1), latents(pipe, seed=2))


def test_one_prompt_is_that_prompt_for_all(pipe):
    assert torch.equal(latents(pipe, prompt="oak"), latents(pipe, prompt=["oak"] * 8))
    apart = {"correspondence": False, "fusion": False}
    mixed, alike = (latents(pipe, prompt=p, **apart) for p in (["oak"] * 7 + ["elm"], "oak"))
    assert torch.allclose(mixed[:7], alike[:7], atol=1e-5) and not torch.allclose(mixed[7], alike[7], atol=1e-3)


@pytest.mark.parametrize("switch", ["correspondence", "shared_noise", "fusion"])
def test_each_switch_changes_the_images(pipe, switch):
    assert not torch.allclose(latents(pipe), latents(pipe, **{switch: False}), atol=1e-3)


def test_fresh_blocks_change_nothing(plain, tmp_path):
    fresh = make_panorama_pipeline(tmp_path, MultiViewUNet.from_unet(make_unet(in_channels=4), kind="panorama"))
    assert torch.equal(latents(fresh), latents(plain))


def test_noise_of_a_direction_is_one_noise():
    """In a ring no chain of nearest cells leads back: all pairs that correspond one to one share."""
    matches = RingViews(128).places(range(8)).at((16, 16))
    a, b, _ = one_to_one(matches, 256)
    source = noise_source(matches, [range(8)], 256)
    assert len(a) > 0.6 * 8 * 256 and (source[a] == source[b]).all()
    assert all(len(set(row)) == 256 for row in source.reshape(8, -1).tolist())
    keys = RingViews(128).noise_seeds
    assert len(set(keys)) == 8 and not torch.equal(*draw_noise(0, keys, (4, 2, 2))[:2])


def test_places_lie_where_directions_do():
    """The middle of a view is in the next one on its left border, an eighth of a turn away."""
    matches = RingViews(136).places([0, 1]).at((17, 17), torch.float64)
    where = {}
    for group in matches.groups:
        assert group.shape[1] == 1
        for query, texel, weight in zip(group.query, group.keys.texel[:, 0], group.keys.weight[:, 0], strict=True):
            column, row = texel % 17, texel // 17 % 17
            where[int(query)] = float((weight * column).sum()), float((weight * row).sum())
    for cell in range(9, 17):
        x = np.tan(np.arctan((cell - 8) * 2 / 17) - np.pi / 4)
        assert where[8 * 17 + cell] == pytest.approx((max(8 + x * 17 / 2, 0), 8), abs=1e-5)
    assert 8 * 17 + 7 not in where


@pytest.mark.parametrize("model", ["pipe", "plain"])
def test_outpainting_keeps_the_given_view_and_depends_on_it(model, request):
    model = request.getfixturevalue(model)
    image = np.random.default_rng(0).random((64, 64, 3)).astype(np.float32)
    out = run(model, image=image)
    assert np.allclose(out.images[0], image, atol=1e-6)
    other = run(model, image=1 - image)
    for i in (1, 7):
        assert not np.allclose(out.images[i], other.images[i], atol=1e-3), i
    narrow = np.round(image * 255).astype(np.uint8)
    assert np.abs(run(model, image=narrow).images - out.images).max() < 0.1
    seen = run(model, image=image, output_type="latent").images[0]
    assert torch.allclose(seen, model.encode_image(image), atol=1e-5)


def test_outpainting_without_a_condition_branch(tmp_path):
    """As released panorama weights: the given view holds its place with as much noise as the others."""
    bare = make_panorama_model()
    bare.condition_branch = None
    model = make_panorama_pipeline(tmp_path, bare)
    image = np.random.default_rng(0).random((64, 64, 3))

    def change(**options):
        options |= {"shared_noise": False, "fusion": False, "steps": 3, "output_type": "latent"}
        one, two = (run(model, image=given, **options).images for given in (image, 1 - image))
        return (one - two).abs().amax((1, 2, 3))

    attended, alone = change(), change(correspondence=False)
    assert (attended[[1, 7]] > 1e-4).all() and (alone[1:] == 0).all()


def test_released_convention(tmp_path):
    """Squares of multiples of 64 pixels; the next view on either side, as the released model was trained."""
    model = make_panorama_pipeline(tmp_path, make_panorama_model(), convention="mvdiffusion")
    assert run(model).images.shape == (8, 64, 64, 3)
    with pytest.raises(InputError, match=r"views of 96 pixels; .* multiple of 64"):
        run(model, size=96)
    pairs = RingViews(64).attended(range(8), "mvdiffusion").pairs
    assert sorted(map(tuple, pairs.tolist())) == sorted((i, (i + s) % 8) for i in range(8) for s in (1, 7))
    assert torch.equal(RingViews(64).attended(range(8), "visible").pairs, pairs)


def test_depth_of_a_scene_conditions_the_images(ring, tmp_path):
    """Through a fifth channel, or through a ControlNet; views that look out of the room see nothing."""
    unet = make_unet(in_channels=4)
    deep = make_panorama_pipeline(tmp_path / "a", make_panorama_model(in_channels=5))
    controlled = make_panorama_pipeline(tmp_path / "b", unet, controlnet=control_for(unet))
    depth = ring.depth.copy()
    depth[3] = 0
    nearer = replace(ring, depth=np.where(ring.depth > 2, 1, ring.depth))
    for model in (deep, controlled):
        out = latents(model, views=ring)
        assert out.isfinite().all() and not torch.allclose(out, latents(model, views=nearer), atol=1e-5)
        assert latents(model, views=replace(ring, depth=depth)).isfinite().all()
    assert latents(controlled).isfinite().all()
    with pytest.raises(InputError, match=r"goes by depth makes panoramas of scenes only; pass panorama_views"):
        run(deep)


def test_save_and_load(pipe, tmp_path):
    pipe.save_pretrained(tmp_path / "saved")
    loaded = MVDiffusionPanoramaPipeline.from_pretrained(tmp_path / "saved")
    loaded.set_progress_bar_config(disable=True)
    assert loaded.unet.config.kind == "panorama"
    assert torch.equal(latents(loaded), latents(pipe))


def test_callback_and_interrupt(pipe):
    seen = []

    def stop(which, step, t, tensors):
        seen.append(step)
        which._interrupt = step == 1
        return tensors

    latents(pipe, callback_on_step_end=stop, steps=4)
    assert seen == [0, 1]


def test_half_precision(tmp_path):
    assert np.isfinite(run(make_panorama_pipeline(tmp_path).to(torch.bfloat16)).panorama).all()


def turned(ring, which, angle):
    poses = ring.cam_to_world.copy()
    poses[which] = tiny_scan.look(angle)
    return replace(ring, cam_to_world=poses)


def test_input_that_does_not_fit(pipe, ring, tmp_path):
    deep = make_panorama_pipeline(tmp_path, make_panorama_model(in_channels=5))
    wrong = [
        (pipe, {"prompt": ["a"] * 7}, "prompt: 7 prompts for 8 views"),
        (pipe, {"prompt": [1] * 8}, "int is not text"),
        (pipe, {"negative_prompt": ["a", "b"]}, "negative_prompt: 2 prompts for 8 views"),
        (pipe, {"size": 60}, "views of 60 pixels; choose a size that is a multiple of 8"),
        (pipe, {"size": 0}, "size 0 is out of range; choose 8 to 8192"),
        (pipe, {"height": 30}, "30 rows; pass a multiple of 4"),
        (pipe, {"steps": 0}, "num_inference_steps 0"),
        (pipe, {"output_type": "jpeg"}, "output_type 'jpeg'"),
        (pipe, {"image": np.zeros((64, 48, 3))}, "image of view 0 is 64 x 48 x 3 of float64, but the view is 64 x 64"),
        (pipe, {"image": np.zeros((32, 32, 3))}, "image of view 0 is 32 x 32 x 3"),
        (pipe, {"latents": torch.zeros(7, 4, 8, 8)}, "latents are"),
        (pipe, {"views": ring}, "takes no depth; pass a depth ControlNet"),
        (deep, {"views": ring, "size": 128}, "size 128, but the views have 64"),
        (deep, {"views": ring.depth}, "ndarray is not a ViewSet; make them with scenetex.panorama_views"),
        (deep, {"views": room_views(8)}, "views of 64 x 48 pixels are not square"),
        (deep, {"views": room_views(3)}, "3 of them are no panorama"),
        (deep, {"views": room_views(8, size=(64, 64))}, "do not turn about one point"),
        (deep, {"views": turned(ring, 2, 0.3)}, "do not turn about one point"),
        (deep, {"views": turned(ring, 0, np.nan)}, "do not turn about one point"),
        (deep, {"views": replace(ring, depth=np.zeros_like(ring.depth))}, "none of them sees anything"),
    ]
    for model, options, words in wrong:
        with pytest.raises(InputError, match=words) as caught:
            run(model, **options)
        assert "\n" not in str(caught.value)


def test_depth_models_make_panoramas_of_scenes(ring, tmp_path):
    """They attend along depth, where every view sees something."""
    model = make_panorama_pipeline(tmp_path, make_model())
    out = latents(model, views=ring)
    assert out.isfinite().all() and not torch.allclose(out, latents(model, views=ring, correspondence=False), atol=1e-4)
    with pytest.raises(InputError, match=r"goes by depth makes panoramas of scenes only"):
        run(model)
    depth = ring.depth.copy()
    depth[5] = 0
    with pytest.raises(InputError, match="view 5 of the panorama sees nothing"):
        run(model, views=replace(ring, depth=depth))


def test_the_depth_pipeline_paints_a_ring_like_any_views(ring, tmp_path):
    images = make_pipeline(tmp_path)("a red room", ring, num_inference_steps=1).images
    assert stitch(images).shape == (128, 256, 3)
