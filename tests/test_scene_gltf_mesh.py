"""GLB files: all meshes where their nodes put them, and no trust in what their JSON announces."""

import json
import struct

import numpy as np
import pytest
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_scan import peak_bytes

from scenetex import InputError
from scenetex.scene.gltf_mesh import read_glb


def glb(scene) -> bytes:
    return scene.export(file_type="glb")


def edited(data: bytes, edit) -> bytes:
    """The same GLB after `edit` of its JSON."""
    length = struct.unpack_from("<I", data, 12)[0]
    header = json.loads(data[20 : 20 + length])
    edit(header)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 4)
    rest = data[20 + length :]
    return struct.pack("<4sIIII", b"glTF", 2, 20 + len(text) + len(rest), len(text), 0x4E4F534A) + text + rest


@pytest.fixture(scope="module")
def box() -> bytes:
    return glb(trimesh.Scene(trimesh.creation.box()))


def test_one_mesh_comes_out_as_it_went_in(tmp_path):
    ball = trimesh.creation.icosphere(subdivisions=2)
    colors = np.random.default_rng(0).integers(0, 255, (len(ball.vertices), 4), np.uint8)
    ball.visual.vertex_colors = colors
    path = tmp_path / "ball.glb"
    path.write_bytes(glb(trimesh.Scene(ball)))
    vertices, faces, read, _ = read_glb(path)
    np.testing.assert_array_equal(vertices, ball.vertices.astype(np.float32))
    np.testing.assert_array_equal(faces, ball.faces)
    np.testing.assert_array_equal(read, colors[:, :3])


def test_nodes_move_their_meshes_and_mirrors_keep_the_outside_out(tmp_path):
    scene = trimesh.Scene()
    shift = trimesh.transformations.translation_matrix([5, 0, 0])
    scene.add_geometry(trimesh.creation.box(), geom_name="box", node_name="shifted", transform=shift)
    scene.graph.update(frame_to="mirrored", geometry="box", matrix=np.diag([-2.0, 1, 1, 1]))
    path = tmp_path / "two.glb"
    path.write_bytes(glb(scene))
    vertices, faces, *_ = read_glb(path)
    assert vertices.shape == (16, 3) and faces.shape == (24, 3)
    # Both boxes come out with their surface turned outwards: their volumes are positive.
    volumes = [trimesh.Trimesh(vertices, half, process=False).volume for half in (faces[:12], faces[12:])]
    np.testing.assert_allclose(sorted(volumes), [1, 2], atol=1e-6)
    assert {4.5, 5.5, -1, 1} == set(np.round(vertices[:, 0], 6))


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda h: h["accessors"][0].update(count=4_000_000_000), "not a GLB 2.0 file"),
        (lambda h: h["accessors"][0].update(count=-1), "not a GLB 2.0 file"),
        (lambda h: h["accessors"][1].pop("bufferView"), "holds no positions"),
        (lambda h: h["accessors"][1].update(count=2), "a face refers to a vertex that is not there"),
        (lambda h: h["buffers"][0].update(uri="other.bin"), "refers to other files"),
        (lambda h: h["buffers"][0].update(uri="file:///etc/hostname"), "refers to other files"),
        (lambda h: h["buffers"][0].update(uri=7), "not a readable GLB"),
        (
            lambda h: (
                h["meshes"][0]["primitives"][0].update(extensions={"KHR_draco_mesh_compression": {}})
                or h["accessors"][1].pop("bufferView")
            ),
            "Draco-compressed .KHR_draco_mesh_compression., .* npx @gltf-transform/cli copy box.glb",
        ),
        (lambda h: h["bufferViews"][0].update(byteLength=1 << 40), "not a GLB 2.0 file"),
        (lambda h: h["bufferViews"][0].update(byteOffset=1 << 40), "not a readable GLB"),
        (lambda h: h["nodes"][0].update(matrix=[1, 2]), "not a readable GLB"),
        (
            lambda h: h.update(
                nodes=[{"children": list(range(1, 99)), "name": "world"}, *({"mesh": 0} for _ in range(98))],
                scenes=[{"nodes": [0]}],
            ),
            "repeats its meshes too often",
        ),
    ],
)
def test_json_that_lies_is_refused(tmp_path, box, edit, message):
    path = tmp_path / "box.glb"
    path.write_bytes(edited(box, edit))

    def refused():
        with pytest.raises(InputError, match=message) as caught:
            read_glb(path)
        assert "box.glb" in str(caught.value) and "\n" not in str(caught.value)

    assert peak_bytes(refused) < 20_000_000


def test_nodes_in_a_circle_end(tmp_path, box):
    def circle(header):
        header.update(nodes=[{"children": [1], "name": "a"}, {"children": [0], "name": "b", "mesh": 0}])
        header.update(scenes=[{"nodes": [0]}])

    path = tmp_path / "box.glb"
    path.write_bytes(edited(box, circle))
    try:
        assert len(read_glb(path)[1]) == 12
    except InputError:
        pass


@pytest.mark.parametrize("cut", [0, 3, 19, 40, 300])
def test_short_files_are_refused(tmp_path, box, cut):
    path = tmp_path / "box.glb"
    path.write_bytes(box[:cut])
    with pytest.raises(InputError, match="cut short"):
        read_glb(path)


@settings(max_examples=60)
@given(edits=st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), max_size=6))
def test_mutated_files_give_a_mesh_or_an_input_error(tmp_path_factory, box, edits):
    data = bytearray(box)
    for at, value in edits:
        data[at % len(data)] = value
    path = tmp_path_factory.getbasetemp() / "fuzzed.glb"
    path.write_bytes(data)
    try:
        vertices, faces, *_ = read_glb(path)
        assert vertices.shape[1] == faces.shape[1] == 3
    except InputError as error:
        assert "fuzzed.glb" in str(error)


@pytest.mark.parametrize(
    "edit",
    [
        # Every view is a copy of its bytes.
        lambda h: h["bufferViews"].extend([{"buffer": 0, "byteLength": h["buffers"][0]["byteLength"]}] * 2000),
        # Accessors without bytes are zeros.
        lambda h: h["accessors"].extend([{"componentType": 5126, "type": "MAT4", "count": 50_000}] * 200),
        # Rows that overlap.
        lambda h: (
            h["bufferViews"].append({"buffer": 0, "byteLength": 600, "byteStride": 1}),
            h["accessors"].extend(
                [{"bufferView": 2, "componentType": 5126, "type": "MAT4", "count": 530, "byteOffset": 0}] * 500
            ),
        ),
        # Every primitive is a mesh of its own, with its own copy of the vertices.
        lambda h: h["meshes"][0].update(primitives=h["meshes"][0]["primitives"] * 3000),
        lambda h: h.update(nodes=[{"mesh": 0, "children": [i + 1]} for i in range(3000)] + [{}], scene=0),
        lambda h: h.update(nodes=[{"children": [i + 1]} for i in range(3000)] + [{"mesh": 0}], scene=0),
    ],
)
def test_few_bytes_that_become_many_are_refused(tmp_path, edit):
    path = tmp_path / "ball.glb"
    path.write_bytes(edited(glb(trimesh.Scene(trimesh.creation.icosphere(subdivisions=4))), edit))
    size = path.stat().st_size

    def refused():
        with pytest.raises(InputError, match=r"ball\.glb: (not a GLB|repeats its meshes|has too many parts)"):
            read_glb(path)

    assert peak_bytes(refused) < 20 * size + 1_000_000


def test_shared_vertices_and_chairs_at_many_places_pass(tmp_path):
    """What modellers and game engines export: one mesh at 60 places, in groups within groups."""
    scene = trimesh.Scene(trimesh.creation.box())
    path = tmp_path / "chairs.glb"
    path.write_bytes(
        edited(
            glb(scene),
            lambda h: h.update(
                nodes=[
                    {"mesh": 0, "translation": [i, 0, 0], **({"children": [i + 1]} if i < 59 else {})}
                    for i in range(60)
                ],
                scenes=[{"nodes": [0]}],
            ),
        )
    )
    vertices, faces, *_ = read_glb(path)
    assert faces.shape == (60 * 12, 3)
    np.testing.assert_allclose(vertices[:, 0].max(), 0.5 + sum(range(60)))
