"""The folder of a run: one process writes there at a time, what a killed one left goes, and nobody's file is lost."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from warnings import warn

from ..bundled import locate_model
from ..errors import InputError, InputWarning
from ..files.locks import Busy, Release, hold
from ..files.output import check_apart, check_file, check_replaceable, naming, sweep
from ..files.seal import set_aside
from .model_folder import MODEL
from .training_options import TrainOptions

CHECKPOINTS = "checkpoints"
_LOCK = ".scenetex-run"  # also tells a run that was killed before its first checkpoint from other people's folders
_OWN = (MODEL, CHECKPOINTS, "encoded", "pictures")
_LOSSES, _CURVE = "losses.jsonl", "losses.png"


@contextmanager
def training_folder(options: TrainOptions, main: bool) -> Iterator[None]:
    """The folder `options.output`, made if need be and, by the `main` one of a run's processes, locked and tidied up.

    Raises:
        InputError: another training is at work there, it holds something of somebody else's, or is read itself.
    """
    folder = options.output
    # A cache may hold a model, but nothing is put into what is read.
    cached = () if options.cache is None else (options.cache / "samples",)
    check_apart([*(folder / name for name in _OWN), *cached], _inputs(options))
    for name in (_LOSSES, _CURVE):
        if os.path.lexists(folder / name):
            check_file(folder / name, ())
    if not main:
        yield
        return
    _check_foreign(folder)
    own = [folder / name for name in _OWN]
    made = [path for path in (*own, folder, *folder.parents) if not path.exists()]
    with naming(folder):
        folder.mkdir(parents=True, exist_ok=True)
    release = _locked(folder)
    try:
        _tidy(options)
        keep_strange(folder / _CURVE)
        yield
    finally:
        release()
        _remove_if_empty(folder, made)


def keep_strange(picture: Path) -> None:
    """Gives a picture another name that would be written over, though it is not as a run has written it.

    Warns:
        InputWarning: names both.
    """
    with naming(picture):
        kept = set_aside(picture)
    if kept is not None:
        said = f"{picture}: was changed since it was written, or made by an earlier version; it is {kept} now"
        warn(InputWarning(said), stacklevel=2)


def _inputs(options: TrainOptions) -> list[str | Path]:
    model = None if options.model is None else locate_model(options.model)
    given = (model, options.upscale_unet, options.data, options.materials)
    return [path for path in given if path is not None]


def _check_foreign(folder: Path) -> None:
    """Said before the work, not at the first checkpoint."""
    check_replaceable(folder / MODEL, MODEL)
    checkpoints = folder / CHECKPOINTS
    begun = (folder / _LOCK).exists() or any(checkpoints.glob("step-*/state.json"))
    for name in () if begun else (CHECKPOINTS, "pictures", _LOSSES, _CURVE):
        path = folder / name
        held = any(not p.name.endswith(".partial") for p in path.iterdir()) if path.is_dir() else path.exists()
        if held:
            raise InputError(
                f"{path}: is there, but not the training that could have made it; move it away, or choose "
                "another output folder"
            )


def _locked(folder: Path) -> Release:
    """Locks the run; what ends the lock."""
    path = folder / _LOCK
    try:
        return hold(path)
    except Busy:
        raise InputError(
            f"{folder}: another training is at work there; wait, or choose another output folder"
        ) from None
    except OSError as error:
        raise InputError(f"{path}: cannot be locked ({error.strerror}); choose a folder on a disk with locks") from None


def _tidy(options: TrainOptions) -> None:
    """What killed runs were writing: in the cache, which others may share, only what nobody is writing now."""
    folders = [options.output, *(options.output / name for name in _OWN), options.cache_folder]
    if options.cache_folder.is_dir():
        folders += [path for path in options.cache_folder.iterdir() if path.is_dir()]
    for folder in folders:
        sweep(folder)


def _remove_if_empty(folder: Path, made: list[Path]) -> None:
    """A run that ends before there is anything to keep leaves no folder either."""
    with suppress(OSError):
        for own in [folder / name for name in _OWN if folder / name in made]:
            for inside in [*own.glob("*"), own]:
                with suppress(OSError):
                    inside.rmdir()
        if folder in made and [path.name for path in folder.iterdir()] == [_LOCK]:
            (folder / _LOCK).unlink()
            for path in made[made.index(folder) :]:
                path.rmdir()
