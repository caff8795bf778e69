"""What a model's super-resolution makes of procedural rooms that it has not seen, against bicubic and the truth."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch

from ..data.rooms import RoomStream
from ..data.sample import Sample
from ..pipelines import MVDiffusionPipeline
from ..training.image_losses import structural_similarity
from .detail_scores import measure_detail
from .overlap import overlap_scores
from .room_scores import VARIANTS, Settings, generate, to_bytes
from .score_table import Figure

# Ways to larger images: the model, the model with each view by itself, and the plain one.
WAYS = ("upscaled", "each_alone", "bicubic")
STEPS_PER_ROOM = 2
_WINDOW, _SIGMA = 11, 1.5


@dataclass(frozen=True, eq=False)
class UpscaleScore:
    """Figures of one room.

    Attributes:
        psnr, ssim: to the true large images, mean over the views, by way (see `WAYS`).
        overlap: overlap PSNR, dB, of each pair of views: "upscaled" and "truth" of the large images, "small" of the
            small ones that were made larger.
        sharpness: by way, over that of the true large images.
    """

    psnr: dict[str, float]
    ssim: dict[str, float]
    overlap: dict[str, np.ndarray]
    sharpness: dict[str, float]


def score_upscaling(
    pipe: MVDiffusionPipeline, settings: Settings, index: int, done: Callable[[], None] = lambda: None
) -> UpscaleScore:
    """Measures a pipeline's super-resolution on one room: small images are the true ones, each pixel the mean of its
    part.

    Args:
        pipe: a `MVDiffusionPipeline` that has super-resolution.
        settings: which rooms, how many views, the size of the small images.
        index: which of the rooms.
        done: called `STEPS_PER_ROOM` times.
    """
    sample, small = _room(pipe, settings, index)
    large = sample.views.size
    sets = {"bicubic": [cv2.resize(image, large, interpolation=cv2.INTER_CUBIC) for image in small.images]}
    for name, together in (("upscaled", True), ("each_alone", False)):
        sets[name] = _upscale(pipe, settings, index, sample, small, list(small.images), together)
        done()
    overlaps = overlap_scores(sample.views, [sets["upscaled"], list(sample.images)])
    sharp = measure_detail(list(sample.images)).sharpness
    return UpscaleScore(
        psnr={way: _mean(psnr, sets[way], sample.images) for way in WAYS},
        ssim={way: _mean(ssim, sets[way], sample.images) for way in WAYS},
        overlap={
            "upscaled": overlaps[0].psnr,
            "truth": overlaps[1].psnr,
            "small": overlap_scores(small.views, [list(small.images)])[0].psnr,
        },
        sharpness={way: measure_detail(sets[way]).sharpness / sharp for way in WAYS},
    )


def score_consistency(
    pipe: MVDiffusionPipeline, settings: Settings, index: int, done: Callable[[], None] = lambda: None
) -> dict[str, np.ndarray]:
    """How well images that a pipeline generates for a room agree before and after it makes them larger.

    Args:
        As for `score_upscaling`.

    Returns:
        Overlap PSNR, dB, of each pair of views: "small" and "upscaled", and of the truth of both sizes, "small_truth"
        and "truth".
    """
    sample, small = _room(pipe, settings, index)
    images = generate(pipe, small.views, small.captions, settings, settings.seed + index, **VARIANTS["generated"])
    done()
    large = _upscale(pipe, settings, index, sample, small, images, True)
    done()
    before = overlap_scores(small.views, [images, list(small.images)])
    after = overlap_scores(sample.views, [large, list(sample.images)])
    names = ("small", "small_truth", "upscaled", "truth")
    return {name: score.psnr for name, score in zip(names, (*before, *after), strict=True)}


def consistency_figures(scores: Sequence[dict[str, np.ndarray]]) -> list[Figure]:
    """The table of generated images made larger; overlap over all pairs."""
    mean = {name: float(np.concatenate([s[name] for s in scores]).mean()) for name in scores[0]}
    small, large = mean["small"] / mean["small_truth"], mean["upscaled"] / mean["truth"]
    return [
        Figure("overlap_small", "overlap PSNR, generated", mean["small"], "dB"),
        Figure("overlap", "overlap PSNR, made larger", mean["upscaled"], "dB"),
        Figure("small_ratio", "generated / truth", small),
        Figure("overlap_ratio", "made larger / the large truth", large),
        Figure("gain_ratio", "gain of that ratio", large - small, "", 0.0),
    ]


def _room(pipe: MVDiffusionPipeline, settings: Settings, index: int) -> tuple[Sample, Sample]:
    """A room's true large images, and small ones, each pixel the mean of its part."""
    factor = pipe.upscale_factor()
    large = tuple(side * factor for side in settings.size)
    sample = RoomStream(settings.seed, settings.views, large).sample(index)
    return sample, sample.shrunk(factor)


def _upscale(
    pipe: MVDiffusionPipeline,
    settings: Settings,
    index: int,
    sample: Sample,
    small: Sample,
    images: list[np.ndarray],
    together: bool,
) -> list[np.ndarray]:
    """Large images (h, w, 3) uint8 of a large sample's views, from `images` of the small one's; `together` = views see
    each other."""
    options = {} if settings.steps is None else {"num_inference_steps": settings.steps}
    if settings.guidance_scale is not None:
        options["guidance_scale"] = settings.guidance_scale
    made = pipe.upscale(
        small.captions,
        small.views,
        images,
        generator=torch.Generator().manual_seed(settings.seed + index),
        correspondence=together,
        fusion=together,
        detail=settings.detail,
        large_views=sample.views,
        **options,
    )
    return to_bytes(made.images)


def psnr(image: np.ndarray, truth: np.ndarray) -> float:
    """Peak signal to noise ratio, dB, of two images 0..255."""
    error = np.square(np.asarray(image, np.float64) - truth).mean()
    return float(10 * np.log10(255**2 / error)) if error else float("inf")


def ssim(image: np.ndarray, truth: np.ndarray) -> float:
    """Structural similarity (Wang et al. 2004) of two images (h, w, c) 0..255: Gaussian windows of 11 pixels,
    sigma 1.5; mean over the windows that lie in the image and over the channels."""
    inner = (slice(_WINDOW // 2, -(_WINDOW // 2)),) * 2

    def window_mean(values: np.ndarray) -> np.ndarray:
        return cv2.GaussianBlur(values, (_WINDOW, _WINDOW), _SIGMA)[inner]

    images = (np.asarray(x, np.float64) for x in (image, truth))
    return float(structural_similarity(*images, window_mean, 0.0, 255.0))


def upscale_figures(scores: Sequence[UpscaleScore]) -> list[Figure]:
    """The table of a model's super-resolution: means over the rooms, overlap over all pairs."""
    p = {way: float(np.mean([s.psnr[way] for s in scores])) for way in WAYS}
    q = {way: float(np.mean([s.ssim[way] for s in scores])) for way in WAYS}
    names = ("upscaled", "truth", "small")
    sharp = {way: float(np.mean([s.sharpness[way] for s in scores])) for way in WAYS}
    overlap = {name: float(np.concatenate([s.overlap[name] for s in scores]).mean()) for name in names}
    return [
        Figure("psnr", "PSNR to the true large images", p["upscaled"], "dB"),
        Figure("psnr_bicubic", "PSNR, bicubic", p["bicubic"], "dB"),
        Figure("gain_psnr", "gain over bicubic", p["upscaled"] - p["bicubic"], "dB", 1.0),
        Figure("ssim", "SSIM to the true large images", q["upscaled"]),
        Figure("ssim_bicubic", "SSIM, bicubic", q["bicubic"]),
        Figure("gain_ssim", "gain over bicubic", q["upscaled"] - q["bicubic"], "", 0.03),
        Figure("gain_views", "gain of looking at other views", p["upscaled"] - p["each_alone"], "dB", 0.0),
        Figure("overlap", "overlap PSNR, upscaled", overlap["upscaled"], "dB"),
        Figure("overlap_small", "overlap PSNR, small images", overlap["small"], "dB"),
        Figure("overlap_ratio", "overlap PSNR / the large truth's", overlap["upscaled"] / overlap["truth"]),
        Figure("sharpness_ratio", "sharpness / truth's", sharp["upscaled"]),
        Figure("sharpness_bicubic", "sharpness / truth's, bicubic", sharp["bicubic"]),
    ]


def _mean(measure: Callable[[np.ndarray, np.ndarray], float], images, truth) -> float:
    return float(np.mean([measure(a, b) for a, b in zip(images, truth, strict=True)]))
