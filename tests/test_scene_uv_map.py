"""OBJ, PLY and glTF files keep their texture coordinates, seams, materials and names beside their faces."""

import numpy as np
import pytest
from mapped_meshes import MATERIALS, laid_out, obj_text, write_two_nodes
from painted_box import box

from scenetex.scene.mesh_file import read_mesh

OBJ = """mtllib gone.mtl
o First
v 0 0 0
v 1 0 0
v 1 1 0
v 0 1 0
vt 0 0
vt 1 0
vt 1 1 # the far corner
vt 0 1 0.5
vn 0 0 1
usemtl red paint
f 1/1/1 2/2/1 3/3/1 4/4/1
o Second
f 1 2 3
usemtl blue
f 1/-4 2/-3 3/-2
f -4/4 -2//1 -1/2
"""


def corners_of(mesh) -> np.ndarray:
    return mesh.uv_map.uv[mesh.uv_map.corners]


def test_an_obj_has_corners_materials_objects_and_its_own_lines(tmp_path):
    (tmp_path / "a.obj").write_text(OBJ)
    found = read_mesh(tmp_path / "a.obj").uv_map
    assert found.uv.tolist() == [[0, 0], [1, 0], [1, 1], [0, 1]]
    assert found.corners.tolist() == [[0, 1, 2], [0, 2, 3], [-1, -1, -1], [0, 1, 2], [-1, -1, -1]]
    assert [found.materials[i] for i in found.material] == ["red paint"] * 3 + ["blue"] * 2
    assert [found.parts[i] for i in found.part] == ["First"] * 2 + ["Second"] * 3
    assert found.piece.tolist() == [0, 0, 1, 2, 3] and found.mapped.tolist() == [True, True, False, True, False]
    assert found.kind == ".obj" and found.source.tobytes().decode() == OBJ


@pytest.mark.parametrize("wrong", ["vt 0", "vt a b", "f 1/9 2/1 3/1", "f 1/1.5 2/1 3/1", "f 1/x 2/1 3/1"])
def test_coordinates_that_make_no_sense_cost_nobody_the_mesh(tmp_path, wrong):
    (tmp_path / "a.obj").write_text(OBJ + wrong + "\n")
    mesh = read_mesh(tmp_path / "a.obj")
    assert len(mesh.faces) >= 5 and mesh.uv_map is None


def test_notched_polygons_keep_each_corners_own_coordinates(tmp_path):
    """The corner of the notch sees all of it: triangles are not a fan from the first, and what comes along is right."""
    outline = np.array([[0, 0], [4, 0], [4, 4], [2, 1], [0, 4]])
    lines = [f"v {x} {y} 0" for x, y in outline] + [f"vt {x / 8} {y / 8}" for x, y in outline]
    (tmp_path / "a.obj").write_text("\n".join([*lines, "f " + " ".join(f"{i}/{i}" for i in range(1, 6))]) + "\n")
    mesh = read_mesh(tmp_path / "a.obj")
    np.testing.assert_allclose(corners_of(mesh) * 8, mesh.vertices[mesh.faces][..., :2])


def test_names_that_are_not_utf8_are_read_as_latin1(tmp_path):
    (tmp_path / "a.obj").write_bytes(OBJ.replace("red paint", "grün").encode("latin-1"))
    found = read_mesh(tmp_path / "a.obj").uv_map
    assert found.materials == ("grün", "blue") and "usemtl grün" in found.source.tobytes().decode()


@pytest.mark.parametrize("kind", ["ascii", "binary"])
def test_a_ply_has_those_of_its_vertices_or_of_its_corners(tmp_path, kind):
    corners = [[0, 0], [1, 0], [1, 1], [0, 1]]
    of_vertices = "property float s\nproperty float t\n"
    head = "ply\nformat ascii 1.0\nelement vertex 4\nproperty float x\nproperty float y\nproperty float z\n{}"
    head += "element face 2\nproperty list uchar int vertex_indices\n{}end_header\n"
    rows = "".join(f"{x} {y} 0 {x / 2} {y / 4}\n" for x, y in corners)
    (tmp_path / "v.ply").write_text(head.format(of_vertices, "") + rows + "3 0 1 2\n3 0 2 3\n")
    mesh = read_mesh(tmp_path / "v.ply")
    np.testing.assert_array_equal(corners_of(mesh) * [2, 4], mesh.vertices[mesh.faces][..., :2])

    of_corners = "property list uchar float texcoord\nproperty int texnumber\n"
    rows = "".join(f"{x} {y} 0\n" for x, y in corners)
    (tmp_path / "c.ply").write_text(
        head.format("", of_corners) + rows + "4 0 1 2 3 8 0 0 .5 0 .5 .25 0 .25 1\n3 0 1 2 0 3\n"
    )
    found = read_mesh(tmp_path / "c.ply")
    assert found.uv_map.materials == ("material 1", "material 3") and found.uv_map.mapped.tolist() == [1, 1, 0]
    np.testing.assert_allclose(corners_of(found)[:2] * [2, 4], found.vertices[found.faces][:2, :, :2])


def test_a_glb_has_those_of_its_parts_with_the_names_of_its_nodes(tmp_path):
    mesh = box()
    atlas = laid_out(mesh, 128)
    write_two_nodes(tmp_path / "a.glb", mesh, atlas)
    found = read_mesh(tmp_path / "a.glb")
    uvs = found.uv_map
    assert uvs.parts == ("Shell", "Walls", "Left bare") and uvs.materials == (*MATERIALS, "")
    assert np.bincount(uvs.material).tolist() == [3, 2, 8] and uvs.mapped.sum() == 12
    # Every corner's place has the coordinates that it has in the atlas.
    pairs = np.concatenate([found.vertices[found.faces], corners_of(found)], 2)[uvs.mapped].reshape(-1, 5)
    meant = np.concatenate([mesh.vertices[mesh.faces], atlas.uv[atlas.faces]], 2).reshape(-1, 5)
    np.testing.assert_allclose(np.unique(pairs.round(4), axis=0), np.unique(meant.round(4), axis=0), atol=2e-4)


def test_meshes_without_have_none(tmp_path):
    (tmp_path / "a.obj").write_text("v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n")
    assert read_mesh(tmp_path / "a.obj").uv_map is None
    (tmp_path / "room.obj").write_text(obj_text(box(), laid_out(box(), 128)))
    assert read_mesh(tmp_path / "room.obj").uv_map.materials == (*MATERIALS, "Bare")
