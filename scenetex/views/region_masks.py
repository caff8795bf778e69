"""Regions of the surface as views see them."""

from collections.abc import Sequence

import numpy as np

from ..errors import InputError
from .viewset import ViewSet


def region_masks(views: ViewSet, regions: Sequence[np.ndarray]) -> np.ndarray:
    """Which pixels of views show which regions, as `MVDiffusionPipeline` takes them for prompts by region.

    Args:
        views: m views of a mesh of f faces.
        regions: r masks (f,) bool of its faces, such as those of `scenetex.regions`.

    Returns:
        (r, m, h, w) bool.

    Raises:
        InputError: a mask of another number of faces, or of something else than bools.

    Example:
        >>> import scenetex
        >>> scene = scenetex.load_scene("scenes/sample_room")
        >>> views = scenetex.render_views(scene, [0, 12], size=(64, 48))
        >>> found = scenetex.regions(scene)
        >>> masks = scenetex.region_masks(views, [found["floor"], found["walls"]])
        >>> masks.shape, bool((masks[0] & masks[1]).any())
        ((2, 2, 48, 64), False)
    """
    faces = len(views.face_normals)
    masks = np.zeros((len(regions), *views.face_id.shape), bool)
    for i, region in enumerate(np.asarray(region) for region in regions):
        if region.shape != (faces,) or region.dtype.kind not in "bui":
            raise InputError(
                f"region {i} is {region.dtype} of shape {region.shape}, but the mesh has {faces:,} faces; pass a bool "
                "for each of them"
            )
        masks[i] = region.astype(bool)[views.face_id] & (views.face_id >= 0)
    return masks
