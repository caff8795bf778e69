"""What the small images of other views tell of a view's finer detail: they look from nearer, or between its pixels."""

import numpy as np
import torch

from ..models.detail_decoder import bicubic
from ..views.viewset import ViewSet
from .shown import shown_by_others

_POWER = 4


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
    total, weight, told = shown_by_others(images, i, views, factor, _POWER)
    own = bicubic(torch.from_numpy(images[i]).permute(2, 0, 1)[None], factor)[0]
    mean, there = (torch.from_numpy(x) for x in (total / np.where(weight > 0, weight, 1)[..., None], weight > 0))
    return (mean.permute(2, 0, 1) - own) * there, torch.from_numpy(told / (1 + told))
