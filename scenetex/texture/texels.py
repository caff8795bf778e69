"""The texels of an atlas: which face each one lies on, and where."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np


class Layout(Protocol):
    """What of an `Atlas` says where faces lie."""

    @property
    def uv(self) -> np.ndarray: ...

    @property
    def faces(self) -> np.ndarray: ...

    @property
    def page(self) -> np.ndarray: ...

    @property
    def size(self) -> int: ...

    @property
    def pages(self) -> int: ...


@dataclass(frozen=True, eq=False)
class Texels:
    """All texels whose centre lies on a face, sorted by face.

    Attributes:
        pixel: (n,) int32 position in the stack of pages: (page * size + row) * size + column, row 0 at the top (v = 1).
        face: (n,) int32 face of the mesh.
        bary: (n, 2) float32 weights of the face's second and third corner.
        start: (f + 1,) int64: texels of face i are start[i]:start[i + 1].
    """

    pixel: np.ndarray
    face: np.ndarray
    bary: np.ndarray
    start: np.ndarray

    def __len__(self) -> int:
        return len(self.pixel)

    def interpolate(self, corners: np.ndarray, select=slice(None)) -> np.ndarray:
        """Values (k, c) at the selected texels from per-face corner values `corners` (f, 3, c)."""
        face, bary = self.face[select], self.bary[select]
        first = corners[face, 0]
        out = first + bary[:, :1] * (corners[face, 1] - first)
        out += bary[:, 1:] * (corners[face, 2] - first)
        return out

    def spread(self, values: np.ndarray, atlas: Layout) -> np.ndarray:
        """(pages, size, size, ...) of values (n, ...), one per texel, in the atlas's pages; 0 elsewhere."""
        pages = np.zeros((atlas.pages * atlas.size**2, *values.shape[1:]), values.dtype)
        pages[self.pixel] = values
        return pages.reshape(atlas.pages, atlas.size, atlas.size, *values.shape[1:])

    def charted(self, atlas: Layout) -> np.ndarray:
        """(pages, size, size) bool, where there are texels."""
        return self.spread(np.ones(len(self), bool), atlas)

    def on_faces(self, chosen: np.ndarray, values: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """All texels of some faces with interpolated vertex values.

        Args:
            chosen: (k,) faces, ascending.
            values: (n, c) float32 per vertex.
            faces: (f, 3) vertex indices.

        Returns:
            (t,) texel indices and (t, c) float32 values there.
        """
        # Takes are several times as quick as indexing by arrays, and than repeats of rows.
        count = self.start[chosen + 1] - self.start[chosen]
        ends, of = np.cumsum(count), np.repeat(np.arange(len(chosen)), count)
        index = (self.start[chosen] - ends + count).take(of)
        index += np.arange(len(index))
        corners = values.take(faces.take(chosen, 0), 0)
        first = corners[:, 0]
        out = first.take(of, 0)
        bary = self.bary.take(index, 0)
        for corner in (1, 2):
            slope = (corners[:, corner] - first).take(of, 0)
            slope *= bary[:, corner - 1 : corner]
            out += slope
        return index, out


def rasterize(atlas: Layout) -> Texels:
    """Finds the texel centres within every face by scan conversion.

    A centre on an edge that two faces share belongs to exactly one of them: rows and columns are half-open intervals,
    and both faces compute the edge's crossing from the same two points in the same order.
    """
    size = atlas.size
    faces = np.flatnonzero(atlas.page >= 0)
    # In texels, v turned downwards, so that row r has its centres at y = r + 0.5.
    corners = atlas.uv[atlas.faces[faces]].astype(np.float64) * size
    corners[..., 1] = size - corners[..., 1]
    lowest, highest = corners[..., 1].min(1), corners[..., 1].max(1)
    first = np.clip(np.ceil(lowest - 0.5), 0, size).astype(np.int64)
    rows = np.maximum(np.clip(np.ceil(highest - 0.5), 0, size).astype(np.int64) - first, 0)
    face = np.repeat(np.arange(len(faces)), rows)
    row = np.arange(len(face)) - np.repeat(np.cumsum(rows) - rows, rows) + first[face]
    left, right = _spans(corners, face, row + 0.5)
    start = np.clip(np.ceil(left - 0.5), 0, size).astype(np.int64)
    length = np.maximum(np.clip(np.ceil(right - 0.5), 0, size).astype(np.int64) - start, 0)

    span = np.repeat(np.arange(len(face)), length)
    step = np.arange(len(span)) - np.repeat(np.cumsum(length) - length, length)
    pixel = ((atlas.page[faces[face]] * size + row) * size + start)[span] + step
    # Barycentric weights are affine along a span: a value at its left end and a slope.
    origin, edge1, edge2 = corners[:, 0], corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    area = edge1[:, 0] * edge2[:, 1] - edge1[:, 1] * edge2[:, 0]
    area = np.where(area == 0, 1.0, area)
    slope = np.stack([edge2[:, 1], -edge1[:, 1]], 1) / area[:, None]
    across = np.stack([-edge2[:, 0], edge1[:, 0]], 1) / area[:, None]
    offset = 0.5 - origin
    begin = slope[face] * (start + offset[face, 0])[:, None] + across[face] * (row + offset[face, 1])[:, None]
    bary = begin.astype(np.float32)[span]
    bary += slope.astype(np.float32)[face[span]] * step[:, None].astype(np.float32)
    owner = faces[face[span]]
    ends = np.cumsum(np.bincount(owner, minlength=len(atlas.page)))
    return Texels(pixel.astype(np.int32), owner.astype(np.int32), bary, np.concatenate([[0], ends]))


def _spans(corners: np.ndarray, face: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Left and right x (k,) where the horizontal lines `y` (k,) cross the faces `face` (k,) of `corners` (f, 3, 2)."""
    left, right = np.full(len(y), np.inf), np.full(len(y), -np.inf)
    for a, b in ((0, 1), (1, 2), (2, 0)):
        swap = corners[:, a, 1] > corners[:, b, 1]
        low = np.where(swap[:, None], corners[:, b], corners[:, a])
        high = np.where(swap[:, None], corners[:, a], corners[:, b])
        rise = high[:, 1] - low[:, 1]
        lean = (high[:, 0] - low[:, 0]) / np.where(rise > 0, rise, 1.0)
        crossed = (low[face, 1] <= y) & (y < high[face, 1])
        x = low[face, 0] + (y - low[face, 1]) * lean[face]
        np.minimum(left, x, out=left, where=crossed)
        np.maximum(right, x, out=right, where=crossed)
    empty = left > right
    left[empty] = right[empty] = 0.0
    return left, right
