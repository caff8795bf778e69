"""All stages in a row: a scene goes in, a textured mesh comes out."""

import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache, partial
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import cv2
import numpy as np

from ..checks import Checks, check_scene, refuse, refuse_unseen
from ..errors import InputError, InputWarning
from ..limits import CLOSE_HOLES, DENSITY, KEYFRAMES, TEXTURE, checked, read_keyframes
from ..process.memory import need
from ..process.threads import threads
from ..scene.camera import Camera, small_size
from ..scene.holes import with_holes_closed
from ..scene.scene import Scene
from ..texture.atlas import Atlas
from ..texture.bake import paint, survey
from ..texture.refine import RefinedCameras, refine_cameras, refinement_steps
from ..texture.textured_mesh import TexturedMesh
from ..texture.unwrap import Packer, unwrap
from ..views.keyframes import select_keyframes
from ..views.masking import Mask, mask_image, mask_views, resize_mask
from ..views.viewset import ViewSet, cast_views, render_views
from .generation import Generation, generate_images, load_model
from .stages import Done, Stages, bars, silent

if TYPE_CHECKING:
    from ..pipelines import MVDiffusionPanoramaPipeline, MVDiffusionPipeline

MOST_PHOTOS = 120  # more are thinned out to keyframes: they cost time and hardly add detail
_GLANCE = 160  # width of the depth maps that refinement works with
_DEPTH_SHARE = 2  # photos over the depth maps they are baked with: costs 0.02 dB, saves a sixth of the time
_PAINTED = 60  # bytes for each pixel of the photo that is being painted
_DEPTH_SIDES = 400, 2400  # pixels of the maps' shorter and longer side, beyond which photos of 100 megapixels leave off

T = TypeVar("T")
Layout = Future[Atlas] | Callable[[], Atlas]


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
        checks: what `check_scene` said of the scene.

    Example:
        >>> import scenetex
        >>> scene = scenetex.load_scene("scenes/sample_room")
        >>> result = scenetex.run_stages(scene, keyframes="2", texture_size=512, refine_poses=False)
        >>> len(result.images), result.keyframe, "paint" in result.seconds
        (2, (True, True), True)
    """

    mesh: TexturedMesh
    views: ViewSet
    images: list[np.ndarray]
    keyframe: tuple[bool, ...]
    refinement: RefinedCameras | None
    seconds: dict[str, float] = field(default_factory=dict)
    checks: Checks | None = None

    def __repr__(self) -> str:
        return f"Result({self.mesh!r}, {self.views!r})"


def texture_scene(
    scene: Scene,
    *,
    prompt: str | None = None,
    negative_prompt: str | None = None,
    model: str = "mini",
    mvdiffusion_checkpoint: Path | None = None,
    controlnet: str | None = None,
    seed: int = 0,
    device: str = "auto",
    steps: int | None = None,
    guidance_scale: float | None = None,
    image_size: tuple[int, int] = (256, 192),
    correspondence: bool = True,
    shared_noise: bool = True,
    fusion: bool = True,
    between: int = 1,
    joint_views: int = 16,
    panorama: bool = False,
    upscale: int = 1,
    upscale_tile: int | None = None,
    keyframes: str = "auto",
    refine_poses: bool = True,
    texture_size: int = 2048,
    texels_per_metre: float | None = None,
    packer: Packer = "uvunwrap",
    close_holes: float | None = None,
    strict: bool = False,
    progress: bool = False,
    checks: Checks | None = None,
) -> TexturedMesh:
    """Textures a scene's mesh from its photos, or where there is a `prompt`, from generated images.

    What does not fit about the scene (`check_scene`) is an `InputWarning` each. Faces that turn their back to the
    cameras are turned around in the result. `run_stages` does the same and tells more of it.

    Args:
        scene: from `load_scene`.
        prompt: what the room is to look like; None = paint with the trajectory's own photos.
        negative_prompt: what it is not to look like.
        model: folder in diffusers layout or Hub id: Stable Diffusion with depth, or one with multi-view weights.
        mvdiffusion_checkpoint: released MVDiffusion weights to use as the model's UNet.
        controlnet: folder or Hub id of a depth ControlNet, for models that do not take depth.
        seed: 0 or more; the same seed gives the same images on as many threads of the same machine.
        device: where to generate: "auto", "cpu", "cuda", or "cuda:N" for one of several GPUs.
        steps: of the denoising; None = the model's own number.
        guidance_scale: how closely to follow the prompt, 1 = no guidance; None = the model's own.
        image_size: (width, height) of the generated images, pixels.
        correspondence: let the views attend to each other where they show the same surface.
        shared_noise: start places that show the same surface from the same noise.
        fusion: let views agree on their shared surface at each step.
        between: views to generate between any two consecutive keyframes.
        joint_views: most views to generate at once; fewer need less memory.
        panorama: generate the views of a panorama (square, as wide as `image_size`) from a point inside the scene,
            instead of views along its trajectory.
        upscale: how many times larger to make the generated images; 1 = leave them.
        upscale_tile: side of the tiles that this works on, pixels of the large images; None = whole images.
        keyframes: which frames: "auto" (photos: all, or the best 120 of more; generated: as many as see the scene with
            overlap), "all", a number, "every:N", or ids "0,16,32".
        refine_poses: refine cameras photometrically where that lowers the error enough; generated images need none.
        texture_size: side of a texture page, texels.
        texels_per_metre: density to keep, on as many pages as that takes; None = the highest that one page holds.
        packer: what cuts and packs the charts: "uvunwrap", or "xatlas" (extra ``[xatlas]``).
        close_holes: size, metres, of the largest holes that get faces of their own, as in `load_scene`; None = none do.
        strict: raise what does not look right about the scene as an `InputError`, before anything is generated.
        progress: show progress bars on stderr.
        checks: what `check_scene` said of the scene; None = it is asked.

    Raises:
        InputError: as in `run_stages`; options of generation without a prompt.

    Example:
        >>> import scenetex
        >>> scene = scenetex.load_scene("scenes/sample_room")
        >>> room = scenetex.texture_scene(scene, keyframes="2", texture_size=512, refine_poses=False)
        >>> room.textures[0].shape
        (512, 512, 3)

        From a sentence, by the small model that comes with the package (one step is far too few, but quick):

        >>> room = scenetex.texture_scene(
        ...     scene, prompt="a bedroom with sage green walls", steps=1, image_size=(64, 48), keyframes="2", between=0,
        ...     texture_size=512, device="cpu",
        ... )
        >>> room.textures[0].shape
        (512, 512, 3)
    """
    generating: dict[str, Any] = {
        "negative_prompt": negative_prompt,
        "model": model,
        "mvdiffusion_checkpoint": mvdiffusion_checkpoint,
        "controlnet": controlnet,
        "seed": seed,
        "device": device,
        "steps": steps,
        "guidance_scale": guidance_scale,
        "image_size": image_size,
        "correspondence": correspondence,
        "shared_noise": shared_noise,
        "fusion": fusion,
        "between": between,
        "joint_views": joint_views,
        "panorama": panorama,
        "upscale": upscale,
        "upscale_tile": upscale_tile,
    }
    if prompt is None:
        usual = signature(texture_scene).parameters
        given = [name for name, value in sorted(generating.items()) if value != usual[name].default]
        if given:
            raise InputError(f"texture_scene: {', '.join(given)} given, but no prompt; add prompt='...'")
    result = run_stages(
        scene,
        generation=None if prompt is None else Generation.of({"prompt": prompt, **generating}),
        keyframes=keyframes,
        refine_poses=refine_poses,
        texture_size=texture_size,
        texels_per_metre=texels_per_metre,
        packer=packer,
        close_holes=close_holes,
        strict=strict,
        progress=progress,
        checks=checks,
    )
    for finding in result.checks.findings if result.checks else ():
        warnings.warn(f"{scene.name}: {finding.message}", InputWarning, stacklevel=2)
    return result.mesh


@checked
def run_stages(
    scene: Scene,
    *,
    generation: Generation | None = None,
    keyframes: Annotated[str, KEYFRAMES] = "auto",
    refine_poses: bool = True,
    texture_size: Annotated[int, TEXTURE] = 2048,
    texels_per_metre: Annotated[float | None, DENSITY] = None,
    packer: Packer = "uvunwrap",
    close_holes: Annotated[float | None, CLOSE_HOLES] = None,
    strict: bool = False,
    progress: bool = False,
    checks: Checks | None = None,
    stages: Stages | None = None,
    model: "Callable[[Generation], MVDiffusionPipeline | MVDiffusionPanoramaPipeline]" = load_model,
) -> Result:
    """Runs scene -> keyframes -> views -> images -> atlas -> texture.

    Args:
        scene: from `load_scene`.
        generation: how to generate images; None = paint with the trajectory's own photos.
        keyframes: which frames: "auto" (photos: all, or the best 120 of more; generated: as many as see the scene with
            overlap), "all", a number, "every:N", or ids "0,16,32".
        refine_poses: refine cameras photometrically where that lowers the error enough; generated images need none.
        texture_size, texels_per_metre, packer: as in `unwrap`.
        close_holes: size, metres, of the largest holes that get faces of their own, as in `load_scene`; None = none do.
        strict: raise what does not look right about the scene as an `InputError`, before anything is generated.
        progress: show progress bars on stderr.
        checks: what `check_scene` says of the scene; default: it is asked.
        stages: shows and times the stages, and finds or keeps on disk what takes long; default: keeps nothing.
        model: loads the pipeline that generates; called only where images have to be generated.

    Raises:
        InputError: an option out of range, a scene without photos, a photo that cannot be read, a trajectory that sees
            nothing of the mesh, a model that cannot be loaded; with `strict`, a scene that does not look right.

    Example:
        >>> import scenetex
        >>> scene = scenetex.load_scene("scenes/sample_room")
        >>> result = scenetex.run_stages(scene, keyframes="0,12", texture_size=512, refine_poses=False)
        >>> result.views.frame_ids
        (0, 12)
    """
    stages = stages or Stages(bars if progress else silent)
    refinement = None
    checks = checks or run_checks(scene, stages, keyframes if generation is None else "auto")
    if strict:
        refuse(checks)
    scene = checks.scene if close_holes is None else with_holes_closed(checks.scene, close_holes)
    unwrapping = partial(lay_out, scene, stages, texture_size, texels_per_metre, packer)
    with _beside() as beside, stages.stage("total"):
        if generation is not None:
            pipe = prepare_model(generation, stages, model)
        # uvunwrap works outside Python's lock: it has a core of its own while images are made and cameras refined.
        layout: Layout = unwrapping if threads() == 1 else beside.submit(unwrapping)
        if generation is None:
            views, pictures, refinement = _photos(scene, keyframes, refine_poses, stages)
            is_key = (True,) * len(views)
        else:
            views, pictures, is_key = make_images(scene, generation, keyframes, stages, pipe, progress)
        mesh = _bake(scene, layout, views, pictures, stages, generated=generation is not None)
    return Result(mesh, views, pictures, is_key, refinement, stages.seconds, checks)


def run_checks(scene: Scene, stages: Stages, keyframes: str = "auto") -> Checks:
    """`check_scene` as a stage; what it finds is among the warnings of the run.

    Raises:
        InputError: no frame sees anything of the mesh: there is nothing to go on with.
    """
    with stages.stage("check"):
        checks = check_scene(scene, keyframes)
        refuse_unseen(checks)
    stages.warnings += [finding.message for finding in checks.findings]
    return checks


@contextmanager
def _beside() -> Iterator[ThreadPoolExecutor]:
    """A thread beside this one, which is waited for at the end, but not after Ctrl-C: unwrapping cannot be stopped."""
    pool = ThreadPoolExecutor(1)
    try:
        yield pool
    except KeyboardInterrupt:
        pool.shutdown(wait=False, cancel_futures=True)
        raise
    except BaseException:
        pool.shutdown()
        raise
    pool.shutdown()


def lay_out(scene: Scene, stages: Stages, texture_size: int, texels_per_metre: float | None, packer: Packer) -> Atlas:
    """The atlas, `unwrap` as a stage."""
    with stages.stage("unwrap"):
        found = stages.recall("unwrap")
        if found is not None:
            return Atlas(**found)
        atlas = unwrap(scene.mesh, texture_size, texels_per_metre=texels_per_metre, packer=packer)
        stages.keep("unwrap", **vars(atlas))
    return atlas


def prepare_model(generation: Generation, stages: Stages, model: Callable[[Generation], T]) -> Callable[[], T]:
    """What gives the pipeline; it is loaded right away, so that its errors come first, unless all images are there."""

    @cache
    def pipe() -> T:
        with stages.stage("model"):
            return model(generation)

    if not stages.has("images"):
        pipe()
    return pipe


def make_images(
    scene: Scene,
    generation: Generation,
    keyframes: str,
    stages: Stages,
    pipe: "Callable[[], MVDiffusionPipeline | MVDiffusionPanoramaPipeline]",
    progress: bool = False,
) -> tuple[ViewSet, list[np.ndarray], tuple[bool, ...]]:
    """Keyframes and what `generate_images` makes of them; `pipe` from `prepare_model`."""
    frame_ids = [] if generation.panorama else _frames(scene, keyframes, stages, photos=False)
    return generate_images(pipe, scene, frame_ids, generation, stages, progress)


def _photos(
    scene: Scene, keyframes: str, refine_poses: bool, stages: Stages
) -> tuple[ViewSet, list[np.ndarray], RefinedCameras | None]:
    """Views, photos and what refinement found."""
    frame_ids = _frames(scene, keyframes, stages, photos=True)
    with stages.stage("photos", len(frame_ids)) as done:
        pictures, masks = read_masked_photos(scene, frame_ids, done)
        stages.notes += [said for said in about_masks(frame_ids, masks) if said not in stages.notes]
    size = pictures[0].shape[1], pictures[0].shape[0]
    refinement = None
    if refine_poses:
        with stages.stage("refine", refinement_steps()) as done:
            refinement = _refined(scene, frame_ids, pictures, masks, stages, done)
    with stages.stage("render", len(frame_ids)) as done:
        coarse = depth_size(size)
        views = _final_views(scene, frame_ids, coarse, refinement, done)
    _check_sight(scene, views)
    views = mask_views(views, masks)
    _check_sight(scene, views, "what masks leave of the photos shows nothing of the mesh; check that black hides")
    return views, pictures, refinement


def depth_size(size: tuple[int, int]) -> tuple[int, int]:
    """(width, height) of the depth maps that photos of `size` are baked with."""
    shortest, longest = _DEPTH_SIDES
    share = max(_DEPTH_SHARE, min(min(size) / shortest, max(size) / longest))
    width, height = (max(1, int(side // share)) for side in size)
    return width, height


def _frames(scene: Scene, keyframes: str, stages: Stages, photos: bool) -> list[int]:
    """`choose_frames` as a stage."""
    with stages.stage("keyframes"):
        found = stages.recall("keyframes")
        frame_ids = choose_frames(scene, keyframes, photos) if found is None else found["ids"].tolist()
        if found is None:
            stages.keep("keyframes", ids=frame_ids)
    missing = about_missing(scene, keyframes, frame_ids)
    stages.notes += [missing] if missing and missing not in stages.notes else []
    return frame_ids


def _refined(
    scene: Scene, frame_ids: list[int], pictures: list[np.ndarray], masks: list[Mask], stages: Stages, done: Done
) -> RefinedCameras:
    """`refine_cameras` as a stage, on coarse views."""
    found = stages.recall("refine")
    if found is not None:
        return RefinedCameras(**found | {"size": tuple(found["size"].tolist())})
    height, width = pictures[0].shape[:2]
    glances = render_views(scene, frame_ids, small_size((width, height), _GLANCE))
    _check_sight(scene, glances)
    refinement = refine_cameras(scene.mesh, mask_views(glances, masks), pictures, done)
    stages.keep("refine", **vars(refinement))
    return refinement


def _check_sight(
    scene: Scene,
    views: ViewSet,
    said: str = "no frame sees the mesh; check that poses and mesh share one frame and unit (metres)",
) -> None:
    if not (views.face_id >= 0).any():
        raise InputError(f"{scene.path or scene.name}: {said}")


@checked
def choose_frames(scene: Scene, keyframes: Annotated[str, KEYFRAMES], photos: bool = True) -> list[int]:
    """Frame ids for the `keyframes` option of `run_stages`; `photos`: they are to be painted with their photos."""
    if keyframes == "auto" and not photos:
        return select_keyframes(scene, sharpness=False)
    asked = read_keyframes(keyframes, "keyframes")
    if keyframes == "all" or (keyframes == "auto" and len(scene.frames) <= MOST_PHOTOS):
        return [frame.id for frame in scene.frames]
    if keyframes == "auto":
        return select_keyframes(scene, count=MOST_PHOTOS, connected=False)
    by_sight: dict[str, Any] = {"sharpness": photos, "connected": not photos} if "count" in asked else {}
    return select_keyframes(scene, **asked, **by_sight)


def about_missing(scene: Scene, keyframes: str, frame_ids: list[int]) -> str | None:
    """What the user should know of frames that were asked for by number, but are not there."""
    count = read_keyframes(keyframes, "keyframes").get("count", 0)
    if len(frame_ids) >= count:
        return None
    return f"{count} keyframes asked for, but there are {len(scene.frames)} frames; {len(frame_ids)} were taken"


def read_photos(scene: Scene, frame_ids: list[int], done: Done = lambda: None) -> list[np.ndarray]:
    """The frames' photos, (h, w, 3) uint8, all brought to the size of the first; what masks hide has colours of beside.

    Raises:
        InputError: a frame has no photo, or it cannot be read.
    """
    return read_masked_photos(scene, frame_ids, done)[0]


def read_masked_photos(
    scene: Scene, frame_ids: list[int], done: Done = lambda: None
) -> tuple[list[np.ndarray], list[Mask]]:
    """As `read_photos`, and which of their pixels count: (h, w) bool each, or None for all.

    Raises:
        InputError: as `read_photos`; a mask that cannot be read or is of another size; masks that leave nothing.
    """
    sizes = [scene.frame(i).camera.size for i in frame_ids]
    pixels = [w * h for w, h in sizes]
    need(4 * sum(pixels) + _PAINTED * max(pixels, default=0), f"{len(sizes)} photos:")

    def read(frame_id: int) -> tuple[np.ndarray, Mask]:
        frame = scene.frame(frame_id)
        mask = frame.read_mask()
        image = mask_image(frame.read_color(), mask)
        done()
        return image, mask

    with ThreadPoolExecutor(threads()) as pool:
        pictures, masks = map(list, zip(*pool.map(read, frame_ids), strict=True))
    if not any(mask is None or mask.any() for mask in masks):
        where = scene.path or scene.name
        raise InputError(f"{where}: masks leave nothing of any photo; black hides, so turn black and white around")
    height, width = pictures[0].shape[:2]
    return [
        p if p.shape[:2] == (height, width) else cv2.resize(p, (width, height), interpolation=cv2.INTER_AREA)
        for p in pictures
    ], [mask if mask is None else resize_mask(mask, (width, height)) for mask in masks]


def about_masks(frame_ids: list[int], masks: list[Mask]) -> list[str]:
    """What the user should know of masks: how much they hide, and whether that is all of a photo."""
    hidden = {i: 1 - mask.mean() for i, mask in zip(frame_ids, masks, strict=True) if mask is not None}
    if not hidden:
        return []
    empty = [i for i, part in hidden.items() if part == 1]
    share = sum(hidden.values()) / len(masks)
    said = [f"masks hide {100 * share:.1f} % of the photos, in {len(hidden)} of {len(masks)}"]
    return said + ([f"masks leave nothing of {len(empty)} photos, such as frame {empty[0]}"] if empty else [])


def _final_views(
    scene: Scene, frame_ids: list[int], size: tuple[int, int], refinement: RefinedCameras | None, done: Done
) -> ViewSet:
    if refinement is None or not refinement.accepted:
        return render_views(scene, frame_ids, size, done=done)
    glance = refinement.size
    intrinsics = np.stack([Camera(k, *glance).resized(size).intrinsics for k in refinement.intrinsics])
    return cast_views(scene.mesh, intrinsics, refinement.cam_to_world, size, tuple(frame_ids), done=done)


def _bake(
    scene: Scene, layout: Layout, views: ViewSet, pictures: list[np.ndarray], stages: Stages, generated: bool
) -> TexturedMesh:
    """Survey and paint, the two halves of `bake`, as stages; the survey does not need the atlas yet."""
    found = stages.recall("paint")
    if found is not None:
        pages = {name: tuple(found[name]) for name in ("textures", "coverage", "generated")}
        return TexturedMesh(scene.mesh, _await(layout, stages), texels=found["texels"], **pages)
    with stages.stage("survey"):
        seen_by = survey(scene.mesh, views, pictures)
    atlas = _await(layout, stages)
    with stages.stage("paint", len(views)) as done:
        mesh = paint(scene.mesh, atlas, seen_by, done, generated=generated)
        kept = {name: getattr(mesh, name) for name in ("textures", "coverage", "generated", "texels")}
        stages.keep("paint", **kept)
    return mesh


def _await(layout: Layout, stages: Stages) -> Atlas:
    """The atlas; a bar without an end while it takes longer than the stages beside it."""
    if not isinstance(layout, Future):
        return layout()
    with stages.stage("waiting for unwrap", 0) as done:
        while not layout.done():
            time.sleep(0.02)
            done()
    return layout.result()
