"""OBJ: the input's vertices to the last bit, the input's face order, the right colours after reloading."""

import time

import numpy as np
import pytest
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from painted_sheet import painted_sheet, true_color
from PIL import Image

from scenetex import InputError
from scenetex.scene.mesh import Mesh
from scenetex.texture.atlas import Atlas
from scenetex.texture.obj_writer import write_obj


def read_obj(path):
    """Vertices, uv, faces (f, 3, 2) zero-based, and material of each face, by the format's plain reading."""
    vertices, uv, faces, materials, material = [], [], [], [], None
    for line in path.read_text().splitlines():
        key, *rest = line.split()
        if key == "v":
            vertices.append([float(t) for t in rest])
        elif key == "vt":
            uv.append([float(t) for t in rest])
        elif key == "usemtl":
            material = rest[0]
        elif key == "f":
            faces.append([[int(t) - 1 for t in corner.split("/")] for corner in rest])
            materials.append(material)
    return np.array(vertices), np.array(uv), np.array(faces), materials


@pytest.mark.parametrize("pages", [1, 3])
def test_reloads_in_trimesh_with_the_right_colours(tmp_path, pages):
    painted_sheet(pages).export(tmp_path / "sheet.obj")
    loaded = trimesh.load(tmp_path / "sheet.obj")
    parts = loaded.geometry.values() if isinstance(loaded, trimesh.Scene) else [loaded]
    assert sum(len(part.faces) for part in parts) == 72 * pages
    for part in parts:
        uv = part.visual.uv[part.faces].mean(1)
        seen = trimesh.visual.color.uv_to_color(uv, part.visual.material.image)[:, :3]
        # Nearest lookup: half a texel, at most 200 / (0.6 * 64) / 2 levels per axis.
        assert np.abs(seen - true_color(part.triangles_center)).max() < 6


def test_input_comes_out_exactly_with_only_bad_faces_gone(tmp_path):
    textured = painted_sheet(pages=2, dirty=True, origin=(1234.56789012345, -0.1, 1e-7))
    textured.export(tmp_path / "scan.obj")
    vertices, uv, faces, materials = read_obj(tmp_path / "scan.obj")
    mesh, atlas = textured.mesh, textured.atlas
    finite = np.isfinite(mesh.vertices).all(1)
    assert len(vertices) == len(mesh.vertices)
    np.testing.assert_array_equal(vertices[finite], mesh.vertices[finite])
    np.testing.assert_array_equal(vertices[~finite], mesh.vertices[:1])
    kept = atlas.page >= 0
    np.testing.assert_array_equal(faces[:, :, 0], mesh.faces[kept])
    np.testing.assert_array_equal(uv[faces[:, :, 1]].astype(np.float32), atlas.uv[atlas.faces[kept]])
    assert materials == [f"page_{p}" for p in atlas.page[kept]]


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_any_mesh_reads_back(tmp_path_factory, data):
    n = data.draw(st.integers(3, 12))
    f = data.draw(st.integers(1, 9))
    pages = data.draw(st.integers(1, 3))
    number = st.floats(allow_nan=False, allow_infinity=False, width=64)
    vertices = data.draw(hnp.arrays(np.float64, (n, 3), elements=number))
    faces = data.draw(hnp.arrays(np.int32, (f, 3), elements=st.integers(0, n - 1)))
    page = data.draw(hnp.arrays(np.int32, f, elements=st.integers(-1, pages - 1)))
    page[data.draw(st.integers(0, f - 1))] = 0
    uv = data.draw(hnp.arrays(np.float32, (3 * f, 2), elements=st.floats(0, 1, width=32)))
    rows = np.arange(3 * f, dtype=np.int32).reshape(f, 3)
    atlas = Atlas(uv, np.where(page[:, None] < 0, -1, rows), faces.ravel(), page, page, 4, pages, 1.0)
    black = tuple(np.zeros((4, 4, 3), np.uint8) for _ in range(pages))
    path = tmp_path_factory.mktemp("obj") / "any.obj"
    write_obj(path, Mesh(vertices, faces), atlas, black)
    got_vertices, got_uv, got_faces, materials = read_obj(path)
    np.testing.assert_array_equal(got_vertices, vertices)
    np.testing.assert_array_equal(got_uv.astype(np.float32), uv)
    np.testing.assert_array_equal(got_faces[:, :, 0], faces[page >= 0])
    np.testing.assert_array_equal(got_faces[:, :, 1], rows[page >= 0])
    assert materials == [f"page_{p}" for p in page if p >= 0]


@pytest.mark.parametrize("name", ["my room (1).obj", "-o.obj", "raum\u00e4.obj", "..hidden.obj", "a#b;c.obj"])
def test_file_names_inside_are_safe_and_found(tmp_path, name):
    painted_sheet().export(tmp_path / name)
    library = (tmp_path / name).read_text().splitlines()[0].removeprefix("mtllib ")
    image = (tmp_path / library).read_text().split("map_Kd ")[1].strip()
    for inner in (library, image):
        assert (tmp_path / inner).is_file()
        assert not set(inner) & set(" \\/#;()") and inner[0] not in "-."
    assert len(list(tmp_path.iterdir())) == 3


def test_png_pages_are_lossless(tmp_path):
    textured = painted_sheet(pages=2)
    textured.export(tmp_path / "t.obj")
    for page in range(2):
        np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / f"t_{page}.png")), textured.textures[page])


def test_no_face_to_export_is_an_input_error(tmp_path):
    textured = painted_sheet()
    textured.atlas.page[:] = -1
    with pytest.raises(InputError, match="no face with area"):
        textured.export(tmp_path / "t.obj")
    assert not list(tmp_path.iterdir())


def test_large_meshes_are_written_quickly(tmp_path):
    # 720,000 faces take 1.4 s of one core; np.savetxt would take 20.
    textured = painted_sheet(cells=600)
    start = time.process_time()
    textured.export(tmp_path / "large.obj")
    assert time.process_time() - start < 6
