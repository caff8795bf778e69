"""The scheduler that lets views agree: every kind of diffusers', seen from outside as the one that it wraps."""

import inspect

import diffusers
import pytest
import torch
from tiny_backbones import BACKBONES, make_backbone
from tiny_pipeline import room_views

from scenetex import InputError
from scenetex.pipelines.fusing_scheduler import FusingScheduler
from scenetex.pipelines.latent_fusion import Fusion, noise_level
from scenetex.pipelines.latent_layout import LatentLayout, least_side
from scenetex.pipelines.scene_views import SceneViews

SHAPE = (4, 12, 16)
FLAT = LatentLayout(SHAPE, packed=False)
KINDS = [
    ("DDIMScheduler", {"clip_sample": False}),
    ("DDIMScheduler", {"clip_sample": False, "prediction_type": "v_prediction"}),
    ("EulerDiscreteScheduler", {"timestep_spacing": "trailing"}),
    ("EulerDiscreteScheduler", {"prediction_type": "sample"}),
    ("HeunDiscreteScheduler", {}),
    ("DPMSolverMultistepScheduler", {"use_karras_sigmas": True}),
    ("LCMScheduler", {}),
    ("TCDScheduler", {}),
    ("FlowMatchEulerDiscreteScheduler", {"shift": 3.0}),
    ("FlowMatchHeunDiscreteScheduler", {}),
    ("FlowMatchLCMScheduler", {}),
    ("UniPCMultistepScheduler", {"use_flow_sigmas": True, "prediction_type": "flow_prediction"}),
    ("DPMSolverMultistepScheduler", {"use_flow_sigmas": True, "prediction_type": "flow_prediction"}),
]


def make(name, options, steps):
    training = {} if "Flow" in name else {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012}
    scheduler = getattr(diffusers, name)(**training | options)
    scheduler.set_timesteps(steps)
    return scheduler


def denoised(scheduler, goal, noise) -> torch.Tensor:
    """What a model makes of noise that predicts that every view heads for its `goal`."""
    torch.manual_seed(0)
    x = noise * getattr(scheduler, "init_noise_sigma", 1.0)
    for step, t in enumerate(scheduler.timesteps):
        seen = scheduler.scale_model_input(x, t) if hasattr(scheduler, "scale_model_input") else x
        output = noise_level(scheduler, step, t).output(seen, goal)
        x = scheduler.step(output, t, x, return_dict=False)[0]
    return x


def fusion_of(views, known) -> Fusion:
    return Fusion(SceneViews(views).places(range(len(views))), SHAPE[1:], known, 1.0)


@pytest.mark.parametrize("steps", [4, 8, 20])
@pytest.mark.parametrize(("name", "options"), KINDS)
def test_views_come_to_agree_and_known_cells_to_what_they_are(name, options, steps):
    views, (goal, noise, anchors) = room_views(3), torch.randn(3, 3, *SHAPE, generator=torch.Generator().manual_seed(1))
    known = torch.zeros(3, 1, *SHAPE[1:], dtype=torch.bool)
    known[0, :, :6] = True
    fusion = fusion_of(views, known)
    wrapped = FusingScheduler(make(name, options, steps), FLAT, anchors, known, fusion)
    found = denoised(wrapped, goal, noise)
    assert torch.equal(found[0, :, :6], anchors[0, :, :6]) and torch.equal(wrapped.latents, found.float())
    tokens, mean, _ = fusion.fuse(torch.where(known, anchors, goal))
    rows = found.permute(0, 2, 3, 1).flatten(0, 2)
    # What schedulers leave of noise at their end, and what the last step takes of the one before.
    assert (rows[tokens] - mean).square().mean() < 0.02 * (
        goal.permute(0, 2, 3, 1).flatten(0, 2)[tokens] - mean
    ).square().mean()
    alone = torch.ones(rows.shape[0], dtype=torch.bool)
    alone[tokens] = False
    alone[known.flatten()] = False
    own = denoised(make(name, options, steps), goal, noise).permute(0, 2, 3, 1).flatten(0, 2)
    assert torch.allclose(rows[alone], own[alone], atol=1e-5)


@pytest.mark.parametrize(("name", "options"), KINDS)
def test_without_anything_to_do_steps_are_the_schedulers_own(name, options):
    goal, noise = torch.randn(2, 3, *SHAPE, generator=torch.Generator().manual_seed(1))
    known = torch.zeros(3, 1, *SHAPE[1:], dtype=torch.bool)
    wrapped = FusingScheduler(make(name, options, 4), FLAT, torch.zeros_like(goal), known, None)
    assert torch.equal(denoised(wrapped, goal, noise), denoised(make(name, options, 4), goal, noise))


def test_everything_else_is_the_schedulers_own():
    real = make("DDIMScheduler", {}, 4)
    known = torch.zeros(1, 1, *SHAPE[1:], dtype=torch.bool)
    wrapped = FusingScheduler(real, FLAT, torch.zeros(1, *SHAPE), known, None)
    assert inspect.signature(wrapped.step) == inspect.signature(real.step)
    assert wrapped.config is real.config and wrapped.order == 1
    wrapped.set_timesteps(7)
    wrapped.eta_max = 2.0
    assert len(real.timesteps) == 7 and real.eta_max == 2.0 and not hasattr(wrapped, "sigmas")


def test_scheduler_without_levels_is_named():
    known = torch.zeros(2, 1, *SHAPE[1:], dtype=torch.bool)
    real = diffusers.CMStochasticIterativeScheduler()
    real.set_timesteps(4)
    wrapped = FusingScheduler(real, FLAT, torch.zeros(2, *SHAPE), known, fusion_of(room_views(2), known))
    x = torch.randn(2, *SHAPE)
    with pytest.raises(InputError, match=r"CMStochasticIterativeScheduler .* has no noise levels"):
        wrapped.step(x, real.timesteps[0], x)


@pytest.mark.parametrize("name", BACKBONES)
def test_layouts_are_those_of_the_pipelines(tmp_path, name):
    """Cells keep their places: both ways, and as the pipelines themselves lay them out."""
    pipe = make_backbone(name, tmp_path)
    width, height = 4 * least_side(pipe), 3 * least_side(pipe)
    layout = LatentLayout.of(pipe, (width, height))
    grid = torch.randn(2, *layout.shape)
    assert torch.equal(layout.to_grid(layout.from_grid(grid)), grid)
    assert layout.packed == name.startswith(("FLUX", "Qwen"))
    if layout.packed:
        assert torch.equal(pipe._pack_latents(grid, 2, *layout.shape), layout.from_grid(grid))
        unpacked = pipe._unpack_latents(layout.from_grid(grid), height, width, pipe.vae_scale_factor)
        assert torch.equal(unpacked.reshape(grid.shape), grid)


@pytest.mark.parametrize(("name", "options"), KINDS)
def test_few_steps_fuse_down_to_the_noise_of_many(name, options):
    """The levels at which views agree in everything end where the share of them ends, within a step, at any count."""
    known = torch.zeros(2, 1, *SHAPE[1:], dtype=torch.bool)
    fusion = Fusion(SceneViews(room_views(2)).places(range(2)), SHAPE[1:], known, 0.3)
    for steps in (1, 4, 8, 50):
        scheduler = make(name, options, steps)
        times = [float(t) / 1000 for t in scheduler.timesteps]
        coarse = [fusion.is_coarse(scheduler, step, t) for step, t in enumerate(scheduler.timesteps)]
        assert not coarse[0] and coarse == sorted(coarse)
        assert all(time < 0.7 for time, there in zip(times, coarse, strict=True) if there)
        assert all(time >= 0.7 for time, there in list(zip(times, coarse, strict=True))[1:] if not there)
