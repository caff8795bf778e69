"""Painting parts of a scene anew: which faces, and how all the rest stays as it is."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..errors import InputError
from ..scene.scene import Scene
from ..texture.texels import rasterize
from ..texture.textured_mesh import TexturedMesh
from ..views.viewset import ViewSet, cast_views
from .completion import Completed

Region = str | Sequence[str] | np.ndarray


@dataclass(frozen=True)
class Repainting:
    """What of a scene is painted anew, as names of regions (`scenetex.regions`).

    Attributes:
        only: these alone; none = everything.
        keep: but not these.

    Example:
        >>> import numpy as np
        >>> import scenetex
        >>> floor, sofa = np.array([True, True, False]), np.array([False, True, False])
        >>> scenetex.Repainting(only=("floor",), keep=("label:sofa",)).faces({"floor": floor, "label:sofa": sofa})
        array([ True, False, False])
    """

    only: tuple[str, ...] = ()
    keep: tuple[str, ...] = ()

    def faces(self, regions: Mapping[str, np.ndarray]) -> np.ndarray:
        """(f,) bool, the faces that are painted anew.

        Args:
            regions: (f,) bool per face, for each name.

        Raises:
            InputError: there are none.
        """
        count = len(next(iter(regions.values())))
        chosen = np.any([regions[name] for name in self.only], axis=0) if self.only else np.ones(count, bool)
        for name in self.keep:
            chosen = chosen & ~regions[name]
        if not chosen.any():
            raise InputError("nothing is left to paint anew: what is kept covers all of it; name other regions")
        return chosen


@dataclass(frozen=True, eq=False)
class Base:
    """What a scene was painted with before.

    Attributes:
        mesh: the textured mesh.
        views, images, keyframe: as in `Result`; there may be none.
    """

    mesh: TexturedMesh
    views: ViewSet
    images: Sequence[np.ndarray]
    keyframe: tuple[bool, ...]

    @classmethod
    def of(cls, mesh: TexturedMesh) -> "Base":
        """A mesh of which no views are known."""
        none = np.zeros((0, 3, 3)), np.zeros((0, 4, 4)), (1, 1), ()
        return cls(mesh, cast_views(mesh.mesh, *none), [], ())


def asked_for(
    scene: Scene, only: Region, keep: Region, painted: Iterable[str], whole: bool
) -> tuple[Repainting | None, dict[str, np.ndarray]]:
    """What regions as Python has them ask for.

    Args:
        scene: of the regions.
        only, keep: a name, several, or a mask (f,) bool per face of the mesh; none = ().
        painted: names of regions that have prompts of their own.
        whole: where `only` does not say so, the whole scene is painted, not these regions alone.

    Returns:
        What to paint anew, or None; and the masks, under names that `Repainting` has them by.

    Raises:
        InputError: a mask that does not fit the mesh.
    """
    masks: dict[str, np.ndarray] = {}

    def named(region: Region, what: str) -> tuple[str, ...]:
        if isinstance(region, str):
            return (region,)
        if isinstance(region, np.ndarray):
            faces = len(scene.mesh.faces)
            if region.shape != (faces,) or region.dtype.kind not in "bui":
                raise InputError(
                    f"{what}: is {region.dtype} of shape {region.shape}, but the mesh has {faces:,} faces; pass a bool "
                    "for each of them"
                )
            masks[f"the mask of {what}"] = region.astype(bool)
            return (f"the mask of {what}",)
        return tuple(region)

    chosen, kept = named(only, "only"), named(keep, "keep")
    if not chosen and not whole:
        chosen = tuple(dict.fromkeys(painted))
    return (Repainting(chosen, kept) if chosen or kept else None), masks


def repainted(textured: TexturedMesh, faces: np.ndarray, paint: Callable[[TexturedMesh], Completed]) -> Completed:
    """A texture of which some faces are painted anew; texels of all others stay to the bit.

    Args:
        textured: the texture.
        faces: (f,) bool, those that are to be painted anew.
        paint: paints what is not covered, such as `complete`.

    Returns:
        What `paint` gives, with the marks of what stays as they were.
    """
    texels = rasterize(textured.atlas)
    drawn, anew = texels.charted(textured.atlas), texels.spread(faces[texels.face], textured.atlas)
    # What was filled in elsewhere is no gap now.
    done = paint(replace(textured, coverage=tuple(~anew)))
    kept = drawn & ~anew

    def merged(now: tuple[np.ndarray, ...], before: tuple[np.ndarray, ...]) -> tuple[np.ndarray, ...]:
        # Outside charts the new page holds what spreads from their edges, old and new.
        masks = kept if now[0].ndim == 2 else kept[..., None]
        return tuple(np.where(mask, b, n) for mask, n, b in zip(masks, now, before, strict=True))

    nothing = tuple(np.zeros_like(anew))
    mesh = replace(
        done.mesh,
        textures=merged(done.mesh.textures, textured.textures),
        coverage=merged(done.mesh.coverage, textured.coverage),
        generated=merged(done.mesh.generated or nothing, textured.generated or nothing),
    )
    return replace(done, mesh=mesh)
