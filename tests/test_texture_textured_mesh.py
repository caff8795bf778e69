"""What a textured mesh offers its user: export by suffix, and trimesh."""

import numpy as np
import pytest
import trimesh
from painted_sheet import painted_sheet, true_color

from scenetex import InputError


@pytest.mark.parametrize("pages", [1, 3])
def test_trimesh_has_the_same_faces_and_colours(pages):
    textured = painted_sheet(pages, size=128, dirty=True, origin=(0, 0, 3))
    mesh = textured.to_trimesh()
    kept = textured.atlas.page >= 0
    assert isinstance(mesh, trimesh.Trimesh) and len(mesh.faces) == kept.sum()
    np.testing.assert_array_equal(mesh.triangles, textured.mesh.triangles[kept])
    uv = mesh.visual.uv[mesh.faces].mean(1)
    seen = trimesh.visual.color.uv_to_color(uv, mesh.visual.material.image)[:, :3]
    assert np.abs(seen - true_color(mesh.triangles_center)).max() < 4


@pytest.mark.parametrize("name", ["t.stl", "t", ".glb"])
def test_unknown_suffix_is_an_input_error(tmp_path, name):
    with pytest.raises(InputError, match=r"use \.glb, \.obj, \.ply, \.usd or \.usdz"):
        painted_sheet().export(tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_suffix_is_read_in_any_case(tmp_path):
    painted_sheet().export(str(tmp_path / "T.GLB"))
    assert (tmp_path / "T.GLB").read_bytes()[:4] == b"glTF"


def test_export_replaces_an_older_file(tmp_path):
    (tmp_path / "t.glb").write_bytes(b"old")
    painted_sheet().export(tmp_path / "t.glb")
    assert (tmp_path / "t.glb").read_bytes()[:4] == b"glTF"
    assert [p.name for p in tmp_path.iterdir()] == ["t.glb"]
