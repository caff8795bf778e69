"""Which views are generated together, and which views whose images are there already anchor them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..correspondence import Correspondence

LEAST_JOINT = 4
_SAMPLES = 24  # pixels along the shorter side that overlaps are measured on


@dataclass(frozen=True)
class Window:
    """Views denoised together, ascending; the images of the `anchors` among them are there already."""

    views: tuple[int, ...]
    anchors: frozenset[int]


def overlaps(correspondence: Correspondence) -> np.ndarray:
    """(m, m) float32: the part of view i's pixels (with depth) that view j sees, 0 for i = j."""
    return correspondence.overlap(_SAMPLES)[0].numpy()


def plan_keyframes(overlap: np.ndarray, joint: int) -> list[Window]:
    """Windows of at most `joint` views that generate all views, in their order.

    The first holds `joint` new views, each further one new views and those already generated that overlap them most, on
    every side: where the trajectory comes back to its start, the last views join both ends of the loop.

    Args:
        overlap: (m, m), from `overlaps`.
        joint: views per window.
    """
    windows = []
    for new in batches(len(overlap), joint):
        anchors = choose_anchors(overlap, new, range(new.start), joint - len(new))
        windows.append(Window(tuple(sorted([*anchors, *new])), frozenset(anchors)))
    return windows


def batches(views: int, joint: int) -> list[range]:
    """The new views of each window of at most `joint`: as many in the first, fewer in those that hold anchors too."""
    step = joint - max(1, joint // 3)
    stops = [*range(min(joint, views), views, step), views]
    return [range(start, stop) for start, stop in zip([0, *stops], stops, strict=False)]


def noise_turns(windows: Sequence[Window], anchors: Sequence[int], joint: int) -> list[list[int]]:
    """The views of each turn in which noise is drawn: window by window, and the `anchors` before, as they were drawn
    when they were generated themselves."""
    before = [[anchors[i] for i in new] for new in batches(len(anchors), joint)] if anchors else []
    return before + [[i for i in window.views if i not in window.anchors] for window in windows]


def plan_between(is_anchor: Sequence[bool], overlap: np.ndarray, joint: int) -> list[Window]:
    """Windows that generate the views between consecutive anchors, each together with the two anchors.

    Views before the first anchor or behind the last are generated with that one and another one that overlaps them.
    Where there are more views between two anchors than a window holds, each further window also holds the view before
    it.
    """
    at = [i for i, there in enumerate(is_anchor) if there]
    windows = []
    for left, right in zip([None, *at], [*at, None], strict=True):
        new = list(range(0 if left is None else left + 1, len(is_anchor) if right is None else right))
        ends = {i for i in (left, right) if i is not None}
        room = joint - 2 if len(new) <= joint - 2 else joint - 3
        for start in range(0, len(new), room):
            part = new[start : start + room]
            anchors = ends | ({part[0] - 1} if start else set())
            if len(ends) < 2:
                anchors |= set(choose_anchors(overlap, part, [k for k in at if k not in ends], 1))
            windows.append(Window(tuple(sorted(anchors | set(part))), frozenset(anchors)))
    return windows


def choose_anchors(overlap: np.ndarray, new: Sequence[int], done: Sequence[int], count: int) -> list[int]:
    """Up to `count` of the views `done` that together overlap the `new` ones most, each new one counted by its best."""
    new, done, chosen = list(new), list(done), []
    sees = overlap[np.ix_(new, done)]
    best = np.zeros(len(new))
    while len(chosen) < min(count, len(done)):
        gain = np.maximum(sees - best[:, None], 0).sum(0)
        most = int(gain.argmax())
        if gain[most] <= 0:
            break
        chosen.append(done[most])
        best = np.maximum(best, sees[:, most])
    return sorted(chosen)
