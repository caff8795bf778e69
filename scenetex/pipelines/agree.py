"""Large images that agree: what several views show of one surface, each of them shows alike."""

import numpy as np

from ..views.viewset import ViewSet
from .shown import shown_by_others, unbroken

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
    trusted = np.stack([unbroken(depth) for depth in views.depth])
    for i, own in enumerate(images):
        total, weight, _ = shown_by_others(images, i, views, factor, _POWER, trusted)
        out.append((own + total) / (1 + weight[..., None]))
    return np.stack(out)
