"""Texel colours from photos: overall colour from all of them, detail from the few that show it best."""

import math
import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import cv2
import numpy as np
import scipy.sparse as sp

from ..process.threads import threads
from ..scene.mesh import used_vertices
from .blur import gaussian_blur
from .clipping import ShownClipped, is_clipped
from .exposure import Exposure, developed
from .projection import Aspect, Photo, Surface, aspect, facing, sample, sight
from .selection import Choice, base_weight, border_weight
from .texels import Texels

_DETAIL_EXPONENT = 12.0  # on pixels per metre
_PRESHARPEN = 0.45, 0.8  # amount, and sigma in pixels: what two bilinear lookups (photo, texture) take away
_BLOCK = 65_536  # texels handled at once
_AHEAD = 1 << 21  # pixels up to which a photo is made ready while the one before it is added


def blend(
    surface: Surface,
    texels: Texels,
    shots: list[Photo],
    choice: Choice,
    blur: float,
    shared: float,
    ramp: float,
    done: Callable[[], None] = lambda: None,
    clipped: ShownClipped | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Two-band blending on the surface (after Burt and Adelson 1983, Baumberg 2002).

    The band below `blur` is averaged over all trusted photos, which levels seams and what exposure left; the band above
    comes from the photos chosen per face. All weights vary smoothly over the surface, so charts meet without a seam.

    Args:
        surface: of the welded mesh the texels lie on, in the photos' frame.
        texels: the n texels.
        shots: the m photos.
        choice: from `selection.choose`.
        blur: sigma between the bands, pixels of a photo whose `scale` is 1.
        shared: 1: all photos have their full weight in the low band; 0: only those chosen for the detail.
        ramp: as in `selection.choose`.
        done: called after each photo.
        clipped: is told which texels photos show clipped.

    Returns:
        colours (n, 3) float32 0..255 (0 where unseen) and (n,) bool seen.
    """
    trust, detail = (_to_vertices(surface.faces, len(surface.vertices), x) for x in (choice.trust, choice.detail))
    total = np.zeros((len(texels), 8), np.float32)  # both bands' weighted colours, then their weights

    def ready(i: int) -> _Ready:
        photo = shots[i]
        front = facing(surface, photo)
        used, _ = used_vertices(surface.faces[front])
        at = aspect(Surface.of_points(surface.vertices[used], surface.vertex_normals[used]), photo)
        fields = np.empty((len(surface.vertices), 6), np.float32)
        fields[used] = _vertex_fields(at, trust[used, i], detail[used, i], shared)
        image = photo.image
        bands = _bands(image, choice.exposure, i, blur * photo.scale)
        at_end = None if clipped is None else is_clipped(image)
        return _Ready(photo, fields, *bands, at_end, _blocks(texels, front))

    def add(now: _Ready, faces: np.ndarray) -> None:
        texel, values = texels.on_faces(faces, now.fields, surface.faces)
        s = sight(now.photo, values[:, :3], values[:, 3])
        texel = texel[s.index]
        weights = values[s.index, 4:] * border_weight(s.clearance, ramp * now.photo.scale)[:, None]
        part = np.empty((len(texel), 8), np.float32)
        np.multiply(sample(now.base, s.u, s.v), weights[:, :1], out=part[:, :3])
        np.multiply(sample(now.fine, s.u, s.v, cv2.INTER_CUBIC), weights[:, 1:], out=part[:, 3:6])
        part[:, 6:] = weights
        total[texel] += part
        if clipped is not None and now.at_end is not None:
            clipped.add(texel, now.at_end, s.u, s.v)

    with ThreadPoolExecutor(threads() or os.cpu_count()) as pool:
        next_one: Future[_Ready] | None = None
        for i in range(len(shots)):
            now = ready(i) if next_one is None else next_one.result()
            small = i + 1 < len(shots) and max(math.prod(shots[k].size) for k in (i, i + 1)) <= _AHEAD
            next_one = pool.submit(ready, i + 1) if small else None
            # Blocks have faces of their own, so threads never add to the same texel; small ones stay in the cache.
            list(pool.map(partial(add, now), now.blocks))
            done()
    weights = np.maximum(total[:, 6:], 1e-30)
    color = total[:, :3] / weights[:, :1] + total[:, 3:6] / weights[:, 1:]
    return developed(color, choice.exposure.highest), total[:, 6] > 0


@dataclass(frozen=True, eq=False)
class _Ready:
    """A photo that is ready to be added: what it is at each vertex, its two bands, which of its pixels are clipped, and
    the faces that it faces, block by block."""

    photo: Photo
    fields: np.ndarray
    base: np.ndarray
    fine: np.ndarray
    at_end: np.ndarray | None
    blocks: list[np.ndarray]


def _bands(image: np.ndarray, exposure: Exposure, photo: int, blur: float) -> tuple[np.ndarray, np.ndarray]:
    """What of a photo (h, w, 3) uint8, brought to the common exposure, lies below `blur`, and, sharpened, above it."""
    lit = exposure.level(image, photo)
    base = gaussian_blur(lit, blur)
    fine = lit - base
    # Step by step: of a photo of 100 megapixels each of these takes more than a gigabyte.
    lit -= cv2.GaussianBlur(lit, (0, 0), _PRESHARPEN[1])
    lit *= _PRESHARPEN[0]
    fine += lit
    return base, fine


def _vertex_fields(at: Aspect, trust: np.ndarray, detail: np.ndarray, shared: float) -> np.ndarray:
    """(n, 6) float32 per vertex: homogeneous pixel (3), slack, weight in the low band, weight in the high band."""
    low = (trust**2 + np.float32(1e-4)) * base_weight(at.cosine, at.resolution)
    low *= np.float32(shared) + np.float32(1 - shared) * detail
    sharp = np.clip(at.resolution / np.float32(1000), 0.05, 4) ** _DETAIL_EXPONENT * at.cosine
    return np.concatenate([at.pixel, np.stack([at.slack, low, low * sharp * (detail + np.float32(1e-4))], 1)], 1)


def _blocks(texels: Texels, faces: np.ndarray) -> list[np.ndarray]:
    """Splits ascending `faces` into runs with about `_BLOCK` texels each."""
    count = np.cumsum(texels.start[faces + 1] - texels.start[faces])
    if not len(faces) or not count[-1]:
        return []
    cuts = np.searchsorted(count, np.arange(_BLOCK, count[-1], _BLOCK))
    return [block for block in np.split(faces, cuts) if len(block)]


def _to_vertices(faces: np.ndarray, count: int, values: np.ndarray) -> np.ndarray:
    """(count, m) float32 mean over the faces around each vertex of per-face values (f, m)."""
    corner = faces.ravel()
    ones = np.ones(len(corner), np.float32)
    spread = sp.csr_matrix((ones, (corner, np.repeat(np.arange(len(faces)), 3))), (count, len(faces)))
    return (spread @ values) / np.maximum(np.bincount(corner, minlength=count), 1)[:, None].astype(np.float32)
