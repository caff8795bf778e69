"""A textured mesh with fewer faces: simplified, laid out anew, and painted with what the full one shows."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Protocol

import numpy as np

from ..scene.mesh import Mesh
from .atlas import Atlas
from .simplify import simplify, surface_of
from .tangents import in_tangent_space
from .transfer import Transfer, colors_of, normals_of, padded, samples_for
from .unwrap import Packer, unwrap

_MOST = 127.5  # of 255: more than half of a texel
_PADDING, _LEAST_PADDING, _AT_SIZE = 8, 4, 2048  # texels around charts; fewer on smaller pages


class Painted(Protocol):
    """What of a `TexturedMesh` is brought onto the simplified one."""

    @property
    def mesh(self) -> Mesh: ...

    @property
    def atlas(self) -> Atlas: ...

    @property
    def textures(self) -> Sequence[np.ndarray]: ...

    @property
    def coverage(self) -> Sequence[np.ndarray]: ...

    @property
    def generated(self) -> Sequence[np.ndarray] | None: ...


def simplified(
    full: Painted,
    faces: int,
    texture_size: int | None = None,
    texels_per_metre: float | None = None,
    packer: Packer = "uvunwrap",
    normal_maps: bool = False,
) -> dict[str, Any]:
    """`TexturedMesh.simplified`: what is another in it, by its names; nothing where it stays as it is."""
    drawn = full.atlas.page >= 0
    anew = texture_size not in (None, full.atlas.size) or texels_per_metre is not None or normal_maps
    if int(drawn.sum()) <= faces and not anew:
        return {}
    surface, origin = surface_of(full.mesh, drawn)
    mesh = simplify(surface, faces)
    size = texture_size or full.atlas.size
    padding = int(np.clip(_PADDING * size // _AT_SIZE, _LEAST_PADDING, _PADDING))
    atlas = unwrap(mesh, size, texels_per_metre=texels_per_metre, packer=packer, padding=padding)
    transfer = Transfer(surface, mesh, atlas, samples_for(full.atlas.texels_per_metre, atlas.texels_per_metre))
    looks = [colors_of(full.atlas, pages, origin) for pages in (full.textures, _marks(full))]
    colors, marks, *fine = transfer.means(*looks, *([normals_of(surface)] if normal_maps else []))
    maps = padded(transfer.texels, atlas, in_tangent_space(mesh, atlas, transfer.texels, fine[0])) if fine else None
    seen, generated = (tuple(transfer.texels.spread(mark, atlas)) for mark in (marks[:, :2] > _MOST).T)
    return {
        "mesh": replace(mesh, vertices=mesh.vertices + full.mesh.extent.middle),
        "atlas": atlas,
        "textures": padded(transfer.texels, atlas, colors),
        "coverage": seen,
        "texels": len(transfer.texels),
        "generated": None if full.generated is None else generated,
        "normal_maps": maps,
    }


def _marks(full: Painted) -> list[np.ndarray]:
    """Pages (s, s, 3) uint8: 255 in the first channel where some view saw the texel, in the second where what it saw
    was generated."""
    told = full.generated or [np.zeros_like(page) for page in full.coverage]
    return [
        np.stack([seen, made, np.zeros_like(seen)], 2).astype(np.uint8) * np.uint8(255)
        for seen, made in zip(full.coverage, told, strict=True)
    ]
