"""An OBJ file as its author wrote it, with other textures: not a byte changes of what is no material."""

import re

import numpy as np

from ..scene.obj_uv import FACE, MATERIAL
from ..scene.uv_map import UvMap
from .atlas import Atlas

_LIBRARY = re.compile(rb"^[ \t]*mtllib\b[^\n]*\n?", re.MULTILINE)


def repainted_obj(uvs: UvMap, atlas: Atlas, names: list[str], library: str) -> bytes:
    """The text of the file that `uvs` was read from, with another material library.

    Args:
        uvs: of an OBJ.
        atlas: made of it.
        names: of the material of each page. Where a face's is not the one that the file says, as of UDIM tiles, a line
            that does is put before it.
        library: name of the MTL file.
    """
    text = uvs.source.tobytes()
    lines = list(FACE.finditer(text))
    blocks = list(MATERIAL.finditer(text))
    block = np.searchsorted([match.start() for match in blocks], [match.start() for match in lines])
    said = np.array([b"", *((match[1] or b"").strip() for match in blocks)], object)[block]
    meant = said.copy()
    painted = np.flatnonzero(atlas.page >= 0)
    shown = painted[_first(uvs.piece[painted])]
    meant[uvs.piece[shown]] = [names[page].encode() for page in atlas.page[shown]]
    parts, at = [], 0
    for i, match in enumerate(lines):
        in_effect = meant[i - 1] if i and block[i] == block[i - 1] else said[i]
        if meant[i] != in_effect:
            parts += [text[at : match.start()], b"usemtl %s\n" % meant[i]]
            at = match.start()
    text = b"".join([*parts, text[at:]])
    return b"mtllib %s\n" % library.encode() + _LIBRARY.sub(b"", text)


def _first(numbers: np.ndarray) -> np.ndarray:
    """Positions of the first of each number."""
    return np.unique(numbers, return_index=True)[1]
