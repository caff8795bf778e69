"""A pinhole camera: intrinsics and image size, pixel centres at whole numbers."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Camera:
    """Pinhole camera without distortion.

    Attributes:
        intrinsics: (3, 3) float64, pixels; the centre of the top-left pixel is (0, 0) (ScanNet's convention).
        width: image width, pixels.
        height: image height, pixels.

    Example:
        >>> import numpy as np
        >>> import scenetex
        >>> camera = scenetex.Camera(np.array([[500.0, 0, 319.5], [0, 500, 239.5], [0, 0, 1]]), 640, 480)
        >>> camera.resized((320, 240))
        Camera(320 x 240, fx=250, fy=250, cx=159.5, cy=119.5)
    """

    intrinsics: np.ndarray
    width: int
    height: int

    def __repr__(self) -> str:
        (fx, _, cx), (_, fy, cy) = self.intrinsics[:2].tolist()
        return f"Camera({self.width} x {self.height}, fx={fx:.6g}, fy={fy:.6g}, cx={cx:.6g}, cy={cy:.6g})"

    @property
    def size(self) -> tuple[int, int]:
        """(width, height), pixels."""
        return self.width, self.height

    def resized(self, size: tuple[int, int]) -> "Camera":
        """The same camera with an image of (width, height) pixels that shows the same field of view."""
        return Camera(resize_intrinsics(self.intrinsics, self.size, size), *size)


def small_size(size: tuple[int, int], width: int) -> tuple[int, int]:
    """(width, height) of a small picture of one of `size`, `width` pixels wide; a strip is at most four times as high
    as that, and narrower."""
    height = round(width * size[1] / size[0])
    longest = 4 * width
    return (width, max(1, height)) if height <= longest else (max(1, round(longest * size[0] / size[1])), longest)


def resize_intrinsics(intrinsics: np.ndarray, old: tuple[int, int], new: tuple[int, int]) -> np.ndarray:
    """Intrinsics (..., 3, 3) of images resized from `old` to `new` (width, height): f' = f s, c' = (c + .5) s - .5."""
    scale = np.array([new[0] / old[0], new[1] / old[1]])
    out = np.array(intrinsics, dtype=np.float64)
    out[..., :2, :2] *= scale[:, None]
    out[..., :2, 2] = (out[..., :2, 2] + 0.5) * scale - 0.5
    return out
