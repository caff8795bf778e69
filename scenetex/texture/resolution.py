"""How large a photo has to be to be painted with: as fine as the texels it gives their detail."""

import numpy as np

from .photo_reader import Pictures
from .projection import Photo, Surface, aspect
from .texels import Layout

_ENOUGH = 1.25  # pixels of a photo for a texel; two bilinear lookups of a pixel each cost sharpness below it
_MATTERS = 0.02  # share in a face's detail from which on a photo has to be fine enough for it
_ASKED = 4000  # faces of which a photo's pixels are measured
_COARSE = 0.05  # share of those faces' area that may have fewer pixels


def as_fine_as_texels(
    surface: Surface, layout: Layout, shots: list[Photo], pictures: Pictures, detail: np.ndarray
) -> list[Photo]:
    """Photos of the size to paint with: their own, or shrunk by a whole number where that still holds all that the
    texels can. A photo whose pixels are far smaller than the texels would flicker from texel to texel, besides.

    Args:
        surface: of the mesh whose faces `layout` lays out.
        layout: where the f faces lie.
        shots: m photos as they were compared.
        pictures: their images as they are.
        detail: (f, m) float32 share of each photo in a face's detail.
    """
    texels, area = _texels_per_metre(surface, layout)
    sizes = []
    for i, (shot, (width, height)) in enumerate(zip(shots, pictures.sizes, strict=True)):
        factor = 1
        face = np.flatnonzero((detail[:, i] > _MATTERS) & (area > 0))
        face = face[:: len(face) // _ASKED + 1]
        if len(face):
            pixels = _resolution(surface, shot, face) * (width / shot.size[0])
            factor = max(1, int(_low(pixels / texels[face], area[face]) / _ENOUGH))
        sizes.append((max(1, round(width / factor)), max(1, round(height / factor))))
    painted = pictures if sizes == pictures.sizes else pictures.resized(sizes)
    return [shot.within(painted) for shot in shots]


def _resolution(surface: Surface, shot: Photo, face: np.ndarray) -> np.ndarray:
    """(k,) pixels per metre in the middle of faces (k,)."""
    middles = Surface.of_points(surface.centers[face], surface.normals[face], surface.reach[face])
    return aspect(middles, shot).resolution


def _texels_per_metre(surface: Surface, layout: Layout) -> tuple[np.ndarray, np.ndarray]:
    """(f,) texels per metre of each face, and its area, 0 where it is not laid out."""
    a, b, c = np.moveaxis(surface.vertices[surface.faces], 1, 0)
    area = 0.5 * np.linalg.norm(np.cross(b - a, c - a), axis=1)
    a, b, c = np.moveaxis(layout.uv[layout.faces], 1, 0) * layout.size
    across, down = (b - a).T, (c - a).T
    flat = 0.5 * np.abs(across[0] * down[1] - across[1] * down[0])
    laid = (layout.page >= 0) & (area > 0) & (flat > 0)
    return np.sqrt(flat / np.where(laid, area, 1)), np.where(laid, area, 0)


def _low(values: np.ndarray, weights: np.ndarray) -> float:
    """The value below which `_COARSE` of the weights lie."""
    order = np.argsort(values)
    share = np.cumsum(weights[order])
    return float(values[order[np.searchsorted(share, _COARSE * share[-1])]])
