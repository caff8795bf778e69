"""The layout of the texture coordinates that a mesh brings: checked, then taken as it is."""

import warnings
from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp
from scipy.sparse.csgraph import connected_components

from ..errors import InputError, InputWarning, shown
from ..scene.mesh import Mesh
from ..scene.uv_map import UvMap
from .texels import Texels, rasterize
from .twins import first_of_twins
from .weld import face_adjacency, solid_faces, weld

_ROUND = 1e-4  # by which corners may leave their tile: exporters round
_UDIM = 10  # tiles in a row
_FLAT = 1e-6  # square texels
_FEW, _PER_RIM = 3, 0.1  # texels of a chart, and as a part of its rim, that rounding may count twice
_LITTLE = 1e-4  # of the surface: overlaps that nobody sees, as programs leave them where charts are tiny
_MOST_NAMED = 3
_CURE = "lay the mesh out again, or let scenetex do it: --uvs auto (scenetex.unwrap)"
_MOST_TEXELS = 1 << 31  # on all pages


@dataclass(frozen=True)
class UvChecks:
    """What was found of a mesh's own texture coordinates, as parts of its surface from 0 to 1.

    Attributes:
        overlapping: where texels would have to show two places of the surface.
        mirrored: charts that lie face down, painted like all others.
        flat: faces that have no area in the coordinates: they show a single colour.
        without_texel: charts too small to have a texel's centre in them: they show their neighbours' colour.
        unmapped: faces without coordinates, which are not painted.
        twins: faces that coincide with others in space, but not in the coordinates: one of each is painted.
        overlaps: where the most of the overlap is: material and object, and the part of the surface.
    """

    overlapping: float
    mirrored: float
    flat: float
    without_texel: float
    unmapped: float
    twins: float
    overlaps: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, eq=False)
class OwnLayout:
    """What `Atlas` has under the same names."""

    uv: np.ndarray
    faces: np.ndarray
    vertices: np.ndarray
    page: np.ndarray
    chart: np.ndarray
    size: int
    pages: int
    texels_per_metre: float
    tiles: np.ndarray


def own_layout(mesh: Mesh, size: int) -> OwnLayout:
    """What `Atlas.from_mesh` makes an atlas of; raises and warns as it does."""
    layout = unchecked_layout(mesh, size)
    found = check_uvs(mesh, layout)
    if found.overlapping > _LITTLE:
        named = ", ".join(f"{name} {_percent(share)}" for name, share in found.overlaps)
        raise InputError(
            f"UVs overlap: {_percent(found.overlapping)} of the surface shares its texels with other parts ({named}); "
            f"{_CURE}"
        )
    said = {
        "overlapping": "shares its texels with other parts, and shows the colours of one",
        "unmapped": "has no UVs, and is not painted",
        "flat": "has no area in its UVs, and shows single colours",
        "twins": "coincides with faces that are painted, and shows the colours beside it; remove double faces",
        "without_texel": f"has UVs too small for a texel of {size} x {size}, and shows the colours beside it",
    }
    for name, words in said.items():
        if share := getattr(found, name):
            warnings.warn(f"UVs: {_percent(share)} of the surface {words}", InputWarning, stacklevel=3)
    return layout


def unchecked_layout(mesh: Mesh, size: int) -> OwnLayout:
    """The layout as `own_layout` gives it, overlaps or not.

    Raises:
        InputError: no coordinates, or some that lie on no tile.
    """
    uvs = mesh.uv_map
    if uvs is None:
        raise InputError(f"UVs: the mesh has none that can be read; {_CURE}")
    solid = solid_faces(mesh)
    kept = solid[uvs.mapped[solid]]
    if not len(kept):
        raise InputError(f"UVs: no face with area has any; {_CURE}")
    flat = uvs.uv[uvs.corners[kept]]
    tile = _tiles(mesh, kept, flat)
    tiles, page = np.unique(np.c_[uvs.material[kept], tile], axis=0, return_inverse=True)
    page = page.reshape(-1)
    if len(tiles) * size**2 >= _MOST_TEXELS:
        raise InputError(
            f"UVs: {len(tiles)} materials and tiles of {size} x {size} texels are too many; take a smaller "
            "--texture-size, or join materials"
        )
    # Adding zero turns -0 into 0.
    flat = np.clip(flat - tile[:, None], 0, 1).astype(np.float32) + np.float32(0)
    doubled = _twice_area(flat)
    if not doubled.any():
        raise InputError(f"UVs: no face has an area in them; {_CURE}")

    # A row of an atlas has one vertex and one page.
    key = (mesh.faces[kept].astype(np.int64) * len(tiles) + page[:, None]) * len(uvs.uv) + uvs.corners[kept]
    _, first, rows = np.unique(key, return_index=True, return_inverse=True)
    count = len(mesh.faces)
    faces = np.full((count, 3), -1, np.int32)
    faces[kept] = rows.reshape(-1, 3)
    pages, charts = np.full((2, count), -1, np.int32)
    pages[kept], charts[kept] = page, _charts(mesh, kept, flat, page)
    return OwnLayout(
        uv=flat.reshape(-1, 2)[first],
        faces=faces,
        vertices=mesh.faces[kept].reshape(-1)[first].astype(np.int32),
        page=pages,
        chart=charts,
        size=size,
        pages=len(tiles),
        texels_per_metre=float(size * np.sqrt(0.5 * np.abs(doubled).sum() / mesh.face_areas[kept].sum())),
        tiles=tiles.astype(np.int32),
    )


def check_uvs(mesh: Mesh, layout: OwnLayout) -> UvChecks:
    """What there is to say of the mesh's own coordinates, laid out by `unchecked_layout`."""
    solid, kept = solid_faces(mesh), np.flatnonzero(layout.page >= 0)
    area = np.nan_to_num(mesh.face_areas)
    whole = area[solid].sum()
    chart, charts = layout.chart[kept], int(layout.chart.max()) + 1
    signed = 0.5 * _twice_area(layout.uv[layout.faces[kept]]) * layout.size**2
    same, twins = _doubles(mesh, layout)
    # One texture does for faces that coincide on the page, too.
    texels = rasterize(replace(layout, page=np.where(same, -1, layout.page)))
    apart, of_chart = _overlap(texels, layout, charts)
    hidden = of_chart[layout.chart] & (layout.page >= 0)
    lost = area * apart * hidden
    flat = np.zeros(len(mesh.faces), bool)
    flat[kept] = np.abs(signed) < _FLAT
    empty = np.bincount(layout.chart[texels.face], minlength=charts) == 0
    mirrored = np.bincount(chart, signed, charts) < 0
    return UvChecks(
        overlapping=float(lost.sum() / whole),
        mirrored=float(area[kept][mirrored[chart]].sum() / whole),
        flat=float(area[flat].sum() / whole),
        without_texel=float(area[kept][empty[chart] & ~flat[kept]].sum() / whole),
        unmapped=float(1 - area[kept].sum() / whole) if len(kept) < len(solid) else 0.0,
        twins=float(area[twins].sum() / whole),
        overlaps=_named(mesh.uv_map, lost / whole) if mesh.uv_map is not None else (),
    )


def _tiles(mesh: Mesh, kept: np.ndarray, flat: np.ndarray) -> np.ndarray:
    """(k, 2) int64 column and row of the tile that each face lies on.

    Raises:
        InputError: faces that lie on several, or beyond those of UDIM.
    """
    middle = flat.mean(1)
    # What lies along the upper edge belongs to the tile below it.
    tile = np.floor(middle - 1e-6 * (middle > 0.5))
    outside = ((flat < tile[:, None] - _ROUND) | (flat > tile[:, None] + 1 + _ROUND)).any((1, 2))
    beyond = (tile < 0).any(1) | (tile[:, 0] >= _UDIM) | (tile[:, 1] >= 1000)
    area = mesh.face_areas[kept]
    for which, words in (
        (outside, "reaches over the edge of a tile, as textures that repeat do"),
        (beyond, "lies outside 0 to 1 and on no UDIM tile (1001 and on)"),
    ):
        if which.any():
            raise InputError(f"UVs: {_percent(area[which].sum() / area.sum())} of the surface {words}; {_CURE}")
    return tile.astype(np.int64)


def _charts(mesh: Mesh, kept: np.ndarray, flat: np.ndarray, page: np.ndarray) -> np.ndarray:
    """(k,) the connected piece each face is of: joined along edges that are one in space and on the page."""
    welded = weld(mesh, kept)[1].astype(np.int64)
    _, place = np.unique(flat.reshape(-1, 2).view("V8"), return_inverse=True)
    key = (welded.reshape(-1) * (int(page.max()) + 1) + np.repeat(page, 3)) * (int(place.max()) + 1) + place.reshape(-1)
    _, corner = np.unique(key, return_inverse=True)
    pairs = face_adjacency(corner.reshape(-1, 3))
    graph = sp.coo_matrix((np.ones(len(pairs), bool), (pairs[:, 0], pairs[:, 1])), (len(kept), len(kept)))
    return connected_components(graph, directed=False)[1]


def _doubles(mesh: Mesh, layout: OwnLayout) -> tuple[np.ndarray, np.ndarray]:
    """(f,) bool each: faces that coincide with an earlier one in space and on the page, and those that do in space
    alone."""
    kept = np.flatnonzero(layout.page >= 0)
    first = first_of_twins(weld(mesh, kept)[1])
    later = np.flatnonzero(first != np.arange(len(kept)))
    where = np.sort(np.ascontiguousarray(layout.uv[layout.faces[kept]]).view("c8")[..., 0], axis=1)
    same = (where[later] == where[first[later]]).all(1)
    same &= layout.page[kept[later]] == layout.page[kept[first[later]]]
    found = np.zeros((2, len(layout.page)), bool)
    found[0, kept[later[same]]] = found[1, kept[later[~same]]] = True
    return found[0], found[1]


def _overlap(texels: Texels, layout: OwnLayout, charts: int) -> tuple[np.ndarray, np.ndarray]:
    """Which part of each face's texels others have, too, (f,); and which charts have more such than rounding makes."""
    count = len(layout.faces)
    shared = np.bincount(texels.pixel, minlength=1)[texels.pixel] > 1
    own = np.bincount(texels.face, minlength=count)
    part = np.bincount(texels.face[shared], minlength=count) / np.maximum(own, 1)
    of = layout.chart[texels.face]
    whole, twice = np.bincount(of, minlength=charts), np.bincount(of[shared], minlength=charts)
    return part, twice > np.maximum(_FEW, _PER_RIM * np.sqrt(whole))


def _named(uvs: UvMap, share: np.ndarray) -> tuple[tuple[str, float], ...]:
    """Where the most of a share (f,) of the surface is, by materials and objects."""
    sums = np.bincount(uvs.material * len(uvs.parts) + uvs.part, share)
    found = []
    for key in np.argsort(-sums)[:_MOST_NAMED]:
        material, part = uvs.materials[key // len(uvs.parts)], uvs.parts[key % len(uvs.parts)]
        if sums[key]:
            found.append((" of ".join(shown(name, 40) for name in (material, part) if name) or "all", float(sums[key])))
    return tuple(found)


def _twice_area(flat: np.ndarray) -> np.ndarray:
    """(k,) signed, of triangles (k, 3, 2)."""
    a, b = (flat[:, corner].astype(np.float64) - flat[:, 0] for corner in (1, 2))
    return a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]


def _percent(share: float) -> str:
    return f"{100 * share:.2g} %" if share < 0.0995 else f"{100 * share:.0f} %"
