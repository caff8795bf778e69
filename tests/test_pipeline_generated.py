"""Text to textured mesh: the command line and the stages, with a tiny model of random weights."""

import json
import shutil
import subprocess
import sys

import cv2
import numpy as np
import pytest
import tiny_pipeline
import tiny_scan
import torch
import trimesh
from safetensors.torch import save_file

from scenetex import InputError, texture_scene
from scenetex.cli import texture as texture_command
from scenetex.job.generation import Generation, frames_between
from scenetex.job.run import run_stages
from scenetex.sampling import Sampling
from scenetex.scene.load import load_scene


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A folder with a tiny model."""
    folder = tmp_path_factory.mktemp("model")
    tiny_pipeline.make_pipeline(folder / "tokens").save_pretrained(folder / "tiny")
    return folder / "tiny"


@pytest.fixture(scope="module")
def walk(tmp_path_factory):
    """A scan of ten frames that turns by a right angle, without photos."""
    poses = {10 * i: tiny_scan.look(0.17 * i) for i in range(10)}
    folder = tiny_scan.write_extracted(tmp_path_factory.mktemp("scan") / "walk", poses, color=False)
    # Faces that look into the room.
    fine = trimesh.Trimesh(tiny_scan.ROOM_VERTICES, tiny_scan.ROOM_FACES[:, ::-1], process=False).subdivide_to_size(0.5)
    tiny_scan.write_ply(folder / "walk_vh_clean_2.ply", fine.vertices, fine.faces)
    return folder


def command(walk, model, out, *options) -> int:
    given = [str(walk), "--output", str(out), "--images", "generated", "--model", str(model), "--image-size", "64x48"]
    given += ["--steps", "2", "--texture-size", "256", "--quiet", "--device", "cpu", "--no-preview"]
    return texture_command.main([*given, *options], program="texture_scene.py")


def test_command_textures_from_a_prompt(walk, model, tmp_path):
    options = ("--prompt", "a red room", "--negative-prompt", "blue", "--keyframes", "0,40,80", "--seed", "5")
    assert command(walk, model, tmp_path, *options) == 0
    folder = tmp_path / "walk"
    assert (folder / "textured.glb").stat().st_size > 1000 and (folder / "textured.obj").exists()
    cameras = json.loads((folder / "views" / "cameras.json").read_text())
    assert {int(k): v["keyframe"] for k, v in cameras.items()} == {0: True, 20: False, 40: True, 60: False, 80: True}
    assert {(v["width"], v["height"]) for v in cameras.values()} == {(64, 48)}
    for frame in cameras:
        assert cv2.imread(str(folder / "views" / f"{frame}.png")).shape == (48, 64, 3)
    report = json.loads((folder / "report.json").read_text())
    assert (report["prompt"], report["seed"], report["steps"]) == ("a red room", 5, 2)
    assert report["model"] == str(model) and report["settings"]["negative_prompt"] == "blue"
    assert (report["images"], report["keyframes"], report["pose_refinement"]) == (5, 3, None)
    assert {"model", "generate", "interpolate", "paint"} <= set(report["seconds"])
    by = report["texels_by_source"]
    assert by["photo"] == 0 < by["generated"] and sum(by.values()) == report["texels"]
    assert "torch" in report["versions"]


def test_what_was_left_to_the_model_is_recorded_as_it_was_used(walk, model, tmp_path):
    given = [str(walk), "--output", str(tmp_path), "--prompt", "a red room", "--model", str(model), "--keyframes", "2"]
    given += ["--between", "0", "--image-size", "64x48", "--texture-size", "64", "--quiet", "--no-preview"]
    for more in ([], ["--texture-format", "png"]):  # the second takes the images from disk
        assert texture_command.main([*given, *more]) == 0
        report = json.loads((tmp_path / "walk" / "report.json").read_text())
        used = {"steps": 50, "guidance_scale": 9.0, "device": "cuda" if torch.cuda.is_available() else "cpu"}
        assert {name: report["settings"][name] for name in used} == used
        assert (report["steps"], report["guidance_scale"], report["image_size"]) == (50, 9.0, [64, 48])
    assert "images" in report["reused"]
    assert report["seconds"]["total_with_reused"] > report["seconds"]["total"]


def test_same_seed_same_texture(walk, model):
    scene = load_scene(walk)
    options = dict(prompt="a red room", model=str(model), steps=2, image_size=(64, 48), between=0, device="cpu")
    options |= dict(keyframes="3", texture_size=128)
    first, again = (texture_scene(scene, **options, seed=3).textures[0] for _ in range(2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, texture_scene(scene, **options, seed=4).textures[0])


def test_switches_reach_the_pipeline(walk, model, monkeypatch):
    from scenetex.pipelines import MVDiffusionPipeline

    seen = []
    call = MVDiffusionPipeline.__call__

    def spy(self, *args, **kwargs):
        seen.append({name: kwargs[name] for name in ("correspondence", "shared_noise", "fusion")})
        return call(self, *args, **kwargs)

    monkeypatch.setattr(MVDiffusionPipeline, "__call__", spy)
    generation = Generation(
        "x", str(model), sampling=Sampling(steps=1, correspondence=False), image_size=(64, 48), between=0
    )
    result = run_stages(load_scene(walk), generation=generation, keyframes="2", texture_size=64)
    assert seen == [{"correspondence": False, "shared_noise": True, "fusion": True}]
    assert result.keyframe == (True, True)


def test_frames_between_keyframes(walk):
    scene = load_scene(walk)
    assert frames_between(scene, [0, 30, 90], 0) == [0, 30, 90]
    assert frames_between(scene, [90, 0, 30], 2) == [0, 10, 20, 30, 50, 70, 90]
    assert frames_between(scene, [0, 10, 20], 5) == [0, 10, 20]


def test_released_weights_take_the_place_of_the_unet(walk, tmp_path):
    """A plain model and a checkpoint in the released layout; released weights need sides that are multiples of 64."""
    four = dict(block_out_channels=(8, 8, 8, 8), norm_num_groups=4, down_block_types=("DownBlock2D",) * 4)
    unet = tiny_pipeline.make_unet(**four, up_block_types=("UpBlock2D",) * 4)
    tiny_pipeline.make_pipeline(tmp_path / "tokens", unet).save_pretrained(tmp_path / "plain")
    model = tiny_pipeline.MultiViewUNet.from_unet(unet)
    save_file({k: v.contiguous() for k, v in model.state_dict().items()}, tmp_path / "released.safetensors")
    options = ("--prompt", "x", "--keyframes", "2", "--mvdiffusion-checkpoint", str(tmp_path / "released.safetensors"))
    options += ("--image-size", "128x64", "--between", "0", "--formats", "glb")
    assert command(walk, tmp_path / "plain", tmp_path / "out", *options) == 0
    settings = json.loads((tmp_path / "out" / "walk" / "report.json").read_text())["settings"]
    assert settings["mvdiffusion_checkpoint"].endswith("released.safetensors")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ((), ["--prompt"]),
        (("--prompt", " "), ["prompt is empty"]),
        (("--prompt", "\n\t\x07\x1b"), ["prompt is empty"]),
        (("--prompt", "x", "--model", "no/such/folder"), ["no/such/folder", "no such model folder"]),
        (("--prompt", "x", "--image-size", "64"), ["--image-size", "WIDTHxHEIGHT"]),
        (("--prompt", "x", "--image-size", "60x48"), ["60x48", "multiples of 8", "choose 64x48"]),
        (("--prompt", "x", "--steps", "0"), ["steps 0"]),
        (("--prompt", "x", "--seed", "-1"), ["seed -1"]),
        (("--prompt", "x", "--device", "toaster"), ["toaster", "auto, cpu, cuda or cuda:N"]),
        (("--prompt", "x", "--mvdiffusion-checkpoint", "none.ckpt"), ["none.ckpt", "no such file"]),
        (("--prompt", "x", "--images", "photos"), ["--images generated"]),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(walk, model, tmp_path, capsys, options, words):
    assert command(walk, model, tmp_path, *options) == 2
    said = capsys.readouterr().err.strip()
    assert "\n" not in said and all(word in said for word in words), said
    assert not (tmp_path / "walk").exists()


def test_model_folder_without_unet(walk, model, tmp_path, capsys):
    broken = tmp_path / "broken"
    broken.mkdir()
    index = json.loads((model / "model_index.json").read_text())
    for name in ("vae", "text_encoder", "tokenizer", "scheduler"):
        (broken / name).symlink_to(model / name)
    (broken / "model_index.json").write_text(json.dumps(index))
    assert command(walk, broken, tmp_path, "--prompt", "x") == 2
    assert "has no unet" in capsys.readouterr().err
    (broken / "model_index.json").write_text("{")
    assert command(walk, broken, tmp_path, "--prompt", "x") == 2
    assert "model_index.json: cannot be read" in capsys.readouterr().err


@pytest.mark.parametrize("part", ["unet", "vae", "text_encoder", "tokenizer", "scheduler"])
def test_model_with_a_spoilt_part(walk, model, tmp_path, capsys, part):
    spoilt = tmp_path / "spoilt"
    shutil.copytree(model, spoilt)
    for path in (spoilt / part).iterdir():
        path.write_bytes(b"\x00\x01 not what it was")
    assert command(walk, spoilt, tmp_path, "--prompt", "x") == 2
    said = capsys.readouterr().err.strip()
    assert "spoilt: cannot be loaded" in said and "\n" not in said


def test_control_net_that_is_none(walk, model, tmp_path, capsys):
    assert command(walk, model, tmp_path, "--prompt", "x", "--controlnet", str(tmp_path / "none")) == 2
    assert "none: no such model folder" in capsys.readouterr().err


def test_cuda_that_is_not_there(walk, model, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert command(walk, model, tmp_path, "--prompt", "x", "--device", "cuda") == 2
    assert "no CUDA GPU" in capsys.readouterr().err


def test_hub_that_cannot_be_reached(walk, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert command(walk, "someone/some-model-that-is-not-cached", tmp_path, "--prompt", "x") == 2
    said = capsys.readouterr().err.strip()
    assert "someone/some-model-that-is-not-cached: cannot be loaded" in said and "\n" not in said


def test_options_without_a_prompt(walk):
    with pytest.raises(InputError, match="steps given, but nothing is generated"):
        texture_scene(load_scene(walk), steps=3)


def test_photos_do_not_load_the_diffusion_stack(scan, tmp_path):
    tiny_scan.write_ply(scan / "room_vh_clean_2.ply", faces=tiny_scan.ROOM_FACES[:, ::-1])
    program = (
        "import sys; from scenetex.cli.texture import main; "
        f"code = main([{str(scan)!r}, '--output', {str(tmp_path / 'out')!r}, '--quiet', '--texture-size', '64']); "
        "assert code == 0 and not {'torch', 'diffusers', 'transformers'} & set(sys.modules), code"
    )
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)
