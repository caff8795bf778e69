"""COLMAP's models, text and binary, beside a mesh."""

import struct

import numpy as np
import pytest
from exact_scans import MESH, POSES, SIZE, K, assert_photos_fit, photos, quaternion, write_image, write_mesh
from hypothesis import given
from hypothesis import strategies as st
from painted_box import smooth_color, texel_points
from PIL import Image
from scipy.spatial.transform import Rotation

from scenetex import InputError, bake, load_scene, render_views, unwrap
from scenetex.scene.colmap_model import ColmapCamera, pose_of

NAMES = ("hall/frame 0007.png", "hall/frame 0003.png", "hall/frame 0012.png", "hall/frame 0010.png")
ORDER = (1, 0, 3, 2)  # of the numbers in the names
# COLMAP's pixel centres lie at 0.5.
FX, FY, CX, CY = K[0, 0], K[1, 1], K[0, 2] + 0.5, K[1, 2] + 0.5
PINHOLE = ("PINHOLE", SIZE, (FX, FY, CX, CY))
MODELS = {"SIMPLE_PINHOLE": 0, "PINHOLE": 1, "SIMPLE_RADIAL": 2, "RADIAL": 3, "OPENCV": 4, "OPENCV_FISHEYE": 5}
MODELS |= {"FULL_OPENCV": 6, "FOV": 7, "SIMPLE_RADIAL_FISHEYE": 8, "RADIAL_FISHEYE": 9}
MODELS |= {"THIN_PRISM_FISHEYE": 10, "RAD_TAN_THIN_PRISM_FISHEYE": 11, "SIMPLE_DIVISION": 12, "DIVISION": 13}
MODELS |= {"SIMPLE_FISHEYE": 14, "FISHEYE": 15, "EUCM": 16, "EQUIRECTANGULAR": 17}


def world_to_camera(pose: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Quaternion (w x y z) and translation as COLMAP stores them."""
    inverse = np.linalg.inv(pose)
    return np.roll(quaternion(inverse[:3, :3]), 1), inverse[:3, 3]


def write_text(folder, cameras, images, points="0.5 0.5 -1 12.25 3.5 7"):
    """`cameras` by number; `images` of (name, camera, quaternion, translation). `points` None leaves the line out."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = [f"{i} {m} {w} {h} " + " ".join(f"{p:.17g}" for p in ps) for i, (m, (w, h), ps) in cameras.items()]
    (folder / "cameras.txt").write_text("# Camera list\n" + "\n".join(rows) + "\n")
    text = "# Image list with two lines of data per image:\n"
    for i, (name, camera, q, t) in enumerate(images, 1):
        text += f"{i} " + " ".join(f"{v:.17g}" for v in (*q, *t)) + f" {camera} {name}\n"
        text += "" if points is None else points + "\n"
    (folder / "images.txt").write_text(text)


def write_binary(folder, cameras, images):
    folder.mkdir(parents=True, exist_ok=True)
    out = struct.pack("<Q", len(cameras))
    for i, (model, size, ps) in cameras.items():
        out += struct.pack(f"<IiQQ{len(ps)}d", i, MODELS[model], *size, *ps)
    (folder / "cameras.bin").write_bytes(out)
    out = struct.pack("<Q", len(images))
    for i, (name, camera, q, t) in enumerate(images, 1):
        out += struct.pack("<I7dI", i, *q, *t, camera) + name.encode() + b"\0"
        out += struct.pack("<Q", 2) + struct.pack("<ddqddq", 1, 2, -1, 3, 4, 9)
    (folder / "images.bin").write_bytes(out)


def images(names=NAMES, poses=POSES, camera=7):
    return [(name, camera, *world_to_camera(pose)) for name, pose in zip(names, poses, strict=True)]


@pytest.fixture
def write(tmp_path):
    """Writer of a folder with a model at `place`, photos and the room's mesh."""

    def make(camera=PINHOLE, form=write_text, place="sparse/0", at="images", mesh="mesh.ply", **more):
        folder = tmp_path / "flat"
        for name, photo in zip(NAMES, photos(), strict=True):
            write_image(folder / at / name, photo)
        form(folder / place, {7: camera}, images(), **more)
        if mesh:
            write_mesh(folder / mesh)
        return folder

    return make


@pytest.mark.parametrize("form", [write_text, write_binary])
def test_exact_room(write, form):
    scene = load_scene(write(form=form))
    assert scene.name == "flat" and [frame.id for frame in scene.frames] == [3, 7, 10, 12]
    for frame, k in zip(scene.frames, ORDER, strict=True):
        np.testing.assert_allclose(frame.cam_to_world, POSES[k], atol=1e-12)
        np.testing.assert_allclose(frame.camera.intrinsics, K, atol=1e-12)
        assert frame.camera.size == SIZE and frame.depth is None
    assert_photos_fit(scene)


def test_photos_texture_the_room_right(tmp_path):
    from painted_box import photograph, walk_around

    poses = walk_around(12)
    names = [f"{i}.png" for i in range(12)]
    for name, photo in zip(names, photograph(MESH, poses, K, SIZE), strict=True):
        write_image(tmp_path / "images" / name, photo)
    write_binary(tmp_path / "sparse", {7: PINHOLE}, images(names, poses))
    write_mesh(tmp_path / "mesh.ply")
    scene = load_scene(tmp_path)
    views = render_views(scene, list(range(12)), size=SIZE)
    atlas = unwrap(scene.mesh, 128)
    textured = bake(scene.mesh, atlas, views, [scene.frame(i).read_color() for i in views.frame_ids])
    pixel, points = texel_points(textured.mesh, textured.atlas)
    seen = np.stack(textured.coverage).reshape(-1)[pixel]
    off = np.abs(np.stack(textured.textures).reshape(-1, 3)[pixel].astype(float) - smooth_color(points))[seen]
    assert seen.mean() > 0.95 and np.median(off) <= 2 and np.quantile(off, 0.99) < 8


finite = st.floats(-20, 20)
turns = st.tuples(finite, finite, finite)


@given(turns, turns, st.tuples(finite, finite, st.floats(0.1, 30)), st.floats(0.1, 5))
def test_a_point_lands_where_colmap_puts_it(turn, shift, point, length):
    """COLMAP's own equation, from world to its pixels, against ours."""
    rotation = Rotation.from_rotvec(turn)
    quaternion = length * np.roll(rotation.as_quat(), 1)
    in_camera = np.array(point)
    world = rotation.inv().apply(in_camera - shift)
    pixel = np.array([500.0, 510.0]) * in_camera[:2] / in_camera[2] + [320.25, 239.5]
    pose = pose_of(list(quaternion), list(shift))
    intrinsics, distortion = ColmapCamera("PINHOLE", (640, 480), (500.0, 510.0, 320.25, 239.5), "here").pinhole()
    ours = intrinsics @ (np.linalg.inv(pose) @ np.r_[world, 1])[:3]
    np.testing.assert_allclose(ours[:2] / ours[2] + 0.5, pixel, rtol=1e-9, atol=1e-6)
    assert distortion is None
    np.testing.assert_allclose(pose[:3, :3] @ pose[:3, :3].T, np.eye(3), atol=1e-12)


def test_a_known_corner_lands_on_its_pixel(write):
    scene = load_scene(write())
    corner = MESH.vertices[5]
    for frame, k in zip(scene.frames, ORDER, strict=True):
        truth = K @ (np.linalg.inv(POSES[k]) @ np.r_[corner, 1])[:3]
        ours = frame.camera.intrinsics @ (np.linalg.inv(frame.cam_to_world) @ np.r_[corner, 1])[:3]
        np.testing.assert_allclose(ours / ours[2], truth / truth[2], atol=1e-6)


@pytest.mark.parametrize(
    ("camera", "distortion"),
    [
        (("SIMPLE_PINHOLE", SIZE, (FX, CX, CY)), None),
        (("OPENCV_FISHEYE", SIZE, (FX, FY, CX, CY, 0.1, -0.02, 0.003, 0.004)), (0.1, -0.02, 0.003, 0.004)),
        (("OPENCV_FISHEYE", SIZE, (FX, FY, CX, CY, 0.0, 0.0, 0.0, 0.0)), (0.0, 0.0, 0.0, 0.0)),
        (("SIMPLE_RADIAL_FISHEYE", SIZE, (FX, CX, CY, 0.1)), (0.1, 0, 0, 0)),
        (("RADIAL_FISHEYE", SIZE, (FX, CX, CY, 0.1, -0.02)), (0.1, -0.02, 0, 0)),
        (("SIMPLE_FISHEYE", SIZE, (FX, CX, CY)), (0.0, 0.0, 0.0, 0.0)),
        (("FISHEYE", SIZE, (FX, FY, CX, CY)), (0.0, 0.0, 0.0, 0.0)),
        (("SIMPLE_RADIAL", SIZE, (FX, CX, CY, 0.0)), None),
        (("SIMPLE_RADIAL", SIZE, (FX, CX, CY, 0.1)), (0.1, 0, 0, 0)),
        (("RADIAL", SIZE, (FX, CX, CY, 0.1, -0.02)), (0.1, -0.02, 0, 0)),
        (("OPENCV", SIZE, (FX, FY, CX, CY, 0.1, -0.02, 0.003, 0.004)), (0.1, -0.02, 0.003, 0.004)),
        (
            ("FULL_OPENCV", SIZE, (FX, FY, CX, CY, 0.1, -0.02, 0.003, 0.004, 5, 6, 7, 8)),
            (0.1, -0.02, 0.003, 0.004, 5, 6, 7, 8),
        ),
    ],
)
@pytest.mark.parametrize("form", [write_text, write_binary])
def test_camera_models(write, camera, distortion, form):
    frame = load_scene(write(camera, form)).frames[0]
    np.testing.assert_allclose(frame.camera.intrinsics, K, atol=1e-12)
    assert frame.color.distortion == distortion
    assert frame.color.fisheye == ("FISHEYE" in camera[0])


@pytest.mark.parametrize("form", [write_text, write_binary])
@pytest.mark.parametrize(
    ("model", "count"),
    [
        ("FOV", 5),
        ("THIN_PRISM_FISHEYE", 12),
        ("RAD_TAN_THIN_PRISM_FISHEYE", 16),
        ("SIMPLE_DIVISION", 4),
        ("DIVISION", 5),
        ("EUCM", 6),
        ("EQUIRECTANGULAR", 2),
    ],
)
def test_models_that_are_not_read_are_named(write, model, count, form):
    with pytest.raises(InputError, match=f"camera model {model} is not supported; undistort the photos first"):
        load_scene(write((model, SIZE, (100.0,) * count), form))


def test_distortion_is_undone_as_colmap_has_it(write):
    """A photo taken through the lens, pixel by pixel by COLMAP's equation, becomes that of the pinhole."""
    import cv2

    folder = write(("OPENCV", SIZE, (FX, FY, CX, CY, -0.2, 0.05, 0.002, -0.003)))
    v, u = np.mgrid[: SIZE[1], : SIZE[0]].astype(float)
    want = np.stack([u, v], -1).reshape(-1, 2)
    # Where the pinhole's pixel lies in the distorted photo, and so from where each distorted pixel comes.
    plain = cv2.undistortPoints(want[:, None], K, np.array([-0.2, 0.05, 0.002, -0.003]), P=K)[:, 0]
    smooth = np.stack([60 + 0.8 * plain[:, 0], 40 + plain[:, 1], 200 - 0.6 * plain[:, 0]], 1)
    write_image(folder / "images" / NAMES[0], np.rint(np.clip(smooth, 0, 255)).astype(np.uint8).reshape(*u.shape, 3))
    got = load_scene(folder).frame(7).read_color().astype(float)
    expected = np.stack([60 + 0.8 * u, 40 + v, 200 - 0.6 * u], -1)
    inner = (slice(20, -20), slice(20, -20))
    assert np.abs(got - expected)[inner].max() < 1.2


def test_photos_smaller_than_the_model_says_scale_the_camera(write):
    camera = load_scene(write(("PINHOLE", (320, 240), (2 * FX, 2 * FY, 2 * CX, 2 * CY)))).frames[0].camera
    np.testing.assert_allclose(camera.intrinsics, K, atol=1e-12)


@pytest.mark.parametrize(
    ("place", "at"),
    [
        ("", "images"),
        ("", "."),
        ("sparse", "images"),
        ("sparse/0", "images"),
        ("dense/sparse", "dense/images"),
        ("colmap/sparse/0", "images"),
    ],
)
def test_places(write, place, at):
    assert_photos_fit(load_scene(write(place=place, at=at)))


def test_undistorted_photos_come_first(write):
    folder = write(("FOV", SIZE, (FX, FY, CX, CY, 0.5)))
    write(place="dense/sparse", at="dense/images")
    assert_photos_fit(load_scene(folder))


@pytest.mark.parametrize("points", ["", None, "1 2 -1"])
def test_lines_of_points(write, points):
    assert len(load_scene(write(points=points)).frames) == 4


def test_colmaps_cloud_of_points_is_not_the_mesh(write):
    from tiny_scan import write_ply

    folder = write(mesh="dense/meshed-poisson.ply", place="dense/sparse", at="dense/images")
    write_ply(folder / "dense" / "fused.ply", faces=np.zeros((0, 3), int))
    assert len(load_scene(folder).mesh.faces) == len(MESH.faces)


def test_photos_that_are_gone_and_poses_that_are_lost(write):
    folder = write()
    (folder / "images" / NAMES[0]).unlink()
    text = (folder / "sparse/0/images.txt").read_text().splitlines()
    row = text[3].split()
    text[3] = " ".join([row[0], "0", "0", "0", "0", *row[5:]])
    (folder / "sparse/0/images.txt").write_text("\n".join(text))
    scene = load_scene(folder)
    assert [frame.id for frame in scene.frames] == [10, 12] and scene.skipped == (3,)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda m: (m / "cameras.txt").write_text("1 PINHOLE 160"), r"cameras\.txt: line 1 is not 'id MODEL"),
        (lambda m: (m / "cameras.txt").write_text("7 PINHOLE 160 120 1 2 x 4"), "line 1 is not 'id MODEL"),
        (lambda m: (m / "cameras.txt").write_text("7 PINHOLE 160 120 1 2 3"), "PINHOLE has 3 parameters, not 4"),
        (lambda m: (m / "cameras.txt").write_text("7 PINHOLE 0 120 1 2 3 4"), "0x120 is not an image size"),
        (lambda m: (m / "cameras.txt").write_text("7 PINHOLE 160 120 -1 2 3 4"), "line 1: intrinsic matrix is not"),
        (lambda m: (m / "cameras.txt").write_text("7 PINHOLE 160 120 nan 2 3 4"), "line 1: intrinsic matrix is not"),
        (lambda m: (m / "cameras.txt").write_text("7 SIMPLE_RADIAL 160 120 9 2 3 inf"), "distortion is not finite"),
        (
            lambda m: (m / "cameras.txt").write_text("7 FOV 160 120 9 9 80 60 0.5"),
            r"cameras\.txt: line 1: camera model FOV is not supported; undistort the photos first \(colmap image_und",
        ),
        (lambda m: (m / "cameras.txt").write_text("7 NEW_LENS 160 120 9"), "camera model NEW_LENS is not supported"),
        (lambda m: (m / "cameras.txt").write_text("8 PINHOLE 160 120 9 9 80 60"), "line 2: its camera 7 is not in"),
        (
            lambda m: (m / "cameras.txt").write_text("7 PINHOLE 160 160 9 9 80 60"),
            "rotated by 90|another shape; use uncropped",
        ),
        (lambda m: (m / "images.txt").write_text("# none\n"), r"images\.txt: holds no image"),
        (lambda m: (m / "images.txt").write_text("1 1 0 0 0 0 0 0\n"), "line 1 is not 'id qw qx"),
        (lambda m: (m / "images.txt").write_text("1 a 0 0 0 0 0 0 7 b.png\n"), "line 1 is not 'id qw qx"),
        (lambda m: (m / "images.txt").write_text("1 1 0 0 0 0 0 0 7 b.png\n"), "none of the model's images is there"),
        (lambda m: (m / "images.txt").write_text("1 1 0 0 0 0 0 0 7 a\0b.png\n"), "line 1: .* is no file name"),
        (lambda m: (m / "images.txt").write_text(f"1 1 0 0 0 0 0 0 7 {'x' * 5000}\n"), "none of the model's images"),
        (lambda m: (m / "images.txt").write_bytes(b"\xff\xfe" * 40), r"images\.txt: line 1 is not"),
        (
            lambda m: (m / "images.txt").write_text("1 1 0 0 0 0 0 0 7 b.png\n\n2 1 0 0 0 0 0 0 7 b.png\n"),
            "line 3: b.png was there before",
        ),
        (
            lambda m: write_text(m, {7: PINHOLE}, [(name, 7, (0, 0, 0, 0), (0, 0, 0)) for name in NAMES]),
            "tracking was lost in all 4",
        ),
        (lambda m: write_text(m.parent / "1", {7: PINHOLE}, images()), "sparse: several models"),
    ],
)
def test_what_is_wrong_is_named_in_one_line(write, spoil, message):
    folder = write()
    spoil(folder / "sparse/0")
    with pytest.raises(InputError, match=message) as caught:
        load_scene(folder)
    assert "flat" in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["cameras.bin", "images.bin"])
def test_binary_files_cut_anywhere(write, name):
    path = write(form=write_binary) / "sparse/0" / name
    whole = path.read_bytes()
    for length in range(0, len(whole), 1 if len(whole) < 100 else 37):
        path.write_bytes(whole[:length])
        with pytest.raises(InputError, match=f"{name}.*cut short"):
            load_scene(path.parents[2])


@given(st.binary(max_size=200), st.sampled_from(["cameras.bin", "images.bin", "cameras.txt", "images.txt"]))
def test_noise_is_refused_in_one_line(tmp_path_factory, data, name):
    from scenetex.scene.colmap_model import read_model

    folder = tmp_path_factory.mktemp("noise")
    form = write_binary if name.endswith("bin") else write_text
    form(folder, {7: PINHOLE}, images())
    path = folder / name
    whole = path.read_bytes()
    for noise in (data, whole[:40] + data, whole[:-5] + data):
        path.write_bytes(noise)
        try:
            read_model(folder)
        except InputError as error:
            assert "\n" not in str(error)


def test_without_mesh(write):
    with pytest.raises(InputError, match="flat: no mesh; put"):
        load_scene(write(mesh=None))


def test_photos_that_their_tag_turns_to_the_models_size(write):
    folder, exif = write(), Image.Exif()
    exif[0x0112] = 6
    for name in NAMES:
        path = folder / "images" / name
        Image.fromarray(np.rot90(np.array(Image.open(path)), 1)).save(path, exif=exif)
    assert_photos_fit(load_scene(folder))


@pytest.mark.parametrize("form", [write_text, write_binary])
def test_rigs_and_points_are_passed_over(write, form):
    """As COLMAP writes them since 3.12."""
    folder = write(form=form)
    for name in ("rigs", "frames", "points3D"):
        for suffix in ("bin", "txt"):
            (folder / "sparse/0" / f"{name}.{suffix}").write_bytes(b"whatever stands there")
    assert_photos_fit(load_scene(folder))


def test_byte_order_marks_are_passed_over(write):
    folder = write()
    for name in ("cameras", "images"):
        path = folder / "sparse" / "0" / f"{name}.txt"
        path.write_text("\ufeff" + path.read_text().partition("\n")[2], encoding="utf-8")  # before the first number
    scene = load_scene(folder)
    assert [frame.id for frame in scene.frames] == [3, 7, 10, 12]
    assert_photos_fit(scene)


def test_names_as_other_systems_write_them(write):
    folder = write()
    path = folder / "sparse" / "0" / "images.txt"
    path.write_text(path.read_text().replace("hall/frame 0007.png", "hall\\frame 0007.PNG"))
    scene = load_scene(folder)
    assert [frame.id for frame in scene.frames] == [3, 7, 10, 12] and scene.without_photo == ()
    assert_photos_fit(scene)


def test_a_damaged_cloud_beside_the_mesh_stops_nothing(write):
    folder = write()
    for place in (folder, folder / "dense"):
        place.mkdir(exist_ok=True)
        (place / "fused.ply").write_bytes(b"damaged")
    assert len(load_scene(folder).frames) == 4
    (folder / "mesh.ply").rename(folder / "dense" / "meshed-poisson.ply")
    assert len(load_scene(folder).frames) == 4
    (folder / "dense" / "meshed-poisson.ply").unlink()
    with pytest.raises(InputError, match=r"fused\.ply: not a PLY file"):
        load_scene(folder)


def test_what_lies_beside_a_model_is_passed_over(write, recwarn):
    folder = write()
    for name in ("stereo/fusion.cfg", "database.db", "sparse/0/project.ini"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("none")
    assert len(load_scene(folder).frames) == 4 and not recwarn.list


def test_masks_as_colmap_names_them(write):
    """COLMAP's `masks/<photo>.png` keep what is not black, as for its own features (ImageReaderOptions.mask_path)."""
    folder = write()
    mask = np.ones(SIZE[::-1], np.uint8) * 255
    mask[:30] = 0
    for name in NAMES:
        path = folder / "masks" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(mask).save(path)
    assert all(np.array_equal(frame.read_mask(), mask > 0) for frame in load_scene(folder).frames)
