"""Consistent views from pipelines of diffusers that are left alone: every backbone, windows, known pixels, misuse."""

import diffusers
import numpy as np
import pytest
import torch
from PIL import Image
from tiny_backbones import BACKBONES, make_backbone
from tiny_pipeline import make_pipeline, make_unet, room_views, some_of

from scenetex import InputError, overlap_psnr
from scenetex.pipelines import ConsistentViews
from scenetex.pipelines.conditioning import control_image
from scenetex.pipelines.known_pixels import Known
from scenetex.pipelines.latent_fusion import Fusion
from scenetex.pipelines.latent_layout import latents_of
from scenetex.pipelines.scene_views import SceneViews

VIEWS = room_views(4)
OFF = {"shared_noise": False, "fusion": False}
SOME = ["Stable Diffusion", "Stable Diffusion 3", "FLUX", "Z-Image", "Qwen-Image"]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Pipelines by name, each made once."""
    pipes = {}

    def make(name: str) -> ConsistentViews:
        if name not in pipes:
            pipes[name] = ConsistentViews(make_backbone(name, tmp_path_factory.mktemp("tokens")))
        return pipes[name]

    return make


def run(pipe, views=VIEWS, prompt="a red room", seed=3, steps=4, **options):
    options = {"generator": torch.Generator().manual_seed(seed), "num_inference_steps": steps} | options
    return pipe(prompt, views, **options).images


def difference(views, latents) -> float:
    """Mean squared difference of latent cells (m, c, h, w) to the mean over all that show the same place."""
    known = torch.zeros(len(views), 1, *latents.shape[2:], dtype=torch.bool)
    places = SceneViews(views).places(range(len(views)))
    tokens, mean, _ = Fusion(places, latents.shape[2:], known, 1.0).fuse(latents)
    rows = latents.permute(0, 2, 3, 1).flatten(0, 2)
    return float((rows[tokens] - mean).square().mean())


@pytest.mark.parametrize("name", BACKBONES)
def test_views_overlap_by_three_decibels_more(made, name):
    pipe = made(name)
    alone, together = (overlap_psnr(VIEWS, 255 * run(pipe, **options)).mean for options in (OFF, {}))
    assert together > alone + 3


@pytest.mark.parametrize("name", BACKBONES)
def test_latents_agree_by_fusion_alone(made, name):
    pipe = made(name)
    alone, fused = (difference(VIEWS, run(pipe, output_type="latent", **options)) for options in (OFF, {}))
    assert 10 * np.log10(alone / fused) > 3


@pytest.mark.parametrize("name", SOME)
def test_half_precision_pipelines_agree_as_well(tmp_path, name):
    pipe = ConsistentViews(make_backbone(name, tmp_path).to(torch.bfloat16))
    alone, together = (run(pipe, **options) for options in (OFF, {}))
    assert overlap_psnr(VIEWS, 255 * together).mean > overlap_psnr(VIEWS, 255 * alone).mean + 3


@pytest.mark.parametrize("steps", [4, 8])
@pytest.mark.parametrize(
    ("scheduler", "options"),
    [("LCMScheduler", {}), ("TCDScheduler", {}), ("EulerDiscreteScheduler", {"timestep_spacing": "trailing"})],
)
def test_few_steps_of_schedulers_for_them_agree_as_well(made, scheduler, options, steps):
    """As distilled models and LoRAs are run; the other tests run flow matching in as few."""
    own = made("Stable Diffusion").pipe
    pipe = diffusers.StableDiffusionControlNetPipeline(**own.components, requires_safety_checker=False)
    pipe.scheduler = getattr(diffusers, scheduler).from_config(own.scheduler.config, **options)
    pipe.set_progress_bar_config(disable=True)
    alone, together = (run(ConsistentViews(pipe), steps=steps, **off) for off in (OFF, {}))
    assert overlap_psnr(VIEWS, 255 * together).mean > overlap_psnr(VIEWS, 255 * alone).mean + 3


@pytest.mark.parametrize("name", BACKBONES)
def test_with_everything_off_images_are_the_pipelines_own(made, name):
    own = made(name).pipe
    pictures = [Image.fromarray((255 * np.moveaxis(d, 0, -1)).round().astype(np.uint8)) for d in depths(VIEWS)]
    control = "image" if name == "Stable Diffusion" else "control_image"
    torch.manual_seed(5)
    expected = own(
        ["a red room"] * 4,
        **{control: pictures},
        width=64,
        height=48,
        num_inference_steps=3,
        generator=torch.Generator().manual_seed(3),
        output_type="np",
    ).images
    # Stable Diffusion 3 samples what its autoencoder makes of the control images from torch's own state.
    torch.manual_seed(5)
    assert np.array_equal(run(made(name), steps=3, **OFF), expected)


def depths(views) -> np.ndarray:
    return control_image(views.depth).numpy()


@pytest.mark.parametrize("name", SOME)
def test_images_do_not_depend_on_the_order_of_views_or_the_state_of_torch(made, name):
    order = [2, 0, 3, 1]
    images = run(made(name), steps=2)
    torch.manual_seed(77)
    state = torch.random.get_rng_state()
    shuffled = run(made(name), some_of(VIEWS, order), steps=2)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert np.allclose(shuffled, images[order], atol=1e-4)


@pytest.mark.parametrize("name", SOME)
def test_the_pipeline_is_left_as_it_was(made, name):
    pipe = made(name).pipe
    scheduler, config = pipe.scheduler, dict(pipe.config)
    first = run(made(name), steps=2)
    assert pipe.scheduler is scheduler and dict(pipe.config) == config
    assert np.array_equal(run(made(name), steps=2), first)
    with pytest.raises(ZeroDivisionError):
        run(made(name), callback_on_step_end=lambda *_: 1 / 0)
    assert pipe.scheduler is scheduler


@pytest.mark.parametrize("name", SOME)
def test_known_pixels_hold(made, name):
    """To the bit in images, and in latents in every cell that they fill."""
    pipe, rng = made(name), np.random.default_rng(0)
    coarse = rng.random((4, 6, 8, 3))
    images = [np.kron(image, np.ones((8, 8, 1))).astype(np.float32) for image in coarse]
    masks = [None, np.zeros((48, 64), bool), None, np.zeros((48, 64), bool)]
    masks[1][:, :32] = True
    masks[3][:16] = True
    given = [None, images[1], images[2], images[3]]
    found = run(pipe, images=given, known=masks)
    assert np.abs(found[2] - images[2]).max() < 1e-6
    for i in (1, 3):
        assert np.abs(found[i] - images[i])[masks[i]].max() < 1e-6
        assert np.abs(found[i] - images[i])[~masks[i]].max() > 0.1
    latents = run(pipe, images=given, known=masks, output_type="latent")
    assert torch.equal(latents[2], latents_of(pipe.pipe, images[2]))
    for i in (1, 3):
        part = Known(images[i], masks[i])
        cells = torch.from_numpy(part.cells(pipe.pipe.vae_scale_factor))
        assert torch.equal(latents[i][:, cells], latents_of(pipe.pipe, part.filled())[:, cells])
    # Others come to what is known.
    assert difference(VIEWS, latents) < 0.5 * difference(VIEWS, run(pipe, output_type="latent", **OFF))


@pytest.mark.parametrize("name", SOME)
def test_views_beyond_memory_follow_in_windows(made, name):
    views, batches = room_views(6), []
    pipe = made(name)
    step = type(pipe.pipe.scheduler).step

    def spy(self, output, t, sample, **options):
        batches.append(len(sample))
        return step(self, output, t, sample, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(pipe.pipe.scheduler), "step", spy)
        windows = run(pipe, views, steps=4, joint_views=4)
    assert max(batches) == 4 and len(batches) == 8
    alone = run(pipe, views, steps=4, joint_views=4, **OFF)
    assert overlap_psnr(views, 255 * windows).mean > overlap_psnr(views, 255 * alone).mean + 3


@pytest.mark.parametrize("name", SOME)
def test_latents_of_images_are_scaled_as_the_pipelines_own(made, name, monkeypatch):
    """What the pipeline itself decodes in an anchor's place is what its autoencoder makes of the anchor."""
    pipe, decoded = made(name), []
    real = ConsistentViews._run

    def spy(self, *args, **options):
        decoded.append(real(self, *args, **options))
        return decoded[-1]

    monkeypatch.setattr(ConsistentViews, "_run", spy)
    image = np.random.default_rng(0).random((48, 64, 3), np.float32)
    run(pipe, images=[None, image, None, None])
    vae = pipe.pipe.vae
    with torch.no_grad():
        pixels = torch.from_numpy(image).permute(2, 0, 1)[None] * 2 - 1
        flat = name != "Qwen-Image"
        there = vae.decode(vae.encode(pixels if flat else pixels[:, :, None]).latent_dist.mode()).sample
    expected = (there if flat else there[:, :, 0])[0] / 2 + 0.5
    assert (decoded[0][1] - expected.clamp(0, 1)).abs().max() < 1e-3


def test_interpolate_keeps_anchors(made):
    pipe = made("FLUX")
    keys = run(pipe, some_of(VIEWS, [0, 3]), steps=2)
    options = {"num_inference_steps": 2, "generator": torch.Generator().manual_seed(3)}
    images = pipe.interpolate("a red room", VIEWS, [keys[0], None, None, keys[1]], **options).images
    assert np.abs(images[[0, 3]] - keys).max() < 1e-6
    with pytest.raises(InputError, match="no image of an anchor"):
        pipe.interpolate("a red room", VIEWS, [None] * 4)


@pytest.mark.parametrize("name", SOME)
def test_each_view_may_have_its_own_prompt(made, name):
    """Of windows, too, and as embeddings."""
    pipe, texts = made(name), ["red", "blue", "green", "oak"]
    same, apart = run(pipe, prompt="red", **OFF), run(pipe, prompt=texts, **OFF)
    assert not np.array_equal(apart[1:], same[1:])
    torch.manual_seed(0)
    one = run(pipe, prompt="blue", steps=2, output_type="pt", **OFF)
    assert one.shape == (4, 3, 48, 64)


def test_embeddings_of_prompts_go_with_their_views(made):
    pipe = made("Stable Diffusion")
    texts = ["red", "blue", "green", "oak", "elm", "ash"]
    views = room_views(6)
    embeds, negative = pipe.pipe.encode_prompt(texts, "cpu", 1, True)
    by_text = run(pipe, views, texts, steps=2, joint_views=4)
    given = {"prompt_embeds": embeds, "negative_prompt_embeds": negative}
    assert np.allclose(run(pipe, views, None, steps=2, joint_views=4, **given), by_text, atol=1e-5)


@pytest.mark.parametrize("name", ["Stable Diffusion 3", "FLUX", "Qwen-Image"])
def test_options_and_guidance_reach_the_pipeline(made, name):
    pipe = made(name)
    plain = run(pipe, steps=2)
    assert not np.array_equal(run(pipe, steps=2, controlnet_conditioning_scale=0.0), plain)
    assert not np.array_equal(run(pipe, steps=2, guidance_scale=3.5), plain)


def test_own_noise_and_kinds_of_output(made):
    pipe = made("FLUX")
    noise = torch.randn(4, 4, 12, 16, generator=torch.Generator().manual_seed(1))
    first = run(pipe, latents=noise, fusion=False, steps=2)
    assert not np.array_equal(run(pipe, latents=-noise, fusion=False, steps=2), first)
    pictures = run(pipe, latents=noise, fusion=False, steps=2, output_type="pil")
    assert np.array_equal(np.stack([np.asarray(p) for p in pictures]), np.round(first * 255).astype(np.uint8))
    tensors = run(pipe, latents=noise, fusion=False, steps=2, output_type="pt")
    assert np.array_equal(tensors.permute(0, 2, 3, 1).numpy(), first)


MISUSE = [
    ({"latents": torch.zeros(4, 16, 12, 16)}, r"latents are \(4, 16, 12, 16\), but the views need \(4, 4, 12, 16\)"),
    ({"output_type": "jpg"}, "output_type 'jpg' is not known"),
    ({"strength": 0.5}, "strength is none of the arguments .* FluxControlNetPipeline"),
    ({"width": 8}, "width is none of the arguments"),
    ({"prompt": None}, "prompt: pass one"),
    ({"prompt": ["red", "blue"]}, "2 prompts for 4 views"),
    ({"images": [None]}, "1 images for 4 views"),
    ({"joint_views": 2}, "joint_views 2"),
    ({"views": room_views(2, size=(60, 44))}, "multiples of 8"),
    ({"views": None}, "not a ViewSet"),
]


@pytest.mark.parametrize(("change", "message"), MISUSE)
def test_misuse_is_one_line(made, change, message):
    with pytest.raises(InputError, match=message) as error:
        run(made("FLUX"), **change)
    assert "\n" not in str(error.value)


def test_pipelines_without_depth_control_are_named(tmp_path, made):
    flux, diffusion = made("FLUX").pipe, made("Stable Diffusion").pipe
    without = ("controlnet", "image_encoder", "feature_extractor")
    parts = {name: part for name, part in flux.components.items() if name not in without}
    plain = diffusers.FluxPipeline(**parts)
    inpaint = diffusers.FluxControlNetInpaintPipeline(**parts, controlnet=flux.controlnet)
    narrow = diffusers.FluxControlPipeline(**parts)  # its transformer takes latents alone
    for pipe in (plain, inpaint, narrow, make_pipeline(tmp_path)):
        with pytest.raises(InputError, match=rf"{type(pipe).__name__}: has no depth control"):
            ConsistentViews(pipe)
    with pytest.raises(InputError, match="pipe is a dict"):
        ConsistentViews({})
    other = diffusers.ControlNetModel.from_unet(make_unet(in_channels=4, cross_attention_dim=16))
    wrong = diffusers.StableDiffusionControlNetPipeline(**{**diffusion.components, "controlnet": other})
    with pytest.raises(InputError, match="made for another base: its cross_attention_dim is 16, the unet's 32"):
        ConsistentViews(wrong)
    several = diffusers.StableDiffusionControlNetPipeline(
        **{**diffusion.components, "controlnet": [diffusion.controlnet] * 2}
    )
    with pytest.raises(InputError, match="has 2 ControlNets"):
        ConsistentViews(several)
