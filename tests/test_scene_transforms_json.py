"""nerfstudio's `transforms.json`."""

import json
import os

import cv2
import numpy as np
import pytest
from phone_scans import exr_bytes
from tiny_scan import ROOM_VERTICES, look, write_ply

from scenetex import InputError, load_scene
from scenetex.errors import InputWarning

FLIP = np.diag([1.0, -1, -1, 1])  # OpenCV camera axes <-> OpenGL
SIZE = 64, 48
INTRINSICS = {"fl_x": 40.0, "fl_y": 42.0, "cx": 32.0, "cy": 24.5, "w": 64, "h": 48}


@pytest.fixture
def write(tmp_path):
    """Writer of a folder with `transforms.json`, photos of known colour, depth images and the room as mesh.ply."""

    def make(meta=None, names=("images/frame_00005.png", "images/frame_00002.png"), frame=None, mesh="mesh.ply"):
        folder = tmp_path / "capture"
        folder.mkdir(parents=True, exist_ok=True)
        meta = dict(INTRINSICS) if meta is None else dict(meta)
        meta["frames"] = []
        for k, name in enumerate(names):
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(path), np.full((48, 64, 3), (1, 2, 50 + k), np.uint8))
            cv2.imwrite(f"{path}.depth.png", np.full((24, 32), 100 + k, np.uint16))
            entry = {"file_path": name, "transform_matrix": (look(0.4 * k, (k, 0, 0)) @ FLIP).tolist()}
            meta["frames"].append(entry | {"depth_file_path": f"{name}.depth.png"} | (frame or {}))
        if mesh:
            write_ply(folder / mesh)
        (folder / "transforms.json").write_text(json.dumps(meta))
        return folder

    return make


def test_axes_pixel_centres_order_and_ids(write):
    folder = write()
    for scene in (load_scene(folder), load_scene(folder / "transforms.json")):
        assert scene.name == "capture"
        assert [frame.id for frame in scene.frames] == [2, 5]  # the numbers of the names, ascending
        second, first = scene.frames
        np.testing.assert_allclose(first.cam_to_world, look(0.0), atol=1e-15)
        np.testing.assert_allclose(second.cam_to_world, look(0.4, (1, 0, 0)), atol=1e-15)
        np.testing.assert_allclose(first.camera.intrinsics, [[40, 0, 31.5], [0, 42, 24], [0, 0, 1]])
        assert first.camera.size == SIZE
        assert first.read_color()[0, 0].tolist() == [50, 2, 1] and second.read_color()[0, 0].tolist() == [51, 2, 1]
        np.testing.assert_array_equal(scene.axis_alignment, np.eye(4))


def test_depth_shares_the_camera_at_its_own_size(write):
    frame = load_scene(write(INTRINSICS | {"depth_unit_scale_factor": 0.01})).frames[1]
    assert frame.depth_camera.size == (32, 24)
    np.testing.assert_allclose(frame.depth_camera.intrinsics, [[20, 0, 15.5], [0, 21, 11.75], [0, 0, 1]])
    np.testing.assert_allclose(frame.read_depth(), np.full((24, 32), 1.0))
    np.testing.assert_array_equal(frame.depth_cam_to_world, frame.cam_to_world)


def test_a_frame_overrides_what_all_share(write):
    camera = load_scene(write(frame={"fl_x": 77, "cx": 10.5})).frames[0].camera
    np.testing.assert_allclose(camera.intrinsics, [[77, 0, 10], [0, 42, 24], [0, 0, 1]])


def test_field_of_view_stands_in_for_focal_length_and_the_photo_for_its_size(write):
    folder = write({"camera_angle_x": np.pi / 2})
    camera = load_scene(folder).frames[0].camera
    assert camera.size == SIZE
    np.testing.assert_allclose(camera.intrinsics, [[32, 0, 31.5], [0, 32, 23.5], [0, 0, 1]])


def test_names_without_suffix_as_blender_writes_them(write):
    folder = write({"camera_angle_x": 1.0}, names=("train/r_0.png", "train/r_1.png"))
    text = (folder / "transforms.json").read_text().replace('r_0.png"', 'r_0"').replace('r_1.png"', 'r_1"')
    (folder / "transforms.json").write_text(text)
    assert [frame.read_color()[0, 0, 0] for frame in load_scene(folder).frames] == [50, 51]


@pytest.mark.parametrize("names", [("a/1.png", "b/1.png"), ("left.png", "2.png")])
def test_numbers_that_do_not_tell_frames_apart_give_positions(write, names):
    assert [frame.id for frame in load_scene(write(names=names)).frames] == [0, 1]


def test_photos_may_lie_above_the_folder_if_that_is_allowed_and_some_may_be_gone(write):
    folder = write(names=("../photos/0.png", "../photos/1.png", "../photos/2.png"))
    os.remove(folder / "../photos/1.png")
    assert [frame.id for frame in load_scene(folder, allow_outside=True).frames] == [0, 2]
    with pytest.raises(InputError, match=r"photos/0\.png: leads out of .* add --allow-outside"):
        load_scene(folder)


def test_photos_smaller_than_said_scale_the_camera(write):
    folder = write({"fl_x": 80.0, "cx": 64.0, "cy": 48.0, "w": 128, "h": 96})
    camera = load_scene(folder).frames[0].camera
    assert camera.size == SIZE
    np.testing.assert_allclose(camera.intrinsics, [[40, 0, 31.5], [0, 40, 23.5], [0, 0, 1]])


def test_distortion_is_kept_for_reading_and_undone_then(write):
    folder = write(INTRINSICS | {"k1": 0.1, "p2": 0.01, "camera_model": "OPENCV"})
    frame = load_scene(folder).frames[0]
    assert frame.color.distortion == (0.1, 0, 0, 0.01, 0)
    assert frame.read_color().shape == (48, 64, 3)
    assert load_scene(write(INTRINSICS | {"k1": 0.0})).frames[0].color.distortion is None


@pytest.mark.parametrize("model", ["PINHOLE", "SIMPLE_PINHOLE", "PERSPECTIVE", "SIMPLE_RADIAL", "RADIAL", "OPENCV"])
def test_pinholes_by_all_their_names(write, model):
    assert load_scene(write(frame={"camera_model": model})).frames[0].color.distortion is None


def test_poses_alone(write):
    folder = write()
    meta = json.loads((folder / "transforms.json").read_text())
    meta["frames"] = [{"transform_matrix": entry["transform_matrix"][:3]} for entry in meta["frames"]]
    (folder / "transforms.json").write_text(json.dumps(meta))
    scene = load_scene(folder)
    assert [frame.id for frame in scene.frames] == [0, 1] and scene.frames[0].color is None
    np.testing.assert_allclose(scene.frames[0].cam_to_world, look(0.0), atol=1e-15)


def test_lost_frames_are_listed(write):
    folder = write()
    meta = json.loads((folder / "transforms.json").read_text())
    meta["frames"][0]["transform_matrix"][0][0] = float("-inf")
    (folder / "transforms.json").write_text(json.dumps(meta))
    scene = load_scene(folder)
    assert [frame.id for frame in scene.frames] == [2] and scene.skipped == (5,)


def test_applied_transform_changes_nothing_since_poses_and_mesh_are_behind_it(write):
    applied = [[1, 0, 0, 0], [0, 0, 1, 0], [0, -1, 0, 0]]
    scene = load_scene(write(INTRINSICS | {"applied_transform": applied}))
    np.testing.assert_allclose(scene.frames[1].cam_to_world, look(0.0), atol=1e-15)
    np.testing.assert_array_equal(scene.mesh.vertices, ROOM_VERTICES)


def test_which_mesh(write):
    assert len(load_scene(write(mesh="only.ply")).mesh.faces) == 10
    folder = write(INTRINSICS | {"mesh": "scan/room.ply"}, mesh=None)
    (folder / "scan").mkdir()
    write_ply(folder / "scan" / "room.ply", faces=np.array([[0, 1, 2]]))
    assert len(load_scene(folder).mesh.faces) == 1
    # The sparse points that nerfstudio writes are no mesh: the one beside them is.
    folder = write(INTRINSICS | {"ply_file_path": "sparse_pc.ply"}, mesh=None, frame={"depth_file_path": None})
    write_ply(folder / "sparse_pc.ply", faces=np.zeros((0, 3), int))
    assert len(load_scene(folder).mesh.faces) == 10
    (folder / "only.ply").unlink()
    with pytest.raises(InputError, match="no mesh; put"):
        load_scene(folder)
    write_ply(folder / "sparse_pc.ply")
    assert len(load_scene(folder).mesh.faces) == 10


@pytest.mark.parametrize(
    ("meta", "frame", "message"),
    [
        ({"w": 64, "h": 48}, None, "frame 1: has no focal length"),
        (INTRINSICS | {"camera_model": "FISHEYE624"}, None, "'FISHEYE624' is not a pinhole"),
        (INTRINSICS | {"camera_model": "ORTHOPHOTO"}, None, "'ORTHOPHOTO' is not a pinhole"),
        (INTRINSICS | {"camera_model": "EQUIRECTANGULAR"}, None, "is not a pinhole; cut views out of the panoramas"),
        (INTRINSICS | {"latlong": True}, None, "the lens that latlong says is no pinhole; cut views out"),
        (INTRINSICS | {"ftheta_p0": 0.1}, None, "the lens that ftheta_p0 says is no pinhole; undistort"),
        (INTRINSICS, {"orthographic": True}, "the lens that orthographic says is no pinhole; undistort"),
        (INTRINSICS | {"is_fisheye": "perhaps"}, None, "frame 1: is_fisheye is not true or false"),
        (INTRINSICS, {"camera_model": ["EQUIRECTANGULAR"]}, "is not a pinhole"),
        (INTRINSICS | {"k4": 0.1}, None, "k4 is not supported"),
        (INTRINSICS | {"fl_x": "wide"}, None, "frame 1: fl_x is not a number"),
        (INTRINSICS | {"fl_x": -3}, None, "frame 1: intrinsic matrix is not"),
        (INTRINSICS | {"w": 0}, None, "w and h are not an image size"),
        (INTRINSICS | {"w": 48}, None, "images are 64x48, the intrinsics for 48x48, another shape"),
        (INTRINSICS, {"file_path": 7}, "frame 0: file_path is not a file name"),
        (INTRINSICS, {"file_path": "gone.png"}, r"none of its photos is there, such as gone\.png"),
        (INTRINSICS, {"transform_matrix": [[1, 2], [3, 4]]}, "frame 1: transform_matrix is not a 4x4 matrix"),
        (INTRINSICS, {"transform_matrix": "up"}, "frame 1: transform_matrix is not a 4x4 matrix"),
        (INTRINSICS, {"transform_matrix": np.diag([2, 2, 2, 1]).tolist()}, "transform_matrix is not a rigid"),
        (INTRINSICS, {"transform_matrix": np.full((4, 4), np.nan).tolist()}, "tracking was lost in all 2"),
        (INTRINSICS | {"mesh": "gone.ply"}, None, r"gone\.ply: cannot be read"),
    ],
)
def test_what_is_wrong_is_named_in_one_line(write, meta, frame, message):
    folder = write(meta, frame=frame)
    with pytest.raises(InputError, match=message) as caught:
        load_scene(folder)
    assert "capture" in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is not JSON"),
        ("[" * 100_000, "is JSON nested too deeply"),
        ("\xff\xfe", "is not JSON"),
        ("[]", 'has no list of "frames"'),
        ('{"frames": []}', 'has no list of "frames"'),
        ('{"frames": [3]}', 'has no list of "frames"'),
        ('{"frames": [{}], "w": 1e999}', "transform_matrix is not"),
    ],
)
def test_json_that_is_none(tmp_path, text, message):
    (tmp_path / "transforms.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError, match=message):
        load_scene(tmp_path)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"camera_model": [[]] * 3}, "camera model of list is not a pinhole"),
        ({"camera_angle_x": 60.0, "camera_angle_y": None, "fl_x": None, "fl_y": None}, "in radians"),
        ({"camera_angle_x": 5e-324, "camera_angle_y": 5e-324, "fl_x": None, "fl_y": None}, "has no focal length"),
        ({"mesh": "a" * 300 + ".ply"}, "mesh is not a file name"),
        ({"mesh": "\ud800.ply"}, "mesh is not a file name"),
        ({"mesh": "a\nb.ply"}, "mesh is not a file name"),
        ({"mesh": "a/" * 3000 + "b.ply"}, "mesh is not a file name"),
    ],
)
def test_values_that_are_odd_in_the_whole_file(write, change, says):
    folder = write(INTRINSICS | change)
    with pytest.raises(InputError, match=says) as caught:
        load_scene(folder)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"file_path": "a" * 300}, "file_path is not a file name"),
        ({"file_path": "\x1b[31m"}, "file_path is not a file name"),
    ],
)
def test_values_that_are_odd_in_a_frame(write, change, says):
    with pytest.raises(InputError, match=says) as caught:
        load_scene(write(frame=change))
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"depth_file_path": "a\nb.png"}, "depth_file_path is not a file name"),
        ({"depth_unit_scale_factor": 0}, "depth_unit_scale_factor 0 is no unit of depth"),
        ({"depth_unit_scale_factor": 1e300}, r"depth_unit_scale_factor 1e\+300 is no unit of depth"),
    ],
)
def test_odd_values_of_depth_matter_without_a_mesh_alone(write, change, says):
    folder = write(frame=change)
    with pytest.warns(InputWarning, match=says) as warned:
        assert not any(frame.depth for frame in load_scene(folder).frames)
    assert str(warned[0].message).isprintable()
    (folder / "mesh.ply").unlink()
    with pytest.raises(InputError, match=says) as caught:
        load_scene(folder)
    assert str(caught.value).isprintable()


def test_models_nested_deeper_than_python_can_print(write):
    folder = write()
    text = (folder / "transforms.json").read_text()
    (folder / "transforms.json").write_text('{"camera_model": ' + "[" * 900 + "]" * 900 + ", " + text[1:])
    with pytest.raises(InputError):
        load_scene(folder)


@pytest.mark.parametrize("says", [{"camera_model": "OPENCV_FISHEYE"}, {"is_fisheye": True, "camera_model": "OPENCV"}])
@pytest.mark.parametrize("where", ["file", "frame"])
def test_fisheyes_are_told_from_pinholes(write, says, where):
    """How they are straightened: test_scene_lens.py."""
    numbers = {"k1": 0.1, "k2": 0.2, "k3": 0.3, "k4": 0.4, "p1": 9.0}
    folder = write(INTRINSICS | numbers | says) if where == "file" else write(INTRINSICS | numbers, frame=says)
    for source in (load_scene(folder).frames[0].color, load_scene(folder).frames[0].depth):
        assert source.distortion == (0.1, 0.2, 0.3, 0.4) and source.fisheye
    plain = load_scene(write(INTRINSICS | says)).frames[0].color
    assert plain.distortion == (0, 0, 0, 0) and plain.fisheye
    assert not load_scene(write()).frames[0].color.fisheye


def test_depth_as_npy(write):
    folder = write(INTRINSICS | {"depth_unit_scale_factor": 0.5}, frame={"depth_file_path": "depth.npy"})
    np.save(folder / "depth.npy", np.full((24, 32), 3.0, np.float32))
    frame = load_scene(folder).frames[0]
    assert frame.depth_camera.size == (32, 24) and (frame.read_depth() == 1.5).all()


def test_depth_as_exr(write):
    folder = write(INTRINSICS | {"depth_unit_scale_factor": 1.0}, frame={"depth_file_path": "depth.exr"})
    (folder / "depth.exr").write_bytes(exr_bytes(np.full((24, 32), 3.0, np.float32)))
    frame = load_scene(folder).frames[0]
    assert frame.depth_camera.size == (32, 24) and (frame.read_depth() == 3).all()


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("d.exr", b"v/1\1 some exr", r"d\.exr: not a readable OpenEXR image"),
        ("d.npy", b"no array", r"d\.npy: not a \.npy file of one depth image"),
        ("d.png", b"no image", r"d\.png: not a readable image"),
        ("d.png", cv2.imencode(".png", np.zeros((24, 32), np.uint8))[1].tobytes(), "not a 16-bit depth image"),
        ("d.jpg", cv2.imencode(".jpg", np.zeros((24, 32), np.uint8))[1].tobytes(), "not a 16-bit depth image"),
    ],
)
def test_depth_that_cannot_be_read_is_left_out_beside_a_mesh(write, name, data, message):
    folder = write(frame={"depth_file_path": name})
    (folder / name).write_bytes(data)
    with pytest.warns(InputWarning, match=message + r".* \(goes on without depth images: there is a mesh\)$") as caught:
        scene = load_scene(folder)
    assert len(caught) == 1
    assert [frame.read_color()[0, 0].tolist() for frame in scene.frames] == [[51, 2, 1], [50, 2, 1]]
    assert not any(frame.depth for frame in scene.frames)
    (folder / "mesh.ply").unlink()
    with pytest.raises(InputError, match=message):
        load_scene(folder)


@pytest.mark.parametrize("where", ["file", "frame"])
def test_masks_hide_pixels_of_photos(write, where):
    """As in nerfstudio, what is not black counts; one mask may be for all."""
    named = {"mask_path": "sam/people"}  # suffixes may be left off, as of photos
    folder = write(INTRINSICS | named) if where == "file" else write(frame=named)
    mask = np.full(SIZE[::-1], 255, np.uint8)
    mask[:, : SIZE[0] // 3] = 0
    mask[0, 3:9] = 1
    (folder / "sam").mkdir()
    cv2.imwrite(str(folder / "sam" / "people.png"), mask)
    frames = load_scene(folder).frames
    assert len(frames) == 2 and all(np.array_equal(frame.read_mask(), mask > 0) for frame in frames)
    assert "mask" in repr(frames[0])


def test_masks_that_are_not_there(write):
    """What they are to hide must not be painted."""
    with pytest.raises(InputError, match=r"transforms\.json: none of its masks is there, such as a/b\.png") as error:
        load_scene(write(INTRINSICS | {"mask_path": "a/b.png"}))
    assert "\n" not in str(error.value)
    folder = write(INTRINSICS | {"mask_path": "there.png"})
    cv2.imwrite(str(folder / "there.png"), np.full((48, 64), 255, np.uint8))
    meta = json.loads((folder / "transforms.json").read_text())
    meta["frames"][0]["mask_path"] = "gone.png"
    (folder / "transforms.json").write_text(json.dumps(meta))
    with pytest.warns(InputWarning, match=r"1 of 2 frames with masks left out, .* mask gone\.png is not there"):
        scene = load_scene(folder)
    assert [frame.id for frame in scene.frames] == [2] and scene.without_photo == ()
    assert len(scene.damaged) == 1 and "frame 0: its mask gone.png is not there" in scene.damaged[0]
    assert scene.frames[0].read_mask() is None, "all of it counts"
    with pytest.raises(InputError, match="mask_path is not a file name"):
        load_scene(write(INTRINSICS | {"mask_path": ["x"]}))


def test_what_is_there_for_others_changes_nothing(write):
    """What nerfstudio and instant-ngp write besides, also where the files it names are gone."""
    plain = load_scene(write())
    more = {"applied_scale": 0.5, "orientation_override": "none", "aabb_scale": 16, "scale": 0.3, "offset": [1, 2, 3]}
    more |= {"train_filenames": ["a.png"], "up": [0, 1, 0], "ply_file_path": "gone.ply", "integer_depth_scale": 1}
    own = {"colmap_im_id": 3, "sharpness": 9.5, "normal_path": "gone.png", "time": 0.5, "depth_path": "gone.png"}
    scene = load_scene(write(INTRINSICS | more, frame=own))
    for a, b in zip(plain.frames, scene.frames, strict=True):
        np.testing.assert_array_equal(a.cam_to_world, b.cam_to_world)
        np.testing.assert_array_equal(a.camera.intrinsics, b.camera.intrinsics)
        np.testing.assert_array_equal(a.read_depth(), b.read_depth())
    np.testing.assert_array_equal(plain.mesh.vertices, scene.mesh.vertices)


def test_portraits_turn_as_their_tag_says_if_only_that_fits(write):
    from PIL import Image

    upright = np.random.default_rng(1).integers(0, 255, (4, 3, 3), np.uint8).repeat(16, 0).repeat(16, 1)
    folder = write(INTRINSICS | {"w": 48, "h": 64, "cx": 24.0, "cy": 32.0}, frame={"depth_file_path": None})
    exif = Image.Exif()
    for tag, turned in ((6, np.rot90(upright, 1)), (8, np.rot90(upright, -1)), (5, np.swapaxes(upright, 0, 1))):
        exif[0x0112] = tag
        for name in ("frame_00005.png", "frame_00002.png"):
            Image.fromarray(turned).save(folder / "images" / name, exif=exif)
        frame = load_scene(folder).frames[0]
        assert frame.camera.size == (48, 64)
        np.testing.assert_array_equal(frame.read_color(), upright)


def rewrite(folder, old: str, new: str) -> None:
    path = folder / "transforms.json"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_names_as_other_systems_write_them(write):
    folder = write(names=("images/a.png", "images/f.01.png", "images/C.PNG"), frame={"depth_file_path": None})
    rewrite(folder, '"images/a.png"', '".\\\\images\\\\a.png"')
    rewrite(folder, '"images/f.01.png"', '"./images/f.01"')
    rewrite(folder, '"images/C.PNG"', '"Images/c"')
    scene = load_scene(folder)
    assert [frame.read_color()[0, 0, 0] for frame in scene.frames] == [50, 51, 52] and scene.without_photo == ()


@pytest.mark.parametrize("shape", [(64, 48), (25, 32)])
def test_depth_of_another_shape_than_its_photo_is_left_out(write, shape):
    folder = write()
    for path in (folder / "images").glob("*.depth.png"):
        cv2.imwrite(str(path), np.full(shape, 1000, np.uint16))
    message = rf"depth is {shape[1]}x{shape[0]}, its photo 64x48, another shape"
    with pytest.warns(InputWarning, match=message + r".*goes on without depth images"):
        assert not any(frame.depth for frame in load_scene(folder).frames)
    (folder / "mesh.ply").unlink()
    with pytest.raises(InputError, match=message):
        load_scene(folder)


def test_photos_that_their_tag_turns_leave_unturned_depth_out(write):
    from PIL import Image

    folder = write(INTRINSICS | {"w": 48, "h": 64, "cx": 24.0, "cy": 32.0})
    exif = Image.Exif()
    exif[0x0112] = 6
    for path in (folder / "images").glob("frame_0000?.png"):
        Image.fromarray(np.zeros((48, 64, 3), np.uint8)).save(path, exif=exif)
    with pytest.warns(InputWarning, match="depth is 32x24, its photo 48x64, another shape"):
        scene = load_scene(folder)
    assert [(frame.camera.size, frame.depth) for frame in scene.frames] == [((48, 64), None)] * 2


@pytest.mark.parametrize("where", ["file", "frame"])
@pytest.mark.parametrize(
    ("lens", "message"),
    [
        ({"k4": 0.1}, "k4 is not supported"),
        ({"k5": 0.1}, "k5 is not supported"),
        ({"k6": -0.1}, "k6 is not supported"),
        ({"distortion_params": [0, 0, 0, 0.1, 0, 0]}, "k4 is not supported"),
        ({"distortion_params": [0.1, 0.1]}, "distortion_params is not the numbers k1 k2 k3 k4 p1 p2"),
        ({"distortion_params": "0.1"}, "distortion_params is not the numbers"),
        ({"distortion_params": [0.1, "b", 0, 0, 0, 0]}, "distortion_params is not the numbers"),
        ({"distortion_params": [0.1, float("nan"), 0, 0, 0, 0]}, "distortion_params: k2 is not a number"),
        ({"camera_model": "OPENCV_FISHEYE", "k5": 0.1}, "k5 is not supported"),
    ],
)
def test_lenses_that_are_not_read_are_refused(write, where, lens, message):
    with pytest.raises(InputError, match=message):
        load_scene(write(INTRINSICS | lens) if where == "file" else write(frame=lens))


@pytest.mark.parametrize("where", ["file", "frame"])
def test_coefficients_in_nerfstudios_order(write, where):
    """A list goes before single ones; zeros and null are none."""
    for lens, expected in (
        ({"distortion_params": [0.1, 0.2, 0.3, 0, 0.4, 0.5], "k1": 9.0}, (0.1, 0.2, 0.4, 0.5, 0.3)),
        ({"distortion_params": [0] * 6, "k1": 0.1}, None),
        ({"distortion_params": None, "k1": 0.1, "k5": 0, "k6": None}, (0.1, 0, 0, 0, 0)),
        ({"distortion_params": [0.1, 0.2, 0.3, 0.4, 0, 0], "is_fisheye": True}, (0.1, 0.2, 0.3, 0.4)),
    ):
        frame = load_scene(write(INTRINSICS | lens) if where == "file" else write(frame=lens)).frames[0]
        assert frame.color.distortion == frame.depth.distortion == expected


@pytest.mark.parametrize("unit", [0, -1, "millimetres", 1e9])
def test_units_of_depth_that_is_not_there_do_not_matter(write, unit):
    folder = write(INTRINSICS | {"depth_unit_scale_factor": unit}, frame={"depth_file_path": None})
    assert len(load_scene(folder).frames) == 2
    folder = write(INTRINSICS | {"depth_unit_scale_factor": unit})
    with pytest.warns(InputWarning, match=r"depth_unit_scale_factor .* \(goes on without depth images"):
        assert not any(frame.depth for frame in load_scene(folder).frames)


@pytest.mark.parametrize(
    "unneeded",
    [
        {"camera_angle_x": "wide", "camera_angle_y": float("nan")},
        {"mask_path": None},
        {"camera_model": None, "is_fisheye": None},
        {"mesh": "mesh.ply", "ply_file_path": 5},
        {"ply_file_path": "cloud.ply"},
    ],
)
@pytest.mark.filterwarnings("error")
def test_what_is_not_needed_stops_nothing(write, unneeded):
    folder = write(INTRINSICS | unneeded)
    (folder / "cloud.ply").write_bytes(b"damaged")
    assert len(load_scene(folder).frames) == 2
    if unneeded.get("ply_file_path") == "cloud.ply":
        (folder / "mesh.ply").unlink()
        with pytest.raises(InputError, match=r"cloud\.ply: not a PLY file"):
            load_scene(folder)


def test_null_falls_back_to_what_all_share(write):
    camera = load_scene(write(frame={"fl_x": None, "cx": None})).frames[0].camera
    np.testing.assert_allclose(camera.intrinsics, [[40, 0, 31.5], [0, 42, 24], [0, 0, 1]])


def test_depth_names_that_are_none_are_left_out(write):
    with pytest.warns(InputWarning, match="depth_file_path is not a file name"):
        assert not any(frame.depth for frame in load_scene(write(frame={"depth_file_path": 5})).frames)


@pytest.mark.parametrize(
    ("own", "focal"),
    [
        ({"camera_angle_x": np.pi / 2}, (32, 42)),
        ({"camera_angle_y": np.pi / 2}, (40, 24)),
        ({"x_fov": 90, "y_fov": 90}, (32, 24)),
        ({"fl_x": 50, "camera_angle_x": 1.0, "x_fov": 10}, (50, 42)),
        ({"camera_angle_x": None, "x_fov": None}, (40, 42)),
    ],
)
def test_a_frames_own_field_of_view_goes_before_the_files_focal_length(write, own, focal):
    camera = load_scene(write(frame=own)).frames[0].camera
    np.testing.assert_allclose(np.diag(camera.intrinsics)[:2], focal)


def test_instant_ngps_field_of_view_in_degrees(write):
    np.testing.assert_allclose(np.diag(load_scene(write({"x_fov": 90})).frames[0].camera.intrinsics)[:2], (32, 32))


def test_a_frames_own_coefficients_go_before_the_files_list(write):
    listed = {"distortion_params": [0.1, 0.2, 0.3, 0, 0.4, 0.5]}
    frame = load_scene(write(INTRINSICS | listed, frame={"k1": 0.9, "p2": 0})).frames[0]
    assert frame.color.distortion == (0.9, 0.2, 0.4, 0, 0.3)
    frame = load_scene(write(INTRINSICS | {"k1": 0.9, "k5": 0}, frame=listed)).frames[0]
    assert frame.color.distortion == (0.1, 0.2, 0.4, 0.5, 0.3)


def test_axes_of_mitsuba_are_refused(write):
    with pytest.raises(InputError, match=r"transforms\.json: poses in Mitsuba's axes \(from_mitsuba\) are not read"):
        load_scene(write(INTRINSICS | {"from_mitsuba": True}))
    assert load_scene(write(INTRINSICS | {"from_mitsuba": False})).frames


@pytest.mark.parametrize("key", ["fl_x", "w", "k1", "camera_angle_x"])
def test_true_is_no_number(write, key):
    with pytest.raises(InputError, match=rf"frame \d: {key} is not a number; fix it"):
        load_scene(write({"fl_y": 40} | {key: True}))


def test_a_fisheyes_rim_is_named(write):
    folder = write(INTRINSICS | {"camera_model": "OPENCV_FISHEYE", "fisheye_crop_radius": 20})
    with pytest.warns(InputWarning, match=r"transforms\.json: fisheye_crop_radius is not heeded"):
        load_scene(folder)


def test_shutters_and_normals_are_passed_over(write):
    plain = load_scene(write()).frames[0]
    more = {"rolling_shutter": [0, 0, 1, 0], "normal_file_path": "gone.png", "depth_path": "gone.png"}
    frame = load_scene(write(INTRINSICS | {"rolling_shutter": [0, 0, 1, 0]}, frame=more)).frames[0]
    np.testing.assert_array_equal(frame.cam_to_world, plain.cam_to_world)
    np.testing.assert_array_equal(frame.camera.intrinsics, plain.camera.intrinsics)
