"""Training for panoramas: the blocks that attend along directions, and the branch for what is given."""

import pytest
import torch
from diffusers import UNet2DConditionModel
from tiny_training import changed, options, stage_of, tiny_pipeline, tiny_unet, trained

from scenetex import InputError, MVDiffusionPanoramaPipeline, MVDiffusionPipeline
from scenetex.data.rooms import RingStream
from scenetex.training.model_folder import save_pipeline

STREAM = RingStream(seed=4, size=(64, 64))


@pytest.fixture(scope="module")
def sample():
    return STREAM.sample(1)


@pytest.fixture(scope="module")
def text_model(tmp_path_factory):
    """A pipeline whose UNet is told nothing about the surface."""
    pipe = tiny_pipeline()
    parts = pipe.components | {"unet": tiny_unet(in_channels=4)}
    folder = tmp_path_factory.mktemp("models") / "text"
    save_pipeline(folder, MVDiffusionPanoramaPipeline(**parts))
    return folder


@pytest.mark.parametrize("kind", ["depth", "text"])
def test_the_blocks_and_the_branch_learn_around_a_frozen_unet(tiny_models, text_model, tmp_path, sample, kind):
    start = {"depth": tiny_models / "pipeline", "text": text_model}[kind]
    asked = options("panorama", tiny_models, tmp_path / "run", model=str(start))
    made, before, _ = trained(asked)
    parts = {name.split(".")[1] for name in changed(before, made.objective)}
    assert parts == {"down_correspondence", "mid_correspondence", "up_correspondence", "condition_branch"}
    pipe = MVDiffusionPanoramaPipeline.from_pretrained(asked.output / "model")
    assert pipe.unet.config.kind == "panorama" and pipe.takes_depth == (kind == "depth")
    assert pipe.config.empty_condition and not pipe.config.guided_blocks
    base = UNet2DConditionModel.from_pretrained(start / "unet").state_dict()
    assert all(torch.equal(value, base[name]) for name, value in pipe.unet.unet.state_dict().items())
    pipe.set_progress_bar_config(disable=True)
    seen = {"views": sample.views} if kind == "depth" else {"size": 64}
    assert pipe("a red room", num_inference_steps=2, **seen).panorama.shape == (128, 256, 3)
    assert made.paint(made.objective, sample).shape == (8, 64, 64, 3)
    # It is gone on with, and serves views of a scene no more.
    again = stage_of(options("panorama", tiny_models, tmp_path / "more", model=str(asked.output / "model")))
    assert all(torch.equal(v, pipe.unet.state_dict()[n]) for n, v in again.objective.unet.state_dict().items())


def test_every_second_ring_is_outpainted_from_one_view(tiny_models, tmp_path):
    stage = stage_of(options("panorama", tiny_models, tmp_path / "run", samples=2))
    batches = stage.batches(0)
    given = torch.cat([next(batches)[0]["given"] for _ in range(6)])
    batches.close()
    assert given[0::2].sum() == 0 and (given[1::2].sum(1) == 1).all()
    assert len(given[1::2].nonzero()[:, 1].unique()) > 1


def test_what_the_blocks_see_is_decided_by_directions_alone(tiny_models, tmp_path):
    stage = stage_of(options("panorama", tiny_models, tmp_path / "run"))
    for p in stage.objective.trained():
        torch.nn.init.normal_(p, std=0.05, generator=torch.Generator().manual_seed(p.numel()))
    batches = stage.batches(0)
    batch = next(batches)[0]
    batches.close()
    turned = batch["cam_to_world"][:, torch.tensor([0, 3, 6, 1, 4, 7, 2, 5])]
    with torch.no_grad():
        loss, farther, other = (
            float(stage.objective({**batch, **change}))
            for change in ({}, {"depth": 3 * batch["depth"]}, {"cam_to_world": turned})
        )
    assert loss == farther and abs(loss - other) > 1e-6


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"data": "scans"}, "--data: panoramas are trained on procedural rooms"),
        ({"image_size": (64, 48)}, "--image-size 64 48: views of panoramas are square"),
        ({"crop": (32, 32)}, "--crop is for autoencoder, single-view and detail"),
    ],
)
def test_mistakes_are_named(tiny_models, tmp_path, change, words):
    with pytest.raises(InputError, match=words):
        options("panorama", tiny_models, tmp_path / "run", **change).check()


def test_a_panorama_model_is_no_model_of_views(tiny_models, tmp_path):
    asked = options("panorama", tiny_models, tmp_path / "run", steps=1)
    trained(asked)
    with pytest.raises(InputError, match="panorama"):
        MVDiffusionPipeline.from_pretrained(asked.output / "model")
