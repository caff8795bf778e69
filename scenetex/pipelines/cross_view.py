"""What views show of each other's surface, in pixels: told to the detail decoder (`evidence`), agreed on (`agree`), and
taken over (`carry_over`).

All three ask which other views show most of a view's surface, where in their images, and how finely.
"""

import cv2
import numpy as np
import torch

from ..models.detail_decoder import bicubic
from ..views.reprojection import correspond, lattice_step
from ..views.viewset import ViewSet

_OTHERS = 4  # views that are asked what they show of one
_FINEST = 3.0  # a view that is nearer than this tells no more than is asked for
_RAMP = 3.0  # pixels over which what a view shows fades in from its border
# How much a nearer view outweighs the others: more keeps more detail, less brings views closer together.
_EVIDENCE_POWER, _AGREE_POWER, _CARRY_POWER = 4, 2, 4
_CARRY_SOURCES = 3  # views that one takes over from: of more views' mean, detail blurs
_CARRY_RAMP = 6.0  # pixels from the border of what is carried over to where it counts in full
# Pixels of a source along one of the view, in the direction with fewest: below the first it shows too little to be
# carried over, from the second on it shows as much as the view itself could.
_CARRY_COARSE, _CARRY_FINE = 0.35, 0.75
_BENT = 0.02  # of the inverse depth: greater second differences are ends of surfaces, or too sharp folds
_SMOOTH = (5, 5)  # pixels over which fineness is averaged: rounded depth makes it jump


def showing_most(views: ViewSet, i: int, others: np.ndarray, most: int) -> np.ndarray:
    """Up to `most` of the views `others` (n,) int64 that show most of what view i shows, best first."""
    step = lattice_step(views)
    seen = np.array([len(correspond(views, i, k, step)[0]) for k in others], np.int64)
    best = np.argsort(-seen, kind="stable")[:most]
    return others[best[seen[best] > 0]]


def places(views: ViewSet, i: int, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Which pixels of view i view k sees, (h, w) bool, and where: (h, w, 2) float32 column and row, 0 elsewhere."""
    (w, h), (pixel, place, _) = views.size, correspond(views, i, k)
    there, at = np.zeros(h * w, bool), np.zeros((h * w, 2), np.float32)
    there[pixel], at[pixel] = True, place
    return there.reshape(h, w), at.reshape(h, w, 2)


def shown_by_others(
    images: np.ndarray, i: int, views: ViewSet, factor: int, power: int, trusted: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What the other views that show most of view i's surface show of it, in the pixels of an image of view i that is
    `factor` times as large.

    Args:
        images: (m, H, W, 3) float32 images of the views, of their size or some times as large.
        power: how much it counts that a view is nearer: its fineness, which fades towards the border, to this power.
        trusted: (m, h, w) bool, the views' pixels that are looked at; None = all.

    Returns:
        The weighted sum of their pixels (h factor, w factor, 3) and the sum of the weights, both float32; and that sum
        in the pixels (h, w) of view i.
    """
    w, h = views.size
    total = np.zeros((h * factor, w * factor, 3), np.float32)
    weight, small = np.zeros(total.shape[:2], np.float32), np.zeros((h, w), np.float32)
    for k in showing_most(views, i, np.delete(np.arange(len(images)), i), _OTHERS):
        pixels, share, counts = _shown_by(k, images, i, views, factor, power, trusted)
        total += share[..., None] * pixels
        weight += share
        small += counts
    return total, weight, small


def _shown_by(
    k: int, images: np.ndarray, i: int, views: ViewSet, factor: int, power: int, trusted: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """View k's pixels and weights for `shown_by_others`, and the weights in the pixels of view i."""
    (w, h), times = views.size, images.shape[1] // views.size[1]
    there, place = places(views, i, k)
    if trusted is not None:
        theirs = cv2.remap(trusted[k].astype(np.float32), *np.moveaxis(place, -1, 0), cv2.INTER_LINEAR)
        there &= trusted[i] & (theirs > 0.99)
    # Between two pixels their places are interpolated: both have to be there.
    inner = cv2.erode(there.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    counts = (np.minimum(fineness(place, there), _FINEST) * ramp(inner, _RAMP)) ** power
    # At the border they go on as they came: the large image's outermost pixels lie beyond the small one's centres.
    place = np.pad(place, ((1, 1), (1, 1), (0, 0)), "reflect", reflect_type="odd")
    larger = cv2.resize(place, None, fx=factor, fy=factor, interpolation=cv2.INTER_LINEAR)
    at = ((larger[factor:-factor, factor:-factor] + 0.5) * times - 0.5).astype(np.float32)
    pixels = cv2.remap(images[k], at[..., 0], at[..., 1], cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return pixels, cv2.resize(counts, (w * factor, h * factor), interpolation=cv2.INTER_LINEAR), counts


def unbroken(depth: np.ndarray) -> np.ndarray:
    """(h, w) bool: which pixels of a depth map (h, w) do not lie beside the end of a surface.

    Along a plane, inverse depth is linear: there its second difference is nothing, and at a fold little.
    """
    inverse = np.where(depth > 0, 1 / np.maximum(depth, 1e-6), np.nan)
    bent = np.zeros(depth.shape, np.float32)
    for axis in (0, 1):
        padded = np.pad(inverse, [(1, 1) if a == axis else (0, 0) for a in (0, 1)], "reflect", reflect_type="odd")
        bent = np.maximum(bent, np.abs(np.diff(padded, 2, axis)))
    return bent < _BENT * inverse


def fineness(place: np.ndarray, there: np.ndarray) -> np.ndarray:
    """Pixels of the other view along one of this, in the direction with fewest: the least singular value of the map's
    Jacobian.

    Args:
        place, there: from `places`.

    Returns:
        (h, w) float32, 0 where there is none.
    """
    known = np.where(there[..., None], place, np.nan)
    down, across = np.gradient(known, axis=(0, 1))
    a, b, c = (across**2).sum(-1), (down**2).sum(-1), (across * down).sum(-1)
    least = np.sqrt(np.maximum(a + b - np.sqrt((a - b) ** 2 + 4 * c**2), 0) / 2)
    inner = np.isfinite(least)
    total, count = (cv2.blur(x.astype(np.float32), _SMOOTH) for x in (np.where(inner, least, 0), inner))
    return np.where(there & (count > 0), total / np.maximum(count, 1e-6), 0)


def ramp(there: np.ndarray, width: float) -> np.ndarray:
    """(h, w) float32: 0 outside, rising to 1 over `width` pixels inside; the image's own border is no border of it."""
    if there.all():
        return np.ones(there.shape, np.float32)
    return np.clip(cv2.distanceTransform(there.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_3) / width, 0, 1)


def evidence(images: np.ndarray, i: int, views: ViewSet, factor: int) -> tuple[torch.Tensor, torch.Tensor]:
    """What other views show of view i's surface, in the pixels of its large image.

    Args:
        images: (m, h, w, 3) float32 small images of the views.
        factor: how many times larger the large image is.

    Returns:
        (3, h factor, w factor) how the other views' mean, in which the finest counts most, differs from the enlarged
        small image, 0 where there is none; and (h, w) how much they tell, 0..1: one half where a single one shows the
        surface as finely as view i itself.
    """
    total, weight, told = shown_by_others(images, i, views, factor, _EVIDENCE_POWER)
    own = bicubic(torch.from_numpy(images[i]).permute(2, 0, 1)[None], factor)[0]
    mean, there = (torch.from_numpy(x) for x in (total / np.where(weight > 0, weight, 1)[..., None], weight > 0))
    return (mean.permute(2, 0, 1) - own) * there, torch.from_numpy(told / (1 + told))


def agree(images: np.ndarray, views: ViewSet) -> np.ndarray:
    """Each image, where other views show its surface, as the mean of what they and it show, in which the finest counts
    most. Beside the ends of surfaces, which the small views' depth tells to the small pixel alone, each stays as it is.

    Args:
        images: (m, h factor, w factor, 3) float32.
        views: m views of the small images (h, w), with their depth.

    Returns:
        (m, h factor, w factor, 3) float32.
    """
    out, factor = [], images.shape[1] // views.size[1]
    trusted = np.stack([unbroken(depth) for depth in views.depth])
    for i, own in enumerate(images):
        total, weight, _ = shown_by_others(images, i, views, factor, _AGREE_POWER, trusted)
        out.append((own + total) / (1 + weight[..., None]))
    return np.stack(out)


def carry_over(images: np.ndarray, is_anchor: np.ndarray, views: ViewSet) -> np.ndarray:
    """Images in which each view shows the surface as the anchors, and those that come before it, show it.

    Latents that agree are still decoded view by view; here pixels come to agree. One after the other, in the order of
    the frames, each view takes over what the three that show most of its surface show of it, where they show it about
    as finely; towards the border of that its own pixels fade in.

    Args:
        images: (m, h, w, 3) float32 of the views.
        is_anchor: (m,) bool, the views whose images were there already: they come first and stay as they are.
        views: m views with their depth.

    Returns:
        (m, h, w, 3) float32.
    """
    out, done = images.copy(), list(np.flatnonzero(is_anchor))
    # Whatever the caller's order, the views come in that of their frames.
    for i in sorted(np.flatnonzero(~is_anchor), key=lambda i: (views.frame_ids[i], views.cam_to_world[i].tolist())):
        if done:
            shown, share = _carried(out, i, showing_most(views, i, np.array(done), _CARRY_SOURCES), views)
            out[i] += share[..., None] * (shown - images[i])
        done.append(i)
    return out


def _carried(images: np.ndarray, i: int, sources: np.ndarray, views: ViewSet) -> tuple[np.ndarray, np.ndarray]:
    """What the views `sources` show of view i's surface (h, w, 3), and how much that counts (h, w), 0..1."""
    shape = images.shape[1:3]
    total, weight = np.zeros(images.shape[1:], np.float32), np.zeros(shape, np.float32)
    best, seen = np.zeros(shape, np.float32), np.zeros(shape, bool)
    for k in sources:
        there, place = places(views, i, k)
        fine = fineness(place, there)
        counts = np.clip((fine - _CARRY_COARSE) / (_CARRY_FINE - _CARRY_COARSE), 0, 1)
        pixels = cv2.remap(images[k], place[..., 0], place[..., 1], cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
        w = (counts * np.minimum(fine, 1) * ramp(there, _CARRY_RAMP)) ** _CARRY_POWER
        total += w[..., None] * pixels
        weight += w
        best = np.maximum(best, counts)
        seen |= there
    share = best * ramp(seen, _CARRY_RAMP) * (weight > 0)
    return total / np.where(weight > 0, weight, 1)[..., None], share
