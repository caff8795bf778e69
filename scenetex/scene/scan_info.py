"""ScanNet's `<scene>.txt`: what it says about a scan as a whole."""

import codecs
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..files.reading import open_file
from .pose import rigid

_LARGEST = 1 << 20


@dataclass(frozen=True, eq=False)
class ScanInfo:
    """What `<scene>.txt` says; each part is looked at when it is asked for, and raises `InputError` if it is malformed.

    Attributes:
        values: the lines `key = value`.
        path: of the file, or None where there is none.
    """

    values: dict[str, str] = field(default_factory=dict)
    path: Path | None = None

    @cached_property
    def axis_alignment(self) -> np.ndarray:
        """(4, 4) float64 rigid, scan frame to gravity-aligned frame (z up); identity if not given."""
        return _alignment(self.values, self.path)

    @cached_property
    def color_size(self) -> tuple[int, int] | None:
        """(width, height) in pixels the colour intrinsics refer to, or None."""
        return _size(self.values, "color", self.path)

    @cached_property
    def depth_size(self) -> tuple[int, int] | None:
        """The same for depth."""
        return _size(self.values, "depth", self.path)


def read_scan_info(folder: Path, names: list[str]) -> ScanInfo:
    """Reads the first `<name>.txt` that the folder has; nothing where it has none.

    Raises:
        InputError: the file cannot be read.
    """
    path = next((p for p in (folder / f"{name}.txt" for name in names) if p.is_file()), None)
    if path is None:
        return ScanInfo()
    try:
        with open_file(path) as file:
            lines = file.read(_LARGEST).removeprefix(codecs.BOM_UTF8).decode("latin-1").splitlines()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error}); check the file") from None
    return ScanInfo({key.strip(): value.strip() for key, _, value in (line.partition("=") for line in lines)}, path)


def _alignment(values: dict[str, str], path: Path) -> np.ndarray:
    if "axisAlignment" not in values:
        return np.eye(4)
    try:
        numbers = [float(word) for word in values["axisAlignment"].split()]
    except ValueError:
        numbers = []
    if len(numbers) != 16:
        raise InputError(f"{path}: axisAlignment is not 16 numbers; fix or delete that line")
    return rigid(np.array(numbers).reshape(4, 4), f"{path}: axisAlignment")


def _size(values: dict[str, str], kind: str, path: Path) -> tuple[int, int] | None:
    keys = f"{kind}Width", f"{kind}Height"
    if any(key not in values for key in keys):
        return None
    try:
        size = int(values[keys[0]]), int(values[keys[1]])
    except ValueError:
        size = 0, 0
    if not all(0 < side < 1 << 20 for side in size):
        raise InputError(f"{path}: {keys[0]} and {keys[1]} are not an image size; fix or delete those lines")
    return size
