"""The training loop that all stages share: accelerate's processes and precisions, averages, checkpoints, pictures."""

import copy
import json
import math
from collections.abc import Callable
from contextlib import closing, nullcontext
from pathlib import Path
from warnings import warn

import torch
from accelerate import Accelerator, DistributedDataParallelKwargs
from torch import nn

from ..errors import InputError, InputWarning
from ..files.json_file import parse_json
from ..files.output import write_files
from ..files.reading import read_text
from ..files.seal import seal
from ..pipelines.loading import resolve_device
from ..process.console import bar
from ..process.signals import Asked, deferred
from .batches import Batches
from .checkpoint import Progress, Trained, load_checkpoint, save_checkpoint
from .muon import muon
from .pictures import draw_losses
from .training_options import LoopOptions

_CLIP = 1.0
_LOG_BYTES = 1 << 28


def make_accelerator(options: LoopOptions) -> Accelerator:
    """Accelerate's view of the processes and devices there are.

    Raises:
        InputError: a device that is not there, a precision that it lacks.
    """
    # Told of no GPU, accelerate would take the processes of a CPU run for single ones, each doing all the work.
    device = resolve_device(options.device)
    try:
        accelerator = Accelerator(
            cpu=device.type == "cpu",
            mixed_precision=options.precision,
            # A set of views without overlap gives some blocks no gradient.
            kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=True)],
        )
    except ValueError as error:
        raise InputError(f"--precision {options.precision}: {str(error).splitlines()[0]}; choose another") from None
    # Accelerate would go on in whole precision, and say nothing.
    if options.precision == "fp16" and accelerator.device.type == "cpu":
        raise InputError("--precision fp16: needs a GPU; choose another")
    return accelerator


def train(
    objective: nn.Module,
    batches: Batches,
    options: LoopOptions,
    accelerator: Accelerator,
    folder: Path,
    run: dict,
    save_model: Callable[[nn.Module], None],
    picture: Callable[[nn.Module, int], None] | None = None,
) -> nn.Module:
    """Trains an objective's parameters; the objective with their moving averages.

    Args:
        objective: a module with `trained()`; calling it with a batch gives the mean loss over its items.
        batches: what to train on.
        folder: gets ``checkpoints/``, ``losses.jsonl`` and ``losses.png``.
        run: what makes the run what it is; see `Progress`.
        save_model: called with the averaged objective at each checkpoint.
        picture: called with the averaged objective and the step.

    Raises:
        InputError: a checkpoint that does not fit, a disk that is full, a loss that is not finite.
        KeyboardInterrupt: asked to end by Ctrl-C, SIGTERM or SIGHUP; the step that was under way is done and saved.
    """
    objective = objective.to(accelerator.device)
    # What is frozen stays the same in both: there is one of it.
    average = copy.deepcopy(objective, {id(p): p for p in objective.parameters() if not p.requires_grad})
    settings = {"lr": options.learning_rate, "betas": (0.9, 0.99), "weight_decay": 1e-2}
    if options.optimizer == "muon":
        optimizer = muon(objective, objective.trained(), **settings)
    else:
        optimizer = torch.optim.AdamW(objective.trained(), **settings)
    trained = Trained(objective, optimizer, average)
    progress = load_checkpoint(folder / "checkpoints", run, trained)
    if accelerator.scaler is not None and progress.scaler:
        try:
            accelerator.scaler.load_state_dict(progress.scaler)
        except (KeyError, TypeError, RuntimeError) as error:
            raise InputError(f"{folder}: loss scaling cannot be gone on with ({error}); delete checkpoints") from None
    main = accelerator.is_main_process
    log = _Log(folder, progress.step) if main else None
    parallel, optimizer = accelerator.prepare(objective, optimizer)
    shown = bar("train", total=options.steps, initial=progress.step, unit="step", disable=options.quiet or not main)
    stopped = False
    with shown, closing(batches(progress.step)) as parts_of_steps, deferred() as asked:
        for step in range(progress.step, options.steps):
            for group in optimizer.param_groups:
                group["lr"] = options.rate(step)
            loss, stopped = _gradient(accelerator, parallel, next(parts_of_steps), asked)
            accelerator.clip_grad_norm_(objective.trained(), _CLIP)
            optimizer.step()
            optimizer.zero_grad()
            _follow(average, objective, min(options.average, (step + 1) / (step + 10)))
            if not math.isfinite(loss):
                raise InputError(f"training: the loss is {loss} at step {step}; lower the learning rate")
            shown.update()
            shown.set_postfix(loss=f"{loss:.4f}")
            done = step + 1
            if main:
                log.add(done, loss)
                wanted = picture is not None and options.picture_every and not stopped
                if wanted and done % options.picture_every == 0:
                    picture(average, done)
                if done % options.save_every == 0 or done == options.steps or stopped:
                    log.write()
                    # The checkpoint comes last: after a kill in between, the steps since the one before run again.
                    save_model(average)
                    scaler = {} if accelerator.scaler is None else accelerator.scaler.state_dict()
                    save_checkpoint(folder / "checkpoints", Progress(done, run, scaler), trained)
            if stopped:
                break
    accelerator.wait_for_everyone()
    if stopped:
        if main:
            warn(InputWarning(f"{folder}: step {done} is saved; the same command goes on from there"), stacklevel=2)
        asked.obey()
    return average


def _gradient(
    accelerator: Accelerator, parallel: nn.Module, parts: list[dict[str, torch.Tensor]], asked: Asked
) -> tuple[float, bool]:
    """Adds the gradient of a step, averaged over its parts and all processes; its loss, and whether any process has
    been asked to end: all have to end after the same step."""
    total = torch.zeros((), device=accelerator.device)
    for i, batch in enumerate(parts):
        last = i == len(parts) - 1
        # Processes exchange gradients once a step.
        with nullcontext() if last else accelerator.no_sync(parallel):
            loss = parallel({name: value.to(accelerator.device) for name, value in batch.items()})
            accelerator.backward(loss / len(parts))
        total += loss.detach() / len(parts)
    ending = torch.full_like(total, float(asked.signal is not None))
    loss, ending = accelerator.reduce(torch.stack([total, ending]), "mean").tolist()
    return loss, ending > 0


@torch.no_grad()
def _follow(average: nn.Module, model: nn.Module, decay: float) -> None:
    targets, values = list(average.trained()), [p.detach() for p in model.trained()]
    torch._foreach_lerp_(targets, values, 1 - decay)


class _Log:
    """Losses as lines of JSON and as a curve. What an interrupted run logged beyond its checkpoint is dropped."""

    def __init__(self, folder: Path, start: int):
        self.path = folder / "losses.jsonl"
        try:
            lines = read_text(self.path, _LOG_BYTES).splitlines() if self.path.exists() else []
            rows = [{"step": int(row["step"]), "loss": float(row["loss"])} for row in map(parse_json, lines)]
            self.rows = [row for row in rows if 0 < row["step"] <= start]
        except (OSError, ValueError, KeyError, TypeError, OverflowError):
            raise InputError(
                f"{self.path}: cannot be read; delete it, or move it away if somebody wrote into it, the losses so far "
                "will be missing"
            ) from None
        if [json.dumps(row) for row in rows] != lines:  # somebody's notes would be lost
            raise InputError(
                f"{self.path}: was changed since it was written; move it away, the losses so far will be missing"
            )

    def add(self, step: int, loss: float) -> None:
        self.rows.append({"step": step, "loss": round(loss, 6)})

    def write(self) -> None:
        text = "".join(json.dumps(row) + "\n" for row in self.rows)
        write_files({self.path: text.encode(), self.path.with_suffix(".png"): seal(draw_losses(self.rows))})
