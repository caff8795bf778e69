"""The UV atlas of a mesh: where every triangle lies on which texture page."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Atlas:
    """UV layout of a mesh's faces on one or more square pages.

    Attributes:
        uv: (n, 2) float32 in [0, 1], origin bottom-left; texel centres at (i + 0.5) / size.
        faces: (f, 3) int32 indices into `uv`, one row per face of the mesh, in the mesh's order; -1 for dropped faces.
        vertices: (n,) int32, the mesh vertex each `uv` row belongs to.
        page: (f,) int32 page of each face; -1 for faces without area, which carry no texture and are not exported.
        chart: (f,) int32 chart of each face, -1 as in `page`.
        size: page side, texels.
        pages: number of pages.
        texels_per_metre: density on the surface.

    Example:
        >>> import trimesh
        >>> import scenetex
        >>> atlas = scenetex.unwrap(trimesh.creation.box(), size=256)
        >>> atlas
        Atlas(12 faces in 6 charts, 1 page of 256 x 256 texels, ... texels/m)
        >>> atlas.uv[atlas.faces].shape  # of every corner of every face
        (12, 3, 2)
    """

    uv: np.ndarray
    faces: np.ndarray
    vertices: np.ndarray
    page: np.ndarray
    chart: np.ndarray
    size: int
    pages: int
    texels_per_metre: float

    def __repr__(self) -> str:
        faces, charts = int((self.page >= 0).sum()), len(np.unique(self.chart[self.chart >= 0]))
        pages = f"{self.pages} page{'' if self.pages == 1 else 's'} of {self.size} x {self.size} texels"
        return f"Atlas({faces:,} faces in {charts:,} charts, {pages}, {self.texels_per_metre:.4g} texels/m)"

    def page_names(self, stem: str) -> list[str]:
        """What the PNG files of the pages are called: `stem.png`, or of several `stem_0.png` and so on."""
        return [f"{stem}.png"] if self.pages == 1 else [f"{stem}_{page}.png" for page in range(self.pages)]
