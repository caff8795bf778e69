"""Masks in a folder beside the photos': `mask/12.png`, or COLMAP's `masks/12.jpg.png`, for `color/12.jpg`."""

import os
import re
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from ..errors import InputError, InputWarning, shown
from ..files.reading import check_inside
from .frame import Frame
from .image_header import PHOTO_SUFFIXES
from .image_source import ImageSource
from .named_file import NamedFiles

_FOLDERS = ("mask", "masks")
_NUMBER = re.compile(rf"(\d{{1,18}})({'|'.join(map(re.escape, PHOTO_SUFFIXES))})", re.ASCII)
_SUFFIXES = (".png", *(suffix for suffix in PHOTO_SUFFIXES if suffix != ".png"))


def with_masks_beside(frames: tuple[Frame, ...], folder: Path) -> tuple[Frame, ...]:
    """The frames, those with masks that lie beside their photos; masks that a reader found before stay.

    Looked for in every `mask/` or `masks/` in the folders that a photo lies in, up to the scene's `folder`, under the
    photo's path in it with or without the photos' own folder, with `.png` behind the name or in place of its suffix, or
    where photos are named by numbers, under the frame's. Photos without one count whole; an `InputWarning` says so
    where others have one.
    """
    places: dict[Path, _MaskFolder | None] = {}
    found = [frame if frame.mask or not frame.color else _masked(frame, folder, places) for frame in frames]
    there = sorted(str(place) for place, masks in places.items() if masks)
    if there:
        _warn(there[0], sum(frame.mask is not None for frame in found), sum(frame.color is not None for frame in found))
    return tuple(found)


def _warn(place: str, masked: int, photos: int) -> None:
    if not masked:
        said = "no file in it is named like a photo, so nothing is masked; name masks <photo>.png"
        warnings.warn(f"{shown(place)}: {said}", InputWarning, stacklevel=4)
    elif masked < photos:
        said = f"has masks for {masked} of {photos} photos; the others count whole"
        warnings.warn(f"{shown(place)}: {said}", InputWarning, stacklevel=4)


def named_masks(names: dict[int, str], files: NamedFiles, where: Path) -> tuple[dict[int, ImageSource], dict[int, str]]:
    """Masks that the list `where` names, by frame, and of those that are not there a line each.

    What they were to hide must not be painted: frames without theirs are to be left out, as an `InputWarning` says.

    Raises:
        InputError: none of them is there.
    """
    paths = {i: files.find(name) for i, name in names.items()}
    found = {i: ImageSource(path) for i, path in paths.items() if path}
    bare = {i: f"{where}: frame {i}: its mask {names[i]} is not there" for i in names if i not in found}
    if bare and not found:
        first = names[next(iter(bare))]
        raise InputError(f"{where}: none of its masks is there, such as {first}; put them where the list says")
    if bare:
        said = f"{len(bare)} of {len(names)} frames with masks left out, the first because its mask"
        said += f" {names[next(iter(bare))]} is not there; put masks where the list says"
        warnings.warn(f"{where}: {said}", InputWarning, stacklevel=4)
    return found, bare


class _MaskFolder:
    """A folder of masks."""

    def __init__(self, folder: Path):
        check_inside(folder)
        names = sorted(entry.name for entry in os.scandir(folder) if entry.is_file())
        self._named = NamedFiles(folder)
        self._numbered = {int(m[1]): folder / name for name in names if (m := _NUMBER.fullmatch(name.lower()))}

    def find(self, names: list[str], number: int | None) -> Path | None:
        """The first file of one of the names, else of the number."""
        found = next((path for path in map(self._named.find, names) if path), None)
        return found or (None if number is None else self._numbered.get(number))


def _masked(frame: Frame, folder: Path, places: dict[Path, _MaskFolder | None]) -> Frame:
    photo = frame.color
    if photo.codec == "scenezoo":
        return frame
    stream = photo.length is not None
    number = frame.id if stream or _is_number(photo.path.stem) else None
    for above, paths in _places(photo.path, folder):
        for place in (above / name for name in _FOLDERS):
            if place not in places:
                places[place] = _MaskFolder(place) if os.path.isdir(place) else None
            names = [] if stream else [name for path in paths for name in _names(path)]
            path = places[place] and places[place].find(names, number)
            if path:
                return replace(frame, mask=ImageSource(path))
    return frame


def _is_number(stem: str) -> bool:
    return stem.isascii() and stem.isdigit()


def _places(photo: Path, folder: Path) -> Iterator[tuple[Path, list[Path]]]:
    """Folders a photo lies in, up to the scene's, and its path in each, with and without the photos' own folder."""
    try:
        inside = os.path.relpath(photo.parent, folder)
    except ValueError:  # on another drive
        inside = ".."
    depth = 0 if inside == "." or inside.startswith("..") else len(Path(inside).parts)
    for above in photo.parents[: depth + 1]:
        path = photo.relative_to(above)
        yield above, [path, *([Path(*path.parts[1:])] if len(path.parts) > 1 else [])]


def _names(path: Path) -> list[str]:
    return [f"{path}.png", *(str(path.with_suffix(suffix)) for suffix in _SUFFIXES)]
