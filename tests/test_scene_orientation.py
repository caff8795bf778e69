"""Orientation tags against intrinsics as displayed and as stored, alike in every layout that names photos."""

import json

import numpy as np
import pytest
from exact_scans import MESH, POSES, SIZE, K, assert_photos_fit, photos, write_image, write_mesh
from hypothesis import given
from hypothesis import strategies as st
from phone_scans import write_polycam, write_record3d, write_scanner_app
from PIL import Image
from test_scene_colmap import PINHOLE, images, write_text
from test_scene_tum import START, row, write_list

from scenetex import InputError, load_scene
from scenetex.errors import InputWarning
from scenetex.scene.orientation import TURNS, is_calibrated_turned

# What a photo that is shown upright is stored as, by its tag.
STORED = {tag: TURNS[{6: 8, 8: 6}.get(tag, tag)] for tag in TURNS}


def scannet(folder, info=""):
    for i, (pose, photo) in enumerate(zip(POSES, photos(), strict=True)):
        write_image(folder / "color" / f"{i}.png", photo)
        (folder / "pose").mkdir(exist_ok=True)
        np.savetxt(folder / "pose" / f"{i}.txt", pose)
    (folder / "intrinsic").mkdir()
    np.savetxt(folder / "intrinsic" / "intrinsic_color.txt", K)
    (folder / f"{folder.name}.txt").write_text(info)
    write_mesh(folder / "mesh.ply")


def scannet_with_sizes(folder):
    scannet(folder, f"colorWidth = {SIZE[0]}\ncolorHeight = {SIZE[1]}\n")


def nerfstudio(folder, **more):
    frames = []
    for i, (pose, photo) in enumerate(zip(POSES, photos(), strict=True)):
        write_image(folder / "images" / f"{i}.png", photo)
        frames.append({"file_path": f"images/{i}.png", "transform_matrix": (pose @ np.diag([1, -1, -1, 1])).tolist()})
    own = {"fl_x": K[0, 0], "fl_y": K[1, 1], "cx": K[0, 2] + 0.5, "cy": K[1, 2] + 0.5}
    (folder / "transforms.json").write_text(json.dumps({**own, **more, "frames": frames}))
    write_mesh(folder / "mesh.ply")


def nerfstudio_with_sizes(folder):
    nerfstudio(folder, w=SIZE[0], h=SIZE[1])


def colmap(folder):
    names = [f"{i}.png" for i in range(len(POSES))]
    for name, photo in zip(names, photos(), strict=True):
        write_image(folder / "images" / name, photo)
    write_text(folder / "sparse/0", {7: PINHOLE}, images(names))
    write_mesh(folder / "mesh.ply")


def tum(folder):
    for i, photo in enumerate(photos()):
        write_image(folder / f"rgb/{i}.png", photo)
    times = START + 0.1 * np.arange(len(POSES))
    write_list(folder, "rgb", times, [f"rgb/{i}.png" for i in range(len(POSES))])
    (folder / "groundtruth.txt").write_text("".join(map(row, times, POSES)))
    (folder / "calibration.txt").write_text(f"{K[0, 0]} {K[1, 1]} {K[0, 2]} {K[1, 2]}\n")
    write_mesh(folder / "mesh.ply")


def polycam(folder):
    write_polycam(folder, POSES, K, photos(), MESH)


def record3d(folder):
    write_record3d(folder, POSES, K, photos(), MESH)


def scanner_app(folder):
    write_scanner_app(folder, POSES, K, photos(), MESH)


LAYOUTS = [scannet, scannet_with_sizes, nerfstudio, nerfstudio_with_sizes, colmap, tum, polycam, record3d, scanner_app]


def stored_as(folder, tag: int, change) -> None:
    """Every photo of a layout stored as `change` does it, with a tag."""
    exif = Image.Exif()
    exif[0x0112] = tag
    for path in sorted(folder.rglob("*")):
        if path.suffix in (".png", ".jpg") and "thumb" not in path.name and path.stat().st_size:
            with Image.open(path) as image:
                pixels = np.asarray(image)
            Image.fromarray(np.ascontiguousarray(change(pixels))).save(path, "PNG", exif=exif)


@pytest.fixture
def folder(tmp_path):
    out = tmp_path / "hall"
    out.mkdir()
    return out


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("tag", [5, 6, 7, 8])
def test_intrinsics_as_displayed(folder, layout, tag, recwarn):
    layout(folder)
    stored_as(folder, tag, STORED[tag])
    assert_photos_fit(load_scene(folder, align=True))
    assert not recwarn.list


@pytest.mark.parametrize("layout", LAYOUTS)
def test_intrinsics_as_stored(folder, layout, recwarn):
    layout(folder)
    stored_as(folder, 6, lambda image: image)
    assert_photos_fit(load_scene(folder, align=True))
    assert not recwarn.list


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("tag", [2, 3, 4])
def test_what_sizes_do_not_tell_is_taken_as_stored_and_said_once(folder, layout, tag):
    layout(folder)
    stored_as(folder, tag, lambda image: image)
    with pytest.warns(InputWarning, match="has an orientation tag .* taken to be of its pixels as stored") as caught:
        scene = load_scene(folder, align=True)
    assert len(caught) == 1
    assert_photos_fit(scene)


@pytest.mark.parametrize("layout", [scannet_with_sizes, nerfstudio_with_sizes, colmap])
def test_photos_that_are_rotated_without_a_tag_are_refused(folder, layout):
    layout(folder)
    stored_as(folder, 1, np.rot90)
    with pytest.raises(InputError, match="rotated by 90 degrees, and no orientation tag"):
        load_scene(folder)


def test_photos_of_one_camera_held_in_two_ways(folder):
    """Each photo by its own tag, also where the first is upright."""
    colmap(folder)
    for i, tag in enumerate((1, 6, 8, 1)):
        path = folder / "images" / f"{i}.png"
        exif = Image.Exif()
        exif[0x0112] = tag
        with Image.open(path) as image:
            pixels = np.asarray(image)
        Image.fromarray(np.ascontiguousarray(STORED[tag](pixels) if tag > 1 else pixels)).save(path, exif=exif)
    assert_photos_fit(load_scene(folder, align=True))


def test_square_photos_are_taken_as_stored_and_said(folder):
    exif = Image.Exif()
    exif[0x0112] = 6
    frames = [{"file_path": "0.png", "transform_matrix": np.eye(4).tolist()}]
    (folder / "transforms.json").write_text(json.dumps({"w": 64, "h": 64, "fl_x": 50, "frames": frames}))
    square = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    Image.fromarray(square).save(folder / "0.png", exif=exif)
    write_mesh(folder / "mesh.ply")
    with pytest.warns(InputWarning, match="turns it by a quarter, and is square") as caught:
        scene = load_scene(folder)
    assert len(caught) == 1
    np.testing.assert_array_equal(scene.frames[0].read_color(), square)


@given(
    st.integers(100, 8000),
    st.sampled_from([4 / 3, 3 / 2, 16 / 9, 5 / 4, 1.9]),
    st.floats(0.02, 5),
    st.tuples(st.floats(-0.01, 0.01), st.floats(-0.01, 0.01)),
)
def test_intrinsics_tell_their_photo(width, ratio, scale, off):
    """By a size of any scale, or a principal point off the middle by a hundredth of the sides."""
    size = width, round(width / ratio)
    side = max(100, round(size[0] * scale))
    like = side, round(side * size[1] / size[0])
    centre = (size[0] * (0.5 + off[0]) - 0.5, size[1] * (0.5 + off[1]) - 0.5)
    assert not is_calibrated_turned(size, like, None) and is_calibrated_turned(size, like[::-1], None)
    assert not is_calibrated_turned(size, None, centre) and is_calibrated_turned(size, None, centre[::-1])
    assert not is_calibrated_turned(size, None, None)
