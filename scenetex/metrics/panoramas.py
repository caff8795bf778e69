"""What a model makes of panoramas in procedural rooms that it has not seen: whether neighbours agree, and the seam."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ..data.rooms import RingStream
from ..data.sample import Sample
from ..panorama import VIEWS, pole_views, stitch
from ..pipelines import MVDiffusionPanoramaPipeline
from ..scene.camera import Camera
from ..synthetic import Room, render_room
from ..views.viewset import ViewSet
from .detail_scores import measure_detail
from .overlap import overlap_scores
from .room_scores import VARIANTS, Settings, call_pipe, to_bytes
from .score_table import Figure

NEIGHBOURS = [(i, (i + 1) % VIEWS) for i in range(VIEWS)]
STEPS_PER_PANORAMA = len(VARIANTS)


@dataclass(frozen=True, eq=False)
class PanoramaScore:
    """Figures of one panorama.

    Attributes:
        psnr: overlap PSNR, dB, of the eight pairs of neighbours, by image set: those of `VARIANTS`, and "truth".
        seam: mean difference of the columns left and right of +-180 degrees, over the greatest of any other two
            columns side by side.
        sharpness: of the images, over that of the truth.
        poles: the same of the panorama above and below what the images show; NaN for models that paint nothing there.
    """

    psnr: dict[str, np.ndarray]
    seam: float
    sharpness: float
    poles: float = float("nan")


def score_panorama(
    pipe: MVDiffusionPanoramaPipeline, settings: Settings, index: int, done: Callable[[], None] = lambda: None
) -> PanoramaScore:
    """Measures a pipeline on one room, looked at all around from one point.

    Args:
        pipe: a `MVDiffusionPanoramaPipeline`; if it takes depth, it gets the room's.
        settings: which rooms, and how to generate; the size's width is that of the square views.
        index: which of the rooms.
        done: called `STEPS_PER_PANORAMA` times.
    """
    side = settings.size[0]
    room, sample = RingStream(settings.seed, size=(side, side)).room_and_sample(index)
    seen = {"views": sample.views} if pipe.takes_depth else {"size": side}
    around = pole_views(room.mesh, sample.views) if pipe.takes_depth else None
    made = {}
    for name, switches in VARIANTS.items():
        poles = around if name == "generated" else None
        options = {**seen, **switches, "poles": poles}
        made[name] = call_pipe(pipe, settings, settings.seed + index, sample.captions, **options)
        done()
    panorama = made["generated"].panorama
    sets = {name: to_bytes(found.images) for name, found in made.items()}
    sets["truth"] = list(sample.images)
    scores = overlap_scores(sample.views, list(sets.values()), NEIGHBOURS)
    mine, truth = (measure_detail(sets[name]).sharpness for name in ("generated", "truth"))
    return PanoramaScore(
        psnr={name: found.psnr for name, found in zip(sets, scores, strict=True)},
        seam=seam(panorama),
        sharpness=mine / truth,
        poles=float("nan") if around is None else _pole_sharpness(panorama, room, sample, around),
    )


def _pole_sharpness(panorama: np.ndarray, room: Room, sample: Sample, around: ViewSet) -> float:
    """Sharpness of a panorama beyond 45 degrees above and below, over the truth's."""
    side = sample.images.shape[1]
    color, _, _ = render_room(room, Camera(around.intrinsics[0], side, side), around.cam_to_world)
    mask = np.ones(panorama.shape[:2], bool)
    mask[len(mask) // 4 : -len(mask) // 4] = False
    both = [np.round(image * 255) for image in (panorama, stitch(sample.images, poles=color))]
    mine, truth = (measure_detail([image], [mask]).sharpness for image in both)
    return mine / truth


def seam(panorama: np.ndarray) -> float:
    """Mean absolute difference of the first and last columns of a panorama (h, w, 3), over the greatest of any other
    two columns side by side; at most 1 where no seam shows."""
    apart = np.abs(panorama - np.roll(panorama, 1, 1)).mean((0, 2))
    return float(apart[0] / apart[1:].max())


def panorama_figures(scores: Sequence[PanoramaScore]) -> list[Figure]:
    """The table of a model's panoramas; PSNR is the mean over all pairs of neighbours."""
    psnr = {name: float(np.concatenate([s.psnr[name] for s in scores]).mean()) for name in (*VARIANTS, "truth")}
    return [
        Figure("psnr_generated", "overlap PSNR of neighbours, generated", psnr["generated"], "dB"),
        Figure("psnr_truth", "overlap PSNR, truth", psnr["truth"], "dB"),
        Figure("psnr_nothing", "overlap PSNR, blocks, noise and fusion off", psnr["nothing"], "dB"),
        Figure("psnr_no_blocks", "overlap PSNR, blocks off", psnr["no_blocks"], "dB"),
        Figure("psnr_blocks_only", "overlap PSNR, noise and fusion off", psnr["blocks_only"], "dB"),
        Figure("ratio_nothing", "generated / all off", psnr["generated"] / psnr["nothing"], "", 1.7),
        Figure("ratio_no_blocks", "generated / blocks off", psnr["generated"] / psnr["no_blocks"]),
        Figure("ratio_blocks", "blocks alone / all off", psnr["blocks_only"] / psnr["nothing"]),
        Figure("seam", "worst seam at 180 degrees, over other columns", max(s.seam for s in scores)),
        Figure("seamless", "panoramas without a seam", float(np.mean([s.seam <= 1 for s in scores])), "", 1.0),
        Figure("sharpness_ratio", "sharpness / truth's", float(np.mean([s.sharpness for s in scores])), "", 0.85),
        Figure("pole_ratio", "sharpness above and below / truth's", float(np.mean([s.poles for s in scores]))),
    ]
