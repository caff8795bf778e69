"""What the surface autoencoder's training minimises, against the same worked out by hand."""

import pytest
import torch
from test_models_surface_autoencoder import rand, tiny
from tiny_pipeline import room_views

from scenetex.correspondence import from_depth
from scenetex.models.image_features import Eyes, unlikeness
from scenetex.pipelines.conditioning import surface_fields
from scenetex.training.autoencoder_objectives import SurfaceObjective, disagreement
from scenetex.training.encoded import camera_tensors
from scenetex.training.image_losses import pixel_loss

VIEWS = room_views(2)
CORNER = (1, 2)


def batch(blur: float = 0.0, level: float = 0.0, told: float = 1.0) -> dict[str, torch.Tensor]:
    """One set of two views of 64 x 48 pixels, of whose 6 x 8 cells 4 x 5 are decoded."""
    images, noise = rand(1, 2, 3, 48, 64), torch.randn(1, 2, 4, 4, 5, generator=torch.Generator().manual_seed(3))
    cameras = {name: value[None] for name, value in camera_tensors(VIEWS).items()}
    ways = {name: torch.full((1, 2), value) for name, value in (("blur", blur), ("level", level), ("told", told))}
    where = {"surface": surface_fields(VIEWS)[None], "corner": torch.tensor([CORNER])}
    return {"images": images, "noise": noise, **cameras, **ways, **where}


def by_hand(vae, given):
    """What is decoded, and its truth, of whole latents that are neither blurred nor noisy."""
    images, (row, column) = given["images"][0], CORNER
    z = vae.encode(images).latent_dist.mean
    pixels = (..., slice(8 * row, 8 * row + 32), slice(8 * column, 8 * column + 40))
    surface = given["surface"][0] * given["told"][0][:, None, None, None]
    return z, z[..., row : row + 4, column : column + 5], surface[pixels], images[pixels]


@pytest.mark.parametrize("told", [1.0, 0.0])
@torch.no_grad()
def test_parts_of_latents_are_decoded_along_their_surface(told):
    vae, given = tiny(), batch(told=told)
    z, part, surface, truth = by_hand(vae, given)
    out = vae.decode(part, surface=surface if told else None).sample
    eyes = Eyes()
    expected = pixel_loss(out, truth) + 0.25 * unlikeness(eyes(out), eyes(truth))
    expected += 0.1 * disagreement(z, from_depth(*(given[k] for k in ("depth", "intrinsics", "cam_to_world"))))
    expected += 0.1 * (z.mean((0, 2, 3)) ** 2 + (z.std((0, 2, 3)) + 1e-4).log() ** 2).mean()
    found = SurfaceObjective(vae, False, perceptual=0.25, agreement=0.1)(given)
    assert float(found) == pytest.approx(float(expected), rel=1e-5)


@torch.no_grad()
def test_latents_are_worn():
    vae, given = tiny(latent_noise=0.5), batch(blur=0.5, level=0.8)
    objective = SurfaceObjective(vae, True, perceptual=0.0, agreement=0.0)
    z, _, surface, truth = by_hand(vae, given)
    wide = torch.nn.functional.pad(z, (1, 1, 1, 1), mode="replicate")
    smooth = sum(wide[..., y : y + 6, x : x + 8] for y in range(3) for x in range(3)) / 9
    worn = (z + smooth)[..., 1:5, 2:7] / 2 + 0.5 * 0.8 * given["noise"][0]
    expected = pixel_loss(vae.decode(worn, surface=surface).sample, truth)
    assert float(objective(given)) == pytest.approx(float(expected), rel=1e-5)


def test_the_decoder_alone_is_trained_where_latents_have_to_stay():
    vae = tiny()
    objective = SurfaceObjective(vae, True, perceptual=0.0, agreement=0.1)
    objective(batch()).backward()
    assert all(p.grad is None for p in (*vae.encoder.parameters(), *vae.quant_conv.parameters()))
    assert {id(p) for p in objective.trained()} == {
        id(p) for part in (vae.decoder, vae.post_quant_conv) for p in part.parameters()
    }
    assert all(p.grad is not None for p in objective.trained())


def test_latents_agree_where_they_depend_on_the_place_alone():
    views, size = room_views(3, step=0.2), (12, 16)
    correspondence = from_depth(*(x[None] for x in camera_tensors(views).values()), overlap=0.1)
    assert len(correspondence.pairs)
    same = torch.ones(3, 4, *size)
    assert float(disagreement(same, correspondence)) == pytest.approx(0, abs=1e-12)
    apart = same * torch.tensor([0.0, 1.0, 3.0])[:, None, None, None]
    pairs = correspondence.at(size)
    worth = {(0, 1): 1, (1, 2): 4, (0, 2): 9}
    total, count = 0.0, 0
    for group in pairs.groups:
        for k, query in enumerate(group.query.tolist()):
            for l in range(group.shape[1]):
                if group.valid is None or group.valid[k, l]:
                    other = int(group.keys.texel.view(*group.shape, 4)[k, l, 0]) // 192
                    total, count = total + worth[tuple(sorted((query // 192, other)))], count + 1
    assert float(disagreement(apart, correspondence)) == pytest.approx(total / count, rel=1e-5)
