"""The UV atlas of a mesh: where every triangle lies on which texture page."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Annotated

import numpy as np

from ..limits import TEXTURE, check_value
from ..scene.mesh import Mesh, MeshLike
from .own_uvs import own_layout
from .texels import rasterize


@dataclass(frozen=True, eq=False)
class Atlas:
    """UV layout of a mesh's faces on one or more square pages.

    Attributes:
        uv: (n, 2) float32 in [0, 1], origin bottom-left; texel centres at (i + 0.5) / size.
        faces: (f, 3) int32 indices into `uv`, one row per face of the mesh, in the mesh's order; -1 for dropped faces.
        vertices: (n,) int32, the mesh vertex each `uv` row belongs to.
        page: (f,) int32 page of each face; -1 for faces without area, which carry no texture and are not exported; of a
            mesh's own coordinates also for faces that have none, which are exported without texture.
        chart: (f,) int32 chart of each face, -1 as in `page`.
        size: page side, texels.
        pages: number of pages.
        texels_per_metre: density on the surface.
        tiles: (pages, 3) int32, where the coordinates are the mesh's own (`from_mesh`): of each page the material
            (index into `Mesh.uv_map.materials`) and the column and row of its tile; (0, 3) where they are new.

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
    tiles: np.ndarray = field(default_factory=lambda: np.zeros((0, 3), np.int32))

    @classmethod
    def from_mesh(cls, mesh: MeshLike, size: Annotated[int, TEXTURE] = 2048) -> "Atlas":
        """The atlas that a mesh brings: its own texture coordinates, seams and materials, in place of `unwrap`.

        There is a page for each material, and for each tile (UDIM) of one. What `bake` paints into it is exported with
        the vertices, seams, faces, materials and names that the mesh's file has, also of what is not painted; two
        textures of one mesh can be exchanged. Of the surface without coordinates, or without area in them, an
        `InputWarning` says how much it is.

        Args:
            mesh: from `load_scene` or `read_mesh`, read from OBJ, GLB, glTF or PLY; or a `trimesh.Trimesh`.
            size: side of a page, texels.

        Raises:
            InputError: a mesh without coordinates; coordinates that overlap, with the part of the surface that does,
                that reach over the edge of a tile, or lie on none; a size out of range.

        Example:
            >>> import numpy as np
            >>> import trimesh
            >>> import scenetex
            >>> sheet = trimesh.Trimesh([[0, 0, 0], [2, 0, 0], [2, 2, 0], [0, 2, 0]], [[0, 1, 2], [0, 2, 3]])
            >>> sheet.visual = trimesh.visual.TextureVisuals(uv=np.array([[0, 0], [1, 0], [1, 1], [0, 1]]))
            >>> scenetex.Atlas.from_mesh(sheet, size=256)
            Atlas(2 faces in 1 chart, 1 page of 256 x 256 texels, 128 texels/m)
        """
        check_value(size, Annotated[int, TEXTURE], "size")
        return cls(**vars(own_layout(Mesh.of(mesh), size)))

    @cached_property
    def charted(self) -> np.ndarray:
        """(pages, size, size) bool: the texels whose centre lies on a chart, row 0 at the top (v = 1)."""
        return rasterize(self).charted(self)

    @property
    def is_own(self) -> bool:
        """Whether the coordinates are the mesh's own."""
        return len(self.tiles) > 0

    def offsets(self) -> np.ndarray:
        """(n, 2) int32 to add to `uv`, for the tiles that a mesh's own coordinates lie on; zero for others."""
        out = np.zeros(self.uv.shape, np.int32)
        painted = self.page >= 0
        if self.is_own:
            out[self.faces[painted]] = self.tiles[self.page[painted], None, 1:]
        return out

    def __repr__(self) -> str:
        faces, charts = int((self.page >= 0).sum()), len(np.unique(self.chart[self.chart >= 0]))
        pages = f"{self.pages} page{'' if self.pages == 1 else 's'} of {self.size} x {self.size} texels"
        cut = f"{charts:,} chart{'s' * (charts != 1)}"
        return f"Atlas({faces:,} faces in {cut}, {pages}, {self.texels_per_metre:.4g} texels/m)"

    def page_names(self, stem: str) -> list[str]:
        """What the PNG files of the pages are called: `stem.png`, or of several `stem_0.png` and so on."""
        return [f"{stem}.png"] if self.pages == 1 else [f"{stem}_{page}.png" for page in range(self.pages)]
