"""The materials of a mesh that keeps its texture coordinates: one for each page, by the names that its file has."""

import numpy as np

from ..scene.mesh import Mesh
from ..scene.uv_map import UvMap
from .atlas import Atlas

NAMELESS = "texture"


def own_uvs(mesh: Mesh, atlas: Atlas) -> UvMap | None:
    """The mesh's texture coordinates, if the atlas is made of them; None if it is not."""
    return mesh.uv_map if atlas.is_own else None


def several_tiles(atlas: Atlas) -> np.ndarray:
    """(pages,) bool: pages whose material has others, too."""
    return np.bincount(atlas.tiles[:, 0])[atlas.tiles[:, 0]] > 1


def single_line(name: str) -> str:
    """The name as it can stand in a line of a text file."""
    return "".join(letter if letter.isprintable() else " " for letter in name).strip()


def page_materials(uvs: UvMap, atlas: Atlas) -> list[str]:
    """What the material of each page is called: as in the mesh's file; with the number of its UDIM tile behind, where
    it has several."""
    names: list[str] = []
    for (material, column, row), several in zip(atlas.tiles.tolist(), several_tiles(atlas), strict=True):
        name = uvs.materials[material] or NAMELESS
        names.append(f"{name}.{1001 + column + 10 * row}" if several else name)
    return names


def unpainted(mesh: Mesh, atlas: Atlas) -> list[tuple[int, np.ndarray]]:
    """Of a mesh that keeps its coordinates, faces that have area and no page: (k,) indices by their materials."""
    uvs = own_uvs(mesh, atlas)
    if uvs is None:
        return []
    with np.errstate(invalid="ignore"):
        faces = np.flatnonzero((atlas.page < 0) & (mesh.face_areas > 0))
    return [(int(m), faces[uvs.material[faces] == m]) for m in np.unique(uvs.material[faces])]
