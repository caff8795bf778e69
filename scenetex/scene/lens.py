"""Images that a lens has bent, as a pinhole camera would have taken them: OpenCV's two models of distortion."""

from functools import lru_cache

import cv2
import numpy as np

from ..errors import InputError

_LONGEST_SIDE = 32766  # pixels; OpenCV counts those it resamples in 16 bits


def undistort(
    image: np.ndarray,
    intrinsics: np.ndarray,
    distortion: tuple[float, ...],
    depth: bool,
    label: str = "image",
    fisheye: bool = False,
) -> np.ndarray:
    """The image a pinhole camera of the same `intrinsics` (3, 3) would have taken.

    `distortion` is OpenCV's (k1, k2, p1, p2, ...), or, of a fisheye, its (k1, k2, k3, k4). Of a fisheye's image the
    middle keeps its scale, and what a pinhole would stretch beyond the image is left out.

    Photos are resampled linearly and carry their border's colour outwards where the lens did not see, so that no black
    rim gets painted on a surface; depth is taken from the nearest pixel and is 0 there. Raises `InputError` for an
    image that is larger than OpenCV resamples.
    """
    height, width = image.shape[:2]
    if max(height, width) > _LONGEST_SIDE:
        raise InputError(f"{label}: more than {_LONGEST_SIDE} pixels a side cannot be undistorted; make it smaller")
    u, v = _undistortion_map(intrinsics.tobytes(), tuple(distortion), fisheye, width, height)
    if depth:
        return cv2.remap(image, u, v, cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT, borderValue=0)
    return cv2.remap(image, u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


@lru_cache(maxsize=4)
def _undistortion_map(intrinsics: bytes, distortion: tuple[float, ...], fisheye: bool, width: int, height: int):
    matrix = np.frombuffer(intrinsics, np.float64).reshape(3, 3)
    mapped = cv2.fisheye.initUndistortRectifyMap if fisheye else cv2.initUndistortRectifyMap
    return mapped(matrix, np.array(distortion), np.eye(3), matrix, (width, height), cv2.CV_32FC1)
