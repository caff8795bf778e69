"""What happens to images when they are there: what was known is put in its place, and pixels of views agree."""

import numpy as np
import torch

from .cross_view import carry_over
from .task import Task


def finished(images: torch.Tensor, task: Task, together: bool) -> torch.Tensor:
    """Images (m, 3, H, W), -1..1, of a task's views, anchors as they are.

    Args:
        images: as they were decoded; anything where anchors are.
        together: what a view shows, those after it that see it about as finely show alike.
    """
    images = images.clone()
    for i, anchor in enumerate(task.anchors):
        if anchor is not None:
            images[i] = torch.from_numpy(anchor).permute(2, 0, 1) * 2 - 1
    images, surface = _with_known(images, task), task.views.surface
    if not together or surface is None:
        return images
    is_anchor = np.array([anchor is not None for anchor in task.anchors])
    carried = carry_over(images.permute(0, 2, 3, 1).cpu().numpy(), is_anchor, surface)
    return _with_known(torch.from_numpy(carried).permute(0, 3, 1, 2).to(images), task)


def _with_known(images: torch.Tensor, task: Task) -> torch.Tensor:
    """Images (m, 3, H, W) -1..1 with the pixels that were known in their place."""
    depth = None if task.views.surface is None else task.views.surface.depth
    text = None if task.regions is None else task.regions.text_of_pixel
    for i, known in task.partly.items():
        made = images[i].permute(1, 2, 0).cpu().numpy() / 2 + 0.5
        pasted = known.pasted(made, None if depth is None else depth[i], None if text is None else text[i])
        images[i] = torch.from_numpy(pasted).permute(2, 0, 1).to(images) * 2 - 1
    return images
