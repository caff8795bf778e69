"""Latents that a UNet draws again, for a decoder to learn from: which ones, from what, and by whom."""

import numpy as np
import pytest
import torch
from test_models_surface_autoencoder import tiny
from test_training_autoencoder_objectives import batch
from tiny_pipeline import make_pipeline, make_unet, room_views

from scenetex.data.sample import Sample
from scenetex.errors import InputError
from scenetex.training.autoencoder_objectives import SurfaceObjective
from scenetex.training.redrawn import Redrawn, redrawn_item
from scenetex.training.training_options import TrainOptions

VIEWS = room_views(4)
PROMPTS = (("a red room",), ("a blue room",), ("a red room", "a blue room"), ("a wall",))


@pytest.fixture
def pipe(tmp_path):
    return make_pipeline(tmp_path, make_unet().eval())


def item(pipe, share, number=0, which=(1, 2)):
    sample = Sample(VIEWS, np.zeros((4, 48, 64, 3), np.uint8), PROMPTS)
    return redrawn_item(sample, list(which), np.random.default_rng(number), pipe, share, (4, 6, 8))


def test_levels_leave_the_image_what_it_is_and_the_share_is_as_asked(pipe):
    items = [item(pipe, 0.3, number) for number in range(300)]
    assert np.mean([bool(i["redrawn"]) for i in items]) == pytest.approx(0.3, abs=0.08)
    levels = np.array([int(i["timesteps"]) for i in items])
    assert levels.min() >= 0 and 700 < levels.max() < 800
    assert items[0]["cover"].shape == (2, 4, 6, 8) and items[0]["guide"].shape == (2, 1, 6, 8)
    assert items[0]["input_ids"].shape == (2, pipe.tokenizer.model_max_length)


@torch.no_grad()
def test_it_is_what_the_unet_sees_in_noisy_latents_view_by_view(pipe):
    redrawn, latents = Redrawn(pipe), torch.randn(2, 2, 4, 6, 8)
    items = [item(pipe, 0.0, 1), item(pipe, 1.0, 2)]
    given = {name: torch.stack([i[name] for i in items]) for name in items[0]}
    found = redrawn(latents, given)
    assert torch.equal(found[0], latents[0]), "sets that are not redrawn stay to the bit"
    scale = pipe.vae.config.scaling_factor
    level = float(pipe.scheduler.alphas_cumprod[items[1]["timesteps"]])
    for view in range(2):
        noisy = level**0.5 * scale * latents[1, view] + (1 - level) ** 0.5 * items[1]["cover"][view]
        hidden = pipe.text_encoder(items[1]["input_ids"][view][None])[0]
        told = torch.cat([noisy, items[1]["guide"][view]])[None]
        noise = pipe.unet(told, items[1]["timesteps"], hidden).sample[0]
        clean = (noisy - (1 - level) ** 0.5 * noise) / level**0.5
        torch.testing.assert_close(found[1, view], clean / scale, rtol=1e-4, atol=1e-4)


def test_a_decoder_learns_from_them_and_the_unet_stays(pipe):
    vae, given = tiny(), batch()
    drawn = item(pipe, 1.0, which=(0, 1))
    given |= {name: value[None] for name, value in drawn.items()}
    objective = SurfaceObjective(vae, True, perceptual=0.0, agreement=0.0, redrawn=Redrawn(pipe))
    loss = objective(given)
    assert not torch.equal(loss, objective(given | {"redrawn": torch.tensor([False])}))
    loss.backward()
    assert all(p.grad is None for p in objective.redrawn.parameters())
    assert all(p.grad is not None for p in vae.decoder.parameters() if p.requires_grad)


def test_it_is_for_autoencoders(tmp_path):
    with pytest.raises(InputError, match="--redrawn is for stage autoencoder"):
        TrainOptions(stage="detail", output=tmp_path, redrawn=0.5).check()


def test_where_lines_lie_counts_only_where_latents_tell_it(pipe):
    """A pattern that is moved by a pixel is as good where it is redrawn; one that is blurred is not."""
    stripes = (torch.arange(64) // 2 % 2).float().expand(1, 3, 48, 64) * 2 - 1
    moved = stripes.roll(4, -1)
    objective = SurfaceObjective(tiny(), True, perceptual=0.0, agreement=0.0, redrawn=Redrawn(pipe))
    shifted = stripes.roll(2, -1)
    sure, unsure = ({"redrawn": torch.tensor([told])} for told in (False, True))
    assert float(objective._likeness(moved, stripes, sure)) < 0.01
    assert float(objective._likeness(shifted, stripes, sure)) > 1
    assert float(objective._likeness(shifted, stripes, unsure)) < 0.1
    assert float(objective._likeness(0 * stripes, stripes, unsure)) > 0.4
    half = torch.tensor([False, True])
    both = objective._likeness(torch.cat([shifted] * 2), torch.cat([stripes] * 2), {"redrawn": half})
    one, other = (objective._likeness(shifted, stripes, told) for told in (sure, unsure))
    assert float(both) == pytest.approx(float(one + other) / 2, rel=1e-5)
