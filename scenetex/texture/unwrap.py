"""Cut a mesh into charts, flatten them, pack them into pages: uvunwrap by default, xatlas on request."""

import warnings
from typing import Annotated, Literal

import numpy as np

from ..errors import InputError, InputWarning, extra
from ..limits import DENSITY, TEXTURE, Between, checked
from ..scene.mesh import Mesh, MeshLike, used_vertices
from .atlas import Atlas
from .twins import corner_places, one_of_each
from .weld import face_adjacency, oversized, solid_faces, weld

Packer = Literal["uvunwrap", "xatlas"]
Packing = Literal["fast", "shape"]
# uv (n, 2), corner rows (k, 3), chart (k,), page (k,), page count, texels per metre.
_Layout = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, int, float]
_FEW_ALONE, _SHARE_ALONE = 1000, 0.2  # faces without neighbour that no scan has, in number and as a part of all


@checked
def unwrap(
    mesh: MeshLike,
    size: Annotated[int, TEXTURE] = 2048,
    *,
    texels_per_metre: Annotated[float | None, DENSITY] = None,
    packer: Packer = "uvunwrap",
    padding: Annotated[int, Between(0, 4096)] = 8,
    packing: Packing = "fast",
) -> Atlas:
    """UV atlas of a mesh, dirty scans included (duplicate vertices, non-manifold edges, faces without area, NaN).

    The charts are cut on a welded copy; the atlas refers to the mesh's own vertices and faces.

    Args:
        mesh: `Mesh`, `trimesh.Trimesh`, or anything with `vertices` and `faces`.
        size: page side, texels, 64 to 16384.
        texels_per_metre: density to keep, on as many pages as that takes; None: the highest that one page holds.
        packer: "uvunwrap", or "xatlas" (slower, more charts; extra ``[xatlas]``).
        padding: texels that belong to each chart around it, at least.
        packing: uvunwrap's "fast" or "shape" (a few per cent denser, some times slower).

    Raises:
        InputError: no face with area, or an option out of range.

    Example:
        >>> import trimesh
        >>> import scenetex
        >>> scenetex.unwrap(trimesh.creation.icosphere(), size=256).pages
        1
        >>> scenetex.unwrap(trimesh.creation.box(), size=128, texels_per_metre=100.0).pages > 1
        True
    """
    mesh = Mesh.of(mesh)
    if padding > size // 4:
        raise InputError(f"unwrap: padding {padding} is not within 0 and a quarter of the page, {size // 4}")
    kept = solid_faces(mesh)
    positions, welded, _ = weld(mesh, kept)
    drawn, twin = one_of_each(welded)
    faces = welded[drawn]
    _warn_of_scattered(faces)
    layout = _near(mesh, positions, faces, kept[drawn])
    run = _uvunwrap if packer == "uvunwrap" else _xatlas
    uv, corners, chart, page, pages, density = run(*layout, size, texels_per_metre, padding, packing)
    if len(drawn) < len(kept):
        corners = np.take_along_axis(corners[twin], corner_places(welded, faces[twin]), axis=1)
        chart, page = chart[twin], page[twin]

    # A welded vertex stands for several of the user's: split rows until each belongs to exactly one.
    own = mesh.faces[kept].ravel().astype(np.int64)
    pairs, rows = np.unique(own * len(uv) + corners.ravel(), return_inverse=True)
    count = len(mesh.faces)
    atlas_faces = np.full((count, 3), -1, np.int32)
    atlas_faces[kept] = rows.reshape(-1, 3)
    atlas_page, atlas_chart = np.full(count, -1, np.int32), np.full(count, -1, np.int32)
    atlas_page[kept], atlas_chart[kept] = page, chart
    return Atlas(
        uv=uv[pairs % len(uv)],
        faces=atlas_faces,
        vertices=(pairs // len(uv)).astype(np.int32),
        page=atlas_page,
        chart=atlas_chart,
        size=size,
        pages=pages,
        texels_per_metre=density,
    )


def _near(mesh: Mesh, positions: np.ndarray, faces: np.ndarray, kept: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Positions and faces as they are laid out: those that are oversized on their own, in the middle, no larger than
    the mesh, so that one vertex that is far off does not take the page from all others."""
    large = oversized(mesh, kept)
    if not large.any():
        return positions, faces
    used, close = used_vertices(faces[~large])
    edges = mesh.triangles[kept[large]] - mesh.triangles[kept[large], :1]
    scale = np.minimum(mesh.extent.radius / np.linalg.norm(edges, axis=2).max(1), 1)
    out = np.empty_like(faces)
    out[~large] = close
    out[large] = len(used) + np.arange(3 * len(edges)).reshape(-1, 3)
    apart = (edges * scale[:, None, None]).astype(np.float32).reshape(-1, 3)
    return np.concatenate([positions[used], apart]), out


def _warn_of_scattered(faces: np.ndarray) -> None:
    """Says so where many of the welded faces (k, 3) have no neighbour."""
    joined = np.zeros(len(faces), bool)
    joined[face_adjacency(faces)] = True
    alone = int((~joined).sum())
    if alone > max(_FEW_ALONE, _SHARE_ALONE * len(faces)):
        warnings.warn(
            f"mesh: {alone:,} of {len(faces):,} faces share no edge with another, so each is a chart of its own, which "
            "is slow and leaves few texels to each; merge vertices that are nearly at one place (MeshLab: Merge Close "
            "Vertices), or export the mesh with its faces connected",
            InputWarning,
            stacklevel=3,
        )


def _uvunwrap(
    positions: np.ndarray, faces: np.ndarray, size: int, density: float | None, padding: int, packing: Packing
) -> _Layout:
    """uvunwrap's charts."""
    from uvunwrap import UnwrapError

    try:
        return _lay_out(positions, faces, [np.arange(len(faces))], size, density, padding, packing)
    except UnwrapError as error:
        trouble = error
    # Some chart is larger than a page: only such ones are cut, by a grid in space that grows finer.
    if density:
        uv, corners, chart, _, _, scale = _lay_out(positions, faces, [np.arange(len(faces))], size, None, 0, "fast")
        extent = np.zeros((int(chart.max()) + 1, 2))
        for pick, sign in ((np.maximum, 1), (np.minimum, -1)):
            edge = np.full_like(extent, -sign * np.inf)
            pick.at(edge, np.repeat(chart, 3), uv[corners.ravel()] * np.float64(size / scale))
            extent += sign * edge
        room = (size - 2 * padding) / density
        whole = extent.max(1)[chart] < 0.9 * room
        for cell in room * 0.6 * 0.5 ** np.arange(5):
            at = np.floor(positions[faces].mean(1) / cell).astype(np.int64)
            at[whole] = 0
            key = np.c_[np.where(whole, -1, chart), at]
            group = np.unique(key, axis=0, return_inverse=True)[1].ravel()
            order = np.argsort(group, kind="stable")
            parts = np.split(order, np.flatnonzero(np.diff(group[order])) + 1)
            try:
                return _lay_out(positions, faces, parts, size, density, padding, packing)
            except UnwrapError as error:
                trouble = error
    raise InputError(f"unwrap: {str(trouble).split(';')[0]}; try a larger size or a lower texels_per_metre")


def _lay_out(
    positions: np.ndarray,
    faces: np.ndarray,
    parts: list[np.ndarray],
    size: int,
    density: float | None,
    padding: int,
    packing: Packing,
) -> _Layout:
    """One atlas of several sets of faces (`parts`), in which no chart joins faces of two sets."""
    import uvunwrap

    meshes = []
    for part in parts:
        own, corner = positions, faces
        if len(parts) > 1:
            used, corner = np.unique(faces[part], return_inverse=True)
            own = positions[used]
        meshes.append(uvunwrap.Mesh(own, corner.reshape(-1, 3).astype(np.uint32)))
    result = uvunwrap.generate(meshes, page_size=size, texels_per_unit=density, padding=padding, packing=packing)
    uvs, corners = [], np.empty((len(faces), 3), np.int64)
    chart, page = np.empty((2, len(faces)), np.int32)
    rows = charts = 0
    for part, out in zip(parts, result.meshes, strict=True):
        uvs.append(np.asarray(out.uv, np.float32).reshape(-1, 2))
        indices = np.asarray(out.indices, np.int64).reshape(-1, 3)
        corners[part] = indices + rows
        page[part] = np.asarray(out.page, np.int32)[indices[:, 0]]
        chart[part] = np.unique(np.asarray(out.chart)[indices[:, 0]], return_inverse=True)[1] + charts
        rows, charts = rows + len(uvs[-1]), int(chart[part].max()) + 1
    return np.concatenate(uvs), corners, chart, page, result.page_count, float(result.texels_per_unit)


def _xatlas(
    positions: np.ndarray, faces: np.ndarray, size: int, density: float | None, padding: int, packing: Packing
) -> _Layout:
    """The same from xatlas, whose charts may be mirrored."""
    try:
        import xatlas
    except ImportError:
        raise InputError(f"unwrap: xatlas is not installed; {extra('xatlas')}") from None
    options = xatlas.PackOptions()
    options.resolution, options.padding, options.bilinear = size, 2 * padding, True
    # xatlas overlooks faces below an absolute area: it gets the mesh in units of the middle edge.
    unit = float(np.median(np.linalg.norm(positions[faces[:, 0]] - positions[faces[:, 1]], axis=1)))
    options.texels_per_unit = (density or 0.0) * unit
    # Without a density xatlas estimates one, and its page can come out larger than asked for: pack again, coarser.
    for _ in range(8):
        atlas = xatlas.Atlas()
        atlas.add_mesh(positions / np.float32(unit), faces.astype(np.uint32))
        atlas.generate(pack_options=options)
        side = max(atlas.width, atlas.height)
        if side <= size and (density or atlas.atlas_count == 1):
            break
        shrink = size / side if side > size else atlas.atlas_count**-0.5
        options.texels_per_unit = 0.97 * atlas.texels_per_unit * shrink
    else:
        raise InputError(f"unwrap: xatlas cannot fit the charts into {size} texels; raise the size or use uvunwrap")
    _, corners, uv = atlas.get_mesh(0)
    corners = corners.astype(np.int64)
    page, chart = (np.asarray(x).astype(np.int32)[corners[:, 0]] for x in atlas.get_mesh_vertex_assignment(0))
    uv = uv * np.array([atlas.width / size, atlas.height / size], np.float32)
    # Charts larger than a page are shrunk without a word.
    if density and _density(positions, faces, uv[corners] * size) < 0.9 * density:
        raise InputError(
            f"unwrap: xatlas made a chart larger than {size} texels; take a larger size, a lower texels_per_metre or "
            "uvunwrap, which cuts such charts"
        )
    return uv, corners, chart, page, atlas.atlas_count, float(atlas.texels_per_unit) / unit


def _density(positions: np.ndarray, faces: np.ndarray, flat: np.ndarray) -> float:
    """Texels per metre of faces (k, 3) that lie at `flat` (k, 3, 2), texels."""
    a, b = flat[:, 1] - flat[:, 0], flat[:, 2] - flat[:, 0]
    area = 0.5 * np.abs(a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]).sum(dtype=np.float64)
    return float(np.sqrt(area / Mesh(positions.astype(np.float64), faces).face_areas.sum()))
