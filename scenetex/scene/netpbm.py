"""Netpbm photos (PGM, PPM) whose brightest value is another than 255 or 65535, which OpenCV takes for dark."""

import re

import numpy as np

_HEAD = re.compile(rb"P([2356])(?:(?:\s|#[^\r\n]*[\r\n])+(\d{1,9})){3}")  # width, height, brightest value


def brightest_value(data: bytes) -> int | None:
    """What is white in a PGM or PPM, where OpenCV's pixels have to be scaled by it; None for all other images."""
    head = _HEAD.match(data)
    if head is None:
        return None
    kind, brightest = int(head[1]), int(head[2])
    scaled_by_opencv = kind in (2, 3) and brightest < 256
    return None if scaled_by_opencv or not 0 < brightest < 65535 or brightest == 255 else brightest


def scaled(image: np.ndarray, brightest: int) -> np.ndarray:
    """Pixels of any shape from 0 to `brightest` as uint8 from 0 to 255."""
    values = np.rint(np.arange(brightest + 1) * (255 / brightest)).astype(np.uint8)
    return values[np.minimum(image, brightest)]
