"""OBJ files keep their vertices, their faces and the order of both, whatever seams and materials they carry."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_scan import ROOM_FACES, ROOM_VERTICES

from scenetex import InputError
from scenetex.errors import InputWarning
from scenetex.scene.obj import read_obj

SEAMS = """# a seam: vertex 2 has two texture coordinates
mtllib gone.mtl
v 0 0 0
v 1 0 0
v 1 1 0
v 0 1 0.5 # trailing words
vt 0 0
vt 1 1
vn 0 0 1
usemtl b
f 1/1/1 2/1/1 3/2/1
usemtl a
f 1/2/1 3/1/1 \\
 4/1/1
usemtl b
f 4//1 3//1 2//1 1//1
f 2/2 3 4/1
v 5 5 5
f -1 -2 -3
f -5 -4 -3
"""


def test_seams_materials_and_relative_numbers_keep_the_order(tmp_path):
    path = tmp_path / "mesh.obj"
    path.write_text(SEAMS)
    vertices, faces, colors, _ = read_obj(path)
    np.testing.assert_array_equal(vertices, [[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0.5], [5, 5, 5]])
    expected = [[0, 1, 2], [0, 2, 3], [3, 2, 1], [3, 1, 0], [1, 2, 3], [4, 3, 2], [0, 1, 2]]
    np.testing.assert_array_equal(faces, expected)
    assert colors is None


@pytest.mark.parametrize("scale", [1.0, 255.0])
def test_vertex_colours_of_either_range(tmp_path, scale):
    colors = np.array([[0, 51, 255], [102, 153, 204], [1, 2, 3]])
    rows = [f"v {x} {x} 0 " + " ".join(f"{c / 255 * scale:.9g}" for c in rgb) for x, rgb in enumerate(colors)]
    path = tmp_path / "mesh.obj"
    path.write_text("\r\n".join([*rows, "f 1 2 3"]))
    np.testing.assert_array_equal(read_obj(path)[2], colors)


@pytest.mark.filterwarnings("error")
def test_colors_out_of_range_are_cut_off(tmp_path):
    path = tmp_path / "mesh.obj"
    path.write_text("v 0 0 0 -1e307 0.5 1\nv 1 0 0 nan -inf 0.2\nv 0 1 0 0 0 0\nf 1 2 3\n")
    np.testing.assert_array_equal(read_obj(path)[2], [[0, 128, 255], [0, 0, 51], [0, 0, 0]])


def test_a_room_round_trips(tmp_path):
    path = tmp_path / "room.obj"
    rows = ["v " + " ".join(f"{x:.17g}" for x in v) for v in ROOM_VERTICES + np.pi]
    path.write_text("\n".join([*rows, *("f " + " ".join(map(str, f + 1)) for f in ROOM_FACES)]))
    vertices, faces, *_ = read_obj(path)
    np.testing.assert_array_equal(vertices, ROOM_VERTICES + np.pi)
    np.testing.assert_array_equal(faces, ROOM_FACES)


def area(vertices: np.ndarray, faces: np.ndarray) -> float:
    t = vertices[faces]
    return np.linalg.norm(np.cross(t[:, 1] - t[:, 0], t[:, 2] - t[:, 0]), axis=1).sum() / 2


def test_notches_of_polygons_stay_open(tmp_path):
    path = tmp_path / "mesh.obj"
    path.write_text("v 5 0 0\nv 5 2 0\nv 2 2 0\nv 2 4 0\nv 0 4 0\nv 0 0 0\nf 1 2 3 4 5 6\n")
    vertices, faces, *_ = read_obj(path)
    assert area(vertices, faces) == pytest.approx(14) and len(faces) == 4


def test_what_is_no_surface_is_passed_over(tmp_path):
    """Lines, points, curves, groups, smoothing, materials; `fo`, as old files call a face; a carriage return alone."""
    text = "g a\no b\ns 1\nv 0 0 0\nv 1 0 0\nv 0 1 0\nvp 1 2\nl 1 2 3\np 1\ncurv 0 1 1 2\nfo 1 2 3\nusemtl x\n"
    path = tmp_path / "mesh.obj"
    for end in ("\n", "\r\n", "\r"):
        path.write_bytes(text.replace("\n", end).encode())
        vertices, faces, *_ = read_obj(path)
        assert len(vertices) == 3 and faces.tolist() == [[0, 1, 2]]


@pytest.mark.parametrize(
    ("rows", "colors"),
    [
        (["0 0 0 1", "1 0 0 1", "0 1 0 1"], None),  # with a weight
        (["0 0 0 1 0 0 0.5", "1 0 0 0 1 0 0.5", "0 1 0 0 0 1 0.5"], 255 * np.eye(3)),  # with alpha
        (["0 0 0 1 0 0", "1 0 0", "0 1 0 0 0 1"], None),  # colours of some say nothing of the others
    ],
)
def test_further_numbers_of_a_vertex(tmp_path, rows, colors):
    path = tmp_path / "mesh.obj"
    path.write_text("".join(f"v {row}\n" for row in rows) + "f 1 2 3\n")
    vertices, _, found, _ = read_obj(path)
    np.testing.assert_array_equal(vertices, [[0, 0, 0], [1, 0, 0], [0, 1, 0]])
    np.testing.assert_array_equal(found, colors)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("v 0 0 zero\nf 1 1 1", "starts with v is not numbers"),
        ("v 0 0\nv 0 0 0 0", "v lines do not all hold 3"),
        ("v 0 0 0\nf a b c", "starts with f is not numbers"),
        ("v 0 0 0\nf 1.5 1 1", "does not hold vertex numbers"),
        ("v 0 0 0\nf 1e99 1 1", "does not hold vertex numbers"),
    ],
)
def test_damage_is_named(tmp_path, text, message):
    path = tmp_path / "mesh.obj"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        read_obj(path)


@given(edits=st.lists(st.tuples(st.integers(0, len(SEAMS) - 1), st.integers(0, 255)), max_size=8))
def test_mutated_files_give_a_mesh_or_an_input_error(tmp_path_factory, edits):
    data = bytearray(SEAMS.encode())
    for at, value in edits:
        data[at] = value
    path = tmp_path_factory.getbasetemp() / "fuzzed.obj"
    path.write_bytes(data)
    try:
        vertices, faces, *_ = read_obj(path)
        assert vertices.shape[1] == faces.shape[1] == 3
    except InputError as error:
        assert "fuzzed.obj" in str(error)


TRIANGLE = "v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n"


@pytest.mark.parametrize(
    "text",
    [
        "\ufeff" + TRIANGLE,
        "# made in C:\\scans\\\n" + TRIANGLE,
        "mtllib C:\\scans\\\n" + TRIANGLE,
        "v 0 0 0 # of C:\\scans\\\n" + TRIANGLE[8:],
        "# made\rv 0 0 0\n" + TRIANGLE[8:],  # two kinds of line ends
        "v 0 \\\n 0 \\\n0\nv 1 0 0\nv 0 1 0\nf \\\n1 2\\\n 3 # and \\\n",
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_what_stands_before_a_vertex_does_not_cost_it(tmp_path, text, end):
    path = tmp_path / "mesh.obj"
    path.write_bytes(text.replace("\n", end).encode())
    vertices, faces, *_ = read_obj(path)
    np.testing.assert_array_equal(vertices, [[0, 0, 0], [1, 0, 0], [0, 1, 0]])
    np.testing.assert_array_equal(faces, [[0, 1, 2]])


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("surf 0 1 0 1 1 2 3 4", "free-form surfaces are left out"),
        ("bzp 1 2 3 4", "free-form surfaces are left out"),
        ("call other.obj", "files and programs that it calls are left out"),
    ],
)
def test_surface_that_is_left_out_is_named(tmp_path, line, said):
    (tmp_path / "a.obj").write_text(f"v 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\n{line}\nf 1 2 3\n")
    with pytest.warns(InputWarning, match=rf"a\.obj: {said}"):
        assert read_obj(tmp_path / "a.obj")[1].tolist() == [[0, 1, 2]]


def test_colours_in_comments_and_levels_of_detail_are_passed_over(tmp_path, recwarn):
    text = "v 0 0 0\nv 1 0 0\nv 1 1 0\n#MRGB ffff0000ffff0000ffff0000\nlod 1\nlod 2\nf 1 2 3\n"
    (tmp_path / "a.obj").write_text(text)
    _, faces, colors, _ = read_obj(tmp_path / "a.obj")
    assert faces.tolist() == [[0, 1, 2]] and colors is None and not recwarn.list
