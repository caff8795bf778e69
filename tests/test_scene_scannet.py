"""Extracted ScanNet folders."""

import shutil
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from tiny_scan import INTRINSICS, ROOM_FACES, ROOM_VERTICES, look, write_extracted

from scenetex import InputError, load_scene
from scenetex.errors import InputWarning
from scenetex.views.viewset import cast_views

LOST = np.full((4, 4), -np.inf)
INFO = (
    "axisAlignment = 0 -1 0 0.5 1 0 0 0.25 0 0 1 1 0 0 0 1\ncolorHeight = {h}\ncolorWidth = {w}\n"
    "depthHeight = 48\ndepthWidth = 64\nsceneType = Kitchen\n"
)


def test_everything_of_a_folder(scan):
    scene = load_scene(scan)
    assert scene.name == "room" and scene.path == scan
    assert [frame.id for frame in scene.frames] == [2, 10, 100]  # numbers, not strings
    np.testing.assert_array_equal(scene.mesh.vertices, ROOM_VERTICES)
    np.testing.assert_array_equal(scene.mesh.faces, ROOM_FACES)
    for k, frame in enumerate(scene.frames):
        np.testing.assert_allclose(frame.cam_to_world, look(k * np.pi / 6), atol=1e-15)
        np.testing.assert_array_equal(frame.camera.intrinsics, INTRINSICS)
        assert frame.camera.size == (64, 48)
        assert abs(int(frame.read_color()[24, 32, 0]) - frame.id) <= 2
        assert (frame.read_depth() == np.float32((1000 + frame.id) / 1000)).all()
    assert scene.frame(10) is scene.frames[1]
    with pytest.raises(InputError, match="no frame 3; ids run from 2 to 100"):
        scene.frame(3)


def test_lost_frames_are_listed(tmp_path):
    partly = look(0.1)
    partly[0, 3] = np.nan
    folder = write_extracted(tmp_path / "room", {7: LOST, 8: look(0), 30: partly, 9: look(1)})
    scene = load_scene(folder)
    assert [frame.id for frame in scene.frames] == [8, 9]
    assert scene.skipped == (7, 30)
    with pytest.raises(InputError, match="no frame 30 \\(its pose is not finite\\)"):
        scene.frame(30)


def test_cameras_sit_on_the_rig_where_the_extrinsics_say(scan):
    color_on_rig, depth_on_rig = look(0.02, (0.1, 0, 0)), look(-0.03, (0, 0.2, 0.3))
    np.savetxt(scan / "intrinsic" / "extrinsic_color.txt", color_on_rig, fmt="%.17g")
    np.savetxt(scan / "intrinsic" / "extrinsic_depth.txt", depth_on_rig, fmt="%.17g")
    frame = load_scene(scan).frames[1]
    np.testing.assert_allclose(frame.cam_to_world, look(np.pi / 6) @ color_on_rig, atol=1e-14)
    np.testing.assert_allclose(frame.depth_cam_to_world, look(np.pi / 6) @ depth_on_rig, atol=1e-14)
    # Sensor to rig: a point in front of the colour camera reaches the depth camera through the rig.
    point = np.array([0.3, -0.2, 2, 1])
    expected = np.linalg.inv(depth_on_rig) @ color_on_rig @ point
    np.testing.assert_allclose(
        np.linalg.inv(frame.depth_cam_to_world) @ frame.cam_to_world @ point, expected, atol=1e-13
    )


def test_colour_and_depth_of_different_size(tmp_path):
    folder = write_extracted(tmp_path / "room", size=(128, 96))
    depth = np.diag([20.0, 20, 1, 1])
    depth[:2, 2] = 15.5, 11.5
    np.savetxt(folder / "intrinsic" / "intrinsic_depth.txt", depth)
    for path in (folder / "depth").iterdir():
        cv2.imwrite(str(path), np.full((24, 32), 500, np.uint16))
    frame = load_scene(folder).frames[0]
    assert (frame.camera.size, frame.depth_camera.size) == ((128, 96), (32, 24))
    np.testing.assert_array_equal(frame.depth_camera.intrinsics, depth[:3, :3])
    assert frame.read_depth().shape == (24, 32)


def test_photos_smaller_than_the_intrinsics_were_made_for(tmp_path):
    folder = write_extracted(tmp_path / "room", size=(32, 24), info=INFO.format(w=64, h=48))
    camera = load_scene(folder).frames[0].camera
    assert camera.size == (32, 24)
    np.testing.assert_allclose(camera.intrinsics, [[20, 0, 15.5], [0, 20, 11.5], [0, 0, 1]])


def test_cropped_photos_are_refused(tmp_path):
    folder = write_extracted(tmp_path / "room", size=(48, 48), info=INFO.format(w=64, h=48))
    with pytest.raises(InputError, match=r"2\.jpg: images are 48x48, the intrinsics for 64x48"):
        load_scene(folder)


def test_one_photo_of_another_size_is_found_when_it_is_read(scan):
    cv2.imwrite(str(scan / "color" / "10.jpg"), np.zeros((24, 32, 3), np.uint8))
    scene = load_scene(scan)
    assert scene.frames[0].read_color().shape == (48, 64, 3)
    with pytest.raises(InputError, match=r"10\.jpg: image is 32x24, its camera 64x48"):
        scene.frames[1].read_color()


def test_frames_need_photo_and_pose_where_there_are_photos(scan):
    (scan / "color" / "10.jpg").unlink()
    (scan / "pose" / "2.txt").unlink()
    (scan / "depth" / "100.png").unlink()
    (scan / "color" / "thumbs.jpg").touch()
    (frame,) = load_scene(scan).frames
    assert frame.id == 100 and frame.depth is None and frame.depth_camera is None
    with pytest.raises(InputError, match="frame 100: has no depth image"):
        frame.read_depth()


def test_poses_alone_suffice_with_a_size(tmp_path):
    folder = write_extracted(tmp_path / "room", color=False, depth=False, info=INFO.format(w=640, h=480))
    scene = load_scene(folder)
    assert [frame.id for frame in scene.frames] == [2, 10, 100]
    assert scene.frames[0].camera.size == (640, 480)
    np.testing.assert_array_equal(scene.frames[0].camera.intrinsics, INTRINSICS)
    with pytest.raises(InputError, match="frame 2: has no photo"):
        scene.frames[0].read_color()


def test_without_photos_and_size_the_depth_camera_stands_in(tmp_path):
    folder = write_extracted(tmp_path / "room", color=False)
    on_rig = look(0.1, (0.1, 0, 0))
    np.savetxt(folder / "intrinsic" / "extrinsic_depth.txt", on_rig, fmt="%.17g")
    frame = load_scene(folder).frames[1]
    assert frame.camera.size == (64, 48)
    np.testing.assert_array_equal(frame.camera.intrinsics, frame.depth_camera.intrinsics)
    np.testing.assert_allclose(frame.cam_to_world, look(np.pi / 6) @ on_rig, atol=1e-14)
    shutil.rmtree(folder / "depth")
    with pytest.raises(InputError, match=r"image size unknown; add photos, or colorWidth and colorHeight to room\.txt"):
        load_scene(folder)


def test_alignment_moves_mesh_and_poses_together_or_not_at_all(tmp_path):
    folder = write_extracted(tmp_path / "room", info=INFO.format(w=64, h=48))
    alignment = np.array([[0, -1, 0, 0.5], [1, 0, 0, 0.25], [0, 0, 1, 1], [0, 0, 0, 1]])
    stored, aligned = load_scene(folder), load_scene(folder, align=True)
    np.testing.assert_array_equal(stored.axis_alignment, alignment)
    np.testing.assert_array_equal(stored.mesh.vertices, ROOM_VERTICES)
    np.testing.assert_array_equal(aligned.axis_alignment, np.eye(4))
    corner = ROOM_VERTICES[6]
    np.testing.assert_allclose(aligned.mesh.vertices[6], [-corner[1] + 0.5, corner[0] + 0.25, corner[2] + 1])
    for a, b in zip(stored.frames, aligned.frames, strict=True):
        np.testing.assert_allclose(b.cam_to_world, alignment @ a.cam_to_world)
        np.testing.assert_allclose(b.depth_cam_to_world, alignment @ a.depth_cam_to_world)


def test_info_file_named_after_the_mesh_where_the_folder_was_renamed(tmp_path):
    folder = write_extracted(tmp_path / "room", info=INFO.format(w=64, h=48))
    renamed = folder.rename(tmp_path / "copy")
    assert load_scene(renamed).axis_alignment[0, 3] == 0.5
    assert load_scene(renamed).name == "copy"


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda f: shutil.rmtree(f / "pose"), r"room/pose: missing; a scene needs its camera poses there"),
        (lambda f: [p.unlink() for p in (f / "pose").iterdir()], r"room/pose: holds no poses"),
        (lambda f: (f / "pose" / "10.txt").write_text("1 2 3"), r"pose/10\.txt: pose has 3 numbers"),
        (lambda f: np.savetxt(f / "pose" / "10.txt", np.diag([1, 1, 2, 1])), r"pose/10\.txt: pose is not a rigid"),
        (lambda f: [np.savetxt(p, LOST) for p in (f / "pose").iterdir()], r"room/pose: tracking was lost in all 3"),
        (lambda f: shutil.rmtree(f / "intrinsic"), r"intrinsic_color\.txt: missing"),
        (lambda f: (f / "intrinsic" / "intrinsic_color.txt").write_text("a"), r"intrinsic_color\.txt: .* not plain"),
        (lambda f: np.savetxt(f / "intrinsic" / "extrinsic_color.txt", LOST), r"extrinsic_color\.txt: .* not finite"),
        (lambda f: [p.rename(p.with_stem(f"1{p.stem}")) for p in (f / "color").iterdir()], r"room: no photo in color/"),
        (lambda f: [p.rename(p.with_stem(f"a{p.stem}")) for p in (f / "color").iterdir()], r"a10\.jpg is not named"),
        (lambda f: shutil.rmtree(f / "depth") or (f / "room_vh_clean_2.ply").unlink(), r"room: no mesh; put"),
        (lambda f: (f / "room_vh_clean_2.ply").write_bytes(b""), r"room_vh_clean_2\.ply: not a PLY file"),
        (lambda f: (f / "color" / "2.jpg").write_bytes(b"no"), r"color/2\.jpg: not a readable image"),
        (lambda f: (f / "room.txt").write_text("axisAlignment = 1 2"), r"room\.txt: axisAlignment is not 16"),
        (lambda f: (f / "room.txt").write_text("axisAlignment =" + " 1" * 16), r"room\.txt: axisAlignment is not a"),
        (lambda f: (f / "room.txt").write_text("colorWidth = x\ncolorHeight = 4"), r"room\.txt: colorWidth and"),
    ],
)
def test_what_is_wrong_is_named_in_one_line(scan, spoil, message):
    spoil(scan)
    with pytest.raises(InputError, match=message) as caught:
        load_scene(scan)
    assert "\n" not in str(caught.value)


def test_thousands_of_frames_load_quickly(tmp_path):
    poses = {i: look(i * 0.001) for i in range(5000)}
    folder = write_extracted(tmp_path / "room", poses, color=False, depth=False, info=INFO.format(w=64, h=48))
    (folder / "color").mkdir()
    photo = cv2.imencode(".jpg", np.zeros((48, 64, 3), np.uint8))[1].tobytes()
    (folder / "color" / "0.jpg").write_bytes(photo)
    for i in range(1, 5000):
        (folder / "color" / f"{i}.jpg").hardlink_to(folder / "color" / "0.jpg")
    start = time.process_time()
    assert len(load_scene(folder).frames) == 5000
    assert time.process_time() - start < 2


@pytest.mark.parametrize(("name", "frames", "skipped"), [("redkitchen", 62, (976,)), ("livingroom", 71, ())])
def test_real_scans(shared_data, name, frames, skipped):
    scene = load_scene(shared_data / name)
    assert (len(scene.frames), scene.skipped) == (frames, skipped)
    frame = scene.frames[5]
    assert frame.read_color().shape == (480, 640, 3)
    depth = frame.read_depth()
    assert 0.3 < np.median(depth[depth > 0]) < 5


def test_sensor_depth_lies_on_the_real_mesh(shared_data):
    """The direction of `extrinsic_depth`: redkitchen's depth camera sits beside its colour camera."""
    scene = load_scene(shared_data / "redkitchen")
    frame = scene.frame(640)
    measured = frame.read_depth()

    def error(pose):
        view = cast_views(scene.mesh, frame.depth_camera.intrinsics[None], pose[None], (640, 480), (0,))
        both = (measured > 0.4) & (measured < 3) & (view.depth[0] > 0)
        return np.median(np.abs(measured - view.depth[0])[both])

    turned = frame.cam_to_world @ np.linalg.inv(frame.depth_cam_to_world) @ frame.cam_to_world
    assert error(frame.depth_cam_to_world) < 0.01
    assert error(frame.cam_to_world) > 0.03 and error(turned) > 0.06


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda f: (f / "intrinsic" / "intrinsic_depth.txt").unlink(), r"intrinsic_depth\.txt: missing"),
        (lambda f: np.savetxt(f / "intrinsic" / "extrinsic_depth.txt", LOST), r"extrinsic_depth\.txt: .* not finite"),
        (lambda f: (f / "depth" / "2.png").write_bytes(b"no image"), r"depth/2\.png: not a readable image"),
        (
            lambda f: cv2.imwrite(str(f / "depth" / "2.png"), np.zeros((48, 64), np.uint8)),
            r"2\.png: not a 16-bit depth",
        ),
        (lambda f: [p.rename(p.with_stem(f"a{p.stem}")) for p in (f / "depth").iterdir()], r"a10\.png is not named"),
        (
            lambda f: (f / "room.txt").write_text("depthWidth = wide\ndepthHeight = 48"),
            "depthWidth and depthHeight are",
        ),
    ],
)
def test_depth_that_cannot_be_read_is_left_out_beside_a_mesh(scan, spoil, message):
    spoil(scan)
    with pytest.warns(InputWarning, match=message + r".* \(goes on without depth images: there is a mesh\)$") as caught:
        scene = load_scene(scan)
    assert len(caught) == 1 and [frame.depth for frame in scene.frames] == [None] * 3
    np.testing.assert_allclose(scene.frames[1].cam_to_world, look(np.pi / 6), atol=1e-15)
    for mesh in scan.glob("*.ply"):
        mesh.unlink()
    with pytest.raises(InputError, match=message):
        load_scene(scan)


def test_photos_rotated_against_their_intrinsics(tmp_path):
    """The size in `<scene>.txt` says for which way up the intrinsics are."""
    from PIL import Image

    folder = write_extracted(tmp_path / "room", size=(48, 64), depth=False, info=INFO.format(w=64, h=48))
    with pytest.raises(InputError, match="images are 48x64, the intrinsics for 64x48: rotated by 90 degrees"):
        load_scene(folder)
    exif = Image.Exif()
    exif[0x0112] = 8
    upright = np.random.default_rng(0).integers(0, 255, (3, 4, 3), np.uint8).repeat(16, 0).repeat(16, 1)
    for path in (folder / "color").iterdir():
        Image.fromarray(np.rot90(upright, -1)).save(path, quality=98, exif=exif)
    frame = load_scene(folder).frames[0]
    assert frame.camera.size == (64, 48)
    np.testing.assert_array_equal(frame.camera.intrinsics, INTRINSICS)
    assert np.abs(frame.read_color().astype(int) - upright).mean() < 4
    assert frame.read_gray(8).shape == (6, 8)


def test_what_scan_info_declares_and_nobody_needs(tmp_path):
    """`colorToDepthExtrinsics` and the rest of `<scene>.txt`: the extrinsic files place the cameras."""
    info = "colorToDepthExtrinsics = 1 0 0 9 0 1 0 9 0 0 1 9 0 0 0 1\nfx_color = 1\nnumDepthFrames = x\n"
    scene = load_scene(write_extracted(tmp_path / "room", info=info))
    np.testing.assert_array_equal(scene.axis_alignment, np.eye(4))
    np.testing.assert_allclose(scene.frames[0].cam_to_world, look(0), atol=1e-15)


def test_byte_order_marks_are_passed_over(scan):
    (scan / f"{scan.name}.txt").write_text(INFO.format(w=64, h=48))
    plain = load_scene(scan)
    assert not np.array_equal(plain.axis_alignment, np.eye(4))
    texts = [*(scan / "pose").glob("*.txt"), *(scan / "intrinsic").glob("*.txt"), scan / f"{scan.name}.txt"]
    for path in texts:
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    scene = load_scene(scan)
    np.testing.assert_array_equal(plain.axis_alignment, scene.axis_alignment)
    for a, b in zip(plain.frames, scene.frames, strict=True):
        np.testing.assert_array_equal(a.cam_to_world, b.cam_to_world)
        np.testing.assert_array_equal(a.camera.intrinsics, b.camera.intrinsics)
        np.testing.assert_array_equal(a.depth_camera.intrinsics, b.depth_camera.intrinsics)


def converted(folder: Path, suffix: str) -> None:
    for path in list(folder.iterdir()):
        with Image.open(path) as image:
            image.save(path.with_suffix(suffix))
        path.unlink()


@pytest.mark.parametrize("suffix", [".tif", ".TIFF", ".webp", ".bmp", ".ppm", ".png", ".jpeg"])
def test_photos_of_all_formats_that_are_read(scan, suffix):
    converted(scan / "color", suffix)
    frames = load_scene(scan).frames
    assert [frame.id for frame in frames] == [2, 10, 100]
    assert all(np.abs(frame.read_color()[..., 0].astype(int) - frame.id).max() <= 8 for frame in frames)


@pytest.mark.parametrize("suffix", [".tif", ".tiff", ".pgm"])
def test_depth_of_all_formats_that_are_read(scan, suffix):
    converted(scan / "depth", suffix)
    for frame in load_scene(scan).frames:
        np.testing.assert_allclose(frame.read_depth(), 1 + frame.id / 1000, rtol=1e-6)


def test_of_two_photos_with_one_number_the_jpeg_counts(scan):
    for suffix in (".bmp", ".png"):
        Image.new("RGB", (64, 48), "white").save(scan / f"color/10{suffix}")
    assert load_scene(scan).frame(10).color.path.name == "10.jpg"


@pytest.mark.parametrize("suffix", [".jxl", ".gif", ".dng", ".exr"])
def test_photos_of_kinds_that_are_not_read_are_named(scan, suffix):
    for path in list((scan / "color").iterdir()):
        path.rename(path.with_suffix(suffix))
    said = rf"color: 10\{suffix} is of a kind that is not read there; convert the files to \.jpg"
    with pytest.raises(InputError, match=said):
        load_scene(scan)


@pytest.mark.parametrize("suffix", [".npy", ".exr", ".pfm"])
def test_depth_of_kinds_that_are_not_read_is_named(scan, suffix):
    for path in list((scan / "depth").iterdir()):
        path.rename(path.with_suffix(suffix))
    with pytest.warns(
        InputWarning, match=rf"depth: 10\{suffix} is of a kind that is not read there.*\(goes on without"
    ):
        assert not any(frame.depth for frame in load_scene(scan).frames)
