"""Checkpoints of a running training: whole or absent, the last two kept."""

import errno
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from warnings import warn

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from ..errors import InputError, InputWarning
from ..files.json_file import read_object
from ..files.output import output_folder, remove_folder
from ..files.reading import check_regular
from ..pipelines.loading import LOAD_ERRORS, first_line

_STATE = "state.json"
_FILES = "weights.safetensors", "average.safetensors", "optimizer.pt"
_KIND = "checkpoint"
_KEPT = 2
# What makes a run what it is; all else may be other when it goes on.
_LASTING = ("stage", "data", "samples", "views", "seed", "frozen", "optimizer", "latent_channels", "whole")


@dataclass(frozen=True)
class Progress:
    """How far a run is.

    Attributes:
        step: optimizer steps done.
        run: what makes the run what it is (stage, data, seed, batch); resuming with another is refused.
        scaler: state of the loss scaling of half precision; empty without.
    """

    step: int
    run: dict
    scaler: dict


@dataclass(frozen=True, eq=False)
class Trained:
    """What a checkpoint holds: the weights in training, the optimizer, and the weights' moving averages."""

    model: nn.Module
    optimizer: torch.optim.Optimizer
    average: nn.Module


def save_checkpoint(folder: Path, progress: Progress, trained: Trained) -> Path:
    """Writes ``folder/step-<n>`` and deletes all but the last two.

    Raises:
        InputError: the disk is full or not writable; earlier checkpoints stay.
    """
    final = folder / f"step-{progress.step:08d}"
    with output_folder(final, _KIND) as partial, disk_errors():
        save_file(_trained(trained.model), partial / _FILES[0])
        save_file(_trained(trained.average), partial / _FILES[1])
        # Written by torch itself, a full disk would be an error like any other.
        moments = BytesIO()
        torch.save(trained.optimizer.state_dict(), moments)
        (partial / _FILES[2]).write_bytes(moments.getbuffer())
        state = {"step": progress.step, "run": progress.run, "scaler": progress.scaler}
        (partial / _STATE).write_text(json.dumps(state, indent=1), encoding="utf-8")
    for old in _all(folder)[:-_KEPT]:
        remove_folder(old, _KIND)
    return final


def load_checkpoint(folder: Path, run: dict, trained: Trained) -> Progress:
    """Takes up the last checkpoint in `folder`; without one, nothing is changed and no step is done.

    Raises:
        InputError: a checkpoint of another run or architecture, or one that cannot be read.

    Warns:
        InputWarning: a setting that may change in the course of a run, such as the learning rate, has.
    """
    found = _all(folder)
    if not found:
        return Progress(0, run, {})
    last = found[-1]
    try:
        state = read_object(last / _STATE)
        step, before, scaler = state["step"], dict(state["run"]), dict(state.get("scaler", {}))
        if step != int(last.name.removeprefix("step-")):
            raise ValueError(f"it says step {step}")
        for name in _FILES:
            check_regular(last / name)
        weights, averages = (load_file(last / name) for name in _FILES[:2])
        moments = torch.load(last / _FILES[2], map_location="cpu", weights_only=True)
    except (*LOAD_ERRORS, TypeError) as error:
        raise _unreadable(last, error) from None
    changed = [name for name in before if name in run and before[name] != run[name]]
    for name in _LASTING:
        if name in changed:
            raise InputError(
                f"{last}: was made with {name} {before[name]}, not {run[name]}; choose another output folder, or the "
                "same settings"
            )
    for name in changed:
        warn(InputWarning(f"{last}: was made with {name} {before[name]}; goes on with {run[name]}"), stacklevel=2)
    for model, values in ((trained.model, weights), (trained.average, averages)):
        _check(model, values, last)
    try:
        trained.optimizer.load_state_dict(_checked(moments, trained.optimizer))
    except LOAD_ERRORS as error:
        raise _unreadable(last, error) from None
    for model, values in ((trained.model, weights), (trained.average, averages)):
        _fill(model, values)
    return Progress(step, before, scaler)


@contextmanager
def disk_errors() -> Iterator[None]:
    """What safetensors says when a file cannot be written becomes the OSError that it was."""
    try:
        yield
    except SafetensorError as error:
        code = re.search(r"os error (\d+)", str(error))
        number = int(code[1]) if code else errno.EIO
        raise OSError(number, os.strerror(number)) from error


def _all(folder: Path) -> list[Path]:
    return sorted(p for p in folder.glob("step-*") if (p / _STATE).is_file())


def _unreadable(path: Path, error: Exception) -> InputError:
    return InputError(f"{path}: cannot be read ({first_line(error)}); delete that folder to go on from the one before")


def _trained(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: p.detach().contiguous() for name, p in model.named_parameters() if p.requires_grad}


def _check(model: nn.Module, weights: dict[str, torch.Tensor], path: Path) -> None:
    mine = _trained(model)
    for name in sorted(set(mine) | set(weights)):
        if name not in mine or name not in weights or mine[name].shape != weights[name].shape:
            have, want = (tuple(w[name].shape) if name in w else "nothing" for w in (weights, mine))
            raise InputError(
                f"{path}: is a checkpoint of another architecture ({name}: {have} there, {want} here); choose another "
                "output folder, or the model it was made with"
            )
        if weights[name].dtype != mine[name].dtype or not weights[name].isfinite().all():
            raise _unreadable(path, ValueError(f"{name} holds what are no weights"))


def _checked(stored: dict, optimizer: torch.optim.Optimizer) -> dict:
    """The optimizer's state with the moments that a file holds; settings, such as the rate, stay those of the run.

    Raises:
        ValueError, and what comes of other contents: moments of another optimizer, or of other shapes.
    """
    mine, found = optimizer.state_dict(), stored["state"]
    if [len(group["params"]) for group in stored["param_groups"]] != [len(g["params"]) for g in mine["param_groups"]]:
        raise ValueError("moments of another optimizer")
    weights = [(p, group) for group in optimizer.param_groups for p in group["params"]]
    if not found.keys() <= set(range(len(weights))):
        raise ValueError("moments of more weights than there are")
    for number, (p, group) in enumerate(weights):
        moments = found.get(number, {})
        if moments and moments.keys() != _moment_names(p, group):
            raise ValueError("moments of another optimizer")
        for name, value in moments.items():
            if value.shape != (() if name == "step" else p.shape) or not value.is_floating_point():
                raise ValueError(f"{name} of weight {number} has another shape or type")
            if not value.isfinite().all():
                raise ValueError(f"{name} of weight {number} is not finite")
    return mine | {"state": found}


def _moment_names(p: nn.Parameter, group: dict) -> set[str]:
    """What AdamW, or Muon, keeps of a weight."""
    if "orthogonal" not in group:
        return {"step", "exp_avg", "exp_avg_sq"}
    return {"momentum"} if group["orthogonal"] and p.ndim >= 2 else {"step", "mean", "square"}


@torch.no_grad()
def _fill(model: nn.Module, weights: dict[str, torch.Tensor]) -> None:
    mine = dict(model.named_parameters())
    for name, value in weights.items():
        mine[name].copy_(value)
