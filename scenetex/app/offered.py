"""Which scans of this machine the page offers: the sample room, and those in the folder that it was started with."""

import os
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from ..errors import InputError, shown
from ..synthetic.sample_room import NAME, find_sample_room, make_sample_room

SAMPLE = "sample room"
_MOST = 500  # folders that are listed; others can be typed
_MAKING = Lock()  # of the sample room


@dataclass(frozen=True)
class Offered:
    """The scans that may be picked by name.

    Attributes:
        root: folder of scans, whose names are their paths in it; None = only the sample room.
        home: folder to make the sample room in, once somebody asks for it, where it lies nowhere; None = it is not
            offered then.
    """

    root: Path | None = None
    home: Path | None = None

    def names(self) -> list[str]:
        """Of all of them that a list can show. Raises InputError if the folder cannot be read."""
        found = [SAMPLE] if self.home or find_sample_room() else []
        if self.root is None:
            return found
        try:
            inside = [path.name for path in self.root.iterdir() if path.is_dir() and not path.name.startswith(".")]
        except OSError as error:
            why = error.strerror or error
            raise InputError(f"--root {self.root}: cannot be read ({why}); give a folder of scans") from None
        return found + sorted(name for name in inside if name.isprintable())[:_MOST]

    def path(self, name: str) -> Path:
        """Where the scan of that name lies.

        Raises:
            InputError: it is none of these; nothing outside of `root` is, symlinks followed.
        """
        sample = self._sample_room() if name == SAMPLE else None
        if sample is not None:
            return sample
        if self.root is None:
            raise InputError(f"'{shown(name, 60)}' is not offered here; choose a scan of the list, or drop one")
        root = os.path.realpath(self.root)
        try:
            real = os.path.realpath(os.path.join(root, name))
        except ValueError:
            real = ""
        if os.path.commonpath([real or os.sep, root]) != root:
            raise InputError(f"'{shown(name, 60)}' lies outside of the folder that is offered here; choose one in it")
        if not os.path.isdir(real):
            raise InputError(f"'{shown(name, 60)}': no such folder is offered here; choose one of the list")
        return Path(real)

    def _sample_room(self) -> Path | None:
        """Where it lies, made if need be."""
        with _MAKING:
            found = find_sample_room()
            if found is None and self.home is not None:
                found = self.home / NAME
                if not found.is_dir():
                    make_sample_room(found)
            return found
