"""All stages in a row: a scene goes in, a textured mesh comes out."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, fields

import cv2
import numpy as np
from tqdm import tqdm

from .errors import InputError
from .generation import Generation, generate_images, load_model
from .scene.camera import Camera
from .scene.scene import Scene
from .texture.atlas import Atlas
from .texture.bake import paint, survey
from .texture.refine import RefinedCameras, refine_cameras, refinement_steps
from .texture.textured_mesh import TexturedMesh
from .texture.unwrap import unwrap
from .views.keyframes import select_keyframes
from .views.viewset import ViewSet, cast_views, render_views

MOST_PHOTOS = 120  # more are thinned out to keyframes: they cost time and hardly add detail
_GLANCE = 160  # width of the depth maps that refinement works with
_DEPTH_SHARE = 2  # photos over the depth maps they are baked with: costs 0.02 dB, saves a sixth of the time


@dataclass(frozen=True, eq=False)
class Result:
    """What texturing a scene gives.

    Attributes:
        mesh: the textured mesh.
        views: the views that were baked, with refined cameras if refinement was worth it; coarser than the images.
        images: one (h, w, 3) uint8 image per view.
        keyframe: per view, whether it is a keyframe; generated views between keyframes are none.
        refinement: what refinement found, or None if it was not asked for.
        seconds: time spent per stage; unwrapping runs beside the stages before the bake.
    """

    mesh: TexturedMesh
    views: ViewSet
    images: list[np.ndarray]
    keyframe: tuple[bool, ...]
    refinement: RefinedCameras | None
    seconds: dict[str, float] = field(default_factory=dict)


def texture_scene(scene: Scene, **options) -> TexturedMesh:
    """Textures a scene's mesh from its photos, or where there is a `prompt`, from generated images.

    Args:
        scene: from `load_scene`.
        options: as in `run_stages`, or those of `Generation`: `prompt="...", model="..."`.

    Raises:
        InputError: as in `run_stages`.
    """
    names = {f.name for f in fields(Generation)} & set(options)
    if names:
        if "prompt" not in names:
            raise InputError(f"texture_scene: {', '.join(sorted(names))} given, but no prompt; add prompt='...'")
        options["generation"] = Generation(**{name: options.pop(name) for name in names})
    return run_stages(scene, **options).mesh


def run_stages(
    scene: Scene,
    *,
    generation: Generation | None = None,
    keyframes: str = "auto",
    refine_poses: bool = True,
    texture_size: int = 2048,
    texels_per_metre: float | None = None,
    packer: str = "uvunwrap",
    progress: bool = False,
) -> Result:
    """Runs scene -> keyframes -> views -> images -> atlas -> texture.

    Args:
        scene: from `load_scene`.
        generation: how to generate images; None = paint with the trajectory's own photos.
        keyframes: which frames: "auto" (photos: all, or the best 120 of more; generated: as many as see the scene with
            overlap), "all", a number, "every:N", or ids "0,16,32".
        refine_poses: refine cameras photometrically where that lowers the error enough; generated images need none.
        texture_size, texels_per_metre, packer: as in `unwrap`.
        progress: show progress bars on stderr.

    Raises:
        InputError: an option out of range, a scene without photos, a photo that cannot be read, a trajectory that sees
            nothing of the mesh, a model that cannot be loaded.
    """
    clock = _Clock(progress)
    # uvunwrap works outside Python's lock: it has a core of its own while the images are made and the cameras refined.
    with ThreadPoolExecutor(1) as beside, clock.stage("total"):
        if generation is not None:
            with clock.stage("model"):
                pipe = load_model(generation)
        layout = beside.submit(
            clock.timed("unwrap"),
            lambda: unwrap(scene.mesh, texture_size, texels_per_metre=texels_per_metre, packer=packer),
        )
        with clock.stage("keyframes"):
            frame_ids = choose_frames(scene, keyframes, photos=generation is None)
        refinement = None
        if generation is None:
            views, pictures, refinement = _photos(scene, frame_ids, refine_poses, clock)
            is_key = (True,) * len(views)
        else:
            views, pictures, is_key = generate_images(pipe, scene, frame_ids, generation, clock.stage, progress)
        with clock.stage("survey"):
            seen_by = survey(scene.mesh, views, pictures)
        atlas: Atlas = _await(layout, clock)
        with clock.stage("paint", len(views)) as done:
            mesh = paint(scene.mesh, atlas, seen_by, done)
    return Result(mesh, views, pictures, is_key, refinement, clock.seconds)


def _photos(scene: Scene, frame_ids: list[int], refine_poses: bool, clock: "_Clock"):
    """Views, photos and what refinement found."""
    with clock.stage("photos", len(frame_ids)) as done:
        pictures = read_photos(scene, frame_ids, done)
    size = pictures[0].shape[1], pictures[0].shape[0]
    glances = render_views(scene, frame_ids, (_GLANCE, max(1, round(_GLANCE * size[1] / size[0]))))
    if not (glances.face_id >= 0).any():
        where = scene.path or scene.name
        raise InputError(
            f"{where}: no frame sees the mesh; check that poses and mesh share one frame and unit (metres)"
        )
    refinement = None
    if refine_poses:
        with clock.stage("refine", refinement_steps()) as done:
            refinement = refine_cameras(scene.mesh, glances, pictures, done)
    with clock.stage("render", len(frame_ids)) as done:
        coarse = tuple(max(1, side // _DEPTH_SHARE) for side in size)
        return _final_views(scene, frame_ids, coarse, refinement, done), pictures, refinement


def choose_frames(scene: Scene, keyframes: str, photos: bool = True) -> list[int]:
    """Frame ids for the `keyframes` option of `run_stages`; `photos`: they are to be painted with their photos."""
    if keyframes == "auto" and not photos:
        return select_keyframes(scene, sharpness=False)
    if keyframes == "all" or (keyframes == "auto" and len(scene.frames) <= MOST_PHOTOS):
        return [frame.id for frame in scene.frames]
    if keyframes == "auto":
        return select_keyframes(scene, count=MOST_PHOTOS)
    try:
        if keyframes.startswith("every:"):
            return select_keyframes(scene, every=int(keyframes.removeprefix("every:")))
        if "," in keyframes:
            return select_keyframes(scene, ids=[int(part) for part in keyframes.split(",") if part.strip()])
        return select_keyframes(scene, count=int(keyframes), sharpness=photos)
    except InputError:
        raise
    except ValueError:
        raise InputError(
            f"keyframes '{keyframes}' is not understood; give auto, all, a number, every:N, or frame ids like 0,16,32"
        ) from None


def read_photos(scene: Scene, frame_ids: list[int], done: Callable[[], None] = lambda: None) -> list[np.ndarray]:
    """The frames' photos, (h, w, 3) uint8, all brought to the size of the first.

    Raises:
        InputError: a frame has no photo, or it cannot be read.
    """

    def read(frame_id: int) -> np.ndarray:
        image = scene.frame(frame_id).read_color()
        done()
        return image

    with ThreadPoolExecutor() as pool:
        pictures = list(pool.map(read, frame_ids))
    height, width = pictures[0].shape[:2]
    return [
        p if p.shape[:2] == (height, width) else cv2.resize(p, (width, height), interpolation=cv2.INTER_AREA)
        for p in pictures
    ]


def _final_views(scene, frame_ids, size, refinement: RefinedCameras | None, done) -> ViewSet:
    if refinement is None or not refinement.accepted:
        return render_views(scene, frame_ids, size, done=done)
    glance = refinement.size
    intrinsics = np.stack([Camera(k, *glance).resized(size).intrinsics for k in refinement.intrinsics])
    return cast_views(scene.mesh, intrinsics, refinement.cam_to_world, size, tuple(frame_ids), done=done)


def _await(layout: Future, clock: "_Clock") -> Atlas:
    """The atlas; a bar without an end while it takes longer than the stages beside it."""
    with clock.stage("waiting for unwrap", 0) as done:
        while not layout.done():
            time.sleep(0.02)
            done()
    return layout.result()


class _Clock:
    """Seconds per stage, and a progress bar for each."""

    def __init__(self, progress: bool):
        self.seconds: dict[str, float] = {}
        self._progress = progress

    @contextmanager
    def stage(self, name: str, steps: int | None = None) -> Iterator[Callable[[], None]]:
        """Times the block; yields what to call after each of its `steps` (0: unknown how many)."""
        start = time.perf_counter()
        bar = tqdm(
            total=steps or None,
            desc=name,
            disable=not self._progress or steps is None,
            delay=1.0,
            leave=False,
            bar_format=None if steps else "{desc} {elapsed}",
        )
        try:
            with bar:
                yield lambda: bar.update() and None
        finally:
            self.seconds[name] = round(time.perf_counter() - start, 3)

    def timed(self, name: str) -> Callable[[Callable], object]:
        """Calls a function and records how long it took."""

        def call(function):
            with self.stage(name):
                return function()

        return call
