"""Split large triangles into patches, so that what is decided per face (view, outliers, fill) is decided locally."""

import numpy as np

from ..scene.mesh import Mesh
from .atlas import Atlas
from .weld import solid_faces, weld

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


def patches(mesh: Mesh, atlas: Atlas, longest: float) -> tuple[Mesh, Atlas]:
    """The same surface and the same UV layout in faces without edges longer than `longest` metres.

    Vertices are welded, faces without area are gone, neighbours split their common edge at one place: the result is
    what surface algorithms want. It is a working copy; nothing of it is exported.
    """
    kept = solid_faces(mesh)
    _, faces, first = weld(mesh, kept)
    positions = mesh.vertices[first]
    uv = atlas.uv[atlas.faces[kept]]
    page, chart = atlas.page[kept], atlas.chart[kept]
    while True:
        ends = np.stack([faces, np.roll(faces, -1, axis=1)], 2)
        long = np.linalg.norm(positions[ends[..., 0]] - positions[ends[..., 1]], axis=2) > longest
        if not long.any():
            break
        edges = np.sort(ends[long], axis=1).astype(np.int64)
        key, row = np.unique(edges[:, 0] * len(positions) + edges[:, 1], return_inverse=True)
        middle = np.full(faces.shape, -1, np.int32)
        middle[long] = len(positions) + row
        positions = np.concatenate(
            [positions, 0.5 * (positions[key // len(positions)] + positions[key % len(positions)])]
        )
        corners = np.concatenate([faces, middle], 1)
        corner_uv = np.concatenate([uv, 0.5 * (uv + np.roll(uv, -1, axis=1))], 1)
        case = long @ np.array([1, 2, 4])
        parts = [(np.flatnonzero(case == bits), split) for bits, split in _PATTERNS.items()]
        faces = np.concatenate([corners[rows][:, triangle] for rows, split in parts for triangle in split])
        uv = np.concatenate([corner_uv[rows][:, triangle] for rows, split in parts for triangle in split])
        parent = np.concatenate([rows for rows, split in parts for _ in split])
        page, chart = page[parent], chart[parent]
    count = len(faces)
    patch_atlas = Atlas(
        uv=np.ascontiguousarray(uv.reshape(-1, 2)),
        faces=np.arange(3 * count, dtype=np.int32).reshape(count, 3),
        vertices=faces.ravel().astype(np.int32),
        page=page,
        chart=chart,
        size=atlas.size,
        pages=atlas.pages,
        texels_per_metre=atlas.texels_per_metre,
    )
    return Mesh(positions, faces.astype(np.int32), axis_alignment=mesh.axis_alignment), patch_atlas
