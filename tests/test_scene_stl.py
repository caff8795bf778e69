"""STL: loose triangles, joined at their corners."""

import numpy as np
import pytest
import trimesh
from tiny_scan import ROOM_FACES, ROOM_VERTICES

from scenetex import InputError
from scenetex.scene.mesh_file import read_mesh
from scenetex.scene.stl import read_stl

ASCII = """solid room made by hand
  facet normal 0 0 1
    outer loop
      vertex 0 0 0
      vertex 1 0 0
      VERTEX 0 1.5e0 0
    endloop
  endfacet
endsolid room
solid second
facet normal 0 0 0
outer loop
vertex 1 0 -0
vertex 0 1.5 0
vertex 2 2 nan
endloop
endfacet
endsolid
"""


@pytest.mark.parametrize("kind", ["stl", "stl_ascii"])
def test_what_trimesh_writes_comes_back_joined(tmp_path, kind):
    path = tmp_path / "room.STL"
    data = trimesh.Trimesh(ROOM_VERTICES, ROOM_FACES, process=False).export(file_type=kind)
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    mesh = read_mesh(path)
    assert len(mesh.vertices) == len(ROOM_VERTICES) and len(mesh.faces) == len(ROOM_FACES)
    np.testing.assert_array_equal(mesh.triangles, ROOM_VERTICES[ROOM_FACES])


def test_ascii_with_several_solids(tmp_path):
    (tmp_path / "a.stl").write_text(ASCII)
    vertices, faces, colors = read_stl(tmp_path / "a.stl")
    np.testing.assert_array_equal(vertices, [[0, 0, 0], [1, 0, 0], [0, 1.5, 0], [2, 2, np.nan]])
    assert faces.tolist() == [[0, 1, 2], [1, 2, 3]] and colors is None


def test_binary_that_begins_with_solid(tmp_path):
    data = bytearray(trimesh.Trimesh(ROOM_VERTICES, ROOM_FACES, process=False).export(file_type="stl"))
    data[:5] = b"solid"
    (tmp_path / "a.stl").write_bytes(data)
    assert len(read_stl(tmp_path / "a.stl")[1]) == len(ROOM_FACES)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not an STL file, or cut short"),
        (bytes(84 + 49), "not an STL file, or cut short"),
        (bytes(80) + b"\xff\xff\xff\xff" + bytes(500), "not an STL file, or cut short"),
        (ASCII[:-30].encode(), "cut short, or whose vertices"),
        (ASCII.replace("2 2 nan", "2 2").encode(), "cut short, or whose vertices"),
        (ASCII.replace("2 2 nan", "2 b 2").encode(), "cut short, or whose vertices"),
    ],
)
def test_damage_is_named(tmp_path, data, message):
    (tmp_path / "a.stl").write_bytes(data)
    with pytest.raises(InputError, match=rf"a\.stl: .*{message}"):
        read_stl(tmp_path / "a.stl")
    with pytest.raises(InputError, match="mesh is empty"):
        (tmp_path / "a.stl").write_bytes(bytes(84))
        read_mesh(tmp_path / "a.stl")


@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_ends_and_a_byte_order_mark(tmp_path, mark, end):
    (tmp_path / "a.stl").write_bytes((mark + ASCII).replace("\n", end).encode())
    vertices, faces, _ = read_stl(tmp_path / "a.stl")
    np.testing.assert_array_equal(vertices, [[0, 0, 0], [1, 0, 0], [0, 1.5, 0], [2, 2, np.nan]])
    assert faces.tolist() == [[0, 1, 2], [1, 2, 3]]


def test_binary_whose_header_begins_with_a_byte_order_mark(tmp_path):
    data = bytearray(trimesh.Trimesh(ROOM_VERTICES, ROOM_FACES, process=False).export(file_type="stl"))
    data[:8] = b"\xef\xbb\xbfsolid"
    (tmp_path / "a.stl").write_bytes(data)
    assert len(read_stl(tmp_path / "a.stl")[1]) == len(ROOM_FACES)


@pytest.mark.parametrize(
    "facets",
    [
        "outer loop\nvertex 0 0 0\nvertex 1 0 0\nvertex 1 1 0\nvertex 0 1 0\nendloop\n"
        "outer loop\nvertex 0 0 0\nvertex 1 0 0\nendloop\n",
        "outer loop\n" + "vertex 0 0 0\nvertex 1 0 0\nvertex 1 1 0\n" * 2 + "endloop\n",
        "facet outer loop vertex 0 0 0 vertex 1 0 0 vertex 1 1 0 endloop endfacet\n",
    ],
)
def test_facets_that_are_no_triangles_are_refused(tmp_path, facets):
    (tmp_path / "a.stl").write_text(f"solid\n{facets}endsolid\n")
    with pytest.raises(InputError, match=r"a\.stl: an STL file whose facets are no triangles, one line a corner"):
        read_stl(tmp_path / "a.stl")


def test_a_file_longer_than_its_header_says_is_refused(tmp_path):
    data = trimesh.Trimesh(ROOM_VERTICES, ROOM_FACES, process=False).export(file_type="stl")
    (tmp_path / "a.stl").write_bytes(data + b"\0\0")
    with pytest.raises(InputError, match="or longer than its header says"):
        read_stl(tmp_path / "a.stl")
