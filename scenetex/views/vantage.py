"""Where to look at a room from first: a place inside it with room all around, and the way one sees farthest."""

from collections.abc import Sequence

import numpy as np

from ..scene.mesh import Mesh
from .raycast import RayCaster

# In radii of the mesh, of which a room has about two metres.
_EYES = 0.6  # above the lowest point, where nobody has been
_NEAR = 30.0  # from the middle; what lies farther away is astray
_GRID = 9  # places along each side of the box that are tried then
_DIRECTIONS = 32  # level ones, all around
_ROOM = 1.3  # more room than that makes no place better


def inside_view(mesh: Mesh, places: Sequence[np.ndarray] = ()) -> tuple[np.ndarray, np.ndarray]:
    """An eye inside the mesh, and a point in front of it to look at.

    Args:
        mesh: upright (z up), metres.
        places: (3,) each, where cameras have been; without any, places all over the mesh's box are tried.

    Returns:
        eye (3,), target (3,) float64, both at one height. Of a mesh that nothing lies around, the eye is in its middle.
    """
    extent = mesh.extent
    corners = mesh.triangles.reshape(-1, 3)
    with np.errstate(invalid="ignore"):
        near = np.abs(corners - extent.middle).max(1) <= _NEAR * extent.radius
    low, high = corners[near].min(0), corners[near].max(0)
    middle = (low + high) / 2
    tried = np.stack(places) if len(places) else _all_over(low, high, _EYES * extent.radius)
    angles = np.arange(_DIRECTIONS) * 2 * np.pi / _DIRECTIONS
    level = np.stack([np.cos(angles), np.sin(angles), np.zeros(_DIRECTIONS)], 1)
    origins = np.repeat(tried - extent.middle, _DIRECTIONS, 0)
    hit = RayCaster.of(mesh).cast(origins, np.tile(level, (len(tried), 1)))
    # Behind the back of a wall is no room; where nothing is hit, the mesh is open or one is outside.
    facing = np.einsum("ij,ij->i", mesh.face_normals[hit["face"]], np.tile(level, (len(tried), 1))) < 0
    free = np.where((hit["face"] >= 0) & facing, hit["distance"], 0).reshape(len(tried), _DIRECTIONS)
    off_centre = np.linalg.norm(tried - middle, axis=1) / max(np.linalg.norm(high - low), 1e-300)
    best = int(np.argmax(np.minimum(free, _ROOM * extent.radius).mean(1) - 0.05 * extent.radius * off_centre))
    if not free[best].any():
        return middle, middle + level[0]
    return tried[best], tried[best] + level[np.argmax(free[best])]


def _all_over(low: np.ndarray, high: np.ndarray, eyes: float) -> np.ndarray:
    """(n, 3) places `eyes` above the ground, or in the middle of what is lower than that."""
    shares = (np.arange(_GRID) + 0.5) / _GRID
    x, y = np.meshgrid(low[0] + shares * (high[0] - low[0]), low[1] + shares * (high[1] - low[1]))
    height = low[2] + eyes if high[2] - low[2] > 1.2 * eyes else (low[2] + high[2]) / 2
    return np.stack([x.ravel(), y.ravel(), np.full(x.size, height)], 1)
