"""How well a completed texture meets the truth: texels that no photo saw, against the surface's true colours."""

from dataclasses import dataclass

import cv2
import numpy as np

from ..texture.atlas import Atlas
from ..texture.texels import Texels, rasterize
from ..texture.textured_mesh import TexturedMesh

BLUR = 4.0  # texels: without it, the smoothest guess wins
SPACING = 4  # texels, between the two of which a step is measured
_REACH = 3 * round(BLUR)


@dataclass(frozen=True)
class FillScore:
    """One way to colour the texels that no photo saw, against the truth.

    Attributes:
        error: mean square of the difference to the truth, 0..255 squared, both blurred by `BLUR` along the surface.
        gradient: sum of the squared differences between neighbouring texels,
        true_gradient: and that of the truth's.
        rim_step: mean absolute difference of colour between a texel that a photo saw and one, `SPACING` further, that
            none saw; NaN where there is no rim.
        other_step: the same across other lines of the same charts.
        texels: how many were compared.
    """

    error: float
    gradient: float
    true_gradient: float
    rim_step: float
    other_step: float
    texels: int

    @property
    def psnr(self) -> float:
        """Of the blurred difference, dB."""
        return float(10 * np.log10(255**2 / self.error)) if self.error > 0 else float("inf")

    @property
    def gradient_ratio(self) -> float:
        """Gradient energy over the truth's; NaN where the truth is flat."""
        return self.gradient / self.true_gradient if self.true_gradient > 0 else float("nan")

    @property
    def rim_ratio(self) -> float:
        """Step across the rim over that across other lines; NaN where there is no rim, or nothing to compare with."""
        return self.rim_step / self.other_step if self.other_step > 0 else float("nan")


def score_fill(textured: TexturedMesh, painted: np.ndarray, photographed: np.ndarray, truth: np.ndarray) -> FillScore:
    """Measures the texels in `painted`.

    Args:
        textured: colours.
        painted: (n,) bool, of the texels that `rasterize` finds, which are to be measured,
        photographed: (n,) bool, which a photo saw.
        truth: (n, 3) true colours 0..255.
    """
    texels = rasterize(textured.atlas)
    shape = (textured.atlas.pages, textured.atlas.size, textured.atlas.size)
    chart = _on_pages(texels, textured.atlas.chart[texels.face] + 1, shape)
    holds = _on_pages(texels, np.where(painted, 2, np.where(photographed, 1, 0)).astype(np.uint8), shape)
    true = _on_pages(texels, np.clip(truth, 0, 255).astype(np.float32), shape)
    color = np.stack(textured.textures).astype(np.float32)
    squares = _blurred_squares(color - true, holds == 2, texels, textured.atlas)
    gradients = [_gradient(values, holds == 2, chart) for values in (color, true)]
    return FillScore(
        squares, *gradients, *_steps(color, holds, chart, int(chart.max())), int(np.count_nonzero(painted))
    )


def pooled(scores: list[FillScore]) -> FillScore:
    """Of several surfaces as if they were one: sums of energies, means over all texels."""
    weight = np.array([s.texels for s in scores], float)

    def mean(values: list[float]) -> float:
        values, known = np.array(values), np.isfinite(values)
        return float(np.average(values[known], weights=weight[known])) if weight[known].sum() > 0 else float("nan")

    return FillScore(
        mean([s.error for s in scores]),
        sum(s.gradient for s in scores),
        sum(s.true_gradient for s in scores),
        mean([s.rim_step for s in scores]),
        mean([s.other_step for s in scores]),
        int(weight.sum()),
    )


def _on_pages(texels: Texels, values: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    """Values (n, ...) of texels in their places on the pages (p, s, s, ...), 0 elsewhere."""
    out = np.zeros((int(np.prod(shape)), *values.shape[1:]), values.dtype)
    out[texels.pixel] = values
    return out.reshape(*shape, *values.shape[1:])


def _blurred_squares(difference: np.ndarray, mask: np.ndarray, texels: Texels, atlas: Atlas) -> float:
    """Mean square of differences (p, s, s, 3) within `mask` (p, s, s), blurred chart by chart within it."""
    total, count = 0.0, 0
    chart = atlas.chart[texels.face]
    order = np.argsort(chart, kind="stable")
    order = order[mask.reshape(-1)[texels.pixel[order]]]
    for own in np.split(order, np.flatnonzero(np.diff(chart[order])) + 1):
        if not len(own):
            continue
        page, rest = np.divmod(texels.pixel[own], atlas.size**2)
        row, column = np.divmod(rest, atlas.size)
        row, column = row - row.min() + _REACH, column - column.min() + _REACH
        field = np.zeros((row.max() + _REACH + 1, column.max() + _REACH + 1, 4), np.float32)
        field[row, column, :3] = difference[page, rest // atlas.size, rest % atlas.size]
        field[row, column, 3] = 1
        field = cv2.GaussianBlur(field, (0, 0), BLUR, borderType=cv2.BORDER_CONSTANT)[row, column]
        total += float(np.square(field[:, :3] / np.maximum(field[:, 3:], 1e-6)).mean(1).sum())
        count += len(own)
    return total / count if count else float("nan")


def _gradient(values: np.ndarray, mask: np.ndarray, chart: np.ndarray) -> float:
    """Sum of squared differences between neighbours of one chart that both are in the mask."""
    total = 0.0
    for one, two in _pairs(1):
        both = mask[one] & mask[two] & (chart[one] == chart[two])
        total += float(np.square(values[one][both] - values[two][both]).sum())
    return total


def _steps(color: np.ndarray, holds: np.ndarray, chart: np.ndarray, charts: int) -> tuple[float, float]:
    """Mean absolute differences across the rims between photographed (1) and painted (2) texels, and across all other
    lines of the charts that have rims, each chart counted as its rim is long."""
    rim, rims, other, others = (np.zeros(charts + 1) for _ in range(4))
    for one, two in _pairs(SPACING):
        both = (holds[one] > 0) & (holds[two] > 0) & (chart[one] == chart[two])
        across = (holds[one] != holds[two])[both]
        step, where = np.abs(color[one][both] - color[two][both]).mean(1), chart[one][both]
        for total, count, part in ((rim, rims, across), (other, others, ~across)):
            total += np.bincount(where[part], step[part], charts + 1)
            count += np.bincount(where[part], minlength=charts + 1)
    told = (rims > 0) & (others > 0)
    if not told.any():
        return float("nan"), float("nan")
    along = rims[told]
    return float(rim[told].sum() / along.sum()), float(np.average(other[told] / others[told], weights=along))


def _pairs(apart: int) -> list[tuple[tuple, tuple]]:
    """Indices into pages (p, s, s, ...) of all texels and of those so far below, and to the right."""
    first, last, every = slice(None, -apart), slice(apart, None), slice(None)
    return [((every, first), (every, last)), ((every, every, first), (every, every, last))]
