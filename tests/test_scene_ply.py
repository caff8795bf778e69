"""PLY files of every encoding come out as they went in; damaged ones are refused without reaching for memory."""

import struct

import numpy as np
import pytest
import trimesh
from hypothesis import example, given
from hypothesis import strategies as st
from tiny_scan import ROOM_FACES, ROOM_VERTICES, peak_bytes, write_ply

from scenetex import InputError
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
    vertices, faces, colors = read_ply(path)
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
    vertices, faces, colors = read_ply(path)
    np.testing.assert_allclose(vertices, ball.vertices, atol=1e-6)
    np.testing.assert_array_equal(faces, ball.faces)
    np.testing.assert_array_equal(colors, ball.visual.vertex_colors[:, :3])


def test_nan_vertices_and_windows_line_ends_pass(tmp_path):
    path = tmp_path / "mesh.ply"
    vertices = ROOM_VERTICES.copy()
    vertices[3] = np.nan
    write_ply(path, vertices)
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    read, faces, colors = read_ply(path)
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
            vertices, faces, _ = read_ply(path)
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
            vertices, faces, _ = read_ply(path)
            assert np.isnan(vertices[0, 0]) and faces.tolist() == [[0, 1, 2]]
