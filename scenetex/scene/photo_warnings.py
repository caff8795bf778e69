"""What photos say of themselves that is not heeded, or not clear: said in one line before they are painted."""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import suppress

import numpy as np

from ..errors import InputError, InputWarning
from .color_profile import UnreadableProfile, check_profile
from .frame import Frame
from .image_source import image_header

_LOOKED_AT = 64  # photos, evenly spread: those of one scene mostly come from one camera


def warn_of_photos(frames: Sequence[Frame]) -> None:
    """An `InputWarning` where photos say that their colours are some that are not converted to sRGB, where a profile
    cannot be read, and where nothing tells whether intrinsics are of photos as stored or as turned: each of them once.

    Looks at the headers of some; what is damaged says so when it is read.
    """
    photos = [frame for frame in frames if frame.color and frame.color.codec == "image"]
    photos = [frame for frame in photos if frame.color.length is None]
    at = np.unique(np.linspace(0, len(photos) - 1, min(len(photos), _LOOKED_AT)).round().astype(int)) if photos else []
    seen: set[str] = set()
    for frame in (photos[i] for i in at):
        with suppress(InputError):
            for kind, said in _remarks(frame):
                if kind not in seen:
                    warnings.warn(f"{frame.color.path}: {said}", InputWarning, stacklevel=3)
                seen.add(kind)


def _remarks(frame: Frame) -> Iterator[tuple[str, str]]:
    """Kinds of remarks on a photo, and what they say."""
    header = image_header(frame.color, str(frame.color.path))
    if header.colors:
        yield (
            "colors",
            f"colours are in {header.colors} and are taken for sRGB, which turns them a little; convert the photos to "
            "sRGB",
        )
    if header.profile is not None and header.space != "LAB":
        try:
            check_profile(header.profile, header.space)
        except UnreadableProfile as error:
            yield "profile", f"colour profile (ICC) {error}: colours are taken for sRGB; convert the photos to sRGB"
    width, height = frame.camera.size
    upside_down = header.orientation in (2, 3, 4)
    if upside_down or (header.is_sideways and width == height):
        how = "by half or mirrors it" if upside_down else "by a quarter, and is square"
        yield (
            "orientation",
            f"has an orientation tag (EXIF) that turns it {how}, so that sizes do not tell which way its intrinsics "
            "and pose are: they are taken to be of its pixels as stored; if a program turned photos first, turn the "
            "pixels, too (mogrify -auto-orient)",
        )
