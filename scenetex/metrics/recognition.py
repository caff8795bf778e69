"""Recognition: whether what was to be seen is what a classifier sees: the pattern of floor and walls, the furniture.

The classifier learns from true renders of rooms of another seed. It is a linear discriminant on what a network trained
on ImageNet makes of a part of a view: grids that no training objective of this package looks at.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch.nn import functional as F

from ..data.rooms import RoomStream
from ..errors import InputError
from ..models.image_features import Eyes
from ..synthetic import Room
from ..synthetic.palette import FLOORS, WALLS

GROUPS = ("floor", "walls", "furniture")
_SEED, _ROOMS, _VIEWS = 2_000_003, 160, 6  # what the classifier learns from
_BLOCKS = (1, 3, 7, 14)  # a quarter, an eighth, a sixteenth and a 32nd of the image
_SEEN = 0.015  # of a view's pixels: less of a part is not asked for
_FEW = 12  # patches of a kind that teach it
_SHRINKAGE = 0.1  # of the covariance towards its mean variance
_SHELL = ("ceiling", "window", "door", "skirting")


@dataclass(frozen=True, eq=False)
class Patches:
    """Parts of views, and what they are.

    Attributes:
        view: (n,) int64, the view that each lies in.
        mask: (n, h, w) bool, its pixels.
        group: (n,) int64 index into `GROUPS`.
        kind: n names, such as "herringbone", "brick" or "sofa".
    """

    view: np.ndarray
    mask: np.ndarray
    group: np.ndarray
    kind: tuple[str, ...]


def find_patches(room: Room, face_id: np.ndarray) -> Patches:
    """The parts of a room that its views (m, h, w) show enough of; floors and walls by pattern, furniture by noun."""
    patterns = {"floor": FLOORS[room.facts.floor].pattern, "walls": WALLS[room.facts.walls].pattern}
    part = np.where(face_id >= 0, room.face_part[face_id], -1)
    view, mask, group, kind = [], [], [], []
    for i, shown in enumerate(part):
        for number in np.flatnonzero(np.bincount(shown[shown >= 0], minlength=len(room.parts)) >= _SEEN * shown.size):
            name = room.parts[number]
            if name and name not in _SHELL:
                view.append(i)
                mask.append(shown == number)
                group.append(GROUPS.index(name) if name in patterns else 2)
                kind.append(patterns.get(name) or name.split()[-1].removesuffix("s"))
    masks = np.stack(mask) if mask else np.zeros((0, *face_id.shape[1:]), bool)
    return Patches(np.array(view, int), masks, np.array(group, int), tuple(kind))


class Recogniser:
    """Names what patches show.

    Args:
        features: (n, d), see `look`.
        group, kind: of `Patches`, for all n.
    """

    def __init__(self, features: np.ndarray, group: np.ndarray, kind: Sequence[str]):
        self._rules = {}
        kind = np.array(kind)
        for g in np.unique(group):
            names, count = np.unique(kind[group == g], return_counts=True)
            names = names[count >= _FEW]
            if len(names) >= 2:
                mine = (group == g) & np.isin(kind, names)
                self._rules[int(g)] = (names, *_discriminant(features[mine], np.searchsorted(names, kind[mine])))

    def hits(self, features: np.ndarray, group: np.ndarray, kind: Sequence[str]) -> np.ndarray:
        """(n,) bool, which patches are named right; those of a kind that it has not learnt are left out."""
        found = []
        for x, g, name in zip(features, group, kind, strict=True):
            names, weight, bias = self._rules.get(int(g), ((), None, None))
            if name in names:
                found.append(names[(weight @ x + bias).argmax()] == name)
        return np.array(found, bool)


def look(images: Sequence[np.ndarray], patches: Patches) -> np.ndarray:
    """(n, d) float64: mean and spread, over each patch, of what eyes see in its view, images (h, w, 3) uint8."""
    rows = []
    for i, image in enumerate(images):
        mine = patches.view == i
        if not mine.any():
            continue
        picture = torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)[None].float() / 127.5 - 1
        parts = []
        with torch.no_grad():
            for grid in _eyes()(picture):
                share = F.adaptive_avg_pool2d(torch.from_numpy(patches.mask[mine])[:, None].float(), grid.shape[-2:])
                share = share / share.sum((2, 3), keepdim=True)
                mean = (grid * share).sum((2, 3))
                parts += [mean, ((grid - mean[..., None, None]).square() * share).sum((2, 3)).sqrt()]
        rows.append((np.flatnonzero(mine), torch.cat(parts, 1).double().numpy()))
    out = np.zeros((len(patches.view), rows[0][1].shape[1] if rows else 0))
    for index, found in rows:
        out[index] = found
    return out


@lru_cache(maxsize=1)
def taught(rooms: int = _ROOMS) -> Recogniser | None:
    """The recogniser that has seen true renders; None where the network that it stands on is not installed."""
    try:
        _eyes()
    except InputError:
        return None
    stream, features, group, kind = RoomStream(_SEED, _VIEWS), [], [], []
    for i in range(rooms):
        room, sample = stream.room_and_sample(i)
        patches = find_patches(room, sample.views.face_id)
        features.append(look(list(sample.images), patches))
        group.append(patches.group)
        kind += patches.kind
    return Recogniser(np.concatenate([f for f in features if len(f)]), np.concatenate(group), kind)


def recognised(patches: Patches | None, images: Sequence[np.ndarray]) -> np.ndarray:
    """Which patches of images (h, w, 3) uint8 are named right, (n,) bool; none without patches, or without the network
    that names them."""
    recogniser = None if patches is None else taught()
    if recogniser is None:
        return np.zeros(0, bool)
    return recogniser.hits(look(images, patches), patches.group, patches.kind)


def _discriminant(x: np.ndarray, label: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weights (k, d) and biases (k,) of a linear discriminant analysis with a shrunk covariance, equal priors."""
    means = np.stack([x[label == k].mean(0) for k in range(label.max() + 1)])
    within = x - means[label]
    scale = within.std(0) + 1e-6
    within = within / scale
    covariance = within.T @ within / len(x)
    covariance = (1 - _SHRINKAGE) * covariance + _SHRINKAGE * np.trace(covariance) / len(covariance) * np.eye(
        len(covariance)
    )
    weight = np.linalg.solve(covariance, (means / scale).T).T / scale
    return weight, -0.5 * (weight * means).sum(1)


@lru_cache(maxsize=1)
def _eyes() -> Eyes:
    return Eyes(_BLOCKS)
