"""Folders that libraries read by themselves: what would be waited for, has no end or leads out is said before."""

import json
import os

import pytest
from odd_files import ODD, in_time

from scenetex import InputError
from scenetex.files.folders import check_folder


@pytest.mark.parametrize("kind", [kind for kind in ODD if kind != "folder"])
def test_what_is_no_file_is_named(tmp_path, kind):
    ODD[kind](tmp_path / "x")
    if kind == "nothing":
        check_folder(tmp_path)
        return
    with in_time(), pytest.raises(InputError, match=r"x: cannot be read"):
        check_folder(tmp_path)


def test_settings_of_models_have_an_end(tmp_path):
    for name in ("weights.safetensors", "config.json"):
        (tmp_path / name).touch()
        os.truncate(tmp_path / name, 1 << 33)
        if name == "weights.safetensors":
            check_folder(tmp_path)
    with pytest.raises(InputError, match=r"config\.json: cannot be read \(larger than 256 MB\)"):
        check_folder(tmp_path)


def test_folders_of_models_may_be_linked_but_hide_nothing(tmp_path):
    (tmp_path / "model" / "vae").mkdir(parents=True)
    (tmp_path / "model" / "round").symlink_to(tmp_path / "model")
    (tmp_path / "unet").mkdir()
    (tmp_path / "model" / "unet").symlink_to(tmp_path / "unet")
    check_folder(tmp_path / "model")
    os.mkfifo(tmp_path / "unet" / "config.json")
    with in_time(), pytest.raises(InputError, match=r"unet/config\.json: cannot be read"):
        check_folder(tmp_path / "model")


@pytest.mark.parametrize("index", ["model.safetensors.index.json", "diffusion_pytorch_model.safetensors.index.json"])
@pytest.mark.parametrize("name", ["../other/secret.safetensors", "/secret.safetensors", "a/../../b", "..\\b"])
def test_weights_in_parts_lie_in_their_folder(tmp_path, index, name):
    part = tmp_path / "unet" / index
    part.parent.mkdir()
    for names in ({"x": "model-00001-of-00002.safetensors", "y": "deep/two"}, {}, [name], name, 3):
        part.write_text(json.dumps({"weight_map": names}))
        check_folder(tmp_path)
    part.write_text(json.dumps({"weight_map": {"x": "model-00001-of-00002.safetensors", "y": name}}))
    with pytest.raises(InputError, match=r"leads out of its folder, to .*; copy the model again"):
        check_folder(tmp_path)
    part.write_text("[")
    check_folder(tmp_path)  # what loads it says so
