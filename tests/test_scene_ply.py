"""PLY files of every encoding come out as they went in; damaged ones are refused without reaching for memory."""

import struct

import numpy as np
import pytest
import trimesh
from hypothesis import example, given
from hypothesis import strategies as st
from tiny_scan import ROOM_FACES, ROOM_VERTICES, peak_bytes, write_ply

from scenetex import InputError
from scenetex.errors import InputWarning
from scenetex.scene.ply import ply_face_count, read_ply

POLYGONS = [[0, 1, 2], [2, 1, 3, 5], [5, 4, 3, 2, 1]]
TRIANGLES = [[0, 1, 2], [2, 1, 3], [2, 3, 5], [5, 4, 3], [5, 3, 2], [5, 2, 1]]
POINTS = np.random.default_rng(1).normal(size=(6, 3))
COLORS = np.arange(18, dtype=np.uint8).reshape(6, 3)


def mixed_ply(encoding: str) -> bytes:
    """Polygons of 3, 4 and 5 corners with a flag behind each, coloured vertices, an element that nobody asked for."""
    header = (
        f"ply\nformat {encoding} 1.0\ncomment made by hand\nelement vertex 6\nproperty double x\nproperty double y\n"
        "property double z\nproperty uchar red\nproperty uchar green\nproperty uchar blue\nelement extra 2\n"
        "property float weight\nelement face 3\nproperty list uchar int vertex_index\nproperty short flag\nend_header\n"
    )
    if encoding == "ascii":
        rows = [" ".join([*(f"{x:.17g}" for x in p), *map(str, c)]) for p, c in zip(POINTS, COLORS, strict=True)]
        rows += ["0.5", "0.25", *(f"{len(p)} {' '.join(map(str, p))} -7" for p in POLYGONS)]
        return (header + "\n".join(rows)).encode()
    order = "<" if "little" in encoding else ">"
    body = b"".join(p.astype(order + "f8").tobytes() + c.tobytes() for p, c in zip(POINTS, COLORS, strict=True))
    body += np.array([0.5, 0.25], order + "f4").tobytes()
    for polygon in POLYGONS:
        body += bytes([len(polygon)]) + np.array(polygon, order + "i4").tobytes()
        body += np.array(-7, order + "i2").tobytes()
    return header.encode() + body


@pytest.mark.parametrize("encoding", ["ascii", "binary_little_endian", "binary_big_endian"])
def test_mixed_polygons_and_colours_in_every_encoding(tmp_path, encoding):
    path = tmp_path / "mesh.ply"
    path.write_bytes(mixed_ply(encoding))
    vertices, faces, colors, _ = read_ply(path)
    np.testing.assert_array_equal(vertices, POINTS)
    np.testing.assert_array_equal(faces, TRIANGLES)
    np.testing.assert_array_equal(colors, COLORS)
    assert ply_face_count(path) == 3


@pytest.mark.parametrize("encoding", ["ascii", "binary"])
def test_reads_what_trimesh_writes(tmp_path, encoding):
    ball = trimesh.creation.icosphere(subdivisions=2)
    ball.visual.vertex_colors = np.random.default_rng(0).integers(0, 255, (len(ball.vertices), 4), np.uint8)
    path = tmp_path / "ball.ply"
    path.write_bytes(ball.export(file_type="ply", encoding=encoding))
    vertices, faces, colors, _ = read_ply(path)
    np.testing.assert_allclose(vertices, ball.vertices, atol=1e-6)
    np.testing.assert_array_equal(faces, ball.faces)
    np.testing.assert_array_equal(colors, ball.visual.vertex_colors[:, :3])


def test_nan_vertices_and_windows_line_ends_pass(tmp_path):
    path = tmp_path / "mesh.ply"
    vertices = ROOM_VERTICES.copy()
    vertices[3] = np.nan
    write_ply(path, vertices)
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    read, faces, colors, _ = read_ply(path)
    np.testing.assert_array_equal(read, vertices)
    np.testing.assert_array_equal(faces, ROOM_FACES)
    assert colors is None


@pytest.mark.parametrize("encoding", ["ascii", "binary_little_endian"])
@pytest.mark.parametrize("element", [b"vertex 6", b"face 3", b"extra 2"])
def test_a_header_that_announces_billions_is_refused_before_allocating(tmp_path, encoding, element):
    path = tmp_path / "mesh.ply"
    path.write_bytes(mixed_ply(encoding).replace(element, element.split()[0] + b" 4000000000"))

    def refused():
        with pytest.raises(InputError, match=r"mesh\.ply: the file ends before"):
            read_ply(path)

    assert peak_bytes(refused) < 1_000_000


def test_lists_as_long_as_their_count_can_say(tmp_path):
    path = tmp_path / "mesh.ply"
    data = mixed_ply("binary_little_endian").replace(b"list uchar int", b"list uint int")
    path.write_bytes(data)  # counts are now read from the wrong bytes: billions of corners

    def refused():
        with pytest.raises(InputError, match="the file ends before its 3 face rows do"):
            read_ply(path)

    assert peak_bytes(refused) < 1_000_000


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b"ply\n", b"plx\n", "not a PLY file"),
        (b"end_header", b"end_hea", "not a PLY file, or cut"),
        (b"format ascii 1.0", b"format utf 1.0", "makes no sense: 'format utf 1.0'"),
        (b"format ascii 1.0\n", b"", "lacks its format"),
        (b"property double y", b"property double x", "repeats a property"),
        (b"element face 3", b"element face -3", "makes no sense"),
        (b"property double z", b"property double w", "no x, y, z"),
        (b"list uchar int vertex_index", b"list uchar int corner_list", "no vertex_indices"),
        (b"3 0 1 2 -7", b"3 0 1.5 2 -7", "not a whole number"),
        (b"3 0 1 2 -7", b"3 0 one 2 -7", "not a number"),
        (b"3 0 1 2 -7", b"3 0 1 1e300 -7", "not a whole number"),
    ],
)
def test_damage_is_named(tmp_path, old, new, message):
    path = tmp_path / "mesh.ply"
    data = mixed_ply("ascii")
    assert old in data
    path.write_bytes(data.replace(old, new))
    with pytest.raises(InputError, match=message) as caught:
        read_ply(path)
    assert "mesh.ply" in str(caught.value) and "\n" not in str(caught.value)


@given(
    encoding=st.sampled_from(["ascii", "binary_little_endian", "binary_big_endian"]),
    edits=st.lists(st.tuples(st.integers(0, 600), st.integers(0, 255)), min_size=1, max_size=8),
    cut=st.integers(0, 600),
)
@example(encoding="ascii", edits=[(0, 112)], cut=0)
def test_mutated_files_give_a_mesh_or_an_input_error(tmp_path_factory, encoding, edits, cut):
    data = bytearray(mixed_ply(encoding))
    for at, value in edits:
        data[at % len(data)] = value
    path = tmp_path_factory.getbasetemp() / "fuzzed.ply"
    path.write_bytes(data[: len(data) - cut % len(data)])

    def read():
        try:
            vertices, faces, *_ = read_ply(path)
            assert vertices.ndim == faces.ndim == 2
        except InputError as error:
            assert "fuzzed.ply" in str(error)

    assert peak_bytes(read) < 5_000_000


def test_names_from_the_file_cannot_write_to_the_terminal(tmp_path):
    path = tmp_path / "mesh.ply"
    path.write_bytes(mixed_ply("ascii").replace(b"extra 2", b"\x1b[31m\x07 99999"))
    with pytest.raises(InputError, match="the file ends before") as caught:
        read_ply(path)
    assert str(caught.value).isprintable()


def test_counting_the_faces_of_a_file_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match=r"gone\.ply: cannot be read"):
        ply_face_count(tmp_path / "gone.ply")
    with pytest.raises(InputError, match="cannot be read"):
        ply_face_count(tmp_path)


def test_lists_longer_than_64_bits_can_say(tmp_path):
    """After a row of another length, rows are read one by one."""
    head = (
        b"ply\nformat binary_little_endian 1.0\nelement face 3\nproperty list uint64 uchar vertex_index\nend_header\n"
    )
    path = tmp_path / "mesh.ply"
    path.write_bytes(head + bytes([1]) + bytes(8) + bytes(8) + b"\xff" * 8 + bytes(100))
    with pytest.raises(InputError, match="the file ends before its 3 face rows do"):
        read_ply(path)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("encoding", ["ascii", "binary_little_endian"])
def test_nan_that_signals_and_corners_that_are_no_numbers(tmp_path, encoding):
    head = f"ply\nformat {encoding} 1.0\nelement vertex 3\nproperty float x\nproperty float y\nproperty double z\n"
    head += "element face 1\nproperty list uchar float vertex_index\nend_header\n"
    path = tmp_path / "mesh.ply"
    for corner, word in ((np.array([0, 1, 2], "<f4"), "2"), (np.array([0, 1, np.nan], "<f4"), "nan")):
        if encoding == "ascii":
            body = f"nan 0 0 1 0 0 0 1 0 3 0 1 {word}".encode()
        else:
            signalling = struct.pack("<I", 0x7FA00000)
            rest = [(0.0, 0.0), (1.0, 0.0), (0.0, 1.0)]
            body = (
                signalling + struct.pack("<fd", *rest[0]) + b"".join(struct.pack("<ffd", 0, *row) for row in rest[1:])
            )
            body += b"\3" + corner.tobytes()
        path.write_bytes(head.encode() + body)
        if word == "nan":
            with pytest.raises(InputError, match="a vertex that is not there"):
                read_ply(path)
        else:
            vertices, faces, *_ = read_ply(path)
            assert np.isnan(vertices[0, 0]) and faces.tolist() == [[0, 1, 2]]


OUTLINE = [(5, 0, 0), (5, 2, 0), (2, 2, 0), (2, 4, 0), (0, 4, 0), (0, 0, 0)]


@pytest.mark.parametrize("count", ["char", "uchar", "short", "ushort", "int", "uint", "uint8", "int32"])
@pytest.mark.parametrize("kind", ["char", "short", "int8", "int16", "float", "double", "float32", "float64"])
@pytest.mark.parametrize("order", ["<", ">"])
def test_every_scalar_type_and_notches(tmp_path, count, kind, order):
    """Also behind an element of edges, which is left out, and with a strip beside the polygon."""
    types = {"char": "i1", "uchar": "u1", "short": "i2", "ushort": "u2", "int": "i4", "uint": "u4", "float": "f4"}
    types |= {"double": "f8", "int8": "i1", "int16": "i2", "int32": "i4", "uint8": "u1", "float32": "f4"}
    types |= {"float64": "f8"}
    name = "little" if order == "<" else "big"
    head = f"ply\nformat binary_{name}_endian 1.0\ncomment by hand\nobj_info num_cols 4\nelement edge 1\n"
    head += "property int vertex1\nproperty int vertex2\nelement vertex 6\n"
    head += "".join(f"property {kind} {axis}\n" for axis in "xyz") + "property ushort r\nproperty ushort g\n"
    head += f"property ushort b\nelement face 1\nproperty list {count} {count} vertex_index\nelement tristrips 1\n"
    head += "property list int int vertex_indices\nend_header\n"
    rows = np.zeros(6, [("xyz", order + types[kind], 3), ("rgb", order + "u2", 3)])
    rows["xyz"], rows["rgb"] = OUTLINE, np.arange(18).reshape(6, 3) * 257 * 10
    corners = np.array([6, *range(6)], order + types[count]).tobytes()
    strip = np.array([7, 0, 1, 2, 3, -1, 3, 4], order + "i4").tobytes()
    (tmp_path / "mesh.ply").write_bytes(head.encode() + bytes(8) + rows.tobytes() + corners + strip)
    vertices, faces, colors, _ = read_ply(tmp_path / "mesh.ply")
    np.testing.assert_array_equal(vertices, OUTLINE)
    np.testing.assert_array_equal(colors, np.arange(18).reshape(6, 3) * 10)
    t = vertices[faces[:4]]
    assert np.cross(t[:, 1] - t[:, 0], t[:, 2] - t[:, 0])[:, 2].sum() / 2 == 14
    assert faces[4:].tolist() == [[0, 1, 2], [2, 1, 3]]
    assert ply_face_count(tmp_path / "mesh.ply") == 2


@pytest.mark.parametrize("names", ["red green blue", "diffuse_red diffuse_green diffuse_blue"])
@pytest.mark.parametrize("kind", ["uchar", "float"])
def test_colours_by_their_names_with_lines_that_end_as_they_did_in_1994(tmp_path, names, kind):
    text = "ply\nformat ascii 1.0\nelement vertex 3\nproperty float x\nproperty float y\nproperty float z\n"
    text += "".join(f"property {kind} {name}\n" for name in names.split()) + "property uchar alpha\n"
    text += "element face 1\nproperty list uchar int vertex_indices\nproperty float quality\nend_header\n"
    rgb = {"uchar": "51 102 255", "float": "0.2 0.4 1"}[kind]
    text += f"0 0 0 {rgb} 0\n1 0 0 {rgb} 0\n0 1 0 {rgb} 0\n3 0 1 2 0.5\n"
    (tmp_path / "mesh.ply").write_bytes(text.replace("\n", "\r").encode())
    _, faces, colors, _ = read_ply(tmp_path / "mesh.ply")
    assert faces.tolist() == [[0, 1, 2]] and colors.tolist() == [[51, 102, 255]] * 3


@pytest.mark.parametrize("encoding", ["ascii", "binary_little_endian", "binary_big_endian"])
@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_a_byte_order_mark_is_passed_over(tmp_path, encoding, end):
    path = tmp_path / "mesh.ply"
    head, mark, body = mixed_ply(encoding).partition(b"end_header\n")
    path.write_bytes(b"\xef\xbb\xbf" + (head + mark).replace(b"\n", end) + body)
    vertices, faces, colors, _ = read_ply(path)
    np.testing.assert_array_equal(vertices, POINTS)
    np.testing.assert_array_equal(faces, TRIANGLES)
    np.testing.assert_array_equal(colors, COLORS)
    assert ply_face_count(path) == 3


@pytest.mark.parametrize("ragged", [False, True])
@pytest.mark.parametrize("encoding", ["ascii", "binary_little_endian", "binary_big_endian"])
def test_colours_of_16_bits_in_every_encoding(tmp_path, encoding, ragged):
    """Where a list of the vertices differs in length, rows are read one by one."""
    colors = np.array([[65535, 32768, 0], [257, 514, 0], [128, 129, 65535]])
    head = f"ply\nformat {encoding} 1.0\nelement vertex 3\nproperty float x\nproperty float y\nproperty float z\n"
    head += "property ushort red\nproperty ushort green\nproperty ushort blue\nproperty list uchar uchar more\n"
    head += "element face 1\nproperty list uchar int vertex_indices\nend_header\n"
    lists = [[7] * (1 + ragged * i) for i in range(3)]
    if encoding == "ascii":
        rows = [
            " ".join(map(str, (i, i * i, 0, *c, len(more), *more)))
            for i, (c, more) in enumerate(zip(colors, lists, strict=True))
        ]
        body = "\n".join([*rows, "3 0 1 2"]).encode()
    else:
        order = "<" if "little" in encoding else ">"
        rows = [
            struct.pack(f"{order}3f3HB{len(more)}B", i, i * i, 0, *c, len(more), *more)
            for i, (c, more) in enumerate(zip(colors, lists, strict=True))
        ]
        body = b"".join([*rows, struct.pack(f"{order}B3i", 3, 0, 1, 2)])
    path = tmp_path / "mesh.ply"
    path.write_bytes(head.encode() + body)
    np.testing.assert_array_equal(read_ply(path)[2], [[255, 128, 0], [1, 2, 0], [0, 1, 255]])


def test_ascii_corners_beyond_their_type_are_kept(tmp_path):
    path = tmp_path / "mesh.ply"
    head = "ply\nformat ascii 1.0\nelement vertex 300\nproperty float x\nproperty float y\nproperty float z\n"
    head += "element face 1\nproperty list uchar uchar vertex_indices\nend_header\n"
    path.write_text(head + "0 0 0\n" * 300 + "3 0 256 299\n")
    np.testing.assert_array_equal(read_ply(path)[1], [[0, 256, 299]])


def small_ply(
    body: str = "0 0 0\n1 0 0\n0 1 0\n3 0 1 2\n", head: str = "", colors: str = "", index: str = "int"
) -> bytes:
    text = (
        f"ply\nformat ascii 1.0\n{head}element vertex 3\nproperty float x\nproperty float y\nproperty float z\n{colors}"
    )
    return f"{text}element face 1\nproperty list uchar {index} vertex_indices\nend_header\n{body}".encode()


@pytest.mark.parametrize("comment", ["comment by Åelement x", "obj_info \x0c property z", "comment\x1cformat"])
def test_comments_hold_any_bytes(tmp_path, comment):
    (tmp_path / "mesh.ply").write_bytes(small_ply(head=f"{comment}\n"))
    assert read_ply(tmp_path / "mesh.ply")[1].tolist() == [[0, 1, 2]]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (small_ply("0 0 0\n1 0 0\n0 1 0\n3 0 1.5 2\n", index="float"), "a face refers to a vertex that is not there"),
        (small_ply(head="element vertex 0\nproperty float x\n"), "repeats a property or an element"),
        (small_ply().replace(b"ascii 1.0", b"ascii 2.0"), "makes no sense: 'format ascii 2.0'"),
    ],
)
def test_what_could_be_read_in_two_ways_is_refused(tmp_path, data, message):
    (tmp_path / "mesh.ply").write_bytes(data)
    with pytest.raises(InputError, match=message):
        read_ply(tmp_path / "mesh.ply")


@pytest.mark.parametrize("kind", ["short", "ushort"])
def test_colours_of_8_bits_in_a_type_of_16(tmp_path, kind):
    colors = "".join(f"property {kind} {name}\n" for name in ("red", "green", "blue"))
    (tmp_path / "mesh.ply").write_bytes(
        small_ply("0 0 0 255 128 3\n1 0 0 0 1 2\n0 1 0 9 9 9\n3 0 1 2\n", colors=colors)
    )
    assert read_ply(tmp_path / "mesh.ply")[2].tolist() == [[255, 128, 3], [0, 1, 2], [9, 9, 9]]


@pytest.mark.parametrize("encoding", ["ascii", "binary_little_endian", "binary_big_endian"])
def test_rows_beyond_what_the_header_announces_are_named(tmp_path, encoding, recwarn):
    more = b"\n3 0 1 2\n" if encoding == "ascii" else b"\3\0\0\0\0\1\0\0\0"
    (tmp_path / "mesh.ply").write_bytes(mixed_ply(encoding) + more)
    with pytest.warns(InputWarning, match="holds more than its header announces .* which is left out"):
        faces = read_ply(tmp_path / "mesh.ply")[1]
    np.testing.assert_array_equal(faces, TRIANGLES)
    (tmp_path / "mesh.ply").write_bytes(mixed_ply(encoding) + b"\n\n")
    read_ply(tmp_path / "mesh.ply")
    assert not recwarn.list


def test_colours_as_floats_to_255_and_what_faces_have_besides(tmp_path):
    colors = "".join(f"property float {name}\n" for name in ("red", "green", "blue"))
    data = small_ply("0 0 0 255 128 2.6\n1 0 0 0 1 2\n0 1 0 9 9 9\n3 0 1 2 7 8 9 1\n", colors=colors)
    besides = "".join(f"property uchar {name}\n" for name in ("red", "green", "blue", "material_index"))
    data = data.replace(b"vertex_indices\n", f"vertex_indices\n{besides}".encode())
    (tmp_path / "mesh.ply").write_bytes(data)
    _, faces, read, _ = read_ply(tmp_path / "mesh.ply")
    assert faces.tolist() == [[0, 1, 2]] and read.tolist() == [[255, 128, 3], [0, 1, 2], [9, 9, 9]]
