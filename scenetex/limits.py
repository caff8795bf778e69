"""What values options may have: numbers within limits that stand beside them, words of a list, text with a grammar.

A command checks all of its options at once, before any work. Values from Python go through the same: dataclasses by
`check_options`, arguments of functions by `checked`.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass
from functools import wraps
from inspect import signature
from numbers import Integral, Real
from os import PathLike
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, ParamSpec, TypeVar, Union, get_args, get_origin, get_type_hints

import numpy as np

from .errors import InputError, shown
from .files.reading import check_path

_LONGEST_PROMPT = 4000  # characters: some 600 words
_LONGEST_NAME = 64  # characters of what tells results apart
_FARTHEST = 1e9  # metres from a scene's origin, of a place in it
_CELL = 8  # pixels that one latent of the models stands for
_LONGEST_SHOWN = 60  # characters of a value in a message
P = ParamSpec("P")
T = TypeVar("T")

_SINGULARS = {int: "a whole number", float: "a number", Path: "a path"}
_PLURALS = {int: "whole numbers", float: "numbers", Path: "paths"}


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

    def check(self, value, name: str, whole: bool) -> None:
        """Raises InputError for what is no number, or no `whole` one where it has to be, or beyond the limits."""
        if isinstance(value, bool | np.bool_) or not isinstance(value, Integral if whole else Real):
            raise InputError(f"{name} {_said(value)} is not a {'whole ' * whole}number; choose {self}")
        if not self.holds(value):
            said = f"of {value.bit_length()} bits" if isinstance(value, int) and abs(value) >= 1 << 64 else value
            raise InputError(f"{name} {said} is out of range; choose {self}")

    def __str__(self) -> str:
        words = {"least": "more than ", "most": "less than "}
        low, high = (f"{words[end] if end in self.open else ''}{_figure(getattr(self, end))}" for end in words)
        return f"{low} to {high}"


class PathOrName:
    """Annotation of an option in text that is a path, or the name of something elsewhere, such as a Hub id."""


@dataclass(frozen=True)
class Reads:
    """Annotation of an option in text with a grammar of its own.

    Attributes:
        read: takes the text and the option's name; raises InputError, which names the option, for other text.
    """

    read: Callable[[str, str], object]


def check_options(options, flags: bool = True) -> None:
    """Raises InputError, which names the option and what is allowed, for the first value that is not.

    Args:
        options: a dataclass; its numbers are annotated with `Between`.
        flags: name options as on the command line.
    """
    hints = get_type_hints(type(options), include_extras=True)
    for field in fields(options):
        name = option_name(field.name, hints) if flags else field.name
        check_value(getattr(options, field.name), hints[field.name], name)


def option_name(name: str, hints: dict) -> str:
    """What a field of a dataclass of options is called on the command line: what stands by itself has no dashes."""
    marks = getattr(hints[name], "__metadata__", ())
    # The mark is tyro's, which is not loaded for this.
    return name if any("Positional" in repr(mark) for mark in marks) else f"--{name.replace('_', '-')}"


def checked(function: Callable[P, T]) -> Callable[P, T]:
    """Decorator: calls a function only with arguments that their annotations allow; InputError names the first other
    one. Arguments whose annotations are no more than a type, and neither bool nor a `Literal`, pass."""
    form = signature(function)
    hints = {
        name: p.annotation
        for name, p in form.parameters.items()
        if p.annotation is bool or get_origin(p.annotation) in (Annotated, Literal)
    }

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        given = form.bind(*args, **kwargs).arguments
        for name in hints.keys() & given.keys():
            check_value(given[name], hints[name], name)
        return function(*args, **kwargs)

    return call


def check_value(value, hint, name: str) -> None:
    """Raises InputError, which calls it `name`, for a value that its annotated type does not allow."""
    kind, marks, optional = plain_type(hint)
    if (value is None and optional) or (isinstance(value, str) and value in _words_beside(hint)):
        return
    if get_origin(kind) is Literal:
        if value not in get_args(kind):
            raise InputError(f"{name} {_said(value)} is not known; choose {', '.join(map(str, get_args(kind)))}")
    elif get_origin(kind) in (tuple, list):
        _check_parts(value, get_args(kind), marks, name)
    elif kind is bool:
        if not isinstance(value, bool | np.bool_):
            raise InputError(f"{name} {_said(value)} is neither True nor False; choose one")
    elif is_dataclass(kind):
        pass  # it is checked where it is used
    elif kind in (int, float):
        for limits in (mark for mark in marks if isinstance(mark, Between)):
            limits.check(value, name, whole=kind is int)
    else:
        _check_text(value, kind, marks, name)


def allowed(hint) -> str:
    """What an annotated type allows, in words, for a message."""
    kind, marks, _ = plain_type(hint)
    limits = next((str(mark) for mark in marks if isinstance(mark, Between)), "")
    if get_origin(kind) is Literal:
        return ", ".join(map(str, get_args(kind)))
    if get_origin(kind) in (tuple, list):
        kinds = get_args(kind)
        count = "" if Ellipsis in kinds else f"{len(kinds)} "
        return f"{count}{_PLURALS.get(kinds[0], 'values')}{', each ' * bool(limits)}{limits}"
    return " or ".join([f"{_SINGULARS.get(kind, 'a text')}{', ' * bool(limits)}{limits}", *_words_beside(hint)])


def _words_beside(hint) -> tuple[str, ...]:
    """The words that stand for a value of a number, `Annotated[int | Literal["auto"], ...]`."""
    plain = hint.__origin__ if get_origin(hint) is Annotated else hint
    kinds = get_args(plain) if get_origin(plain) in (Union, UnionType) else ()
    return tuple(word for kind in kinds if get_origin(kind) is Literal for word in get_args(kind))


def plain_type(hint) -> tuple[object, tuple, bool]:
    """The type in an annotation, the marks beside it, and whether None is a value, too."""
    marks: tuple = ()
    if get_origin(hint) is Annotated:
        hint, marks = hint.__origin__, hint.__metadata__
    kinds = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    return next(kind for kind in kinds if kind is not NoneType), marks, NoneType in kinds


def _check_parts(value, kinds: tuple, marks: tuple, name: str) -> None:
    """Those of a tuple or list: as many as there are types, or any number where the second is an ellipsis."""
    if not isinstance(value, tuple | list) or (Ellipsis not in kinds and len(value) != len(kinds)):
        wanted = "a list" if Ellipsis in kinds else f"{len(kinds)} values"
        raise InputError(f"{name} {_said(value)} is not understood; give {wanted}")
    for part in value:
        check_value(part, Annotated[kinds[0], *marks] if marks else kinds[0], name)


def _check_text(value, kind: type, marks: tuple, name: str) -> None:
    path = PathOrName in marks or kind is not str
    if not isinstance(value, str | PathLike if path else str):
        raise InputError(f"{name} {_said(value)} is not text; give {'a path' if path else 'it in quotes'}")
    if path:
        check_path(value, name)
    if isinstance(value, str):
        check_text(value, name)
        for mark in marks:
            if isinstance(mark, Reads):
                mark.read(value, name)


def check_text(text: str, name: str) -> None:
    """Raises InputError for what is no text in UTF-8, as arguments of programs may be, which no model can read."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InputError(f"{name} '{shown(text, _LONGEST_SHOWN)}' is no text in UTF-8; write it anew") from None


def check_words(text: str, name: str) -> None:
    """Raises InputError for what nobody says to a model: more than a page, or what is no text in UTF-8."""
    check_text(text, name)
    if len(text) > _LONGEST_PROMPT:
        raise InputError(f"{name} has {len(text):,} characters; choose {_LONGEST_PROMPT:,} or fewer")


def check_prompt(text: str, name: str) -> None:
    """`check_words`, and InputError for a text without a letter to be seen."""
    check_words(text, name)
    if not any(c.isprintable() and not c.isspace() for c in text):
        raise InputError(f"{name} is empty; say in a few words what the room is to look like")


def read_paint(text: str, name: str) -> tuple[str, str]:
    """The region and the words of ``REGION: WORDS``. Raises InputError for other text."""
    found = re.fullmatch(r"\s*(.*\.npy|(?:label|instance|box):[^:]+|[^:]+?)\s*:\s*(\S.*)", text, re.DOTALL)
    if not found:
        raise InputError(
            f"{name} '{shown(text, _LONGEST_SHOWN)}' is not understood; give 'REGION: WORDS', like 'floor: oak planks'"
        )
    check_prompt(found[2], name)
    return found[1], found[2]


def check_region(text: str, name: str) -> None:
    """Raises InputError for what can be no region's name."""
    if not text.strip():
        raise InputError(f"{name} is empty; give a region, like floor, label:chair or faces.npy")


def check_name(text: str, name: str) -> None:
    """Raises InputError for what cannot tell a result's folder from others."""
    if not text or not all(c.isalnum() or c in "-_" for c in text):
        raise InputError(
            f"{name} '{shown(text, _LONGEST_SHOWN)}' is no name for a result; choose letters, digits, - and _"
        )
    if len(text) > _LONGEST_NAME:
        raise InputError(f"{name} has {len(text):,} characters; choose {_LONGEST_NAME} or fewer")


def check_device(text: str, name: str) -> None:
    """Raises InputError for a device that nothing here can compute on, whether it is there or not."""
    if not re.fullmatch(r"auto|cpu|cuda(:\d{1,3})?", text):
        raise InputError(f"{name} '{shown(text, _LONGEST_SHOWN)}' is not known; choose auto, cpu, cuda or cuda:N")


def check_device_is_here(text: str, name: str) -> None:
    """`check_device`, and InputError for a GPU that this machine lacks; only to find one is torch loaded."""
    check_device(text, name)
    if not text.startswith("cuda"):
        return
    import torch

    if not torch.cuda.is_available():
        raise InputError(f"{name} '{text}': torch finds no CUDA GPU; install a CUDA build of torch, or choose cpu")
    number, count = int(text.partition(":")[2] or 0), torch.cuda.device_count()
    if number >= count:
        raise InputError(f"{name} '{text}': torch finds {count} CUDA GPU{'s' * (count > 1)}; choose cuda:{count - 1}")


def read_image_size(text: str, name: str) -> tuple[int, int]:
    """(width, height) in pixels. Raises InputError for other text than WIDTHxHEIGHT, or sides out of range."""
    size = re.fullmatch(r"(\d{1,18})[xX](\d{1,18})", text.strip(), re.ASCII)
    if not size:
        raise InputError(f"{name} '{shown(text, _LONGEST_SHOWN)}' is not understood; give WIDTHxHEIGHT, like 256x192")
    sides = int(size[1]), int(size[2])
    for side in sides:
        SIDE.check(side, name, whole=True)
    if any(side % _CELL for side in sides):
        near = "x".join(str(max(SIDE.least, round(side / _CELL) * _CELL)) for side in sides)
        raise InputError(f"{name} {sides[0]}x{sides[1]}: sides have to be multiples of {_CELL}; choose {near}")
    return sides


def read_keyframes(text: str, name: str) -> dict[str, Any]:
    """What an option for keyframes asks of `select_keyframes`; empty for "auto" and "all".

    Raises:
        InputError: it is not understood, or a number is out of range.
    """
    if text in ("auto", "all"):
        return {}
    found = re.fullmatch(r"\s*(every:)?\s*([-+]?\d{1,30})\s*", text, re.ASCII)
    if found:
        COUNT.check(int(found[2]), name, whole=True)
        return {"every" if found[1] else "count": int(found[2])}
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if "," not in text or not parts or not all(re.fullmatch(r"\d{1,18}", part, re.ASCII) for part in parts):
        raise InputError(
            f"{name} '{shown(text, _LONGEST_SHOWN)}' is not understood; give auto, all, a number, every:N, or frame "
            "ids like 0,16,32"
        )
    return {"ids": [int(part) for part in parts]}


def read_position(text: str, name: str) -> list[float]:
    """X, Y and Z in metres. Raises InputError for other text."""
    try:
        position = [float(part) for part in text.split(",")]
    except ValueError:
        position = []
    if len(position) != 3 or not all(abs(part) < _FARTHEST for part in position):
        raise InputError(
            f"{name} '{shown(text, _LONGEST_SHOWN)}' is not understood; give X,Y,Z in metres, like 1.5,2,1.4"
        )
    return position


def _figure(number: float) -> str:
    return str(number) if isinstance(number, int) else f"{number:.15g}"


def _said(value) -> str:
    return shown(repr(value), _LONGEST_SHOWN)


SEED = Between(0, 2**63 - 1)
SEEDS = Between(2, 16)  # rows that one looks through at a glance
STEPS = Between(1, 1000)  # as many noise levels as Stable Diffusion knows
GUIDANCE = Between(0, 1000)
WEIGHT = Between(0, 100)  # of a ControlNet
SHARE = Between(0, 1)
SIDE = Between(8, 8192)  # pixels of an image that is generated or trained on
TEXTURE = Between(64, 16384)  # texels
FACES = Between(4, 1_000_000_000)  # of fewer no surface is left
LODS = Between(0, 6)  # levels of detail below the full one
MESH_SCALE = Between(1e-6, 1e6)
CLOSE_HOLES = Between(0, 1e6, ("least",))  # metres
DENSITY = Between(1e-3, 100_000)  # texels per metre
JOINT = Between(4, 10_000)  # views; of fewer, none would be left beside those that anchor the others
BETWEEN = Between(0, 1000)  # views
UPSCALE = Between(1, 16)  # times
TILE = Between(8, 65536)  # pixels
ROWS = Between(4, 16384)  # pixels of a panorama
WORKERS = Between(1, 1024)
THREADS = Between(1, 1024)
COUNT = Between(1, 1_000_000)
DEVICE = Reads(check_device)
IMAGE_SIZE = Reads(read_image_size)
KEYFRAMES = Reads(read_keyframes)
NAME = Reads(check_name)
POSITION = Reads(read_position)
PROMPT = Reads(check_prompt)
PAINT = Reads(read_paint)
REGION = Reads(check_region)
WORDS = Reads(check_words)
