"""Finds the file of weights that a folder, a file's name or a Hub id stands for."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import hf_hub_download, list_repo_files
from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

from ..errors import InputError, shown
from ..files.folders import check_folder, files_below
from ..files.reading import check_path
from .loading import LOAD_ERRORS, first_line

_SAFE = ".safetensors"
_REPOSITORY = 2  # parts of a Hub id: owner/name


@dataclass(frozen=True)
class WeightFile:
    """A file of weights, and where others are that belong to it.

    Attributes:
        path: the file.
        repository: Hub id that it was downloaded from, None for one that lay here.
        name: in the repository.
    """

    path: Path
    repository: str | None = None
    name: str = ""

    def beside(self, name: str) -> Path | None:
        """Another file, by its name from the folder of this one, downloaded if need be; None where there is none.

        Raises:
            InputError: no network.
        """
        if self.repository is None:
            path = self.path.parent / name
            return path if path.is_file() else None
        inside = os.path.normpath(os.path.join(os.path.dirname(self.name), name)).replace(os.sep, "/")
        return None if inside.startswith("..") else _download(self.repository, inside)


def find_weights(source: str, what: str, usual: Sequence[str]) -> WeightFile:
    """The file, downloaded if need be.

    Args:
        source: a file; a folder; or a Hub id, ``owner/name`` or ``owner/name/path/of/file.safetensors``.
        what: is looked for, for messages.
        usual: names within a folder or Hub id, of which the first that is there is taken, and else the only safetensors
            file of it.

    Raises:
        InputError: no such file, folder or Hub id; none or several of weights in it; no network.
    """
    check_path(source)
    path = Path(source)
    if path.is_file():
        return WeightFile(path)
    if path.is_dir():
        check_folder(path)
        files = [p.relative_to(path).as_posix() for p in files_below(path)]
        return WeightFile(path / _chosen(source, what, usual, files))
    parts = source.split("/")
    if path.exists() or len(parts) < _REPOSITORY or not all(parts) or source.startswith((".", "~")):
        raise InputError(f"{shown(source, 120)}: no such file or folder; pass {what} as a file, folder or Hub id")
    repository, name = "/".join(parts[:_REPOSITORY]), "/".join(parts[_REPOSITORY:])
    for wanted in [name] if name else usual:
        found = _download(repository, wanted)
        if found is not None:
            return WeightFile(found, repository, wanted)
    if name:
        raise InputError(f"{shown(source, 120)}: {repository} has no such file; check the name")
    try:
        files = list_repo_files(repository)
    except LOAD_ERRORS as error:
        raise _unreached(source, error) from None
    name = _chosen(source, what, usual, files)
    return WeightFile(_download(repository, name) or Path(name), repository, name)


def _download(repository: str, name: str) -> Path | None:
    """A file of a Hub id; None where it has none of that name."""
    try:
        return Path(hf_hub_download(repository, name))
    except (*LOAD_ERRORS, EntryNotFoundError) as error:
        if isinstance(error, EntryNotFoundError) and not isinstance(error, LocalEntryNotFoundError):
            return None
        raise _unreached(f"{repository}/{name}", error) from None


def _unreached(source: str, error: Exception) -> InputError:
    return InputError(f"{shown(source, 120)}: cannot be loaded ({first_line(error)}); check the name and the network")


def _chosen(source: str, what: str, usual: Sequence[str], files: Sequence[str]) -> str:
    """The name of the file to take, of those that are there."""
    known = [name for name in usual if name in files]
    beside = [name for name in files if "/" not in name and name.endswith(_SAFE)]
    if known or len(beside) == 1:
        return known[0] if known else beside[0]
    if not beside:
        names = " nor ".join(usual)
        raise InputError(f"{shown(source, 120)}: has no {names}; pass {what} for this model, or name its file")
    names = shown(", ".join(beside), 120)
    raise InputError(f"{shown(source, 120)}: has {len(beside)} files of weights ({names}); name the one to take")
