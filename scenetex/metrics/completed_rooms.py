"""Completion on truth: photos of a part of a trajectory are baked, the rest is completed and met with what is there."""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ..data.rooms import RoomStream
from ..errors import InputError
from ..pipelines import MVDiffusionPipeline
from ..sampling import Sampling
from ..scene.camera import Camera
from ..scene.frame import Frame
from ..scene.scene import Scene
from ..synthetic import Room
from ..texture.bake import bake
from ..texture.texels import rasterize
from ..texture.textured_mesh import TexturedMesh
from ..texture.unwrap import unwrap
from ..views.viewset import ViewSet
from .completion_scores import FillScore, pooled, score_fill
from .room_scores import Settings
from .score_table import Figure

STEPS_PER_ROOM = 3
PHOTO_SIZE = (512, 384)  # pixels: twice as fine as the texels of such a room

Complete = Callable[..., Any]  # `scenetex.complete`
Truth = Callable[[TexturedMesh], tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class CompletionSettings(Settings):
    """What to measure completion on.

    Attributes:
        views: photos along the walk through each room, of which the first half is given.
        texture_size: texels, side of the page.
        extra_views: most views that completion may add.
    """

    rooms: int = 10
    views: int = 24
    texture_size: int = 1024
    extra_views: int = 40


@dataclass(frozen=True, eq=False)
class Case:
    """What is given of a scene, and the truth of the rest.

    Attributes:
        name: of the scene.
        scene: its mesh, the faces turned the right way, and its frames.
        views: of the photos that are given.
        photos: (h, w, 3) uint8, one for each.
        truth: gives for a textured mesh the true colours (n, 3) 0..255 of its texels, in the order of `rasterize`, and
            (n,) bool, of which they are known.
    """

    name: str
    scene: Scene
    views: ViewSet
    photos: list[np.ndarray]
    truth: Truth


@dataclass(frozen=True)
class CompletionScore:
    """Figures of one scene.

    Attributes:
        name: of the scene.
        completed, fill, true: scores of the same texels as completed, as filled by diffusion, and of the truth itself.
        reached, photographed: part of the reachable surface painted after completion, 0..1, and part of the texels
            before.
        views: that completion added.
        seconds: that it took.
    """

    name: str
    completed: FillScore
    fill: FillScore
    true: FillScore
    reached: float
    photographed: float
    views: int
    seconds: float


def score_room_completion(
    complete: Complete,
    pipe: MVDiffusionPipeline,
    settings: CompletionSettings,
    index: int,
    done: Callable[[], None] = lambda: None,
) -> CompletionScore:
    """Measures `scenetex.complete` with a pipeline on room number `index`; `done` is called `STEPS_PER_ROOM` times."""
    return score_completion(complete, pipe, settings, room_case(settings, index), settings.seed + index, done)


def score_completion(
    complete: Complete,
    pipe: MVDiffusionPipeline,
    settings: CompletionSettings,
    case: Case,
    seed: int,
    done: Callable[[], None] = lambda: None,
) -> CompletionScore:
    """Measures `scenetex.complete` with a pipeline on one case.

    Raises:
        InputError: completion added no texel of which the truth is known.
    """
    mesh = case.scene.mesh
    before = bake(mesh, unwrap(mesh, settings.texture_size), case.views, case.photos)
    done()
    sampling = Sampling(seed=seed, steps=settings.steps, guidance_scale=settings.guidance_scale)
    start = time.perf_counter()
    found = complete(case.scene, before, pipe, "", sampling, settings.size, settings.extra_views)
    seconds = time.perf_counter() - start
    done()
    texels = rasterize(before.atlas)
    photographed, seen = (np.stack(x.coverage).reshape(-1)[texels.pixel] for x in (before, found.mesh))
    truth, told = case.truth(before)
    painted = seen & ~photographed & told
    if not painted.any():
        raise InputError(f"{case.name}: completion adds nothing to what its photos show; there is nothing to measure")
    pages = np.stack(before.textures)
    pages.reshape(-1, 3)[texels.pixel[told]] = np.rint(np.clip(truth[told], 0, 255))
    true = TexturedMesh(mesh, before.atlas, tuple(pages), before.coverage)
    scores = [score_fill(x, painted, photographed & told, truth) for x in (found.mesh, before, true)]
    done()
    return CompletionScore(
        case.name, *scores, found.reachable, float(photographed.mean()), len(found.views), float(seconds)
    )


def room_case(settings: CompletionSettings, index: int) -> Case:
    """Room number `index`, seen along a walk of which the first half is given; its mesh is exact."""
    room, sample = RoomStream(settings.seed, settings.views, PHOTO_SIZE).room_and_sample(index)
    given = sample.views.at(range(settings.views // 2))
    camera = Camera(given.intrinsics[0], *given.size)
    frames = [Frame(i, pose, camera) for i, pose in zip(given.frame_ids, given.cam_to_world, strict=True)]
    name = f"room {index}"
    return Case(name, Scene(name, room.mesh, tuple(frames)), given, list(sample.images[: len(given)]), exact(room))


def exact(room: Room) -> Truth:
    """The truth of the room's own mesh."""

    def truth(textured: TexturedMesh) -> tuple[np.ndarray, np.ndarray]:
        texels = rasterize(textured.atlas)
        places = texels.interpolate(textured.mesh.triangles.astype(np.float32))
        return room.surface_color(places, texels.face), np.ones(len(texels), bool)

    return truth


def scanned(room: Room) -> Truth:
    """The truth of a scan of the room, in the scan's frame."""

    def truth(textured: TexturedMesh) -> tuple[np.ndarray, np.ndarray]:
        texels = rasterize(textured.atlas)
        return room.true_color(texels.interpolate(textured.mesh.triangles)), np.ones(len(texels), bool)

    return truth


def photographed(views: ViewSet, photos: list[np.ndarray]) -> Truth:
    """What other photos show stands for the truth."""

    def truth(textured: TexturedMesh) -> tuple[np.ndarray, np.ndarray]:
        texels = rasterize(textured.atlas)
        baked = bake(textured.mesh, textured.atlas, views, photos)
        color = np.stack(baked.textures).reshape(-1, 3)[texels.pixel].astype(np.float32)
        return color, np.stack(baked.coverage).reshape(-1)[texels.pixel]

    return truth


def completion_figures(scores: Sequence[CompletionScore]) -> list[Figure]:
    """The table: decibels, share and seconds are means over the scenes; ratios are those of all texels together."""
    completed, fill, true = (pooled([getattr(s, way) for s in scores]) for way in ("completed", "fill", "true"))
    p = {way: float(np.mean([getattr(s, way).psnr for s in scores])) for way in ("completed", "fill")}
    least = min(s.reached for s in scores)
    return [
        Figure("psnr", "PSNR of what was painted, blurred by 4 texels", p["completed"], "dB"),
        Figure("psnr_fill", "PSNR, filled by diffusion instead", p["fill"], "dB"),
        Figure("gain_psnr", "gain over the fill", p["completed"] - p["fill"], "dB", 2.0),
        Figure("gradient_ratio", "gradient energy / truth's", completed.gradient_ratio, "", 0.7, 1.2),
        Figure("gradient_fill", "gradient energy / truth's, the fill", fill.gradient_ratio),
        Figure("rim_ratio", "step across the rim / across other lines", completed.rim_ratio, "", None, 1.0),
        Figure("rim_fill", "step across the rim, the fill", fill.rim_ratio),
        Figure("rim_true", "step across the rim, the truth", true.rim_ratio),
        Figure("reached", "reachable surface painted", float(np.mean([s.reached for s in scores])), "", 0.99),
        Figure("reached_least", "the same, the scene with the least", least),
        Figure("photographed", "texels with photos, before", float(np.mean([s.photographed for s in scores]))),
        Figure("views", "views added", float(np.mean([s.views for s in scores]))),
        Figure("seconds", "seconds for each scene", float(np.mean([s.seconds for s in scores])), "s"),
    ]


def completion_rows(scores: Sequence[CompletionScore]) -> list[dict]:
    """The figures of each scene, for JSON."""
    return [
        asdict(score)
        | {
            way: {"psnr": s.psnr, "gradient_ratio": s.gradient_ratio, "rim_ratio": s.rim_ratio, "texels": s.texels}
            for way in ("completed", "fill", "true")
            for s in [getattr(score, way)]
        }
        for score in scores
    ]
