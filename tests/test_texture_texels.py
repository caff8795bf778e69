"""Texels against a rasteriser that loops over faces, and against plain interpolation."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from painted_box import box
from painted_sheet import painted_sheet

from scenetex import unwrap
from scenetex.scene.mesh import Mesh
from scenetex.texture.atlas import Atlas
from scenetex.texture.texels import Texels, rasterize


def loop_rasterizer(atlas: Atlas) -> tuple[dict[int, int], dict[int, int]]:
    """Pixel to face for texel centres well inside a face, and for those inside or within a hair of its border."""
    inside, touching = {}, {}
    for face in np.flatnonzero(atlas.page >= 0):
        corners = atlas.uv[atlas.faces[face]].astype(float) * atlas.size
        d1, d2 = corners[1] - corners[0], corners[2] - corners[0]
        area = d1[0] * d2[1] - d1[1] * d2[0]
        if area == 0:
            continue
        low, high = np.floor(corners.min(0)).astype(int) - 1, np.ceil(corners.max(0)).astype(int) + 1
        for y in range(max(low[1], 0), min(high[1], atlas.size)):
            for x in range(max(low[0], 0), min(high[0], atlas.size)):
                p = np.array([x, y]) + 0.5 - corners[0]
                b = (p[0] * d2[1] - p[1] * d2[0]) / area
                c = (d1[0] * p[1] - d1[1] * p[0]) / area
                pixel = (int(atlas.page[face]) * atlas.size + atlas.size - 1 - y) * atlas.size + x
                if min(b, c, 1 - b - c) > 1e-4:
                    inside[pixel] = face
                if min(b, c, 1 - b - c) > -1e-4:
                    touching[pixel] = face
    return inside, touching


def check(mesh: Mesh, atlas: Atlas) -> Texels:
    texels = rasterize(atlas)
    inside, touching = loop_rasterizer(atlas)
    found = dict(zip(texels.pixel.tolist(), texels.face.tolist(), strict=True))
    assert len(found) == len(texels), "each texel once"
    assert {p: found.get(p) for p in inside} == inside
    assert set(found) <= set(touching)
    # Sorted by face, with the right starts.
    assert (np.diff(texels.face) >= 0).all()
    assert texels.start.shape == (len(mesh.faces) + 1,)
    for face in range(len(mesh.faces)):
        assert (texels.face[texels.start[face] : texels.start[face + 1]] == face).all()
    assert texels.start[-1] == len(texels)
    return texels


def centers(texels: Texels, atlas: Atlas) -> np.ndarray:
    """(n, 2) uv of the texels' centres."""
    row, column = np.divmod(texels.pixel % atlas.size**2, atlas.size)
    return np.stack([column + 0.5, atlas.size - row - 0.5], 1) / atlas.size


@pytest.mark.parametrize("dirty", [False, True])
@pytest.mark.parametrize("pages", [1, 3])
def test_it_agrees_with_a_loop(pages, dirty):
    sheet = painted_sheet(pages=pages, size=48, cells=4, dirty=dirty)
    texels = check(sheet.mesh, sheet.atlas)
    assert set(texels.pixel // 48**2) == set(range(pages))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 6), st.integers(1, 2))
def test_it_agrees_with_a_loop_on_any_triangles(seed, count, pages):
    """Triangles of all shapes, both orientations, each in a cell of its own."""
    rng = np.random.default_rng(seed)
    local = rng.uniform(0.01, 0.99, (count, 3, 2))
    cell = np.stack([np.arange(count) % 3, np.arange(count) // 3], 1)[:, None]
    uv = ((local + cell) / 3).astype(np.float32).reshape(-1, 2)
    faces = np.arange(3 * count).reshape(-1, 3)
    page = rng.integers(0, pages, count).astype(np.int32)
    atlas = Atlas(uv, faces, faces.ravel(), page, page, 33, pages, 1.0)
    if len(rasterized := rasterize(atlas)):
        check(Mesh(rng.normal(size=(3 * count, 3)), faces), atlas)
        np.testing.assert_allclose(rasterized.interpolate(uv[faces]), centers(rasterized, atlas), atol=2e-5)


def test_interpolated_uv_are_the_texel_centres():
    mesh = box()
    atlas = unwrap(mesh, 128)
    texels = rasterize(atlas)
    np.testing.assert_allclose(texels.interpolate(atlas.uv[atlas.faces]), centers(texels, atlas), atol=1e-5)
    some = np.array([5, 3, 100])
    np.testing.assert_array_equal(
        texels.interpolate(mesh.triangles, some), texels.interpolate(mesh.triangles)[some], "a selection, in its order"
    )


def test_interpolation_is_barycentric():
    sheet = painted_sheet(size=40, cells=3)
    texels = rasterize(sheet.atlas)
    points = texels.interpolate(sheet.mesh.triangles)
    for i in range(0, len(texels), 7):
        b, c = texels.bary[i].astype(float)
        corners = sheet.mesh.triangles[texels.face[i]]
        np.testing.assert_allclose(points[i], (1 - b - c) * corners[0] + b * corners[1] + c * corners[2], atol=1e-6)


@pytest.mark.parametrize("chosen", [[], [0], [3, 4, 9], list(range(32))])
def test_on_faces_equals_plain_interpolation(chosen):
    sheet = painted_sheet(size=40, cells=4)
    mesh, texels = sheet.mesh, rasterize(sheet.atlas)
    values = np.random.default_rng(0).normal(size=(len(mesh.vertices), 4)).astype(np.float32)
    index, got = texels.on_faces(np.array(chosen, np.int64), values, mesh.faces)
    expected = np.flatnonzero(np.isin(texels.face, chosen))
    np.testing.assert_array_equal(index, expected)
    assert got.shape == (len(expected), 4) and got.dtype == np.float32
    np.testing.assert_allclose(got, texels.interpolate(values[mesh.faces], expected), atol=1e-5)


def test_faces_between_texel_centres_have_no_texels():
    uv = np.array([[0.51, 0.51], [0.52, 0.51], [0.51, 0.52], [0.1, 0.1], [0.4, 0.1], [0.1, 0.4]], np.float32)
    faces = np.arange(6).reshape(2, 3)
    page = np.zeros(2, np.int32)
    texels = rasterize(Atlas(uv, faces, faces.ravel(), page, page, 16, 1, 1.0))
    np.testing.assert_array_equal(texels.start[:2], [0, 0])
    assert len(texels) == texels.start[2] > 0


def test_an_atlas_without_a_texel_gives_no_texels():
    uv = np.array([[0.51, 0.51], [0.52, 0.51], [0.51, 0.52]], np.float32)
    page = np.zeros(1, np.int32)
    mesh = Mesh(np.eye(3), np.array([[0, 1, 2]], np.int32))
    texels = rasterize(Atlas(uv, mesh.faces, mesh.faces.ravel(), page, page, 16, 1, 1.0))
    assert len(texels) == 0 and texels.bary.shape == (0, 2)
    index, values = texels.on_faces(np.array([0]), np.ones((3, 2), np.float32), mesh.faces)
    assert len(index) == 0 and values.shape == (0, 2)


def test_centres_on_shared_edges_belong_to_one_face():
    """Corners on texel centres: every edge, diagonals included, runs through centres."""
    n, size = 6, 32
    at = (np.arange(n + 1) * 3 + 4.5) / size
    x, y = np.meshgrid(at, at, indexing="ij")
    uv = np.stack([x.ravel(), y.ravel()], 1).astype(np.float32)
    a = (np.arange(n)[:, None] * (n + 1) + np.arange(n)).ravel()
    faces = np.concatenate([np.stack([a, a + n + 1, a + n + 2], 1), np.stack([a, a + n + 2, a + 1], 1)[:, [2, 0, 1]]])
    page = np.zeros(len(faces), np.int32)
    atlas = Atlas(uv, faces, np.arange(len(uv)), page, page, size, 1, 1.0)
    texels = rasterize(atlas)
    assert len(np.unique(texels.pixel)) == len(texels) == (3 * n) ** 2


def test_values_are_spread_over_the_pages_and_nothing_lies_elsewhere():
    mesh = box()
    atlas = unwrap(mesh, 64)
    texels = rasterize(atlas)
    pages = texels.spread(np.stack([texels.face + 1, -texels.face], 1), atlas)
    assert pages.shape == (atlas.pages, 64, 64, 2) and pages.dtype == texels.face.dtype
    assert np.array_equal(pages.reshape(-1, 2)[texels.pixel, 0], texels.face + 1)
    assert np.array_equal(pages[..., 0] > 0, texels.charted(atlas)) and texels.charted(atlas).sum() == len(texels)
