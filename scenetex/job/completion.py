"""Painting what no photo saw: views that the trajectory never had, of which the painted part is known."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..errors import InputError
from ..pipelines import MVDiffusionPipeline
from ..sampling import Sampling
from ..scene.scene import Scene
from ..texture.bake import paint, survey
from ..texture.continuation import continued, settled
from ..texture.fill import pad
from ..texture.render import render_many
from ..texture.texels import rasterize
from ..texture.textured_mesh import TexturedMesh
from ..views.free_space import FreeSpace
from ..views.next_views import select_views
from ..views.viewset import ViewSet

MOST_VIEWS = 40


@dataclass(frozen=True, eq=False)
class Completed:
    """A texture without gaps, and how it came about.

    Attributes:
        mesh: the textured mesh; what was seen before is the same to the bit.
        views: the views that were painted.
        images: one (h, w, 3) uint8 image for each.
        known: one (h, w) bool mask for each, which of its pixels were there before.
        reachable: part of the reachable surface that is painted now, 0..1, by area.
    """

    mesh: TexturedMesh
    views: ViewSet
    images: list[np.ndarray]
    known: list[np.ndarray]
    reachable: float

    def __repr__(self) -> str:
        return f"Completed({len(self.views)} views, {self.reachable:.1%} of the reachable surface painted)"


def complete(
    scene: Scene,
    textured: TexturedMesh,
    pipe: MVDiffusionPipeline,
    prompt: str = "",
    sampling: Sampling | None = None,
    size: tuple[int, int] = (256, 192),
    most: int = MOST_VIEWS,
    joint_views: int = 16,
    done: Callable[[], None] = lambda: None,
) -> Completed:
    """Paints the surface that no view saw, from views that `select_views` chooses, into which what is painted already
    is rendered as known pixels.

    Args:
        scene: whose mesh it is, its faces turned the right way.
        textured: of which `coverage` says what was seen; that stays as it is.
        pipe: generates.
        prompt: what is there to see; "": what is known speaks alone.
        sampling: seed, steps and the like.
        size: (width, height) of the views, pixels.
        most: views at most.
        joint_views: most views to generate at once.
        done: called after each view that is painted into the atlas.

    Raises:
        InputError: the mesh is another than the scene's, or nothing of it was seen.

    Example:
        From photos of a part of the room, by the small model that comes with the package (one step of tiny views is far
        too little, but quick):

        >>> import scenetex
        >>> scene = scenetex.load_scene("scenes/sample_room")
        >>> room = scenetex.texture_scene(scene, keyframes="0,12,24", texture_size=256, refine_poses=False)
        >>> pipe = scenetex.MVDiffusionPipeline.from_pretrained("mini")
        >>> pipe.set_progress_bar_config(disable=True)
        >>> few = scenetex.Sampling(steps=1)
        >>> done = scenetex.complete(scene, room, pipe, "a living room", few, size=(64, 48), most=2)
        >>> done
        Completed(2 views, ... of the reachable surface painted)
        >>> seen = room.coverage[0]
        >>> bool((done.mesh.textures[0][seen] == room.textures[0][seen]).all())
        True
    """
    if len(textured.mesh.faces) != len(scene.mesh.faces):
        raise InputError(f"{scene.name}: the textured mesh is another than the scene's; texture this very scene first")
    if not any(page.any() for page in textured.coverage):
        raise InputError(f"{scene.name}: nothing was seen; there is nothing to go on from")
    seen, space = seen_share(textured), FreeSpace(scene)
    reachable = space.reachable()
    views = select_views(scene, np.where(reachable, seen, 1.0), size, most, space)
    if not len(views):
        return Completed(textured, views, [], [], _painted(scene, seen, reachable))
    told = continued(textured)
    before, known = rendered(textured, views)
    # What is as good as known speaks to the model like what is known.
    guess, given = rendered(told.trusted(textured), views)
    before = [np.where(k[..., None], b, g) for k, b, g in zip(known, before, guess, strict=True)]
    made: Any = pipe(
        prompt,
        views,
        images=before,
        known=given,
        joint_views=joint_views,
        **(sampling or Sampling()).keywords(),
    )
    images = [np.round(image * 255).astype(np.uint8) for image in made.images]
    made = paint(scene.mesh, textured.atlas, survey(scene.mesh, views, images), done, behind=textured)
    mesh = settled(made, told)
    return Completed(mesh, views, images, known, _painted(scene, seen_share(mesh), reachable))


def seen_share(textured: TexturedMesh) -> np.ndarray:
    """(f,) float64 per face, which part of its texels some view saw; 1 for faces without any."""
    texels = rasterize(textured.mesh, textured.atlas)
    seen = np.concatenate([page.ravel() for page in textured.coverage])[texels.pixel]
    count = np.bincount(texels.face, minlength=len(textured.mesh.faces))
    share = np.bincount(texels.face, seen, len(count)) / np.maximum(count, 1)
    return np.where(count > 0, share, 1.0)


def rendered(textured: TexturedMesh, views: ViewSet) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """What views see of a texture, (h, w, 3) uint8, and (h, w) bool masks of pixels whose texels all were seen."""
    cameras = views.intrinsics, views.cam_to_world, views.size
    texels = rasterize(textured.mesh, textured.atlas)
    drawn = np.zeros(np.stack(textured.coverage).shape, bool)
    drawn.reshape(-1)[texels.pixel] = True
    # Padded as colours are: at the charts' edges lookups reach over them.
    white = [pad(np.repeat(page[..., None] * np.uint8(255), 3, 2), mask) for page, mask in zip(textured.coverage, drawn)]
    covered = replace(textured, textures=tuple(white))
    known = [mask[..., 0] == 255 for mask in render_many(covered, *cameras)]
    return list(render_many(textured, *cameras)), known


def _painted(scene: Scene, seen: np.ndarray, reachable: np.ndarray) -> float:
    area = np.nan_to_num(scene.mesh.face_areas) * reachable
    return float((area * seen).sum() / max(area.sum(), 1e-12))
