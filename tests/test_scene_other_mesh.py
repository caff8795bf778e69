"""A mesh in place of the scan's own: in the scan's frame, or as glTF turns it, and with the scan's labels."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
import tiny_scan
import trimesh
from batch_runs import report, rooms, texture

from scenetex import InputError, InputWarning, load_scene, regions
from scenetex.scene.scene import Scene

Y_UP = np.array([[1.0, 0, 0, 0], [0, 0, 1, 0], [0, -1, 0, 0], [0, 0, 0, 1]])


@pytest.fixture
def scan(tmp_path):
    return rooms(tmp_path / "scans", "room")[0]


def fine_room() -> trimesh.Trimesh:
    """The tiny scan's room in smaller faces, its floor 0.3 m higher: it is told which way is up."""
    low = tiny_scan.ROOM_VERTICES + [0.0, 0.0, 0.3] * (tiny_scan.ROOM_VERTICES[:, 2:] < 0)
    return trimesh.Trimesh(low, tiny_scan.ROOM_FACES[:, ::-1], process=False).subdivide()


@pytest.mark.parametrize("name", ["fine.ply", "fine.obj", "fine.glb"])
def test_it_is_taken_as_it_lies(scan, tmp_path, name):
    fine_room().export(tmp_path / name)
    scene = load_scene(scan, mesh=tmp_path / name)
    np.testing.assert_allclose(scene.mesh.triangles, fine_room().triangles, atol=1e-6)
    assert len(scene.frames) == 3 and len(scene.scan.faces) == 10


def test_gltf_that_is_y_up_is_turned_back(scan, tmp_path):
    fine_room().apply_transform(Y_UP).export(tmp_path / "fine.glb")
    np.testing.assert_allclose(
        load_scene(scan, mesh=tmp_path / "fine.glb").mesh.triangles, fine_room().triangles, atol=1e-6
    )


@pytest.mark.parametrize("name", ["made.glb", "made.obj", "made.gltf"])
@pytest.mark.parametrize("aligned", [False, True])
def test_y_up_of_a_scan_that_lies_askew_is_turned_back(tmp_path, name, aligned):
    """From the scan as it is stored, as Blender reads it, and from the scan with its z up."""
    scene = load_scene("scenes/sample_room")
    stored = scene.mesh.vertices.astype(np.float64)
    turn = Y_UP @ (scene.axis_alignment if aligned else np.eye(4))
    made = trimesh.Trimesh(stored @ turn[:3, :3].T + turn[:3, 3], scene.mesh.faces, process=False)
    made.export(tmp_path / name)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = load_scene("scenes/sample_room", mesh=tmp_path / name)
    np.testing.assert_allclose(found.mesh.triangles, scene.mesh.triangles, atol=1e-5)


def test_one_in_another_frame_is_warned_of(scan, tmp_path):
    fine_room().apply_scale(1000).export(tmp_path / "fine.ply")
    with pytest.warns(InputWarning, match="from the scan's own mesh"):
        load_scene(scan, mesh=tmp_path / "fine.ply")
    scene = load_scene(scan, mesh=tmp_path / "fine.ply", mesh_scale=0.001)
    np.testing.assert_allclose(scene.mesh.extent.radius, replace(scene, scan=None).mesh.extent.radius)
    assert scene.mesh.vertices.max() < 3


def test_one_that_is_not_there(scan, tmp_path):
    with pytest.raises(InputError, match="no such file"):
        load_scene(scan, mesh=tmp_path / "gone.obj")


def test_labels_are_those_of_the_nearest_places():
    sample = load_scene("scenes/sample_room")
    other = replace(sample.mesh, vertices=sample.mesh.vertices + 1e-4, faces=sample.mesh.faces[::2])
    found, whole = (
        regions(Scene("sample_room", other, sample.frames, path=sample.path, scan=sample.mesh)),
        regions(sample),
    )
    labels = [name for name in whole if name.startswith("label:")]
    assert labels
    for name in labels:
        if name in found:
            assert (found[name] == whole[name][::2]).mean() > 0.995


def test_the_command_says_what_does_not_go_together(scan, tmp_path, capsys):
    fine_room().export(tmp_path / "fine.obj")
    own = ("--mesh", str(tmp_path / "fine.obj"), "--uvs", "keep")
    for option in (("--close-holes", "0.5"), ("--texels-per-metre", "100"), ("--align",)):
        assert texture([scan], tmp_path / "out", *own, *option) == 2
        assert f"leave {option[0]} out" in capsys.readouterr().err
    assert texture([scan, scan], tmp_path / "out", *own) == 2
    assert "--mesh is one scene's mesh" in capsys.readouterr().err
    assert texture([scan], tmp_path / "out", *own) == 2
    assert "the mesh has none" in capsys.readouterr().err and not (tmp_path / "out" / "room").exists()
    assert texture([scan], tmp_path / "out", *own, "--uvs", "auto") == 0
    assert report(tmp_path / "out", "room")["faces"] == 40
