"""How many texels a surface needs for what images resolve on it."""

import numpy as np

from ..scene.mesh import Mesh
from ..views.viewset import ViewSet, pixel_rays
from .atlas import Atlas
from .weld import solid_faces, usual

_PLACES_ACROSS = 20  # cells to the mesh's radius in which the view that resolves most counts
_PERCENTILE = 90.0  # of the surface: what few close-ups resolve beyond that is lost
_FILLED = 0.5  # part of a page that charts of a scan take
_GRAZING = 0.1
SIDES = 512, 8192  # texels


def resolved_density(mesh: Mesh, views: ViewSet, width: int) -> float:
    """Pixels per metre of surface that images resolve: nine tenths of what is seen are nowhere resolved better.

    Args:
        mesh: the mesh the views see.
        views: m views of any size that see something of it.
        width: of the images, pixels.
    """
    middle, radius = mesh.extent.middle, mesh.extent.radius
    places, found = [], []
    for k, pose, depth, face_id in zip(views.intrinsics, views.cam_to_world, views.depth, views.face_id, strict=True):
        origin, rays = pixel_rays(k, pose, views.size)
        seen = np.flatnonzero(face_id.ravel() >= 0)
        rays, z = rays[seen].astype(np.float64), depth.ravel()[seen].astype(np.float64)
        normal = mesh.face_normals[face_id.ravel()[seen]]
        cosine = np.abs(np.einsum("ij,ij->i", rays, normal)) / np.linalg.norm(rays, axis=1)
        places.append(np.floor((origin - middle + z[:, None] * rays) * (_PLACES_ACROSS / radius)).astype(np.int64))
        found.append(np.sqrt(k[0, 0] * k[1, 1] * np.maximum(cosine, _GRAZING)) / z * (width / views.size[0]))
    cell = np.unique(np.concatenate(places), axis=0, return_inverse=True)[1].ravel()
    best = np.zeros(int(cell.max()) + 1)
    np.maximum.at(best, cell, np.concatenate(found))
    return float(np.percentile(best, _PERCENTILE))


def page_side(mesh: Mesh, density: float, own: Atlas | None = None) -> int:
    """The side of the page, texels, that holds a mesh at about a density, texels per metre: the nearest power of two,
    512 to 8192. `own` is the mesh's own layout at any size, where it keeps that."""
    if own is not None:
        side = density * own.size / own.texels_per_metre
    else:
        area = mesh.face_areas[usual(mesh, solid_faces(mesh))].sum()
        side = density * float(np.sqrt(area / _FILLED))
    return int(np.clip(2 ** np.round(np.log2(max(side, 1))), *SIDES))
