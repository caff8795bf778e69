"""Obedience to prompts by region: what is asked, what counts as obeyed, and what a flat colour gets."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from tiny_pipeline import make_pipeline

from scenetex.metrics import prompt_adherence as obedience
from scenetex.metrics import prompt_regions as module
from scenetex.metrics.prompt_adherence import ASKED_FLOORS, ASKED_WALLS
from scenetex.metrics.prompt_regions import PAIRS, paint_room, painted_figures, painted_rows
from scenetex.metrics.room_scores import Settings

SMALL = Settings(rooms=1, views=4, steps=1, size=(64, 48), guidance_scale=1.0)


@pytest.fixture(autouse=True)
def small_atlas(monkeypatch):
    monkeypatch.setattr(obedience, "_TEXTURE", 128)


@pytest.fixture
def drawn(monkeypatch):
    """The true images of the room that is asked for."""
    found, render = {}, obedience.render_room

    def spy(room, camera, poses):
        found["truth"], *rest = render(room, camera, poses)
        return found["truth"], *rest

    monkeypatch.setattr(obedience, "render_room", spy)
    return found


def test_every_floor_and_every_wall_is_asked_for_once():
    floors, walls = zip(*PAIRS, strict=True)
    assert sorted(floors) == sorted(ASKED_FLOORS) and sorted(walls) == sorted(ASKED_WALLS)


def test_a_model_that_paints_the_truth_obeys_and_a_flat_colour_shows(monkeypatch, drawn):
    calls = []

    def paint(pipe, views, prompt, settings, seed, **options):
        calls.append((prompt, seed, options))
        truth = list(drawn["truth"])
        return [cv2.blur(image, (9, 9)) for image in truth] if "region_prompts" in options else truth

    monkeypatch.setattr(module, "generate", paint)
    parts = paint_room(None, SMALL, 4)
    assert [(p.answer.part, p.answer.asked, p.answer.obeyed) for p in parts] == [
        ("floor", "green carpet", True),
        ("walls", "red brick", True),
    ]
    (plain, seed, first), (base, same, second) = calls
    assert seed == same == SMALL.seed + 4 and "region_prompts" not in first
    assert "a floor of green carpet" in plain and "red brick walls" in plain and base == plain.partition(" with")[0]
    assert second["region_prompts"] == [
        "a room with a green carpet green carpet floor",
        "a room with red brick red brick walls",
    ]
    masks = second["region_masks"]
    assert masks.shape == (2, 4, 48, 64) and masks.any((1, 2, 3)).all() and not masks.all(0).any()
    assert all(p.sharpness < 0.8 * p.unpainted for p in parts)
    figures = {f.name: f for f in painted_figures(parts)}
    assert figures["painted_floor"].value == figures["painted_walls"].value == 1
    assert figures["painted_walls_ratio"].value == pytest.approx(parts[1].sharpness / parts[1].unpainted)
    assert figures["painted_walls_ratio"].value < figures["painted_walls_ratio"].goal == 0.8
    assert painted_rows(parts)[1]["nearest"] == "red brick"


def test_colours_that_are_swapped_are_not_obeyed(monkeypatch, drawn):
    def swap(pipe, views, prompt, settings, seed, region_masks=None, **_):
        images = drawn["truth"].copy()
        if region_masks is not None:
            floor, walls = (images[mask].mean(0) for mask in region_masks)
            images[region_masks[0]], images[region_masks[1]] = walls, floor
        return list(images)

    monkeypatch.setattr(module, "generate", swap)
    parts = paint_room(None, SMALL, 0)  # white marble, dark grey walls
    assert not any(p.answer.obeyed for p in parts)
    assert all(p.sharpness == 0 for p in parts)


def test_a_pipeline_is_called_as_it_takes_it(tmp_path):
    done = []
    parts = paint_room(make_pipeline(tmp_path), replace(SMALL, views=2), 1, lambda: done.append(1))
    assert len(parts) == 2 and done == [1] and all(np.isfinite([p.sharpness, p.unpainted]).all() for p in parts)
