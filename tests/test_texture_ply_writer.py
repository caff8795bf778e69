"""PLY with a colour for each vertex; WebP inside a GLB."""

import io
from dataclasses import replace

import numpy as np
import pytest
from painted_box import box, photograph, pinhole, smooth_color, views_of, walk_around
from PIL import Image

import scenetex
from scenetex import read_mesh
from scenetex.scene.gltf_file import unpack_glb


@pytest.fixture(scope="module")
def painted():
    """The box in smaller faces, painted by photos from all around."""
    import trimesh

    fine = box()
    vertices, faces = trimesh.remesh.subdivide_to_size(fine.vertices, fine.faces, 0.4)
    mesh, size = scenetex.Mesh(vertices, faces.astype(np.int32)), (128, 96)
    k, poses = pinhole(size), walk_around(12)
    return scenetex.bake(
        mesh, scenetex.unwrap(mesh, 512), views_of(mesh, poses, k, size), photograph(mesh, poses, k, size)
    )


def test_vertices_have_the_colours_of_their_places(painted, tmp_path):
    painted.export(tmp_path / "a.ply")
    found = read_mesh(tmp_path / "a.ply")
    np.testing.assert_array_equal(found.vertices, painted.mesh.vertices)
    np.testing.assert_array_equal(found.faces, painted.mesh.faces)
    away = np.abs(found.colors - smooth_color(found.vertices)).max(1)
    assert np.median(away) < 4 and np.quantile(away, 0.9) < 12


def test_what_is_not_there_is_left_out_or_grey(painted, tmp_path):
    places = np.concatenate([painted.mesh.vertices, [[np.nan, 0, 0], [0.1, 0.1, 1 / 3]]])
    faces = np.concatenate([painted.mesh.faces, [[0, 1, len(places) - 2]]]).astype(np.int32)
    mesh = scenetex.Mesh(places, faces)
    more = {name: np.concatenate([getattr(painted.atlas, name), [-1]]) for name in ("page", "chart")}
    atlas = replace(painted.atlas, faces=np.concatenate([painted.atlas.faces, [[-1, -1, -1]]]), **more)
    replace(painted, mesh=mesh, atlas=atlas).export(tmp_path / "a.ply")
    found = read_mesh(tmp_path / "a.ply")
    assert len(found.faces) == len(faces) - 1 and len(found.vertices) == len(places)
    assert found.vertices[-1].tolist() == places[-1].tolist() and found.colors[-1].tolist() == [128] * 3


def test_webp_is_smaller_declared_and_shows_the_page(painted, tmp_path):
    painted.export(tmp_path / "a.glb", texture_format="webp")
    painted.export(tmp_path / "b.glb", texture_format="png")
    header, chunk = unpack_glb((tmp_path / "a.glb").read_bytes())
    assert header["extensionsRequired"] == ["EXT_texture_webp"] and "EXT_texture_webp" in header["extensionsUsed"]
    (texture,), (image,) = header["textures"], header["images"]
    assert texture == {"sampler": 0, "extensions": {"EXT_texture_webp": {"source": 0}}}
    assert image["mimeType"] == "image/webp"
    view = header["bufferViews"][image["bufferView"]]
    data = chunk[view["byteOffset"] : view["byteOffset"] + view["byteLength"]]
    page = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    assert np.abs(page.astype(int) - painted.textures[0]).mean() < 3
    assert (tmp_path / "a.glb").stat().st_size < (tmp_path / "b.glb").stat().st_size
