"""Painting what no photo saw: views that the trajectory never had, of which the painted part is known."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InputError
from ..sampling import Sampling
from ..scene.scene import Scene
from ..texture.bake import paint, survey
from ..texture.continuation import Continuation, continued, settled
from ..texture.fill import pad
from ..texture.render import render_many
from ..texture.texels import rasterize
from ..texture.textured_mesh import TexturedMesh
from ..views.free_space import FreeSpace
from ..views.next_views import select_views
from ..views.region_masks import region_masks
from ..views.viewset import ViewSet, together
from .keyframe_images import check_finite

if TYPE_CHECKING:
    from ..pipelines import ConsistentViews, MVDiffusionPipeline

MOST_VIEWS = 60
_MISSING = 0.02  # of a view's pixels, at the least, for it to be worth painting
_ENOUGH = 0.99  # of the reachable surface
_LEAST = (0.05, 0.01, 0.004, 0.002, 0.001)  # square metres that each view has to add, round after round


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
    pipe: "MVDiffusionPipeline | ConsistentViews",
    prompt: str = "",
    sampling: Sampling | None = None,
    size: tuple[int, int] = (256, 192),
    most: int = MOST_VIEWS,
    joint_views: int = 16,
    done: Callable[[], None] = lambda: None,
    *,
    negative_prompt: str | None = None,
    region_prompts: Sequence[str] = (),
    regions: Sequence[np.ndarray] = (),
    like_known: bool = True,
    first: ViewSet | None = None,
) -> Completed:
    """Paints the surface that no view saw, from views that `select_views` chooses, into which what is painted already
    is rendered as known pixels; round after round, until 99 % of the reachable surface is painted.

    What is generated is made to fit: near surface of the same kind, its colours go on, on planes with a pattern that
    too, and detail is as strong as there (see `texture.continuation`). What no view reaches is continued so alone.

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
        negative_prompt: what is not there to see.
        region_prompts: r texts for regions of their own, whose pixels the prompt does not act on.
        regions: r masks (f,) bool per face of the mesh; where they overlap, the later one counts.
        like_known: what is missing continues known surface of its kind; False = the words alone say what is there.
        first: views to begin with, of `size`; those in which nothing is missing are left out. None = none.

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
    space = FreeSpace(scene)
    reachable = space.reachable()
    found: list[ViewSet] = []
    images: list[np.ndarray] = []
    known: list[np.ndarray] = []
    mesh = textured
    told: Continuation | None = None

    def generated(views: ViewSet) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """(h, w, 3) uint8 images, and (h, w) bool masks of their pixels that were there."""
        before, there = rendered(mesh, views)
        given = there
        if told is not None:
            # What is as good as known speaks to the model like what is known.
            guess, given = rendered(told.trusted(mesh), views)
            trio = zip(there, before, guess, strict=True)
            before = [np.where(mask[..., None], image, other) for mask, image, other in trio]
        told_of_regions: dict[str, Any] = {}  # not every pipeline can be
        if regions:
            told_of_regions = {"region_prompts": list(region_prompts), "region_masks": region_masks(views, regions)}
        made: Any = pipe(
            prompt,
            views,
            negative_prompt=negative_prompt,
            images=before,
            known=given,
            joint_views=joint_views,
            **(sampling or Sampling()).keywords(),
            **told_of_regions,
        )
        check_finite(made.images, type(pipe).__name__)
        return [np.round(image * 255).astype(np.uint8) for image in made.images], there

    for least in (None, *_LEAST):
        seen = seen_share(mesh)
        left = most - len(images)
        if not left or _painted(scene, seen, reachable) >= _ENOUGH:
            break
        if least is None:
            views = _lacking(first, mesh, left)
        else:
            views = select_views(scene, np.where(reachable, seen, 1.0), size, left, space, least)
        if views is None or not len(views):
            continue
        number = scene.frames[-1].id + 1 + most - left
        views = replace(views, frame_ids=tuple(range(number, number + len(views))))
        told = told or (continued(textured) if like_known else None)
        made, there = generated(views)
        pages = paint(
            scene.mesh, textured.atlas, survey(scene.mesh, views, made, passersby=False), done, mesh, generated=True
        )
        mesh = pages if told is None else settled(pages, mesh, told)
        found, images, known = [*found, views], images + made, known + there
    if not found:
        nowhere = select_views(scene, np.ones(len(scene.mesh.faces)), size, 0, space)
        return Completed(textured, nowhere, [], [], _painted(scene, seen_share(textured), reachable))
    return Completed(mesh, together(found), images, known, _painted(scene, seen_share(mesh), reachable))


def _lacking(views: ViewSet | None, textured: TexturedMesh, most: int) -> ViewSet | None:
    """Of the views those in which something is missing."""
    if views is None:
        return None
    known = rendered(textured, views)[1]
    return views.at([i for i, mask in enumerate(known) if mask.mean() < 1 - _MISSING][:most])


def seen_share(textured: TexturedMesh) -> np.ndarray:
    """(f,) float64 per face, which part of its texels some view saw; 1 for faces without any."""
    texels = rasterize(textured.atlas)
    seen = np.concatenate([page.ravel() for page in textured.coverage])[texels.pixel]
    count = np.bincount(texels.face, minlength=len(textured.mesh.faces))
    share = np.bincount(texels.face, seen, len(count)) / np.maximum(count, 1)
    return np.where(count > 0, share, 1.0)


def rendered(textured: TexturedMesh, views: ViewSet) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """What views see of a texture, (h, w, 3) uint8, and (h, w) bool masks of pixels whose texels all were seen."""
    cameras = views.intrinsics, views.cam_to_world, views.size
    # Padded as colours are: at the charts' edges lookups reach over them.
    pairs = zip(textured.coverage, textured.atlas.charted, strict=True)
    white = [pad(np.repeat(page[..., None] * np.uint8(255), 3, 2), mask) for page, mask in pairs]
    covered = replace(textured, textures=tuple(white))
    known = [mask[..., 0] == 255 for mask in render_many(covered, *cameras)]
    return list(render_many(textured, *cameras)), known


def _painted(scene: Scene, seen: np.ndarray, reachable: np.ndarray) -> float:
    area = np.nan_to_num(scene.mesh.face_areas) * reachable
    return float((area * seen).sum() / max(area.sum(), 1e-12))
