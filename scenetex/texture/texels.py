"""The texels of an atlas: which face each one lies on, and where."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from ..scene.mesh import Mesh
from ..views.raycast import RayCaster
from .atlas import Atlas


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

    def on_faces(self, chosen: np.ndarray, values: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """All texels of some faces with interpolated vertex values.

        Args:
            chosen: (k,) faces, ascending.
            values: (n, c) float32 per vertex.
            faces: (f, 3) vertex indices.

        Returns:
            (t,) texel indices and (t, c) float32 values there.
        """
        count = self.start[chosen + 1] - self.start[chosen]
        ends = np.cumsum(count)
        index = np.repeat(self.start[chosen] - ends + count, count) + np.arange(int(ends[-1]) if len(ends) else 0)
        corners = values[faces[chosen]]
        first = corners[:, 0]
        out = np.repeat(first, count, axis=0)
        bary = self.bary[index]
        for corner in (1, 2):
            out += np.repeat(corners[:, corner] - first, count, axis=0) * bary[:, corner - 1 : corner]
        return index, out


def rasterize(mesh: Mesh, atlas: Atlas) -> Texels:
    """Finds the face under every texel centre by casting rays onto the flat UV layout."""
    size, parts = atlas.size, []
    column = (np.arange(size) + 0.5).astype(np.float32)
    for page in range(atlas.pages):
        faces = np.flatnonzero(atlas.page == page)
        if not len(faces):
            continue
        # In texel units with v turned downwards, so that a ray's row and column are its texel.
        flat = np.zeros((len(atlas.uv), 3), np.float32)
        flat[:, 0] = atlas.uv[:, 0] * size
        flat[:, 1] = (1 - atlas.uv[:, 1]) * size
        caster = RayCaster(flat, atlas.faces[faces])

        def strip(rows, caster=caster, faces=faces, page=page):
            origins = np.empty((len(rows), size, 3), np.float32)
            origins[..., 0], origins[..., 1], origins[..., 2] = column, column[rows][:, None], -1
            directions = np.zeros((len(rows) * size, 3), np.float32)
            directions[:, 2] = 1
            hit = caster.cast(origins.reshape(-1, 3), directions)
            on = np.flatnonzero(hit["face"] >= 0)
            pixel = (page * size + rows[0]) * size + on
            return pixel.astype(np.int32), faces[hit["face"][on]].astype(np.int32), hit["u"][on], hit["v"][on]

        with ThreadPoolExecutor() as pool:
            parts += pool.map(strip, np.array_split(np.arange(size), -(-size // 128)))
    pixel, face, u, v = (np.concatenate(x) for x in zip(*parts, strict=True))
    order = np.argsort(face, kind="stable")
    start = np.concatenate([[0], np.cumsum(np.bincount(face, minlength=len(mesh.faces)))])
    return Texels(pixel[order], face[order], np.stack([u, v], 1)[order], start)
