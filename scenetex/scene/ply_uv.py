"""The texture coordinates of a PLY file: of its vertices, or of the corners of its faces, as MeshLab writes them."""

import numpy as np

from .uv_map import UvMap

_VERTEX_NAMES = (("texture_u", "texture_v"), ("s", "t"), ("u", "v"))


def vertex_uv(columns: dict) -> np.ndarray | None:
    """(n, 2) float64 of the vertices' columns, or None."""
    named = next((names for names in _VERTEX_NAMES if set(names) <= columns.keys()), ())
    found = [columns[name] for name in named]
    if not found or any(isinstance(column, tuple) for column in found):
        return None
    with np.errstate(invalid="ignore"):
        return np.stack(found, 1).astype(np.float64)


def corner_uv(columns: dict, counts: np.ndarray, triangles: np.ndarray) -> UvMap | None:
    """Texture coordinates of the faces' columns, two numbers a corner, with `texnumber` for a material; or None.

    Args:
        columns: of the element `face`.
        counts: (p,) int64, corners of each polygon.
        triangles: (f, 3) int64, the polygons' triangles as positions among all corners.
    """
    column = columns.get("texcoord")
    if not isinstance(column, tuple):
        return None
    lengths, numbers = column[0].astype(np.int64), column[1]
    has = (lengths == 2 * counts) & (lengths > 0)
    if not has.any() or not (has | (lengths == 0)).all():
        return None
    uv = np.full((int(counts.sum()), 2), np.nan)
    with np.errstate(invalid="ignore"):
        uv[np.repeat(has, counts)] = numbers.reshape(-1, 2)
    corners = np.where(np.isnan(uv).any(1)[triangles].any(1)[:, None], -1, triangles)
    number = columns.get("texnumber")
    plain = isinstance(number, np.ndarray)
    return UvMap.of(uv, corners, np.repeat(number, np.maximum(counts - 2, 0)) if plain else None)
