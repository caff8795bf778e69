"""Split large triangles into patches, so that what is decided per face (view, outliers, fill) is decided locally."""

from dataclasses import dataclass

import numpy as np

from ..scene.mesh import Mesh
from .atlas import Atlas
from .weld import oversized, solid_faces, weld

# For every combination of split edges (bit i: edge from corner i to corner i + 1): triangles over the corners 0, 1, 2
# and the midpoints 3, 4, 5 of those edges.
_PATTERNS = {
    0b000: [(0, 1, 2)],
    0b001: [(0, 3, 2), (3, 1, 2)],
    0b010: [(0, 1, 4), (0, 4, 2)],
    0b100: [(0, 1, 5), (5, 1, 2)],
    0b011: [(3, 1, 4), (0, 3, 4), (0, 4, 2)],
    0b110: [(4, 2, 5), (0, 1, 4), (0, 4, 5)],
    0b101: [(0, 3, 5), (3, 1, 2), (3, 2, 5)],
    0b111: [(0, 3, 5), (3, 1, 4), (5, 4, 2), (3, 4, 5)],
}


@dataclass(frozen=True, eq=False)
class Patches:
    """A working copy of a mesh in small faces; nothing of it is exported.

    Attributes:
        mesh: welded mesh of k faces, without faces that have no area; neighbours split their common edge at one place.
        parent: (k,) int32 face of the original mesh each one lies in.
        weights: (k, 3, 3) float32 barycentric weights of each corner (second axis) in its parent's corners (third).
    """

    mesh: Mesh
    parent: np.ndarray
    weights: np.ndarray

    def layout(self, atlas: Atlas) -> Atlas:
        """The atlas of the original mesh, face by face for these."""
        uv = np.einsum("kij,kjc->kic", self.weights, atlas.uv[atlas.faces[self.parent]])
        return Atlas(
            uv=uv.reshape(-1, 2),
            faces=np.arange(uv.shape[0] * 3, dtype=np.int32).reshape(-1, 3),
            vertices=self.mesh.faces.ravel(),
            page=atlas.page[self.parent],
            chart=atlas.chart[self.parent],
            size=atlas.size,
            pages=atlas.pages,
            texels_per_metre=atlas.texels_per_metre,
        )


def patches(mesh: Mesh, longest: float, kept: np.ndarray | None = None) -> Patches:
    """Splits the faces of a mesh until no edge is longer than `longest` metres.

    Args:
        mesh: the mesh.
        longest: metres. Faces far larger than the mesh stay whole: there would be no end of their pieces.
        kept: (k,) ascending, the faces to take; default `solid_faces`.
    """
    kept = solid_faces(mesh) if kept is None else kept
    whole = oversized(mesh, kept)
    _, faces, first = weld(mesh, kept)
    positions, parent = mesh.vertices[first], kept
    weights = np.broadcast_to(np.eye(3, dtype=np.float32), (len(kept), 3, 3))
    while True:
        ends = np.stack([faces, np.roll(faces, -1, axis=1)], 2)
        long = np.linalg.norm(positions[ends[..., 0]] - positions[ends[..., 1]], axis=2) > longest
        long &= ~whole[:, None]
        if not long.any():
            break
        edges = np.sort(ends[long], axis=1).astype(np.int64)
        key, row = np.unique(edges[:, 0] * len(positions) + edges[:, 1], return_inverse=True)
        middle = np.full(faces.shape, -1, np.int32)
        middle[long] = len(positions) + row
        halves = 0.5 * (positions[key // len(positions)] + positions[key % len(positions)])
        positions = np.concatenate([positions, halves])
        corners = np.concatenate([faces, middle], 1)
        corner_weights = np.concatenate([weights, 0.5 * (weights + np.roll(weights, -1, axis=1))], 1)
        case = long @ np.array([1, 2, 4])
        parts = [(np.flatnonzero(case == bits), split) for bits, split in _PATTERNS.items()]
        faces = np.concatenate([corners[rows][:, triangle] for rows, split in parts for triangle in split])
        weights = np.concatenate([corner_weights[rows][:, triangle] for rows, split in parts for triangle in split])
        rows = np.concatenate([rows for rows, split in parts for _ in split])
        parent, whole = parent[rows], whole[rows]
    work = Mesh(positions, faces.astype(np.int32), axis_alignment=mesh.axis_alignment)
    return Patches(work, parent.astype(np.int32), weights)
