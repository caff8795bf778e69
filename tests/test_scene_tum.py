"""TUM RGB-D folders: time stamps, poses between poses, calibration."""

import shutil

import numpy as np
import pytest
from exact_scans import (
    POSES,
    K,
    assert_depth_fits,
    assert_photos_fit,
    depths,
    photos,
    quaternion,
    write_image,
    write_mesh,
)
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from scenetex import InputError, load_scene
from scenetex.errors import InputWarning
from scenetex.scene.tum import Trajectory, nearest, read_trajectory

START = 1305031102.175304  # seconds since 1970, as in TUM's own recordings
TIMES = START + 0.1 * np.arange(4)


def row(time: float, pose: np.ndarray) -> str:
    values = " ".join(f"{v:.17g}" for v in (*pose[:3, 3], *quaternion(pose[:3, :3])))
    return f"{time:.6f} {values}\n"


def write_list(folder, kind, times, names):
    lines = [f"{time:.6f} {name}\n" for time, name in zip(times, names, strict=True)]
    (folder / f"{kind}.txt").write_text(f"# {kind} images\n# timestamp filename\n" + "".join(lines))


@pytest.fixture
def folder(tmp_path):
    """The exact room: depth images 10 ms after their photos, poses at both times."""
    out = tmp_path / "desk"
    out.mkdir()
    for kind, pictures in (("rgb", photos()), ("depth", np.rint(depths() * 5000).astype(np.uint16))):
        names = [f"{kind}/{i}.png" for i in range(4)]
        for name, picture in zip(names, pictures, strict=True):
            write_image(out / name, picture)
        write_list(out, kind, TIMES + 0.01 * (kind == "depth"), names)
    rows = [row(time + later, pose) for later in (0, 0.01) for time, pose in zip(TIMES, POSES, strict=True)]
    (out / "groundtruth.txt").write_text("# ground truth trajectory\n" + "".join(rows))
    (out / "calibration.txt").write_text(f"{K[0, 0]} {K[1, 1]} {K[0, 2]} {K[1, 2]}\n")
    write_mesh(out / "mesh.ply")
    return out


def test_exact_room(folder):
    scene = load_scene(folder)
    assert scene.name == "desk" and [frame.id for frame in scene.frames] == [0, 1, 2, 3] and scene.skipped == ()
    for frame, pose in zip(scene.frames, POSES, strict=True):
        np.testing.assert_allclose(frame.cam_to_world, pose, atol=1e-12)
        np.testing.assert_allclose(frame.depth_cam_to_world, pose, atol=1e-12)
        np.testing.assert_allclose(frame.camera.intrinsics, K, atol=1e-12)
    assert_photos_fit(scene)
    assert_depth_fits(scene, 1 / 5000)


@pytest.mark.parametrize(("apart", "found"), [(0.0199, True), (0.02, True), (0.0201, False)])
def test_twenty_milliseconds(folder, apart, found):
    write_list(folder, "depth", TIMES + apart, [f"depth/{i}.png" for i in range(4)])
    rows = [row(time + k * apart, pose) for k in (-1, 1) for time, pose in zip(TIMES, POSES, strict=True)]
    (folder / "groundtruth.txt").write_text("".join(rows))
    if not found:
        with pytest.raises(InputError, match=r"groundtruth\.txt: no pose within 20 ms of an image"):
            load_scene(folder)
        return
    scene = load_scene(folder)
    assert all(frame.depth for frame in scene.frames)
    np.testing.assert_allclose(scene.frames[2].cam_to_world, POSES[2], atol=1e-9)


def test_photos_without_pose_are_listed_and_depth_without_photo_is_left(folder):
    rows = [row(time, pose) for time, pose in zip(TIMES[:3], POSES, strict=False)]
    (folder / "groundtruth.txt").write_text("".join(rows[:2]) + rows[2].replace(rows[2].split()[1], "nan"))
    (folder / "depth" / "1.png").unlink()
    scene = load_scene(folder)
    assert [frame.id for frame in scene.frames] == [0, 1] and scene.skipped == (2, 3)
    assert scene.frames[0].depth is not None and scene.frames[1].depth is None


def test_lists_in_any_order_with_commas(folder):
    text = (folder / "rgb.txt").read_text().splitlines()
    (folder / "rgb.txt").write_text("\r\n".join([text[0], *reversed(text[1:])]).replace(" rgb/", ",rgb/"))
    assert_photos_fit(load_scene(folder))


def test_depth_alone_and_photos_alone(folder):
    text = (folder / "rgb.txt").read_text()
    (folder / "rgb.txt").unlink()
    scene = load_scene(folder)
    assert scene.frames[0].color is None and len(scene.frames) == 4
    assert_depth_fits(scene, 1 / 5000)
    (folder / "rgb.txt").write_text(text)
    (folder / "depth.txt").unlink()
    assert load_scene(folder).frames[0].depth is None


def test_depth_of_another_size_has_the_same_view(folder):
    for i, depth in enumerate(depths(load_scene(folder).frames[0].camera.resized((80, 60)).intrinsics, size=(80, 60))):
        write_image(folder / "depth" / f"{i}.png", np.rint(depth * 5000).astype(np.uint16))
    scene = load_scene(folder)
    assert scene.frames[0].depth_camera.size == (80, 60)
    assert_depth_fits(scene, 1 / 5000)


@pytest.mark.parametrize(
    ("text", "distortion"),
    [
        ("{fx} {fy} {cx} {cy} 0.1 0.2 0.3 0.4", (0.1, 0.2, 0.3, 0.4)),
        ("{fx} {fy} {cx} {cy} 0.1 0.2 0.3 0.4 0.5", (0.1, 0.2, 0.3, 0.4, 0.5)),
        ("{fx} {fy} {cx} {cy} 0 0 0 0 0", None),
        ("{fx} 0 {cx}\n0 {fy} {cy}\n0 0 1", None),
        ("{fx} 0 {cx} 0\n0 {fy} {cy} 0\n0 0 1 0\n0 0 0 1", None),
    ],
)
def test_calibrations(folder, text, distortion):
    text = text.format(fx=K[0, 0], fy=K[1, 1], cx=K[0, 2], cy=K[1, 2])
    (folder / "calibration.txt").write_text(text)
    frame = load_scene(folder).frames[0]
    np.testing.assert_allclose(frame.camera.intrinsics, K)
    assert frame.color.distortion == frame.depth.distortion == distortion


def test_tums_own_recordings_are_calibrated(folder):
    (folder / "calibration.txt").unlink()
    with pytest.raises(InputError, match=r"calibration\.txt: missing; write the camera's fx fy cx cy there"):
        load_scene(folder)
    renamed = folder.rename(folder.parent / "rgbd_dataset_freiburg2_xyz")
    frame = load_scene(renamed).frames[0]
    # Published for 640 x 480; these images are a quarter of that.
    np.testing.assert_allclose(frame.camera.intrinsics[0], [520.9 / 4, 0, 325.6 / 4 - 0.5])
    assert frame.color.distortion == (0.2312, -0.7849, -0.0033, -0.0001, 0.9172)


coordinate = st.floats(-50, 50)
vector = st.tuples(coordinate, coordinate, coordinate)


@given(vector, vector, vector, st.floats(0.01, 3), st.floats(0, 1), st.sampled_from([0.0, START]))
def test_steady_motion_is_followed_between_poses(start, speed, turn, angle, share, clock):
    """A camera that moves and turns evenly is met exactly at any time between two poses."""
    assume(np.linalg.norm(turn) > 0.1)
    axis = np.array(turn) / np.linalg.norm(turn)
    times = clock + np.array([0, 0.02])
    places = np.array([start, np.add(start, 0.02 * np.array(speed))])
    turns = Rotation.from_rotvec([0 * axis, angle * axis])
    when = clock + share * 0.02
    expected = Rotation.from_rotvec(angle * (when - times[0]) / (times[1] - times[0]) * axis).as_matrix()
    pose = Trajectory(times, places, turns.as_quat()).at(np.array([when]))[0]
    np.testing.assert_allclose(pose[:3, :3], expected, atol=1e-6)
    shift = (when - times[0]) / (times[1] - times[0]) * (places[1] - places[0])
    np.testing.assert_allclose(pose[:3, 3], places[0] + shift, atol=1e-6)
    np.testing.assert_array_equal(pose[3], [0, 0, 0, 1])


@given(st.lists(st.integers(0, 400), min_size=1, unique=True), st.lists(st.integers(-50, 450), min_size=1, max_size=20))
def test_association_against_the_definition(have, want):
    """In milliseconds: the nearest one, if it is within 20."""
    have, want = np.sort(have), np.array(want)
    apart = np.abs(have[None] - want[:, None])
    found = nearest(have / 1000, want / 1000)
    for k, i in enumerate(found):
        assert (i == -1 and apart[k].min() > 20) or (apart[k, i] == apart[k].min() <= 20)
    poses = Trajectory(have / 1000, np.stack([have, have, have], 1), np.tile([0, 0, 0, 1.0], (len(have), 1)))
    got = poses.at(want / 1000)
    assert (np.isfinite(got).all((1, 2)) == (apart.min(1) <= 20)).all()
    for k, pose in enumerate(got):
        before, after = have[have <= want[k]], have[have >= want[k]]
        between = len(before) and len(after) and want[k] - before[-1] <= 20 and after[0] - want[k] <= 20
        if np.isfinite(pose).all():
            assert pose[0, 3] == pytest.approx(want[k] if between else have[apart[k].argmin()], abs=1e-6)


@given(vector, vector)
def test_rows_are_camera_to_world(tmp_path_factory, place, turn):
    path = tmp_path_factory.mktemp("t") / "groundtruth.txt"
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = Rotation.from_rotvec(turn).as_matrix(), place
    path.write_text(row(5.0, pose))
    np.testing.assert_allclose(read_trajectory(path).at(np.array([5.0]))[0], pose, atol=1e-9)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda f: (f / "groundtruth.txt").write_text("1 2 3"), r"groundtruth\.txt: line 1 is not 'time tx ty tz"),
        (lambda f: (f / "groundtruth.txt").write_text("# a\n1 2 3 4 5 6 7 x"), r"groundtruth\.txt: line 2 is not"),
        (lambda f: (f / "groundtruth.txt").write_text("1 2 3 4 5 6 7 8"), "line 1 has no unit quaternion"),
        (lambda f: (f / "groundtruth.txt").write_text("1 1e300 3 4 0 0 0 1"), "line 1 is out of range"),
        (lambda f: (f / "groundtruth.txt").write_text("1305031102175304000 2 3 4 0 0 0 1"), "time is in seconds"),
        (lambda f: (f / "groundtruth.txt").write_text("1 2 3 4 0 0 0 0"), "holds no pose"),
        (lambda f: (f / "groundtruth.txt").write_text("# nothing"), "holds no pose"),
        (lambda f: (f / "groundtruth.txt").write_text("1 2 3 4 0 0 0 1"), "all lists must go by one clock"),
        (lambda f: (f / "groundtruth.txt").write_bytes(b"\0" * 9), "not a list of lines"),
        (lambda f: (f / "rgb.txt").write_text("# nothing"), r"rgb\.txt: lists no image"),
        (lambda f: (f / "rgb.txt").write_text("now rgb/0.png"), r"rgb\.txt: line 1 is not 'time file'"),
        (lambda f: (f / "rgb.txt").write_text("17"), r"rgb\.txt: line 1 is not 'time file'"),
        (lambda f: (f / "rgb.txt").write_text(f"17 {'x' * 5000}"), "none of its images is there"),
        (lambda f: shutil.rmtree(f / "rgb"), "none of its images is there, such as .*rgb/0.png"),
        (lambda f: (f / "rgb" / "0.png").write_bytes(b"no"), r"rgb/0\.png: not a readable image"),
        (lambda f: (f / "calibration.txt").write_text("1 2 3"), r"calibration\.txt: not fx fy cx cy"),
        (lambda f: (f / "calibration.txt").write_text("481.2 -480 319.5 239.5"), r"calibration\.txt: intrinsic matrix"),
        (lambda f: (f / "calibration.txt").write_text("1 1 3 4 0 0 0 nan"), "lens distortion is not finite"),
    ],
)
def test_what_is_wrong_is_named_in_one_line(folder, spoil, message):
    spoil(folder)
    with pytest.raises(InputError, match=message) as caught:
        load_scene(folder)
    assert "desk" in str(caught.value) and "\n" not in str(caught.value)


@given(st.binary(max_size=300))
def test_noise_is_refused_in_one_line(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("noise") / "groundtruth.txt"
    for noise in (data, b"1 2 3 4 0 0 0 1\n" + data):
        path.write_bytes(noise)
        try:
            read_trajectory(path)
        except InputError as error:
            assert "\n" not in str(error)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda f: shutil.rmtree(f / "depth"), r"depth\.txt: none of its images is there"),
        (lambda f: (f / "depth.txt").write_text("now depth/0.png"), r"depth\.txt: line 1 is not 'time file'"),
        (lambda f: (f / "depth" / "0.png").write_bytes(b"no"), r"depth/0\.png: not a readable image"),
    ],
)
def test_depth_that_cannot_be_read_is_left_out_beside_a_mesh(folder, spoil, message):
    spoil(folder)
    with pytest.warns(InputWarning, match=message + r".* \(goes on without depth images: there is a mesh\)$"):
        scene = load_scene(folder)
    assert [frame.depth for frame in scene.frames] == [None] * 4
    assert_photos_fit(scene)
    (folder / "mesh.ply").unlink()
    with pytest.raises(InputError, match=message):
        load_scene(folder)


def test_byte_order_marks_are_passed_over(folder):
    plain = load_scene(folder)
    for name in ("groundtruth", "rgb", "depth", "calibration"):
        path = folder / f"{name}.txt"
        text = "".join(line for line in path.read_text().splitlines(keepends=True) if line[0] != "#")
        path.write_text("\ufeff" + text, encoding="utf-8")  # directly before the first number
    scene = load_scene(folder)
    assert [frame.id for frame in scene.frames] == [0, 1, 2, 3] and all(frame.depth for frame in scene.frames)
    for a, b in zip(plain.frames, scene.frames, strict=True):
        np.testing.assert_array_equal(a.cam_to_world, b.cam_to_world)
    assert_photos_fit(scene)


def test_depth_of_another_shape_than_its_photo_is_left_out(folder):
    for i, depth in enumerate(depths()):
        write_image(folder / "depth" / f"{i}.png", np.rint(depth.T * 5000).astype(np.uint16))
    message = r"depth/0\.png: depth is 120x160, its photo 160x120, another shape"
    with pytest.warns(InputWarning, match=message + ".*goes on without depth images"):
        scene = load_scene(folder)
    assert [frame.depth for frame in scene.frames] == [None] * 4
    (folder / "mesh.ply").unlink()
    with pytest.raises(InputError, match=message):
        load_scene(folder)


def test_lists_of_other_systems(folder):
    text = (folder / "rgb.txt").read_text()
    (folder / "rgb.txt").write_text(text.replace("rgb/", ".\\RGB\\").replace(".png", ".PNG"))
    scene = load_scene(folder)
    assert scene.without_photo == () and len(scene.frames) == 4
    assert_photos_fit(scene)
    (folder / "rgb.txt").write_text(text.replace("rgb/3", "/gone/3"))
    assert load_scene(folder).without_photo == ("/gone/3.png",)


def test_pairs_and_second_poses_at_one_time_are_passed_over(folder):
    plain = load_scene(folder).frames
    (folder / "associations.txt").write_text("0.0 rgb/gone.png 0.0 depth/gone.png\n")
    path = folder / "groundtruth.txt"
    rows = [line for line in path.read_text().splitlines() if line and line[0] != "#"]
    again = [" ".join([row.split()[0], "9 9 9 0 0 0 1"]) for row in rows]
    path.write_text("\n".join(rows + again) + "\n")
    for a, b in zip(plain, load_scene(folder).frames, strict=True):
        np.testing.assert_array_equal(a.cam_to_world, b.cam_to_world)
