"""Folders that a library reads by itself, such as a model's: what is in them, and whether it may be read."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path, PureWindowsPath

from ..errors import InputError, shown
from .json_file import read_json
from .reading import check_regular

_WEIGHTS = (".safetensors", ".bin", ".ckpt", ".pt", ".pth", ".h5", ".msgpack", ".onnx", ".onnx_data")
_PARTS = ".index.json"  # of weights in several files
_TOLD_BYTES = 1 << 28  # most bytes of what else belongs to a model, such as its settings and words


def _folders(folder: str | Path) -> Iterator[tuple[str, list[str]]]:
    """Every folder below one, itself first, with the names of its files; symlinks are followed."""
    seen: set[str] = set()
    for parent, folders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(parent)
        if real in seen:  # symlinks may lead round in a circle
            folders.clear()
            continue
        seen.add(real)
        yield parent, names


def files_below(folder: Path) -> list[Path]:
    """The files in a folder and those below it, as a library finds them that reads it by names: symlinks followed."""
    paths = [Path(parent, name) for parent, names in _folders(folder) for name in names]
    return [path for path in paths if path.is_file()]


def check_folder(folder: str | Path) -> None:
    """Raises InputError where a folder that a library will read, such as a model's, holds what it would wait for, or a
    list of files that leads out of it."""
    for parent, names in _folders(folder):
        for name in names:
            path = os.path.join(parent, name)
            try:
                check_regular(path)
                # Libraries read these whole; of weights they know the size.
                if not name.endswith(_WEIGHTS) and os.path.getsize(path) > _TOLD_BYTES:
                    raise OSError(errno.EFBIG, f"larger than {_TOLD_BYTES >> 20} MB")
            except FileNotFoundError:  # a symlink to nothing
                continue
            except OSError as error:
                raise InputError(f"{path}: cannot be read ({error.strerror or error}); copy the folder again") from None
            if name.endswith(_PARTS):
                _check_parts(path)


def _leads_away(file: str) -> bool:
    """On whichever system: with a drive's letter or backslashes, too."""
    path = PureWindowsPath(file)
    return bool(path.anchor) or ".." in path.parts


def _check_parts(index: str) -> None:
    """Raises InputError for a list of the files of a model's weights that names one elsewhere: libraries would read
    it."""
    try:
        told = read_json(index)
    except (OSError, ValueError):  # loading will say so
        return
    files = told.get("weight_map") if isinstance(told, dict) else None
    for file in files.values() if isinstance(files, dict) else ():
        if isinstance(file, str) and _leads_away(file):
            raise InputError(f"{index}: leads out of its folder, to {shown(file)}; copy the model again, all of it")
