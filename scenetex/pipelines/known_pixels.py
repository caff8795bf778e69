"""Views of which some pixels are there already: what is kept, what is painted, and the seam between."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from ..errors import InputError

_SMALLEST = 4  # pixels of a side, down to which a picture is halved to fill it
_REACH = 12  # pixels on the unknown side that come to meet the known ones
_FADE = 4.0  # in which that falls to a third
_SMOOTH = 1.5  # pixels, of the differences at the border
_FOLD = 0.04  # of depth, between neighbours of one surface


@dataclass(frozen=True, eq=False)
class Known:
    """The pixels of a view that are there already.

    Attributes:
        image: (h, w, 3) float32 0..1; anything where they are not.
        mask: (h, w) bool, which they are.
    """

    image: np.ndarray
    mask: np.ndarray

    def filled(self) -> np.ndarray:
        """(h, w, 3) float32: the image, and where it is not known a smooth continuation, in which nothing of its old
        colours is left. Autoencoders see beyond the cells that they encode."""
        return fill(self.image, self.mask)

    def cells(self, factor: int) -> np.ndarray:
        """(h / factor, w / factor) bool: latent cells all of whose pixels are known."""
        h, w = self.mask.shape
        return self.mask.reshape(h // factor, factor, w // factor, factor).all((1, 3))

    def pasted(self, made: np.ndarray, depth: np.ndarray | None = None, text: np.ndarray | None = None) -> np.ndarray:
        """An image with the known pixels in their place, to the bit, to which those around them come.

        At the border the known pixels differ from what was made in their place; that difference goes on into the
        unknown side and fades out there, along the same surface.

        Args:
            made: (h, w, 3) float32 0..1.
            depth: (h, w) float32, camera z, 0 = nothing; None = not known, then surfaces are not told apart.
            text: (h, w) which prompt acts on each pixel; what others act on is not met. None = one acts on all.

        Returns:
            (h, w, 3) float32.
        """
        if self.mask.all() or not self.mask.any():
            return self.image.copy() if self.mask.all() else made
        away, nearest = _nearest_known(self.mask)
        inside = self.mask.astype(np.float32)
        change = np.where(self.mask[..., None], self.image - made, 0).astype(np.float32)
        weight = cv2.GaussianBlur(inside, (0, 0), _SMOOTH)
        smooth = cv2.GaussianBlur(change, (0, 0), _SMOOTH) / np.maximum(weight, 1e-6)[..., None]
        row, column = np.divmod(nearest, self.mask.shape[1])
        share = np.exp(-away / _FADE) * (away <= _REACH)
        if depth is not None:
            theirs = depth[row, column]
            share *= np.abs(depth - theirs) <= _FOLD * np.maximum(depth, theirs) * np.maximum(1, away / 3)
        if text is not None:
            share *= text == text[row, column]
        met = np.clip(made + share[..., None] * smooth[row, column], 0, 1)
        return np.where(self.mask[..., None], self.image, met).astype(np.float32)


def partly_known(
    images: Sequence[np.ndarray | None], known: Sequence[np.ndarray | None] | np.ndarray
) -> dict[int, Known]:
    """The views of which some pixels are there, by number; those that are there in full are no part of it.

    Args:
        images: m entries, (h, w, 3) float32 0..1, or None.
        known: m masks (h, w) bool, or None for all of an image.

    Raises:
        InputError: not as many masks, a mask of another size, or one without an image.
    """
    if len(known) != len(images):
        raise InputError(f"{len(known)} masks for {len(images)} views; pass one per view, None for all of an image")
    found = {}
    for i, (image, mask) in enumerate(zip(images, known, strict=True)):
        if mask is None:
            continue
        mask = np.asarray(mask)
        if image is None:
            if mask.any():
                raise InputError(f"known: view {i} has a mask, but no image; pass its image, or None")
            continue
        if mask.shape != image.shape[:2] or mask.dtype.kind not in "bui":
            size = " x ".join(map(str, mask.shape))
            raise InputError(
                f"known: the mask of view {i} is {size} of {mask.dtype}, but its image is {image.shape[0]} x "
                f"{image.shape[1]}; pass a bool per pixel"
            )
        if not mask.all():
            found[i] = Known(image, mask.astype(bool))
    return found


def fill(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """A smooth continuation of the pixels in `mask` (h, w) over an image (h, w, c) float32, by halving it until all is
    known (pull-push: Gortler et al. 1996, "The Lumigraph", section 3.4). Grey where nothing is known at all."""
    if mask.all():
        return image.astype(np.float32)
    if not mask.any():
        return np.full(image.shape, 0.5, np.float32)
    known = mask.astype(np.float32)
    levels = [(image * known[..., None], known)]
    while min(levels[-1][1].shape) > _SMALLEST:
        color, weight = levels[-1]
        half = tuple(max(1, (side + 1) // 2) for side in weight.shape[::-1])
        levels.append(tuple(cv2.resize(x, half, interpolation=cv2.INTER_AREA) for x in (color, weight)))
    color, weight = levels[-1]
    out = (
        np.where(weight[..., None] > 0, color, (color.sum((0, 1)) / weight.sum()))
        / np.where(weight > 0, weight, 1)[..., None]
    )
    for color, weight in reversed(levels[:-1]):
        out = cv2.resize(out, weight.shape[::-1], interpolation=cv2.INTER_LINEAR)
        share = np.minimum(weight, 1)[..., None]
        out = color / np.maximum(weight, 1e-6)[..., None] * share + out * (1 - share)
    return np.where(mask[..., None], image, out).astype(np.float32)


def _nearest_known(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(h, w) float32 pixels to the nearest known one, and (h, w) its number, row * w + column."""
    away, label = cv2.distanceTransformWithLabels(
        (~mask).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    number = np.zeros(int(label.max()) + 1, np.int64)
    number[label[mask]] = np.flatnonzero(mask)
    return away, number[label]
