"""The correspondences of a set of views: which views see each other, and every query's keys at any feature shape."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Protocol

import torch

from ..errors import InputError
from .matches import Keys, Matches, own_keys, pack_keys

CONVENTIONS = ("visible", "mvdiffusion")
# Whether views overlap is measured on about this many pixels along the shorter side; to 0.01 that is exact enough.
_OVERLAP_SAMPLES = 48


class Geometry(Protocol):
    """What each kind of correspondence (depth, rotation) answers. Views are numbered through the whole batch."""

    image_shape: tuple[int, int]
    device: torch.device
    cue_size: int
    paired: bool
    released: bool

    def overlap(self, view: int, partners: torch.Tensor, samples: int) -> torch.Tensor:
        """(l,) the part of the pixels of `view` that is found in each of the views `partners` (l,) int64, measured on
        about `samples` pixels along the shorter side."""

    def keys(self, view: int, partners: torch.Tensor, shape: tuple[int, int]) -> Keys:
        """Keys of all queries of `view` in the views `partners` (l,) int64, at feature shape (h, w)."""

    def to(self, device: torch.device | str) -> "Geometry":
        """The same on another device; itself where it is there already."""


@dataclass(frozen=True, eq=False)
class Correspondence:
    """Correspondences among the m views of each of b scenes, made by `from_depth` or `from_rotation`.

    Computed once per set of views and reused by every layer, denoising step and guidance half; the keys at a feature
    shape are found when first asked for and stay on the device.

    Attributes:
        batch: number of scenes b.
        views: views per scene m.
        pairs: (p, 2) int64 on the CPU, (query view, context view), views numbered 0 .. b m - 1, sorted by query view.
        geometry: depth or rotation geometry of all b m views.

    Example:
        Two views of a wall two metres off, the second 10 cm further to the right:

        >>> import torch
        >>> from scenetex.correspondence import from_depth
        >>> depth, poses = torch.full((1, 2, 32, 32), 2.0), torch.eye(4).repeat(1, 2, 1, 1)
        >>> poses[0, 1, 0, 3] = 0.1
        >>> intrinsics = torch.tensor([[[32.0, 0, 15.5], [0, 32, 15.5], [0, 0, 1]]])
        >>> views = from_depth(depth, intrinsics, poses)
        >>> views
        Correspondence(1 x 2 views of 32 x 32, 2 pairs)
        >>> views.pairs.tolist()
        [[0, 1], [1, 0]]
    """

    batch: int
    views: int
    pairs: torch.Tensor
    geometry: Geometry
    _matches: dict[tuple[int, int, torch.dtype, bool], Matches] = field(default_factory=dict, repr=False)
    _elsewhere: dict[torch.device, "Correspondence"] = field(default_factory=dict, repr=False)

    def __repr__(self) -> str:
        height, width = self.image_shape
        return f"Correspondence({self.batch} x {self.views} views of {width} x {height}, {len(self.pairs)} pairs)"

    @property
    def image_shape(self) -> tuple[int, int]:
        """(height, width) of the images the correspondence was computed from, pixels."""
        return self.geometry.image_shape

    @property
    def device(self) -> torch.device:
        return self.geometry.device

    def to(self, device: torch.device | str | None) -> "Correspondence":
        """The same correspondence on another device (itself where it is there already); keys are found anew, once.

        Offloading moves what a network is called with, to None where that is to stay.
        """
        if device is None:
            return self
        device = torch.device(device)
        if device not in self._elsewhere:
            geometry = self.geometry.to(device)
            if geometry is self.geometry:
                return self
            self._elsewhere[device] = Correspondence(self.batch, self.views, self.pairs, geometry)
        return self._elsewhere[device]

    def overlap(self, samples: int = _OVERLAP_SAMPLES) -> torch.Tensor:
        """(b, m, m) float32 on the CPU: the part of view i's pixels that is found in view j; 0 for those that are no
        pair. `samples`: pixels along the shorter side that it is measured on."""
        out = torch.zeros(self.batch, self.views, self.views)
        for view, partners in self._partners():
            found = self.geometry.overlap(view, partners.to(self.device), samples)
            out[view // self.views, view % self.views, partners % self.views] = found.to(out)
        return out

    def at(self, shape: tuple[int, int], dtype: torch.dtype = torch.float32, own: bool = False) -> Matches:
        """Keys of every query of feature maps of `shape` (height, width), sampling weights in `dtype`; cached.

        Args:
            own: the keys are in other maps than the queries, and each view's own is among them (super-resolution):
                every query has a key at its own place, whether there is depth or not.

        Raises:
            InputError: convention "mvdiffusion" and a shape that the released model fails at, or `own`.
        """
        height, width = shape
        asked = height, width, dtype, own
        if asked not in self._matches:
            # Found during inference, they may serve in training: no inference tensors.
            with torch.inference_mode(False), torch.no_grad():
                self._matches[asked] = self._find((height, width), dtype, own)
        return self._matches[asked]

    def _partners(self) -> Iterator[tuple[int, torch.Tensor]]:
        """The views that look at others, and those others (l,) int64."""
        views, counts = self.pairs[:, 0].unique_consecutive(return_counts=True)
        yield from zip(views.tolist(), self.pairs[:, 1].split(counts.tolist()), strict=True)

    def nbytes(self) -> int:
        """Bytes held on the device: geometry and all keys found so far."""
        held = vars(self.geometry).values()
        return sum(t.nbytes for t in held if isinstance(t, torch.Tensor)) + sum(
            m.nbytes() for m in self._matches.values()
        )

    def _find(self, shape: tuple[int, int], dtype: torch.dtype, own: bool) -> Matches:
        if min(shape) < 1:
            raise InputError(f"features of {shape[0]} x {shape[1]} hold no cell; use larger images")
        if own and self.geometry.released:
            raise InputError('correspondence of convention "mvdiffusion" has no keys in the own view; use "visible"')
        wide = torch.float64 if dtype == torch.float64 else torch.float32
        found = []
        # View by view: bounds the memory of what is computed on the way, whatever the number of pairs.
        for view, partners in self._partners():
            keys = self.geometry.keys(view, partners.to(self.device), shape)
            found.append(replace(keys, weight=keys.weight.to(dtype), cue=keys.cue.to(wide)))
        views = self.batch * self.views
        if own:
            like = torch.empty(0, dtype=dtype, device=self.device)
            found.append(own_keys(views, shape, self.geometry.cue_size, like))
        groups = pack_keys(found, views, shape) if found else ()
        return Matches(views, shape, groups, self.geometry.cue_size * (1 + self.geometry.paired), self.geometry.paired)


def overlap_fractions(geometry: Geometry, b: int, m: int) -> torch.Tensor:
    """(b, m, m) on the CPU: the part of view i's pixels that is found in view j."""
    first = [view // m * m for view in range(b * m)]
    partners = [torch.arange(start, start + m, device=geometry.device) for start in first]
    found = [geometry.overlap(view, those, _OVERLAP_SAMPLES) for view, those in enumerate(partners)]
    return torch.stack(found).reshape(b, m, m).cpu()


def overlap_pairs(fraction: torch.Tensor, overlap: float) -> torch.Tensor:
    """Pairs of different views whose smaller overlap is strictly above `overlap`, both ways round.

    Args:
        fraction: (b, m, m), the part of view i's pixels that is found in view j.

    Returns:
        (b, m, m) bool.
    """
    mutual = torch.minimum(fraction, fraction.transpose(1, 2)) > overlap
    return mutual & ~torch.eye(fraction.shape[1], dtype=torch.bool, device=fraction.device)


def check_convention(convention: str) -> None:
    """Raises InputError unless `convention` is one of `CONVENTIONS`."""
    if convention not in CONVENTIONS:
        raise InputError(f"convention {convention!r} is not one of {', '.join(CONVENTIONS)}")


def pairs_of(attends: torch.Tensor) -> torch.Tensor:
    """(p, 2) int64 on the CPU from (b, m, m) bool: query and context view, numbered through the batch."""
    item, i, j = attends.cpu().nonzero(as_tuple=True)
    m = attends.shape[1]
    return torch.stack([item * m + i, item * m + j], 1)


def check_cameras(shape: tuple[int, ...], intrinsics: torch.Tensor, poses: torch.Tensor, name: str) -> torch.Tensor:
    """Intrinsics (b, m, 3, 3) of views of `shape` (b, m, ...), given those or (b, 3, 3), and poses (b, m, n, n) `name`.

    Raises:
        InputError: other shapes, values that are not finite, matrices without an inverse.
    """
    b, m = shape[:2]
    if intrinsics.ndim == 3:
        intrinsics = intrinsics[:, None].expand(-1, m, -1, -1)
    side = poses.shape[-1]
    for what, matrix, n in (("K", intrinsics, 3), (name, poses, side)):
        if matrix.shape != (b, m, n, n):
            raise InputError(
                f"{what} is {tuple(matrix.shape)}, but there are {b} x {m} views: pass ({b}, {m}, {n}, {n})"
            )
        bad = ~(matrix.isfinite().all(-1).all(-1) & (torch.linalg.det(matrix.double().nan_to_num()).abs() > 1e-12))
        if bad.any():
            item, view = bad.nonzero()[0].tolist()
            raise InputError(
                f"{what} of view {view} (scene {item}) is not finite or has no inverse; leave that view out"
            )
    return intrinsics
