"""Multi-view consistency: PSNR where two views show the same surface (MVDiffusion, arXiv 2307.01097, section 5)."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from ..errors import InputError
from ..process.threads import threads
from ..views.reprojection import correspond, lattice_step, taps
from ..views.viewset import ViewSet

LEAST_OVERLAP = 0.1


@dataclass(frozen=True, eq=False)
class OverlapScore:
    """How well images agree where they overlap.

    Attributes:
        pairs: (p, 2) int64 views, i < j, that overlap.
        psnr: (p,) float64 dB of each pair; infinite where the images agree exactly.
    """

    pairs: np.ndarray
    psnr: np.ndarray

    @property
    def mean(self) -> float:
        """Mean over the pairs, dB; NaN where no views overlap."""
        return float(self.psnr.mean()) if len(self.psnr) else float("nan")


def overlap_psnr(
    views: ViewSet,
    images: Sequence[np.ndarray],
    pairs: Sequence[tuple[int, int]] | None = None,
    least: float = LEAST_OVERLAP,
    done: Callable[[], None] = lambda: None,
) -> OverlapScore:
    """PSNR over the overlap of each pair of views, one image warped into the other along true depth.

    A pair is two different views, counted once. It counts if in both directions at least the part `least` of the
    pixels with surface (on a regular lattice of them) is seen by the other view. Its error is the mean squared
    difference over both directions' valid pixels and all channels, at full size; the peak is 255. The score is the
    mean of the pairs' PSNR.

    A pixel is valid where its surface point falls among pixel centres of the other view that all have depth, and that
    view's inverse depth, interpolated there (exact on planes at any slant), agrees with the point's to 1 %: occluded
    points and those that would be mixed of two surfaces are left out.

    Args:
        views: m views with depth of the true surface.
        images: m images (h, w, 3) of the views' size, uint8 or float 0..255.
        pairs: pairs to look at; default all.
        least: least overlap.
        done: called after each pair that was looked at.

    Raises:
        InputError: images that do not match the views.

    Example:
        >>> import scenetex
        >>> scene = scenetex.load_scene("scenes/sample_room")
        >>> views = scenetex.render_views(scene, [0, 12])
        >>> score = scenetex.overlap_psnr(views, [scene.frame(i).read_color() for i in views.frame_ids])
        >>> score.pairs.tolist(), score.mean > 25
        ([[0, 1]], True)
    """
    return overlap_scores(views, [images], pairs, least, done)[0]


def overlap_scores(
    views: ViewSet,
    image_sets: Sequence[Sequence[np.ndarray]],
    pairs: Sequence[tuple[int, int]] | None = None,
    least: float = LEAST_OVERLAP,
    done: Callable[[], None] = lambda: None,
) -> list[OverlapScore]:
    """`overlap_psnr` of several sets of images of the same views; where they overlap is found once for all."""
    for images in image_sets:
        _check(views, images)
    wanted = list(combinations(range(len(views)), 2) if pairs is None else [tuple(sorted(pair)) for pair in pairs])

    def one(pair: tuple[int, int]) -> list[float] | None:
        errors = _pair_errors(views, image_sets, *pair, least)
        done()
        return errors

    # A pair at a time and thread: memory does not grow with the number of pairs.
    with ThreadPoolExecutor(threads()) as pool:
        found = list(pool.map(one, wanted))
    kept = np.array([pair for pair, e in zip(wanted, found, strict=True) if e is not None], np.int64).reshape(-1, 2)
    errors = np.array([e for e in found if e is not None], np.float64).reshape(-1, len(image_sets))
    with np.errstate(divide="ignore"):
        psnr = 10 * np.log10(255.0**2 / errors)
    return [OverlapScore(kept, psnr[:, k]) for k in range(len(image_sets))]


def _pair_errors(
    views: ViewSet, image_sets: Sequence[Sequence[np.ndarray]], i: int, j: int, least: float
) -> list[float] | None:
    """Mean squared error of each image set over both directions; None for a pair that overlaps too little."""
    step = lattice_step(views)
    for a, b in ((i, j), (j, i)):
        seen, _, surface = correspond(views, a, b, step)
        if not len(seen) or len(seen) < least * surface:
            return None
    total, count = np.zeros(len(image_sets)), 0
    for a, b in ((i, j), (j, i)):
        pixel, place, _ = correspond(views, a, b)
        count += len(pixel)
        shares = [(tap, share.astype(np.float32)[:, None]) for tap, share in taps(place, views.size[::-1])]
        for k, images in enumerate(image_sets):
            there = np.asarray(images[b]).reshape(-1, 3)
            difference = np.asarray(images[a]).reshape(-1, 3)[pixel].astype(np.float32)
            for tap, share in shares:
                difference -= share * there[tap]
            total[k] += np.square(difference).sum(dtype=np.float64)
    return (total / (3 * count)).tolist()


def _check(views: ViewSet, images: Sequence[np.ndarray]) -> None:
    if len(images) != len(views):
        raise InputError(f"overlap: {len(images)} images for {len(views)} views; pass one image per view")
    shape = (views.size[1], views.size[0], 3)
    for frame, image in zip(views.frame_ids, images, strict=True):
        if np.shape(image) != shape:
            raise InputError(
                f"overlap: the image of frame {frame} is {np.shape(image)}, its view {shape}; "
                "render the views at the images' size"
            )
