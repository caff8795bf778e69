"""Completion on truth: whoever paints the truth is perfect, whoever paints nothing but a fill has no gradient."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from scenetex import InputError
from scenetex.metrics.completed_rooms import (
    STEPS_PER_ROOM,
    CompletionSettings,
    completion_figures,
    completion_rows,
    photographed,
    room_case,
    score_completion,
)
from scenetex.metrics.score_table import table, to_json
from scenetex.texture.texels import rasterize

SMALL = CompletionSettings(rooms=1, views=8, texture_size=512, seed=77)


@pytest.fixture(scope="module")
def case():
    return room_case(SMALL, 0)


def painter(color):
    """Completes all of a scene in colours (n, 3) that `color` gives for the textured mesh."""

    def complete(scene, textured, pipe, prompt, sampling, size, most):
        texels = rasterize(textured.atlas)
        pages, coverage = np.stack(textured.textures), np.stack(textured.coverage)
        new = ~coverage.reshape(-1)[texels.pixel]
        pages.reshape(-1, 3)[texels.pixel[new]] = np.rint(np.clip(color(textured), 0, 255))[new]
        coverage.reshape(-1)[texels.pixel] = True
        mesh = replace(textured, textures=tuple(pages), coverage=tuple(coverage))
        return SimpleNamespace(mesh=mesh, reachable=1.0, views=[0])

    return complete


def test_the_truth_scores_as_the_truth_and_the_fill_as_the_fill(case):
    steps = []
    score = score_completion(
        painter(lambda textured: case.truth(textured)[0]), None, SMALL, case, 1, lambda: steps.append(1)
    )
    assert len(steps) == STEPS_PER_ROOM and score.views == 1 and score.reached == 1
    # But for the rim, where photos are not quite true.
    assert replace(score.completed, rim_step=0, other_step=0) == replace(score.true, rim_step=0, other_step=0)
    assert score.completed.psnr > 45 and score.completed.rim_ratio == pytest.approx(score.true.rim_ratio, rel=0.2)
    assert score.completed.gradient_ratio == pytest.approx(1, abs=0.02)
    assert score.fill.psnr < 25
    filled = score_completion(
        painter(lambda textured: np.stack(textured.textures).reshape(-1, 3)[rasterize(textured.atlas).pixel]),
        None,
        SMALL,
        case,
        1,
    )
    assert filled.completed == filled.fill == score.fill
    figures = {f.name: f for f in completion_figures([score, score])}
    assert figures["gain_psnr"].mark == "reached" and figures["gradient_ratio"].mark == "reached"
    assert {f.name: f for f in completion_figures([filled])}["gain_psnr"].mark == "missed"
    assert "goal 0.700 to 1.200" in "\n".join(table(list(figures.values())))
    assert '"most": 1.2' in to_json(list(figures.values()), rooms=completion_rows([score]))


def test_only_what_the_truth_knows_is_compared(case):
    """The photos themselves as truth know nothing of what they do not show."""
    own = replace(case, truth=photographed(case.views, case.photos))
    with pytest.raises(InputError, match="room 0: completion adds nothing"):
        score_completion(painter(lambda textured: case.truth(textured)[0]), None, SMALL, own, 1)


def test_rooms_are_the_same_every_time_and_half_is_given(case):
    again = room_case(SMALL, 0)
    assert len(case.views) == len(case.photos) == SMALL.views // 2 == len(case.scene.frames)
    assert all((a == b).all() for a, b in zip(case.photos, again.photos, strict=True))
