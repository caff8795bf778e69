"""The small model that ships: whole, small, and worth its place: it obeys, follows depth and keeps views together."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from safetensors import safe_open

import scenetex
from scenetex import MVDiffusionPanoramaPipeline, MVDiffusionPipeline
from scenetex.data.rooms import RingStream, RoomStream
from scenetex.data.sample import Sample
from scenetex.metrics import edge_agreement, measure_detail, overlap_psnr
from scenetex.metrics.panoramas import NEIGHBOURS
from scenetex.metrics.room_scores import autoencode
from scenetex.metrics.upscaling import psnr
from scenetex.pipelines.prompts import parts_of

FOLDER = Path(scenetex.__file__).parent / "weights" / "mini"
STEPS = 8
UNSEEN = RoomStream(1_000_003, 4)


@pytest.fixture(scope="module")
def mini():
    pipe = MVDiffusionPipeline.from_pretrained("mini")
    pipe.set_progress_bar_config(disable=True)
    return pipe


@pytest.fixture(scope="module")
def sample():
    return UNSEEN.sample(0)


def generate(pipe, sample, prompt, **switches) -> list[np.ndarray]:
    seeded = torch.Generator().manual_seed(0)
    made = pipe(prompt, sample.views, num_inference_steps=STEPS, generator=seeded, **switches).images
    return list(np.round(made * 255).astype(np.uint8))


@pytest.fixture(scope="module")
def images(mini, sample):
    return generate(mini, sample, sample.prompts[0][0])


def test_it_is_small_and_of_safe_tensors_in_half_precision():
    files = [p for p in FOLDER.rglob("*") if p.is_file()]
    assert sum(p.stat().st_size for p in files) <= 60 * 2**20
    assert {p.suffix for p in files} <= {".json", ".safetensors", ".md"}
    for path in FOLDER.rglob("*.safetensors"):
        with safe_open(path, "pt") as file:
            kinds = {name: file.get_slice(name).get_dtype() for name in file.keys()}
        # Frequencies of the displacement encoding stay whole: halves would round them to others.
        assert set(kinds.values()) <= {"F16", "F32", "I64"}, path
        assert all(name.endswith(".bands") for name, kind in kinds.items() if kind == "F32"), path


@pytest.mark.filterwarnings("error::FutureWarning")
@pytest.mark.parametrize("name", ["dtype", "torch_dtype"])
def test_its_precision_goes_by_either_name(mini, name):
    assert mini.unet.dtype == torch.float32
    assert MVDiffusionPipeline.from_pretrained("mini", **{name: torch.bfloat16}).unet.dtype == torch.bfloat16


def test_it_names_no_place_of_the_machine_that_trained_it():
    for path in FOLDER.rglob("*.json"):
        assert "_name_or_path" not in path.read_text(), path


def test_its_card_says_what_it_is():
    card = (FOLDER / "README.md").read_text()
    for word in ("Data", "Steps", "Hardware", "Seed", "Limits", "scenetex evaluate model mini"):
        assert word.lower() in card.lower(), word


def test_it_has_all_parts_of_the_method(mini):
    assert mini.vae_scale_factor == 8 and mini.vae.config.latent_channels == 8
    assert mini.unet.condition_branch is not None and mini.config.empty_condition
    assert max(float(p.abs().max()) for p in mini.unet.multiview_parameters()) > 0


def test_its_images_are_no_blur_and_follow_the_depth(sample, images):
    mine, truth = measure_detail(images), measure_detail(list(sample.images))
    # Fewer steps than usual, and a room with much pattern: 0.40; twenty rooms had 0.71 (see the card).
    assert mine.contrast > 0.5 * truth.contrast and mine.sharpness > 0.3 * truth.sharpness
    assert edge_agreement(sample.views, images) > 0.5 * edge_agreement(sample.views, list(sample.images))


def test_its_views_agree_more_than_single_ones(mini, sample, images):
    alone = generate(mini, sample, sample.prompts[0][0], correspondence=False, shared_noise=False, fusion=False)
    together, apart = (overlap_psnr(sample.views, made).mean for made in (images, alone))
    assert together > apart + 2


def test_it_does_what_it_is_told(mini, sample):
    """Of a blue and of a red floor, each is more so than the other, and on the floor rather than anywhere."""
    floor = sample.views.normal[..., 2] > 0.9
    reds = {}
    for color in ("red", "blue"):
        made = np.stack(generate(mini, sample, f"a bedroom with white paint walls and {color} carpet")).astype(float)
        balance = made[..., 0] - made[..., 2]
        reds[color] = balance[floor].mean(), balance[~floor].mean()
    assert reds["red"][0] > reds["blue"][0] + 20
    assert reds["red"][0] - reds["blue"][0] > reds["red"][1] - reds["blue"][1]


def test_its_large_images_beat_bicubic(mini):
    """And more so where other views show the same; half a room's walk, from a quarter of the size."""
    whole = RoomStream(1_000_003, 12, (512, 384)).sample(0)
    large = Sample(whole.views.at(range(4)), whole.images[:4], whole.prompts[:4])
    small = large.shrunk(4)
    plain = [cv2.resize(image, large.views.size, interpolation=cv2.INTER_CUBIC) for image in small.images]
    together, alone = (
        list(np.round(mini.upscale("a room", small.views, list(small.images), correspondence=c).images * 255))
        for c in (True, False)
    )
    scores = [
        np.mean([psnr(a, b) for a, b in zip(made, large.images, strict=True)]) for made in (together, alone, plain)
    ]
    assert scores[0] > scores[1] > scores[2] + 0.1


def test_neighbours_in_its_panoramas_agree_by_blocks_of_their_own():
    pipe = MVDiffusionPanoramaPipeline.from_pretrained("mini")
    pipe.set_progress_bar_config(disable=True)
    assert pipe.unet.config.kind == "panorama" and pipe.unet.condition_branch is not None
    sample = RingStream(777).sample(0)
    alone = {"shared_noise": False, "fusion": False}

    def agreement(**switches) -> float:
        seeded = torch.Generator().manual_seed(0)
        made = pipe(
            sample.prompts[0][0], views=sample.views, num_inference_steps=4, generator=seeded, **switches
        ).images
        return overlap_psnr(sample.views, list(np.round(made * 255).astype(np.uint8)), NEIGHBOURS).mean

    nothing = agreement(correspondence=False, **alone)
    assert agreement(**alone) > nothing + 1.5 and agreement() > 1.4 * nothing


def test_the_same_seed_gives_the_same_images(mini, sample, images):
    again = generate(mini, sample, sample.prompts[0][0])
    assert all(np.array_equal(a, b) for a, b in zip(images, again, strict=True))


def test_the_package_takes_it_along():
    import tomllib

    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())
    patterns = project["tool"]["setuptools"]["package-data"]["scenetex"]
    root = Path(scenetex.__file__).parent
    taken = {p for pattern in patterns for p in root.glob(pattern)}
    assert {p for p in FOLDER.rglob("*") if p.is_file()} <= taken
    assert json.loads((FOLDER / "model_index.json").read_text())["_class_name"] == "MVDiffusionPipeline"


def test_no_corner_of_an_image_is_odd(mini):
    """Once, what the autoencoder met below and right of the image left a dab of blue and yellow there."""
    excess = []
    for index in range(9):
        room = RoomStream(1_000_007, 12).sample(index)
        made = autoencode(mini, list(room.images), room.views)
        excess.append(_corners(np.stack(made)) - _corners(room.images))
    mean = np.concatenate(excess)[:100].mean(0)
    assert (mean < 3).all(), "of 255 levels by which a corner's colour is farther from its surroundings' than in truth"


def _corners(images: np.ndarray) -> np.ndarray:
    """(m, 4): how far the colour of each corner's 8 x 8 pixels lies from that of 32 x 32."""
    turned = [images[:, ::down, ::right].astype(float) for down in (1, -1) for right in (1, -1)]
    apart = [im[:, :8, :8].mean((1, 2)) - im[:, :32, :32].mean((1, 2)) for im in turned]
    return np.abs(np.stack(apart, 1)).max(2)


def test_another_number_of_threads_shows_in_single_levels_at_most(mini, sample):
    """As docs/troubleshooting.md says: it is oneDNN's convolutions that add in another order."""
    before, found = torch.get_num_threads(), {}
    try:
        for plain in (False, True):
            torch.backends.mkldnn.enabled = not plain
            for threads in (1, 2):
                torch.set_num_threads(threads)
                seeded = torch.Generator().manual_seed(0)
                made = mini("a room", sample.views, num_inference_steps=1, generator=seeded).images
                found[plain, threads] = np.stack(made)
    finally:
        torch.backends.mkldnn.enabled = True
        torch.set_num_threads(before)
    np.testing.assert_array_equal(found[True, 1], found[True, 2])
    np.testing.assert_allclose(found[False, 1], found[False, 2], rtol=0, atol=1 / 255)


def test_it_reads_long_prompts_to_their_end(mini, sample):
    """Two endings behind more words than it reads at once: walls are as blue or yellow as without these words."""
    furniture = (
        "A modern living room, furnished with a leather sofa, an armchair, a round coffee table, a bookcase, a desk, "
        "a sideboard, a tv, a chair, a wardrobe, a chest of drawers, a pendant lamp, a leafy plant and a dining table "
        "with chairs. "
    )
    one = Sample(sample.views.at([0]), sample.images[:1], sample.prompts[:1])

    def blue_over_red(prompt: str) -> float:
        (image,) = generate(mini, one, prompt)
        return float(image[..., 2].mean() - image[..., 0].mean())

    endings = [f"A white marble floor and {color} walls in a living room" for color in ("blue", "yellow")]
    assert len(parts_of(mini.tokenizer, furniture + endings[0])) > 1
    short = [blue_over_red(text) for text in endings]
    long = [blue_over_red(furniture + text) for text in endings]
    assert long[0] - long[1] > 0.6 * (short[0] - short[1]) > 20
