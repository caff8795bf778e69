"""The keys every query looks at, packed so that attention runs over them in a few dense batches."""

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace

import torch

from .encoding import encode


@dataclass(frozen=True, eq=False)
class Keys:
    """r keys in a flat list, each for one query. Tokens are numbered (view * h + row) * w + column.

    Attributes:
        query: (r,) int64, the query's token.
        texel: (r, 4) int32, the context tokens around the key's place; their bilinear shares are `weight` (r, 4).
        cue: (r, d) float, what the position encoding encodes: depth error (d = 1, metres) or displacement (d = 2,
            feature pixels).
        odd: (r,) bool or None; the released depth model encodes keys two by two, see `encode`.
        seen: (r,) bool or None; False = a key of zeros that still takes part in the softmax (released models).
    """

    query: torch.Tensor
    texel: torch.Tensor
    weight: torch.Tensor
    cue: torch.Tensor
    odd: torch.Tensor | None = None
    seen: torch.Tensor | None = None

    def __getitem__(self, rows: torch.Tensor) -> "Keys":
        """The keys of `rows`, of any shape; every attribute's first axis is replaced by that shape."""
        return Keys(*(None if t is None else t[rows] for t in (getattr(self, f.name) for f in fields(self))))


@dataclass(frozen=True, eq=False)
class KeyGroup:
    """q queries of one view set with up to l keys each.

    Attributes:
        query: (q,) int64 tokens.
        keys: `Keys` of shape (q, l).
        valid: (q, l) bool or None; False = padding, no key at all. None = nothing is padded.
    """

    query: torch.Tensor
    keys: Keys
    valid: torch.Tensor | None

    @property
    def shape(self) -> tuple[int, int]:
        """(number of queries, number of key places for each)."""
        return tuple(self.keys.query.shape)

    def encoding(self, bands: torch.Tensor) -> torch.Tensor:
        """(q, l, c) position encodings of the keys; `bands` (f,), radians per unit of the cue."""
        code = encode(self.keys.cue, bands, self.keys.odd)
        return code if self.keys.seen is None else code * self.keys.seen[..., None]

    def split(self, rows: int) -> Iterator["KeyGroup"]:
        """The group in parts of at most `rows` queries."""
        if rows >= len(self.query):
            yield self
            return
        for start in range(0, len(self.query), rows):
            part = slice(start, start + rows)
            yield KeyGroup(self.query[part], self.keys[part], None if self.valid is None else self.valid[part])


@dataclass(frozen=True, eq=False)
class Matches:
    """All keys at one feature size. Queries without a key are in no group and get no message.

    Attributes:
        views: number of views in the whole batch.
        size: (h, w) of the feature maps.
        groups: every query with keys once, together with those that have about as many.
        cue_size: components d of the keys' cues.
        paired: the released depth model's encoding of tokens two by two.
    """

    views: int
    size: tuple[int, int]
    groups: tuple[KeyGroup, ...]
    cue_size: int
    paired: bool

    def query_encoding(self, bands: torch.Tensor) -> torch.Tensor:
        """(h w, c) or (1, c): the encoding queries carry, that of a cue of zero."""
        rows = self.size[0] * self.size[1] if self.paired else 1
        odd = torch.arange(rows, device=bands.device) % 2 == 1 if self.paired else None
        return encode(bands.new_zeros(rows, self.cue_size), bands, odd)

    def nbytes(self) -> int:
        """Bytes of all tensors."""
        tensors = [t for g in self.groups for t in (g.query, g.valid, *(getattr(g.keys, f.name) for f in fields(Keys)))]
        return sum(t.nbytes for t in tensors if t is not None)


def bilinear(
    xy: torch.Tensor, view: torch.Tensor, size: tuple[int, int], clamp: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    """Tokens around places in feature maps, and their shares.

    Args:
        xy: (..., 2) column and row, cell centres at whole numbers.
        view: (...) int64, the view each place is in.
        size: (h, w) of the maps.
        clamp: True moves places outside to the border; False reads zeros there, as `grid_sample` does.

    Returns:
        texel (..., 4) int32 and weight (..., 4) of xy's dtype.
    """
    h, w = size
    limit = torch.tensor([w - 1, h - 1], device=xy.device, dtype=xy.dtype)
    # Outside by one cell or more reads zeros either way; keeping numbers small keeps them exact integers.
    xy = torch.minimum(xy.clamp(min=0), limit) if clamp else torch.minimum(xy.clamp(min=-2), limit + 2)
    corner = xy.floor()
    part = xy - corner
    texels, weights = [], []
    for dy in (0, 1):
        for dx in (0, 1):
            x, y = corner[..., 0] + dx, corner[..., 1] + dy
            share = (part[..., 0] if dx else 1 - part[..., 0]) * (part[..., 1] if dy else 1 - part[..., 1])
            weights.append(share * ((x >= 0) & (x < w) & (y >= 0) & (y < h)))
            texels.append((view * h + y.clamp(0, h - 1).long()) * w + x.clamp(0, w - 1).long())
    return torch.stack(texels, -1).int(), torch.stack(weights, -1)


def pack_keys(keys: list[Keys], views: int, size: tuple[int, int]) -> tuple[KeyGroup, ...]:
    """Groups queries by their number of keys, each group padded to its longest (by less than a quarter)."""
    flat = Keys(*(_join([getattr(k, f.name) for k in keys]) for f in fields(Keys)))
    count = torch.bincount(flat.query, minlength=views * size[0] * size[1])
    by_query = flat.query.argsort(stable=True)
    first = count.cumsum(0) - count
    longest_first = count.argsort(descending=True, stable=True)
    histogram = torch.bincount(count).tolist()
    groups, start = [], 0
    longest = len(histogram) - 1
    while longest > 0:
        shortest = -(-4 * longest // 5)
        stop = start + sum(histogram[shortest : longest + 1])
        if stop > start:
            # Ascending tokens read and write memory in order.
            query = longest_first[start:stop].sort().values
            place = torch.arange(longest, device=count.device)
            valid = place < count[query, None]
            rows = by_query[(first[query, None] + place).clamp(max=len(by_query) - 1)]
            group = flat[rows]
            if valid.all():
                valid = None
            else:
                group = replace(group, weight=group.weight * valid[..., None], cue=group.cue * valid[..., None])
            groups.append(KeyGroup(query, group, valid))
        start, longest = stop, shortest - 1
    return tuple(groups)


def _join(parts: list[torch.Tensor | None]) -> torch.Tensor | None:
    return None if parts[0] is None else torch.cat(parts)
