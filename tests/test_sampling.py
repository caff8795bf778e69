"""The settings of sampling: in one place, and the same wherever they can be given."""

from dataclasses import FrozenInstanceError, fields, replace
from inspect import signature
from typing import get_type_hints

import pytest
import torch

from scenetex import InputError, Sampling
from scenetex.cli.panorama import PanoramaOptions
from scenetex.job.generation import Generation
from scenetex.job.options import TextureOptions
from scenetex.limits import allowed
from scenetex.pipelines import MVDiffusionPanoramaPipeline, MVDiffusionPipeline

OTHER = Sampling(3, 20, 2.5, correspondence=False, shared_noise=False, fusion=False)


@pytest.mark.parametrize("options", [TextureOptions, PanoramaOptions])
def test_commands_have_all_of_them_with_the_same_limits(options):
    ours, theirs = (get_type_hints(kind, include_extras=True) for kind in (Sampling, options))
    defaults = {f.name: f.default for f in fields(options)}
    for field in fields(Sampling):
        # What the command line adds for its help is no limit.
        assert allowed(theirs[field.name]) == allowed(ours[field.name]) and defaults[field.name] == field.default


def test_options_of_any_kind_hold_them():
    assert Sampling.of({**vars(OTHER), "prompt": "a room"}) == OTHER and Sampling.of({}) == Sampling()
    asked = TextureOptions("out", prompt="a red room", **vars(OTHER)).generation()
    assert asked.sampling == OTHER and asked.prompt == "a red room" and not asked.panorama
    assert TextureOptions("out", prompt="a red room", images="panorama").generation().panorama
    beside = Generation.of({"prompt": "a red room", "sampling": OTHER, "steps": 5, "nothing": 1})
    assert beside == Generation("a red room", sampling=replace(OTHER, steps=5))


@pytest.mark.parametrize("call", [MVDiffusionPipeline.__call__, MVDiffusionPanoramaPipeline.__call__])
def test_pipelines_take_them_by_the_names_of_diffusers(call):
    given = OTHER.keywords()
    assert given.keys() <= signature(call).parameters.keys()
    assert (given["num_inference_steps"], given["guidance_scale"]) == (20, 2.5)
    assert given["generator"].initial_seed() == 3 and given["generator"] is not OTHER.keywords()["generator"]
    left_open = Sampling().keywords()
    assert left_open.keys() == given.keys() - {"num_inference_steps", "guidance_scale"}
    assert torch.equal(*(torch.rand(2, generator=OTHER.keywords()["generator"]) for _ in range(2)))


def test_they_are_checked_and_stay():
    for name, value in {"seed": -1, "steps": 1001, "guidance_scale": float("nan"), "fusion": "off"}.items():
        with pytest.raises(InputError, match=f"^{name} "):
            Sampling(**{name: value})
    with pytest.raises(FrozenInstanceError):
        Sampling().seed = 1
    assert [Sampling(guidance_scale=scale).guided for scale in (None, 0, 1, 1.5)] == [False, False, False, True]
