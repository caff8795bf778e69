"""What training sees of one scene: views with their true pictures and sentences about them; and where it comes from."""

from dataclasses import dataclass, replace
from typing import Protocol

import cv2
import numpy as np

from ..scene.camera import resize_intrinsics
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

    @property
    def captions(self) -> list[str]:
        """The first sentence of each view, where one has to do."""
        return [sentences[0] for sentences in self.prompts]

    def shrunk(self, factor: int) -> "Sample":
        """The same at a size `factor` times smaller, which divides both sides: each pixel is the mean of its part."""
        width, height = (side // factor for side in self.views.size)
        intrinsics = resize_intrinsics(self.views.intrinsics, self.views.size, (width, height))
        # Depth is that of one of the middle pixels: a mean would lie between the surfaces at an edge.
        middle = slice(factor // 2, None, factor)
        views = replace(
            self.views,
            intrinsics=intrinsics,
            depth=np.ascontiguousarray(self.views.depth[:, middle, middle]),
            face_id=np.ascontiguousarray(self.views.face_id[:, middle, middle]),
        )
        images = [cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA) for image in self.images]
        return Sample(views, np.stack(images), self.prompts)


class Source(Protocol):
    """Where samples come from: `RoomStream`, `RingStream`, `ScanFolder`, or a `CachedSource` of one of them. Its repr
    tells one source from another.

    Attributes:
        size: (width, height) of the views, pixels.
    """

    size: tuple[int, int]

    def sample(self, index: int) -> Sample:
        """Sample number `index`, the same whoever asks for it."""

    def words(self) -> set[str]:
        """All words that its prompts can hold."""
