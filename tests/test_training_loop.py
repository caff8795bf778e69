"""The loop on models of a few numbers: averages, accumulation, pictures, and what stops it."""

import json
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from torch import nn

from scenetex import InputError
from scenetex.training.checkpoint import Progress, Trained, load_checkpoint, save_checkpoint
from scenetex.training.loop import make_accelerator, train
from scenetex.training.training_options import LoopOptions


class Line(nn.Module):
    """Squared error of a line through points; `fixed` is frozen."""

    def __init__(self):
        super().__init__()
        self.slope = nn.Parameter(torch.zeros(3))
        self.fixed = nn.Parameter(torch.ones(1), requires_grad=False)

    def trained(self):
        return (p for p in self.parameters() if p.requires_grad)

    def forward(self, batch):
        return ((batch["x"] @ self.slope - batch["y"]) ** 2).mean()


def points(parts: int = 1, bad_step: int | None = None):
    """Batches of 8 points on a line, in so many parts; not finite at a step."""

    def batches(start):
        for step in range(start, 10**9):
            x = torch.from_numpy(np.random.default_rng(step).standard_normal((8, 3))).float()
            y = x @ torch.tensor([1.0, -2.0, 0.5]) + (torch.nan if step == bad_step else 0)
            yield [{"x": a, "y": b} for a, b in zip(x.chunk(parts), y.chunk(parts), strict=True)]

    return batches


def run(folder, batches=None, objective=None, picture=None, saved=None, **options):
    folder.mkdir(exist_ok=True)
    options = LoopOptions(**{"steps": 12, "learning_rate": 0.05, "warmup": 1, "schedule": "constant", **options})
    objective = Line() if objective is None else objective
    save = (lambda average: None) if saved is None else saved
    return train(objective, batches or points(), options, Accelerator(cpu=True), folder, {}, save, picture), objective


def test_the_average_follows_the_weights(tmp_path):
    seen = []

    class Watched(Line):
        def forward(self, batch):
            seen.append(self.slope.detach().clone())
            return super().forward(batch)

    average, objective = run(tmp_path / "run", objective=Watched(), average=0.6)
    expected = torch.zeros(3)
    for step, value in enumerate([*seen[1:], objective.slope.detach()]):
        decay = min(0.6, (step + 1) / (step + 10))
        expected = decay * expected + (1 - decay) * value
    torch.testing.assert_close(average.slope.detach(), expected)
    assert average.fixed is objective.fixed and average.slope is not objective.slope


@pytest.mark.parametrize("parts", [2, 4])
def test_parts_of_a_step_add_up_to_the_step(tmp_path, parts):
    whole, cut = run(tmp_path / "whole")[1], run(tmp_path / "cut", points(parts), accumulation=parts)[1]
    torch.testing.assert_close(cut.slope, whole.slope, rtol=0, atol=1e-6)
    losses = [(tmp_path / name / "losses.jsonl").read_text().splitlines() for name in ("whole", "cut")]
    for one, other in zip(*losses, strict=True):
        assert json.loads(one)["loss"] == pytest.approx(json.loads(other)["loss"], abs=2e-6)


def test_pictures_and_models_come_when_they_should(tmp_path):
    pictures, models = [], []
    average, _ = run(
        tmp_path / "run",
        picture=lambda objective, step: pictures.append((objective, step)),
        saved=lambda objective: models.append(objective.slope.detach().clone()),
        picture_every=5,
        save_every=5,
    )
    assert pictures == [(average, 5), (average, 10)] and len(models) == 3
    assert torch.equal(models[-1], average.slope)


def test_a_loss_that_is_not_finite_stops_the_run_before_it_is_kept(tmp_path):
    with pytest.raises(InputError, match="the loss is nan at step 7; lower the learning rate"):
        run(tmp_path / "run", points(bad_step=7), save_every=2)
    kept = sorted(p.name for p in (tmp_path / "run" / "checkpoints").iterdir())
    assert kept == ["step-00000004", "step-00000006"]
    assert len((tmp_path / "run" / "losses.jsonl").read_text().splitlines()) == 6


def test_a_model_that_cannot_be_saved_leaves_the_last_checkpoint(tmp_path):
    def fail(average):
        raise InputError("model: cannot be written")

    run(tmp_path / "run", steps=2)
    with pytest.raises(InputError, match="model: cannot be written"):
        run(tmp_path / "run", steps=4, saved=fail)
    assert [p.name for p in (tmp_path / "run" / "checkpoints").iterdir()] == ["step-00000002"]


def test_batches_are_closed_however_the_run_ends(tmp_path):
    ended = []

    def watched(start):
        try:
            yield from points(bad_step=3)(start)
        finally:
            ended.append(start)

    run(tmp_path / "one", watched, steps=2)
    with pytest.raises(InputError):
        run(tmp_path / "two", watched)
    assert ended == [0, 0]


def test_bfloat16_learns_and_keeps_its_weights_whole(tmp_path):
    with fresh_accelerate():
        options = LoopOptions(steps=80, learning_rate=0.1, warmup=1, precision="bf16", device="cpu")
        (tmp_path / "run").mkdir()
        objective = Line()
        accelerator = make_accelerator(options)
        train(objective, points(), options, accelerator, tmp_path / "run", {}, lambda average: None)
    torch.testing.assert_close(objective.slope.detach(), torch.tensor([1.0, -2.0, 0.5]), rtol=0, atol=0.1)


@contextmanager
def fresh_accelerate():
    """Accelerate settles on one precision for each process."""
    AcceleratorState._reset_state(reset_partial_state=True)
    try:
        yield
    finally:
        AcceleratorState._reset_state(reset_partial_state=True)


def test_a_precision_or_device_that_is_not_there_is_named():
    with fresh_accelerate(), pytest.raises(InputError, match=r"--precision fp16: .*; choose another") as error:
        make_accelerator(LoopOptions(precision="fp16", device="cpu"))
    assert "\n" not in str(error.value)
    if not torch.cuda.is_available():
        with pytest.raises(InputError, match="torch finds no CUDA GPU"):
            make_accelerator(LoopOptions(device="cuda"))


def test_loss_scaling_is_kept_with_the_rest(tmp_path):
    objective, average = Line(), Line()
    optimizer = torch.optim.AdamW(objective.trained())
    trained = Trained(objective, optimizer, average)
    assert load_checkpoint(tmp_path / "none", {"seed": 0}, trained) == Progress(0, {"seed": 0}, {})
    save_checkpoint(tmp_path, Progress(3, {"seed": 0}, {"scale": 512.0}), trained)
    assert load_checkpoint(tmp_path, {"seed": 0, "new": 1}, trained) == Progress(3, {"seed": 0}, {"scale": 512.0})
