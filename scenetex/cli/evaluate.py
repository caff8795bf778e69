"""``scenetex evaluate``: figures of generated images, of real photos, or of a model."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from functools import lru_cache, partial
from itertools import chain
from pathlib import Path

from ..bundled import locate_model
from ..errors import InputError
from ..files.output import check_file, write_files
from ..metrics.score_table import Figure, table, to_json
from ..process.console import bar, say
from ..scene.load import scene_folder
from .evaluate_options import (
    CompletionOptions,
    ImagesOptions,
    ModelOptions,
    Options,
    PanoramaOptions,
    PhotosOptions,
    RoomsOptions,
    UpscaleOptions,
)
from .guarded import guarded
from .parsing import parse


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
            CompletionOptions: _completion,
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
    from ..metrics.image_folder import read_images, score_images

    found = read_images(options.folder, options.scene, options.allow_outside, options.output)
    m = len(found.views)
    with _bar("overlaps", m * (m - 1) // 2, options.quiet) as done:
        figures = score_images(found, options.texture_size if options.atlas else None, done)
    figures += _feature_scores(options, found)
    return figures, {"images": m, "photos": 0 if found.photos is None else m}


def _feature_scores(options: ImagesOptions, found) -> list[Figure]:
    from ..metrics import feature_scores

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
    from ..job.photo_stages import about_missing, choose_frames, read_masked_photos
    from ..metrics.overlap import overlap_psnr
    from ..scene.load import load_scene
    from ..views.masking import mask_views
    from ..views.viewset import render_views

    if not options.scenes:
        raise InputError("no scene given; name at least one scene folder")
    figures, held = [], {}
    for path in options.scenes:
        meant = {"mesh_scale": options.mesh_scale, "flip_faces": options.flip_faces}
        scene = load_scene(path, allow_outside=options.allow_outside, **meant)
        if options.output is not None:
            check_file(options.output, scene.places())  # they may lie outside
        frames = choose_frames(scene, options.keyframes)
        missing = about_missing(scene, options.keyframes, frames)
        if missing and not options.quiet:
            say(f"{scene.name}: {missing}", error=True)
        photos, masks = read_masked_photos(scene, frames)
        # Depth of the mesh as the colour camera sees it: a depth camera beside it would not fit.
        views = mask_views(render_views(scene, frames, (photos[0].shape[1], photos[0].shape[0])), masks)
        with _bar(scene.name, len(frames) * (len(frames) - 1) // 2, options.quiet) as done:
            score = overlap_psnr(views, photos, done=done)
        label = f"{scene.name}: overlap PSNR of {len(photos)} photos, {len(score.pairs)} pairs"
        figures.append(Figure(scene.name, label, score.mean, "dB"))
        held[scene.name] = {"photos": len(photos), "pairs": len(score.pairs), "overlap_psnr": score.mean}
    return figures, {"scenes": held}


def _model(options: ModelOptions) -> tuple[list[Figure], dict]:
    from ..metrics.model_report import model_figures, room_rows
    from ..metrics.prompt_adherence import PROMPTS, ask_room
    from ..metrics.prompt_regions import PAIRS, paint_room, painted_figures, painted_rows
    from ..metrics.room_scores import STEPS_PER_ROOM, score_room

    settings = _settings(options, views=options.views)
    load = partial(_quiet_model, options)
    with _bar("rooms", options.rooms * STEPS_PER_ROOM, options.quiet) as done:
        scores = _shared(options, load, score_room, settings, options.rooms, STEPS_PER_ROOM, done)
    with _bar("prompts", PROMPTS, options.quiet) as done:
        answers = _shared(options, load, ask_room, settings, PROMPTS, 1, done)
    with _bar("regions", len(PAIRS), options.quiet) as done:
        painted = _shared(options, load, paint_room, settings, len(PAIRS), 1, done)
    answers, painted = (list(chain.from_iterable(found)) for found in (answers, painted))
    figures = model_figures(scores, answers) + painted_figures(painted)
    return figures, room_rows(scores, answers) | {"painted": painted_rows(painted)}


def _panoramas(options: PanoramaOptions) -> tuple[list[Figure], dict]:
    from ..metrics.panoramas import STEPS_PER_PANORAMA, panorama_figures, score_panorama

    settings = _settings(options, size=(options.size, options.size))
    load = partial(_quiet_model, options, panorama=True)
    with _bar("panoramas", options.rooms * STEPS_PER_PANORAMA, options.quiet) as done:
        scores = _shared(options, load, score_panorama, settings, options.rooms, STEPS_PER_PANORAMA, done)
    return panorama_figures(scores), {}


def _upscaling(options: UpscaleOptions) -> tuple[list[Figure], dict]:
    from ..metrics import upscaling

    settings = _settings(options, views=options.views, detail=options.detail)
    load = partial(_upscaling_model, options)
    measure, figures = upscaling.score_upscaling, upscaling.upscale_figures
    if options.generated:
        measure, figures = upscaling.score_consistency, upscaling.consistency_figures
    steps = upscaling.STEPS_PER_ROOM
    with _bar("rooms", options.rooms * steps, options.quiet) as done:
        scores = _shared(options, load, measure, settings, options.rooms, steps, done)
    return figures(scores), {}


def _completion(options: CompletionOptions) -> tuple[list[Figure], dict]:
    from ..job.completion import complete
    from ..metrics import completed_rooms as completion

    rooms = options.rooms or (0 if options.scenes else completion.CompletionSettings.rooms)
    names = ("seed", "steps", "guidance_scale", "texture_size", "extra_views")
    settings = completion.CompletionSettings(**{name: getattr(options, name) for name in names})
    cases = [_half_given(options, path) for path in options.scenes]
    load, steps = partial(_quiet_model, options), completion.STEPS_PER_ROOM
    with _bar("rooms", (rooms + len(cases)) * steps, options.quiet) as done:
        scores = []
        if rooms:
            measure = partial(completion.score_room_completion, complete)
            scores = _shared(options, load, measure, settings, rooms, steps, done)
        scores += [completion.score_completion(complete, load(), settings, x, options.seed, done) for x in cases]
    return completion.completion_figures(scores), {"rooms": completion.completion_rows(scores)}


def _half_given(options: CompletionOptions, path: Path):
    """A scene of which the photos of the first half are given."""
    from ..checks import check_scene
    from ..job.photo_stages import read_photos
    from ..metrics.completed_rooms import Case, photographed, scanned
    from ..scene.load import load_scene
    from ..synthetic.scan_writer import RECIPE, read_room
    from ..views.viewset import render_views

    scene = load_scene(path, allow_outside=options.allow_outside)
    if options.output is not None:
        check_file(options.output, scene.places())  # they may lie outside
    if len(scene.frames) < 2:
        raise InputError(f"{scene.name}: has {len(scene.frames)} frames; to compare, at least two are needed")
    scene = check_scene(scene).scene
    frames = [frame.id for frame in scene.frames]
    half = len(frames) // 2
    photos = read_photos(scene, frames)
    views = render_views(scene, frames, (photos[0].shape[1], photos[0].shape[0]))
    recipe = scene_folder(path) / RECIPE
    truth = (
        scanned(read_room(recipe.parent))
        if recipe.is_file()
        else photographed(views.at(range(half, len(frames))), photos[half:])
    )
    given = replace(scene, frames=scene.frames[:half])
    return Case(scene.name, given, views.at(range(half)), photos[:half], truth)


def _shared(
    options: RoomsOptions,
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
    from ..metrics.parallel import measure_in_parallel

    def room_done() -> None:
        for _ in range(steps):
            done()

    return measure_in_parallel(load, measure, settings, count, options.workers, room_done, options.threads)


def _settings(options: RoomsOptions, **more):
    from ..metrics.room_scores import Settings

    names = ("rooms", "seed", "steps", "guidance_scale")
    return Settings(**{name: getattr(options, name) for name in names}, **more)


def _upscaling_model(options: UpscaleOptions):
    pipe = _quiet_model(options)
    pipe.upscale_factor()
    return pipe


def _left_to_the_model(options) -> dict:
    """Steps and guidance as they were used, where the options leave them to the model."""
    if not isinstance(options, RoomsOptions):
        return {}
    from ..pipelines.multiview import MultiViewPipeline

    defaults = MultiViewPipeline.sampling_defaults(options.model)
    return {name: value for name, value in defaults.items() if getattr(options, name) is None}


@lru_cache(1)  # rooms and prompts are measured on the same one
def _quiet_model(options: RoomsOptions, panorama: bool = False):
    from ..job.generation import Generation
    from ..job.load_model import load_model
    from ..pipelines import ConsistentViews

    pipe = load_model(Generation("a room", model=options.model, device=options.device, panorama=panorama))
    if isinstance(pipe, ConsistentViews):
        raise InputError(f"{options.model}: is no Stable Diffusion with a UNet, which is what is measured here")
    pipe.set_progress_bar_config(disable=True)
    return pipe
