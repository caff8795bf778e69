"""Meshes fused from depth images; with Open3D where it is there."""

import json
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import trimesh
from exact_scans import MESH, depths, needed, write_image
from painted_box import HIGH, LOW, pinhole, walk_around
from tiny_scan import write_extracted

from scenetex import InputError, load_scene
from scenetex.errors import InputWarning
from scenetex.scene import tsdf_fusion
from scenetex.scene.camera import Camera
from scenetex.scene.frame import Frame, ImageSource
from scenetex.scene.mesh_file import read_mesh
from scenetex.scene.tsdf_fusion import VOXEL, fuse
from scenetex.synthetic import RoomSettings, make_room

SIZE = 160, 120
POSES = walk_around(14)


@pytest.fixture(scope="module")
def open3d():
    return needed("fusion", "open3d")


def frames_in(folder, k, size=SIZE, poses=POSES) -> list[Frame]:
    """Frames with exact depth of the painted box, to 0.1 mm."""
    camera, out = Camera(k, *size), []
    for i, depth in enumerate(depths(k, poses, size)):
        write_image(folder / f"{i}.png", np.rint(depth * 1e4).astype(np.uint16))
        source = ImageSource(folder / f"{i}.png", depth_unit=1e-4)
        out.append(Frame(i, poses[i], camera, None, source, camera, poses[i]))
    return out


def distance_to_box(points: np.ndarray) -> np.ndarray:
    """(n,) metres from the walls of the painted box, for points near them."""
    inside = np.minimum(points - LOW, HIGH - points).min(1)
    outside = np.linalg.norm(np.maximum(0, np.maximum(LOW - points, points - HIGH)), axis=1)
    return np.where(inside >= 0, inside, outside)


def test_the_painted_box(open3d, tmp_path):
    frames = frames_in(tmp_path, pinhole(SIZE))
    mesh = fuse(frames, "box", voxel=0.04)
    assert distance_to_box(mesh.vertices).max() < 2 * 0.04
    assert np.quantile(distance_to_box(mesh.vertices), 0.9) < 0.25 * 0.04
    # Fronts look at the cameras, and all of the room that is seen often is there.
    inwards = ((mesh.vertices.mean(0) - mesh.triangles.mean(1)) * mesh.face_normals).sum(1)
    assert (inwards * mesh.face_areas)[inwards > 0].sum() > 50 * -(inwards * mesh.face_areas)[inwards < 0].sum()
    assert mesh.face_areas.sum() == pytest.approx(MESH.face_areas.sum(), rel=0.25)
    # Threads do not show, and a speck does.
    again = fuse(frames, "box", voxel=0.04)
    np.testing.assert_array_equal(mesh.vertices, again.vertices)
    np.testing.assert_array_equal(mesh.faces, again.faces)


def test_a_slanted_wall_is_where_depth_says(open3d, tmp_path):
    """To a twentieth of a voxel on average, where half a pixel beside would be nearly half of one."""
    camera, pose = Camera(np.array([[130, 0, 79.5], [0, 130, 59.5], [0, 0, 1.0]]), *SIZE), POSES[1]
    normal, away = np.array([0.6, 0.3, 1.0]) / np.linalg.norm([0.6, 0.3, 1.0]), 2.0
    v, u = np.mgrid[: SIZE[1], : SIZE[0]]
    rays = np.stack([(u - 79.5) / 130, (v - 59.5) / 130, np.ones(u.shape)], -1)
    write_image(tmp_path / "0.png", np.rint(away / (rays @ normal) * 1e4).astype(np.uint16))
    mesh = fuse([Frame(0, pose, camera, None, ImageSource(tmp_path / "0.png", depth_unit=1e-4), camera, pose)], "wall")
    in_camera = (mesh.vertices - pose[:3, 3]) @ pose[:3, :3]
    assert len(mesh.faces) > 5000 and abs((in_camera @ normal - away).mean()) < 0.05 * VOXEL


def test_a_scan_without_its_mesh(open3d, tmp_path):
    """The sample room, as if it had been recorded without a mesh, against its true surface."""
    folder = tmp_path / "room"
    shutil.copytree(Path(__file__).parents[1] / "scenes" / "sample_room", folder)
    for pose in (folder / "pose").iterdir():
        if int(pose.stem) % 48:  # a quarter of the frames will do
            pose.unlink()
    scanned = load_scene(folder)
    (folder / "sample_room_vh_clean_2.ply").unlink()
    shutil.move(folder / "sample_room.txt", folder / "room.txt")
    with pytest.warns(InputWarning, match=r"room: no mesh; fused one of \d+ faces from the depth images"):
        scene = load_scene(folder)
    assert not list(folder.glob("*.ply"))
    np.testing.assert_array_equal(scene.axis_alignment, scanned.axis_alignment)
    recipe = json.loads((folder / "room.json").read_text())
    # Its shape alone, without the light and the fine textures that the photos were made with.
    plain = {"texel": 0.1, "light_texel": 0.5, "light_rays": 1, "shadow_rays": 1}
    room = make_room(recipe["seed"], RoomSettings(**recipe["settings"] | plain))
    to_room = np.linalg.inv(recipe["world_from_room"])
    points = scene.mesh.vertices[:: max(1, len(scene.mesh.vertices) // 20000)]
    points = points @ to_room[:3, :3].T + to_room[:3, 3]
    apart = room.closest(points)[2]
    assert np.median(apart) < 0.25 * VOXEL and np.quantile(apart, 0.98) < 2 * VOXEL


def test_images_without_surface(open3d, tmp_path):
    (frame, *_) = frames_in(tmp_path, pinhole(SIZE), poses=POSES[:1])
    for value in (0, 65535):
        write_image(tmp_path / "0.png", np.full((120, 160), value, np.uint16))
        with pytest.raises(InputError, match="here: depth images show no surface within 6 m; check their unit"):
            fuse([frame], "here")


@pytest.mark.parametrize(
    ("stand_in", "message"),
    [
        (
            None,
            r"room: no mesh; put the scan's .* there, or, to fuse one from its depth images, pip install .*\[fusion\]",
        ),
        ("raise ImportError('libusb-1.0.so.0: cannot open')", r"Open3D, .* does not load \(libusb-1.0.so.0: cannot"),
    ],
)
def test_without_open3d_the_cure_is_named(tmp_path, monkeypatch, stand_in, message):
    folder = write_extracted(tmp_path / "room")
    (folder / "room_vh_clean_2.ply").unlink()
    if stand_in is None:
        monkeypatch.setitem(sys.modules, "open3d", None)
    else:
        monkeypatch.delitem(sys.modules, "open3d", raising=False)
        (tmp_path / "open3d.py").write_text(stand_in)
        monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(InputError, match=message) as caught:
        load_scene(folder)
    assert "\n" not in str(caught.value)


def test_the_advice_to_write_the_mesh_down_works(tmp_path):
    (advice,) = re.findall(r"`(trimesh[^`]*)`", tsdf_fusion.__doc__)
    scene = load_scene(write_extracted(tmp_path / "room"))
    eval(advice, {"trimesh": trimesh, "scene": scene, "folder": tmp_path})
    mesh = read_mesh(tmp_path / "mesh.ply")
    np.testing.assert_allclose(mesh.vertices, scene.mesh.vertices)
    np.testing.assert_array_equal(mesh.faces, scene.mesh.faces)
