"""What values options may have: numbers within limits that stand beside them, text in UTF-8, paths to look up.

A command checks all of its options at once, before any work; values from Python go through the same.
"""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import get_type_hints

from .errors import InputError, shown
from .files import check_path


@dataclass(frozen=True)
class Between:
    """Annotation of an option, the numbers that it may have.

    Attributes:
        least, most: limits.
        open: which of them are no value themselves, "least" or "most".
    """

    least: float
    most: float
    open: tuple[str, ...] = ()

    def holds(self, value: float) -> bool:
        """Whether it may have that value; NaN is none."""
        inside = self.least <= value <= self.most
        return inside and not any(value == getattr(self, end) for end in self.open)

    def __str__(self) -> str:
        words = {"least": "more than ", "most": "less than "}
        low, high = (f"{words[end] if end in self.open else ''}{getattr(self, end):.15g}" for end in words)
        return f"{low} to {high}"


class PathOrName:
    """Annotation of an option in text that is a path, or the name of something elsewhere, such as a Hub id."""


SEED = Between(0, 2**63 - 1)
STEPS = Between(1, 1000)  # as many noise levels as Stable Diffusion knows
GUIDANCE = Between(0, 1000)
SIDE = Between(8, 8192)  # pixels of an image that is generated or trained on
TEXTURE = Between(64, 16384)  # texels
WORKERS = Between(1, 1024)
THREADS = Between(1, 1024)
COUNT = Between(1, 1_000_000)
MESH_SCALE = Between(0, 1e9, ("least",))


def check_options(options, flags: bool = True) -> None:
    """Raises InputError, which names the option and what is allowed, for the first value that is not.

    Args:
        options: a dataclass; its numbers are annotated with `Between`.
        flags: name options as on the command line.
    """
    hints = get_type_hints(type(options), include_extras=True)
    for field in fields(options):
        given, marks = getattr(options, field.name), getattr(hints[field.name], "__metadata__", ())
        # What stands by itself on the command line has no dashes; the mark is tyro's, which is not loaded for this.
        named = flags and not any("Positional" in repr(mark) for mark in marks)
        name = f"--{field.name.replace('_', '-')}" if named else field.name
        for value in given if isinstance(given, tuple | list) else (given,):
            _check(name, value, marks)


def _check(name: str, value, marks: tuple) -> None:
    if isinstance(value, Path) or (isinstance(value, str) and PathOrName in marks):
        check_path(value, name)
    if isinstance(value, str):
        check_text(value, name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return
    limits = next((mark for mark in marks if isinstance(mark, Between)), None)
    if limits is not None and not limits.holds(value):
        said = f"of {value.bit_length()} bits" if isinstance(value, int) and abs(value) >= 1 << 64 else value
        raise InputError(f"{name} {said} is out of range; choose {limits}")


def check_text(text: str, name: str) -> None:
    """Raises InputError for what is no text in UTF-8, as arguments of programs may be, which no model can read."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InputError(f"{name} '{shown(text, 60)}' is no text in UTF-8; write it anew") from None
