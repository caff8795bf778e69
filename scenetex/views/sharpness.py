"""How sharp a frame's photo is, to be compared with photos of much the same view."""

from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np

from ..process.threads import threads
from ..scene.frame import Frame
from .masking import clear_of_rim, resize_mask

_WIDTH = 320  # pixels: motion blur that is gone at this width does not matter to a texture either
_DARK = 100.0  # keeps sensor noise in black photos from counting as detail


def measure_sharpness(frame: Frame) -> float:
    """Variance of the photo's Laplacian over its squared mean, so that exposure does not count. Larger is sharper.

    What its mask hides does not count; 0 for a photo of which it leaves nothing.

    Raises:
        InputError: the photo is absent or cannot be read.
    """
    shrink = max(s for s in (1, 2, 4, 8) if s == 1 or frame.camera.width >= s * _WIDTH)
    gray = frame.read_gray(shrink).astype(np.float32)
    detail = cv2.Laplacian(gray, cv2.CV_32F)
    mask = frame.read_mask(straight=False)
    if mask is not None:
        kept = resize_mask(clear_of_rim(mask), gray.shape[::-1])
        gray, detail = gray[kept], detail[kept]
    return float(detail.var() / (gray.mean() ** 2 + _DARK)) if gray.size else 0.0


class Sharpness:
    """Sharpness of a trajectory's photos by their position in it, kept once measured; 1 for frames without a photo."""

    def __init__(self, frames: tuple[Frame, ...]):
        self._frames = frames
        self._kept: dict[int, float] = {}

    def at(self, indices: list[int]) -> np.ndarray:
        """Sharpness of the frames at those positions: (n,) float64."""
        missing = [i for i in indices if i not in self._kept]
        if missing:
            with ThreadPoolExecutor(threads()) as pool:
                self._kept.update(zip(missing, pool.map(self._measure, missing), strict=True))
        return np.array([self._kept[i] for i in indices])

    def relative(self, index: int, reach: int = 2) -> float:
        """The frame's sharpness over the middle one of its temporal neighbours', at most 1."""
        near = list(range(max(0, index - reach), min(len(self._frames), index + reach + 1)))
        values = self.at(near)
        return float(min(1.0, values[near.index(index)] / max(np.median(values), 1e-12)))

    def _measure(self, index: int) -> float:
        frame = self._frames[index]
        return measure_sharpness(frame) if frame.color else 1.0
