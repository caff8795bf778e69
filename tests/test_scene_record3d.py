"""Recordings of Record3D against an exact room."""

import json

import cv2
import numpy as np
import pytest
from exact_scans import MESH, POSES, SIZE, K, assert_depth_fits, assert_photos_fit, depths, needed, photos
from painted_box import walk_around
from phone_scans import TO_PHONE, write_record3d

from scenetex import InputError, load_scene
from scenetex.errors import InputWarning
from scenetex.scene import record3d

SMALL = 40, 30
SMALL_K = np.array(
    [[K[0, 0] / 4, 0, (K[0, 2] + 0.5) / 4 - 0.5], [0, K[1, 1] / 4, (K[1, 2] + 0.5) / 4 - 0.5], [0, 0, 1]]
)


@pytest.fixture
def recording(tmp_path):
    def make(mesh=MESH, **more):
        return write_record3d(tmp_path / "hall", POSES, K, photos(), mesh, **more)

    return make


def change(folder, **values):
    path = folder / "metadata.json"
    kept = json.loads(path.read_text()) | values
    path.write_text(json.dumps({key: value for key, value in kept.items() if value is not None}))


def poses(folder):
    return json.loads((folder / "metadata.json").read_text())["poses"]


@pytest.mark.parametrize("native", [False, True])
@pytest.mark.parametrize("per_frame", [False, True])
@pytest.mark.parametrize("factor", [1, 2])
def test_exact_room(recording, native, per_frame, factor, recwarn):
    scene = load_scene(recording(native=native, per_frame=per_frame, factor=factor))
    assert scene.name == "hall" and [frame.id for frame in scene.frames] == [0, 1, 2, 3]
    for frame, pose in zip(scene.frames, POSES, strict=True):
        np.testing.assert_allclose(frame.cam_to_world, TO_PHONE @ pose, atol=1e-9)
        np.testing.assert_allclose(frame.camera.intrinsics, K, atol=1e-9)
        assert frame.camera.size == SIZE and frame.depth is None
    np.testing.assert_allclose(scene.aligned().mesh.vertices, MESH.vertices, atol=1e-12)
    assert_photos_fit(scene.aligned())
    assert not recwarn.list


@pytest.mark.parametrize("native", [False, True])
def test_depth_is_read_and_a_damaged_one_left_out(recording, native, monkeypatch):
    if native:
        monkeypatch.setattr(record3d, "can_decode", lambda: True)
    plain = lambda depth: depth.astype("<f4").tobytes()  # noqa: E731
    folder = recording(native=native, depths=depths(SMALL_K, size=SMALL), pack=plain)
    scene = load_scene(folder)
    for frame in scene.frames:
        np.testing.assert_allclose(frame.depth_camera.intrinsics, SMALL_K, atol=1e-9)
        assert frame.depth_camera.size == SMALL
    assert_depth_fits(scene.aligned(), 0)
    if not native:
        (folder / "depth" / "1.exr").write_bytes(b"v/1\1")
        with pytest.warns(InputWarning, match=r"1 of 4 depth images left out, .*1\.exr: not a readable OpenEXR image"):
            damaged = load_scene(folder)
        assert [frame.depth is None for frame in damaged.frames] == [False, True, False, False]
        assert len(damaged.damaged) == 1 and "1.exr: not a readable OpenEXR image" in damaged.damaged[0]


def test_without_the_decoder_depth_is_passed_over(recording, monkeypatch):
    monkeypatch.setattr(record3d, "can_decode", lambda: False)
    folder = recording(native=True, depths=depths(SMALL_K, size=SMALL))
    assert not any(frame.depth for frame in load_scene(folder).frames)
    (folder / "mesh.ply").unlink()
    with pytest.raises(InputError, match=r"no mesh, and no depth that is read, to fuse one; pip install .*\[fusion"):
        load_scene(folder)


def test_without_a_mesh_one_is_fused(tmp_path):
    needed("fusion", "open3d")
    poses = walk_around(24)
    pictures = [np.zeros((SIZE[1], SIZE[0], 3), np.uint8)] * len(poses)
    write_record3d(tmp_path / "hall", poses, K, pictures, None, depths=depths(K, poses))
    with pytest.warns(InputWarning, match="no mesh; fused one"):
        scene = load_scene(tmp_path / "hall", align=True)
    low, high = MESH.vertices.min(0), MESH.vertices.max(0)
    assert np.abs(scene.mesh.vertices - np.clip(scene.mesh.vertices, low, high)).max() < 0.1
    assert np.ptp(scene.mesh.vertices, 0) == pytest.approx(high - low, abs=0.25)


def portrait(folder):
    (folder / "rgb" / "0.jpg").write_bytes(cv2.imencode(".png", np.zeros((160, 120, 3), np.uint8))[1].tobytes())


LEFT_OUT = {
    "no photo": (lambda folder: (folder / "rgb" / "0.jpg").unlink(), r"0\.jpg: no such photo", 4),
    "turned": (portrait, r"0\.jpg: photo is 120x160, turned against its camera", 4),
    "pose": (lambda f: change(f, poses=[[1, 2], *poses(f)[1:]]), r"metadata\.json: frame 0: pose is not 7 numbers", 4),
    "word": (lambda f: change(f, poses=["here", *poses(f)[1:]]), r"metadata\.json: frame 0: pose is not 7 numbers", 4),
    "camera": (
        lambda folder: change(folder, perFrameIntrinsicCoeffs=[[0, 0, 0, 0], *[[130.0, 130.0, 80, 60]] * 3]),
        r"metadata\.json: frame 0: intrinsic matrix is not",
        4,
    ),
    "damaged": (lambda folder: (folder / "rgb" / "0.jpg").write_bytes(b"\xff\xd8"), "not a readable image", 4),
}


@pytest.mark.parametrize("kind", LEFT_OUT)
def test_a_damaged_frame_is_left_out_and_counted(recording, kind):
    folder = recording()
    damage, message, count = LEFT_OUT[kind]
    damage(folder)
    with pytest.warns(
        InputWarning, match=f"hall: 1 of {count} frames left out, the first because of .*{message}"
    ) as said:
        scene = load_scene(folder)
    assert len(said) == 1 and [frame.id for frame in scene.frames] == [1, 2, 3]


def test_photos_without_a_pose_are_counted(recording):
    folder = recording()
    change(folder, poses=poses(folder)[:2])
    with pytest.warns(InputWarning, match=r"2 of 4 frames left out, .*has 2 poses, none for 2\.jpg"):
        assert len(load_scene(folder).frames) == 2


@pytest.mark.parametrize("lost", [[float("nan")] * 7, [0, 0, 0, 0, 1, 2, 3], [0, 0, 0, 1, float("inf"), 0, 0]])
def test_lost_tracking_is_skipped(recording, lost):
    folder = recording()
    change(folder, poses=[*poses(folder)[:3], lost])
    scene = load_scene(folder)
    assert scene.skipped == (3,) and len(scene.frames) == 3


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (dict(poses=None), r"metadata\.json: holds no poses; record with the LiDAR camera"),
        (dict(poses=[]), "holds no poses"),
        (dict(poses={"0": []}), "holds no poses"),
        (dict(w=None), "w, h is not 2 numbers"),
        (dict(h=0), "w and h are not an image size"),
        (dict(w=1e400), "w and h are not an image size"),
        (dict(K=None), "K is not 9 numbers"),
        (dict(K=[0] * 9), "frame 0: intrinsic matrix is not"),
    ],
)
def test_metadata_that_says_too_little(recording, values, message):
    folder = recording()
    change(folder, **values)
    with pytest.raises(InputError, match=message) as caught:
        load_scene(folder)
    assert "\n" not in str(caught.value)


def test_cut_metadata(recording):
    folder = recording(native=True)
    text = (folder / "metadata").read_text()
    (folder / "metadata").write_text(text[: len(text) // 2])
    with pytest.raises(InputError, match=r"hall/metadata: is not JSON .*; export the scan again"):
        load_scene(folder)


def test_an_archive_is_to_be_unpacked(tmp_path):
    (tmp_path / "room.r3d").write_bytes(b"PK")
    for path in (tmp_path, tmp_path / "room.r3d"):
        with pytest.raises(
            InputError, match=r"looks like a recording of Record3D: unpack it \(unzip .*room\.r3d -d OUT\)"
        ):
            load_scene(path)


def test_cameras_of_some_photos_only_are_named(recording, recwarn):
    folder = recording()
    change(folder, perFrameIntrinsicCoeffs=[[1, 1, 1, 1]])
    with pytest.warns(
        InputWarning, match=r"metadata\.json: has no perFrameIntrinsicCoeffs for each of its poses; K is"
    ):
        np.testing.assert_allclose(load_scene(folder).frames[0].camera.intrinsics, K, atol=1e-9)
    change(folder, perFrameIntrinsicCoeffs=[])
    load_scene(folder)
    assert not recwarn.list


def test_what_the_app_says_besides_changes_nothing(recording, recwarn):
    folder = recording()
    change(folder, initPose=[0, 0, 0, 1, 5, 5, 5], fps=30, frameTimestamps=[0, 1], cameraType=1)
    for frame, pose in zip(load_scene(folder).frames, POSES, strict=True):
        np.testing.assert_allclose(frame.cam_to_world, TO_PHONE @ pose, atol=1e-9)
    assert not recwarn.list
