"""``--texture-size auto``: the page's side from what the images will resolve, before any of them is made."""

from typing import Literal

import numpy as np

from ..errors import InputError
from ..panorama.standpoint import panorama_views
from ..scene.camera import small_size
from ..scene.scene import Scene
from ..texture.atlas import Atlas
from ..texture.page_size import page_side, resolved_density
from ..views.viewset import ViewSet, render_views
from .bake_stages import Uvs
from .generation import Generation
from .photo_stages import choose_frames
from .stages import Stages

TextureSize = int | Literal["auto"]
_GLANCE = 160  # width of the views that are looked at, pixels
_MOST_FRAMES = 40  # of those that are painted with, evenly spaced


def chosen_size(
    scene: Scene,
    texture_size: TextureSize,
    texels_per_metre: float | None,
    keyframes: str,
    generation: Generation | None,
    uvs: Uvs,
    stages: Stages,
) -> int:
    """A number for ``texture_size`` "auto", and a note of it; a number as it is.

    Args:
        scene: what is textured.
        texture_size, texels_per_metre, keyframes, uvs: as in `run_stages`.
        generation: how the images are generated that the scene is painted with first; None = it is its photos.
        stages: of the run.

    Raises:
        InputError: "auto" beside a density, or images that see nothing of the mesh.
    """
    if texture_size != "auto":
        return texture_size
    if texels_per_metre is not None:
        raise InputError("texture_size auto chooses the texel density; leave texels_per_metre out, or auto")
    with stages.stage("texture size"):
        views, width = _views(scene, keyframes, generation)
        if not (views.face_id >= 0).any():
            raise InputError(f"{scene.name}: no image sees the mesh, so none tells a texture size; give it as a number")
        density = resolved_density(scene.mesh, views, width)
        size = page_side(scene.mesh, density, _own(scene, uvs))
    stages.note(f"texture size auto: {size} texels, as images resolve {density:.0f} pixels a metre")
    return size


def _views(scene: Scene, keyframes: str, generation: Generation | None) -> tuple[ViewSet, int]:
    """Small views of what images will show, and how many pixels wide the images will be."""
    if generation is not None and generation.panorama:
        return panorama_views(scene, size=_GLANCE), generation.image_size[0]
    ids = choose_frames(scene, keyframes, photos=generation is None)
    ids = [ids[i] for i in np.unique(np.linspace(0, len(ids) - 1, _MOST_FRAMES).round().astype(int))]
    size = scene.frame(ids[0]).camera.size
    width = size[0] if generation is None else generation.image_size[0] * generation.upscale
    return render_views(scene, ids, small_size(size, _GLANCE)), width


def _own(scene: Scene, uvs: Uvs) -> Atlas | None:
    if uvs == "new":
        return None
    try:
        return Atlas.from_mesh(scene.mesh)
    except InputError:
        if uvs == "keep":
            raise
        return None
