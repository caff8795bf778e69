"""The discriminator of decoded images: who learns from what, and how strong its opinion is."""

import pytest
import torch
from test_models_surface_autoencoder import rand, tiny
from test_training_autoencoder_objectives import batch

from scenetex.models.image_features import Eyes
from scenetex.training.autoencoder_objectives import SurfaceObjective
from scenetex.training.discriminator import Discriminator, adversarial_losses, balance

EYES = Eyes()


def seen(images):
    return images, EYES(images)


def test_losses_are_hinges_and_each_side_learns_from_its_own():
    torch.manual_seed(0)
    discriminator, surface = Discriminator(5), rand(2, 5, 32, 48)
    out, truth = rand(2, 3, 32, 48).requires_grad_(), rand(2, 3, 32, 48) * 0.5
    shown = seen(out)
    opinion, error = adversarial_losses(discriminator, shown, seen(truth), surface)
    fake, real = discriminator(*shown, surface), discriminator(*seen(truth), surface)
    assert [tuple(f.shape[-2:]) for f in fake] == [(16, 24), (16, 24), (8, 12), (4, 6), (2, 3)]
    assert float(opinion) == pytest.approx(-sum(float(f.mean()) for f in fake) / 5, abs=1e-6)
    hinges = [(1 + f).clamp_min(0).mean() + (1 - r).clamp_min(0).mean() for f, r in zip(fake, real, strict=True)]
    assert float(error) == pytest.approx(float(sum(hinges) / 5), rel=1e-5)
    opinion.backward(retain_graph=True)
    assert out.grad.abs().sum() > 0 and all(p.grad is None for p in discriminator.parameters())
    out.grad = None
    error.backward()
    assert out.grad is None and all(p.grad is not None for p in discriminator.parameters())


def test_its_opinion_pulls_as_strongly_as_the_likenesses():
    out = rand(1, 3, 8, 8).requires_grad_()
    loss, other = out.square().sum(), 0.01 * out.sum()
    pull, now = 2 * out.detach().norm(), 0.01 * 192**0.5
    assert float(balance(loss, other, out)) == pytest.approx(float(pull / now), rel=1e-5)


def test_the_decoder_is_trained_against_it():
    torch.manual_seed(1)
    given, without = batch(), SurfaceObjective(tiny(), True, perceptual=0.25, agreement=0.0)
    objective = SurfaceObjective(tiny(), True, perceptual=0.25, agreement=0.0, adversarial=0.5)
    objective.vae.load_state_dict(without.vae.state_dict())
    loss = objective(given)
    assert float(loss) != pytest.approx(float(without(given)), rel=1e-3)
    loss.backward()
    trained = {id(p) for p in objective.trained()}
    assert trained == {
        id(p) for m in (objective.vae.decoder, objective.vae.post_quant_conv, objective.critic) for p in m.parameters()
    }
    assert all(p.grad is not None for p in objective.critic.parameters())


def test_it_learns_to_tell_blurred_images():
    torch.manual_seed(2)
    discriminator, surface = Discriminator(5), torch.zeros(4, 5, 32, 32)
    optimizer = torch.optim.AdamW(discriminator.parameters(), lr=2e-3)
    generator = torch.Generator().manual_seed(3)
    for _ in range(20):
        truth = torch.rand(4, 3, 32, 32, generator=generator) * 2 - 1
        blurred = torch.nn.functional.avg_pool2d(truth, 3, 1, 1)
        _, error = adversarial_losses(discriminator, seen(blurred), seen(truth), surface)
        optimizer.zero_grad()
        error.backward()
        optimizer.step()
    assert float(error.detach()) < 0.5  # 2 where it knows nothing
