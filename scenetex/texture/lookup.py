"""Colours of points on faces, looked up in texture pages."""

from collections.abc import Sequence

import numpy as np

from .atlas import Atlas


def sample_pages(
    atlas: Atlas, textures: Sequence[np.ndarray], faces: np.ndarray, u: np.ndarray, v: np.ndarray
) -> np.ndarray:
    """(n, 3) float32, 0 to 255: bilinear colours at points on faces, as `render.sample_texture` has them."""
    corners = atlas.uv[atlas.faces[faces]].astype(np.float64)
    weights = np.stack([1.0 - u - v, u, v], axis=1, dtype=np.float64)
    uv = np.einsum("nk,nkc->nc", weights, corners)
    colors = np.empty((len(uv), 3), np.float32)
    page_of = atlas.page[faces]
    for page, texture in enumerate(textures):
        on = np.flatnonzero(page_of == page)
        if len(on):
            height, width = texture.shape[:2]
            x = np.clip(uv[on, 0] * width - 0.5, 0, width - 1)
            y = np.clip((1.0 - uv[on, 1]) * height - 0.5, 0, height - 1)
            colors[on] = _bilinear(texture, x, y)
    return colors


def _bilinear(image: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """(n, 3) float32 values at pixel coordinates inside the image. Plain numpy: cv2.remap rounds weights to 1/32."""
    height, width = image.shape[:2]
    left, top = x.astype(np.int64), y.astype(np.int64)
    right, below = np.minimum(left + 1, width - 1), np.minimum(top + 1, height - 1)
    fx, fy = (x - left).astype(np.float32)[:, None], (y - top).astype(np.float32)[:, None]
    texels = image.reshape(-1, 3)
    top, below = top * width, below * width
    upper = texels.take(top + left, 0) * (1 - fx) + texels.take(top + right, 0) * fx
    lower = texels.take(below + left, 0) * (1 - fx) + texels.take(below + right, 0) * fx
    return upper * (1 - fy) + lower * fy
