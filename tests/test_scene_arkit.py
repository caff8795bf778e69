"""What scans by phone have in common: they texture as well as the same scan in ScanNet's layout, and stand upright."""

import numpy as np
import pytest
from exact_scans import MESH, SIZE, K, write_image, write_mesh
from painted_box import photograph, smooth_color, texel_points, walk_around
from phone_scans import phone_vertices, write_polycam, write_record3d, write_scanner_app

from scenetex import bake, load_scene, render_views, unwrap
from scenetex.errors import InputError
from scenetex.scene.arkit import numbers, read_record
from scenetex.scene.mesh_file import read_mesh

POSES = walk_around(12)
WRITERS = {"polycam": write_polycam, "record3d": write_record3d, "3D Scanner App": write_scanner_app}


def write_scannet(folder, poses, k, photos, mesh):
    for part in ("pose", "intrinsic"):
        (folder / part).mkdir(parents=True)
    for i, (pose, photo) in enumerate(zip(poses, photos, strict=True)):
        np.savetxt(folder / "pose" / f"{i}.txt", pose, fmt="%.17g")
        write_image(folder / "color" / f"{i}.jpg", photo)
    np.savetxt(folder / "intrinsic" / "intrinsic_color.txt", k)
    write_mesh(folder / "mesh.ply")
    return folder


def textured(scene):
    ids = [frame.id for frame in scene.frames]
    views = render_views(scene, ids, size=SIZE)
    photos = [scene.frame(i).read_color() for i in views.frame_ids]
    return bake(scene.mesh, unwrap(scene.mesh, 128), views, photos)


def errors(scene) -> tuple[np.ndarray, float]:
    """Differences from the true colours where a photo saw, and the part of the texels that one saw."""
    room = textured(scene)
    pixel, points = texel_points(room.mesh, room.atlas)
    seen = np.stack(room.coverage).reshape(-1)[pixel]
    colours = np.stack(room.textures).reshape(-1, 3)[pixel].astype(float)
    return np.abs(colours - smooth_color(points))[seen], seen.mean()


@pytest.fixture(scope="module")
def taken():
    return photograph(MESH, POSES, K, SIZE)


@pytest.fixture(scope="module")
def as_scannet(taken, tmp_path_factory):
    return errors(load_scene(write_scannet(tmp_path_factory.mktemp("scannet") / "hall", POSES, K, taken, MESH)))


@pytest.mark.parametrize("app", WRITERS)
def test_the_texture_is_as_good_as_from_scannets_layout(app, taken, as_scannet, tmp_path):
    off, seen = errors(load_scene(WRITERS[app](tmp_path / "hall", POSES, K, taken, MESH), align=True))
    want, want_seen = as_scannet
    assert seen > 0.95 and abs(seen - want_seen) < 0.001
    assert np.median(off) <= 2 and np.quantile(off, 0.99) < 8
    assert abs(off.mean() - want.mean()) < 0.05


@pytest.mark.parametrize("app", WRITERS)
def test_the_glb_stands_upright_in_the_phones_own_coordinates(app, taken, tmp_path):
    scene = load_scene(WRITERS[app](tmp_path / "hall", POSES, K, taken, MESH))
    textured(scene).export(tmp_path / "room.glb")
    found, want = read_mesh(tmp_path / "room.glb").vertices, phone_vertices(MESH.vertices)
    nearest = np.linalg.norm(found[:, None] - want[None], axis=2)
    assert nearest.min(1).max() < 1e-5 and nearest.min(0).max() < 1e-5


@pytest.mark.parametrize("value", [None, 1, "12", [1], [1, "2"], [1, None], [1, True], [[1, 2]], {"0": 1, "1": 2}])
def test_what_is_no_list_of_numbers(value):
    with pytest.raises(InputError, match="here: pose is not 2 numbers; export the scan again"):
        numbers(value, 2, "here: pose")
    np.testing.assert_array_equal(numbers([1, 2.5], 2, "here"), [1, 2.5])


@pytest.mark.parametrize(
    ("data", "message"),
    [(b"", "is not JSON"), (b"\xff\xfe\x00", "is not JSON"), (b"[]", "holds no JSON object"), (b"[" * 999, "nested")],
)
def test_what_is_no_record(tmp_path, data, message):
    (tmp_path / "a.json").write_bytes(data)
    with pytest.raises(InputError, match=rf"a\.json: .*{message}"):
        read_record(tmp_path / "a.json")
    with pytest.raises(InputError, match=r"gone\.json: cannot be read"):
        read_record(tmp_path / "gone.json")
