"""Text to textured mesh with larger images: the command line and the stages, with a tiny model of random weights."""

import json

import cv2
import numpy as np
import pytest
import tiny_pipeline
import torch
from test_pipeline_generated import command, walk  # noqa: F401 (a fixture)
from tiny_super_resolution import make_super_resolution

from scenetex import InputError, texture_scene
from scenetex.job.generation import Generation
from scenetex.job.run import run_stages
from scenetex.models import DetailDecoder
from scenetex.pipelines import MVDiffusionPipeline
from scenetex.scene.load import load_scene
from scenetex.views.viewset import render_views

PROMPT = ("--prompt", "a red room", "--keyframes", "2", "--between", "0", "--formats", "glb")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A folder with a tiny model that enlarges twice."""
    folder = tmp_path_factory.mktemp("model")
    pipe = tiny_pipeline.make_pipeline(folder / "tokens", upscale_unet=make_super_resolution(2))
    pipe.save_pretrained(folder / "tiny")
    return folder / "tiny"


def test_command_bakes_large_images(walk, model, tmp_path):  # noqa: F811
    assert command(walk, model, tmp_path, *PROMPT, "--upscale", "2", "--upscale-tile", "64") == 0
    folder = tmp_path / "walk"
    cameras = json.loads((folder / "views" / "cameras.json").read_text())
    assert len(cameras) == 2 and {(v["width"], v["height"]) for v in cameras.values()} == {(128, 96)}
    for frame, camera in cameras.items():
        assert cv2.imread(str(folder / "views" / f"{frame}.png")).shape == (96, 128, 3)
        # ScanNet's convention: pixel centres at whole numbers.
        assert camera["intrinsics"][0][2] == pytest.approx(63.5, abs=1)
    report = json.loads((folder / "report.json").read_text())
    assert (report["settings"]["upscale"], report["settings"]["upscale_tile"]) == (2, 64)
    assert "upscale" in report["seconds"] and report["coverage"] > 0


def test_large_images_show_what_the_small_ones_show(walk, model):  # noqa: F811
    scene = load_scene(walk)
    options = dict(prompt="a", model=str(model), steps=1, image_size=(64, 48), between=0, device="cpu")
    small, large = (
        run_stages(scene, generation=Generation.of(options | {"upscale": n}), keyframes="2", texture_size=64)
        for n in (1, 2)
    )
    assert small.views.size == (64, 48) and large.views.size == (64, 48), "depth at half the size of large images"
    for a, b in zip(small.images, large.images, strict=True):
        assert b.shape == (96, 128, 3)
        shrunk = b.reshape(48, 2, 64, 2, 3).mean((1, 3))
        assert abs(shrunk - a).mean() < 4


def test_a_decoder_that_is_told_the_surface_gets_it_from_the_mesh(walk, tmp_path, monkeypatch):  # noqa: F811
    """At the size of the large images, of the views that are made larger."""
    torch.manual_seed(0)
    decoder = DetailDecoder(4, 2, width=8, layers=1, guide_channels=5)
    tiny_pipeline.make_pipeline(tmp_path / "tokens", detail_decoder=decoder).save_pretrained(tmp_path / "told")
    seen, upscale = [], MVDiffusionPipeline.upscale

    def watched(pipe, *args, **options):
        seen.append(options["large_views"])
        return upscale(pipe, *args, **options)

    monkeypatch.setattr(MVDiffusionPipeline, "upscale", watched)
    options = dict(prompt="a", model=str(tmp_path / "told"), steps=1, image_size=(64, 48), between=0, device="cpu")
    scene = load_scene(walk)
    made = run_stages(scene, generation=Generation.of(options | {"upscale": 2}), keyframes="2", texture_size=64)
    (large,) = seen
    truth = render_views(scene, list(made.views.frame_ids), (128, 96))
    assert large.size == (128, 96) and np.array_equal(large.depth, truth.depth)
    assert "render surface" in made.seconds


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--upscale", "4"), ["cannot upscale 4 times", "upscale 2 times"]),
        (("--upscale", "0"), ["--upscale 0 is out of range; choose 1 to 16"]),
        (("--upscale", "2", "--upscale-tile", "8"), ["tiles of 8 pixels"]),
        (("--upscale-tile", "64"), ["upscale_tile 64", "only with --upscale"]),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(walk, model, tmp_path, capsys, options, words):  # noqa: F811
    assert command(walk, model, tmp_path, *PROMPT, *options) == 2
    said = capsys.readouterr().err.strip()
    assert "\n" not in said and all(word in said for word in words), said
    assert not (tmp_path / "walk").exists()


def test_model_that_cannot_upscale(walk, tmp_path, capsys):  # noqa: F811
    tiny_pipeline.make_pipeline(tmp_path / "tokens").save_pretrained(tmp_path / "plain")
    assert command(walk, tmp_path / "plain", tmp_path, *PROMPT, "--upscale", "4") == 2
    assert "no super-resolution" in capsys.readouterr().err


def test_photos_and_panoramas_are_not_upscaled(walk):  # noqa: F811
    with pytest.raises(InputError, match="upscale given, but nothing is generated"):
        texture_scene(load_scene(walk), upscale=4)
    with pytest.raises(InputError, match="not for panoramas"):
        Generation("a", upscale=4, panorama=True)
