"""The result: a mesh, its atlas and the painted pages."""

from dataclasses import dataclass

import numpy as np

from ..scene.mesh import Mesh
from .atlas import Atlas


@dataclass(frozen=True, eq=False)
class TexturedMesh:
    """A mesh with painted texture pages.

    Attributes:
        mesh: the mesh as it was read.
        atlas: its UV layout.
        textures: one (size, size, 3) uint8 sRGB image per page, row 0 at the top (v = 1).
        coverage: one (size, size) bool image per page: texels that some view saw; the others are filled in.
    """

    mesh: Mesh
    atlas: Atlas
    textures: tuple[np.ndarray, ...]
    coverage: tuple[np.ndarray, ...]
