"""A mesh to collide with: few faces in the textured one's place, by the names that engines know."""

import numpy as np
import pytest
import trimesh
from exact_scans import needed
from khronos import issues_of
from painted_box import box

import scenetex
from scenetex import Mesh
from scenetex.scene.gltf_file import unpack_glb
from scenetex.texture.collision import NODE, collision_mesh, write_collision
from scenetex.texture.textured_mesh import TexturedMesh

UP = np.array([[1.0, 0, 0, 0], [0, 0, -1, 0], [0, 1, 0, 5], [0, 0, 0, 1]])


@pytest.fixture(autouse=True, scope="module")
def library():
    return needed("lods", "fast_simplification")


def fine_box(place=0.0) -> Mesh:
    mesh = box()
    vertices, faces = trimesh.remesh.subdivide_to_size(mesh.vertices, mesh.faces, 0.2)
    return Mesh(vertices + place, faces.astype(np.int32), axis_alignment=UP)


def test_it_is_the_surface_in_a_tenth_of_the_faces():
    mesh = fine_box()
    simple = collision_mesh(mesh)
    assert len(simple.faces) <= 0.11 * len(mesh.faces)
    for side in (np.min, np.max):
        np.testing.assert_allclose(side(simple.vertices, 0), side(mesh.vertices, 0), atol=1e-6)
    assert simple.face_areas.sum() == pytest.approx(mesh.face_areas.sum())
    assert len(collision_mesh(box()).faces) == 12


@pytest.mark.parametrize("place", [0.0, 1e6])
def test_the_glb_lies_where_the_textured_one_does(tmp_path, place):
    mesh = fine_box(place)
    write_collision(tmp_path / "c.glb", collision_mesh(mesh))
    document, _ = unpack_glb((tmp_path / "c.glb").read_bytes())
    assert NODE in [node.get("name") for node in document["nodes"]] and "images" not in document
    assert not [found for found in issues_of(tmp_path / "c.glb") if found["severity"] < 2]
    atlas = scenetex.unwrap(mesh, 64)
    TexturedMesh(mesh, atlas, (np.zeros((64, 64, 3), np.uint8),), (np.ones((64, 64), bool),)).export(tmp_path / "t.glb")
    ours, theirs = (scenetex.read_mesh(tmp_path / f"{name}.glb") for name in "ct")
    for side in (np.min, np.max):
        np.testing.assert_allclose(side(ours.vertices, 0), side(theirs.vertices, 0), atol=1e-5 + 1e-9 * place)


def test_in_usd_it_collides_and_is_not_drawn(tmp_path):
    needed("usd", "pxr.Usd", "pxr.UsdPhysics", "pxr.UsdValidation", "pxr.UsdSemantics")
    import pxr
    from test_texture_usd_writer import errors_of, painted

    mesh = fine_box()
    painted(mesh, scenetex.unwrap(mesh, 64)).export(tmp_path / "a.usd", collision=collision_mesh(mesh))
    stage = pxr.Usd.Stage.Open(str(tmp_path / "a.usd"))
    assert errors_of(pxr, stage) == []
    drawn, solid = (stage.GetPrimAtPath(f"/Scene/{name}") for name in ("Mesh", "Collision"))
    assert not drawn.HasAPI(pxr.UsdPhysics.CollisionAPI) and solid.HasAPI(pxr.UsdPhysics.MeshCollisionAPI)
    assert pxr.UsdGeom.Mesh(solid).GetPurposeAttr().Get() == "guide"
    bounds = [pxr.UsdGeom.Mesh(prim).GetExtentAttr().Get() for prim in (drawn, solid)]
    np.testing.assert_allclose(*map(np.array, bounds), atol=1e-6)
