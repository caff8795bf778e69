"""How much of a texture is clipped, a channel at 0 or 255, beside how much of it the photos show so."""

import numpy as np

from .textured_mesh import TexturedMesh

_EVERY = 8  # texels of which one is counted: they are many enough
_ENDS = np.uint8(254)  # of 0 to 255 less 1, where 0 becomes 255, these and more


def is_clipped(color: np.ndarray) -> np.ndarray:
    """Which colours (..., 3) uint8 have a channel at its darkest or brightest value: (...) bool."""
    ends = color - np.uint8(1) >= _ENDS
    return ends[..., 0] | ends[..., 1] | ends[..., 2]


class ShownClipped:
    """Counts, while `count` texels are painted, how many photos show each of them, and how many show it clipped; of one
    in `every`."""

    def __init__(self, count: int, every: int = _EVERY):
        self._every = every
        self._shown, self._clipped = (np.zeros(-(-count // every), np.uint16) for _ in range(2))

    def add(self, texel: np.ndarray, clipped: np.ndarray, u: np.ndarray, v: np.ndarray) -> None:
        """Texels (k,) that a photo shows at pixels u, v (k,), and which of its pixels are clipped, (h, w) bool."""
        height, width = clipped.shape
        some = np.flatnonzero(texel % self._every == 0)
        place = texel[some] // self._every
        column, row = (np.rint(at[some]).astype(np.int32).clip(0, n - 1) for at, n in ((u, width), (v, height)))
        self._shown[place] += 1
        self._clipped[place] += clipped[row, column]

    @property
    def share(self) -> float:
        """Of the texels that any photo shows, the part that at least half of those that do show clipped."""
        shown = self._shown > 0
        return float((2 * self._clipped >= self._shown)[shown].mean()) if shown.any() else 0.0


def clipped_texels(textured: TexturedMesh) -> dict[str, float] | None:
    """Shares of the texels that photos show: "before", clipped in most of their photos, see `ShownClipped`, and
    "after", clipped in the texture. None where nobody counted."""
    if textured.shown_clipped is None:
        return None
    generated = textured.generated or [np.zeros_like(page) for page in textured.coverage]
    shown = [seen & ~made for seen, made in zip(textured.coverage, generated, strict=True)]
    clipped = sum(int(is_clipped(page[at]).sum()) for page, at in zip(textured.textures, shown, strict=True))
    after = clipped / max(sum(int(at.sum()) for at in shown), 1)
    return {"before": round(textured.shown_clipped, 5), "after": round(after, 5)}
