"""What is written into a result's folder is read back as it was, and what was damaged since is named in one line."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from painted_report import SIZE, report, result

from scenetex import InputError
from scenetex.job.options import TextureOptions
from scenetex.job.result_folder import ResultFolder
from scenetex.scene.camera import resize_intrinsics

OPTIONS = TextureOptions(Path("out"), images="photos")


@pytest.fixture
def folder(tmp_path) -> ResultFolder:
    """A result whose images are as large as its views."""
    found = ResultFolder(tmp_path / "room")
    found.path.mkdir()
    found.write_views(result().views, result().images, result().keyframe)
    found.write_report(report(images="photos") | {"key": "k", "files": found.files()})
    return found


def test_images_and_cameras_come_back(folder):
    views, cameras = result().views, folder.read_cameras()
    assert [camera.frame_id for camera in cameras] == list(views.frame_ids)
    for i, camera in enumerate(cameras):
        assert camera.size == SIZE
        np.testing.assert_array_equal(camera.intrinsics, resize_intrinsics(views.intrinsics, views.size, SIZE)[i])
        np.testing.assert_array_equal(camera.cam_to_world, views.cam_to_world[i])
        np.testing.assert_array_equal(folder.read_image(camera), result().images[i])
    np.testing.assert_allclose(folder.axis_alignment(), result().mesh.mesh.axis_alignment)


def test_it_is_found_around_its_images(folder, tmp_path):
    folder.views.rename(folder.path / "pictures")
    moved = ResultFolder.around(folder.path / "pictures")
    assert moved.read_report() == folder.read_report() and len(moved.read_cameras()) == len(result().images)
    assert ResultFolder.around(folder.path).views == folder.views


def test_it_is_finished_while_all_is_there(folder):
    assert folder.is_finished("k") and not folder.is_finished("other")
    picture = folder.image_path(folder.read_cameras()[2])
    data = picture.read_bytes()
    picture.unlink()
    assert not folder.is_finished("k")
    picture.write_bytes(data)
    assert folder.is_finished("k")
    for spoilt in ("{", "[]", "{}", json.dumps({"key": "k"}), json.dumps({"key": "k", "files": [3]})):
        folder.report_path.write_text(spoilt)
        assert not folder.is_finished("k")
    assert not ResultFolder(folder.path / "nowhere").is_finished("k")


def test_what_it_shows_is_said_before_it_is_replaced(folder):
    assert folder.about_replacing("room", OPTIONS) is None
    other = replace(OPTIONS, images="generated", prompt="a red room")
    assert folder.about_replacing("room", other).startswith("replaced the earlier result (photos); --name NAME keeps")
    for scene, options in (("hall", OPTIONS), ("room", replace(OPTIONS, name="x"))):
        with pytest.raises(InputError, match=r"room: is the result of scene room; choose another --name"):
            folder.about_replacing(scene, options)
    for spoilt in ("{", "[]", "{}", json.dumps({"scene": "hall"}), json.dumps({"scene": "hall", "settings": 3})):
        folder.report_path.write_text(spoilt)
        assert folder.about_replacing("room", OPTIONS) is None


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"width": 0}, "camera '0' is not one"),
        ({"height": "high"}, "camera '0' is not one"),
        ({"intrinsics": np.zeros((3, 3)).tolist()}, "camera '0' is not one"),
        ({"intrinsics": [[-1, 0, 0], [0, -1, 0], [0, 0, 1]]}, "camera '0' is not one"),
        ({"cam_to_world": np.zeros((4, 4)).tolist()}, "camera '0' is not one"),
        ({"cam_to_world": None}, "camera '0' is not one"),
        ({"width": 10}, "0.png: image is 160x120, its camera 10x120"),
    ],
)
def test_damaged_cameras_are_named(folder, change, says):
    told = json.loads(folder.cameras_path.read_text())
    told["0"] |= change
    folder.cameras_path.write_text(json.dumps(told))
    with pytest.raises(InputError) as refused:
        folder.read_image(folder.read_cameras()[0])
    assert says in str(refused.value) and "\n" not in str(refused.value)


@pytest.mark.parametrize("name", ["-1", "one", "9" * 30])
def test_frames_have_numbers(folder, name):
    told = json.loads(folder.cameras_path.read_text())
    folder.cameras_path.write_text(json.dumps({name: told["0"]}))
    with pytest.raises(InputError, match=r"cameras\.json: camera '.*' is not one; texture the scene again$"):
        folder.read_cameras()


def test_a_report_without_alignment_is_named(folder):
    folder.write_report({"axis_alignment": [1, 2]})
    with pytest.raises(
        InputError, match=r"report\.json: does not say where up is \(axis_alignment\); texture the scene"
    ):
        folder.axis_alignment()
