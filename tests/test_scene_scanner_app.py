"""3D Scanner App's export against an exact room."""

import json

import cv2
import numpy as np
import pytest
from exact_scans import MESH, POSES, SIZE, K, assert_depth_fits, assert_photos_fit, depths, photos
from phone_scans import TO_PHONE, write_obj, write_scanner_app
from tiny_scan import write_ply

from scenetex import InputError, load_scene
from scenetex.errors import InputWarning

SMALL = 40, 30
SMALL_K = np.array(
    [[K[0, 0] / 4, 0, (K[0, 2] + 0.5) / 4 - 0.5], [0, K[1, 1] / 4, (K[1, 2] + 0.5) / 4 - 0.5], [0, 0, 1]]
)


@pytest.fixture
def export(tmp_path):
    def make(**more):
        more = {"depths": depths(SMALL_K, size=SMALL)} | more
        return write_scanner_app(tmp_path / "hall", POSES, K, photos(), MESH, **more)

    return make


def change(folder, i=0, **values):
    path = folder / f"frame_{i:05}.json"
    kept = json.loads(path.read_text()) | values
    path.write_text(json.dumps({key: value for key, value in kept.items() if value is not None}))


def test_exact_room(export, recwarn):
    scene = load_scene(export())
    assert scene.name == "hall" and [frame.id for frame in scene.frames] == [0, 2, 4, 6]
    for frame, pose in zip(scene.frames, POSES, strict=True):
        np.testing.assert_allclose(frame.cam_to_world, TO_PHONE @ pose, atol=1e-12)
        np.testing.assert_allclose(frame.camera.intrinsics, K, atol=1e-12)
        np.testing.assert_allclose(frame.depth_camera.intrinsics, SMALL_K, atol=1e-12)
        assert frame.camera.size == SIZE and frame.depth_camera.size == SMALL
    np.testing.assert_allclose(scene.aligned().mesh.vertices, MESH.vertices, atol=1e-12)
    assert_photos_fit(scene.aligned())
    assert_depth_fits(scene.aligned(), 0.001)
    assert not recwarn.list


def test_of_its_meshes_the_one_that_the_app_shows_comes_first(export):
    folder = export()
    for shift, name in enumerate(("export.obj", "export_refined.obj", "textured_output.obj", "mesh.ply")):
        write = write_ply if name.endswith("ply") else write_obj
        write(folder / name, MESH.vertices + shift, MESH.faces)
    write_ply(folder / "pcd.ply", MESH.vertices, MESH.faces[:0])
    for shift, name in ((3, "mesh.ply"), (2, "textured_output.obj"), (1, "export_refined.obj"), (0, "export.obj")):
        np.testing.assert_array_equal(load_scene(folder).mesh.vertices, MESH.vertices + shift)
        (folder / name).unlink()
    with pytest.raises(InputError, match=r"pcd\.ply: mesh has no faces, it is a cloud of points"):
        load_scene(folder)


def photo(size):
    return cv2.imencode(".png", np.zeros((size[1], size[0], 3), np.uint8))[1].tobytes()


DAMAGE = {
    "cut": (lambda f: (f / "frame_00000.json").write_text('{"intrinsics": ['), r"frame_00000\.json: is not JSON"),
    "a list": (lambda f: (f / "frame_00000.json").write_text("[1]"), r"frame_00000\.json: holds no JSON object"),
    "no pose": (lambda f: change(f, cameraPoseARFrame=None), "cameraPoseARFrame is not 16 numbers"),
    "no camera": (lambda f: change(f, intrinsics=None), "intrinsics is not 9 numbers"),
    "flat camera": (lambda f: change(f, intrinsics=[0, 0, 80, 0, 0, 60, 0, 0, 1]), "intrinsic matrix is not"),
    "turned": (lambda f: (f / "frame_00000.jpg").write_bytes(photo((120, 160))), "photo is 120x160, turned"),
    "smaller": (
        lambda f: (f / "frame_00000.jpg").write_bytes(photo((80, 60))),
        "principal point 80.*, .* is not that of a 80x60 photo; use the photos as the app wrote them",
    ),
    "cut photo": (lambda f: (f / "frame_00000.jpg").write_bytes(b"\xff\xd8"), "not a readable image"),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_frame_is_left_out_and_counted(export, kind):
    folder = export()
    damage, message = DAMAGE[kind]
    damage(folder)
    with pytest.warns(InputWarning, match=f"hall: 1 of 4 frames left out, the first because of .*{message}") as said:
        scene = load_scene(folder)
    assert len(said) == 1 and [frame.id for frame in scene.frames] == [2, 4, 6]


def test_lost_tracking_is_skipped(export):
    folder = export()
    change(folder, 4, cameraPoseARFrame=[float("nan")] * 16)
    scene = load_scene(folder)
    assert scene.skipped == (4,) and len(scene.frames) == 3


def test_poses_by_columns_are_refused(export):
    folder = export()
    path = folder / "frame_00002.json"
    turned = np.array(json.loads(path.read_text())["cameraPoseARFrame"]).reshape(4, 4).T
    change(folder, 2, cameraPoseARFrame=turned.ravel().tolist())
    with pytest.raises(InputError, match=r"frame_00002\.json: pose is not a rigid transform"):
        load_scene(folder)


def test_an_export_without_photos(export):
    folder = export()
    for path in folder.glob("frame_*.jpg"):
        path.unlink()
    with pytest.raises(
        InputError, match=r"no frame_\*\.jpg belongs to its frame_\*\.json; export the scan as All Data"
    ):
        load_scene(folder)


def test_what_the_app_says_besides_changes_nothing(export, recwarn):
    folder = export()
    change(folder, projectionMatrix=[1] * 16, exposureDuration=0.1, motionQuality=0.5)
    np.testing.assert_allclose(load_scene(folder).frames[0].camera.intrinsics, K, atol=1e-9)
    assert not recwarn.list
