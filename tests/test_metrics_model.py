"""Figures of a model: what is switched off, what is asked, and how it adds up."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny_pipeline import make_pipeline, room_views, run, some_of

from scenetex import InputError
from scenetex.metrics import overlap_psnr
from scenetex.metrics import prompt_adherence as obedience
from scenetex.metrics import room_scores as rooms
from scenetex.metrics.detail_scores import Detail
from scenetex.metrics.model_report import model_figures, room_rows
from scenetex.metrics.prompt_adherence import (
    ASKED_FLOORS,
    ASKED_SOFAS,
    ASKED_WALLS,
    PROMPTS,
    Answer,
    obeyed_prompts,
    sentence,
)
from scenetex.metrics.room_scores import (
    STEPS_PER_ROOM,
    VARIANTS,
    RoomScore,
    Settings,
    autoencode,
    score_room,
    score_views,
)
from scenetex.metrics.score_table import Figure, table, to_json
from scenetex.synthetic.palette import COLORS, FLOORS, WALLS

SMALL = Settings(rooms=1, views=2, steps=1, size=(64, 48), guidance_scale=1.0)


@pytest.fixture(scope="module")
def pipe(tmp_path_factory):
    return make_pipeline(tmp_path_factory.mktemp("tokens"))


def test_each_variant_is_the_pipeline_with_those_switches(pipe, monkeypatch):
    views = room_views(3)
    truth = list(np.random.default_rng(0).integers(0, 256, (3, 48, 64, 3), dtype=np.uint8))
    calls, steps = [], []
    inner = rooms.generate
    monkeypatch.setattr(rooms, "generate", lambda *a, **k: calls.append(k) or inner(*a, **k))
    score = score_views(pipe, views, truth, ["a red room"] * 3, SMALL, 4, lambda: steps.append(1))
    assert calls == list(VARIANTS.values()) and len(steps) == STEPS_PER_ROOM
    assert set(score.psnr) == {*VARIANTS, "truth", "autoencoded"}
    keys = some_of(views, [0, 2])
    for name, switches in VARIANTS.items():
        images = run(pipe, keys, ["a red room"] * 2, SMALL.seed + 4, 1, guidance_scale=1.0, **switches)
        again = overlap_psnr(keys, list(np.round(images * 255).astype(np.uint8)))
        assert np.array_equal(score.psnr[name], again.psnr) and len(again.psnr)
    assert np.array_equal(score.psnr["truth"], overlap_psnr(keys, [truth[0], truth[2]]).psnr)
    assert not np.array_equal(score.psnr["generated"], score.psnr["nothing"])
    assert len(score.between) == 2 and len(score.keys) == 1
    # The interpolated views' keyframes are the generated ones.
    assert score.keys == pytest.approx(score.psnr["generated"])


def test_autoencoded_truth_is_decoded_from_its_own_latents(pipe):
    images = list(np.random.default_rng(0).integers(0, 256, (2, 48, 64, 3), dtype=np.uint8))
    found = autoencode(pipe, images, room_views(2))
    for image, out in zip(images, found, strict=True):
        latent = pipe.encode_image((image / 255).astype(np.float32))[None]
        with torch.no_grad():
            plain = pipe.vae.decode(latent / pipe.vae.config.scaling_factor).sample[0]
        expected = np.round((plain / 2 + 0.5).clamp(0, 1).permute(1, 2, 0).numpy() * 255)
        assert np.abs(out - expected).max() <= 1


def test_rooms_are_the_same_every_time(pipe, quickly_taught):
    once, again = (score_room(pipe, SMALL, 0) for _ in range(2))
    assert all(np.array_equal(once.psnr[name], again.psnr[name]) for name in once.psnr)
    assert all(np.array_equal(hits, again.recognised[name]) and len(hits) for name, hits in once.recognised.items())
    assert once.detail == again.detail


def test_a_model_that_paints_the_truth_darker_obeys(monkeypatch):
    drawn = {}
    render = obedience.render_room

    def spy(room, camera, poses):
        drawn["truth"], *rest = render(room, camera, poses)
        return drawn["truth"], *rest

    monkeypatch.setattr(obedience, "_TEXTURE", 128)
    monkeypatch.setattr(obedience, "render_room", spy)
    monkeypatch.setattr(obedience, "generate", lambda *a, **k: list((drawn["truth"] * 0.9).astype(np.uint8)))
    answers = obedience.ask_room(None, replace(SMALL, views=5), 16)
    assert [(a.part, a.asked, a.obeyed) for a in answers] == [
        ("floor", "pine planks", True),
        ("walls", "sage green paint", True),
        ("sofa", "dark green", True),
    ]
    for answer in answers:
        assert np.allclose(answer.color, answer.wanted * 0.9, atol=6)
    assert obeyed_prompts(answers) == 1


def test_each_color_is_asked_for_in_turn_and_a_prompt_counts_whole(monkeypatch):
    asked, steps = [], []
    monkeypatch.setattr(obedience, "_ask", lambda pipe, settings, k, parts: asked.append(parts) or [k])
    for k in range(PROMPTS):
        assert obedience.ask_room(None, SMALL, k, lambda: steps.append(1)) == [k]
    assert len(steps) == PROMPTS == 24 and len({tuple(parts.items()) for parts in asked}) == 24
    choices = (("floor", ASKED_FLOORS, FLOORS), ("walls", ASKED_WALLS, WALLS), ("sofa", ASKED_SOFAS, None))
    for part, names, looks in choices:
        times = 3 if part == "walls" else 2
        assert sorted(parts[part] for parts in asked if part in parts) == sorted(times * names)
        colors = np.array([COLORS[name] if looks is None else looks[name].color for name in names], float)
        apart = np.linalg.norm(colors[:, None] - colors, axis=-1) + 1e3 * np.eye(8)
        assert apart.min() > 25
    whole = [made("floor", True, 0), made("walls", True, 0), made("floor", True, 1), made("walls", False, 1)]
    assert obeyed_prompts(whole) == 1


def test_prompts_are_sentences():
    floor, walls, sofa = ("floor", "white marble"), ("walls", "red brick"), ("sofa", "teal")
    assert sentence("bedroom", dict([floor, walls])) == "a bedroom with a floor of white marble and red brick walls"
    assert sentence("living room", dict([floor, walls, sofa])) == (
        "a living room with a floor of white marble, red brick walls and a teal sofa"
    )


def room_score(pairs: int, generated: float, sharp: float) -> RoomScore:
    levels = {"generated": generated, "nothing": 18, "no_blocks": 22, "blocks_only": 20, "truth": 36, "autoencoded": 30}
    return RoomScore(
        psnr={name: np.full(pairs, float(value)) for name, value in levels.items()},
        keys=np.array([24.0]),
        between=np.array([25.0, 27.0]),
        detail={"generated": Detail(sharp, 30.0), "truth": Detail(4.0, 40.0)},
        edges={"generated": 0.3, "truth": 0.4},
        inner={"generated": sharp / 2, "truth": 2.0},
        octaves={"generated": np.arange(5.0), "truth": np.full(5, 4.0)},
        blocks={"generated": 1.1, "truth": 1.0},
        recognised={"generated": np.arange(4) < 2, "truth": np.arange(4) < 3},
    )


def made(part: str, obeyed: bool, prompt: int = 0) -> Answer:
    return Answer(prompt, part, "oak", "oak" if obeyed else None, np.full(3, np.nan), np.zeros(3))


def test_figures_are_means_over_all_pairs_and_ratios_of_means():
    scores = [room_score(3, 24.0, 2.0), room_score(1, 28.0, 4.0)]
    answers = [made("floor", True, 0), made("floor", True, 1), made("walls", True, 0), made("walls", False, 1)]
    value = {f.name: f.value for f in model_figures(scores, answers)}
    assert value["pairs"] == 4
    assert value["psnr_generated"] == pytest.approx(25)  # three pairs of 24, one of 28
    assert value["ratio_autoencoded"] == pytest.approx(25 / 30) and value["ratio_truth"] == pytest.approx(25 / 36)
    assert value["gain"] == pytest.approx(7) and value["gain_blocks"] == pytest.approx(3)
    assert value["gain_blocks_alone"] == pytest.approx(2)
    assert value["sharpness_ratio"] == pytest.approx(0.75) and value["contrast_ratio"] == pytest.approx(0.75)
    assert value["inner_ratio"] == pytest.approx(0.75) and value["blockiness_ratio"] == pytest.approx(1.1)
    assert [value[f"octave_{k + 1}"] for k in range(5)] == pytest.approx([0, 0.25, 0.5, 0.75, 1])
    assert value["recognised_truth"] == 0.75 and value["recognition_ratio"] == pytest.approx(2 / 3)
    assert value["edge_ratio"] == pytest.approx(0.75) and value["gain_between"] == pytest.approx(2)
    assert (value["obeyed_floor"], value["obeyed_walls"], value["obeyed"]) == (1, 0.5, 0.5)
    rows = json.loads(to_json([], **room_rows(scores, answers)))
    assert [row["pairs"] for row in rows["rooms"]] == [3, 1] and rows["prompts"][3]["nearest"] is None


def test_tables_and_json_take_every_number():
    figures = [
        Figure("a", "first", 0.5, "dB", 0.4),
        Figure("b", "the second", float("inf")),
        Figure("c", "c", float("nan"), goal=1.0),
    ]
    lines = table(figures)
    assert lines[0].split() == ["first", "0.500", "dB", "goal", "0.400", "reached"]
    assert lines[1].split()[:3] == ["the", "second", "inf"]
    assert lines[2].split() == ["c", "-", "goal", "1.000", "missed"]
    held = json.loads(to_json(figures, rooms=[float("nan")]), parse_constant=lambda name: pytest.fail(name))
    assert held["rooms"] == [None] and held["figures"]["b"]["value"] == "inf" and held["figures"]["c"]["value"] is None


@pytest.mark.parametrize(("name", "value"), [("rooms", 0), ("views", 1), ("steps", 0), ("seed", -1)])
def test_settings_out_of_range(name, value):
    with pytest.raises(InputError, match=f"{name} {value} is too small"):
        Settings(**{name: value})
