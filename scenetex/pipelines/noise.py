"""The noise that generation starts from: each view's own, or the same wherever views show the same surface."""

from collections.abc import Sequence

import numpy as np
import torch

from ..correspondence import Correspondence
from ..correspondence.matches import Matches


def draw_noise(seed: int, keys: Sequence[int], shape: tuple[int, int, int]) -> torch.Tensor:
    """White noise N(0, 1) for each view, which depends on the seed and the view's key alone.

    Returns:
        (m, c, h, w) float32 on the CPU, so that it is the same on all devices.
    """
    generators = view_generators(seed, keys)
    return torch.stack([torch.randn(shape, generator=generator) for generator in generators])


def view_generators(seed: int, keys: Sequence[int]) -> list[torch.Generator]:
    """A generator for each view, on the CPU."""
    return [torch.Generator().manual_seed((seed ^ key) % 2**63) for key in keys]


def share_noise(noise: torch.Tensor, correspondence: Correspondence, turns: Sequence[int]) -> torch.Tensor:
    """Gives cells that correspond one to one the same noise: that of the view whose turn comes first.

    Where each value goes is decided by geometry alone, and no view takes a value twice, so that every view's noise
    stays exactly what it was: independent and N(0, 1) in every cell. The noise of a view does not depend on the views
    after it. Two views always agree; of several, rounding to cells lets partners of a cell hold different values, and
    it takes what most of them hold.

    Args:
        noise: (m, c, h, w), independent for each view.
        correspondence: of the m views; convention "visible".
        turns: the m views in the order they take noise in.

    Returns:
        (m, c, h, w).
    """
    m, c, h, w = noise.shape
    source = noise_source(correspondence.at((h, w)), turns, h * w)
    flat = noise.permute(0, 2, 3, 1).reshape(-1, c)
    return flat[torch.from_numpy(source)].view(m, h, w, c).permute(0, 3, 1, 2).contiguous()


def noise_source(matches: Matches, turns: Sequence[int], cells: int) -> np.ndarray:
    """(m cells,) int64, the token whose own noise each token takes; tokens are numbered view * cells + cell."""
    source = np.arange(len(turns) * cells)
    turn = np.argsort(turns)
    a, b, closeness = one_to_one(matches, cells)
    follows = turn[a // cells] > turn[b // cells]
    later, earlier, closeness = a[follows], b[follows], closeness[follows]
    starts = np.searchsorted(later // cells, np.arange(len(turns) + 1))
    for i in turns:
        rows = slice(starts[i], starts[i + 1])
        mine, theirs = _assign(later[rows], source[earlier[rows]], closeness[rows])
        source[mine] = theirs
    return source


def one_to_one(matches: Matches, cells: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pairs of cells of different views that are each nearest to where the other lands, both ways round.

    Returns:
        (p,) int64 tokens, ascending; (p,) int64, their partners; closeness (p,) float32, sum of both bilinear shares.
    """
    query, texel, weight = [], [], []
    for group in matches.groups:
        share, nearest = group.keys.weight.max(-1)
        place = group.keys.texel.gather(-1, nearest[..., None])[..., 0].long()
        valid = torch.ones_like(share, dtype=torch.bool) if group.valid is None else group.valid
        query.append(group.query[:, None].expand_as(place)[valid])
        texel.append(place[valid])
        weight.append(share[valid])
    if not query:
        return np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.float32)
    a, b, share = (torch.cat(part).cpu().numpy() for part in (query, texel, weight))
    total = matches.views * cells
    there, back = a * total + b, b * total + a
    order = np.argsort(there)
    at = np.minimum(np.searchsorted(there[order], back), len(there) - 1)
    mutual = there[order][at] == back
    closeness = share + share[order][at]
    a, b, closeness = a[mutual], b[mutual], closeness[mutual]
    ordered = np.lexsort((b, a))
    return a[ordered], b[ordered], closeness[ordered]


def _assign(cell: np.ndarray, value: np.ndarray, closeness: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Gives each cell at most one of its candidate values, and each value to at most one cell.

    The value that most partners of a cell hold comes first; one partner counts for its closeness.
    """
    if not len(cell):
        return cell, value
    span = max(cell.max(), value.max()) + 1
    pair, which = np.unique(cell * span + value, return_inverse=True)
    order = np.argsort(-np.bincount(which, closeness), kind="stable")
    cell, value = pair[order] // span, pair[order] % span
    cells, values = [], []
    first, taken = np.zeros((2, span), np.int64), np.zeros((2, span), bool)
    while len(cell):
        rows = np.arange(len(cell))
        # Of what is written to one place the last stays: backwards, that is the first.
        first[0, cell[::-1]], first[1, value[::-1]] = rows[::-1], rows[::-1]
        # A pair that comes first for its cell and for its value is what taking them one after the other would take.
        best = (first[0, cell] == rows) & (first[1, value] == rows)
        cells.append(cell[best])
        values.append(value[best])
        taken[0, cells[-1]], taken[1, values[-1]] = True, True
        left = ~(taken[0, cell] | taken[1, value])
        cell, value = cell[left], value[left]
    return np.concatenate(cells), np.concatenate(values)
