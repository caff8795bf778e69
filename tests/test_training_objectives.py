"""What is minimised, against formulas written out for one view at a time."""

import pytest
import torch
from diffusers import DDIMScheduler
from tiny_pipeline import room_views
from tiny_training import tiny_autoencoder, tiny_pipeline, tiny_unet
from torch.nn import functional as F

from scenetex.correspondence import from_depth
from scenetex.models import MultiViewUNet, SuperResolutionUNet
from scenetex.models.image_features import Eyes
from scenetex.training.autoencoder_objectives import AutoencoderObjective
from scenetex.training.objectives import (
    MultiViewObjective,
    SingleViewObjective,
    SuperResolutionObjective,
    noised,
)

KINDS = ["epsilon", "v_prediction", "sample"]
VIEWS = room_views(4, step=0.3)
LEVELS = torch.tensor([30, 400, 999])


def scheduler(kind: str) -> DDIMScheduler:
    return DDIMScheduler(beta_schedule="scaled_linear", prediction_type=kind)


def randn(*shape, seed=0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def sets(b: int = 2, size=(6, 8), guide=(80, 6, 8)) -> dict[str, torch.Tensor]:
    cameras = {"depth": VIEWS.depth, "intrinsics": VIEWS.intrinsics, "cam_to_world": VIEWS.cam_to_world}
    return {
        "latents": randn(b, 4, 4, *size),
        "guide": randn(b, 4, *guide, seed=1),
        "noise": randn(b, 4, 4, *size, seed=2),
        "timesteps": torch.tensor([50, 700])[:b],
        "input_ids": torch.randint(3, 90, (b, 4, 48), generator=torch.Generator().manual_seed(3)),
        **{name: torch.from_numpy(value).float().expand(b, *value.shape) for name, value in cameras.items()},
    }


def with_weights(model):
    """Random weights where fresh ones are zero."""
    generator = torch.Generator().manual_seed(4)
    for p in model.parameters():
        torch.nn.init.normal_(p, std=0.05, generator=generator) if not p.any() else None
    return model.eval()


@pytest.mark.parametrize("kind", KINDS)
def test_targets_are_those_of_the_papers(kind):
    latents, noise = randn(3, 4, 6, 8), randn(3, 4, 6, 8, seed=1)
    plan = scheduler(kind)
    noisy, target = noised(plan, latents, noise, LEVELS)
    for i, t in enumerate(LEVELS):
        signal, share = plan.alphas_cumprod[t] ** 0.5, (1 - plan.alphas_cumprod[t]) ** 0.5
        torch.testing.assert_close(noisy[i], signal * latents[i] + share * noise[i])
        exact = {"epsilon": noise[i], "sample": latents[i], "v_prediction": signal * noise[i] - share * latents[i]}
        torch.testing.assert_close(target[i], exact[kind])


@torch.no_grad()
@pytest.mark.parametrize("kind", KINDS)
def test_single_views_are_scored_one_by_one(kind):
    pipe, plan = tiny_pipeline(), scheduler(kind)
    batch = {
        "latents": randn(3, 4, 6, 8),
        "guide": randn(3, 80, 6, 8, seed=1),
        "noise": randn(3, 4, 6, 8, seed=2),
        "timesteps": LEVELS,
        "input_ids": torch.randint(3, 90, (3, 48), generator=torch.Generator().manual_seed(3)),
    }
    total = 0.0
    for i, t in enumerate(LEVELS):
        noisy, target = noised(plan, batch["latents"][i : i + 1], batch["noise"][i : i + 1], t[None])
        hidden = pipe.text_encoder(batch["input_ids"][i : i + 1])[0]
        out = pipe.unet(torch.cat([noisy, batch["guide"][i : i + 1]], 1), t, hidden).sample
        total += float(((out - target) ** 2).mean()) / 3
    loss = SingleViewObjective(pipe.unet, pipe.text_encoder, plan, train_text=False)(batch)
    assert float(loss) == pytest.approx(total, rel=1e-5)


def test_the_middle_of_the_unet_learns_what_eyes_see():
    pipe, plan = tiny_pipeline(), scheduler("v_prediction")
    batch = {name: value[0, :3] for name, value in sets(1).items() if name not in ("timesteps", "depth")}
    batch |= {"timesteps": LEVELS, "seen": F.normalize(randn(3, Eyes.WIDTH, 12, 16, seed=5), dim=1)}
    torch.manual_seed(0)
    objective = SingleViewObjective(pipe.unet, pipe.text_encoder, plan, False, alignment=0.5)
    plain = SingleViewObjective(pipe.unet, pipe.text_encoder, plan, False)
    middle = []
    pipe.unet.mid_block.register_forward_hook(lambda block, inputs, out: middle.append(out.detach()))
    without, found = plain(batch), objective(batch)
    read = objective.read(middle[0])
    cells = 12 // read.shape[-2]
    seen = F.avg_pool2d(batch["seen"], cells)
    like = (read * seen).sum(1) / (read.norm(dim=1) * seen.norm(dim=1))
    assert float(found) == pytest.approx(float(without + 0.5 * (1 - like.mean())), rel=1e-5)
    found.backward()
    assert all(p.grad is not None for p in objective.read.parameters()) and pipe.unet.conv_in.weight.grad is not None
    assert {id(p) for p in objective.read.parameters()} <= {id(p) for p in objective.trained()}


@torch.no_grad()
@pytest.mark.parametrize("conditioned", [False, True])
def test_sets_are_scored_set_by_set_with_one_level_for_all_views(conditioned):
    pipe, plan = tiny_pipeline(), scheduler("v_prediction")
    unet = with_weights(MultiViewUNet.from_unet(tiny_unet()))
    objective = MultiViewObjective(unet, pipe.text_encoder, plan, conditioned, "visible")
    batch = sets()
    if conditioned:
        batch["given"] = torch.tensor([[True, False, True, False], [False] * 4])[:, :, None, None, None].expand(
            2, 4, 1, 6, 8
        )
    total = 0.0
    for i in range(2):
        levels = batch["timesteps"][i].expand(4)
        noisy, target = noised(plan, batch["latents"][i], batch["noise"][i], levels)
        correspondence = from_depth(*(batch[name][i : i + 1] for name in ("depth", "intrinsics", "cam_to_world")))
        assert len(correspondence.pairs) >= 4
        condition = None
        if conditioned:
            rows = [
                torch.cat([batch["latents"][i, k] * given, given]) for k, given in enumerate(batch["given"][i].float())
            ]
            condition = torch.stack(rows)[None]
        hidden = pipe.text_encoder(batch["input_ids"][i])[0]
        sample = torch.cat([noisy, batch["guide"][i]], 1)[None]
        out = unet(sample, levels[None], hidden[None], correspondence=correspondence, condition=condition).sample[0]
        total += float(((out - target) ** 2).mean()) / 2
    assert float(objective(batch)) == pytest.approx(total, rel=1e-4)


@torch.no_grad()
@pytest.mark.parametrize("alone", [(True, False), (False, True), (True, True), (False, False)])
def test_sets_that_are_alone_go_without_blocks(alone):
    pipe, plan = tiny_pipeline(), scheduler("v_prediction")
    unet = with_weights(MultiViewUNet.from_unet(tiny_unet()))
    objective = MultiViewObjective(unet, pipe.text_encoder, plan, False, "visible", whole=True)
    batch = sets()
    total = 0.0
    for i in range(2):
        one = {name: value[i : i + 1] for name, value in batch.items()}
        if not alone[i]:
            total += float(objective(one)) / 2
            continue
        noisy, target = noised(plan, *(batch[name][i] for name in ("latents", "noise")), one["timesteps"].expand(4))
        hidden = pipe.text_encoder(batch["input_ids"][i])[0]
        sample, levels = torch.cat([noisy, batch["guide"][i]], 1), one["timesteps"].expand(4)
        out = unet.unet(sample, levels, hidden).sample
        total += float(((out - target) ** 2).mean()) / 2
    assert float(objective(batch | {"alone": torch.tensor(alone)})) == pytest.approx(total, rel=1e-4)


@torch.no_grad()
def test_super_resolution_scores_the_middle_of_whole_views():
    pipe, plan = tiny_pipeline(), scheduler("v_prediction")
    unet = with_weights(SuperResolutionUNet.from_unet(tiny_unet(in_channels=4), factor=4, enlarge=2))
    # The whole views are of 12 x 16 cells, twice as fine as the small images' latents; their middle of 8 x 8.
    batch = sets(1, size=(8, 8), guide=(4, 6, 8))
    loss = SuperResolutionObjective(unet, pipe.text_encoder, plan, freeze=False)(batch)
    noisy, target = noised(plan, batch["latents"][0], batch["noise"][0], batch["timesteps"].expand(4))
    hidden = pipe.text_encoder(batch["input_ids"][0])[0][None]
    correspondence = from_depth(batch["depth"], batch["intrinsics"], batch["cam_to_world"])
    low, levels = unet.read_low(batch["guide"]), batch["timesteps"][:, None].expand(1, 4)
    out = unet(noisy[None], levels, hidden, low, correspondence, corner=(2, 4)).sample[0]
    assert float(loss) == pytest.approx(float(((out - target) ** 2).mean()), rel=1e-4)


def test_what_is_trained():
    pipe, plan = tiny_pipeline(), scheduler("epsilon")
    count = lambda parameters: sum(p.numel() for p in parameters)  # noqa: E731
    unet = MultiViewUNet.from_unet(tiny_unet())
    branch = count(unet.condition_branch.parameters())
    blocks = count(unet.multiview_parameters()) - branch
    for conditioned, expected in ((False, blocks), (True, blocks + branch)):
        objective = MultiViewObjective(unet, pipe.text_encoder, plan, conditioned, "visible")
        assert count(objective.trained()) == expected
        assert not any(p.requires_grad for p in (*unet.unet.parameters(), *objective.text_encoder.parameters()))
    whole = MultiViewObjective(unet, pipe.text_encoder, plan, True, "visible", whole=True)
    assert count(whole.trained()) == count(unet.parameters())
    alone = SingleViewObjective(pipe.unet, pipe.text_encoder, plan, train_text=False)
    assert count(alone.trained()) == count(pipe.unet.parameters())
    both = SingleViewObjective(pipe.unet, pipe.text_encoder, plan, train_text=True)
    assert count(both.trained()) == count(both.parameters())
    upscale = SuperResolutionUNet.from_unet(tiny_unet(in_channels=4))
    whole = count(SuperResolutionObjective(upscale, pipe.text_encoder, plan, False).trained())
    assert whole == count(upscale.parameters())
    rest = count(SuperResolutionObjective(upscale, pipe.text_encoder, plan, True).trained())
    assert rest == count(upscale.multiview_parameters()) < whole


WHOLE = [(y, x) for y in range(0, 48, 8) for x in range(0, 64, 8)]
# Gradients need a next pixel: the last row and column have none.
HALVES = [(y, x) for y in range(0, 47 - 7, 4) for x in range(0, 63 - 7, 4)]


def areas(images, y, x):
    return images[..., y : y + 8, x : x + 8]


def opponent(difference):
    r, g, b = difference.unbind(1)
    return torch.stack([(r + g + b) / 3, 3 * (r - g), 2 * b - r - g]).abs().mean()


def roughness(images, y, x):
    down = areas(images, y + 1, x) - areas(images, y, x)
    right = areas(images, y, x + 1) - areas(images, y, x)
    return ((down**2 + right**2).mean((2, 3)) + 1e-4).sqrt()


def test_an_autoencoder_that_returns_its_input_scores_only_its_latents():
    vae = tiny_autoencoder()
    objective = AutoencoderObjective(vae)
    images = torch.rand(2, 3, 48, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    batch = {"images": images, "noise": randn(2, 4, 6, 8)}
    with torch.no_grad():
        loss = float(objective(batch))
        latents = vae.encode(images).latent_dist
        out = vae.decode(latents.mean + latents.std * batch["noise"]).sample
        apart = out - images
        across = (apart[..., 1:] - apart[..., :-1]).abs().mean() + (apart[..., 1:, :] - apart[..., :-1, :]).abs().mean()
        kl = latents.kl().mean() / latents.mean[0].numel()
        color = sum(opponent((areas(out, y, x) - areas(images, y, x)).mean((2, 3))) for y, x in WHOLE) / len(WHOLE)
        rough = sum((roughness(out, y, x) - roughness(images, y, x)).abs().mean() for y, x in HALVES) / len(HALVES)
        exact = apart.abs().mean() + 0.3 * (apart**2).mean() + 0.5 * across + color + rough + 1e-4 * kl
    assert loss == pytest.approx(float(exact), rel=1e-4)
    assert sum(p.numel() for p in objective.trained()) == sum(p.numel() for p in vae.parameters())
