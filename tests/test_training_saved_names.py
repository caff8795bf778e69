"""What runs that began with an earlier version rely on: the order of their batches, folders of caches, weights' names.

Literal values, taken when such runs began. Where one of them changes, a run cannot go on, or learns from what it has
not drawn, or encodes all its samples again.
"""

import json
from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from tiny_pipeline import room_views
from tiny_training import options, stage_of, tiny_autoencoder

from scenetex.data.rooms import RingStream, RoomStream
from scenetex.data.sample import Sample
from scenetex.data.sample_cache import CachedSource
from scenetex.data.scans import ScanFolder
from scenetex.training.batches import Schedule, Shard, encoded_batches, image_batches
from scenetex.training.encoded import Encoded, EncodedDetail
from scenetex.training.encoded_cache import EncodedCache, read_encoded
from scenetex.training.items import (
    choose_views,
    detail_items,
    image_items,
    multi_view_item,
    ring_item,
    single_view_items,
    super_resolution_item,
    surface_item,
)

SENTENCES = (("one", "two words", "and three words"),) * 4
VIEWS = replace(room_views(4), depth=np.full((4, *room_views(4).size[::-1]), 2.0, np.float32))


class Numbered:
    """A source whose samples tell their number."""

    size = VIEWS.size

    def sample(self, index: int) -> Sample:
        return Sample(VIEWS, np.full((4, *self.size[::-1], 3), index, np.uint8), SENTENCES)

    def words(self) -> set[str]:
        return set()

    def __repr__(self) -> str:
        return "Numbered()"


def encoded(index: int, size=(6, 8), guide=(5, 6, 8)) -> Encoded:
    maps = np.random.default_rng(index).random((4, *guide), np.float32)
    return Encoded(
        torch.full((4, 4, *size), float(index)),
        torch.from_numpy(maps),
        torch.from_numpy(VIEWS.depth),
        torch.from_numpy(VIEWS.intrinsics).float(),
        torch.from_numpy(VIEWS.cam_to_world).float(),
        SENTENCES,
    )


def tokenize(text: str) -> torch.Tensor:
    return torch.tensor(len(text))


def told(item: dict) -> dict:
    """An item in a few numbers: the first of each tensor, rounded."""
    return {name: [round(float(v), 4) for v in value.flatten()[:2].tolist()] for name, value in sorted(item.items())}


def rng(number: int = 3) -> np.random.Generator:
    return Schedule(7, 1, None).rng(number)


def test_a_seed_takes_samples_in_the_same_order():
    slots = [Schedule(7, 3, 5).slots(step) for step in (0, 1, 2, 4)]
    assert slots == [
        [(0, 3), (1, 0), (2, 2)],
        [(3, 1), (4, 4), (5, 4)],
        [(6, 1), (7, 0), (8, 3)],
        [(12, 3), (13, 0), (14, 4)],
    ]
    assert Schedule(7, 3, None).slots(2) == [(6, 6), (7, 7), (8, 8)]


def test_batches_of_images_come_in_the_same_order():
    def make(sample: Sample, rng: np.random.Generator) -> list[dict]:
        return [{"drawn": torch.tensor([int(sample.images[0, 0, 0, 0]), int(rng.integers(1000))])}]

    with closing(image_batches(Numbered(), Schedule(7, 4, None), Shard(1, 2, 2), 0, make)(5)) as batches:
        drawn = [[part["drawn"].tolist() for part in next(batches)] for _ in range(2)]
    assert drawn == [[[[22, 376]], [[23, 679]]], [[[26, 379]], [[27, 367]]]]


def test_encoded_batches_come_in_the_same_order_from_the_same_folder(tmp_path):
    vae = tiny_autoencoder()
    with torch.no_grad():
        for parameter in vae.parameters():
            parameter.fill_(0.5)
    cache = EncodedCache.within(tmp_path, Numbered(), Encoded, lambda s: encoded(int(s.images[0, 0, 0, 0])), vae, "80")
    assert cache.folder.name == "234449ba539b6880"

    def make(found: Encoded, number: int) -> list[dict]:
        return [{"drawn": torch.tensor([number, int(found.latents[0, 0, 0, 0])]), "guide": found.guide[0, 0, 0, 0]}]

    with closing(encoded_batches(cache, Schedule(7, 2, 3), Shard(0, 1, 1), 2, True, make)(1)) as batches:
        (first,), (second,) = next(batches), next(batches)
    assert first["drawn"].tolist() == [[2, 1], [3, 2]] and second["drawn"].tolist() == [[4, 0], [5, 1]]
    assert first["guide"].tolist() == pytest.approx([0.0996, 0.8374], abs=1e-4)
    assert second["guide"].tolist() == pytest.approx([0.6504, 0.0996], abs=1e-4)


def test_what_is_drawn_for_images_is_the_same():
    pixels = np.random.default_rng(1).integers(0, 256, Numbered().sample(0).images.shape, np.uint8)
    sample = Sample(VIEWS, pixels, SENTENCES)
    assert [told(item) for item in image_items(sample, 2, rng(), (4, 2, 3), (24, 16))] == [
        {"images": [0.6, 0.7569], "noise": [-0.5653, -0.7903]},
        {"images": [0.6314, -0.1294], "noise": [-1.2774, 1.3101]},
    ]
    drawn = rng()
    found = told(surface_item(sample, choose_views(drawn, len(sample), 2, together=True), drawn, (4, 3, 5), 8))
    assert {name: found[name] for name in ("images", "corner", "noise", "level", "blur", "told")} == {
        "images": [1.0, -0.051],
        "corner": [3.0, 3.0],
        "noise": [0.1311, -0.5182],
        "level": [0.2188, 0.109],
        "blur": [0.0, 0.9616],
        "told": [1.0, 1.0],
    }


def test_what_is_drawn_for_latents_is_the_same():
    assert [told(item) for item in single_view_items(encoded(1), rng(), tokenize, 1000, (4, 6), 1.5)][:2] == [
        {"guide": [0.7552, 0.9505], "input_ids": [3], "latents": [1, 1], "noise": [1.2622, 0.7512], "timesteps": [765]},
        {
            "guide": [0.4551, 0.8397],
            "input_ids": [15],
            "latents": [1, 1],
            "noise": [0.2558, 0.2836],
            "timesteps": [862],
        },
    ]
    sets = {
        "multi": multi_view_item(encoded(1), rng(), tokenize, 1000, True),
        "ring": ring_item(encoded(1), rng(0), tokenize, 1000, True),
        "large": super_resolution_item(encoded(1), rng(), tokenize, 1000, (12, 16)),
    }
    for kind in ("multi", "ring"):  # all cells of a view, or none
        sets[kind]["given"] = sets[kind]["given"].all((1, 2, 3))
    drawn = ("given", "input_ids", "noise", "timesteps")
    found = {kind: {k: v for k, v in told(item).items() if k in drawn} for kind, item in sets.items()}
    assert found == {
        "multi": {"given": [1, 0], "input_ids": [3, 3], "noise": [2.7239, -1.5572], "timesteps": [622]},
        "ring": {"given": [0, 0], "input_ids": [3, 3], "noise": [-0.4099, -1.1195], "timesteps": [165]},
        "large": {"input_ids": [3, 3], "noise": [-1.3367, -0.7687], "timesteps": [129]},
    }


def test_what_is_drawn_for_detail_is_the_same_from_files_as_they_were(tmp_path):
    """Large and small images and what other views show lie in one tensor there, on the small images' grid."""
    maps = torch.from_numpy(np.random.default_rng(1).random((4, 6 * 4 + 4, 24, 32), np.float32))
    was = replace(encoded(1), guide=maps)
    halves = {name: getattr(was, name).half() for name in ("latents", "guide", "depth")}
    cameras = {name: getattr(was, name) for name in ("intrinsics", "cam_to_world")}
    save_file(halves | cameras, tmp_path / "a.safetensors", {"prompts": json.dumps(SENTENCES)})
    found = read_encoded(tmp_path / "a.safetensors", EncodedDetail)
    assert found.surface is None
    second = told(detail_items(found, rng(), (3, 4))[1])
    assert second == {
        "difference": pytest.approx([0.5141, 0.2167], abs=1e-3),
        "large": pytest.approx([0.1555, 0.3382], abs=1e-3),
        "latents": [1, 1],
        "level": [0.0367],
        "noise": [1.6286, -1.4484],
        "small": pytest.approx([0.7103, 0.8608], abs=1e-3),
        "told": pytest.approx([0.1144, 0.1981], abs=1e-3),
    }


def test_sources_and_their_folders_have_the_same_names(tmp_path, monkeypatch):
    rooms, rings = RoomStream(3, 2, (32, 24)), RingStream(3, size=(64, 64))
    (tmp_path / "scans" / "a").mkdir(parents=True)
    (tmp_path / "scans" / "a" / "prompt.txt").write_text("a room")
    monkeypatch.chdir(tmp_path)
    assert [repr(source) for source in (rooms, rings, ScanFolder("scans", least=3, allow_outside=True))] == [
        "RoomStream(seed=3, views=2, size=(32, 24), materials=None)",
        "RingStream(seed=3, views=8, size=(64, 64), materials=None)",
        "ScanFolder(folder='scans', size=(256, 192), depth='rendered', views=16, seed=0)",
    ]
    assert repr(RoomStream(3, 2, strayed=0.25)).endswith(", materials=None, strayed=0.25)")
    folders = [CachedSource.within(tmp_path, source).folder.name for source in (rooms, rings)]
    assert folders == ["samples-77dac22b1db938a1", "samples-063f74c37599ca10"]


BLOCKS = {"unet.down_correspondence", "unet.mid_correspondence", "unet.up_correspondence"}


@pytest.mark.parametrize(
    ("stage", "how", "trained", "frozen"),
    [
        ("autoencoder", None, {"vae.encoder", "vae.decoder", "vae.quant_conv", "critic.heads"}, {"eyes"}),
        ("single-view", "80 seen", {"unet.conv_in", "unet.mid_block", "read.0", "read.2"}, {"text_encoder"}),
        ("multi-view", "80", BLOCKS, {"unet", "text_encoder"}),
        ("interpolation", "80", {*BLOCKS, "unet.condition_branch"}, {"unet", "text_encoder"}),
        ("panorama", "80", {*BLOCKS, "unet.condition_branch"}, {"unet", "text_encoder"}),
        ("super-resolution", "super-resolution 4 4 4", {"unet.unet", "unet.low_resolution"}, {"text_encoder"}),
        ("detail", "detail 4", {"decoder.read", "decoder.residual_blocks", "decoder.write"}, set()),
    ],
)
def test_weights_in_checkpoints_have_the_same_names(tiny_models, tmp_path, monkeypatch, stage, how, trained, frozen):
    ways, within = [], EncodedCache.within.__func__
    spy = lambda cls, *given: ways.append(given[-1]) or within(cls, *given)  # noqa: E731
    monkeypatch.setattr(EncodedCache, "within", classmethod(spy))
    monkeypatch.setattr(EncodedCache, "fill", lambda *given: None)
    more = {"single-view": {"alignment": 0.5}, "autoencoder": {"adversarial": 0.5}}.get(stage, {})
    asked = options(stage, tiny_models, tmp_path / "run", cache=tmp_path / "cache", **more)
    objective = stage_of(asked).objective
    names = {p.requires_grad: set() for p in objective.parameters()}
    for name, parameter in objective.named_parameters():
        names[parameter.requires_grad].add(name)
    assert ways == ([] if how is None else [how])
    assert trained <= {".".join(name.split(".")[:2]) for name in names[True]}
    assert {name.split(".")[0] for name in names.get(False, ())} == frozen
