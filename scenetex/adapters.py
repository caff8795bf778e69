"""Weights to add to a model's own, LoRAs and IP-Adapters, as options name them: ``FOLDER-OR-HUB-ID[:WEIGHT]``."""

import re
from dataclasses import dataclass
from pathlib import Path

from .errors import InputError, shown
from .limits import Between, Reads, check_text

_WEIGHTS = Between(-10, 10)  # negative ones turn around what a LoRA has learned
_WORD = re.compile(r"[+-]?[^/\\:]*")


@dataclass(frozen=True)
class Adapter:
    """Weights to be added to a model's own.

    Attributes:
        source: a folder, a safetensors file, or a Hub id, ``owner/name`` or ``owner/name/file.safetensors``.
        weight: how much they count, 1 as they were trained.
    """

    source: str
    weight: float = 1.0


def read_adapter(text: str, name: str) -> Adapter:
    """Of ``SOURCE`` or ``SOURCE:WEIGHT``; where something lies under the whole text, that is the source.

    The colon of a drive (``C:\\loras``) is no weight's, nor is any that a slash follows.

    Raises:
        InputError: no source, a weight that is no number or out of range.
    """
    check_text(text, name)
    source, colon, weight = text.rpartition(":")
    drive = re.fullmatch(r"[A-Za-z]", source)
    if not colon or drive or not _WORD.fullmatch(weight) or _lies_there(text):
        source, weight = text, "1"
    if not source.strip():
        raise InputError(f"{name} '{shown(text, 60)}' names no weights; give FOLDER-OR-HUB-ID, or FOLDER-OR-HUB-ID:0.8")
    try:
        number = float(weight)
    except ValueError:
        raise InputError(
            f"{name} '{shown(text, 60)}': the weight '{shown(weight, 30)}' is not a number; choose {_WEIGHTS}"
        ) from None
    _WEIGHTS.check(number, f"{name} '{shown(text, 60)}': weight", whole=False)
    return Adapter(source, number)


def _lies_there(text: str) -> bool:
    try:
        return Path(text).exists()
    except (OSError, ValueError):
        return False


ADAPTER = Reads(read_adapter)
