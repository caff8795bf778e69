"""What a step makes of a sample: views, noise levels, prompts and noise, drawn from a generator of its own."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_pipeline import room_views

from scenetex import InputError
from scenetex.data.sample import Sample
from scenetex.training.batches import Schedule
from scenetex.training.encoded import Encoded, EncodedDetail
from scenetex.training.items import (
    choose_views,
    detail_items,
    image_items,
    multi_view_item,
    single_view_items,
    super_resolution_item,
    surface_item,
)

VIEWS = room_views(4)
PROMPTS = (("a red room", "a room of red"),) * 4


def tokenize(text: str) -> torch.Tensor:
    return torch.tensor([len(text), text.count("r")])


def encoded(size=(6, 8), guide=(5, 6, 8)) -> Encoded:
    generator = torch.Generator().manual_seed(0)
    return Encoded(
        torch.randn(4, 4, *size, generator=generator),
        torch.rand(4, *guide, generator=generator).clamp(min=0.2) * (torch.arange(guide[1])[:, None] > 0),
        torch.from_numpy(VIEWS.depth),
        torch.from_numpy(VIEWS.intrinsics).float(),
        torch.from_numpy(VIEWS.cam_to_world).float(),
        PROMPTS,
    )


@given(st.integers(0, 1000), st.integers(1, 8), st.booleans())
@settings(max_examples=40, deadline=None)
def test_chosen_views_are_different_and_in_order(seed, count, together):
    chosen = choose_views(np.random.default_rng(seed), 8, count, together)
    assert len(chosen) == count and chosen == sorted(set(chosen)) and set(chosen) <= set(range(8))
    assert not together or chosen == list(range(chosen[0], chosen[0] + count))


def test_more_views_than_there_are_is_named():
    with pytest.raises(InputError, match="a sample has 3 views, but a step takes 4"):
        choose_views(np.random.default_rng(0), 3, 4, together=True)


def test_images_are_whole_or_mirrored():
    images = np.random.default_rng(0).integers(0, 256, (4, 48, 64, 3), np.uint8)
    seen = set()
    for number in range(20):
        items = image_items(Sample(VIEWS, images, PROMPTS), 3, Schedule(0, 1, None).rng(number), (4, 6, 8), (64, 48))
        for item in items:
            pixels = np.rint((item["images"].permute(1, 2, 0).numpy() + 1) * 127.5).astype(np.uint8)
            found = [(i, m) for i in range(4) for m in (1, -1) if np.array_equal(images[i][:, ::m], pixels)]
            assert len(found) == 1 and item["noise"].shape == (4, 6, 8)
            seen |= set(found)
    assert len(seen) == 8


def test_parts_of_images_come_from_everywhere():
    images = np.random.default_rng(0).integers(0, 256, (4, 48, 64, 3), np.uint8)
    corners = set()
    for number in range(200):
        sample = Sample(VIEWS, images, PROMPTS)
        (item,) = image_items(sample, 1, Schedule(0, 1, None).rng(number), (4, 5, 7), (56, 40))
        pixels = np.rint((item["images"].permute(1, 2, 0).numpy() + 1) * 127.5).astype(np.uint8)
        found = [
            (y, x)
            for image in (*images, *images[:, :, ::-1])
            for y in range(9)
            for x in range(9)
            if np.array_equal(image[y : y + 40, x : x + 56], pixels)
        ]
        assert len(found) == 1
        corners |= set(found)
    assert {y for y, _ in corners} == {x for _, x in corners} == set(range(9))


def test_parts_of_single_views_keep_latents_and_guide_together():
    whole = encoded()
    place = torch.arange(48.0).view(1, 1, 6, 8)
    told = replace(whole, latents=place.expand(whole.latents.shape), guide=place.expand(whole.guide.shape) + 1)
    starts = set()
    for number in range(60):
        rng = Schedule(0, 1, None).rng(number)
        for item in single_view_items(told, rng, tokenize, 1000, (4, 6)):
            latents = item["latents"]
            assert latents.shape[-2:] == item["guide"].shape[-2:] == item["noise"].shape[-2:] == (4, 6)
            start = int(latents[0, 0, 0])
            assert torch.equal(latents[0], place[0, 0, start // 8 : start // 8 + 4, start % 8 : start % 8 + 6])
            # Some guides are roughened.
            assert float((item["guide"][0] - latents[0]).median()) == pytest.approx(1, abs=0.2)
            starts.add(start)
    assert starts == {8 * y + x for y in range(3) for x in range(3)}


@pytest.mark.parametrize("bias", [1.0, 3.0])
def test_noise_levels_are_as_biased_as_asked(bias):
    told = encoded()
    items = [
        item
        for number in range(300)
        for item in single_view_items(told, Schedule(0, 1, None).rng(number), tokenize, 1000, noise_bias=bias)
    ]
    sets = [
        multi_view_item(told, Schedule(1, 1, None).rng(i), tokenize, 1000, None, noise_bias=bias) for i in range(200)
    ]
    for drawn in (items, sets):
        levels = np.array([int(item["timesteps"]) for item in drawn])
        assert levels.min() >= 0 and levels.max() < 1000
        for level in (250, 500, 750):
            assert np.mean(levels < level) == pytest.approx((level / 1000) ** bias, abs=0.09)


def test_single_views_have_a_level_a_prompt_and_noise_each():
    told, items = encoded(), []
    for number in range(60):
        items += single_view_items(told, Schedule(0, 1, None).rng(number), tokenize, 1000)
    levels = np.array([int(item["timesteps"]) for item in items])
    assert levels.min() < 60 and levels.max() > 940 and abs(levels.mean() - 500) < 60
    noise = torch.stack([item["noise"] for item in items])
    assert abs(noise.mean()) < 0.02 and abs(noise.std() - 1) < 0.02
    texts = [tuple(item["input_ids"].tolist()) for item in items]
    known = {tuple(tokenize(text).tolist()): text for text in ("", *PROMPTS[0])}
    counts = {text: texts.count(key) / len(texts) for key, text in known.items()}
    assert sum(counts.values()) == pytest.approx(1) and 0.05 < counts[""] < 0.16
    assert min(counts[text] for text in PROMPTS[0]) > 0.35
    rough = [float((item["guide"] - told.guide[i % 4]).std()) for i, item in enumerate(items)]
    assert rough.count(0.0) / len(rough) == pytest.approx(0.5, abs=0.1) and 0.05 < max(rough) < 0.13
    assert all((item["guide"][:, 0] == 0).all() for item in items), "nothing stays nothing"


def test_sets_share_a_level_a_prompt_and_their_geometry():
    told, shared = encoded(), []
    for number in range(30):
        item = multi_view_item(told, Schedule(0, 1, None).rng(number), tokenize, 1000, None)
        assert "given" not in item and item["timesteps"].ndim == 0
        assert (item["input_ids"] == item["input_ids"][0]).all()
        for name in ("latents", "guide", "depth", "intrinsics", "cam_to_world"):
            assert torch.equal(item[name], getattr(told, name))
        white = Schedule(0, 1, None).rng(number)
        values = item["noise"].flatten(2).permute(0, 2, 1).reshape(-1, 4)
        shared.append(len(values.unique(dim=0)) < len(values))
        assert abs(float(item["noise"].std()) - 1) < 0.1 and white is not None
    assert 3 < sum(shared) < 13, "about a quarter of the sets start from common noise"


def test_keys_alternate_in_interpolation_and_are_empty_in_generation():
    told, starts = encoded(), set()
    for number in range(12):
        given = multi_view_item(told, Schedule(0, 1, None).rng(number), tokenize, 1000, True)["given"]
        assert given.shape == (4, 1, 6, 8)
        given = given.all((1, 2, 3))
        assert given.tolist() in ([True, False, True, False], [False, True, False, True])
        starts.add(bool(given[0]))
        empty = multi_view_item(told, Schedule(0, 1, None).rng(number), tokenize, 1000, False)["given"]
        assert empty.dtype == torch.bool and not empty.any()
    assert starts == {True, False}


def test_some_sets_go_without_blocks_half_of_them_without_a_prompt():
    told = encoded()
    assert "alone" not in multi_view_item(told, np.random.default_rng(0), tokenize, 1000, False)
    items = [
        multi_view_item(told, Schedule(0, 1, None).rng(i), tokenize, 1000, False, some_alone=True) for i in range(400)
    ]
    alone = [item for item in items if item["alone"]]
    assert 20 < len(alone) < 65
    silent = sum(bool((item["input_ids"] == tokenize("")).all()) for item in alone)
    assert 0.35 < silent / len(alone) < 0.75


def test_the_middle_of_large_views_gets_the_middle_of_their_noise():
    told = encoded(size=(12, 16), guide=(4, 6, 8))
    for number in range(6):
        item = super_resolution_item(told, Schedule(0, 1, None).rng(number), tokenize, 1000, (24, 32))
        assert item["noise"].shape == (4, 4, 12, 16)
        whole = super_resolution_item(
            encoded(size=(24, 32), guide=(4, 6, 8)), Schedule(0, 1, None).rng(number), tokenize, 1000, (24, 32)
        )
        assert torch.equal(whole["noise"][..., 6:18, 8:24], item["noise"])


def test_surface_items_tell_views_parts_and_wear():
    images = np.random.default_rng(0).integers(0, 256, (4, 48, 64, 3), np.uint8)
    seen, told, blurred = set(), [], []
    for number in range(200):
        sample = Sample(VIEWS, images, PROMPTS)
        rng = Schedule(0, 1, None).rng(number)
        item = surface_item(sample, choose_views(rng, len(sample), 2, together=True), rng, (4, 3, 5), 8)
        pixels = np.rint((item["images"].permute(0, 2, 3, 1).numpy() + 1) * 127.5).astype(np.uint8)
        (first,) = [i for i in range(3) if np.array_equal(images[i : i + 2], pixels)]
        torch.testing.assert_close(item["depth"], torch.from_numpy(VIEWS.depth[first : first + 2]))
        assert item["surface"].shape == (2, 5, 48, 64) and item["noise"].shape == (2, 4, 3, 5)
        seen.add((first, *item["corner"].tolist()))
        told += item["told"].tolist()
        blurred += item["blur"].tolist()
        assert 0 <= float(item["level"].min()) and float(item["level"].max()) <= 1
    # Three runs of views; rows 0 to 3 and columns 0 to 3 of the 6 x 8 cells.
    assert {s[0] for s in seen} == {0, 1, 2} and {s[1:] for s in seen} == {(r, c) for r in range(4) for c in range(4)}
    assert 0.88 < np.mean(told) < 0.98 and 0.2 < np.mean(np.array(blurred) > 0) < 0.4


def test_the_surface_is_told_of_the_part_that_is_seen():
    """Each large pixel's own; of some views, nothing."""
    places = torch.arange(96.0 * 128).view(96, 128) + 1
    maps = {"large": places.expand(40, 3, -1, -1), "difference": torch.zeros(40, 3, 96, 128)}
    small = {"small": torch.zeros(40, 3, 24, 32), "told": torch.zeros(40, 24, 32)}
    made = EncodedDetail(torch.zeros(40, 4, 12, 16), **maps, **small, surface=places.expand(40, 5, -1, -1))
    items = detail_items(made, np.random.default_rng(0), (4, 6))
    told = [item for item in items if item["surface"].any()]
    assert 25 < len(told) < 40 and all(item["surface"].shape == (5, 32, 48) for item in items)
    assert all(torch.equal(item["surface"][k], item["large"][0]) for item in told for k in range(5))
    untold = replace(made, surface=None)
    assert all("surface" not in item for item in detail_items(untold, np.random.default_rng(0), (4, 6)))
