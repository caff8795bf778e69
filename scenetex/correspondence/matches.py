"""The keys every query looks at, packed so that attention runs over them in a few dense batches."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields, replace

import torch
from torch.nn import functional as F

# Bytes of position encodings kept at each feature shape and layer; beyond, they are computed anew each time.
_KEPT_ENCODINGS = 64 * 2**20
# The cue of a view's own cell among its keys: a depth error that no other view can have tells attention which it is.
_OWN_CUE = -1.0
# What starting on another group costs, on a CPU and on a GPU, in keys that could be worked on meanwhile.
_GROUP_COST = (5_000, 30_000)


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

    def sample(self, table: torch.Tensor) -> torch.Tensor:
        """(..., c) what tokens (s, c) hold at the keys' places, bilinear."""
        tokens, shares = self.texel.view(-1, 4), self.weight.view(-1, 4)
        found = F.embedding_bag(tokens, table, per_sample_weights=shares, mode="sum")
        return found.view(*self.texel.shape[:-1], -1)


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

    def __getitem__(self, rows: slice) -> "KeyGroup":
        """Some of the queries."""
        return KeyGroup(self.query[rows], self.keys[rows], None if self.valid is None else self.valid[rows])

    def encoding(self, bands: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
        """(q, l, c) position encodings of the keys, at frequencies `bands` (f,), radians per unit of the cue."""
        code = encode(self.keys.cue, bands, self.keys.odd).to(dtype)
        return code if self.keys.seen is None else code * self.keys.seen[..., None]


@dataclass(frozen=True, eq=False)
class Matches:
    """All keys at one feature shape. Queries without a key are in no group and get no message.

    Attributes:
        views: number of views in the whole batch.
        shape: (h, w) of the feature maps.
        groups: every query with keys once, together with those that have about as many.
        cue_size: components d of the keys' cues.
        paired: the released depth model's encoding of tokens two by two.
        keep: keep the keys' encodings for the next call, where memory allows.
    """

    views: int
    shape: tuple[int, int]
    groups: tuple[KeyGroup, ...]
    cue_size: int
    paired: bool
    keep: bool = True
    _encodings: dict = field(default_factory=dict, repr=False)
    _windows: dict = field(default_factory=dict, repr=False)

    def window(self, corner: tuple[int, int], shape: tuple[int, int], context: bool) -> "Matches":
        """The same for a window of the queries' maps, with its tokens numbered anew; cached.

        Args:
            corner: (row, column) of the window's first cell.
            shape: (h, w) of the window, cells.
            context: the keys' maps are cut to the window, too, and keys that reach outside of it are left out; else
                they stay whole.
        """
        asked = (*corner, *shape, context)
        if asked not in self._windows:
            with torch.inference_mode(False), torch.no_grad():
                self._windows[asked] = self._cut(corner, shape, context)
        return self._windows[asked]

    def _cut(self, corner: tuple[int, int], shape: tuple[int, int], context: bool) -> "Matches":
        (top, left), (h, w) = corner, shape

        def place(token: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            """Tokens within the window, and whether they are inside it."""
            rows = token // self.shape[1]
            row, column = rows % self.shape[0] - top, token % self.shape[1] - left
            inside = (row >= 0) & (row < h) & (column >= 0) & (column < w)
            return (rows // self.shape[0] * h + row.clamp(0, h - 1)) * w + column.clamp(0, w - 1), inside

        found = []
        for group in self.groups:
            query, kept = place(group.keys.query)
            keys = replace(group.keys, query=query)
            if group.valid is not None:
                kept = kept & group.valid
            if context:
                texel, inside = place(keys.texel)
                kept = kept & (inside | (keys.weight == 0)).all(-1)
                keys = replace(keys, texel=texel)
            found.append(keys[kept])
        # Many windows would hold many encodings; they are cut where memory is short.
        groups = pack_keys(found, self.views, shape) if found else ()
        return Matches(self.views, shape, groups, self.cue_size, self.paired, keep=False)

    def parts(
        self, bands: torch.Tensor, dtype: torch.dtype, rows: Callable[[int], int]
    ) -> Iterator[tuple[KeyGroup, torch.Tensor]]:
        """All groups and the (q, l, c) encodings of their keys, in parts of at most rows(l) queries."""
        kept = self._keep_encodings(bands, dtype)
        for i, group in enumerate(self.groups):
            q, l = group.shape
            step = max(1, rows(l))
            for part in [slice(None)] if step >= q else [slice(at, at + step) for at in range(0, q, step)]:
                piece = group if step >= q else group[part]
                yield piece, kept[i][part] if kept else piece.encoding(bands, dtype)

    def _keep_encodings(self, bands: torch.Tensor, dtype: torch.dtype) -> list[torch.Tensor] | None:
        """Encodings of all groups where memory allows: the same at every denoising step, and slow to compute. Compiled
        code computes them with all else."""
        if torch.compiler.is_compiling():
            return None
        places = sum(group.keys.query.numel() for group in self.groups)
        if not self.keep or places * len(bands) * 2 * dtype.itemsize > _KEPT_ENCODINGS:
            return None
        held, seen, kept = self._encodings.get((id(bands), dtype), (None, None, None))
        if held is not bands or not _as_seen(bands, seen):
            with torch.inference_mode(False), torch.no_grad():
                kept = [group.encoding(bands, dtype) for group in self.groups]
            # Holding on to the tensor keeps its id from being used again.
            self._encodings[id(bands), dtype] = bands, bands.clone() if bands.is_inference() else bands._version, kept
        return kept

    def query_encoding(self, bands: torch.Tensor) -> torch.Tensor:
        """(h w, c) or (1, c): the encoding queries carry, that of a cue of zero."""
        rows = self.shape[0] * self.shape[1] if self.paired else 1
        odd = torch.arange(rows, device=bands.device) % 2 == 1 if self.paired else None
        return encode(bands.new_zeros(rows, self.cue_size), bands, odd)

    def nbytes(self) -> int:
        """Bytes of all tensors, windows and encodings that were kept included."""
        tensors = [t for g in self.groups for t in (g.query, g.valid, *(getattr(g.keys, f.name) for f in fields(Keys)))]
        tensors += [code for _, _, codes in self._encodings.values() for code in codes]
        return sum(t.nbytes for t in tensors if t is not None) + sum(m.nbytes() for m in self._windows.values())


def _as_seen(values: torch.Tensor, seen: torch.Tensor | int) -> bool:
    """Whether a tensor has not been written to since its version was `seen`; one that was made in inference mode, as
    all of a model that was loaded there, counts no versions, so that what it held has to be compared."""
    return torch.equal(values, seen) if isinstance(seen, torch.Tensor) else seen == values._version


def encode(cue: torch.Tensor, bands: torch.Tensor, odd: torch.Tensor | None = None) -> torch.Tensor:
    """Sines, then cosines, of every component of the cue at every frequency.

    Args:
        cue: (..., d) float32 or float64. Frequencies reach 2^31 and more in released weights, so never half precision.
        bands: (f,) radians per unit of the cue.
        odd: (...) bool or None. The released depth model encodes tokens two by two: the cue holds both of a pair
            (d = 2), the pair's first token gets the sines of both, its second the cosines.

    Returns:
        (..., 2 d f), or (..., d f) where `odd` is given, of cue's dtype.
    """
    angle = (cue[..., None] * bands.to(cue.dtype)).flatten(-2)
    if odd is None:
        return torch.cat([angle.sin(), angle.cos()], -1)
    return torch.where(odd[..., None], angle.cos(), angle.sin())


def bilinear(
    xy: torch.Tensor, view: torch.Tensor, shape: tuple[int, int], clamp: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    """Tokens around places in feature maps, and their shares.

    Args:
        xy: (..., 2) column and row, cell centres at whole numbers.
        view: (...) int64, the view each place is in.
        shape: (h, w) of the maps.
        clamp: True moves places outside to the border; False reads zeros there, as `grid_sample` does.

    Returns:
        texel (..., 4) int32 and weight (..., 4) of xy's dtype.
    """
    h, w = shape
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


def own_matches(views: int, shape: tuple[int, int], like: torch.Tensor) -> Matches:
    """Each query's only key is the same cell of another map of its view; weights as `like` (dtype, device)."""
    return Matches(views, shape, pack_keys([own_keys(views, shape, 1, like)], views, shape), 1, paired=False)


def own_keys(views: int, shape: tuple[int, int], cue_size: int, like: torch.Tensor) -> Keys:
    """One key for each query: the same cell of another map of its view; weights as `like` (dtype, device)."""
    token = torch.arange(views * shape[0] * shape[1], device=like.device)
    weight = torch.tensor([1, 0, 0, 0], dtype=like.dtype, device=like.device).expand(len(token), -1)
    wide = torch.float64 if like.dtype == torch.float64 else torch.float32
    cue = torch.full((len(token), cue_size), _OWN_CUE, dtype=wide, device=like.device)
    return Keys(token, token[:, None].expand(-1, 4).int(), weight, cue)


def pack_keys(keys: list[Keys], views: int, shape: tuple[int, int]) -> tuple[KeyGroup, ...]:
    """Groups queries that have about as many keys, and pads each group to its longest."""
    flat = Keys(*(_join([getattr(k, f.name) for k in keys]) for f in fields(Keys)))
    count = torch.bincount(flat.query, minlength=views * shape[0] * shape[1])
    by_query = flat.query.argsort(stable=True)
    first = count.cumsum(0) - count
    groups = []
    for shortest, longest in _group_lengths(torch.bincount(count).tolist(), _GROUP_COST[count.device.type == "cuda"]):
        query = ((count >= shortest) & (count <= longest)).nonzero()[:, 0]
        place = torch.arange(longest, device=count.device)
        valid = place < count[query, None]
        group = flat[by_query[(first[query, None] + place).clamp(max=len(by_query) - 1)]]
        if valid.all():
            valid = None
        else:
            group = replace(group, weight=group.weight * valid[..., None], cue=group.cue * valid[..., None])
        groups.append(KeyGroup(query, group, valid))
    return tuple(groups)


def _group_lengths(histogram: list[int], group_cost: int) -> list[tuple[int, int]]:
    """Cuts lengths into ranges (shortest, longest), longest first, so that padding and groups together cost least.

    Args:
        histogram: number of queries of each length, from 0.
        group_cost: what another group costs, in keys.
    """
    lengths = [n for n, queries in enumerate(histogram) if queries and n]
    # best[i]: least cost of the i shortest lengths, and where their last group starts.
    best = [(0, 0)]
    for i, longest in enumerate(lengths, 1):
        queries, options = 0, []
        for start in range(i - 1, -1, -1):
            queries += histogram[lengths[start]]
            options.append((best[start][0] + group_cost + queries * longest, start))
        best.append(min(options))
    ranges, stop = [], len(lengths)
    while stop:
        start = best[stop][1]
        ranges.append((lengths[start], lengths[stop - 1]))
        stop = start
    return ranges


def _join(parts: list[torch.Tensor | None]) -> torch.Tensor | None:
    return None if parts[0] is None else torch.cat(parts)
