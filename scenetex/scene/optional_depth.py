"""Depth images that a scene can do without."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from ..errors import InputError, InputWarning, OutsideError
from .mesh_file import mesh_files

T = TypeVar("T")


def optional_depth(folder: Path, read: Callable[[], T], needed: bool = False) -> T | None:
    """What `read` gives of a scene's depth images; None, with an `InputWarning` that says why, where it cannot.

    They are needed where the folder has no mesh, which is then fused from them, or where `needed` says so: there the
    `InputError` of `read` passes.
    """
    try:
        return read()
    except InputError as error:
        if needed or isinstance(error, OutsideError) or not mesh_files(folder):
            raise
        warnings.warn(f"{error} (goes on without depth images: there is a mesh)", InputWarning, stacklevel=3)
        return None
