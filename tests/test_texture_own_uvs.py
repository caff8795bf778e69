"""A mesh's own texture coordinates as an atlas: taken as they are, and what does not fit is named with its share."""

import numpy as np
import pytest
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st
from painted_box import box, photograph, pinhole, views_of, walk_around

import scenetex
from scenetex import Atlas, InputError, InputWarning
from scenetex.scene.mesh import Mesh
from scenetex.scene.uv_map import UvMap
from scenetex.texture.own_uvs import check_uvs, unchecked_layout

SQUARE = np.array([[0.0, 0], [1, 0], [1, 1], [0, 1]])


def quads(count: int, uv: np.ndarray, material=None) -> Mesh:
    """Unit squares side by side along x, with coordinates (count, 4, 2)."""
    corners = np.array([[0.0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]])
    vertices = (corners + np.arange(count)[:, None, None] * [2.0, 0, 0]).reshape(-1, 3)
    faces = (np.array([[0, 1, 2], [0, 2, 3]]) + 4 * np.arange(count)[:, None, None]).reshape(-1, 3).astype(np.int32)
    material = None if material is None else np.repeat(material, 2)
    return Mesh(vertices, faces, uv_map=UvMap.of(np.reshape(uv, (-1, 2)), faces.copy(), material))


def checked(mesh: Mesh):
    return check_uvs(mesh, unchecked_layout(mesh, 256))


def in_cell(column: float, row: float, side: float = 0.2) -> np.ndarray:
    return SQUARE * side + np.array([column, row]) * 0.25 + 0.01


def test_coordinates_rows_and_density_are_the_meshs_own():
    mesh = quads(2, [in_cell(0, 0), in_cell(1, 2)])
    atlas = Atlas.from_mesh(mesh, 200)
    np.testing.assert_array_equal(atlas.uv[atlas.faces], mesh.uv_map.uv[mesh.uv_map.corners].astype(np.float32))
    np.testing.assert_array_equal(atlas.vertices[atlas.faces], mesh.faces)
    assert atlas.is_own and atlas.pages == 1 and len(np.unique(atlas.chart)) == 2
    assert atlas.texels_per_metre == pytest.approx(0.2 * 200, rel=1e-5)


def test_each_material_and_each_tile_has_a_page():
    uv = in_cell(0, 0) + np.array([[0, 0], [1, 0], [0, 2], [0, 0]])[:, None]
    atlas = Atlas.from_mesh(quads(4, uv, [5, 5, 5, 7]), 64)
    assert atlas.tiles.tolist() == [[0, 0, 0], [0, 0, 2], [0, 1, 0], [1, 0, 0]]
    assert atlas.page.tolist() == [0, 0, 2, 2, 1, 1, 3, 3]
    assert (atlas.uv >= 0).all() and (atlas.uv <= 1).all()
    np.testing.assert_allclose((atlas.uv + atlas.offsets())[atlas.faces][:, 0], np.repeat(uv, 2, 0)[:, 0], atol=1e-6)


def test_what_fills_a_whole_tile_stays_on_it():
    atlas = Atlas.from_mesh(quads(2, [SQUARE, np.add(SQUARE, [1, 0])]), 64)
    assert atlas.tiles[:, 1:].tolist() == [[0, 0], [1, 0]] and np.ptp(atlas.uv, 0).tolist() == [1, 1]


@pytest.mark.parametrize(
    ("uv", "says"),
    [
        ([in_cell(0, 0), in_cell(0, 0), in_cell(2, 2), in_cell(1, 2)], r"overlap: 50 % of the surface"),
        ([in_cell(0, 0), in_cell(0.4, 0), in_cell(2, 2), in_cell(1, 2)], r"overlap: 25 % of the surface"),
        ([in_cell(0, 0), in_cell(1, 0), in_cell(2, 0), in_cell(3.5, 0)], "25 % of the surface reaches over the edge"),
        ([in_cell(0, 0), in_cell(1, 0), in_cell(2, 0), in_cell(0, -4)], "25 % of the surface lies outside 0 to 1"),
        (np.zeros((4, 4, 2)), "no face has an area"),
        (np.full((4, 4, 2), np.nan), "no face with area has any"),
    ],
)
def test_what_cannot_be_painted_is_refused_with_its_share(uv, says):
    with pytest.raises(InputError, match=says) as error:
        Atlas.from_mesh(quads(4, uv), 256)
    assert "--uvs auto" in str(error.value) and "\n" not in str(error.value)


def test_overlaps_that_nobody_sees_are_a_warning():
    """Blender's smart projection leaves such where charts are tiny."""
    mesh = quads(8, [in_cell(i % 4, i // 4) for i in (0, 1, 2, 3, 4, 5, 6, 6)])
    large, small = np.arange(4) * 4 + 2, np.arange(24, 32)
    mesh.vertices[large[:, None] + [0, 1]] += [0, 100.0, 0]
    mesh.vertices[small] *= [0.1, 0.1, 1]
    with pytest.warns(InputWarning, match=r"UVs: 0\.00\d+ % of the surface shares its texels with other parts"):
        assert Atlas.from_mesh(mesh, 256).pages == 1
    with pytest.raises(InputError, match="overlap: 25 % of the surface"):
        Atlas.from_mesh(quads(8, [in_cell(i % 4, i // 4) for i in (0, 1, 2, 3, 4, 5, 6, 6)]), 256)


def test_a_chart_folded_onto_itself_overlaps():
    mesh = quads(1, [SQUARE])
    mesh.uv_map.uv[3] = [0.9, 0.1]  # the second triangle lies on the first
    with pytest.raises(InputError, match="overlap"):
        Atlas.from_mesh(mesh, 256)


def test_charts_that_touch_do_not_overlap():
    uv = [SQUARE * 0.25 + [0.25 * (i % 4), 0.25 * (i // 4)] for i in range(16)]
    for size in (65, 64, 100):
        assert Atlas.from_mesh(quads(16, uv), size).pages == 1


@given(st.integers(0, 10_000), st.floats(0, 6.2))
@settings(max_examples=20, deadline=None)
def test_an_unwrapped_mesh_never_overlaps_and_a_shifted_chart_does(seed, turn):
    """Against the texels' own count: charts of new coordinates, turned by any angle, are sound."""
    uv = [in_cell(i % 4, i // 4, 0.17) - 0.5 for i in range(16)]
    way = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]) * 0.7
    uv = np.array(uv) @ way.T + 0.5
    assert checked(quads(16, uv)).overlapping == 0
    one, other = np.random.default_rng(seed).choice(16, 2, replace=False)
    uv[one] += uv[other, 0] - uv[one, 0]
    assert checked(quads(16, uv)).overlapping == pytest.approx(2 / 16, abs=0.01)


def test_faces_that_coincide_may_share_their_place():
    mesh = quads(1, [in_cell(0, 0)])
    both = np.concatenate([mesh.faces, mesh.faces[:, ::-1]])
    doubled = Mesh(mesh.vertices, both, uv_map=UvMap.of(mesh.uv_map.uv, both))
    assert Atlas.from_mesh(doubled, 64).page.tolist() == [0, 0, 0, 0]
    apart = np.concatenate([mesh.uv_map.uv, mesh.uv_map.uv + 0.5])
    uvs = UvMap.of(apart, np.concatenate([mesh.faces, mesh.faces[:, ::-1] + 4]))
    with pytest.warns(InputWarning, match="50 % of the surface coincides with faces that are painted"):
        Atlas.from_mesh(Mesh(mesh.vertices, both, uv_map=uvs), 64)


def test_what_is_painted_only_in_part_is_said():
    mesh = quads(4, [in_cell(0, 0), in_cell(1, 0), np.full((4, 2), 0.9), in_cell(2, 2, 1e-4)])
    mesh.uv_map.corners[:2] = -1
    with pytest.warns(InputWarning) as said:
        atlas = Atlas.from_mesh(mesh, 64)
    words = " / ".join(str(warning.message) for warning in said)
    assert words.count("25 % of the surface") == 3
    assert all(part in words for part in ("has no UVs", "has no area in its UVs", "too small for a texel of 64 x 64"))
    assert atlas.page.tolist() == [-1, -1, 0, 0, 0, 0, 0, 0]


def test_mirrored_charts_are_counted_and_painted():
    mesh = quads(2, [in_cell(0, 0), in_cell(1, 0) * [-1, 1] + [1, 0]])
    assert checked(mesh).mirrored == pytest.approx(0.5)
    assert Atlas.from_mesh(mesh, 64).pages == 1


def test_a_mesh_without_coordinates_is_refused():
    with pytest.raises(InputError, match="the mesh has none"):
        Atlas.from_mesh(box(), 64)
    with pytest.raises(InputError, match="size 8 is out of range"):
        Atlas.from_mesh(box(), 8)


def test_trimesh_brings_its_own_too():
    sheet = trimesh.Trimesh(np.pad(SQUARE, ((0, 0), (0, 1))), [[0, 1, 2], [0, 2, 3]], process=False)
    sheet.visual = trimesh.visual.TextureVisuals(uv=SQUARE * 0.5)
    assert Atlas.from_mesh(sheet, 100).texels_per_metre == pytest.approx(50)


def test_a_bake_into_own_coordinates_is_the_bake_into_new_ones():
    """The coordinates that `unwrap` gives, brought by the mesh itself, are painted to the same bytes."""
    mesh, size = box(), (64, 48)
    new = scenetex.unwrap(mesh, 128)
    brought = Mesh(mesh.vertices, mesh.faces, uv_map=UvMap.of(new.uv, new.faces))
    poses, k = walk_around(6), pinhole(size)
    views, photos = views_of(mesh, poses, k, size), photograph(mesh, poses, k, size)
    one, other = (scenetex.bake(mesh, atlas, views, photos) for atlas in (new, Atlas.from_mesh(brought, 128)))
    np.testing.assert_array_equal(one.textures[0], other.textures[0])


def test_turned_faces_take_their_coordinates_along():
    mesh = quads(2, [in_cell(0, 0), in_cell(1, 0)])
    turned = mesh.turned(np.array([True, False, False, True]))
    for vertex, uv in zip(turned.faces.ravel(), turned.uv_map.uv[turned.uv_map.corners.ravel()], strict=True):
        np.testing.assert_array_equal(mesh.uv_map.uv[vertex], uv)
    assert turned.faces.tolist()[0] == mesh.faces.tolist()[0][::-1]
