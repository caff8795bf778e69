"""``scenetex evaluate``: figures of generated images, of real photos, or of a model."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import lru_cache, partial
from itertools import chain
from pathlib import Path
from typing import Annotated

import tyro

from .bundled import locate_model
from .cli import guarded, parse
from .console import bar, say
from .errors import InputError
from .metrics.report import Figure, table, to_json
from .options import COUNT, GUIDANCE, MESH_SCALE, SEED, SIDE, STEPS, TEXTURE, THREADS, WORKERS, Between, PathOrName
from .output import check_file, write_files
from .scene.load import scene_folder


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
    prompt: str | None = None
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
    keyframes: str = "auto"
    """Frames to use: auto (all, or the best 120 of more), all, a number, every:N, or ids like 0,16,32."""
    output: Path | None = None
    """JSON file for the figures."""
    threads: Annotated[int | None, THREADS] = None
    """Most threads to compute with; default: all cores."""
    quiet: bool = False
    """No progress bars."""


@dataclass(frozen=True, kw_only=True)
class _RoomsOptions:
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
    device: str = "auto"
    """Where to generate: auto, cpu or cuda."""
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
class ModelOptions(_RoomsOptions):
    """Measures a model on procedural rooms that it has not seen."""

    views: Annotated[int, Between(2, 10_000)] = 12
    """Keyframes of each room."""


@dataclass(frozen=True, kw_only=True)
class PanoramaOptions(_RoomsOptions):
    """Measures a model's panoramas in procedural rooms that it has not seen."""

    size: Annotated[int, SIDE] = 256
    """Side of the eight views, pixels."""


@dataclass(frozen=True, kw_only=True)
class UpscaleOptions(_RoomsOptions):
    """Measures a model's super-resolution on procedural rooms that it has not seen."""

    views: Annotated[int, Between(2, 10_000)] = 12
    """Views of each room; of fewer along the same walk, hardly any overlap."""
    detail: Annotated[float | None, Between(0, 1)] = None
    """How much of what a model with a super-resolution UNet invents is believed, 0 to 1; default: what suits it."""
    generated: bool = False
    """Make larger what the model generates for the rooms, not the rooms' true images, and measure how well views agree
    before and after."""


Options = (
    Annotated[ImagesOptions, tyro.conf.subcommand("images")]
    | Annotated[PhotosOptions, tyro.conf.subcommand("photos")]
    | Annotated[ModelOptions, tyro.conf.subcommand("model")]
    | Annotated[PanoramaOptions, tyro.conf.subcommand("panorama")]
    | Annotated[UpscaleOptions, tyro.conf.subcommand("super-resolution")]
)


def main(arguments: list[str] | None = None, program: str = "scenetex evaluate") -> int:
    """Runs the command; the exit code: 0, or 2 after bad input."""

    def work() -> int:
        options = parse(Options, program, arguments, "Measures photos, a result, or a model; prints a table.")
        if options.output is not None:
            check_file(options.output, _inputs(options))
        run = {
            ImagesOptions: _images,
            PhotosOptions: _photos,
            ModelOptions: _model,
            PanoramaOptions: _panoramas,
            UpscaleOptions: _upscaling,
        }[type(options)]
        figures, more = run(options)
        for line in table(figures):
            say(line)
        if options.output is not None:
            settings = {k: v for k, v in asdict(options).items() if k not in ("quiet", "threads")}
            settings = {k: str(v) if isinstance(v, Path) else v for k, v in settings.items()}
            settings |= _left_to_the_model(options)
            settings = {k: [str(x) for x in v] if isinstance(v, tuple) else v for k, v in settings.items()}
            write_files({options.output: to_json(figures, settings=settings, **more).encode()})
        return 0

    return guarded(program, work)


def _inputs(options: Options) -> list[Path]:
    """Files and folders that are read."""
    named = [getattr(options, name, None) for name in ("folder", "model", "inception_weights", "clip_model")]
    given = [Path(locate_model(path)) for path in named if path is not None]
    if isinstance(options, ImagesOptions):
        given += [scene_folder(options.scene), options.folder.absolute().parent / "report.json"]
    return given + list(map(scene_folder, getattr(options, "scenes", ())))


@contextmanager
def _bar(name: str, steps: int, quiet: bool) -> Iterator[Callable[[], None]]:
    with bar(name, total=steps, disable=quiet, delay=1.0, leave=False) as shown:
        yield lambda: shown.update() and None


def _images(options: ImagesOptions) -> tuple[list[Figure], dict]:
    from .metrics.image_folder import read_images, score_images

    found = read_images(options.folder, options.scene, options.allow_outside)
    m = len(found.views)
    with _bar("overlaps", m * (m - 1) // 2, options.quiet) as done:
        figures = score_images(found, options.texture_size if options.atlas else None, done)
    figures += _feature_scores(options, found)
    return figures, {"images": m, "photos": 0 if found.photos is None else m}


def _feature_scores(options: ImagesOptions, found) -> list[Figure]:
    from .metrics import feature_scores

    figures, weights = [], options.inception_weights
    if weights is not None:
        if found.photos is not None:
            distance = feature_scores.frechet_distance(found.photos, found.images, weights)
            figures.append(Figure("fid", "FID to the photos", distance))
        score, _ = feature_scores.inception_score(found.images, weights)
        figures.append(Figure("inception_score", "Inception Score", score))
    if options.clip_model is not None:
        prompt = options.prompt or found.prompt
        if prompt is None:
            raise InputError(f"{options.folder}: no prompt is known for the CLIP score; add --prompt '...'")
        score = feature_scores.clip_score(found.images, [prompt] * len(found.images), options.clip_model)
        figures.append(Figure("clip_score", "CLIP score", score))
    return figures


def _photos(options: PhotosOptions) -> tuple[list[Figure], dict]:
    from .metrics.overlap import overlap_psnr
    from .pipeline import choose_frames, parse_keyframes, read_photos
    from .scene.load import load_scene
    from .views.viewset import render_views

    if not options.scenes:
        raise InputError("no scene given; name at least one scene folder")
    parse_keyframes(options.keyframes)
    figures, held = [], {}
    for path in options.scenes:
        meant = {"mesh_scale": options.mesh_scale, "flip_faces": options.flip_faces}
        scene = load_scene(path, allow_outside=options.allow_outside, **meant)
        if options.output is not None:
            check_file(options.output, scene.places())  # they may lie outside
        frames = choose_frames(scene, options.keyframes)
        photos = read_photos(scene, frames)
        # Depth of the mesh as the colour camera sees it: a depth camera beside it would not fit.
        views = render_views(scene, frames, (photos[0].shape[1], photos[0].shape[0]))
        with _bar(scene.name, len(frames) * (len(frames) - 1) // 2, options.quiet) as done:
            score = overlap_psnr(views, photos, done=done)
        label = f"{scene.name}: overlap PSNR of {len(photos)} photos, {len(score.pairs)} pairs"
        figures.append(Figure(scene.name, label, score.mean, "dB"))
        held[scene.name] = {"photos": len(photos), "pairs": len(score.pairs), "overlap_psnr": score.mean}
    return figures, {"scenes": held}


def _model(options: ModelOptions) -> tuple[list[Figure], dict]:
    from .metrics.model_report import model_figures, room_rows
    from .metrics.obedience import ASKED_FLOORS, ask_room
    from .metrics.rooms import STEPS_PER_ROOM, score_room

    settings = _settings(options, views=options.views)
    load = partial(_quiet_model, options)
    with _bar("rooms", options.rooms * STEPS_PER_ROOM, options.quiet) as done:
        scores = _shared(options, load, score_room, settings, options.rooms, STEPS_PER_ROOM, done)
    with _bar("prompts", len(ASKED_FLOORS), options.quiet) as done:
        answers = _shared(options, load, ask_room, settings, len(ASKED_FLOORS), 1, done)
    answers = list(chain.from_iterable(answers))
    return model_figures(scores, answers), room_rows(scores, answers)


def _panoramas(options: PanoramaOptions) -> tuple[list[Figure], dict]:
    from .metrics.panoramas import STEPS_PER_PANORAMA, panorama_figures, score_panorama

    settings = _settings(options, size=(options.size, options.size))
    load = partial(_quiet_model, options, panorama=True)
    with _bar("panoramas", options.rooms * STEPS_PER_PANORAMA, options.quiet) as done:
        scores = _shared(options, load, score_panorama, settings, options.rooms, STEPS_PER_PANORAMA, done)
    return panorama_figures(scores), {}


def _upscaling(options: UpscaleOptions) -> tuple[list[Figure], dict]:
    from .metrics import upscaling

    settings = _settings(options, views=options.views, detail=options.detail)
    load = partial(_upscaling_model, options)
    measure, figures = upscaling.score_upscaling, upscaling.upscale_figures
    if options.generated:
        measure, figures = upscaling.score_consistency, upscaling.consistency_figures
    steps = upscaling.STEPS_PER_ROOM
    with _bar("rooms", options.rooms * steps, options.quiet) as done:
        scores = _shared(options, load, measure, settings, options.rooms, steps, done)
    return figures(scores), {}


def _shared(
    options: _RoomsOptions,
    load: Callable,
    measure: Callable,
    settings,
    count: int,
    steps: int,
    done: Callable[[], None],
) -> list:
    """`measure(pipe, settings, i, done)` of each of `count` rooms: by this process, or shared out; `done` is called
    `steps` times a room."""
    if options.workers == 1:
        pipe = load()
        return [measure(pipe, settings, i, done) for i in range(count)]
    from .metrics.share_out import share_out

    def room_done() -> None:
        for _ in range(steps):
            done()

    return share_out(load, measure, settings, count, options.workers, room_done, options.threads)


def _settings(options: _RoomsOptions, **more):
    from .metrics.rooms import Settings

    names = ("rooms", "seed", "steps", "guidance_scale")
    return Settings(**{name: getattr(options, name) for name in names}, **more)


def _upscaling_model(options: UpscaleOptions):
    from .pipelines.upscale import check_factor

    pipe = _quiet_model(options)
    check_factor(pipe, None)
    return pipe


def _left_to_the_model(options) -> dict:
    """Steps and guidance as they were used, where the options leave them to the model."""
    if not isinstance(options, _RoomsOptions):
        return {}
    from .pipelines.loading import sampling_defaults

    return {name: value for name, value in sampling_defaults(options.model).items() if getattr(options, name) is None}


@lru_cache(1)  # rooms and prompts are measured on the same one
def _quiet_model(options: _RoomsOptions, panorama: bool = False):
    from .generation import Generation, load_model

    pipe = load_model(Generation("a room", model=options.model, device=options.device, panorama=panorama))
    pipe.set_progress_bar_config(disable=True)
    return pipe
