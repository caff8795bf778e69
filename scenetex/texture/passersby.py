"""What stands before the surface in a photo and is not of it: people who walk by, things that were moved.

A photo that shows a point otherwise than all others may be right: of two photos that disagree neither is outvoted. But
what is there of the surface looks like what is around it, and what stands before it does not. Where photos agree they
tell what the surface looks like; a sighting that agrees with none and looks like nothing of that near by is foreign, if
another photo shows something that does. GrabCut (Rother et al. 2004) then finds how far it reaches in the photo, over
points that no other photo shows, too.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import cv2
import numpy as np
from scipy.spatial import cKDTree

from ..process.threads import threads
from .blur import gaussian_blur
from .exposure import Exposure, squared_radius, usable
from .projection import Photo, Surface, clearance, points_seen, sample

_POINTS = 50_000
_PILOT, _PILOTS = 2_000, 24  # points, and photos, by which the number of sightings is guessed
_SIGHTINGS = 1_500_000  # of all photos together: where there are many, fewer points do
_BLUR = 4.0  # sigma, pixels of a 640-pixel photo
_ALIKE = 30.0  # grey levels by which two sightings may differ and half agree
_PARTNERS = 24  # of a sighting before and after it, which it is compared with
_FITS, _FOREIGN = 25.0, 45.0  # grey levels off the nearest colour around: of the surface still, and certainly not
_AROUND = 32  # points that agree, the nearest ones
_LEAST = 0.15  # weight of sightings that tell something: 1 is frontal and well exposed
_WIDTH = 160  # cells of a photo's width, in which the foreign is outlined
_VOTES = 1.5  # sigma in cells over which points speak
# Of a photo: what is smaller is gloss, or photos that miss each other. The first number is of what is thicker than
# `_THICK` cells, before it is outlined.
_CORE, _SMALLEST, _THICK = 0.008, 0.02, 7


def without_passersby(surface: Surface, shots: list[Photo], exposure: Exposure) -> tuple[list[Photo], np.ndarray]:
    """The photos, none of which sees the surface through what stands before it; and which share of each that is (m,).

    Args:
        surface: of the mesh, in the photos' frame.
        shots: the photos, brought together as well as may be: what misses by more than `_BLUR` seems foreign.
        exposure: what brings them to one exposure.
    """
    points = surface.scattered(_POINTS)
    some = range(0, len(shots), -(-len(shots) // _PILOTS))
    shown = np.mean([len(points_seen(points.part(_PILOT), shots[i])[1].index) for i in some])
    points = points.part(int(_SIGHTINGS * _PILOT / max(shown * len(shots), 1)))
    with ThreadPoolExecutor(threads() or os.cpu_count()) as pool:
        seen = list(pool.map(lambda i: _look(points, shots[i], exposure, i), range(len(shots))))
    agreed, foreign = _judged(points.vertices, seen)
    out, share = list(shots), np.zeros(len(shots))
    cuts = np.cumsum([len(look.point) for look in seen])[:-1]
    for i, (look, known, odd) in enumerate(zip(seen, np.split(agreed, cuts), np.split(foreign, cuts), strict=True)):
        hidden = _outlined(shots[i], look.pixel, known, odd)
        if hidden is not None:
            out[i], share[i] = _behind(shots[i], hidden), hidden.mean()
    return out, share


@dataclass(frozen=True, eq=False)
class _Look:
    """Points that one photo shows: their numbers (k,), pixels (k, 2), colours (k, 3) in one exposure, weights (k,)."""

    point: np.ndarray
    pixel: np.ndarray
    color: np.ndarray
    weight: np.ndarray


def _look(points: Surface, shot: Photo, exposure: Exposure, view: int) -> _Look:
    at, seen = points_seen(points, shot)
    color = sample(gaussian_blur(shot.image, _BLUR * shot.size[0] / 640), seen.u, seen.v)
    level = exposure.level_samples(color, np.full(len(seen.index), view), squared_radius(seen.u, seen.v, shot.size))
    return _Look(seen.index, np.stack([seen.u, seen.v], 1), level, at.cosine[seen.index] * usable(color))


def _judged(points: np.ndarray, seen: list[_Look]) -> tuple[np.ndarray, np.ndarray]:
    """(k,) bool each, of all photos' sightings: those that others agree with, and those of something foreign."""
    point, color, weight = (np.concatenate([getattr(s, name) for s in seen]) for name in ("point", "color", "weight"))
    agree, differ = _compared(point, color, weight)
    agreed = (agree > differ) & (agree > _LEAST)
    share = weight * agreed
    mass = np.bincount(point, share, len(points))
    mean = np.stack([np.bincount(point, share * c, len(points)) for c in color.T], 1) / np.maximum(mass, 1e-9)[:, None]
    known = np.flatnonzero(mass > _LEAST)
    if not len(known):
        return agreed, np.zeros_like(agreed)
    unsure = np.flatnonzero(~agreed)
    tree, cores = cKDTree(points[known]), threads() or os.cpu_count() or 1
    around = tree.query(points[point[unsure]], min(_AROUND, len(known)), workers=cores)[1].reshape(len(unsure), -1)
    off = np.zeros(len(point))
    off[unsure] = np.abs(color[unsure][:, None] - mean[known[around]]).max(2).min(1)
    fitting = weight * (agreed | (off < _FITS))
    by_others = np.bincount(point, fitting, len(points))[point] - fitting
    return agreed, ~agreed & (off > _FOREIGN) & (weight > _LEAST) & (by_others > _LEAST)


def _compared(point: np.ndarray, color: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(k,) weight of a point's other sightings that look alike, and of those that do not."""
    order = np.argsort(point, kind="stable")
    point, color, weight = point[order], color[order], weight[order]
    agree, differ = np.zeros((2, len(point)))
    for step in range(1, _PARTNERS + 1):
        a = np.flatnonzero(point[step:] == point[:-step])
        if not len(a):
            break
        b = a + step
        alike = 1 / (1 + (np.abs(color[a] - color[b]).max(1) / _ALIKE) ** 4)
        for one, other in ((a, b), (b, a)):
            agree[one] += alike * weight[other]
            differ[one] += (1 - alike) * weight[other]
    back = np.empty_like(order)
    back[order] = np.arange(len(order))
    return agree[back], differ[back]


def _outlined(shot: Photo, pixel: np.ndarray, agreed: np.ndarray, foreign: np.ndarray) -> np.ndarray | None:
    """(rows, columns) bool of the photo: what is foreign, by the points that are; None: nothing."""
    width, height = shot.size
    cells = _WIDTH, max(1, round(_WIDTH * height / width))
    column, row = (np.clip((pixel[:, k] + 0.5) * cells[k] / shot.size[k], 0, cells[k] - 1).astype(int) for k in (0, 1))

    def votes(which: np.ndarray) -> np.ndarray:
        count = np.bincount((row * cells[0] + column)[which], minlength=cells[0] * cells[1])
        return cv2.GaussianBlur(count.reshape(cells[::-1]).astype(np.float32), (0, 0), _VOTES)

    against, favour = votes(foreign), votes(agreed)
    core = ((against > favour) & (against > 0.01 * max(len(pixel), 1) / favour.size)).astype(np.uint8)
    thick = cv2.morphologyEx(core, cv2.MORPH_OPEN, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (_THICK, _THICK)))
    count, label = cv2.connectedComponents(core)
    large = np.bincount(label[thick > 0], minlength=count) >= _CORE * core.size
    large[0] = False
    if not large.any():
        return None
    certain = large[label]
    mask = np.where((favour > 2 * against) & (favour > 0.03), cv2.GC_BGD, cv2.GC_PR_BGD).astype(np.uint8)
    mask[certain] = cv2.GC_FGD
    small = np.ascontiguousarray(cv2.resize(shot.image, cells, interpolation=cv2.INTER_AREA)[..., ::-1])
    cv2.setRNGSeed(0)  # of the clustering inside
    cv2.grabCut(small, mask, None, np.zeros((1, 65)), np.zeros((1, 65)), 3, cv2.GC_INIT_WITH_MASK)
    found = np.isin(mask, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.uint8)
    count, label = cv2.connectedComponents(found)
    kept = (np.bincount(label[certain], minlength=count) > 0) & (np.bincount(label.ravel()) >= _SMALLEST * core.size)
    kept[0] = False
    return cv2.dilate(kept[label].astype(np.uint8), np.ones((3, 3))) > 0 if kept.any() else None


def _behind(shot: Photo, hidden: np.ndarray) -> Photo:
    """The photo without what it shows of the surface where `hidden`."""
    away = cv2.resize(hidden.astype(np.float32), shot.depth.shape[::-1], interpolation=cv2.INTER_LINEAR) > 0.5
    depth = np.where(away, 0, shot.depth).astype(shot.depth.dtype)
    return replace(shot, depth=depth, clearance=clearance(depth / np.float32(shot.depth_unit)))
