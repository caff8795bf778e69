"""Checkpoints of a running training: whole or absent, the last two kept."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from ..errors import InputError
from ..output import output_folder

_MARKER = "state.json"
_KEPT = 2


@dataclass(frozen=True)
class Progress:
    """How far a run is.

    Attributes:
        step: optimizer steps done.
        run: what makes the run what it is (stage, data, seed, batch); resuming with another is refused.
    """

    step: int
    run: dict


def save_checkpoint(folder: Path, progress: Progress, model: nn.Module, optimizer, average: nn.Module) -> Path:
    """Writes ``folder/step-<n>`` and deletes all but the last two.

    Args:
        model: its trained parameters are saved.
        average: holds the moving averages of the same parameters.

    Raises:
        InputError: the disk is full or not writable; earlier checkpoints stay.
    """
    final = folder / f"step-{progress.step:08d}"
    with output_folder(final, marker=_MARKER) as partial:
        save_file(_trained(model), partial / "weights.safetensors")
        save_file(_trained(average), partial / "average.safetensors")
        torch.save(optimizer.state_dict(), partial / "optimizer.pt")
        (partial / _MARKER).write_text(json.dumps({"step": progress.step, "run": progress.run}, indent=1))
    for old in _all(folder)[:-_KEPT]:
        shutil.rmtree(old, ignore_errors=True)
    return final


def load_checkpoint(folder: Path, run: dict, model: nn.Module, optimizer, average: nn.Module) -> int:
    """Takes up the last checkpoint in `folder`; the number of steps done, 0 if there is none.

    Raises:
        InputError: a checkpoint of another run or architecture, or one that cannot be read.
    """
    found = _all(folder)
    if not found:
        return 0
    last = found[-1]
    try:
        state = json.loads((last / _MARKER).read_text())
        step, before = int(state["step"]), state["run"]
        weights, averages = (load_file(last / f"{name}.safetensors") for name in ("weights", "average"))
        moments = torch.load(last / "optimizer.pt", map_location="cpu", weights_only=True)
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, EOFError, SafetensorError) as error:
        said = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"{last}: cannot be read ({said}); delete that folder to go on from the one before") from None
    for name in sorted(set(before) | set(run)):
        if before.get(name) != run.get(name):
            raise InputError(
                f"{last}: was made with {name} {before.get(name)}, not {run.get(name)}; choose another output "
                "folder, or the same settings"
            )
    _fill(model, weights, last)
    _fill(average, averages, last)
    optimizer.load_state_dict(moments)
    return step


def _all(folder: Path) -> list[Path]:
    return sorted(p for p in folder.glob("step-*") if (p / _MARKER).is_file())


def _trained(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: p.detach().contiguous() for name, p in model.named_parameters() if p.requires_grad}


@torch.no_grad()
def _fill(model: nn.Module, weights: dict[str, torch.Tensor], path: Path) -> None:
    mine = _trained(model)
    for name in sorted(set(mine) | set(weights)):
        if name not in mine or name not in weights or mine[name].shape != weights[name].shape:
            have, want = (tuple(w[name].shape) if name in w else "nothing" for w in (weights, mine))
            raise InputError(
                f"{path}: is a checkpoint of another architecture ({name}: {have} there, {want} here); choose another "
                "output folder, or the model it was made with"
            )
    for name, value in weights.items():
        mine[name].copy_(value)
