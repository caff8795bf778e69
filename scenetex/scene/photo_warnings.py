"""What photos say of themselves that is not heeded: said in one line before they are painted."""

import warnings
from collections.abc import Sequence
from contextlib import suppress

import numpy as np

from ..errors import InputError, InputWarning
from .frame import Frame
from .image_source import ImageSource, image_header

_LOOKED_AT = 8  # photos, evenly spread: those of one scene mostly come from one camera


def warn_of_photos(frames: Sequence[Frame]) -> None:
    """An `InputWarning` where photos say that their colours are not sRGB.

    Looks at the headers of a few; what is damaged says so when it is read.
    """
    photos = [frame.color for frame in frames if frame.color and frame.color.codec == "image"]
    photos = [source for source in photos if source.length is None]
    at = np.unique(np.linspace(0, len(photos) - 1, min(len(photos), _LOOKED_AT)).round().astype(int)) if photos else []
    seen: set[str] = set()
    for source in (photos[i] for i in at):
        with suppress(InputError):
            for kind, said in _remarks(source).items():
                if kind not in seen:
                    warnings.warn(f"{source.path}: {said}", InputWarning, stacklevel=3)
                seen.add(kind)


def _remarks(source: ImageSource) -> dict[str, str]:
    label, found = str(source.path), {}
    header = image_header(source, label)
    colors = f"{header.profile} (ICC profile)" if header.profile else header.colors
    if colors:
        found["profile"] = (
            f"colours are in {colors} and are taken for sRGB, which turns them a little; convert the photos to sRGB"
        )
    return found
