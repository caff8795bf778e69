"""Reference images by IP-Adapters in the published layout, for every layout of models; those that do not fit."""

import json

import cv2
import numpy as np
import pytest
import torch
from diffusers import StableDiffusionControlNetPipeline
from PIL import Image
from safetensors.torch import load_file, save_file
from test_pipeline_generated import command, model, walk  # noqa: F401 (fixtures)
from test_pipelines_habits import EVERY, LAYOUTS
from tiny_adapters import tool, write_ip_adapter
from tiny_backbones import make_backbone
from tiny_pipeline import make_pipeline, room_views, run
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from scenetex import InputError, MVDiffusionPipeline
from scenetex.adapters import Adapter
from scenetex.batch import one_scene
from scenetex.pipelines import ConsistentViews
from scenetex.pipelines.image_prompts import load_reference, pixels_of, read_reference

VIEWS = room_views(4)
RED, BLUE = (np.full((40, 60, 3), colour, np.uint8) for colour in ((200, 30, 20), (10, 40, 220)))


def looking(layout, folder, image=RED, weight=1.0):
    """A pipeline of a layout that goes by an image."""
    pipe = LAYOUTS[layout](folder / "tokens")
    source = write_ip_adapter(pipe.unet, folder / "adapter", "sdxl" if layout == "XL" else "sd15")
    load_reference(pipe, Adapter(str(source), weight), image)
    return pipe


def worth(pipe, **options) -> np.ndarray:
    return run(pipe, VIEWS, steps=2, **options)


@EVERY
def test_images_go_by_the_reference(tmp_path, layout):
    plain = worth(LAYOUTS[layout](tmp_path / "plain"))
    pipe = looking(layout, tmp_path)
    red = worth(pipe)
    assert not np.allclose(red, plain, atol=1e-3)
    assert not np.allclose(worth(pipe, ip_adapter_image=Image.fromarray(BLUE)), red, atol=1e-4)
    assert np.array_equal(worth(pipe), red)  # a call's image is its own
    assert np.array_equal(worth(pipe, ip_adapter_image=[RED / np.float32(255)]), red)
    pipe.set_ip_adapter_scale(0.0)
    assert np.allclose(worth(pipe), plain, atol=1e-5)
    pipe.unload_ip_adapter()
    assert pipe.reference is None and pipe.image_encoder is None and np.allclose(worth(pipe), plain, atol=1e-5)


@EVERY
def test_regions_and_correspondence_go_with_a_reference(tmp_path, layout):
    """Masks of regions, blocks between views and the adapter's attention, each of which still counts."""
    pipe = looking(layout, tmp_path)
    masks = np.zeros((1, 4, 48, 64), bool)
    masks[..., :24, :] = True
    regions = {"region_prompts": ["oak planks"], "region_masks": masks}
    both = worth(pipe, **regions)
    assert not np.allclose(both, worth(pipe), atol=1e-4)
    assert not np.allclose(worth(pipe, **regions, ip_adapter_image=BLUE), both, atol=1e-4)
    if layout == "depth":
        assert not np.allclose(worth(pipe, **regions, correspondence=False), both, atol=1e-4)
    assert np.isfinite(worth(pipe, guidance_scale=1.0)).all()


def test_it_is_what_diffusers_makes_of_it(tmp_path):
    """Every view by itself, through diffusers' own pipeline."""
    pipe = looking("ControlNet", tmp_path)
    own = StableDiffusionControlNetPipeline(
        **{
            name: getattr(pipe, name)
            for name in ("vae", "text_encoder", "tokenizer", "unet", "controlnet", "scheduler")
        },
        image_encoder=pipe.image_encoder,
        feature_extractor=_processor(pipe.image_encoder),
        safety_checker=None,
        requires_safety_checker=False,
    )
    own.set_progress_bar_config(disable=True)
    views = ConsistentViews(own)
    views.reference = RED
    noise = torch.randn(4, 4, 6, 8, generator=torch.Generator().manual_seed(1))
    options = dict(num_inference_steps=2, guidance_scale=5.0, latents=noise, shared_noise=False, fusion=False)
    theirs = views("a red room", VIEWS, **options).images
    assert np.allclose(pipe("a red room", VIEWS, **options).images, theirs, atol=2e-3)


def _processor(encoder):
    side = encoder.config.image_size
    return CLIPImageProcessorPil(size={"shortest_edge": side}, crop_size={"height": side, "width": side})


@pytest.mark.parametrize("shape", [(40, 60), (60, 40), (56, 56), (300, 200), (57, 400)])
def test_pixels_are_those_of_clip(shape):
    encoder = tool.make_image_encoder("tenth")
    image = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    expected = _processor(encoder)(Image.fromarray(image), return_tensors="pt").pixel_values
    assert torch.allclose(pixels_of(image, encoder), expected, atol=1e-5)


def test_embeddings_may_be_passed(tmp_path):
    pipe = looking("ControlNet", tmp_path)
    found = pipe.image_encoder(pixels_of(RED, pipe.image_encoder)).image_embeds
    assert np.allclose(worth(pipe, ip_adapter_image_embeds=[found]), worth(pipe), atol=1e-6)
    both = torch.cat([torch.zeros_like(found), found])
    assert np.allclose(worth(pipe, ip_adapter_image_embeds=[both]), worth(pipe), atol=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ip_adapter_image": [RED, RED]}, "2 images for 1 IP-Adapters"),
        ({"ip_adapter_image": "photo.png"}, "ip_adapter_image is a str; pass a PIL image"),
        ({"ip_adapter_image_embeds": [3]}, "pass a list with a tensor for each of 1 IP-Adapters"),
    ],
)
def test_misuse_is_named(tmp_path, options, message):
    with pytest.raises(InputError, match=message):
        worth(looking("depth", tmp_path), **options)


def test_an_image_needs_an_adapter_and_an_adapter_an_image(tmp_path):
    pipe = make_pipeline(tmp_path / "plain")
    with pytest.raises(InputError, match="the pipeline has no IP-Adapter; call load_ip_adapter first"):
        worth(pipe, ip_adapter_image=RED)
    pipe = looking("depth", tmp_path)
    pipe.reference = None
    with pytest.raises(InputError, match="which needs an image; pass ip_adapter_image"):
        worth(pipe)


def refused(pipe, source) -> str:
    with pytest.raises(InputError) as error:
        load_reference(pipe, Adapter(str(source)), RED)
    assert "\n" not in str(error.value) and len(str(error.value)) < 500
    return str(error.value)


def test_what_does_not_fit_is_named(tmp_path):
    pipe, other = make_pipeline(tmp_path / "tokens"), LAYOUTS["XL"](tmp_path / "other")
    xl = write_ip_adapter(other.unet, tmp_path / "xl", "sdxl")
    assert "has no ip-adapter_sd15.safetensors nor models/ip-adapter_sd15.safetensors" in refused(pipe, xl)
    file = xl / "sdxl_models" / "ip-adapter_sdxl.safetensors"
    assert "made for another base: it has" in refused(pipe, file) and "wide, this model" in refused(pipe, file)
    assert "made for another base" in refused(MVDiffusionPipeline.from_pretrained("mini"), file)
    assert "takes no reference image here" in refused(ConsistentViews(make_backbone("FLUX", tmp_path)), xl)
    assert "no such file or folder" in refused(pipe, tmp_path / "none")
    mine = write_ip_adapter(pipe.unet, tmp_path / "mine")
    file = mine / "models" / "ip-adapter_sd15.safetensors"
    weights = load_file(file)
    save_file({k: v * torch.nan if k.endswith("1.to_k_ip.weight") else v for k, v in weights.items()}, file)
    assert "not finite" in refused(pipe, mine)
    save_file({k.replace("proj.weight", "norm2.weight"): v for k, v in weights.items()}, file)
    assert "for faces" in refused(pipe, mine)
    save_file({"weight": torch.zeros(2)}, file)
    assert "holds no IP-Adapter" in refused(pipe, mine)
    save_file(weights, file)
    config = mine / "models" / "image_encoder" / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "projection_dim": 8}))
    assert "no image_encoder with a projection_dim of 48" in refused(pipe, mine)
    config.write_text("{")
    assert "cannot be loaded as an image encoder" in refused(pipe, mine)


def test_references_are_read_as_photos_are(tmp_path):
    """Upright, in sRGB, white where they are transparent; what is no image is named."""
    wide = np.zeros((20, 30, 3), np.uint8)
    wide[:, :15] = 255
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(wide).save(tmp_path / "turned.jpg", exif=exif, quality=98)
    turned = read_reference(tmp_path / "turned.jpg")
    assert turned.shape == (30, 20, 3) and turned[:13].min() > 240 and turned[17:].max() < 15
    clear = np.dstack([np.full((8, 8, 3), 40, np.uint8), np.zeros((8, 8), np.uint8)])
    clear[:4, :, 3] = 255
    cv2.imwrite(str(tmp_path / "clear.png"), clear)
    image = read_reference(tmp_path / "clear.png")
    assert (image[:4] == 40).all() and (image[4:] == 255).all()
    cv2.imwrite(str(tmp_path / "grey.png"), np.full((8, 9), 77, np.uint8))
    assert read_reference(tmp_path / "grey.png").shape == (8, 9, 3)
    (tmp_path / "text.png").write_text("nothing")
    for name in ("text.png", "none.png", "."):
        with pytest.raises(InputError, match=str(tmp_path)):
            read_reference(tmp_path / name)


def test_command_paints_by_a_reference(walk, model, tmp_path, capfd):  # noqa: F811
    """Keyframes and views between; another image is another result."""
    pipe = MVDiffusionPipeline.from_pretrained(model)
    folder, photo = write_ip_adapter(pipe.unet, tmp_path / "adapter"), tmp_path / "photo.png"
    options = ["--prompt", "a red room", "--keyframes", "0,40", "--between", "1"]
    options += ["--ip-adapter", f"{folder}:0.8", "--reference", str(photo)]
    images = []
    for image in (RED, BLUE):
        cv2.imwrite(str(photo), image)
        one_scene._model.cache_clear()  # of this process, which a command has for itself
        assert command(walk, model, tmp_path / "out", *options) == 0
        images.append(sorted(path.read_bytes() for path in (tmp_path / "out" / "walk" / "views").glob("*.png")))
    assert images[0] != images[1]
    capfd.readouterr()
    photo.write_text("nothing")
    one_scene._model.cache_clear()
    assert command(walk, model, tmp_path / "out", *options) != 0
    said = capfd.readouterr().err.strip().splitlines()
    assert str(photo) in said[-1] and "Traceback" not in "".join(said)
