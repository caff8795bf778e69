"""The stages that make an atlas and paint it."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import fields
from typing import Literal

import numpy as np

from ..errors import InputError
from ..process.threads import one_blas_thread
from ..scene.scene import Scene
from ..texture.atlas import Atlas
from ..texture.bake import paint, survey
from ..texture.textured_mesh import TexturedMesh
from ..texture.unwrap import Packer, unwrap
from .photo_stages import Made
from .stages import Stages

Layout = Future[Atlas] | Callable[[], Atlas] | Atlas
Uvs = Literal["new", "keep", "auto"]


def lay_out(
    scene: Scene, stages: Stages, texture_size: int, texels_per_metre: float | None, packer: Packer, uvs: Uvs = "new"
) -> Atlas:
    """The atlas: `unwrap` as a stage, or the mesh's own, as `uvs` says.

    Raises:
        InputError: the mesh's own is to be kept, and cannot be.
    """
    with stages.stage("unwrap"):
        if uvs != "new":
            try:
                return Atlas.from_mesh(scene.mesh, texture_size)
            except InputError as error:
                if uvs == "keep":
                    raise
                stages.note(f"{str(error).partition(';')[0]}: laid out anew")
        found = stages.recall("unwrap")
        if found is not None:
            return Atlas(**found)
        atlas = unwrap(scene.mesh, texture_size, texels_per_metre=texels_per_metre, packer=packer)
        stages.keep("unwrap", **{field.name: getattr(atlas, field.name) for field in fields(atlas)})
    return atlas


@one_blas_thread()
def bake_stages(scene: Scene, layout: Layout, made: Made, stages: Stages, generated: bool) -> TexturedMesh:
    """Survey and paint, the two halves of `bake`, as stages; the survey does not need the atlas yet."""
    views, pictures, _, refinement = made
    found = stages.recall("paint")
    if found is not None:
        pages = {name: tuple(found[name]) for name in ("textures", "coverage", "generated")}
        clipped = float(found["shown_clipped"]) if "shown_clipped" in found else None
        atlas = _await(layout, stages)
        return TexturedMesh(scene.mesh, atlas, texels=found["texels"], shown_clipped=clipped, **pages)
    with stages.stage("survey"):
        turning = None if refinement is None else refinement.turning
        seen_by = survey(scene.mesh, views, pictures, turning, passersby=not generated)
        for said in _about_passersby(views.frame_ids, seen_by.hidden):
            stages.note(said)
    atlas = _await(layout, stages)
    with stages.stage("paint", len(views)) as done:
        mesh = paint(scene.mesh, atlas, seen_by, done, generated=generated)
        kept = {name: getattr(mesh, name) for name in ("textures", "coverage", "generated", "texels")}
        kept |= {} if mesh.shown_clipped is None else {"shown_clipped": mesh.shown_clipped}
        stages.keep("paint", **kept)
    return mesh


def _about_passersby(frame_ids: Sequence[int], hidden: np.ndarray) -> list[str]:
    """What the user should know of people and things that were left out: the share of each photo that they hide."""
    some = np.flatnonzero(hidden)
    if not len(some):
        return []
    most = some[np.argmax(hidden[some])]
    return [
        f"somebody or something before the surface is left out of {len(some)} of {len(hidden)} photos, most of frame "
        f"{frame_ids[most]}: {100 * hidden[most]:.0f} %"
    ]


def _await(layout: Layout, stages: Stages) -> Atlas:
    """The atlas; a bar without an end while it takes longer than the stages beside it."""
    if isinstance(layout, Atlas):
        return layout
    if not isinstance(layout, Future):
        return layout()
    with stages.stage("waiting for unwrap", 0) as done:
        while not layout.done():
            time.sleep(0.02)
            done()
    return layout.result()
