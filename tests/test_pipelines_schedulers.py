"""Schedulers by name, and few steps of those for distilled models: views agree as they do in many."""

import numpy as np
import pytest
import torch
from test_pipelines_consistent_views import VIEWS as SMALL
from test_pipelines_consistent_views import made  # noqa: F401 (a fixture)
from test_pipelines_consistent_views import run as run_backbone
from tiny_pipeline import make_pipeline, room_views, run

from scenetex import InputError, overlap_psnr
from scenetex.pipelines import ConsistentViews
from scenetex.pipelines.noise import DrawnNoise, draw_noise, share_noise
from scenetex.pipelines.scene_views import SceneViews
from scenetex.pipelines.schedulers import _DIFFUSION, _FLOW, set_scheduler

VIEWS = room_views(4)
OFF = {"shared_noise": False, "fusion": False}


@pytest.fixture(scope="module")
def pipe(tmp_path_factory):
    return make_pipeline(tmp_path_factory.mktemp("tokens"))


@pytest.fixture
def scheduled(pipe):
    """Gives the pipeline a scheduler for a test."""
    own = pipe.scheduler

    def schedule(name):
        set_scheduler(pipe, name)
        return pipe

    yield schedule
    pipe.register_modules(scheduler=own)


@pytest.mark.parametrize("name", _DIFFUSION)
def test_every_name_is_a_scheduler_of_the_models_noise(scheduled, pipe, name):
    own = dict(pipe.scheduler.config)
    changed = scheduled(name)
    assert changed.scheduler.__class__ is _DIFFUSION[name][0]
    assert {k: changed.scheduler.config[k] for k in ("beta_schedule", "beta_start", "prediction_type")} == {
        k: own[k] for k in ("beta_schedule", "beta_start", "prediction_type")
    }
    assert np.isfinite(run(changed, VIEWS, steps=2)).all()


def test_default_leaves_the_models_own(pipe):
    own = pipe.scheduler
    set_scheduler(pipe, "default")
    assert pipe.scheduler is own
    with pytest.raises(InputError, match="scheduler 'lmc' is not known"):
        set_scheduler(pipe, "lmc")


@pytest.mark.parametrize("steps", [4, 8])
@pytest.mark.parametrize("name", ["lcm", "tcd", "euler-trailing", "ddim-trailing", "euler-ancestral"])
def test_views_agree_in_few_steps(scheduled, name, steps):
    """By fusion too, not by shared noise alone."""
    changed = scheduled(name)
    apart, noise, fused = (
        overlap_psnr(VIEWS, 255 * run(changed, VIEWS, steps=steps, **options)).mean
        for options in (OFF, {"fusion": False}, {})
    )
    assert fused > apart + 3 and fused > noise + 3


@pytest.mark.parametrize("steps", [4, 8])
@pytest.mark.parametrize("name", _FLOW)
@pytest.mark.parametrize("backbone", ["Stable Diffusion 3", "FLUX"])
def test_views_agree_in_few_steps_of_flow_matching(made, backbone, name, steps):  # noqa: F811
    pipe = made(backbone).pipe
    own = pipe.scheduler
    try:
        set_scheduler(pipe, name)
        apart, together = (run_backbone(ConsistentViews(pipe), steps=steps, **options) for options in (OFF, {}))
    finally:
        pipe.register_modules(scheduler=own)
    assert overlap_psnr(SMALL, 255 * together).mean > overlap_psnr(SMALL, 255 * apart).mean + 3


def test_names_that_are_not_for_flow_matching_are_refused(made):  # noqa: F811
    with pytest.raises(InputError, match="scheduler 'tcd' is not for StableDiffusion3ControlNetPipeline"):
        set_scheduler(made("Stable Diffusion 3").pipe, "tcd")


@pytest.mark.parametrize("name", ["lcm", "tcd"])
def test_more_steps_than_a_distilled_model_knows_are_refused(scheduled, name):
    with pytest.raises(InputError, match="is for few steps; pass 4 to 8, 50 at most"):
        run(scheduled(name), VIEWS, steps=51)


@pytest.mark.parametrize("name", ["lcm", "euler-ancestral"])
def test_noise_of_steps_is_shared_by_surface(scheduled, monkeypatch, name):
    """What each step adds is each view's own in law, and the same where views show the same."""
    added = []
    own = DrawnNoise.__torch_function__

    def spy(self, func, types, args=(), kwargs=None):
        found = own(self, func, types, args, kwargs)
        if func is torch.randn:
            added.append(found)
        return found

    monkeypatch.setattr(DrawnNoise, "__torch_function__", spy)
    changed = scheduled(name)
    run(changed, VIEWS, steps=4)
    places = SceneViews(VIEWS).places(range(4))
    shape = tuple(added[0].shape[1:])
    tokens = torch.arange(4 * shape[1] * shape[2], dtype=torch.float).view(4, 1, *shape[1:])
    lead = share_noise(tokens, places, [range(4)]).flatten().long()  # which token's noise each token has
    assert len(lead.unique()) < len(lead)
    for noise in added:
        assert tuple(noise.shape) == (4, *shape) and abs(float(noise.std()) - 1) < 0.15
        rows = noise.permute(0, 2, 3, 1).reshape(len(lead), -1)
        assert torch.equal(rows, rows[lead])
    apart = len(added)
    run(changed, VIEWS, steps=4, shared_noise=False)
    rows = added[apart].permute(0, 2, 3, 1).reshape(len(lead), -1)
    assert not torch.equal(rows, rows[lead])


@pytest.mark.parametrize("name", ["lcm", "euler-ancestral"])
def test_images_of_drawing_schedulers_do_not_depend_on_the_order_of_views(scheduled, name):
    from tiny_pipeline import some_of

    order = [2, 0, 3, 1]
    changed = scheduled(name)
    images = run(changed, VIEWS, steps=3)
    assert np.allclose(run(changed, some_of(VIEWS, order), steps=3), images[order], atol=1e-4)


def test_other_draws_stay_as_they_are():
    with DrawnNoise((2, 3), torch.zeros_like):
        drawn, other = torch.randn(2, 3), torch.randn(3, 2)
    assert not drawn.any() and other.any()
    assert torch.randn(2, 3).any()
    assert draw_noise(1, [2, 3], (1, 2, 2)).shape == (2, 1, 2, 2)
