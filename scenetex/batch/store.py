"""Outputs of stages on disk, each under the content hash of all that it depends on."""

import io
from pathlib import Path

import numpy as np

from ..errors import DAMAGE
from ..files import open_file
from ..output import write_files


class DiskStore:
    """Keeps one output per stage as `<stage>-<key>.npz`; another key replaces it.

    Args:
        folder: where; whoever uses the store holds its lock.
        keys: per stage, the hash of its inputs and settings, from `digest.stage_keys`.
    """

    def __init__(self, folder: Path, keys: dict[str, str]):
        self._folder, self._keys = folder, keys

    def has(self, name: str) -> bool:
        """Whether there is an output for this key."""
        return self._path(name).is_file()

    def read(self, name: str) -> dict[str, np.ndarray] | None:
        """The arrays, or None where there are none for this key, or the file is damaged."""
        try:
            with open_file(self._path(name)) as data, np.load(data, allow_pickle=False) as file:
                return {key: file[key] for key in file.files}
        except DAMAGE:
            return None

    def write(self, name: str, arrays: dict[str, np.ndarray]) -> None:
        """Stores the arrays; what was there under other keys goes.

        Raises:
            InputError: it cannot be written.
            DiskFull: there is no room for it.
        """
        data, path = io.BytesIO(), self._path(name)
        np.savez(data, **arrays)
        write_files({path: data.getbuffer()})
        self._remove(name, but=path)

    def drop(self, *names: str) -> None:
        """Removes the outputs of stages that nobody will ask for again."""
        for name in names:
            self._remove(name)

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}-{self._keys[name]}.npz"

    def _remove(self, name: str, but: Path | None = None) -> None:
        for path in self._folder.glob(f"{name}-*.npz"):
            if path != but:
                path.unlink(missing_ok=True)
