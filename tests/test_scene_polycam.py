"""Polycam's raw export against an exact room."""

import json
import re

import numpy as np
import pytest
from exact_scans import (
    MESH,
    POSES,
    SIZE,
    K,
    assert_depth_fits,
    assert_photos_fit,
    depths,
    photos,
    write_image,
    write_mesh,
)
from phone_scans import TO_PHONE, arkit_pose, stamp, write_polycam

from scenetex import InputError, load_scene
from scenetex.checks.plausibility import check_frames
from scenetex.errors import InputWarning

SMALL = 40, 30  # depth has fewer pixels
SMALL_K = np.array(
    [[K[0, 0] / 4, 0, (K[0, 2] + 0.5) / 4 - 0.5], [0, K[1, 1] / 4, (K[1, 2] + 0.5) / 4 - 0.5], [0, 0, 1]]
)


@pytest.fixture
def capture(tmp_path):
    def make(**more):
        more = {"depths": depths(SMALL_K, size=SMALL)} | more
        return write_polycam(tmp_path / "hall", POSES, K, photos(), MESH, **more)

    return make


def camera_file(folder, i=0, corrected="corrected_"):
    return folder / "keyframes" / f"{corrected}cameras" / f"{stamp(i)}.json"


def change(folder, i=0, **values):
    """Sets values of a camera; None takes the key out."""
    path = camera_file(folder, i)
    kept = json.loads(path.read_text()) | values
    path.write_text(json.dumps({key: value for key, value in kept.items() if value is not None}))


@pytest.mark.parametrize("corrected", ["corrected_", ""])
def test_exact_room(capture, corrected, recwarn):
    scene = load_scene(capture(corrected=corrected))
    assert scene.name == "hall" and [frame.id for frame in scene.frames] == [stamp(i) for i in range(4)]
    for frame, pose in zip(scene.frames, POSES, strict=True):
        np.testing.assert_allclose(frame.cam_to_world, TO_PHONE @ pose, atol=1e-12)
        np.testing.assert_allclose(frame.camera.intrinsics, K, atol=1e-12)
        np.testing.assert_allclose(frame.depth_camera.intrinsics, SMALL_K, atol=1e-12)
        assert frame.camera.size == SIZE and frame.depth_camera.size == SMALL
    assert np.abs(scene.mesh.vertices @ TO_PHONE[:3, :3] - MESH.vertices).max() < 1e-6
    assert_photos_fit(scene.aligned())
    assert_depth_fits(scene.aligned(), 0.001)
    assert not recwarn.list


def test_upright_it_is_the_room_with_z_up(capture):
    scene = load_scene(capture(), align=True)
    np.testing.assert_allclose([frame.cam_to_world for frame in scene.frames], POSES, atol=1e-12)
    assert np.abs(scene.mesh.vertices - MESH.vertices).max() < 1e-6


def test_the_mesh_is_moved_by_what_the_app_says(capture):
    """A mesh of one's own, as PLY, is in the frame of the cameras; Polycam's are where alignmentTransform put them."""
    folder = capture()
    (folder / "raw.glb").rename(folder / "hall.glb")
    assert np.abs(load_scene(folder, align=True).mesh.vertices - MESH.vertices).max() < 1e-6
    write_mesh(folder / "mesh.ply")
    np.testing.assert_array_equal(load_scene(folder).mesh.vertices, MESH.vertices)


@pytest.mark.parametrize("how", ["gone", "without"])
def test_without_an_alignment_the_mesh_stays_and_that_is_said(capture, how):
    folder = capture(alignment=np.eye(4))
    (folder / "mesh_info.json").unlink() if how == "gone" else (folder / "mesh_info.json").write_text(
        '{"faceCount": 12}'
    )
    with pytest.warns(
        InputWarning, match=r"mesh_info\.json: .*alignmentTransform; raw\.glb is taken to be in the frame"
    ):
        scene = load_scene(folder)
    assert_photos_fit(scene.aligned())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"alignmentTransform": [1, 2', r"mesh_info\.json: is not JSON"),
        ('{"alignmentTransform": [1, 0, 0, 0]}', r"mesh_info\.json: alignmentTransform is not 16 numbers"),
        (json.dumps({"alignmentTransform": [2.0] * 16}), "alignmentTransform is not a rigid transform"),
        (json.dumps({"alignmentTransform": [float("nan")] * 16}), "alignmentTransform is not finite"),
    ],
)
def test_a_damaged_alignment_is_refused(capture, text, message):
    folder = capture()
    (folder / "mesh_info.json").write_text(text)
    with pytest.raises(InputError, match=message) as caught:
        load_scene(folder)
    assert "\n" not in str(caught.value)


def cut(folder):
    path = camera_file(folder)
    path.write_text(path.read_text()[:80])


def turn(folder):
    import cv2

    path = folder / "keyframes" / "corrected_images" / f"{stamp(0)}.jpg"
    path.write_bytes(cv2.imencode(".png", np.zeros((SIZE[0], SIZE[1], 3), np.uint8))[1].tobytes())


DAMAGE = {
    "cut": (cut, r"\.json: is not JSON"),
    "no pose": (lambda folder: change(folder, t_12=None), r"\.json: has no t_12"),
    "no focal length": (lambda folder: change(folder, fx=None), r"\.json: has no fx"),
    "a word": (lambda folder: change(folder, t_03="left"), "pose is not 12 numbers"),
    "no size": (lambda folder: change(folder, width=0), "width and height are not an image size"),
    "no photo": (lambda f: (f / "keyframes" / "corrected_images" / f"{stamp(0)}.jpg").unlink(), "no such photo"),
    "turned": (turn, "photo is 120x160, turned against its camera"),
    "cropped": (lambda folder: change(folder, width=SIZE[0] * 2), "another shape|is 160x120"),
    "empty photo": (
        lambda f: (f / "keyframes" / "corrected_images" / f"{stamp(0)}.jpg").write_bytes(b""),
        "not a readable image",
    ),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_frame_is_left_out_and_counted(capture, kind):
    folder = capture()
    damage, message = DAMAGE[kind]
    damage(folder)
    with pytest.warns(
        InputWarning, match=f"keyframes: 1 of 4 frames left out, the first because of .*{message}"
    ) as said:
        scene = load_scene(folder)
    assert len(said) == 1 and "\n" not in str(said[0].message)
    assert [frame.id for frame in scene.frames] == [stamp(i) for i in (1, 2, 3)]
    assert_photos_fit(scene.aligned())
    said = check_frames(scene)
    assert said.message.startswith("frames or depth images left out because files are damaged: 1, the first because of")
    assert re.search(message, said.message)


def test_a_scan_of_damaged_frames_is_refused_with_the_first_reason(capture):
    folder = capture()
    for i in range(4):
        change(folder, i, fx=None)
    with pytest.raises(
        InputError, match=rf"{stamp(0)}\.json: has no fx; export the raw data again \(and so.* 4 frames"
    ):
        load_scene(folder)


def test_lost_tracking_is_skipped(capture):
    folder = capture()
    change(folder, 2, t_03=float("nan"))
    scene = load_scene(folder)
    assert scene.skipped == (stamp(2),) and len(scene.frames) == 3
    for i in range(4):
        change(folder, i, t_00=float("inf"))
    with pytest.raises(InputError, match="keyframes: tracking was lost in all 4 frames"):
        load_scene(folder)


def test_a_pose_that_is_none_is_refused(capture):
    folder = capture()
    change(folder, 1, t_00=7.0)
    with pytest.raises(InputError, match=rf"{stamp(1)}\.json: pose is not a rigid transform"):
        load_scene(folder)


@pytest.mark.parametrize("kind", ["gone", "damaged", "another shape"])
def test_depth_that_is_not_right_is_left_out(capture, kind, recwarn):
    folder = capture(depths=depths(SMALL_K, size=SMALL) if kind != "another shape" else depths(SMALL_K, size=(40, 20)))
    path = folder / "keyframes" / "depth" / f"{stamp(1)}.png"
    path.unlink() if kind == "gone" else path.write_bytes(b"\x89PNG") if kind == "damaged" else None
    scene = load_scene(folder)
    without = 4 if kind == "another shape" else 1
    assert sum(frame.depth is None for frame in scene.frames) == without
    said = [str(warning.message) for warning in recwarn.list]
    if kind == "gone":
        assert not said
    else:
        assert len(said) == 1 and f"{without} of 4 depth images left out" in said[0]


def test_polyforms_leavings_do_not_matter(capture):
    """Its converter writes cropped photos beside the others, and a transforms.json in another frame."""
    folder = capture()
    for i in range(4):
        (folder / "keyframes" / "corrected_images" / f"{stamp(i)}_crop.jpg").write_bytes(b"")
    (folder / "transforms.json").write_text('{"frames": []}')
    assert_photos_fit(load_scene(folder, align=True))


def test_undistorted_photos_come_with_their_own_cameras(capture):
    """Both kinds are there: none is joined to the other's."""
    folder = capture()
    write = [np.zeros_like(photo) for photo in photos()]
    write_polycam(folder, [pose @ np.diag([-1, -1, 1, 1]) for pose in POSES], 2 * K, write, MESH, corrected="")
    assert_photos_fit(load_scene(folder, align=True))
    (folder / "keyframes" / "corrected_cameras").rename(folder / "gone")
    assert load_scene(folder).frames[0].read_color().max() == 0


def test_a_link_out_of_the_folder_is_refused(capture, tmp_path):
    folder = capture()
    photo = folder / "keyframes" / "corrected_images" / f"{stamp(2)}.jpg"
    photo.rename(tmp_path / "elsewhere.jpg")
    photo.symlink_to(tmp_path / "elsewhere.jpg")
    with pytest.raises(InputError, match="leads out of the folder"):
        load_scene(folder)
    assert_photos_fit(load_scene(folder, align=True, allow_outside=True))


@pytest.mark.parametrize(("part", "above"), [("keyframes", True), ("..", False)])
def test_a_folder_beside_is_named(capture, part, above):
    folder = capture()
    with pytest.raises(InputError, match=r"the scan is in .*hall(/keyframes/\.\.)?: give that folder"):
        load_scene(folder / part if above else folder.parent)


def test_a_point_lands_where_arkit_puts_it():
    """ARKit's own words: right is x, up is y, and what lies ahead has negative z."""
    ahead, up = np.array([0.0, 0, -2, 1]), np.array([0.0, 1, -2, 1])
    for pose in POSES:
        to_opencv = np.linalg.inv(TO_PHONE @ pose) @ arkit_pose(pose)
        np.testing.assert_allclose(to_opencv @ ahead, [0, 0, 2, 1], atol=1e-12)
        np.testing.assert_allclose(to_opencv @ up, [0, -1, 2, 1], atol=1e-12)


@pytest.mark.parametrize("corrected", ["corrected_", ""])
def test_the_black_rim_of_corrected_photos_is_not_painted(capture, corrected):
    folder = capture(corrected=corrected)
    for i, photo in enumerate(photos()):
        photo[:, :6] = photo[:, -6:] = photo[:6] = photo[-6:] = 0
        write_image(folder / "keyframes" / f"{corrected}images" / f"{stamp(i)}.jpg", photo)
    frame = load_scene(folder).frames[0]
    assert (frame.read_color().max(2)[:, 0].min() > 8) == bool(corrected)
    assert (frame.read_gray(2)[0].min() > 8) == bool(corrected)
