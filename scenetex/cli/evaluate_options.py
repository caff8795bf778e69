"""What `scenetex evaluate` is asked to measure. The fields' texts are the command line's help."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from ..limits import (
    COUNT,
    DEVICE,
    GUIDANCE,
    KEYFRAMES,
    MESH_SCALE,
    PROMPT,
    SEED,
    SHARE,
    SIDE,
    STEPS,
    TEXTURE,
    THREADS,
    WORKERS,
    Between,
    PathOrName,
)


@dataclass(frozen=True)
class ImagesOptions:
    """Measures the images in a folder that `scenetex texture` wrote, beside the scene's photos where it has them."""

    folder: tyro.conf.Positional[Path]
    """The result folder of one scene, or its views folder."""
    scene: Path
    """The scene that was textured."""
    allow_outside: bool = False
    """Read files outside the scene's folder where names or symlinks in it lead there; for a scene you trust."""
    atlas: bool = True
    """Bake the images, to measure texels seen, seams and sharpness of the atlas."""
    texture_size: Annotated[int, TEXTURE] = 2048
    """Side of the texture page for that, texels."""
    inception_weights: Path | None = None
    """Weights of Inception v3 (weights-inception-2015-12-05-6726825d.pth of torch-fidelity), for FID and IS."""
    clip_model: Path | None = None
    """Folder of a CLIP model, for the CLIP score."""
    prompt: Annotated[str | None, PROMPT] = None
    """Prompt for the CLIP score; default the one in report.json."""
    output: Path | None = None
    """JSON file for the figures."""
    threads: Annotated[int | None, THREADS] = None
    """Most threads to compute with; default: all cores."""
    quiet: bool = False
    """No progress bars."""


@dataclass(frozen=True)
class PhotosOptions:
    """Measures how well the real photos of scenes agree where they overlap, along the mesh's depth."""

    scenes: Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="SCENE ...")]
    """Scenes, as for `scenetex texture`."""
    allow_outside: bool = False
    """Read files outside a scene's folder where names or symlinks in it lead there; for scenes you trust."""
    mesh_scale: Annotated[float, MESH_SCALE] = 1.0
    """Factor on the mesh's vertices, not on the poses: 0.001 for a mesh in millimetres."""
    flip_faces: bool = False
    """Turn all faces of the mesh around, if they show the cameras their back."""
    keyframes: Annotated[str, KEYFRAMES] = "auto"
    """Frames to use: auto (all, or of more than 120 as many as it takes to see each place eight times from nearby),
    all, a number, every:N, or ids like 0,16,32."""
    output: Path | None = None
    """JSON file for the figures."""
    threads: Annotated[int | None, THREADS] = None
    """Most threads to compute with; default: all cores."""
    quiet: bool = False
    """No progress bars."""


@dataclass(frozen=True, kw_only=True)
class RoomsOptions:
    """What is measured on procedural rooms."""

    model: Annotated[str, tyro.conf.Positional, PathOrName]
    """Model: a folder in diffusers layout or a Hub id."""
    rooms: Annotated[int, COUNT] = 20
    """Number of rooms."""
    seed: Annotated[int, SEED] = 1_000_003
    """Of rooms and noise; the rooms must not be those of the training."""
    steps: Annotated[int | None, STEPS] = None
    """Denoising steps; default: the model's own number."""
    guidance_scale: Annotated[float | None, GUIDANCE] = None
    """How closely to follow the prompt; 1 = no guidance; default: the model's own."""
    device: Annotated[str, DEVICE] = "auto"
    """Where to generate: auto, cpu, cuda, or cuda:N for one of several GPUs."""
    workers: Annotated[int, WORKERS] = 1
    """Processes that measure a room each at a time, each with its share of the cores; two are about half again as fast
    on two cores."""
    output: Path | None = None
    """JSON file for the figures."""
    threads: Annotated[int | None, THREADS] = None
    """Most threads to compute with, in each process; default: all cores, shared out among --workers."""
    quiet: bool = False
    """No progress bars."""


@dataclass(frozen=True, kw_only=True)
class ModelOptions(RoomsOptions):
    """Measures a model on procedural rooms that it has not seen."""

    views: Annotated[int, Between(2, 10_000)] = 12
    """Keyframes of each room."""


@dataclass(frozen=True, kw_only=True)
class PanoramaOptions(RoomsOptions):
    """Measures a model's panoramas in procedural rooms that it has not seen."""

    size: Annotated[int, SIDE] = 256
    """Side of the eight views, pixels."""


@dataclass(frozen=True, kw_only=True)
class UpscaleOptions(RoomsOptions):
    """Measures a model's super-resolution on procedural rooms that it has not seen."""

    views: Annotated[int, Between(2, 10_000)] = 12
    """Views of each room; of fewer along the same walk, hardly any overlap."""
    detail: Annotated[float | None, SHARE] = None
    """How much of what a model with a super-resolution UNet invents is believed, 0 to 1; default: what suits it."""
    generated: bool = False
    """Make larger what the model generates for the rooms, not the rooms' true images, and measure how well views agree
    before and after."""


@dataclass(frozen=True, kw_only=True)
class CompletionOptions(RoomsOptions):
    """Measures what completion paints where no photo looked, on procedural rooms and on scenes of which the photos of
    the first half of the trajectory are given."""

    scenes: Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="SCENE ...")] = ()
    """Scenes beside the rooms: one made by make_room knows its true colours, of others the rest of the photos does."""
    model: Annotated[str, PathOrName] = "mini"
    """Model: a folder in diffusers layout or a Hub id."""
    rooms: Annotated[int | None, COUNT] = None
    """Number of procedural rooms; default: 10, or none where scenes are given."""
    extra_views: Annotated[int, Between(1, 1000)] = 40
    """Most views that completion may add to each."""
    texture_size: Annotated[int, TEXTURE] = 1024
    """Side of the texture page, texels."""
    allow_outside: bool = False
    """Read files outside a scene's folder where names or symlinks in it lead there; for scenes you trust."""


Options = (
    Annotated[ImagesOptions, tyro.conf.subcommand("images")]
    | Annotated[PhotosOptions, tyro.conf.subcommand("photos")]
    | Annotated[ModelOptions, tyro.conf.subcommand("model")]
    | Annotated[PanoramaOptions, tyro.conf.subcommand("panorama")]
    | Annotated[UpscaleOptions, tyro.conf.subcommand("super-resolution")]
    | Annotated[CompletionOptions, tyro.conf.subcommand("completion")]
)
