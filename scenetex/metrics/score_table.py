"""Figures as they are printed: a text table, and JSON that every reader takes."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..errors import plain


@dataclass(frozen=True)
class Figure:
    """One measured number.

    Attributes:
        name: the key in JSON.
        label: what it is, for the table.
        value: the number; NaN where it could not be measured.
        unit: such as "dB".
        goal: the least it is meant to reach, or None.
        most: the most that it is meant to be, or None.
    """

    name: str
    label: str
    value: float
    unit: str = ""
    goal: float | None = None
    most: float | None = None

    @property
    def aim(self) -> str:
        """Goal and most in words."""
        if self.most is None:
            return "" if self.goal is None else f"goal {_number(self.goal)}"
        least = "up to" if self.goal is None else f"{_number(self.goal)} to"
        return f"goal {least} {_number(self.most)}"

    @property
    def mark(self) -> str:
        """Whether that is so."""
        if self.goal is None and self.most is None:
            return ""
        enough = self.goal is None or self.value >= self.goal
        return "reached" if enough and (self.most is None or self.value <= self.most) else "missed"


def table(figures: Sequence[Figure]) -> list[str]:
    """The figures in aligned columns, each a line, with the goals where there are any."""
    rows = [(plain(f.label), _number(f.value), f.unit, f.aim) for f in figures]
    marks = [f.mark for f in figures]
    wide = [max((len(row[k]) for row in rows), default=0) for k in range(4)]
    return [
        f"{label:<{wide[0]}}  {value:>{wide[1]}} {unit:<{wide[2]}}  {goal:<{wide[3]}}  {mark}".rstrip()
        for (label, value, unit, goal), mark in zip(rows, marks, strict=True)
    ]


def to_json(figures: Sequence[Figure], **more) -> str:
    """JSON text: `more`, then {"figures": {name: {value, unit, goal}}}, "most" where there is one; infinite is "inf",
    unmeasured null."""
    held = {
        f.name: {"label": f.label, "value": f.value, "unit": f.unit, "goal": f.goal}
        | ({} if f.most is None else {"most": f.most})
        for f in figures
    }
    return json.dumps(_plain({**more, "figures": held}), indent=2) + "\n"


def _number(value: float) -> str:
    if math.isnan(value):
        return "-"
    return f"{value:.0f}" if float(value).is_integer() and abs(value) >= 10 else f"{value:.3f}"


def _plain(value):
    """Without numbers that JSON does not have."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else "inf" if value > 0 else "-inf"
    return value
