"""Outputs of stages on disk, each under the content hash of all that it depends on."""

import glob
import io
import logging
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np

from ..errors import DAMAGE
from ..files.output import write_files
from ..files.reading import open_file

_log = logging.getLogger(__name__)
MOST_KEPT = 8  # outputs of one stage


class StageCache:
    """Keeps outputs of stages as `<stage>-<key>.npz`, some of each, so that who comes back to earlier settings finds
    theirs.

    Args:
        folder: where; whoever uses the cache holds its lock.
        keys: per stage, the hash of its inputs and settings, from `cache_keys`.
        scene: whose outputs these are. Other results of that scene have folders beside this one, called
            `<scene>-<name>`; what they have is read, too: a key tells all that an output depends on.
        most: outputs of one stage that are kept, of which those go first that were not used for longest.
    """

    def __init__(self, folder: Path, keys: dict[str, str], scene: str | None = None, most: int = MOST_KEPT):
        self._folder, self._keys, self._most = folder, keys, most
        self._scene = folder.name if scene is None else scene

    def has(self, name: str) -> bool:
        """Whether there is an output for this key."""
        return any(path.is_file() for path in self._places(name))

    def read(self, name: str) -> dict[str, np.ndarray] | None:
        """The arrays, or None where there are none for this key, or the file is damaged."""
        for path in self._places(name):
            try:
                with open_file(path) as data, np.load(data, allow_pickle=False) as file:
                    arrays = {key: file[key] for key in file.files}
            except FileNotFoundError:
                continue
            except DAMAGE as error:
                _log.debug("%s: is damaged, and made anew", path, exc_info=error)
                continue
            with suppress(OSError):  # somebody else's, or gone since
                os.utime(path)
            return arrays
        return None

    def write(self, name: str, arrays: dict[str, np.ndarray]) -> None:
        """Stores the arrays; of more than `most` outputs of the stage, the longest unused go.

        Raises:
            InputError: it cannot be written.
            DiskFull: there is no room for it.
        """
        data, path = io.BytesIO(), self._path(name)
        np.savez(data, **arrays)
        write_files({path: data.getbuffer()})
        others = sorted(
            (other.stat().st_mtime_ns, other) for other in self._folder.glob(f"{name}-*.npz") if other != path
        )
        for _, other in others[: max(0, len(others) + 1 - self._most)]:
            other.unlink(missing_ok=True)

    def drop(self, *names: str) -> None:
        """Removes the outputs of stages that nobody will ask for again, of those that there are in this run."""
        for name in self._keys.keys() & set(names):
            self._path(name).unlink(missing_ok=True)

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}-{self._keys[name]}.npz"

    def _places(self, name: str) -> Iterator[Path]:
        """Where an output with this key may be: here first, then with other results of the scene."""
        path = self._path(name)
        yield path
        beside = self._folder.parent
        for folder in (beside / self._scene, *sorted(beside.glob(f"{glob.escape(self._scene)}-*"))):
            if folder != self._folder:
                yield folder / path.name
