"""The noise that generation starts from: each view's own, or the same wherever views show the same surface."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch.overrides import TorchFunctionMode

from ..correspondence import Correspondence
from ..correspondence.matches import Matches


def draw_noise(seed: int, noise_seeds: Sequence[int], shape: tuple[int, int, int]) -> torch.Tensor:
    """White noise N(0, 1) for each view, which depends on the seed and the view's own alone.

    Returns:
        (m, c, h, w) float32 on the CPU, so that it is the same on all devices.
    """
    generators = view_generators(seed, noise_seeds)
    return torch.stack([torch.randn(shape, generator=generator) for generator in generators])


def view_generators(seed: int, noise_seeds: Sequence[int]) -> list[torch.Generator]:
    """A generator for each view, on the CPU."""
    return [torch.Generator().manual_seed((seed ^ own) % 2**63) for own in noise_seeds]


def share_noise(noise: torch.Tensor, correspondence: Correspondence, turns: Sequence[Sequence[int]]) -> torch.Tensor:
    """Gives cells that correspond one to one the same noise: that of the view whose turn comes first.

    Two cells correspond one to one where each is the nearest to the place at which the other is found. Of two views,
    all such pairs get equal noise. Of three and more, not all can: where views are offset by a third of a cell each,
    the chain of nearest cells from the first view through the second and third leads to a neighbour of the cell it
    started from, and a view with one value in two cells would not be white any more. So cells are grouped, at most one
    of each view, the strongest relations first: see `noise_groups`. Wherever chains never lead back to another cell of
    the same view, all pairs get equal noise.

    Where each value goes is decided by geometry alone, and no view takes a value twice, so that every view's noise
    stays exactly what it was: independent and N(0, 1) in every cell. It does not depend on later turns.

    Args:
        noise: (m, c, h, w), independent for each view.
        correspondence: of the m views; convention "visible", one key for each cell and partner.
        turns: the m views in the order they take noise in; those of one turn are grouped together.

    Returns:
        (m, c, h, w).
    """
    h, w = noise.shape[2:]
    return taken(noise, noise_source(correspondence.at((h, w)), turns, h * w))


def taken(noise: torch.Tensor, source: np.ndarray) -> torch.Tensor:
    """(m, c, h, w) noise in which each token is that of its `noise_source` (m h w,)."""
    m, c, h, w = noise.shape
    flat = noise.permute(0, 2, 3, 1).reshape(-1, c)
    return flat[torch.from_numpy(source).to(noise.device)].view(m, h, w, c).permute(0, 3, 1, 2).contiguous()


class DrawnNoise(TorchFunctionMode):
    """In this context, noise that a scheduler draws in a step is another: `change` is given what it has drawn.

    Schedulers for few steps, and ancestral ones, draw noise at every step. Where views show the same surface that has
    to be the same as well, or it undoes what they share.

    Args:
        shape: of the noise that is meant; all else that is drawn stays as it is.
        change: the noise, of that shape, precision and device, in place of the one that was drawn.
    """

    def __init__(self, shape: Sequence[int], change: Callable[[torch.Tensor], torch.Tensor]):
        super().__init__()
        self._shape, self._change = tuple(shape), change

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        made = func(*args, **(kwargs or {}))
        return self._change(made) if func is torch.randn and tuple(made.shape) == self._shape else made


def noise_source(matches: Matches, turns: Sequence[Sequence[int]], cells: int) -> np.ndarray:
    """(m cells,) int64, the token whose own noise each token takes; tokens are numbered view * cells + cell."""
    views = np.array([view for turn in turns for view in turn], np.int64)
    turn = np.empty_like(views)
    turn[views] = np.repeat(np.arange(len(turns)), [len(turn) for turn in turns])
    group = noise_groups(*one_to_one(matches, cells), turn, cells)
    # Of each group, the cell of the view that comes first.
    rank = (np.argsort(views)[:, None] * cells + np.arange(cells)).ravel()
    first = np.full(len(rank), len(rank))
    np.minimum.at(first, group, rank)
    return np.argsort(rank)[first[group]]


def noise_groups(a: np.ndarray, b: np.ndarray, closeness: np.ndarray, turn: np.ndarray, cells: int) -> np.ndarray:
    """Groups tokens so that as many pairs as can be are in one group, and no two tokens of a view.

    Of the groups that could be joined, two join where each is the other's closest, by the sum over the pairs between
    them; and so on until none can be joined.

    Args:
        a, b: (p,) pairs of tokens, each both ways round.
        closeness: (p,) how much a pair counts.
        turn: (m,) each view's turn. Groups of earlier turns may grow, but not join each other.
        cells: tokens of a view.

    Returns:
        (m cells,) int64, a token of its group for each token.
    """
    once = a < b
    a, b, closeness = a[once], b[once], closeness[once].astype(np.float64)
    tokens, m = len(turn) * cells, len(turn)
    view = np.arange(tokens) // cells
    # A bit for each view that a group has a token of; two groups that share one cannot be joined.
    taken = np.zeros((tokens, m // 64 + 1), np.uint64)
    taken[np.arange(tokens), view // 64] = np.uint64(1) << (view % 64).astype(np.uint64)
    settled = np.uint64(1) << np.uint64(m % 64)
    group, last = np.arange(tokens), np.maximum(turn[a // cells], turn[b // cells])
    for now in range(turn.max(initial=-1) + 1):
        rows = last == now
        taken[group[turn[view] < now], m // 64] |= settled
        group = _join(group, group[a[rows]], group[b[rows]], closeness[rows], taken)
    return group


def _join(group: np.ndarray, a: np.ndarray, b: np.ndarray, closeness: np.ndarray, taken: np.ndarray) -> np.ndarray:
    """`group` after joining groups related by pairs (a, b), see `noise_groups`; `taken` is brought up to date."""
    tokens = len(group)
    while True:
        pair, which = np.unique(np.minimum(a, b) * tokens + np.maximum(a, b), return_inverse=True)
        a, b, closeness = pair // tokens, pair % tokens, np.bincount(which, closeness, len(pair))
        free = ~(taken[a] & taken[b]).any(1)
        a, b, closeness = a[free], b[free], closeness[free]
        if not len(a):
            return group
        order = np.argsort(closeness, kind="stable")
        best = np.empty(tokens, np.int64)
        # Of what is written to one place the last stays: the closest.
        best[np.stack([a[order], b[order]], 1).ravel()] = np.repeat(order, 2)
        mutual = (best[a] == np.arange(len(a))) & (best[b] == np.arange(len(a)))
        taken[a[mutual]] |= taken[b[mutual]]
        joined = np.arange(tokens)
        joined[b[mutual]] = a[mutual]
        group, a, b = joined[group], joined[a], joined[b]


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
