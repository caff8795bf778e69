"""Large images that agree: what several views show of one surface, each of them shows alike."""

import numpy as np

from ..views.viewset import ViewSet
from .shown import showing_most, shown_larger

_OTHERS = 4
# How much a nearer view outweighs the others: more keeps more detail, less brings views closer together.
_POWER = 2


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
    for i, own in enumerate(images):
        total, weight = own.copy(), np.ones(own.shape[:2], np.float32)
        for k in showing_most(views, i, np.delete(np.arange(len(images)), i), _OTHERS):
            pixels, share, _ = shown_larger(images, views, i, k, factor, _POWER, ends=False)
            total += share[..., None] * pixels
            weight += share
        out.append(total / weight[..., None])
    return np.stack(out)
