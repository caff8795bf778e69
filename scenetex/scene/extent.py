"""How large a mesh is and where: by most of its surface, whatever a few faces or unused vertices far away say."""

from dataclasses import dataclass

import numpy as np

_SAMPLE = 20_000  # faces that are looked at: medians of more tell no more
_CAP = 0.1  # no face counts for more than this part of what nine in ten faces count for together


@dataclass(frozen=True, eq=False)
class Extent:
    """Where most of a surface lies.

    Attributes:
        middle: (3,) float64, world. About it float32 is precise, however far away the world's origin lies.
        radius: middle distance of the surface from there, in the mesh's unit: 1 to 3 m for a room. 0 without surface.
    """

    middle: np.ndarray
    radius: float


def extent_of(triangles: np.ndarray) -> Extent:
    """The extent of triangles (f, 3, 3) float64, those with NaN corners left out.

    Middle and radius are medians over the corners. Triangles count by the square root of their area, so that neither a
    finely meshed object in a coarsely meshed room nor one long sliver decides.
    """
    triangles = triangles[:: max(1, len(triangles) // _SAMPLE)]
    triangles = triangles[np.isfinite(triangles).all((1, 2))]
    if not len(triangles):
        return Extent(np.zeros(3), 0.0)
    edges = triangles[:, 1:] - triangles[:, :1]
    area = np.linalg.norm(np.cross(edges[:, 0], edges[:, 1]), axis=1)
    # Faces without area would pull down what nine in ten count for. Where nothing has an area, all count alike.
    solid = area > 0 if area.any() else np.ones(len(area), bool)
    triangles, weight = triangles[solid], np.sqrt(area[solid]) if area.any() else np.ones(len(area))
    most = weight[weight <= np.quantile(weight, 0.9)].sum()
    weight = np.repeat(np.minimum(weight, max(_CAP * most, weight.min())), 3)
    corners = triangles.reshape(-1, 3)
    middle = np.array([weighted_quantile(axis, weight, 0.5) for axis in corners.T])
    return Extent(middle, weighted_quantile(np.linalg.norm(corners - middle, axis=1), weight, 0.5))


def weighted_quantile(values: np.ndarray, weight: np.ndarray, share: float) -> float:
    """The value that `share` of the weight does not exceed; NaN where there is no weight."""
    if not weight.sum() > 0:
        return np.nan
    order = np.argsort(values)
    total = np.cumsum(weight[order])
    return float(values[order[np.searchsorted(total, share * total[-1])]])
