"""What a model makes of procedural rooms that it has not seen, measured against their truth."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch

from ..data.rooms import RoomStream
from ..errors import InputError
from ..models.patch_autoencoder import image_factor
from ..pipelines import MVDiffusionPipeline
from ..pipelines.images import picture
from ..views.viewset import ViewSet
from .detail_scores import Detail, blockiness, edge_agreement, inner_edges, measure_detail, octave_energy
from .overlap import overlap_scores
from .recognition import Patches, find_patches, recognised

# What is switched on; the whole method first.
VARIANTS: dict[str, dict[str, bool]] = {
    "generated": {"correspondence": True, "shared_noise": True, "fusion": True},
    "nothing": {"correspondence": False, "shared_noise": False, "fusion": False},
    "no_blocks": {"correspondence": False, "shared_noise": True, "fusion": True},
    "blocks_only": {"correspondence": True, "shared_noise": False, "fusion": False},
}
# What one room's measuring takes: each variant, the views between, the measuring itself.
STEPS_PER_ROOM = len(VARIANTS) + 2


@dataclass(frozen=True)
class Settings:
    """What to measure a model on.

    Attributes:
        rooms: number of rooms.
        views: keyframes of each room, generated together; between any two of them one more view is interpolated.
        seed: of the rooms' stream and of the noise; take one that the model was not trained on.
        size: (width, height) of the images, pixels.
        steps, guidance_scale: of the denoising; None = the model's own.
        detail: of super-resolution, how much of what it invents is believed; None = what suits the model.
    """

    rooms: int = 20
    views: int = 12
    seed: int = 1_000_003
    size: tuple[int, int] = (256, 192)
    steps: int | None = None
    guidance_scale: float | None = None
    detail: float | None = None

    def __post_init__(self):
        for name, least in (("rooms", 1), ("views", 2), ("steps", 1), ("seed", 0)):
            if getattr(self, name) is not None and getattr(self, name) < least:
                raise InputError(f"{name} {getattr(self, name)} is too small; give {least} or more")


@dataclass(frozen=True, eq=False)
class RoomScore:
    """Figures of one room.

    Attributes:
        psnr: overlap PSNR, dB, of each pair of keyframes, by image set: those of `VARIANTS`, "truth", "autoencoded".
        keys, between: overlap PSNR of consecutive keyframes, and of views between with their two keyframes.
        detail: of the image sets "generated" and "truth".
        edges, inner: edge agreement of the same, and what there is to see inside surfaces.
        octaves, blocks: energy in each octave (5,), and blockiness, of the same.
        recognised: which patches are named right, (n,) bool, in the same; none where nobody was there to look.
    """

    psnr: dict[str, np.ndarray]
    keys: np.ndarray
    between: np.ndarray
    detail: dict[str, Detail]
    edges: dict[str, float]
    inner: dict[str, float]
    octaves: dict[str, np.ndarray]
    blocks: dict[str, float]
    recognised: dict[str, np.ndarray]


def score_room(
    pipe: MVDiffusionPipeline, settings: Settings, index: int, done: Callable[[], None] = lambda: None
) -> RoomScore:
    """Measures a pipeline on one room; nothing is generated twice.

    Args:
        pipe: a `MVDiffusionPipeline`.
        settings: which rooms, and how to generate.
        index: which of the rooms.
        done: called `STEPS_PER_ROOM` times.
    """
    # Keyframes and views between come from one walk twice as dense, as they do in a scan.
    room, sample = RoomStream(settings.seed, 2 * settings.views - 1, settings.size).room_and_sample(index)
    patches = find_patches(room, sample.views.face_id[::2])
    return score_views(pipe, sample.views, list(sample.images), sample.captions, settings, index, done, patches)


def score_views(
    pipe: MVDiffusionPipeline,
    views: ViewSet,
    truth: list[np.ndarray],
    prompts: list[str],
    settings: Settings,
    index: int,
    done: Callable[[], None],
    patches: Patches | None = None,
) -> RoomScore:
    """Figures of one room: every other of its views is a keyframe, `truth` (h, w, 3) uint8 and prompts one per view;
    `patches` of the keyframes are to be recognised."""
    at = list(range(0, len(views), 2))
    keys = views.at(at)
    seed = settings.seed + index
    sets = {}
    for name, switches in VARIANTS.items():
        sets[name] = generate(pipe, keys, [prompts[i] for i in at], settings, seed, **switches)
        done()
    sets["truth"] = [truth[i] for i in at]
    sets["autoencoded"] = autoencode(pipe, sets["truth"], keys)
    given = [sets["generated"][i // 2] if i % 2 == 0 else None for i in range(len(views))]
    between = call_pipe(pipe.interpolate, settings, seed, prompts, views, given, **VARIANTS["generated"])
    filled = to_bytes(between.images)
    done()
    scores = dict(zip(sets, overlap_scores(keys, list(sets.values())), strict=True))
    neighbours = [(i, i + 2) for i in at[:-1]]
    beside = [(i + k, i + k + 1) for i in at[:-1] for k in (0, 1)]
    score = RoomScore(
        psnr={name: found.psnr for name, found in scores.items()},
        keys=overlap_scores(views, [filled], neighbours)[0].psnr,
        between=overlap_scores(views, [filled], beside)[0].psnr,
        **{
            figure: {name: measure(sets[name]) for name in ("generated", "truth")}
            for figure, measure in {
                "detail": measure_detail,
                "edges": partial(edge_agreement, keys),
                "inner": partial(inner_edges, keys),
                "octaves": octave_energy,
                "blocks": partial(blockiness, cell=image_factor(pipe.vae)),
                "recognised": partial(recognised, patches),
            }.items()
        },
    )
    done()
    return score


def generate(
    pipe: MVDiffusionPipeline, views: ViewSet, prompts, settings: Settings, seed: int, **switches
) -> list[np.ndarray]:
    """Images (h, w, 3) uint8 of all views, the same for the same seed."""
    return to_bytes(call_pipe(pipe, settings, seed, prompts, views, **switches).images)


def autoencode(pipe: MVDiffusionPipeline, images: list[np.ndarray], views: ViewSet) -> list[np.ndarray]:
    """Images (h, w, 3) uint8 of views once through the autoencoder: the best that its latents could become."""
    with torch.no_grad():
        latents = [pipe.encode_image(picture(im, (im.shape[1], im.shape[0]), i)) for i, im in enumerate(images)]
        out = pipe.decode_latents(torch.stack(latents), views)
    return to_bytes((out / 2 + 0.5).clamp(0, 1).permute(0, 2, 3, 1).cpu().numpy())


def call_pipe(call, settings: Settings, seed: int, prompts, *args, **switches):
    """What a pipeline, or a method of one, makes with these settings: `.images` (m, h, w, 3) float32 0..1, and more."""
    return call(
        prompts,
        *args,
        num_inference_steps=settings.steps,
        guidance_scale=settings.guidance_scale,
        generator=torch.Generator().manual_seed(seed),
        **switches,
    )


def to_bytes(images: np.ndarray) -> list[np.ndarray]:
    """Images 0..1 as a list of uint8 ones."""
    return list(np.round(np.asarray(images) * 255).astype(np.uint8))
