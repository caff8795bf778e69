"""The ring is the released model's: its cameras, and its outputs on them."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from scenetex import MultiViewUNet
from scenetex.correspondence import from_rotation
from scenetex.panorama import ring_intrinsics, ring_rotations
from scenetex.pipelines.ring_views import RingViews


@pytest.fixture(scope="module")
def fixtures() -> Path:
    folder = Path(__file__).resolve().parents[1].parent / "shared" / "fixtures" / "mvdiffusion"
    if not folder.is_dir():
        pytest.skip("needs the reference's outputs in ../shared/fixtures, which are not part of the repository")
    return folder


def test_the_pipelines_ring_gives_the_outputs_of_the_reference(fixtures):
    manifest = json.loads((fixtures / "manifest.json").read_text())
    about = manifest["models"][manifest["cases"]["P1_pano"]["model"]]
    weights = fixtures / about["weights"]
    model = MultiViewUNet.from_mvdiffusion(weights, unet_config=about["unet_config"], kind="panorama")
    arrays = {k: torch.from_numpy(v) for k, v in np.load(fixtures / "P1_pano.npz").items()}
    assert np.allclose(arrays["in_K"][0], ring_intrinsics(128)) and np.allclose(
        arrays["in_R"][0], ring_rotations(), atol=1e-6
    )
    with torch.no_grad():
        found = model(
            sample=arrays["in_latents"],
            timestep=arrays["in_timestep"],
            encoder_hidden_states=arrays["in_prompt_embd"],
            correspondence=RingViews(128).attended(range(8), "mvdiffusion"),
        ).sample
    truth = arrays["out_float64"]
    assert (found - truth).abs().max() < 1e-3 * truth.square().mean().sqrt()


@pytest.mark.parametrize("size", [(16, 16), (5, 5)])
def test_the_place_alone_is_the_middle_one_of_the_nine(size):
    K, R = (torch.from_numpy(t)[None] for t in (ring_intrinsics(40), ring_rotations()))
    keys = {}
    for reach in (0, 1):
        views = from_rotation(K, R, (40, 40), reach=reach)
        keys[reach] = {}
        for group in views.at(size, torch.float64).groups:
            valid = torch.ones(group.shape, dtype=torch.bool) if group.valid is None else group.valid
            near = group.keys.cue.norm(dim=-1) < (1e-6 if reach == 0 else 1e9)
            assert reach == 1 or near[valid].all()
            for q, k in valid.nonzero().tolist():
                place = (int(group.query[q]), int(group.keys.texel[q, k, 0]) // (size[0] * size[1]))
                entry = group.keys.texel[q, k].tolist(), group.keys.weight[q, k].tolist()
                keys[reach].setdefault(place, []).append((float(group.keys.cue[q, k].norm()), entry))
    assert len(keys[0]) > 100
    for place, ((_, alone),) in keys[0].items():
        _, nearest = min(keys[1][place], key=lambda found: found[0])
        assert nearest[0] == alone[0] and np.allclose(nearest[1], alone[1])
