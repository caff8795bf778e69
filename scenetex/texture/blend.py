"""Texel colours from photos: overall colour from all of them, detail from the few that show it best."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import scipy.sparse as sp

from .projection import Photo, Surface, aspect, facing, sample, sight
from .selection import Choice, base_weight, border_weight
from .texels import Texels

_DETAIL_EXPONENT = 12.0  # on pixels per metre
_PRESHARPEN = 0.45, 0.8  # amount, and sigma in pixels: what two bilinear lookups (photo, texture) take away


def blend(
    surface: Surface,
    texels: Texels,
    shots: list[Photo],
    choice: Choice,
    blur: float,
    ramp: float,
    done: Callable[[], None] = lambda: None,
) -> tuple[np.ndarray, np.ndarray]:
    """Two-band blending on the surface (after Burt and Adelson 1983, Baumberg 2002).

    The band below `blur` is averaged over all trusted photos, which levels seams and what exposure left; the band above
    comes from the photos chosen per face. All weights vary smoothly over the surface, so charts meet without a seam.

    Args:
        surface: of the welded mesh the texels lie on, in the photos' frame.
        texels: the n texels.
        shots: the m photos.
        choice: from `selection.choose`.
        blur: sigma between the bands, pixels.
        ramp: as in `selection.choose`.
        done: called after each photo.

    Returns:
        colours (n, 3) float32 0..255 (0 where unseen) and (n,) bool seen.
    """
    trust, detail = (_to_vertices(surface.faces, len(surface.vertices), x) for x in (choice.trust, choice.detail))

    def contribute(i: int):
        photo = shots[i]
        at = aspect(surface, photo)
        low_weight = (trust[:, i] ** 2 + np.float32(1e-4)) * base_weight(at.cosine, at.resolution)
        sharp = np.minimum(at.resolution / np.float32(1000), 4) ** _DETAIL_EXPONENT * at.cosine
        high_weight = low_weight * sharp * (detail[:, i] + np.float32(1e-4))
        fields = np.concatenate([at.pixel, np.stack([at.slack, low_weight, high_weight], 1)], 1)
        texel, fields = texels.on_faces(facing(surface, photo), fields, surface.faces)
        s = sight(photo, fields[:, :3], fields[:, 3])
        texel = texel[s.index]
        weights = fields[s.index, 4:] * border_weight(s.clearance, ramp)[:, None]

        image = np.clip(photo.image * choice.gain[i], 0, 255).astype(np.float32)
        base = cv2.GaussianBlur(image, (0, 0), blur)
        fine = image - base + _PRESHARPEN[0] * (image - cv2.GaussianBlur(image, (0, 0), _PRESHARPEN[1]))
        low, high = np.empty((2, len(texel), 4), np.float32)
        low[:, 3], high[:, 3] = weights.T
        np.multiply(sample(base, s.u, s.v), low[:, 3:], out=low[:, :3])
        np.multiply(sample(fine, s.u, s.v, cv2.INTER_CUBIC), high[:, 3:], out=high[:, :3])
        return texel, low, high

    low, high = np.zeros((2, len(texels), 4), np.float32)
    lanes = os.cpu_count() or 1
    with ThreadPoolExecutor(lanes) as pool:
        # Photo by photo into the sums, a few in flight: memory does not grow with their number.
        for group in range(0, len(shots), lanes):
            for texel, a, b in pool.map(contribute, range(group, min(group + lanes, len(shots)))):
                low[texel] += a
                high[texel] += b
                done()
    color = low[:, :3] / np.maximum(low[:, 3:], 1e-30) + high[:, :3] / np.maximum(high[:, 3:], 1e-30)
    return np.clip(color, 0, 255), low[:, 3] > 0


def _to_vertices(faces: np.ndarray, count: int, values: np.ndarray) -> np.ndarray:
    """(count, m) float32 mean over the faces around each vertex of per-face values (f, m)."""
    corner = faces.ravel()
    ones = np.ones(len(corner), np.float32)
    spread = sp.csr_matrix((ones, (corner, np.repeat(np.arange(len(faces)), 3))), (count, len(faces)))
    return (spread @ values) / np.maximum(np.bincount(corner, minlength=count), 1)[:, None].astype(np.float32)
