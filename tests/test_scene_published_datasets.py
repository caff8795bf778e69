"""Scenes of data sets through scenezoo: tiny ones, written in the layouts they are published in."""

import io
import json
import sys
import zipfile

import numpy as np
import pytest
from exact_scans import (
    K,
    assert_depth_fits,
    assert_photos_fit,
    depths,
    needed,
    photos,
    quaternion,
    write_image,
    write_mesh,
)
from painted_box import walk_around
from scipy.spatial.transform import Rotation

from scenetex import InputError, load_scene
from scenetex.scene.camera import Camera
from scenetex.scene.load import scene_name
from scenetex.scene.published_datasets import _depth_camera, zoo_spec

POSES = walk_around(3)
SIZE = 160, 120
# Where the sky is in a stored image, and how many quarters the device was rolled for it, clockwise as it sees itself.
ROLLED = {"Up": 0, "Left": 1, "Down": 2, "Right": 3}
UPRIGHT = np.array([0, -1.0, 0])


@pytest.fixture(scope="module")
def zoo():
    return needed("datasets", "scenezoo", "scenezoo.io.video", "open3d")


def rolled(poses: np.ndarray, sky: str) -> np.ndarray:
    """The upright cameras, rolled so that the sky is on that side: on the left, where x points down."""
    roll = np.eye(4)
    roll[:3, :3] = Rotation.from_rotvec([0, 0, np.pi / 2 * ROLLED[sky]]).as_matrix()
    return poses @ roll


def assert_upright(scene) -> None:
    """The cameras are those of the walk, which has the world's z up in the images."""
    for frame, pose in zip(scene.frames, POSES, strict=True):
        up = frame.cam_to_world[:3, :3].T @ [0, 0, 1]
        assert up @ UPRIGHT > 0.8
        np.testing.assert_allclose(frame.cam_to_world, pose, atol=1e-5)


def write_arkit(root, scene="41069021", sky="Up"):
    """ARKitScenes as its download tool leaves it: the small wide-angle images with depth of 256 x 192."""
    data = root / "raw" / "Training" / scene
    data.mkdir(parents=True)
    header = "video_id,visit_id,fold,sky_direction,has_laser_scanner_point_clouds,is_in_upsampling,is_in_threedod"
    (root / "raw" / "metadata.csv").write_text(f"{header}\n{scene},420000,Training,{sky},False,False,True\n")
    write_mesh(data / f"{scene}_3dod_mesh.ply")
    size, poses = (256, 192), rolled(POSES, sky)
    k = np.array([[211.5, 0, 127.3], [0, 212.25, 96.4], [0, 0, 1]])
    rows = []
    for i, (photo, depth, pose) in enumerate(zip(photos(k, poses, size), depths(k, poses, size), poses, strict=True)):
        stamp = f"{scene}_{1000 + 0.1 * i:.3f}"
        write_image(data / "lowres_wide" / f"{stamp}.png", photo)
        write_image(data / "lowres_depth" / f"{stamp}.png", np.rint(depth * 1000).astype(np.uint16))
        (data / "lowres_wide_intrinsics").mkdir(exist_ok=True)
        line = f"256 192 {k[0, 0]} {k[1, 1]} {k[0, 2]} {k[1, 2]}"
        (data / "lowres_wide_intrinsics" / f"{stamp}.pincam").write_text(line)
        inverse = np.linalg.inv(pose)
        rotation = Rotation.from_matrix(inverse[:3, :3]).as_rotvec()
        rows.append(" ".join(f"{v:.12f}" for v in (1000 + 0.1 * i, *rotation, *inverse[:3, 3])))
    (data / "lowres_wide.traj").write_text("\n".join(rows) + "\n")
    return data


@pytest.mark.parametrize("sky", ROLLED)
def test_arkitscenes(zoo, tmp_path, sky):
    write_arkit(tmp_path, sky=sky)
    scene = load_scene(f"arkitscenes:{tmp_path}#41069021")
    assert scene.name == "41069021" and [frame.id for frame in scene.frames] == [0, 1, 2]
    assert scene.frames[0].camera.size == ((192, 256) if ROLLED[sky] % 2 else (256, 192))
    assert_upright(scene)
    assert_photos_fit(scene)
    assert_depth_fits(scene, 0.001)


def write_3rscan(root, scene="0a4b8ef6-a83a-21f2-8672-dce34dd0d7ca"):
    """3RScan: a textured OBJ and `sequence.zip`; the phone is held upright, which lays its images on the side."""
    folder = root / "download" / scene
    folder.mkdir(parents=True)
    (root / "3RScan.json").write_text(json.dumps([{"reference": scene, "type": "train", "scans": []}]))
    write_mesh(folder / "labels.instances.annotated.v2.ply")
    poses, depth_size = rolled(POSES, "Left"), (56, 43)
    depth_k = np.array([[48.0, 0, 27.6], [0, 48.5, 21.2], [0, 0, 1]])

    def flat(matrix):
        full = np.eye(4)
        full[: len(matrix), : len(matrix)] = matrix
        return " ".join(str(v) for v in full.ravel())

    info = {
        "m_versionNumber": 4,
        "m_sensorName": "Tango",
        "m_colorWidth": SIZE[0],
        "m_colorHeight": SIZE[1],
        "m_depthWidth": depth_size[0],
        "m_depthHeight": depth_size[1],
        "m_depthShift": 1000,
        "m_calibrationColorIntrinsic": flat(K),
        "m_calibrationColorExtrinsic": flat(np.eye(4)),
        "m_calibrationDepthIntrinsic": flat(depth_k),
        "m_calibrationDepthExtrinsic": flat(np.eye(4)),
        "m_frames.size": len(poses),
    }
    with zipfile.ZipFile(folder / "sequence.zip", "w") as archive:
        archive.writestr("_info.txt", "".join(f"{key} = {value}\n" for key, value in info.items()))
        pictures = zip(photos(K, poses, SIZE), depths(depth_k, poses, depth_size), poses, strict=True)
        for i, (photo, depth, pose) in enumerate(pictures):
            text = io.StringIO()
            np.savetxt(text, pose, fmt="%.9f")
            archive.writestr(f"frame-{i:06d}.pose.txt", text.getvalue())
            write_image(root / "photo.png", photo)
            # Lossless, which its suffix does not tell.
            archive.write(root / "photo.png", f"frame-{i:06d}.color.jpg")
            millimetres = np.rint(depth * 1000).astype(">u2")
            head = f"P5\n{depth_size[0]} {depth_size[1]}\n65535\n".encode()
            archive.writestr(f"frame-{i:06d}.depth.pgm", head + millimetres.tobytes())
    return folder


def test_3rscan(zoo, tmp_path):
    folder = write_3rscan(tmp_path)
    scene = load_scene(f"threerscan:{tmp_path}#{folder.name}")
    assert scene.name == folder.name
    assert scene.frames[0].camera.size == (120, 160) and scene.frames[0].depth_camera.size == (43, 56)
    assert_upright(scene)
    assert_photos_fit(scene)
    assert_depth_fits(scene, 0.001)


def write_scannetpp(root, scene="0a5c013435"):
    """ScanNet++: the undistorted DSLR photos, whose intrinsics are COLMAP's with pixel centres at 0.5."""
    data = root / "data" / scene
    write_mesh(data / "scans" / "mesh_aligned_0.05.ply")
    colmap, names = data / "dslr" / "colmap", [f"DSC{i:05d}.JPG" for i in range(3)]
    colmap.mkdir(parents=True)
    (colmap / "cameras.txt").write_text("1 OPENCV_FISHEYE 176 120 90 90 88 60 0.1 0 0 0\n")
    text = ""
    for i, (name, photo, pose) in enumerate(zip(names, photos(K, POSES, SIZE), POSES, strict=True)):
        write_image(data / "dslr" / "resized_undistorted_images" / name, photo)
        inverse = np.linalg.inv(pose)
        x, y, z, w = quaternion(inverse[:3, :3])
        numbers = " ".join(f"{v:.15g}" for v in (w, x, y, z, *inverse[:3, 3]))
        text += f"{i + 1} {numbers} 1 {name}\n\n"
    (colmap / "images.txt").write_text(text)
    meta = {"fl_x": K[0, 0], "fl_y": K[1, 1], "cx": K[0, 2] + 0.5, "cy": K[1, 2] + 0.5, "w": SIZE[0], "h": SIZE[1]}
    meta |= {"frames": [{"file_path": name} for name in names[:2]], "test_frames": [{"file_path": names[2]}]}
    (data / "dslr" / "nerfstudio").mkdir()
    for name in ("transforms.json", "transforms_undistorted.json"):
        (data / "dslr" / "nerfstudio" / name).write_text(json.dumps(meta))
    return data


@pytest.mark.parametrize("camera", ["", "@dslr_undistorted"])
def test_scannetpp_has_colmaps_pixels(zoo, tmp_path, camera):
    write_scannetpp(tmp_path)
    scene = load_scene(f"scannetpp:{tmp_path}#0a5c013435{camera}")
    for frame, pose in zip(scene.frames, POSES, strict=True):
        np.testing.assert_allclose(frame.cam_to_world, pose, atol=1e-5)
        np.testing.assert_allclose(frame.camera.intrinsics, K, atol=1e-5)
        assert frame.depth is None
        with pytest.raises(InputError, match="has no depth image"):
            frame.read_depth()
    assert_photos_fit(scene)


@pytest.mark.parametrize("how", ["a name", "a photo", "a later photo", "the mesh", "the folder", "an id"])
def test_a_data_set_is_read_inside_its_folder(zoo, tmp_path, how):
    """Names in its files, and links, lead nowhere else, whoever opens what they name."""
    root, scene = tmp_path / "data", "0a5c013435"
    data = write_scannetpp(root)
    pictures, mesh = data / "dslr" / "resized_undistorted_images", data / "scans" / "mesh_aligned_0.05.ply"
    moved = {"a photo": pictures / "DSC00000.JPG", "a later photo": pictures / "DSC00002.JPG", "the mesh": mesh}
    if how in ("the folder", "an id"):
        moved[how] = data
    elif how == "a name":
        moved[how] = pictures / "DSC00000.JPG"
        for file in (data / "dslr").rglob("*.[tj][xs]*"):
            file.write_text(file.read_text().replace("DSC00000.JPG", "../../../../../away/DSC00000.JPG"))
    away = tmp_path / "away" / moved[how].name
    away.parent.mkdir()
    moved[how].rename(away)
    if how == "an id":
        scene = "../../away/" + scene
    elif how != "a name":
        moved[how].symlink_to(away)
    with pytest.raises(InputError, match="leads out of the folder"):
        load_scene(f"scannetpp:{root}#{scene}")
    if how != "an id":
        found = load_scene(f"scannetpp:{root}#{scene}", allow_outside=True)
        assert [frame.read_color().shape for frame in found.frames] == [(120, 160, 3)] * 3


def test_a_photo_that_leads_out_later(zoo, tmp_path):
    data = write_scannetpp(tmp_path / "data")
    scene = load_scene(f"scannetpp:{tmp_path / 'data'}#0a5c013435")
    photo = data / "dslr" / "resized_undistorted_images" / "DSC00001.JPG"
    photo.rename(tmp_path / "photo.jpg")
    photo.symlink_to(tmp_path / "photo.jpg")
    with pytest.raises(InputError, match="leads out of the folder"):
        scene.frames[1].read_color()


def test_a_scene_of_a_data_set_goes_all_the_way(zoo, tmp_path, capsys):
    """By its name on the command line, twice: the second time the result is there."""
    from scenetex.cli.main import main

    root = tmp_path / "data"
    write_scannetpp(root)
    listed = tmp_path / "scenes.txt"
    listed.write_text(f"# one of them\nscannetpp:{root}#0a5c013435   # the first\n")
    command = ["texture", "--list", str(listed), "--output", str(tmp_path / "out"), "--texture-size", "64", "--quiet"]
    assert main(command) == 0
    assert (tmp_path / "out" / "0a5c013435" / "textured.glb").is_file()
    assert main(command) == 0
    assert "already there" in capsys.readouterr().out


def test_looks_and_alignment(zoo, tmp_path):
    write_scannetpp(tmp_path)
    frame = load_scene(f"scannetpp:{tmp_path}#0a5c013435", align=True).frames[1]
    gray = frame.read_gray(2)
    assert gray.shape == (60, 80) and gray.dtype == np.uint8
    assert abs(float(gray.mean()) - frame.read_color().mean()) < 12


def test_paths_are_no_data_sets(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "scannetpp:here#1").mkdir()
    for path in ("scannetpp:here#1", "scenes/room", "C:\\scans\\room", "/data/a:b#c", "a#b"):
        assert zoo_spec(path) is None
    spec = zoo_spec("scannet++:/data/x y#0a@dslr")
    assert (spec.dataset, str(spec.root), spec.scene, spec.camera) == ("scannet++", "/data/x y", "0a", "dslr")
    assert scene_name("scannet++:/data#0a@dslr") == "0a"
    assert scene_name("3rscan:data#..") == scene_name("3rscan:data") == "scene"


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("narnia:{root}#1", "no data set is called 'narnia'; there are 3dfront, 3rscan, arkitscenes, ase"),
        ("scenenn:{root}#1", "scenenn has no camera frames, and cannot be textured"),
        ("ase:{root}#1", "ase has no mesh, and cannot be textured"),
        ("arkitscenes:{root}/gone#1", "gone: no such folder; give the one arkitscenes was downloaded to"),
        ("arkitscenes:{root}", "names no scene; give arkitscenes:.*#ID; there are 41069021"),
        ("arkitscenes:{root}#", "names no scene"),
        ("arkitscenes:{root}#42", "arkitscenes has no scene '42'; there are 41069021"),
        ("arkitscenes:{root}#41069021@dslr", "has no camera 'dslr'; there are mov, lowres_wide, wide"),
        ("arkitscenes:{root}#41069021@ultrawide", "scenezoo cannot read it: .*'ultrawide' was not downloaded"),
        ("scannetpp:{root}#none", r"scenezoo cannot read it: Mesh file does not exist: .*mesh_aligned_0\.05\.ply"),
        ("scannetpp:{root}#0a5c013435@dslr", "camera dslr is OPENCV_FISHEYE, not a pinhole; use another"),
        ("scannetpp:{root}#0a5c013435@panocam", "scenezoo cannot read it"),
    ],
)
def test_what_is_wrong_is_named_in_one_line(zoo, tmp_path, path, message):
    write_arkit(tmp_path)
    data = write_scannetpp(tmp_path)
    for i in range(3):
        photo = data / "dslr" / "resized_undistorted_images" / f"DSC{i:05d}.JPG"
        (data / "dslr" / "resized_images").mkdir(exist_ok=True)
        photo.rename(data / "dslr" / "resized_images" / photo.name)
    with pytest.raises(InputError, match=message) as caught:
        load_scene(path.format(root=tmp_path))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda f: (f / "41069021_3dod_mesh.ply").write_bytes(b"no"), "does not contain a non-empty triangle mesh"),
        (lambda f: (f / "lowres_wide.traj").write_text("1 2 3"), "Invalid ARKitScenes trajectory row"),
        (lambda f: (f / "lowres_wide.traj").write_text(""), "camera lowres_wide has no frame with a pose"),
        (lambda f: [p.write_bytes(b"no") for p in (f / "lowres_wide").iterdir()], "cannot read it"),
    ],
)
def test_damaged_downloads(zoo, tmp_path, spoil, message):
    spoil(write_arkit(tmp_path))
    with pytest.raises(InputError, match=message) as caught:
        load_scene(f"arkitscenes:{tmp_path}#41069021@lowres_wide")
    assert "\n" not in str(caught.value)


def test_a_photo_that_goes_or_changes_later(zoo, tmp_path):
    folder = write_arkit(tmp_path)
    frame = load_scene(f"arkitscenes:{tmp_path}#41069021").frames[1]
    (path,) = (folder / "lowres_wide").glob("*_1000.100.png")
    write_image(path, np.zeros((48, 64, 3), np.uint8))
    with pytest.raises(InputError, match="frame 1: image is 64x48, that of the first frame 256x192"):
        frame.read_color()
    path.write_bytes(b"no")
    with pytest.raises(InputError, match="frame 1: scenezoo cannot read it: Cannot decode image"):
        frame.read_color()


@pytest.mark.parametrize(
    ("stand_in", "message"),
    [
        (None, r"no such file or folder; data sets need scenezoo: pip install -c constraints"),
        ("import not_there", "scenezoo does not load .*not_there"),
    ],
)
def test_without_scenezoo_the_cure_is_named(tmp_path, monkeypatch, stand_in, message):
    if stand_in is None:
        monkeypatch.setitem(sys.modules, "scenezoo", None)
    else:
        monkeypatch.delitem(sys.modules, "scenezoo", raising=False)
        (tmp_path / "scenezoo.py").write_text(stand_in)
        monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(InputError, match=message):
        load_scene(f"arkitscenes:{tmp_path}#1")


def test_depth_of_another_shape_keeps_its_own_camera():
    """The photos' camera, moved by half a pixel, stands for depth that sees the same alone."""
    photo, own = Camera(np.array([[40.0, 0, 31.5], [0, 42, 23.5], [0, 0, 1]]), 64, 48), 20 * np.eye(3)
    own[2, 2] = 1
    same, turned = np.zeros((24, 32)), np.zeros((32, 24))
    np.testing.assert_array_equal(_depth_camera(photo, same, own, 0.5).intrinsics, photo.resized((32, 24)).intrinsics)
    for depth, half in ((same, 0.0), (turned, 0.5), (turned, 0.0)):
        camera = _depth_camera(photo, depth, own, half)
        assert camera.size == depth.shape[::-1]
        np.testing.assert_array_equal(camera.intrinsics, own)
    assert _depth_camera(photo, turned, None, 0.5) is None
