"""Which cells of views are known when a model learns to continue what is there in part."""

import numpy as np

from ..views.reprojection import correspond
from ..views.viewset import ViewSet
from .encoded import Encoded

# How often each kind is drawn: what others of the views have seen, one plane of the scene, rectangles, halves of views.
_KINDS = {"seen": 0.5, "plane": 0.2, "rectangle": 0.15, "half": 0.15}
_FULL = 0.9  # of a cell's pixels that have to be known: reprojection loses single ones
_ALIKE, _THICK = 0.95, 0.08  # cosine between normals, and metres off, of what is one plane
_SIDES = (0.2, 0.8)  # of rectangles, as part of the views'


def partial_masks(encoded: Encoded, rng: np.random.Generator) -> np.ndarray:
    """(m, h, w) bool, known latent cells of m views, of a kind that is drawn anew each time."""
    m, h, w = len(encoded.latents), *encoded.latents.shape[-2:]
    kind = rng.choice(list(_KINDS), p=list(_KINDS.values()))
    if kind == "seen":
        return _seen_by_some(_views(encoded), (h, w), rng)
    if kind == "plane":
        return _off_one_plane(_views(encoded), (h, w), rng)
    masks = np.zeros((m, h, w), bool)
    for mask in masks:
        if kind == "half":
            along = rng.integers(2)
            kept = slice(0, mask.shape[along] // 2) if rng.random() < 0.5 else slice(mask.shape[along] // 2, None)
            mask[(kept, slice(None)) if along == 0 else (slice(None), kept)] = True
        else:
            sides = [max(1, round(side * rng.uniform(*_SIDES))) for side in (h, w)]
            row, column = (rng.integers(whole - side + 1) for whole, side in zip((h, w), sides, strict=True))
            mask[row : row + sides[0], column : column + sides[1]] = True
    return masks ^ (rng.random() < 0.5) if kind == "rectangle" else masks


def _seen_by_some(views: ViewSet, shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Some views are there in full; of the others what those show, too, as when photos are completed."""
    m, (width, height) = len(views), views.size
    photographed = rng.permutation(m)[: rng.integers(1, max(2, m))]
    known = np.zeros((m, height * width), bool)
    known[photographed] = True
    for i in set(range(m)) - set(photographed.tolist()):
        for j in photographed:
            known[i, correspond(views, i, int(j))[0]] = True
    return _cells(known.reshape(m, height, width), shape)


def _off_one_plane(views: ViewSet, shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """All but one plane of the scene, such as its floor, or that alone."""
    place, normal = _surface(views, shape)
    there = np.flatnonzero(np.isfinite(normal).all(-1).ravel() & np.isfinite(place).all(-1).ravel())
    if not len(there):
        return np.zeros(place.shape[:3], bool)
    at = rng.choice(there)
    towards, through = normal.reshape(-1, 3)[at], place.reshape(-1, 3)[at]
    with np.errstate(invalid="ignore"):
        plane = (normal @ towards > _ALIKE) & (np.abs((place - through) @ towards) < _THICK)
    return plane ^ (rng.random() < 0.75)


def _surface(views: ViewSet, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """(m, h, w, 3) the point in the world that the middle of each cell shows, and its normal; NaN where nothing is."""
    (h, w), (width, height) = shape, views.size
    row, column = (np.arange(h) * height // h + height // h // 2), (np.arange(w) * width // w + width // w // 2)
    pixels = np.stack([*np.meshgrid(column, row), np.ones((h, w))], -1)
    places = []
    for depth, k, pose in zip(views.depth, views.intrinsics, views.cam_to_world, strict=True):
        z = depth[np.ix_(row, column)].astype(np.float64)
        z = np.where(np.isfinite(z) & (z > 0), z, np.nan)
        places.append(pixels @ np.linalg.inv(k).T * z[..., None] @ pose[:3, :3].T + pose[:3, 3])
    place = np.stack(places)
    if min(shape) < 2:
        return place, np.full_like(place, np.nan)
    normal = np.cross(np.gradient(place, axis=2), np.gradient(place, axis=1))
    with np.errstate(invalid="ignore"):
        return place, normal / np.maximum(np.linalg.norm(normal, axis=-1, keepdims=True), 1e-12)


def _cells(known: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """(m, h, w) bool of pixels (m, H, W): cells that are known as good as in full."""
    m, height, width = known.shape
    h, w = shape
    return known.reshape(m, h, height // h, w, width // w).mean((2, 4)) >= _FULL


def _views(encoded: Encoded) -> ViewSet:
    """The cameras and depth of what is encoded; its faces are not known."""
    depth = encoded.depth.numpy()
    cameras = encoded.intrinsics.double().numpy(), encoded.cam_to_world.double().numpy()
    return ViewSet(tuple(range(len(depth))), *cameras, depth, np.zeros(depth.shape, np.int32), np.zeros((1, 3)))
