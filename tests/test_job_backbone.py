"""Text to textured mesh with pipelines of diffusers that know nothing of several views, from the command line."""

import json

import pytest
from test_pipeline_generated import command, walk  # noqa: F401 (a fixture)
from tiny_backbones import make_backbone


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Folders of FLUX and Qwen-Image with their ControlNets, and FLUX's alone."""
    at = tmp_path_factory.mktemp("models")
    for name in ("FLUX", "Qwen-Image"):
        make_backbone(name, at / "tokens").save_pretrained(at / name)
    return at


@pytest.mark.parametrize("name", ["FLUX", "Qwen-Image"])
def test_command_textures_with_a_backbone(walk, models, tmp_path, name):  # noqa: F811
    """Keyframes in windows, the views between, and what was left to the model in the report."""
    options = ("--prompt", "a red room", "--keyframes", "every:2", "--between", "1", "--joint-views", "4")
    assert command(walk, models / name, tmp_path, *options) == 0
    folder = tmp_path / "walk"
    assert (folder / "textured.glb").stat().st_size > 1000
    cameras = json.loads((folder / "views" / "cameras.json").read_text())
    assert sum(camera["keyframe"] for camera in cameras.values()) == 5 and len(cameras) > 5
    used = json.loads((folder / "report.json").read_text())
    assert used["guidance_scale"] == {"FLUX": 7.0, "Qwen-Image": 4.0}[name] and used["steps"] == 2


def test_what_no_view_saw_is_painted_too(walk, models, tmp_path):  # noqa: F811
    options = ("--prompt", "a red room", "--keyframes", "0,40", "--between", "0", "--complete")
    assert command(walk, models / "FLUX", tmp_path, *options) == 0
    assert json.loads((tmp_path / "walk" / "report.json").read_text())["further_views"]


def test_a_control_net_may_lie_beside_the_model(walk, models, tmp_path):  # noqa: F811
    """That of its own pipeline's folder, here, which takes the place of the one inside."""
    control = models / "FLUX" / "controlnet"
    options = ("--prompt", "a red room", "--keyframes", "0,40", "--between", "0", "--controlnet", str(control))
    assert command(walk, models / "FLUX", tmp_path, *options) == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--upscale", "4"), "FluxControlNetPipeline has no super-resolution"),
        (("--paint", "floor: oak"), "--paint: needs a Stable Diffusion with a UNet"),
        (("--image-size", "60x44"), "multiples of 8"),
        (("--controlnet", "{models}/Qwen-Image/controlnet"), "was made for another base"),
        (("--model", "{models}"), "has no model_index.json"),
    ],
)
def test_what_does_not_fit_gets_one_line(walk, models, tmp_path, capfd, options, message):  # noqa: F811
    options = [option.format(models=models) for option in options]
    given = ("--prompt", "a red room", "--keyframes", "0,40", *options)
    assert command(walk, models / "FLUX", tmp_path, *given) != 0
    told = capfd.readouterr().err.strip().splitlines()
    assert message in told[-1] and "Traceback" not in "".join(told)
