"""Each wrong geometry is found, alone, with its own cure; sound scans pass."""

import re
from dataclasses import replace

import cv2
import numpy as np
import pytest
from broken_scans import (
    BROKEN,
    SAMPLE,
    half,
    jumped,
    sample,
    with_faces,
    with_intrinsics,
    with_photos,
    with_poses,
    with_quaternions,
    with_vertices,
    without_depth,
)
from scipy.spatial.transform import Rotation
from synthetic_rooms import quick_room

import scenetex
from scenetex.checks import check_scene
from scenetex.scene.load import load_scene
from scenetex.scene.mesh import Mesh
from scenetex.scene.scene import Scene
from scenetex.synthetic.room import RoomSettings, make_room
from scenetex.synthetic.scan_writer import ScanSettings, write_scan


@pytest.mark.parametrize("name", BROKEN)
def test_each_wrong_geometry_is_found_with_its_cure(name):
    breaking, check, says = BROKEN[name]
    (finding,) = check_scene(breaking(sample())).findings
    assert finding.check == check
    assert re.search(says, finding.message), finding.message
    assert "\n" not in finding.message


def test_sound_scan_says_nothing():
    checks = check_scene(sample())
    assert checks.findings == ()
    assert checks.scene.mesh is sample().mesh
    figures = checks.figures
    assert figures["photo_agreement"] > 0.6 and figures["photo_error"] < 6
    assert figures["depth_ratio"] == pytest.approx(1, abs=0.01) and figures["depth_near"] > 0.95
    assert figures["photos_compared"] == 18 and figures["mesh_in_view"] > 0.95


@pytest.mark.parametrize(
    ("turned", "says"),
    [
        (lambda photo: photo[::-1, ::-1], "turned by 180 degrees"),
        (lambda photo: photo[:, ::-1], "mirrored, left to right; mirror them back"),
        (lambda photo: photo[::-1], "mirrored, top to bottom; mirror them back"),
    ],
)
def test_photos_that_were_turned_or_mirrored(tmp_path, turned, says):
    frames = []
    for frame in sample().frames:
        path = tmp_path / f"{frame.id}.jpg"
        cv2.imwrite(str(path), np.ascontiguousarray(turned(frame.read_color()[..., ::-1])))
        frames.append(replace(frame, color=replace(frame.color, path=path)))
    (finding,) = check_scene(replace(sample(), frames=tuple(frames))).findings
    assert finding.check == "fit" and f"the photos are {says}" in finding.message


@pytest.mark.parametrize(("k1", "kind"), [(-0.3, "barrel"), (0.2, "pincushion")])
def test_distortion_that_is_not_said_is_told_from_a_focal_length(tmp_path, k1, kind):
    camera = sample().frames[0].camera
    width, height = camera.size
    pixel = np.stack(np.meshgrid(np.arange(width), np.arange(height)), -1).reshape(-1, 1, 2).astype(np.float64)
    straight = cv2.undistortPoints(pixel, camera.intrinsics, np.array([k1, 0, 0, 0]), P=camera.intrinsics)
    u, v = np.moveaxis(straight.reshape(height, width, 2).astype(np.float32), 2, 0)
    frames = []
    for frame in sample().frames:
        path = tmp_path / f"{frame.id}.jpg"
        cv2.imwrite(str(path), cv2.remap(frame.read_color()[..., ::-1], u, v, cv2.INTER_LINEAR))
        frames.append(replace(frame, color=replace(frame.color, path=path)))
    (finding,) = check_scene(replace(sample(), frames=tuple(frames))).findings
    found = re.search(
        rf"the photos look distorted \({kind}, k1 about (-?[\d.]+)\); add the lens's coeff", finding.message
    )
    assert found and float(found[1]) == pytest.approx(k1, abs=0.06), finding.message


def test_quaternions_are_named_as_colmap_has_them(tmp_path):
    """Its file has world-to-camera quaternions, w first."""
    (tmp_path / "sparse" / "0").mkdir(parents=True)
    (tmp_path / "images").mkdir()
    for name in ("cameras", "images", "points3D"):
        (tmp_path / "sparse" / "0" / f"{name}.txt").touch()
    scene = with_quaternions(sample(), [1, 2, 3, 0], inverse=True)
    (finding,) = check_scene(replace(scene, path=tmp_path)).findings
    assert "the model's images file are written x y z w, COLMAP's are w x y z; move the last " in finding.message


def test_photos_in_an_order_that_no_name_tells(tmp_path):
    """Without depth; each photo under the name of the pose that it is at."""
    order = np.random.default_rng(8).permutation(len(sample().frames))
    frames = []
    for frame in with_photos(sample(), order).frames:
        path = tmp_path / f"{frame.id}.jpg"
        path.write_bytes(frame.color.path.read_bytes())
        frames.append(replace(frame, color=replace(frame.color, path=path)))
    (finding,) = check_scene(without_depth(replace(sample(), frames=tuple(frames)))).findings
    pairs = re.findall(r"what frame (\d+) has belongs to pose (\d+)", finding.message)
    ids = [frame.id for frame in sample().frames]
    assert len(pairs) == 3
    assert all(ids[order[ids.index(int(frame))]] == int(pose) for frame, pose in pairs)


def test_faces_are_not_accused_where_photos_disagree():
    wrong = with_poses(sample(), lambda p: p @ np.diag([-1.0, 1.0, -1.0, 1.0]))
    assert [f.check for f in check_scene(with_faces(wrong, half(wrong))).findings] == ["fit"]


def test_leaving_out_the_frames_of_a_jump_is_a_cure():
    scene = jumped(sample(), 9, 18)
    (finding,) = check_scene(scene).findings
    ids = re.search(r"--keyframes ([\d,]+)", finding.message)[1]
    cured = check_scene(scene, ids)
    assert cured.findings == () and cured.figures["photos_compared"] == 9
    assert len(cured.scene.frames) == len(scene.frames)
    with pytest.raises(scenetex.InputError, match="no frame 7"):
        check_scene(scene, "0,7")


def test_few_keyframes_of_a_wrong_scan_say_what_is_wrong():
    breaking, _, says = BROKEN["mesh in millimetres"]
    (finding,) = check_scene(breaking(sample()), "0,24").findings
    assert re.search(says, finding.message)


def test_photos_that_agree_less_than_those_of_sound_scans_are_told(shared_data):
    rng = np.random.default_rng(4)

    def loose(pose: np.ndarray) -> np.ndarray:
        out = noisy(pose, rng)
        out[:3, 3] += rng.normal(0, 0.02, 3)
        return out

    checks = check_scene(with_poses(load_scene(shared_data / "livingroom"), loose))
    (finding,) = checks.findings
    assert 0.3 < checks.figures["photo_agreement"] < 0.53
    assert re.match(r"photos agree less \(0\.[345]\d\) than those of sound scans", finding.message)


@pytest.fixture(scope="module")
def walked_room(tmp_path_factory) -> Scene:
    """A procedural room, without depth."""
    folder = tmp_path_factory.mktemp("scans") / "room"
    settings = ScanSettings(frames=24, color_size=(320, 240), depth_size=(160, 120), samples=2, exposure_jitter=0.25)
    write_scan(make_room(902, RoomSettings().coarse()), folder, settings)
    return without_depth(load_scene(folder))


def about_z(degrees: float) -> np.ndarray:
    return Rotation.from_rotvec([0, 0, degrees], degrees=True).as_matrix()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda v: v * [-1, 1, 1], "mesh is mirrored .* its x, y, z become -x, y, z$"),
        (lambda v: v[:, [0, 2, 1]], "mesh is mirrored .* its x, y, z become x, z, y$"),
        (lambda v: v @ about_z(15).T, "turned by about 1[45] degrees .* turn it by -1[45] degrees about z through "),
        (lambda v: v - v.mean(0), r"the mesh is centred \(its middle is the origin\)"),
    ],
)
def test_mirrored_turned_and_centred_meshes(walked_room, change, says):
    (finding,) = check_scene(with_vertices(walked_room, change)).findings
    assert finding.check == "fit" and re.search(says, finding.message), finding.message


def test_photos_of_another_moment_are_told_from_poses_that_depth_confirms():
    scene = sample()
    half_a_step = load_scene(SAMPLE).frames[1::2]
    frames = tuple(replace(f, color=g.color) for f, g in zip(scene.frames, half_a_step, strict=True))
    (finding,) = check_scene(replace(scene, frames=frames)).findings
    assert finding.message.startswith(
        "mesh, poses and sensor depth fit each other (100 % within a tenth), only the photos"
    )


@pytest.mark.parametrize("odd", [[7], [7, 8], [3, 12]])
def test_single_odd_frames_are_no_stretch(odd):
    scene = sample()
    for i in odd:
        scene = jumped(scene, i, i + 1)
    assert check_scene(scene).findings == ()


def test_mesh_axes_are_named_as_the_layout_has_them(tmp_path):
    """In a transforms.json belong OpenGL's cameras."""
    (tmp_path / "transforms.json").write_text("{}")
    breaking, _, _ = BROKEN["camera axes"]
    (finding,) = check_scene(replace(breaking(sample()), path=tmp_path)).findings
    assert "axes are OpenCV's (y down, z forward), in a transforms.json belong OpenGL's" in finding.message
    assert finding.message.endswith("of each transform_matrix")


def noisy(pose: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Off by a centimetre and a third of a degree along each axis, as tracking is."""
    out = pose.copy()
    out[:3, 3] += rng.normal(0, 0.01, 3)
    out[:3, :3] = out[:3, :3] @ Rotation.from_rotvec(rng.normal(0, 0.005, 3)).as_matrix()
    return out


@pytest.mark.parametrize("seed", [11, 12, 13])
def test_sound_procedural_scans_say_nothing(tmp_path, seed):
    """With uneven exposure, and as well with few frames, and with poses that miss a little."""
    settings = ScanSettings(frames=16, color_size=(160, 120), depth_size=(80, 60), samples=2, exposure_jitter=0.2)
    write_scan(quick_room(seed), tmp_path / "room", settings)
    scene = load_scene(tmp_path / "room")
    rng = np.random.default_rng(seed)
    few = replace(scene, frames=scene.frames[::4])
    for sound in (scene, few, replace(scene, frames=scene.frames[:1]), with_poses(scene, lambda p: noisy(p, rng))):
        assert check_scene(sound).findings == ()


@pytest.mark.parametrize("name", ["redkitchen", "livingroom"])
def test_real_scans_say_nothing(shared_data, name):
    assert check_scene(load_scene(shared_data / name)).findings == ()


@pytest.mark.parametrize(
    ("name", "start", "stop"), [("redkitchen", 5, 9), ("livingroom", 16, 24), ("livingroom", 30, 34)]
)
def test_short_runs_of_real_scans_say_nothing(shared_data, name, start, stop):
    """Photos of four or eight frames may agree better elsewhere, where less of them is compared."""
    scene = load_scene(shared_data / name)
    few = replace(scene, frames=scene.frames[start:stop])
    assert check_scene(few).findings == check_scene(without_depth(few)).findings == ()


def test_three_photos_that_disagree_are_too_few(tmp_path):
    settings = ScanSettings(frames=24, color_size=(320, 240), depth_size=(160, 120), samples=2, exposure_jitter=0.25)
    write_scan(make_room(901, RoomSettings().coarse()), tmp_path / "room", settings)
    scene = load_scene(tmp_path / "room")
    checks = check_scene(replace(scene, frames=tuple(scene.frames[i] for i in (10, 11, 13))))
    assert checks.findings == () and checks.figures["photo_agreement"] < 0.3


def one_thing(scene: Scene, radius: float) -> Scene:
    """The mesh within `radius`, metres, of what lies 1.6 m ahead of the middle frame."""
    pose = scene.frames[len(scene.frames) // 2].cam_to_world
    apart = np.linalg.norm(scene.mesh.vertices - (pose[:3, 3] + 1.6 * pose[:3, 2]), axis=1)
    near = np.linalg.norm(scene.mesh.vertices - scene.mesh.vertices[apart.argmin()], axis=1) < radius
    return replace(scene, mesh=replace(scene.mesh, faces=scene.mesh.faces[near[scene.mesh.faces].all(1)]))


@pytest.mark.parametrize("radius", [0.3, 0.5])
def test_mesh_of_one_thing_whose_depth_fits_says_nothing(radius):
    checks = check_scene(one_thing(load_scene(SAMPLE), radius))
    assert checks.findings == () and checks.figures["mesh_in_view"] < 0.02


def test_mesh_of_one_thing_that_all_cameras_face_says_nothing():
    """Without depth, and turned towards it."""
    thing = one_thing(sample(), 0.3)
    middle = thing.mesh.vertices[thing.mesh.faces].mean((0, 1))
    seen = tuple(replace(f, color=None, cam_to_world=facing(f.cam_to_world, middle)) for f in thing.frames)
    assert check_scene(without_depth(replace(thing, frames=seen))).findings == ()


def facing(pose: np.ndarray, point: np.ndarray) -> np.ndarray:
    ahead = point - pose[:3, 3]
    turn, _ = Rotation.align_vectors([ahead / np.linalg.norm(ahead)], [pose[:3, 2]])
    return np.r_[np.c_[turn.as_matrix() @ pose[:3, :3], pose[:3, 3]], [[0, 0, 0, 1]]]


def test_small_mesh_that_photos_agree_on_is_no_unit(shared_data):
    checks = check_scene(one_thing(load_scene(shared_data / "redkitchen"), 0.3))
    assert checks.findings == () and checks.figures["longest_side"] < 0.5


def test_figures_do_not_depend_on_exposure(monkeypatch):
    before = check_scene(sample()).figures
    read = scenetex.Frame.read_gray

    def darker(frame, shrink=1):
        grey = read(frame, shrink)
        return (grey * (0.6 if frame.id % 24 else 1.0)).astype(np.uint8)

    monkeypatch.setattr(scenetex.Frame, "read_gray", darker)
    after = check_scene(sample())
    assert after.findings == ()
    assert after.figures["photo_agreement"] == pytest.approx(before["photo_agreement"], abs=0.06)


def test_without_photos_geometry_alone_is_checked():
    bare = replace(sample(), frames=tuple(replace(f, color=None) for f in sample().frames))
    checks = check_scene(bare)
    assert checks.findings == () and checks.figures["photo_agreement"] is None
    large = replace(bare, mesh=replace(bare.mesh, vertices=1000 * bare.mesh.vertices))
    (finding,) = check_scene(large).findings
    assert finding.check == "size" and "--mesh-scale 0.001" in finding.message
    away = with_poses(bare, lambda p: p + np.array([[0, 0, 0, 100.0], [0] * 4, [0] * 4, [0] * 4]))
    (finding,) = check_scene(away).findings
    assert finding.check == "fit" and "hardly see the mesh" in finding.message


def test_photos_that_cannot_be_read_are_left_to_who_needs_them(tmp_path):
    scene = sample()
    broken = replace(scene.frames[3].color, path=tmp_path / "gone.jpg")
    frames = tuple(replace(f, color=broken) if i == 3 else f for i, f in enumerate(scene.frames))
    checks = check_scene(replace(scene, frames=frames))
    assert checks.findings == () and checks.figures["photos_compared"] == 17


def test_mesh_without_a_finite_face_is_left_to_what_comes_next():
    nothing = Mesh(np.full((3, 3), np.nan), np.array([[0, 1, 2]], np.int32))
    assert check_scene(Scene("room", nothing, sample().frames)).findings == ()


def test_a_cropped_photo_is_no_finding():
    assert check_scene(with_intrinsics(sample(), lambda k: k)).findings == ()


def test_strict_texturing_refuses_before_any_work():
    breaking, _, _ = BROKEN["faces all turned"]
    with pytest.raises(scenetex.InputError, match=r"--flip-faces.*\(--strict\)"):
        scenetex.texture_scene(breaking(sample()), strict=True)
