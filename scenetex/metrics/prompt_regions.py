"""Obedience to prompts by region: floors and walls of different texts at once, and how much there is to see on them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from ..pipelines import MVDiffusionPipeline
from ..pipelines.region_prompts import region_prompt
from ..views.region_masks import region_masks
from .detail_scores import measure_detail
from .prompt_adherence import Answer, AskedRoom, asked_room, sentence
from .room_scores import VARIANTS, Settings, generate
from .score_table import Figure

# Every floor and every wall to choose from once; among them such as bleed into each other where one prompt names both:
# white and dark, and colours of one strength.
PAIRS = (
    ("white marble", "dark grey paint"),
    ("dark grey carpet", "white paint"),
    ("red carpet", "teal paint"),
    ("blue carpet", "yellow paint"),
    ("green carpet", "red brick"),
    ("terracotta tiles", "blue paint"),
    ("walnut planks", "sage green paint"),
    ("pine planks", "pink paint"),
)
_RIM = 2  # pixels along the border of a surface, whose gradients are not its own


@dataclass(frozen=True, eq=False)
class PaintedPart:
    """What a part of a room came out like that had a text of its own.

    Attributes:
        answer: what was asked, and what its colour is nearest to.
        sharpness: mean size of the luma's gradient on it.
        unpainted: the same where one prompt for all names the same materials.
    """

    answer: Answer
    sharpness: float
    unpainted: float


def paint_room(
    pipe: MVDiffusionPipeline, settings: Settings, k: int, done: Callable[[], None] = lambda: None
) -> list[PaintedPart]:
    """Floor and walls of a procedural room, painted with the texts of one of the `PAIRS`.

    Args:
        pipe: a `MVDiffusionPipeline`.
        settings: views, size, seed and how to generate; `rooms` does not matter.
        k: which of the pairs.
        done: called when it is done.
    """
    asked = dict(zip(("floor", "walls"), PAIRS[k], strict=True))
    kind, room = asked_room(settings, k, asked)
    parts = paint_parts(pipe, room, kind, asked, settings, k)
    done()
    return parts


def paint_parts(
    pipe: MVDiffusionPipeline, room: AskedRoom, kind: str, asked: dict[str, str], settings: Settings, k: int
) -> list[PaintedPart]:
    """Paints what is `asked` of each part by a text of its own, in a room of some `kind`, and once without."""
    masks = region_masks(room.views, [room.faces[part] for part in asked])
    texts = [region_prompt(part, name.removesuffix(" paint")) for part, name in asked.items()]
    seed, on = settings.seed + k, VARIANTS["generated"]
    plain = generate(pipe, room.views, sentence(kind, asked), settings, seed, **on)
    regions = {"region_prompts": texts, "region_masks": masks}
    painted = generate(pipe, room.views, f"a {kind}", settings, seed, **on, **regions)
    inner = [[_inside(mask) for mask in of_part] for of_part in masks]
    return [
        PaintedPart(answer, *(measure_detail(images, within).sharpness for images in (painted, plain)))
        for answer, within in zip(room.answers(painted, asked, k), inner, strict=True)
    ]


def painted_figures(parts: Sequence[PaintedPart]) -> list[Figure]:
    """Rows of a model's table: shares obeyed, and gradients over those without texts of their own, means first."""
    figures = []
    for name, label in (("floor", "floors"), ("walls", "walls")):
        mine = [part for part in parts if part.answer.part == name]
        obeyed = float(np.mean([part.answer.obeyed for part in mine])) if mine else np.nan
        figures.append(Figure(f"painted_{name}", f"{label} painted by region of the asked colour", obeyed, "", 1.0))
    for name, label in (("floor", "floors"), ("walls", "walls")):
        mine = [part for part in parts if part.answer.part == name]
        ratio = float(np.mean([p.sharpness for p in mine]) / np.mean([p.unpainted for p in mine])) if mine else np.nan
        figures.append(Figure(f"painted_{name}_ratio", f"gradients of painted {label} / unpainted", ratio, "", 0.8))
    return figures


def painted_rows(parts: Sequence[PaintedPart]) -> list[dict]:
    """The same part by part, for JSON."""
    return [part.answer.row() | {"sharpness": part.sharpness, "unpainted": part.unpainted} for part in parts]


def _inside(mask: np.ndarray) -> np.ndarray:
    """(h, w) bool, the pixels away from the border of a mask."""
    return cv2.erode(mask.astype(np.uint8), np.ones((2 * _RIM + 1,) * 2, np.uint8)) > 0
