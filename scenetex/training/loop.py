"""The training loop that all stages share: accelerate's processes and precisions, averages, checkpoints, pictures."""

import copy
import json
import math
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import torch
from accelerate import Accelerator, DistributedDataParallelKwargs
from torch import nn
from tqdm import tqdm

from ..errors import InputError
from ..output import write_files
from .checkpoint import Progress, load_checkpoint, save_checkpoint
from .objectives import Batch
from .pictures import draw_losses

_CLIP = 1.0
_FINAL_RATE = 1e-7


@dataclass(frozen=True)
class LoopSettings:
    """How long and how to train.

    Attributes:
        steps: optimizer steps in all; a run that has done them goes on when there are more.
        learning_rate: peak.
        warmup: steps until then.
        schedule: "cosine" down to 1e-7 at the last step, or "constant", to be gone on with.
        average: decay of the moving average of the weights, which is what gets saved as the model.
        accumulation: parts a step is computed in, one after the other.
        precision: "no", "bf16" or "fp16".
        save_every: steps between checkpoints.
        picture_every: steps between validation pictures; 0 = none.
        device: "auto" or "cpu".
    """

    steps: int
    learning_rate: float
    warmup: int = 100
    schedule: str = "cosine"
    average: float = 0.999
    accumulation: int = 1
    precision: str = "no"
    save_every: int = 500
    picture_every: int = 0
    device: str = "auto"

    def __post_init__(self):
        for name in ("steps", "learning_rate", "accumulation", "save_every"):
            if getattr(self, name) <= 0:
                raise InputError(f"training: {name} {getattr(self, name)} must be greater than 0")
        for name, known in (("schedule", ("cosine", "constant")), ("precision", ("no", "bf16", "fp16"))):
            if getattr(self, name) not in known:
                raise InputError(f"training: {name} {getattr(self, name)!r} is not one of {', '.join(known)}")
        if not 0 <= self.average < 1:
            raise InputError(f"training: average {self.average} is not in 0..1")

    def rate(self, step: int) -> float:
        """Learning rate of a step, counted from 0."""
        rise = min(1.0, (step + 1) / max(self.warmup, 1))
        if self.schedule == "constant":
            return rise * self.learning_rate
        fall = 0.5 + 0.5 * math.cos(math.pi * min(step / self.steps, 1.0))
        return _FINAL_RATE + (rise * self.learning_rate - _FINAL_RATE) * fall


def make_accelerator(settings: LoopSettings) -> Accelerator:
    """Accelerate's view of the processes and devices there are.

    Raises:
        InputError: a precision that the device lacks.
    """
    try:
        return Accelerator(
            cpu=settings.device == "cpu",
            mixed_precision=settings.precision,
            # A set of views without overlap gives some blocks no gradient.
            kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=True)],
        )
    except ValueError as error:
        raise InputError(f"training: {str(error).splitlines()[0]}; choose another precision") from None


def train(
    objective: nn.Module,
    batches: Callable[[int], Iterator[list[Batch]]],
    settings: LoopSettings,
    accelerator: Accelerator,
    folder: Path,
    run: dict,
    save_model: Callable[[nn.Module], None],
    picture: Callable[[nn.Module, int], None] | None = None,
) -> nn.Module:
    """Trains an objective's parameters; the objective with their moving averages.

    Args:
        objective: a module with `trained()`; calling it with a batch gives the mean loss over its items.
        batches: called with the first step, yields for each step this process's accumulated parts.
        folder: gets ``checkpoints/``, ``losses.jsonl`` and ``losses.png``.
        run: what makes the run what it is; see `Progress`.
        save_model: called with the averaged objective at each checkpoint.
        picture: called with the averaged objective and the step.

    Raises:
        InputError: a checkpoint that does not fit, a disk that is full, a loss that is not finite.
    """
    objective = objective.to(accelerator.device)
    average = copy.deepcopy(objective)
    optimizer = torch.optim.AdamW(objective.trained(), lr=settings.learning_rate, betas=(0.9, 0.99), weight_decay=1e-2)
    start = load_checkpoint(folder / "checkpoints", run, objective, optimizer, average)
    log = _Log(folder, start) if accelerator.is_main_process else None
    parallel, optimizer = accelerator.prepare(objective, optimizer)
    bar = tqdm(total=settings.steps, initial=start, desc="train", unit="step", disable=not accelerator.is_main_process)
    for step, parts in enumerate(batches(start), start):
        if step >= settings.steps:
            break
        for group in optimizer.param_groups:
            group["lr"] = settings.rate(step)
        total = 0.0
        for i, batch in enumerate(parts):
            last = i == len(parts) - 1
            with _gathered(accelerator, parallel, last):
                with accelerator.autocast():
                    loss = parallel({name: value.to(accelerator.device) for name, value in batch.items()})
                accelerator.backward(loss / len(parts))
            total += loss.detach() / len(parts)
        accelerator.clip_grad_norm_(objective.trained(), _CLIP)
        optimizer.step()
        optimizer.zero_grad()
        _follow(average, objective, min(settings.average, (step + 1) / (step + 10)))
        loss = accelerator.reduce(total, "mean").item()
        if not math.isfinite(loss):
            raise InputError(f"training: the loss is {loss} at step {step}; lower the learning rate, or the precision")
        bar.update()
        bar.set_postfix(loss=f"{loss:.4f}")
        done = step + 1
        if accelerator.is_main_process:
            log.add(done, loss)
            if done % settings.save_every == 0 or done == settings.steps:
                log.write()
                save_checkpoint(folder / "checkpoints", Progress(done, run), objective, optimizer.optimizer, average)
                save_model(average)
            if picture is not None and settings.picture_every and done % settings.picture_every == 0:
                picture(average, done)
        if done == settings.steps:
            break
    bar.close()
    accelerator.wait_for_everyone()
    return average


def _gathered(accelerator: Accelerator, model: nn.Module, last: bool):
    """Gradients are averaged over processes with the last part of a step only."""
    return nullcontext() if last else accelerator.no_sync(model)


@torch.no_grad()
def _follow(average: nn.Module, model: nn.Module, decay: float) -> None:
    targets, values = list(average.trained()), [p.detach() for p in model.trained()]
    torch._foreach_lerp_(targets, values, 1 - decay)


class _Log:
    """Losses as lines of JSON and as a curve. What an interrupted run logged beyond its checkpoint is dropped."""

    def __init__(self, folder: Path, start: int):
        self.path = folder / "losses.jsonl"
        lines = self.path.read_text().splitlines() if self.path.is_file() else []
        self.rows = [row for row in map(json.loads, lines) if row["step"] <= start]

    def add(self, step: int, loss: float) -> None:
        self.rows.append({"step": step, "loss": round(loss, 6)})

    def write(self) -> None:
        text = "".join(json.dumps(row) + "\n" for row in self.rows)
        write_files({self.path: text.encode(), self.path.with_suffix(".png"): draw_losses(self.rows)})
