"""Unwrapping: clean layouts from dirty meshes, in the mesh's own faces and order."""

import numpy as np
import pytest
from painted_box import box
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from scenetex import InputError, unwrap
from scenetex.scene.mesh import Mesh
from scenetex.texture.atlas import Atlas
from scenetex.texture.texels import rasterize
from scenetex.texture.twins import first_of_twins
from scenetex.texture.weld import weld

PACKERS = ("uvunwrap", "xatlas")


def bumpy_sheet(cells: int = 8, at=(0.0, 0.0, 0.0), seed: int = 0) -> Mesh:
    """A hilly square of 2 * cells ** 2 faces."""
    x, y = np.meshgrid(np.linspace(0, 1, cells + 1), np.linspace(0, 1, cells + 1), indexing="ij")
    z = 0.15 * np.sin(5 * x + seed) * np.cos(4 * y)
    a = (np.arange(cells)[:, None] * (cells + 1) + np.arange(cells)).ravel()
    faces = np.concatenate([np.stack([a, a + cells + 1, a + cells + 2], 1), np.stack([a, a + cells + 2, a + 1], 1)])
    return Mesh(np.stack([x.ravel(), y.ravel(), z.ravel()], 1) + at, faces.astype(np.int32))


def together(*meshes: Mesh) -> Mesh:
    starts = np.cumsum([0] + [len(m.vertices) for m in meshes[:-1]])
    faces = np.concatenate([m.faces + s for m, s in zip(meshes, starts, strict=True)])
    return Mesh(np.concatenate([m.vertices for m in meshes]), faces.astype(np.int32))


def non_manifold() -> Mesh:
    """Three sheets of triangles that share the edge along x."""
    x = np.linspace(0, 1, 7)
    rows = [np.stack([x, np.cos(t) * np.ones(7), np.sin(t) * np.ones(7)], 1) for t in (0.0, 2.1, 4.0)]
    vertices = np.concatenate([np.stack([x, 0 * x, 0 * x], 1), *rows])
    faces = []
    for wing in range(1, 4):
        for i in range(6):
            a, b, c, d = i, i + 1, 7 * wing + i, 7 * wing + i + 1
            faces += [[a, b, c], [b, d, c]]
    return Mesh(vertices, np.array(faces, np.int32))


def dirty() -> Mesh:
    """Duplicate vertices and faces, a face turned over, faces without area, a NaN corner, an unused vertex."""
    mesh = bumpy_sheet()
    soup = Mesh(mesh.triangles.reshape(-1, 3), np.arange(3 * len(mesh.faces), dtype=np.int32).reshape(-1, 3))
    n = len(soup.vertices)
    vertices = np.concatenate([soup.vertices, [[np.nan] * 3, [0.3, 0.3, 2.0]]])
    extra = np.array([[0, 0, 1], [0, n, 1], [3, 4, 5], [5, 4, 3], [0, 3, 0]], np.int32)
    return Mesh(vertices, np.concatenate([extra[:2], soup.faces[:40], extra[2:], soup.faces[40:]]))


def thousand_pieces() -> Mesh:
    rng = np.random.default_rng(1)
    centers = rng.uniform(-3, 3, (1000, 1, 3))
    return Mesh((centers + rng.normal(0, 0.05, (1000, 3, 3))).reshape(-1, 3), np.arange(3000).reshape(-1, 3))


MESHES = {
    "box": box,
    "sheet": bumpy_sheet,
    "non-manifold": non_manifold,
    "dirty": dirty,
    "thousand pieces": thousand_pieces,
    "one triangle": lambda: Mesh(np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0]]), np.array([[0, 1, 2]], np.int32)),
    "far away": lambda: bumpy_sheet(at=(5e5, -5e5, 100.0)),
    "tiny": lambda: Mesh(bumpy_sheet().vertices * 1e-3, bumpy_sheet().faces),
}


def uv_area(atlas: Atlas) -> np.ndarray:
    """(f,) signed area in texels; faces without texture count zero."""
    a, b, c = (atlas.uv[atlas.faces[:, i]].astype(float) * atlas.size for i in range(3))
    area = 0.5 * ((b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0])
    return np.where(atlas.page >= 0, area, 0)


def faces_over_texels(atlas: Atlas, shrink: float = 0.02) -> dict[tuple[int, int, int], list[int]]:
    """By a plain loop: texel (page, row, column) to the faces that hold its centre with `shrink` texels to spare."""
    over: dict[tuple[int, int, int], list[int]] = {}
    for face in np.flatnonzero(atlas.page >= 0):
        p = atlas.uv[atlas.faces[face]].astype(float) * atlas.size
        (x0, y0), (x1, y1) = np.floor(p.min(0)).astype(int), np.ceil(p.max(0)).astype(int)
        x, y = np.meshgrid(np.arange(x0, x1) + 0.5, np.arange(y0, y1) + 0.5)
        inside = np.ones(x.shape, bool)
        turn = np.sign((p[1] - p[0])[0] * (p[2] - p[0])[1] - (p[1] - p[0])[1] * (p[2] - p[0])[0])
        for i in range(3):
            a, d = p[i], p[(i + 1) % 3] - p[i]
            inside &= turn * (d[0] * (y - a[1]) - d[1] * (x - a[0])) > shrink * np.hypot(*d)
        for column, row in zip(np.floor(x[inside]).astype(int), np.floor(y[inside]).astype(int), strict=True):
            over.setdefault((int(atlas.page[face]), int(row), int(column)), []).append(int(face))
    return over


def check_layout(mesh: Mesh, atlas: Atlas, mirrored: bool = False) -> None:
    """What every layout owes its mesh."""
    assert atlas.faces.shape == mesh.faces.shape and atlas.faces.dtype == np.int32 and atlas.uv.dtype == np.float32
    assert len(atlas.page) == len(atlas.chart) == len(mesh.faces)
    drawn = atlas.page >= 0
    with np.errstate(invalid="ignore"):
        solid = mesh.face_areas > 1e-12 * np.nanmax(np.ptp(mesh.triangles[drawn].reshape(-1, 3), axis=0)) ** 2
    np.testing.assert_array_equal(drawn, solid)
    np.testing.assert_array_equal(mesh.faces[drawn], atlas.vertices[atlas.faces[drawn]])
    assert (atlas.faces[~drawn] == -1).all() and (atlas.chart[~drawn] == -1).all() and (atlas.chart[drawn] >= 0).all()
    assert set(atlas.page[drawn]) == set(range(atlas.pages))
    assert atlas.uv.min() >= 0 and atlas.uv.max() <= 1 and np.isfinite(atlas.uv).all()
    area = uv_area(atlas)[drawn]
    if not mirrored:
        # Of faces that coincide, those that turn the other way lie on the same texels.
        twins = first_of_twins(weld(mesh, np.flatnonzero(drawn))[1])
        assert (np.bincount(twins, area > -1e-3)[np.unique(twins)] > 0).all(), "no chart is mirrored"
    # One density over the whole mesh: nothing is blown up, nothing starved.
    ratio = np.sqrt(np.abs(area) / mesh.face_areas[drawn]) / atlas.texels_per_metre
    weights = mesh.face_areas[drawn] / mesh.face_areas[drawn].sum()
    assert abs(np.sum(ratio * weights) - 1) < 0.1, np.sum(ratio * weights)


@pytest.mark.parametrize("packer", PACKERS)
@pytest.mark.parametrize("name", MESHES)
def test_any_mesh_is_laid_out(name, packer):
    mesh = MESHES[name]()
    # To find the density that fills a page, xatlas packs several times: 1,000 pieces are given theirs.
    many = name == "thousand pieces"
    density = 150.0 if many and packer == "xatlas" else None
    atlas = unwrap(mesh, 2048 if many else 256, packer=packer, texels_per_metre=density)
    assert atlas.pages == 1
    check_layout(mesh, atlas, mirrored=packer == "xatlas")


@pytest.mark.parametrize("packer", PACKERS)
@pytest.mark.parametrize("name", ["box", "sheet", "non-manifold", "dirty"])
def test_no_texel_belongs_to_two_places(name, packer):
    mesh = MESHES[name]()
    over = faces_over_texels(unwrap(mesh, 128, packer=packer))
    assert over
    for texel, faces in over.items():
        corners = {tuple(map(tuple, np.unique(mesh.triangles[f], axis=0))) for f in faces}
        assert len(corners) == 1, f"texel {texel} lies on faces {faces}, which are not duplicates"


def test_the_overlap_test_notices_an_overlap():
    mesh = bumpy_sheet(2)
    atlas = unwrap(mesh, 128)
    squeezed = Atlas(**{**vars(atlas), "uv": np.where(atlas.uv > 0.5, 1 - atlas.uv, atlas.uv)})
    assert any(len(faces) > 1 for faces in faces_over_texels(squeezed).values())


def nearest_charts(atlas: Atlas, mesh: Mesh) -> float:
    """Texels between the nearest two texel centres of different charts of a page."""
    texels = rasterize(atlas)
    page, rest = np.divmod(texels.pixel.astype(np.int64), atlas.size**2)
    at = np.stack(np.divmod(rest, atlas.size), 1)
    chart, least = atlas.chart[texels.face], np.inf
    for p in range(atlas.pages):
        for one in np.unique(chart[page == p]):
            mine, others = (page == p) & (chart == one), (page == p) & (chart != one)
            if others.any():
                least = min(least, cKDTree(at[others]).query(at[mine])[0].min())
    return least


@pytest.mark.parametrize("packer", PACKERS)
@pytest.mark.parametrize("padding", [8, 12])
def test_charts_keep_their_distance(packer, padding):
    mesh = together(box(), bumpy_sheet(5, (5, 0, 0)), non_manifold())
    atlas = unwrap(mesh, 512, packer=packer, padding=padding)
    assert len(np.unique(atlas.chart)) > 3
    # `padding` texels that belong to the chart alone on either side.
    assert nearest_charts(atlas, mesh) >= 2 * padding


def test_a_chart_hangs_together():
    mesh = together(bumpy_sheet(), bumpy_sheet(4, (3, 0, 0)))
    atlas = unwrap(mesh, 256)
    for chart in np.unique(atlas.chart):
        faces = atlas.faces[atlas.chart == chart]
        used, corner = np.unique(faces, return_inverse=True)
        corner = corner.reshape(-1, 3)
        graph = coo_matrix((np.ones(corner.size), (corner.ravel(), np.roll(corner, 1, 1).ravel())), (len(used),) * 2)
        assert connected_components(graph, directed=False)[0] == 1
        assert len(np.unique(atlas.page[atlas.chart == chart])) == 1


@pytest.mark.parametrize("packer", PACKERS)
def test_a_density_is_kept_on_as_many_pages_as_it_takes(packer):
    mesh = together(*(bumpy_sheet(4, (2 * i, 0, 0), i) for i in range(6)))
    atlas = unwrap(mesh, 256, texels_per_metre=150.0, packer=packer)
    assert atlas.pages > 1 and atlas.texels_per_metre == pytest.approx(150.0, rel=1e-3)
    check_layout(mesh, atlas, mirrored=packer == "xatlas")
    coarse = unwrap(mesh, 256, texels_per_metre=20.0, packer=packer)
    assert coarse.pages == 1 and coarse.texels_per_metre == pytest.approx(20.0, rel=1e-3)


@pytest.mark.parametrize(("size", "density"), [(128, 150.0), (128, 400.0), (64, 500.0)])
def test_charts_larger_than_a_page_are_cut(size, density):
    mesh = together(bumpy_sheet(24), bumpy_sheet(3, (2, 0, 0)).transformed(np.diag([0.05, 0.05, 0.05, 1.0])))
    atlas = unwrap(mesh, size, texels_per_metre=density)
    assert atlas.texels_per_metre == pytest.approx(density, rel=1e-3) and atlas.pages > 1
    check_layout(mesh, atlas)
    assert len(np.unique(atlas.chart[-18:])) == 1, "small charts stay whole"
    assert nearest_charts(atlas, mesh) >= 16


def test_packing_shape_is_a_layout_too():
    mesh = together(bumpy_sheet(), box())
    atlas = unwrap(mesh, 256, packing="shape")
    check_layout(mesh, atlas)
    assert atlas.texels_per_metre > 0.9 * unwrap(mesh, 256).texels_per_metre


def test_trimesh_goes_in_as_it_is():
    import trimesh

    mesh = trimesh.creation.icosphere(subdivisions=2)
    atlas = unwrap(mesh, 128)
    check_layout(Mesh.of(mesh), atlas)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 32}, "size 32 is out of range; choose 64 to 16384"),
        ({"size": 20000}, "size 20000 is out of range"),
        ({"texels_per_metre": 0.0}, "texels_per_metre 0.0 is out of range; choose 0.001"),
        ({"texels_per_metre": -3.0}, "texels_per_metre -3.0 is out"),
        ({"texels_per_metre": float("nan")}, "texels_per_metre nan is out"),
        ({"packer": "cut"}, "packer 'cut' is not known; choose uvunwrap, xatlas"),
        ({"packing": "tight"}, "packing 'tight' is not known; choose fast, shape"),
        ({"padding": -1}, "padding -1 is out of range; choose 0 to"),
        ({"size": 64, "padding": 17}, "padding 17 is not within 0 and a quarter of the page, 16"),
    ],
)
def test_options_out_of_range_are_one_line(options, message):
    with pytest.raises(InputError, match=message) as error:
        unwrap(box(), **{"size": 128, **options})
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("packer", PACKERS)
def test_charts_that_no_page_holds_are_an_input_error(packer):
    with pytest.raises(InputError, match=r"texels_per_metre|size"):
        unwrap(box(), 64, texels_per_metre=5000.0, packer=packer)


def test_a_mesh_without_area_is_an_input_error():
    with pytest.raises(InputError, match="no face has an area"):
        unwrap(Mesh(np.zeros((3, 3)), np.array([[0, 1, 2]])), 128)
