"""Fusion of clean latents, and the conversions between model output and clean latents."""

import math

import diffusers
import pytest
import torch
from test_pipelines_noise import wall
from tiny_panorama import make_panorama_pipeline, run
from tiny_pipeline import make_pipeline, room_views

from scenetex import InputError
from scenetex.pipelines.latent_fusion import Fusion, NoiseLevel, noise_level
from scenetex.pipelines.scene_views import SHARED_OVERLAP, correspondence_of

SIZE = (12, 16)
PREDICTIONS = ["epsilon", "v_prediction", "sample", "flow_prediction"]


def fusion_of(views, given=None, size=SIZE):
    m = len(views)
    correspondence = correspondence_of(views, range(m), overlap=SHARED_OVERLAP)
    known = torch.zeros(m, dtype=torch.bool) if given is None else torch.as_tensor(given)
    known = known[:, None, None, None].expand(m, 1, *size) if known.ndim == 1 else known
    return Fusion(correspondence, size, known, 0.3)


def nearest(keys, row: int, k: int) -> int:
    """The token that a key lies nearest to."""
    return int(keys.texel[row, k, keys.weight[row, k].argmax()])


def loops(fusion, clean):
    """Fused latents by plain loops: {token: value}."""
    m, _, h, w = clean.shape
    flat = clean.permute(0, 2, 3, 1).reshape(m * h * w, -1)
    out = {}
    for group in fusion._matches.groups:
        for row, token in enumerate(group.query.tolist()):
            total, weight = flat[token].clone(), 1.0
            for k in range(group.shape[1]):
                if group.valid is not None and not group.valid[row, k]:
                    continue
                texel, share = group.keys.texel[row, k].tolist(), group.keys.weight[row, k].tolist()
                trust = 4.0 if fusion._known[nearest(group.keys, row, k)] else 1.0
                total += trust * sum(s * flat[t] for s, t in zip(share, texel, strict=True))
                weight += trust
            if not fusion._known[token]:
                out[token] = total / weight
    return out


def with_painted_partner(fusion) -> set[int]:
    """Tokens with a valid key among known cells, by plain loops."""
    out = set()
    for group in fusion._matches.groups:
        for row, token in enumerate(group.query.tolist()):
            for k in range(group.shape[1]):
                valid = group.valid is None or group.valid[row, k]
                if valid and fusion._known[nearest(group.keys, row, k)]:
                    out.add(token)
    return out


PARTLY = torch.zeros(4, 1, *SIZE, dtype=torch.bool)
PARTLY[1:3, :, : SIZE[0] // 2] = True


@pytest.mark.parametrize("given", [None, [False, True, False, False], PARTLY])
def test_fusion_is_the_loop_written_mean(given):
    torch.manual_seed(0)
    clean = torch.randn(4, 4, *SIZE)
    fusion = fusion_of(room_views(4), given)
    tokens, values, painted = fusion.fuse(clean)
    expected = loops(fusion, clean)
    beside = {row for row in expected if given is not None and row in with_painted_partner(fusion)}
    assert set(tokens[painted].tolist()) == beside and bool(beside) == (given is not None)
    assert sorted(tokens.tolist()) == sorted(expected) and len(expected) > 200
    for token, value in zip(tokens.tolist(), values, strict=True):
        assert torch.allclose(value, expected[token], atol=1e-5)


@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_cells_without_partner_are_untouched_bit_for_bit(prediction):
    torch.manual_seed(0)
    x, output = torch.randn(2, 3, 4, *SIZE)
    fusion = fusion_of(room_views(3))
    level = NoiseLevel(0.6, 0.8, prediction)
    fused = fusion.apply(x, output, level)
    tokens, values, _ = fusion.fuse(level.clean(x, output))
    alone = torch.ones(3 * SIZE[0] * SIZE[1], dtype=torch.bool)
    alone[tokens] = False
    assert alone.sum() > 50 and (~alone).sum() > 50

    def rows(t):
        return t.permute(0, 2, 3, 1).reshape(-1, 4)

    assert torch.equal(rows(fused)[alone], rows(output)[alone])
    assert torch.allclose(rows(level.clean(x, fused))[tokens], values, atol=1e-5)


def test_views_of_one_wall_come_to_agree():
    """Moved by whole cells: what both see becomes the mean of the two."""
    clean = torch.randn(2, 4, 32, 48)
    fused = NoiseLevel(0.6, 0.8, "sample")
    out = fusion_of(wall([0, 8]), size=(32, 48)).apply(clean, clean, fused)
    assert torch.allclose(out[0][:, :, 4:], out[1][:, :, :-4], atol=1e-4)
    assert torch.allclose(out[0][:, :, 4:], (clean[0][:, :, 4:] + clean[1][:, :, :-4]) / 2, atol=1e-4)


def test_coarse_fusion_is_the_loop_written_gaussian_mean_of_the_changes():
    torch.manual_seed(0)
    clean = torch.randn(3, 4, *SIZE)
    fusion, level = fusion_of(room_views(3)), NoiseLevel(0.6, 0.8, "sample")
    change = fusion.apply(clean, clean, level) - clean
    tokens, _, _ = fusion.fuse(clean)
    moved = torch.zeros(3 * SIZE[0] * SIZE[1], dtype=torch.bool)
    moved[tokens] = True
    moved = moved.view(3, *SIZE)
    out = fusion.apply(clean, clean, level, coarse=True)
    assert torch.equal(out.permute(0, 2, 3, 1)[~moved], clean.permute(0, 2, 3, 1)[~moved])
    for view, row, column in moved.nonzero()[::17].tolist():
        total, weight = torch.zeros(4), 0.0
        for y in range(max(row - 2, 0), min(row + 3, SIZE[0])):
            for x in range(max(column - 2, 0), min(column + 3, SIZE[1])):
                if moved[view, y, x]:
                    share = math.exp(-((y - row) ** 2 + (x - column) ** 2) / 2)
                    total, weight = total + share * change[view, :, y, x], weight + share
        expected = clean[view, :, row, column] + total / weight
        assert torch.allclose(out[view, :, row, column], expected, atol=1e-5)


def test_coarse_fusion_joins_shades_and_keeps_detail():
    """Two views of one wall, one brighter than the other, each with its own checks of single cells."""
    checks = (torch.arange(32)[:, None] + torch.arange(48)) % 2 - 0.5
    clean = torch.stack([(checks + 1).expand(4, -1, -1), (-checks - 1).expand(4, -1, -1)])
    fusion, level = fusion_of(wall([0, 8]), size=(32, 48)), NoiseLevel(0.6, 0.8, "sample")
    fine, coarse = (fusion.apply(clean, clean, level, kind)[0, :, 4:-4, 8:-4] for kind in (False, True))
    assert fine.mean().abs() < 0.02 and coarse.mean().abs() < 0.02
    assert fine.std() < 0.02 and coarse.std() > 0.9 * clean[0].std()


@pytest.mark.parametrize("coarse", [False, True])
def test_given_views_do_not_move(coarse):
    clean = torch.randn(2, 4, 32, 48)
    level = NoiseLevel(0.6, 0.8, "sample")
    out = fusion_of(wall([0, 8]), [True, False], (32, 48)).apply(clean, clean, level, coarse)
    assert torch.equal(out[0], clean[0])
    # Detail and all, also where views that are all being painted keep their own.
    mean = (4 * clean[0][:, :, 4:] + clean[1][:, :, :-4]) / 5
    assert torch.allclose(out[1][:, :, :-4], mean, atol=1e-4)


@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_output_and_clean_latents_are_inverse(prediction):
    torch.manual_seed(0)
    clean, noise = torch.randn(2, 4, 4, 5, 5, dtype=torch.float64)
    level = NoiseLevel(0.04 if prediction == "flow_prediction" else 0.28, 0.96, prediction)
    x = level.signal * clean + level.noise * noise
    truth = {
        "epsilon": noise,
        "v_prediction": level.signal * noise - level.noise * clean,
        "sample": clean,
        "flow_prediction": noise - clean,
    }[prediction]
    assert torch.allclose(level.clean(x, truth), clean)
    assert torch.allclose(level.output(x, clean), truth)


SCHEDULERS = [
    "DDIMScheduler",
    "DDPMScheduler",
    "PNDMScheduler",
    "EulerDiscreteScheduler",
    "EulerAncestralDiscreteScheduler",
    "HeunDiscreteScheduler",
    "LMSDiscreteScheduler",
    "DPMSolverMultistepScheduler",
    "DPMSolverSinglestepScheduler",
    "UniPCMultistepScheduler",
    "DEISMultistepScheduler",
]


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
@pytest.mark.parametrize("name", SCHEDULERS)
def test_a_model_that_knows_the_answer_leads_every_scheduler_to_it(name, prediction):
    """With the level read off the scheduler, the output that implies an image brings the latents to that image."""
    options = dict(beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012, prediction_type=prediction)
    if name in ("DDIMScheduler", "DDPMScheduler"):
        options["clip_sample"] = False
    scheduler = getattr(diffusers, name)(**options)
    scheduler.set_timesteps(10)
    torch.manual_seed(0)
    goal = torch.randn(2, 4, 6, 8)
    x = torch.randn(2, 4, 6, 8) * scheduler.init_noise_sigma
    for step, t in enumerate(scheduler.timesteps):
        scaled = scheduler.scale_model_input(x, t)
        level = noise_level(scheduler, step, t)
        x = scheduler.step(level.output(scaled, goal), t, x, return_dict=False)[0]
    # Schedulers that stop above zero leave some noise.
    assert (x - goal).abs().max() < 0.25 and (x - goal).std() < 0.06


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("DDIMScheduler", {}),
        ("EulerDiscreteScheduler", {"use_karras_sigmas": True}),
        ("DPMSolverMultistepScheduler", {"use_karras_sigmas": True}),
    ],
)
def test_levels_fit_the_noise_that_the_scheduler_adds(name, options):
    clean, noise = torch.randn(2, 1, 4, 8, 8)
    for step in range(7):
        scheduler = getattr(diffusers, name)(beta_schedule="scaled_linear", **options)
        scheduler.set_timesteps(7)
        t = scheduler.timesteps[step]
        x = scheduler.scale_model_input(scheduler.add_noise(clean, noise, t.reshape(1)), t)
        level = noise_level(scheduler, step, t)
        assert torch.allclose(x, level.signal * clean + level.noise * noise, atol=2e-3)


def test_scheduler_without_levels_is_named():
    scheduler = diffusers.CMStochasticIterativeScheduler()
    scheduler.set_timesteps(3)
    with pytest.raises(InputError, match=r"CMStochasticIterativeScheduler .* fusion=False"):
        noise_level(scheduler, 0, scheduler.timesteps[0])


@pytest.mark.parametrize(("panorama", "steps", "everything"), [(False, 10, 3), (True, 25, 24)])
def test_views_keep_their_own_detail_towards_the_end(tmp_path, monkeypatch, panorama, steps, everything):
    seen, apply = [], Fusion.apply

    def spy(fusion, x, output, level, coarse=False):
        seen.append(coarse)
        return apply(fusion, x, output, level, coarse)

    monkeypatch.setattr(Fusion, "apply", spy)
    pipe = (make_panorama_pipeline if panorama else make_pipeline)(tmp_path)
    pipe.scheduler = diffusers.DDIMScheduler.from_config(pipe.scheduler.config, timestep_spacing="trailing")
    if panorama:
        run(pipe, steps=steps)
    else:
        pipe("a room", room_views(2), num_inference_steps=steps, guidance_scale=1.0)
    assert seen == [False] * everything + [True] * (steps - everything)
