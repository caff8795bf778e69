"""What training sees of one scene: views with their true pictures and sentences about them."""

from dataclasses import dataclass

import numpy as np

from ..views.viewset import ViewSet


@dataclass(frozen=True, eq=False)
class Sample:
    """m views of one scene.

    Attributes:
        views: cameras, depth and normals, in trajectory order.
        images: (m, h, w, 3) uint8 sRGB, what the views really look like.
        prompts: for each view, sentences that describe it; training draws one of them each time.
    """

    views: ViewSet
    images: np.ndarray
    prompts: tuple[tuple[str, ...], ...]

    def __len__(self) -> int:
        return len(self.images)
