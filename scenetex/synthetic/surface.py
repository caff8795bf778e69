"""Patches joined to one exact mesh, with the light-map and texture coordinates of every face as affine maps."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..scene.mesh import Mesh
from ..views.raycast import RayCaster
from .patches import Patches
from .textures import pack_rectangles


@dataclass(frozen=True, eq=False)
class Lattice:
    """Regular samples of all patches.

    Attributes:
        points: (n, 3) float64, metres.
        normals: (n, 3) float64, unit.
        patch: (n,) int32.
        row, column: (n,) int32 position in the patch's own grid, along its a and b.
        start: (p,) int64 first sample of each patch.
        shape: (p, 2) int64 samples of each patch along a and b.
    """

    points: np.ndarray
    normals: np.ndarray
    patch: np.ndarray
    row: np.ndarray
    column: np.ndarray
    start: np.ndarray
    shape: np.ndarray


@dataclass(frozen=True, eq=False)
class Grids:
    """All patches that share one grid shape: first patch number, and points, normals, st and kept cells of each."""

    first: int
    points: np.ndarray
    normals: np.ndarray
    st: np.ndarray
    keep: np.ndarray

    @cached_property
    def arcs(self) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
        """For a and b: positions (k, cells + 1) in 0..1 by arc length, and total length (k,), metres."""
        out = []
        for axis in (1, 2):
            step = np.linalg.norm(np.diff(self.points, axis=axis), axis=-1).mean(axis=3 - axis)
            total = np.maximum(step.sum(1), 1e-9)
            out.append((np.concatenate([np.zeros((len(step), 1)), np.cumsum(step, 1)], 1) / total[:, None], total))
        return tuple(out)


@dataclass(frozen=True, eq=False)
class Surface:
    """The exact surface of a room.

    Attributes:
        mesh: triangles; vertices are not shared between patches.
        face_patch: (f,) int32 patch of each face.
        face_map: (f, 4, 4) float32 affine map from (x, y, z, 1) to (s, t, light column, light row); s and t are
            counted in the material's periods.
        grids: the patches, by grid shape.
        material: (p,) int32 material of each patch.
        tint: (p, 3) float32 colour that multiplies the material's.
        glow: (p,) float32, as in `Patches`.
        part: (p,) int32 the object each patch belongs to.
        light_origin: (p, 2) int64 column and row of each patch's tile on the light page; columns run along a.
        light_shape: (p, 2) int64 samples along a and b.
        light_size: (width, height) of the light page.
    """

    mesh: Mesh
    face_patch: np.ndarray
    face_map: np.ndarray
    grids: tuple[Grids, ...]
    material: np.ndarray
    tint: np.ndarray
    glow: np.ndarray
    part: np.ndarray
    light_origin: np.ndarray
    light_shape: np.ndarray
    light_size: tuple[int, int]

    @cached_property
    def face_material(self) -> np.ndarray:
        """(f,) int32 material of each face."""
        return self.material[self.face_patch]

    @cached_property
    def caster(self) -> RayCaster:
        """Casts rays at the mesh."""
        return RayCaster(self.mesh.vertices, self.mesh.faces)


def build_surface(
    parts: list[list[Patches]], slots: dict[str, int], periods: np.ndarray, light_texel: float
) -> Surface:
    """Joins the patches of all parts.

    Args:
        parts: patches of each object.
        slots: number of each material slot.
        periods: (m, 2) metres after which each material repeats along s and t.
        light_texel: spacing of light-map samples, metres.
    """
    by_shape: dict[tuple[int, int], list[tuple[Patches, int]]] = {}
    for index, part in enumerate(parts):
        for batch in part:
            by_shape.setdefault(batch.points.shape[1:3], []).append((batch, index))
    grids, material, tint, glow, owner = [], [], [], [], []
    first = 0
    for batches in by_shape.values():
        arrays = (np.concatenate([getattr(b, n) for b, _ in batches]) for n in ("points", "normals", "st"))
        grids.append(Grids(first, *arrays, np.concatenate([_kept(b) for b, _ in batches])))
        for batch, index in batches:
            k = len(batch.points)
            material += [slots[batch.material]] * k
            tint += [batch.tint] * k
            glow += [batch.glow] * k
            owner += [index] * k
            first += k
    shape = np.concatenate([grid_shape(g, np.full(len(g.points), light_texel), 2, 250) for g in grids])
    origin, width, height = pack_rectangles(shape)
    vertices, faces, values, face_patch = _triangles(grids, shape, origin)
    mesh, face_map, keep = _affine(vertices, faces, values)
    material = np.array(material, np.int32)
    face_map[:, :2] /= periods[material[face_patch[keep]], :, None]
    return Surface(
        mesh,
        face_patch[keep],
        face_map.astype(np.float32),
        tuple(grids),
        material,
        np.array(tint, np.float32),
        np.array(glow, np.float32),
        np.array(owner, np.int32),
        origin,
        shape,
        (width, height),
    )


def _kept(batch: Patches) -> np.ndarray:
    """(k, a - 1, b - 1) bool, the cells that are there."""
    k, a, b = batch.points.shape[:3]
    return np.ones((k, a - 1, b - 1), bool) if batch.keep is None else batch.keep


def grid_shape(grids: Grids, spacing: np.ndarray, low: int, high: int) -> np.ndarray:
    """(k, 2) samples along a and b for each patch so that they lie at most `spacing` (k,) metres apart."""
    (_, length_a), (_, length_b) = grids.arcs
    count = np.ceil(np.stack([length_a, length_b], 1) / spacing[:, None] - 1e-6).astype(np.int64) + 1
    return np.clip(count, low, high)


def _triangles(grids, light_shape, light_origin):
    vertices, faces, values, face_patch = [], [], [], []
    base = 0
    for g in grids:
        k, a, b = g.points.shape[:3]
        patch = g.first + np.arange(k)
        light = np.empty((k, a, b, 2))
        (arc_a, _), (arc_b, _) = g.arcs
        light[..., 0] = (light_origin[patch, :1] + arc_a * (light_shape[patch, :1] - 1))[:, :, None]
        light[..., 1] = (light_origin[patch, 1:] + arc_b * (light_shape[patch, 1:] - 1))[:, None]
        index = (base + np.arange(k * a * b)).reshape(k, a, b)
        p00, p10, p11, p01 = index[:, :-1, :-1], index[:, 1:, :-1], index[:, 1:, 1:], index[:, :-1, 1:]
        tri = np.stack([np.stack([p00, p10, p11], -1), np.stack([p00, p11, p01], -1)], -2)
        vertices.append(g.points.reshape(-1, 3))
        values.append(np.concatenate([g.st, light], -1).reshape(-1, 4))
        faces.append(tri[g.keep].reshape(-1, 3))
        face_patch.append(np.repeat(patch, 2 * g.keep.sum((1, 2))))
        base += k * a * b
    return np.concatenate(vertices), np.concatenate(faces), np.concatenate(values), np.concatenate(face_patch)


def _affine(vertices, faces, values):
    """The mesh without its zero-area faces, and each face's map from position to `values` at its corners."""
    p0, p1, p2 = (vertices[faces[:, i]] for i in range(3))
    e1, e2 = p1 - p0, p2 - p0
    n = np.cross(e1, e2)
    squared = (n**2).sum(1)
    keep = squared > 1e-14
    e1, e2, n, p0, faces, squared = e1[keep], e2[keep], n[keep], p0[keep], faces[keep], squared[keep, None]
    dual1, dual2 = np.cross(e2, n) / squared, np.cross(n, e1) / squared
    v0, v1, v2 = (values[faces[:, i]] for i in range(3))
    out = np.empty((len(faces), 4, 4))
    out[..., :3] = (v1 - v0)[:, :, None] * dual1[:, None] + (v2 - v0)[:, :, None] * dual2[:, None]
    out[..., 3] = v0 - np.einsum("fij,fj->fi", out[..., :3], p0)
    return Mesh(vertices, faces.astype(np.int32)), out, keep


def sample_lattice(grids: tuple[Grids, ...], shape: np.ndarray, inset: float = 0.0) -> Lattice:
    """Samples every patch on a regular grid of `shape` (p, 2), edges included.

    `inset`, metres, moves the outermost samples inwards along the surface, away from the surfaces they touch.
    """
    out = []
    start = np.concatenate([[0], np.cumsum(shape.prod(1))[:-1]])
    for g in grids:
        k = len(g.points)
        own = shape[g.first : g.first + k]
        count = own.prod(1)
        local = np.repeat(np.arange(k), count)
        number = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
        row, column = number // own[local, 1], number % own[local, 1]
        (arc_a, length_a), (arc_b, length_b) = g.arcs
        i, u = _locate(arc_a, local, row / (own[local, 0] - 1), inset / length_a)
        j, v = _locate(arc_b, local, column / (own[local, 1] - 1), inset / length_b)
        weights = ((0, 0, (1 - u) * (1 - v)), (1, 0, u * (1 - v)), (1, 1, u * v), (0, 1, (1 - u) * v))
        points, normals = (
            sum(w[:, None] * field[local, i + di, j + dj] for di, dj, w in weights) for field in (g.points, g.normals)
        )
        normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
        out.append((points, normals, local + g.first, row, column))
    points, normals, patch, row, column = (np.concatenate(x) for x in zip(*out, strict=True))
    return Lattice(points, normals, patch.astype(np.int32), row.astype(np.int32), column.astype(np.int32), start, shape)


def _locate(arc, patch, position, inset):
    """Cell and fraction inside it of `position` (n,) in 0..1 along the arc-length table (k, cells + 1)."""
    inset = np.minimum(inset, 0.3)[patch]
    position = np.clip(position, inset, 1 - inset)
    cell = (arc[patch][:, 1:-1] <= position[:, None]).sum(1)
    low, high = arc[patch, cell], arc[patch, cell + 1]
    return cell, (position - low) / np.maximum(high - low, 1e-12)
