"""Intrinsics whose numbers are swapped, and poses that are steps, are told as the layout has them."""

import re
from dataclasses import replace

import cv2
import numpy as np
import pytest
from broken_scans import AXES, BROKEN, as_steps, sample, with_cameras, with_own_photos, without_depth

from scenetex.checks import check_scene
from scenetex.checks.plausibility import check_cameras
from scenetex.scene.camera import Camera


@pytest.mark.parametrize(("width", "focal"), [(576, 472), (608, 499)])
def test_focal_lengths_that_are_swapped(tmp_path, width, focal):
    """Photos that were squeezed, so that their pixels are not square; little, and they agree more or less."""
    squeezed = (width, 480)
    scene = with_own_photos(sample(), tmp_path, lambda photo, _: cv2.resize(photo, squeezed))
    k = sample().frames[0].camera.intrinsics.copy()
    k[0] *= width / 640
    k[[0, 1], [0, 1]] = k[[1, 0], [1, 0]]
    scene = replace(scene, frames=tuple(replace(f, camera=Camera(k, *squeezed)) for f in scene.frames))
    (finding,) = check_scene(scene).findings
    assert f"fx and fy are swapped; give fx about {focal} and fy about 525 in intr" in finding.message


def test_centre_swapped_in_wide_photos():
    wide = Camera(np.array([[500, 0, 181.0], [0, 500, 321.0], [0, 0, 1]]), 640, 360)
    found = check_cameras(replace(sample(), frames=tuple(replace(f, camera=wide) for f in sample().frames)))
    assert "cx and cy are swapped; give cx about 321 and cy about 181 in intrinsic" in found.message


def test_intrinsics_of_a_transforms_json_are_named_as_it_has_them(tmp_path):
    (tmp_path / "transforms.json").write_text("{}")
    for name, says in (
        ("focal length", r"times too large; check fl_x and fl_y in transforms.json$"),
        ("centre too low", r"; give cx about 3\d\d and cy about 2\d\d in transforms.json$"),
    ):
        (finding,) = check_scene(replace(BROKEN[name][0](sample()), path=tmp_path)).findings
        assert re.search(says, finding.message), finding.message


def test_steps_of_a_transforms_json_have_its_axes(tmp_path):
    (tmp_path / "transforms.json").write_text("{}")
    scene = with_cameras(sample(), lambda poses: as_steps(poses @ AXES) @ AXES)
    (finding,) = check_scene(replace(without_depth(scene), path=tmp_path)).findings
    assert "poses are steps from frame to frame; chain them" in finding.message
    assert finding.message.endswith("T[i] = T[i - 1] @ P[i] is its pose, T[0] = P[0]")


def test_steps_are_chained_over_the_frames_that_are_not_looked_at():
    (finding,) = check_scene(with_cameras(sample(), as_steps), "every:2").findings
    assert "poses are steps from frame to frame; chain them" in finding.message
