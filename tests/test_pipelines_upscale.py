"""Super-resolution of views on tiny random weights: what goes in, what comes out, what depends on what."""

import copy

import numpy as np
import pytest
import tiny_scan
import torch
from tiny_pipeline import MVDiffusionPipeline, make_pipeline, room_views, some_of
from tiny_super_resolution import make_light_unet, make_super_resolution

from scenetex import InputError, SuperResolutionUNet
from scenetex.models import DetailDecoder
from scenetex.pipelines.conditioning import surface_fields
from scenetex.pipelines.cross_view import agree
from scenetex.pipelines.noise import draw_noise
from scenetex.pipelines.scene_views import SceneViews
from scenetex.pipelines.upscale import enlarged, restore
from scenetex.scene.camera import resize_intrinsics
from scenetex.scene.mesh import Mesh
from scenetex.views.viewset import cast_views

VIEWS = room_views(4, size=(32, 24))


def pictures(m: int = 4, size=(24, 32)) -> np.ndarray:
    """Smooth random images (m, h, w, 3)."""
    generator = torch.Generator().manual_seed(4)
    coarse = torch.rand(m, 3, 4, 5, generator=generator)
    fine = torch.nn.functional.interpolate(coarse, size, mode="bilinear")
    return (0.1 + 0.8 * fine).permute(0, 2, 3, 1).numpy()


IMAGES = pictures()


@pytest.fixture(scope="module")
def pipe(tmp_path_factory):
    return make_pipeline(tmp_path_factory.mktemp("tokens"), upscale_unet=make_super_resolution())


def upscale(pipe, images=IMAGES, views=VIEWS, prompt="a red room", seed=0, steps=2, **options):
    generator = torch.Generator().manual_seed(seed)
    return pipe.upscale(prompt, views, images, num_inference_steps=steps, generator=generator, **options).images


def latents(pipe, *args, **options) -> torch.Tensor:
    return upscale(pipe, *args, output_type="latent", **options)


def shrunk(images: np.ndarray, factor: int = 4) -> np.ndarray:
    m, h, w, c = images.shape
    return images.reshape(m, h // factor, factor, w // factor, factor, c).mean((2, 4))


@pytest.mark.parametrize(("factor", "enlarge"), [(4, 1), (2, 2), (4, 4)])
def test_large_images_show_what_the_small_ones_show(pipe, tmp_path, factor, enlarge):
    pipe = make_pipeline(tmp_path, upscale_unet=make_super_resolution(factor, enlarge))
    large = upscale(pipe, fusion=False)
    assert large.shape == (4, 24 * factor, 32 * factor, 3) and large.dtype == np.float32
    assert np.abs(shrunk(large, factor) - IMAGES).max() < 0.05
    assert np.abs(shrunk(large, factor) - IMAGES).mean() < 0.002


def test_fusion_lets_the_large_images_agree(pipe):
    apart, together = upscale(pipe, fusion=False), upscale(pipe)
    assert np.allclose(together, agree(apart * 2 - 1, VIEWS) / 2 + 0.5, atol=1e-5)
    assert not np.allclose(together, apart, atol=0.01)
    one, alone = (upscale(pipe, IMAGES[:1], some_of(VIEWS, [0]), fusion=f) for f in (True, False))
    assert np.array_equal(one, alone)


def test_kinds_of_output(pipe):
    large = upscale(pipe)
    assert np.allclose(upscale(pipe, output_type="pt").permute(0, 2, 3, 1).numpy(), large)
    tall = upscale(pipe, output_type="pil")
    assert tall[0].size == (128, 96) and np.abs(np.asarray(tall[3]) / 255 - large[3]).max() < 0.003
    assert latents(pipe).shape == (4, 4, 12, 16)
    as_bytes = upscale(pipe, np.round(IMAGES * 255).astype(np.uint8), fusion=False)
    assert np.abs(shrunk(as_bytes) - IMAGES).mean() < 0.004
    one = pipe.upscale("a", some_of(VIEWS, [0]), IMAGES[:1], num_inference_steps=1, return_dict=False)
    assert one[0].shape == (1, 96, 128, 3)


def test_restore_leaves_what_lies_between_the_small_pixels():
    """Noise without any mean over the small pixels survives; a shift of their level does not."""
    torch.manual_seed(0)
    small = 0.5 * torch.rand(2, 3, 6, 8) - 0.25
    base = torch.nn.functional.interpolate(small, scale_factor=4, mode="bicubic")
    detail = 0.1 * torch.randn(base.shape)
    detail -= torch.nn.functional.interpolate(torch.nn.functional.avg_pool2d(detail, 4), scale_factor=4)
    right = restore(base + detail, small)
    assert torch.allclose(torch.nn.functional.avg_pool2d(right, 4), small, atol=0.002)
    assert ((right - base) * detail).sum() / detail.square().sum() > 0.95
    assert torch.allclose(restore(base + detail + 0.1, small), right, atol=0.01)
    assert restore(base + 5, small).max() <= 1


def test_enlarging_keeps_the_centre_of_every_pixel():
    ramp = torch.linspace(0.2, 0.8, 8).expand(1, 3, 6, 8)
    big = enlarged(ramp, 4)
    assert big.shape == (1, 3, 24, 32) and torch.allclose(big.diff()[..., 8:-8], torch.tensor(0.6 / 28), atol=1e-4)
    assert torch.allclose(torch.nn.functional.avg_pool2d(big, 4)[..., 2:-2], ramp[..., 2:-2], atol=1e-5)
    assert enlarged(ramp, 1) is ramp


def test_same_seed_same_images(pipe):
    assert torch.equal(latents(pipe, seed=1), latents(pipe, seed=1))
    assert not torch.allclose(latents(pipe, seed=1), latents(pipe, seed=2), atol=1e-2)


def test_order_of_views_does_not_show(pipe):
    order = [2, 0, 3, 1]
    prompts = [f"room {c}" for c in "abcd"]
    straight = latents(pipe, prompt=prompts)
    turned = latents(pipe, IMAGES[order], some_of(VIEWS, order), prompt=[prompts[i] for i in order])
    assert torch.allclose(turned, straight[order], atol=1e-4)


@pytest.mark.parametrize("change", [{"correspondence": False}, {"shared_noise": False}, {"guidance_scale": 4.0}])
def test_each_switch_changes_the_images(pipe, change):
    assert not torch.allclose(latents(pipe), latents(pipe, **change), atol=1e-3)


def test_without_correspondence_and_shared_noise_every_view_is_alone(pipe):
    off = {"correspondence": False, "shared_noise": False}
    together = latents(pipe, **off)
    for i in (0, 3):
        assert torch.allclose(latents(pipe, IMAGES[[i]], some_of(VIEWS, [i]), **off)[0], together[i], atol=1e-4)


def test_more_views_than_fit_together(pipe):
    views = room_views(6, size=(32, 24))
    large = latents(pipe, pictures(6), views, joint_views=4)
    assert large.shape == (6, 4, 12, 16) and large.isfinite().all()
    assert torch.allclose(latents(pipe, pictures(6)[:4], some_of(views, range(4)), joint_views=4), large[:4], atol=1e-4)


def test_one_tile_is_the_whole(pipe):
    assert torch.equal(latents(pipe, tile=4096), latents(pipe))


def test_tiles_of_a_model_without_reach_are_the_whole(pipe, monkeypatch):
    """A model that looks at nothing but a cell and the images under it does not notice tiles, whatever the corner."""

    def local(self, sample, t, hidden, low, correspondence, corner, return_dict):
        (top, left), (h, w) = corner, sample.shape[-2:]
        return (0.3 * sample + low[0][:, :, :4, top : top + h, left : left + w],)

    monkeypatch.setattr(SuperResolutionUNet, "forward", local)
    tiled = latents(pipe, tile=64)
    assert torch.allclose(tiled, latents(pipe), atol=1e-4) and tiled.std() > 0.1


def test_tiles_stay_near_the_whole_and_leave_no_seam(pipe):
    """What tiles cannot see, the norms' means over them above all, makes a difference; at their sides no more."""
    whole, tiled = latents(pipe), latents(pipe, tile=64)
    assert not torch.equal(tiled, whole)
    differs = (tiled - whole).abs()
    assert differs.mean() < 0.2 * whole.std()
    steps = (tiled - whole).diff(dim=-1).abs().mean((0, 1, 2))
    assert steps.max() < 3 * steps.median()
    large, apart = upscale(pipe), upscale(pipe, tile=64)
    assert large.shape == apart.shape and np.abs(large - apart).mean() < 0.1


def test_callback_and_own_latents(pipe):
    seen = []

    def watch(which, step, t, tensors):
        seen.append((step, tuple(tensors["latents"].shape)))
        return {"latents": tensors["latents"] * 0} if step == 1 else tensors

    out = latents(pipe, callback_on_step_end=watch)
    assert seen == [(0, (4, 4, 12, 16)), (1, (4, 4, 12, 16))] and (out == 0).all()
    start = torch.randn(4, 4, 12, 16)
    assert torch.equal(latents(pipe, latents=start, seed=1), latents(pipe, latents=start, seed=2))


def test_interrupt_stops(pipe):
    seen = []

    def stop(which, step, t, tensors):
        seen.append(step)
        which._interrupt = True
        return tensors

    latents(pipe, callback_on_step_end=stop, steps=4)
    assert seen == [0]


def test_save_and_load(pipe, tmp_path):
    pipe.save_pretrained(tmp_path)
    loaded = MVDiffusionPipeline.from_pretrained(tmp_path)
    loaded.set_progress_bar_config(disable=True)
    assert type(loaded.upscale_unet) is SuperResolutionUNet
    # As read from a file, weights lie unaligned in memory, where sums may be taken in another order.
    aligned = {n: copy.deepcopy(part) for n, part in loaded.components.items() if isinstance(part, torch.nn.Module)}
    loaded.register_modules(**aligned)
    assert torch.equal(latents(loaded), latents(pipe))


@pytest.fixture(scope="module")
def detailed(tmp_path_factory):
    """With a decoder of random weights that adds a tenth of the pixels' range."""
    torch.manual_seed(2)
    decoder = DetailDecoder(4, 4, width=8, layers=2).eval()
    torch.nn.init.normal_(decoder.write.weight, std=0.05)
    folder = tmp_path_factory.mktemp("detailed")
    return make_pipeline(folder / "tokens", upscale_unet=make_super_resolution(), detail_decoder=decoder)


def test_the_detail_decoder_makes_the_images(detailed, pipe):
    large = upscale(detailed, fusion=False)
    assert large.shape == (4, 96, 128, 3) and np.abs(shrunk(large) - IMAGES).mean() < 0.002
    assert not np.allclose(large, upscale(pipe, fusion=False), atol=0.01)
    assert torch.equal(latents(detailed), latents(pipe))
    assert np.array_equal(large, upscale(detailed, fusion=False))


def test_without_belief_the_latents_do_not_count(detailed):
    """Another seed gives other latents; what the small images tell stays."""
    none = upscale(detailed, detail=0.0)
    assert np.array_equal(none, upscale(detailed, detail=0.0, seed=1))
    assert not np.allclose(none, upscale(detailed, detail=1.0), atol=1e-3)
    assert not np.allclose(upscale(detailed, detail=1.0), upscale(detailed, detail=1.0, seed=1), atol=1e-3)


def test_a_detail_decoder_alone_generates_nothing(detailed, tmp_path):
    """What it makes is what the whole model makes without belief, and neither takes a denoising step."""
    steps, watch = [], {"callback_on_step_end": lambda *given: steps.append(1) or {}}
    decoder = detailed.detail_decoder
    alone = make_pipeline(tmp_path / "tokens", detail_decoder=decoder)
    large = upscale(alone, **watch)
    assert np.array_equal(large, upscale(detailed, detail=0.0, **watch)) and not steps
    upscale(detailed, detail=0.1, **watch)
    assert len(steps) == 2
    for change in ({"detail": 0.5}, {"output_type": "latent"}):
        with pytest.raises(InputError, match="a detail decoder alone"):
            upscale(alone, **change)
    with pytest.raises(InputError, match="2 prompts for 4 views"):
        upscale(alone, prompt=["a", "b"])
    with pytest.raises(InputError, match="cannot upscale 2 times"):
        upscale(alone, factor=2)


def test_detail_comes_from_other_views_unless_switched_off(detailed):
    changed = IMAGES.copy()
    changed[1:] = changed[1:, :, ::-1]
    on, off = ({"detail": 0.0, "correspondence": c, "shared_noise": False, "fusion": False} for c in (True, False))
    assert not np.allclose(upscale(detailed, **on)[0], upscale(detailed, changed, **on)[0], atol=1e-3)
    assert np.array_equal(upscale(detailed, **off)[0], upscale(detailed, changed, **off)[0])


def test_detail_in_tiles_leaves_no_seam(tmp_path):
    """Where tiles overlap, both see what is around; on their rims, only one counts."""
    torch.manual_seed(2)
    decoder = DetailDecoder(4, 4, width=8, layers=1).eval()
    torch.nn.init.normal_(decoder.write.weight, std=0.05)
    pipe = make_pipeline(tmp_path / "tokens", upscale_unet=make_super_resolution(), detail_decoder=decoder)
    views = room_views(2, size=(48, 32))
    whole, tiled = (upscale(pipe, pictures(2, (32, 48)), views, detail=0.0, tile=tile) for tile in (None, 64))
    assert np.abs(whole - tiled).mean() < 0.005 and np.abs(whole - tiled).max() < 0.1


def test_detail_decoder_is_saved(detailed, tmp_path):
    detailed.save_pretrained(tmp_path)
    loaded = MVDiffusionPipeline.from_pretrained(tmp_path)
    ours, theirs = detailed.detail_decoder.state_dict(), loaded.detail_decoder.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def larger(views, factor: int = 4):
    """The same cameras with images as many times as large."""
    size = tuple(side * factor for side in views.size)
    mesh = Mesh(tiny_scan.ROOM_VERTICES, tiny_scan.ROOM_FACES)
    intrinsics = resize_intrinsics(views.intrinsics, views.size, size)
    return cast_views(mesh, intrinsics, views.cam_to_world, size, views.frame_ids)


LARGE = larger(VIEWS)


def told_decoder(layers: int = 2) -> DetailDecoder:
    """Of random weights, told the surface."""
    torch.manual_seed(2)
    decoder = DetailDecoder(4, 4, width=8, layers=layers, guide_channels=5).eval()
    for part in (decoder.write, decoder.unmix):
        torch.nn.init.normal_(part.weight, std=0.05)
    return decoder


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    return make_pipeline(tmp_path_factory.mktemp("told") / "tokens", detail_decoder=told_decoder())


def test_large_views_tell_the_surface(told, detailed):
    """To a decoder that is told it; each view its own, with heights from the floor that all of them see."""
    off = {"correspondence": False, "shared_noise": False, "fusion": False}
    seen, unseen = upscale(told, large_views=LARGE, **off), upscale(told, **off)
    assert seen.shape == (4, 96, 128, 3) and not np.allclose(seen, unseen, atol=0.01)
    assert np.abs(shrunk(seen) - IMAGES).mean() < 0.002
    small = torch.from_numpy(IMAGES[2:3]).permute(0, 3, 1, 2)
    noise = draw_noise(0, SceneViews.of(VIEWS).noise_seeds, (4, 12, 16))[2:3]
    nothing = torch.zeros(1, 3, 96, 128), torch.zeros(1, 24, 32)
    surface = surface_fields(LARGE)[2:3]
    with torch.no_grad():
        plain = told.detail_decoder(noise, torch.ones(1), small * 2 - 1, *nothing, surface=surface)
    exact = restore(plain, small * 2 - 1)[0].permute(1, 2, 0) / 2 + 0.5
    assert np.allclose(seen[2], exact.numpy(), atol=1e-4)
    assert np.array_equal(upscale(detailed, large_views=LARGE), upscale(detailed))


def test_the_order_of_large_views_does_not_show(told):
    order = [2, 0, 3, 1]
    straight = upscale(told, large_views=LARGE)
    turned = upscale(told, IMAGES[order], some_of(VIEWS, order), large_views=some_of(LARGE, order))
    assert np.allclose(turned, straight[order], atol=1e-4)


def test_the_surface_in_tiles_leaves_no_seam(tmp_path):
    pipe = make_pipeline(tmp_path / "tokens", detail_decoder=told_decoder(layers=1))
    views = room_views(2, size=(48, 32))
    options = {"large_views": larger(views), "views": views, "images": pictures(2, (32, 48))}
    whole, tiled = (upscale(pipe, tile=tile, **options) for tile in (None, 64))
    assert np.abs(whole - tiled).mean() < 0.005 and np.abs(whole - tiled).max() < 0.1
    untold = upscale(pipe, **options | {"large_views": None})
    assert np.abs(whole - untold).mean() > 4 * np.abs(whole - tiled).mean()


def test_half_precision(tmp_path):
    decoder = DetailDecoder(4, 4, width=8, layers=1)
    narrow = make_pipeline(tmp_path, upscale_unet=make_super_resolution(), detail_decoder=decoder).to(torch.bfloat16)
    assert np.isfinite(upscale(narrow)).all()
    told = make_pipeline(tmp_path, detail_decoder=told_decoder()).to(torch.bfloat16)
    assert np.isfinite(upscale(told, large_views=LARGE)).all()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"images": IMAGES[:3]}, "3 images for 4 views"),
        ({"images": [*IMAGES[:3], None]}, "image of view 3"),
        ({"images": pictures(size=(24, 24))}, "image of view 0 is 24 x 24 x 3"),
        ({"views": "room"}, "not a ViewSet"),
        ({"detail": 1.5}, "detail 1.5 is out of range; choose 0 to 1"),
        ({"factor": 3}, "cannot upscale 3 times.*trained to upscale 4 times"),
        ({"tile": 32}, "tiles of 32 pixels.*pass 64 or more"),
        ({"prompt": ["a", "b"]}, "2 prompts for 4 views"),
        ({"steps": 0}, "num_inference_steps 0"),
        ({"joint_views": 2}, "joint_views 2"),
        ({"latents": torch.zeros(4, 4, 3, 4)}, "latents are"),
        ({"output_type": "jpg"}, "output_type"),
        ({"large_views": "room"}, "large_views: str is not a ViewSet"),
        ({"large_views": LARGE.at([0, 1, 2])}, "3 large_views for 4 views"),
        ({"large_views": VIEWS}, "large_views of 32 x 24 pixels; render them at 128 x 96, 4 times"),
        ({"large_views": LARGE.at([0, 2, 1, 3])}, "large_views: view 1 has not the camera of frame 10"),
        ({"images": pictures(size=(20, 28)), "views": room_views(4, size=(28, 20))}, "multiples of 8"),
    ],
)
def test_bad_input_is_named(pipe, change, words):
    with pytest.raises(InputError, match=words) as error:
        upscale(pipe, **change)
    assert "\n" not in str(error.value)


def test_parts_that_are_missing_or_do_not_fit_are_named(tmp_path):
    with pytest.raises(InputError, match="no super-resolution"):
        upscale(make_pipeline(tmp_path))
    other = make_light_unet().__class__.from_config({**make_light_unet().config, "in_channels": 9})
    with pytest.raises(InputError, match="takes 9 channels"):
        make_pipeline(tmp_path, upscale_unet=SuperResolutionUNet.from_unet(other))
    with pytest.raises(InputError, match="detail decoder takes 5 channels"):
        make_pipeline(tmp_path, detail_decoder=DetailDecoder(5))
    with pytest.raises(InputError, match="told 4 maps of the surface, of which there are 5"):
        make_pipeline(tmp_path, detail_decoder=DetailDecoder(4, guide_channels=4))
    with pytest.raises(InputError, match=r"enlarges 2 times, the detail decoder 4 times"):
        make_pipeline(tmp_path, upscale_unet=make_super_resolution(2), detail_decoder=DetailDecoder(4, 4))
