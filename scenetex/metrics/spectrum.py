"""How much detail of each size images hold, and whether cells of the autoencoder show in it."""

from collections.abc import Sequence

import cv2
import numpy as np

from .detail_scores import luma

OCTAVES = 5


def octave_energy(images: Sequence[np.ndarray]) -> np.ndarray:
    """Mean energy of the luma in each octave, finest first.

    An octave is what halving an image loses: the image less the half of it (mean of 2 x 2 pixels) drawn at its size
    again (bilinear). The first holds wavelengths of about 2 to 4 pixels, the next 4 to 8, and so on (a Laplacian
    pyramid, Burt and Adelson 1983).

    Args:
        images: m images (h, w, 3), uint8 or float 0..255, of at least 32 pixels a side.

    Returns:
        (5,) float64, squared grey levels.
    """
    total = np.zeros(OCTAVES)
    for image in images:
        fine = luma(image)
        for k in range(OCTAVES):
            fine = fine[: fine.shape[0] // 2 * 2, : fine.shape[1] // 2 * 2]
            coarse = cv2.resize(fine, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
            again = cv2.resize(coarse, fine.shape[::-1], interpolation=cv2.INTER_LINEAR)
            total[k] += np.square(fine - again, dtype=np.float64).mean()
            fine = coarse
    return total / len(images)


def blockiness(images: Sequence[np.ndarray], cell: int = 8) -> float:
    """How much more the luma changes at one place in the cells of an autoencoder than on average; 1 = nowhere.

    The mean size of the differences between neighbouring pixels, along rows and along columns, is taken for each place
    in a cell by itself: steps at the cells' borders stand out, and so does a plaid of their period.

    Args:
        images: m images (h, w, 3) of one size, uint8 or float 0..255; compare with reference images of the same views.
        cell: pixels.
    """
    grays = np.stack([luma(image) for image in images])
    found = []
    for axis in (1, 2):
        steps = np.abs(np.diff(grays, axis=axis)).mean((0, 3 - axis), dtype=np.float64)
        whole = steps[: len(steps) // cell * cell].reshape(-1, cell).mean(0)
        found.append(whole.max() / whole.mean() if whole.any() else np.nan)
    return float(np.mean(found))
