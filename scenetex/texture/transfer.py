"""A texture brought from one surface onto another that lies close to it, texel by texel."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from ..process.memory import need
from ..process.threads import threads
from ..scene.mesh import Mesh
from .atlas import Atlas
from .fill import pad
from .lookup import sample_pages
from .nearest_surface import NearestSurface
from .texels import Texels, rasterize

_AT_ONCE = 1 << 17  # texels: what is computed of them stays small
_TEXEL = 40  # bytes that a texel takes, at the least
_REACH = 0.5  # of the middle edge of the faces that are painted: how far off what they show may lie
_NORMAL = 0.3  # length of a mean of unit normals below which they point apart
_MOST_SAMPLES = 32  # a side, of a texel that stands for many
# Values (n, c) float32 of the surface's faces (n,) at weights (n, 2).
Look = Callable[[np.ndarray, np.ndarray], np.ndarray]


class Transfer:
    """The places of a surface that the texels of another mesh show.

    Args:
        surface: what is shown, from `surface_of`.
        mesh: the mesh that is painted, in the same frame.
        atlas: its atlas.
        samples: a side, that a texel is the mean of.
    """

    def __init__(self, surface: Mesh, mesh: Mesh, atlas: Atlas, samples: int):
        need(_TEXEL * atlas.pages * atlas.size**2, f"{atlas.pages} pages of {atlas.size} x {atlas.size} texels:")
        self.texels = rasterize(atlas)
        self._nearest, self._mesh, self._atlas = NearestSurface(surface), mesh, atlas
        edges = np.linalg.norm(mesh.triangles - np.roll(mesh.triangles, 1, axis=1), axis=2)
        self._reach = _REACH * float(np.median(edges[atlas.page >= 0]))
        self._offsets = (np.arange(samples) + 0.5) / samples - 0.5
        self._slopes = _slopes(atlas)
        self._corners = mesh.triangles, mesh.vertex_normals[mesh.faces]

    def means(self, *looks: Look) -> list[np.ndarray]:
        """(n, c) float32 for each of `looks`: for each texel the mean of what it says of the places in it."""
        parts = [slice(i, i + _AT_ONCE) for i in range(0, max(len(self.texels), 1), _AT_ONCE)]

        def mean(part: slice) -> list[np.ndarray]:
            total = [np.float32(0)] * len(looks)
            for y in self._offsets:
                for x in self._offsets:
                    places = self._places(part, np.array([x, y]))
                    total = [so_far + look(*places) for so_far, look in zip(total, looks, strict=True)]
            return [part / np.float32(len(self._offsets) ** 2) for part in total]

        with ThreadPoolExecutor(threads()) as pool:
            return [np.concatenate(found) for found in zip(*pool.map(mean, parts), strict=True)]

    def _places(self, part: slice, offset: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Places of the surface that texels show (2,) texels to the right and down of their middle."""
        face = self.texels.face[part]
        bary = self.texels.bary[part] + np.einsum("nij,j->ni", self._slopes[face], offset)
        weights = np.concatenate([1 - bary.sum(1, keepdims=True), bary], 1)
        points, normals = (np.einsum("nk,nkc->nc", weights, corners[face]) for corners in self._corners)
        length = np.linalg.norm(normals, axis=1, keepdims=True)
        # Smooth normals leave neither gaps nor repetitions between faces; on the rim of a sheet's fold there are none.
        normals = np.where(length > _NORMAL, normals / np.maximum(length, _NORMAL), self._mesh.face_normals[face])
        return self._nearest.find(points, normals, self._reach)


def _slopes(atlas: Atlas) -> np.ndarray:
    """(f, 2, 2) how the weights of a face's second and third corner (second axis) grow from texel to texel, to the
    right and down (third); 0 where there is no texture."""
    corners = atlas.uv[np.maximum(atlas.faces, 0)].astype(np.float64) * [atlas.size, -atlas.size]
    edges = np.stack([corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]], 2)
    sound = (atlas.page >= 0) & (np.abs(np.linalg.det(edges)) > 1e-12)
    out = np.zeros((len(corners), 2, 2))
    out[sound] = np.linalg.inv(edges[sound])
    return out


def samples_for(fine: float, coarse: float) -> int:
    """Samples a side that a texel is the mean of, for densities `fine` of what is shown and `coarse` of what is
    painted, texels per metre: so many that none of the fine texels is left out."""
    return int(np.clip(np.ceil(fine / coarse - 0.1), 1, _MOST_SAMPLES))


def colors_of(atlas: Atlas, textures: Sequence[np.ndarray], faces: np.ndarray) -> Look:
    """Looks up colours, 0 to 255, in a texture of the surface; `faces` (k,) are the atlas's faces for its."""
    return lambda face, weights: sample_pages(atlas, textures, faces[face], weights[:, 0], weights[:, 1])


def normals_of(surface: Mesh) -> Look:
    """Looks up unit normals of the surface, smooth within its faces and across their edges."""
    corners = surface.vertex_normals[surface.faces]

    def look(face: np.ndarray, weights: np.ndarray) -> np.ndarray:
        bary = np.concatenate([1 - weights.sum(1, keepdims=True), weights], 1)
        normal = np.einsum("nk,nkc->nc", bary, corners[face])
        return (normal / np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-12)).astype(np.float32)

    return look


def padded(texels: Texels, atlas: Atlas, values: np.ndarray) -> tuple[np.ndarray, ...]:
    """Pages of values (n, 3) float, 0 to 255, rounded, and run on into the gaps between charts."""
    pages = texels.spread(np.clip(np.rint(values), 0, 255).astype(np.uint8), atlas)
    return tuple(pad(page, mask) for page, mask in zip(pages, texels.charted(atlas), strict=True))
