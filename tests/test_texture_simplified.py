"""Textured meshes in fewer faces: what the texture shows stays where it is, to a grey level; borders stay, too."""

from dataclasses import replace

import numpy as np
import pytest
import trimesh
from exact_scans import needed
from hypothesis import given, settings
from hypothesis import strategies as st
from painted_box import box, smooth_color, texel_points

import scenetex
from scenetex import InputError, Mesh
from scenetex.texture.fill import pad
from scenetex.texture.nearest_surface import NearestSurface, nearest_in_triangles
from scenetex.texture.simplify import simplify, surface_of
from scenetex.texture.textured_mesh import TexturedMesh
from scenetex.texture.transfer import samples_for


@pytest.fixture(autouse=True, scope="module")
def library():
    return needed("lods", "fast_simplification")


def sheet(across: int = 41, width: float = 2.0, height: float = 1.0) -> Mesh:
    """A flat sheet of many faces, one vertex a corner of several."""
    places = np.stack(
        np.meshgrid(np.linspace(0, width, across), np.linspace(0, height, across), indexing="ij"), -1
    ).reshape(-1, 2)
    i = np.arange(across**2).reshape(across, across)
    a, b, c, d = i[:-1, :-1].ravel(), i[1:, :-1].ravel(), i[1:, 1:].ravel(), i[:-1, 1:].ravel()
    faces = np.concatenate([np.stack([a, b, c], 1), np.stack([a, c, d], 1)])
    return Mesh(np.c_[places, np.zeros(len(places))], faces.astype(np.int32))


def fine_box(longest: float = 0.1) -> Mesh:
    """The room in small faces."""
    mesh = box()
    vertices, faces = trimesh.remesh.subdivide_to_size(mesh.vertices, mesh.faces, longest)
    return Mesh(vertices, faces.astype(np.int32))


def painted(mesh: Mesh, size: int = 512, color=smooth_color, **options) -> TexturedMesh:
    """Each texel has the colour of its middle, exactly; the first half of the rows is covered."""
    atlas = scenetex.unwrap(mesh, size, **options)
    pixel, points = texel_points(mesh, atlas)
    stack = np.zeros((atlas.pages * size**2, 3), np.uint8)
    stack[pixel] = np.rint(color(points))
    on = np.zeros(len(stack), bool)
    on[pixel] = True
    pages, masks = stack.reshape(-1, size, size, 3), on.reshape(-1, size, size)
    return TexturedMesh(
        mesh, atlas, tuple(pad(p, m) for p, m in zip(pages, masks, strict=True)), tuple(masks), len(pixel)
    )


def misses(found: TexturedMesh, color=smooth_color) -> np.ndarray:
    """(n,) how many grey levels each texel is off the truth at its middle."""
    pixel, points = texel_points(found.mesh, found.atlas)
    shown = np.stack(found.textures).reshape(-1, 3)[pixel]
    return np.abs(shown - color(points)).max(1)


@pytest.mark.parametrize("make", [sheet, fine_box])
def test_texels_show_the_truth(make):
    """Half a texel beside would be up to 3 grey levels off: the colour runs 2 levels to the centimetre."""
    mesh = make()
    full = painted(mesh)
    coarse = full.simplified(faces=40, texture_size=512)
    assert len(coarse.mesh.faces) <= 44
    away = misses(coarse)
    assert np.quantile(away, 0.99) <= 1.01 and away.max() < 3


def test_half_a_texel_would_be_noticed():
    full = painted(sheet())
    moved = replace(full, textures=tuple(np.roll(page, 1, axis=1) for page in full.textures))
    assert np.median(misses(moved.simplified(faces=40))) > 0.4 > np.median(misses(full.simplified(faces=40)))


def test_a_coarser_texel_has_the_mean_of_what_it_covers():
    """Stripes far finer than its texels are grey, without a pattern."""

    def stripes(points):
        return np.repeat(np.where(np.floor(points[:, :1] * 100) % 2 == 0, 0.0, 200.0), 3, axis=1)

    full = painted(sheet(), 1024, stripes)
    coarse = full.simplified(faces=10, texture_size=64)
    pixel, points = texel_points(coarse.mesh, coarse.atlas)
    inside = ((points[:, :2] > 0.1) & (points[:, :2] < [1.9, 0.9])).all(1)
    shown = coarse.textures[0].reshape(-1, 3)[pixel[inside]].astype(float)
    assert abs(shown.mean() - 100) < 3 and shown.std() < 20  # a texel covers three stripes: one more or less is 33
    assert np.abs(full.textures[0][full.coverage[0]].astype(float) - 100).mean() > 80


@pytest.mark.parametrize("faces", [4, 10, 100, 1000])
def test_open_borders_stay(faces):
    mesh = sheet()
    simple = simplify(surface_of(mesh)[0], faces)
    assert simple.face_areas.sum() == pytest.approx(2.0) and len(simple.faces) <= max(faces * 1.1, 4)
    np.testing.assert_allclose(np.ptp(simple.vertices, axis=0), [2, 1, 0], atol=1e-9)


def test_a_hole_keeps_its_size_where_the_library_alone_lets_it_grow(library):
    mesh = sheet()
    middle = mesh.triangles.mean(1)
    holed = Mesh(mesh.vertices, mesh.faces[np.hypot(middle[:, 0] - 1, middle[:, 1] - 0.5) > 0.3])
    area = holed.face_areas.sum()
    surface, _ = surface_of(holed)
    ours = simplify(surface, 60)
    points, faces = library.simplify(surface.vertices, surface.faces, target_count=60)[:2]
    alone = Mesh(points.astype(float), faces.astype(np.int32)).face_areas.sum()
    assert abs(ours.face_areas.sum() - area) < 0.02 * area < abs(alone - area)


def test_soup_and_twins_are_one_surface():
    """Faces with corners of their own, and each twice: as if they were welded."""
    mesh = sheet(21)
    soup = Mesh(np.tile(mesh.triangles.reshape(-1, 3), (2, 1)), np.arange(6 * len(mesh.faces)).reshape(-1, 3))
    surface, origin = surface_of(soup)
    assert len(surface.faces) == len(mesh.faces) == len(np.unique(origin % len(mesh.faces)))
    assert simplify(surface, 20).face_areas.sum() == pytest.approx(2.0)


@pytest.mark.parametrize("unit", [1e-3, 1.0, 1e3])
@pytest.mark.parametrize("place", [0.0, 1e6])
def test_far_and_small_and_large(unit, place):
    mesh = sheet(21)
    if unit < 1 and place:
        pytest.skip("float64 itself is coarse there")
    moved = Mesh(mesh.vertices * unit + place, mesh.faces, axis_alignment=np.diag([1.0, -1, -1, 1]))

    def color(points):
        return smooth_color((points - place) / unit)

    coarse = painted(moved, 256, color).simplified(faces=20)
    assert np.quantile(misses(coarse, color), 0.99) <= 1.1
    assert coarse.mesh.vertices.dtype == np.float64 and coarse.mesh.axis_alignment[1, 1] == -1
    np.testing.assert_allclose(np.ptp(coarse.mesh.vertices, axis=0), np.array([2, 1, 0]) * unit, atol=1e-6 * unit)


def test_no_more_faces_than_there_are_is_the_mesh_itself():
    full = painted(box(), 128)
    assert full.simplified(faces=12) is full
    other = full.simplified(faces=10**6, texture_size=64)
    assert len(other.mesh.faces) == 12 and other.atlas.size == 64


@pytest.mark.parametrize("faces", [0, 3, -1, 4.0, None, True, "10"])
def test_values_that_are_none(faces):
    with pytest.raises(InputError, match="faces"):
        painted(box(), 64).simplified(faces=faces)


def test_one_face_and_faces_without_area():
    one = Mesh(
        np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [np.nan, 0, 0]]), np.array([[0, 1, 2], [0, 0, 1], [0, 1, 3]])
    )
    full = painted(one, 64)
    assert full.simplified(faces=4) is full
    again = full.simplified(faces=4, texture_size=128)
    assert len(again.mesh.faces) == 1 and np.quantile(misses(again), 0.95) < 3
    with pytest.raises(InputError, match="no face"):
        surface_of(Mesh(one.vertices, one.faces[1:]))


def odd(name: str) -> Mesh:
    """Meshes that no scanner should leave."""
    rng = np.random.default_rng(0)
    ball = Mesh.of(trimesh.creation.icosphere(3))
    if name == "tangle":
        return Mesh(rng.normal(size=(30, 3)), rng.integers(0, 30, (200, 3)).astype(np.int32))
    if name == "scattered":
        return Mesh(rng.normal(size=(300, 3)), np.arange(300).reshape(-1, 3).astype(np.int32))
    if name == "astray":
        places = np.concatenate([ball.vertices, [[1e5, 0, 0], [np.nan, 0, 0], [np.inf, 0, 0]]])
        count = len(ball.vertices)
        more = [[0, 1, count], [0, 1, count + 1], [3, 4, count + 2], [5, 5, 6]]
        return Mesh(places, np.concatenate([ball.faces, more]).astype(np.int32))
    steps = np.arange(50.0)
    line = np.stack([steps / 50, 0 * steps, 0 * steps], 1) + rng.normal(size=(50, 3)) * 1e-5
    return Mesh(line, (np.arange(48)[:, None] + np.arange(3)).astype(np.int32))


@pytest.mark.parametrize("faces", [4, 20, 90])
@pytest.mark.parametrize("name", ["tangle", "scattered", "astray", "line"])
def test_odd_meshes_come_back_in_one_colour(tmp_path, name, faces):
    full = painted(odd(name), 128, lambda points: np.full((len(points), 3), 77.0))
    coarse = full.simplified(faces=faces, texture_size=64, normal_maps=True)
    assert 0 < len(coarse.mesh.faces) <= len(full.mesh.faces) and np.isfinite(coarse.mesh.vertices).all()
    if coarse.texels:  # charts of the line are narrower than a texel
        assert (np.stack(coarse.textures) == 77).all()
    coarse.export(tmp_path / "a.glb")
    coarse.simplified(faces=4)


def test_what_was_seen_and_generated_comes_along():
    full = painted(sheet(), 256)
    _, points = texel_points(full.mesh, full.atlas)
    pixel = texel_points(full.mesh, full.atlas)[0]
    seen, made = (np.zeros(256**2, bool) for _ in range(2))
    seen[pixel], made[pixel] = points[:, 0] < 1.5, points[:, 0] < 0.5
    full = replace(full, coverage=(seen.reshape(256, 256),), generated=(made.reshape(256, 256),))
    coarse = full.simplified(faces=20)
    pixel, points = texel_points(coarse.mesh, coarse.atlas)
    assert coarse.texels == len(pixel)
    assert (coarse.coverage[0].ravel()[pixel] == (points[:, 0] < 1.5)).mean() > 0.99
    assert (coarse.generated[0].ravel()[pixel] == (points[:, 0] < 0.5)).mean() > 0.99


def test_orientation_stays():
    coarse = painted(fine_box(0.3), 128).simplified(faces=60)
    inwards = coarse.mesh.vertices.mean(0) - coarse.mesh.triangles.mean(1)
    assert (np.einsum("ij,ij->i", coarse.mesh.face_normals, inwards) > 0).all()


@pytest.mark.parametrize("suffix", ["glb", "obj", "ply"])
def test_all_writers_take_it(tmp_path, suffix):
    coarse = painted(fine_box(0.3), 128).simplified(faces=60)
    coarse.export(tmp_path / f"a.{suffix}")
    assert len(scenetex.read_mesh(tmp_path / f"a.{suffix}").faces) == len(coarse.mesh.faces)


def test_several_pages():
    full = painted(fine_box(0.3), 128, texels_per_metre=30.0)
    assert full.atlas.pages > 1
    coarse = full.simplified(faces=60, texels_per_metre=30.0)
    assert coarse.atlas.pages > 1 and np.quantile(misses(coarse), 0.98) < 3


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=30, deadline=None)
def test_nearest_in_a_triangle_is_none_farther_than_any_other_point(seed):
    rng = np.random.default_rng(seed)
    triangle, point = rng.normal(size=(3, 3)), rng.normal(size=3) * 3
    weights, away = nearest_in_triangles(triangle[None], point[None])
    some = rng.dirichlet(np.ones(3), 2000)
    some[:300, 0] = 0
    some[:300] /= some[:300].sum(1, keepdims=True)
    least = np.linalg.norm(some @ triangle - point, axis=1).min()
    assert away[0] <= least + 1e-9 and least - away[0] < 0.2
    assert (weights >= -1e-12).all() and weights.sum() <= 1 + 1e-12


def test_the_nearest_surface_is_what_turns_alike():
    """Both sides of a thin board, nearer to the other one; and what no ray meets."""
    board = Mesh.of(trimesh.creation.box((1, 1, 0.02)))
    surface = Mesh(board.vertices, board.faces)
    nearest = NearestSurface(surface)
    points = np.array([[0.1, 0.2, -0.004], [0.1, 0.2, 0.004], [0.1, 0.2, 0.012], [0.7, 0.3, 0.01]])
    face, weights = nearest.find(points, np.tile([0.0, 0, 1], (4, 1)), 0.1)
    corners = surface.triangles[face]
    place = corners[:, 0] + np.einsum("ni,nic->nc", weights, corners[:, 1:] - corners[:, :1])
    np.testing.assert_allclose(place[:3], [[0.1, 0.2, 0.01]] * 3, atol=1e-6)
    np.testing.assert_allclose(place[3], [0.5, 0.3, 0.01], atol=1e-6)


def test_samples_leave_no_texel_out():
    assert [samples_for(fine, 100.0) for fine in (50, 100, 105, 150, 200, 201, 390)] == [1, 1, 1, 2, 2, 2, 4]
