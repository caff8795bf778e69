"""Which scenes a command works on: those named, those of a list, those of a folder, or one part of them; and when it is
whose turn."""

import os
import re
import time
from collections import deque
from collections.abc import Iterable, Sequence
from pathlib import Path

from ..errors import InputError, shown
from ..files.exchange import PREVIOUS
from ..files.manifest import MANIFEST
from ..files.reading import read_text
from ..report.overview import INDEX
from ..scene.load import scene_name
from .work_folder import FAILED, SEEDS, STAGES

_PAUSE = 1.0  # seconds until a scene that another run works on is looked at again
_LONGEST_NAME = 240  # bytes of a scene's name; what lies beside its result has a longer one
# What lies beside the results, or is looked for there, on disks that take capitals for small letters, too.
_TAKEN = (STAGES, INDEX, PREVIOUS, MANIFEST)
# A # within a word belongs to a scene of a data set.
_COMMENT = re.compile(r"(^|\s)#.*")


def find_scenes(
    named: Sequence[Path],
    listed: Path | None,
    root: Path | None,
    shard: str | None,
    output: Path,
    result: str | None = None,
) -> list[Path]:
    """Paths of the scenes, in the order they were given; those of a folder by name.

    Args:
        named: scenes that were named one by one.
        listed: text file with one scene per line, a path, or with `root` a name in it; empty lines and what follows #
            are left out.
        root: folder of scenes; without a list, every folder in it is one.
        shard: which part of them, as `shard_of` takes it.
        output: folder of the results, which is no scene if it lies in `root`.
        result: what results are called beside their scenes' names.

    Raises:
        InputError: no scene at all, a list or folder that cannot be read, a name that leads out of `root`, two scenes
            of one name, or of one that is taken,
            a shard that is not understood.
    """
    scenes = [Path(scene) for scene in named]
    if listed is not None:
        scenes += [Path(line) if root is None else root / _below(line, listed) for line in _lines(listed)]
    elif root is not None:
        scenes += _folders(root, output)
    if not scenes:
        where = listed or root
        raise InputError(
            "no scene given; name at least one scene folder" if where is None else f"{where}: holds no scene; check it"
        )
    _check_names(scenes, "" if result is None else f"-{result}")
    return shard_of(scenes, shard)


def shard_of(scenes: list[Path], shard: str | None) -> list[Path]:
    """Those of one run of several: all, or by "I/N", I from 0 to N - 1, every Nth scene from the Ith on.

    Raises:
        InputError: a shard that is not understood.
    """
    if shard is None:
        return scenes
    match = re.fullmatch(r"(\d{1,9})/(\d{1,9})", shard.strip())
    if not match or int(match[1]) >= int(match[2]):
        raise InputError(f"--shard '{shard}' is not understood; give I/N with I from 0 to N-1, like 0/4")
    return scenes[int(match[1]) :: int(match[2])]


def _lines(path: Path) -> list[str]:
    try:
        text = read_text(path)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "no text in UTF-8"
        raise InputError(f"{path}: cannot be read ({why}); give a text file with one scene per line") from None
    lines = (_COMMENT.sub("", line).strip() for line in text.splitlines())
    found = [line for line in lines if line]
    odd = next((line for line in found if not line.isprintable()), None)
    if odd is not None:
        raise InputError(f"{path}: {odd[:60]!r} is no path; give a text file with one scene per line")
    return found


def _below(line: str, listed: Path) -> str:
    """The line itself, a name in the folder --root. Raises InputError for one that leads out of it."""
    if Path(line).anchor or ".." in Path(line).parts:
        raise InputError(f"{listed}: {line[:200]!r} is not in the folder --root; list paths without --root")
    return line


def _folders(root: Path, output: Path) -> list[Path]:
    try:
        found = [path for path in root.iterdir() if path.is_dir() and not path.name.startswith(".")]
    except OSError as error:
        raise InputError(f"{root}: cannot be read ({error.strerror or error}); give a folder of scenes") from None
    # Results may lie beside the scenes; a scene that is named as their folder is none, and will be refused.
    results = (output / STAGES).is_dir() or not any(output.iterdir()) if output.is_dir() else False
    own = os.path.realpath(output) if results else ""
    return sorted((path for path in found if os.path.realpath(path) != own), key=lambda path: path.name)


def _check_names(scenes: Sequence[Path], end: str) -> None:
    """Results lie under the scenes' names, with one `end`, and what is known of failures beside them."""
    taken: dict[str, Path] = {}
    for path in scenes:
        name = scene_name(path)
        if name in taken:
            raise InputError(
                f"{taken[name]} and {path}: two scenes of one name would share one result; rename one, or run them "
                "with another --output"
            )
        taken[name] = path
    for name, path in taken.items():
        if len(os.fsencode(name + end)) > _LONGEST_NAME:
            shorter = "; rename it" + ", or choose a shorter --name" * bool(end)
            raise InputError(f"{shown(str(path))}: its name is too long for a folder of results{shorter}")
        beside = (name.removesuffix(end) for end in (FAILED, SEEDS) if name.endswith(end))
        if name.casefold() in _TAKEN or any(other in taken for other in beside):
            raise InputError(f"{path}: a scene cannot have the name {name}; rename its folder")


class SceneQueue:
    """Scenes that are still to be done, in their order, and those that have to be tried again later; true while there
    are any."""

    def __init__(self, scenes: Iterable[Path]):
        self._ready, self._later = deque(scenes), deque()

    def __len__(self) -> int:
        return len(self._ready) + len(self._later)

    def next(self) -> Path | None:
        """Takes the next scene; None if all that are left have to wait."""
        if self._ready:
            return self._ready.popleft()
        if self._later and self._later[0][0] <= time.monotonic():
            return self._later.popleft()[1]
        return None

    def again(self, scene: Path) -> None:
        """Puts a scene back, behind all others and not before a pause."""
        self._later.append((time.monotonic() + _PAUSE, scene))

    def pause(self) -> float:
        """Seconds until `next` has a scene; 0 if it has one or will have none."""
        if self._ready or not self._later:
            return 0.0
        return max(0.0, self._later[0][0] - time.monotonic())
