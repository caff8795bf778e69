"""Which file is the scene's mesh, and which meshes are none."""

import subprocess
import sys

import numpy as np
import pytest
import trimesh
from tiny_scan import ROOM_FACES, ROOM_VERTICES, write_ply

from scenetex import InputError, load_scene
from scenetex.scene.mesh_file import find_mesh, read_mesh


@pytest.mark.parametrize("suffix", ["ply", "obj", "glb"])
def test_all_kinds_give_the_same_mesh(tmp_path, suffix):
    room = trimesh.Trimesh(ROOM_VERTICES, ROOM_FACES, process=False)
    path = tmp_path / f"room.{suffix.upper()}"
    data = room.export(file_type=suffix)
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    mesh = read_mesh(path)
    np.testing.assert_array_equal(mesh.vertices, ROOM_VERTICES)
    np.testing.assert_array_equal(mesh.faces, ROOM_FACES)
    assert (mesh.vertices.dtype, mesh.faces.dtype) == (np.float64, np.int32)
    np.testing.assert_array_equal(mesh.axis_alignment, np.eye(4))


@pytest.mark.parametrize(
    ("vertices", "faces", "message"),
    [
        (np.zeros((0, 3)), np.zeros((0, 3), int), "mesh is empty"),
        (ROOM_VERTICES, np.zeros((0, 3), int), "no faces"),
        (ROOM_VERTICES, np.array([[0, 1, 8]]), "a vertex that is not there"),
        (ROOM_VERTICES, np.array([[0, 1, -1]]), "a vertex that is not there"),
        (np.full((4, 3), np.nan), np.array([[0, 1, 2]]), "all vertices are NaN"),
        (np.array([[0, 0, 0], [0, 0, 1], [np.nan] * 3]), np.array([[0, 1, 2]]), "every face has a NaN corner"),
    ],
)
def test_meshes_that_cannot_be_textured_are_refused(tmp_path, vertices, faces, message):
    path = tmp_path / "mesh.ply"
    write_ply(path, vertices, faces)
    with pytest.raises(InputError, match=message) as caught:
        read_mesh(path)
    assert "mesh.ply" in str(caught.value) and "\n" not in str(caught.value)


def test_some_nan_vertices_pass(tmp_path):
    vertices = ROOM_VERTICES.copy()
    vertices[0] = np.nan
    write_ply(tmp_path / "mesh.ply", vertices)
    np.testing.assert_array_equal(read_mesh(tmp_path / "mesh.ply").vertices, vertices)


def test_files_that_are_not_there_or_not_meshes(tmp_path):
    with pytest.raises(InputError, match=r"gone\.ply: cannot be read"):
        read_mesh(tmp_path / "gone.ply")
    with pytest.raises(InputError, match=r"notes\.txt: not a mesh file"):
        read_mesh(tmp_path / "notes.txt")


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (["room_vh_clean_2.ply", "room_vh_clean.ply", "room_vh_clean_2.labels.ply", "mesh.ply"], "room_vh_clean_2.ply"),
        (["room_vh_clean_2.ply", "kitchen_vh_clean_2.ply"], "room_vh_clean_2.ply"),
        (["kitchen_vh_clean_2.ply", "other.obj"], "kitchen_vh_clean_2.ply"),
        (["room_vh_clean.ply", "mesh.obj"], "room_vh_clean.ply"),
        (["mesh.obj", "room.ply"], "mesh.obj"),
        (["room.glb", "other.ply"], "room.glb"),
        (["anything.obj", "notes.txt"], "anything.obj"),
        (["room.stl", "scan.ply"], "scan.ply"),
        (["mesh.stl", "mesh.obj"], "mesh.obj"),
        (["scan.stl"], "scan.stl"),
        (["scan.gltf", "scan.stl", "x.glb"], "x.glb"),
    ],
)
def test_choice_of_mesh(tmp_path, names, found):
    for name in names:
        (tmp_path / name).touch()
    assert find_mesh(tmp_path, "room").name == found


def test_no_mesh_and_too_many(tmp_path):
    with pytest.raises(InputError, match="no mesh; put"):
        find_mesh(tmp_path, "room")
    (tmp_path / "a.ply").touch()
    (tmp_path / "b.ply").touch()
    with pytest.raises(InputError, match=r"several meshes \(a\.ply, b\.ply\)"):
        find_mesh(tmp_path, "room")
    assert find_mesh(tmp_path, "room", besides=tmp_path / "a.ply").name == "b.ply"


def test_importing_the_readers_leaves_trimesh_alone():
    code = "import sys, scenetex.scene.load; sys.exit('trimesh' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.mark.parametrize(
    ("name", "cure"),
    [
        ("room.off", r"\.off files are not read; convert it: python -c .*trimesh\.load\('room\.off'\)"),
        ("room.FBX", r"\.fbx files are not read; open it in Blender .*export it as glTF 2\.0"),
        ("room.usdz", r"\.usdz files are not read; open it in Blender"),
        ("room.dae", r"\.dae files are not read; open it in"),
        ("room.blend", r"\.blend files are not read; open it in Blender"),
        ("room.e57", r"\.e57 files are not read; a cloud of points; make a surface of it"),
    ],
)
def test_meshes_of_other_programs_are_named_with_what_converts_them(tmp_path, name, cure):
    (tmp_path / name).touch()
    for refused in (
        lambda: read_mesh(tmp_path / name),
        lambda: find_mesh(tmp_path, "room"),
    ):
        with pytest.raises(InputError, match=cure) as caught:
            refused()
        assert name in str(caught.value) and str(caught.value).isprintable()
    with pytest.raises(InputError, match="a mesh alone has no cameras"):
        load_scene(tmp_path / name)


def test_a_command_that_is_named_works(tmp_path):
    """As it stands in the message."""
    room = trimesh.Trimesh(ROOM_VERTICES, ROOM_FACES, process=False)
    (tmp_path / "room.off").write_text(room.export(file_type="off"))
    with pytest.raises(InputError) as caught:
        read_mesh(tmp_path / "room.off")
    command = str(caught.value).partition("convert it: ")[2].replace("python", sys.executable, 1)
    subprocess.run(command, shell=True, cwd=tmp_path, check=True)
    assert len(read_mesh(tmp_path / "mesh.ply").faces) == len(ROOM_FACES)


@pytest.mark.parametrize("name", ["a'; rm -rf x #.off", "$(x).off", "-x.off", "a b.off"])
def test_commands_to_paste_hold_no_name_that_does_more(tmp_path, name):
    (tmp_path / name).touch()
    with pytest.raises(InputError) as caught:
        read_mesh(tmp_path / name)
    assert "trimesh.load('FILE')" in str(caught.value)
