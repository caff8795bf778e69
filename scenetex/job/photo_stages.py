"""The stages that photos go through before they are baked: which frames, their pixels, refined cameras, views."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Any

import cv2
import numpy as np

from ..errors import InputError
from ..limits import KEYFRAMES, checked, read_keyframes
from ..process.memory import need
from ..process.threads import one_blas_thread, threads
from ..scene.camera import Camera, small_size
from ..scene.scene import Scene
from ..texture.photo_reader import Pictures
from ..texture.refine import RefinedCameras, refine_cameras, refinement_steps
from ..views.keyframes import select_keyframes
from ..views.masking import Mask, mask_image, mask_views, resize_mask
from ..views.viewset import ViewSet, cast_views, render_views
from .stages import Done, Stages

ALL_PHOTOS = 120  # up to so many are all used; of more, those that it takes for
LOOKS = 8  # photos from nearby of each place: further ones cost time and hardly add detail
_GLANCE = 160  # width of the depth maps that refinement works with
_DEPTH_SHARE = 2  # photos over the depth maps they are baked with: costs 0.02 dB, saves a sixth of the time
_READ = 8  # bytes for each pixel of a photo that is being read, which each thread does
_PAINTED = 60  # bytes for each pixel of the photo that is being painted
_DEPTH_SIDES = 400, 2400  # pixels of the maps' shorter and longer side, beyond which photos of 100 megapixels leave off
# Pixels of all maps together, 12 bytes each; and those that a map has at the least, however many there are.
_DEPTH_PIXELS, _LEAST_DEPTH = 1 << 25, 320 * 240
# Views, an image for each, which of them are keyframes, and what refinement found.
Made = tuple[ViewSet, Sequence[np.ndarray], tuple[bool, ...], RefinedCameras | None]


@one_blas_thread()
def photo_stages(scene: Scene, keyframes: str, refine_poses: bool, stages: Stages) -> Made:
    """Views, photos, which are keyframes (all), and what refinement found.

    Photos are read whole twice, here and to be painted with, and are never all in memory.
    """
    frame_ids = frames_stage(scene, keyframes, stages, photos=True)
    with stages.stage("photos", len(frame_ids)) as done:
        pictures, masks = look_through(scene, frame_ids, done)
        for said in about_masks(frame_ids, masks):
            stages.note(said)
    # Photos that stand upright and photos that lie have a depth map of the same size, which is fine enough for both.
    size = max(width for width, _ in pictures.sizes), max(height for _, height in pictures.sizes)
    refinement = None
    if refine_poses:
        with stages.stage("refine", refinement_steps()) as done:
            refinement = _refined(scene, frame_ids, pictures, masks, stages, done)
    with stages.stage("render", len(frame_ids)) as done:
        coarse = depth_size(size, len(frame_ids))
        views = _final_views(scene, frame_ids, coarse, refinement, done)
    _check_sight(scene, views)
    views = mask_views(views, masks)
    _check_sight(scene, views, "what masks leave of the photos shows nothing of the mesh; check that black hides")
    return views, pictures, (True,) * len(views), refinement


def depth_size(size: tuple[int, int], count: int = 1) -> tuple[int, int]:
    """(width, height) of the depth maps that `count` photos of `size` are baked with."""
    shortest, longest = _DEPTH_SIDES
    most = max(_DEPTH_PIXELS / count, _LEAST_DEPTH)
    share = max(_DEPTH_SHARE, min(min(size) / shortest, max(size) / longest), (size[0] * size[1] / most) ** 0.5)
    width, height = (max(1, int(side // share)) for side in size)
    return width, height


def frames_stage(scene: Scene, keyframes: str, stages: Stages, photos: bool) -> list[int]:
    """`choose_frames` as a stage."""
    with stages.stage("keyframes"):
        found = stages.recall("keyframes")
        frame_ids = choose_frames(scene, keyframes, photos) if found is None else found["ids"].tolist()
        if found is None:
            stages.keep("keyframes", ids=frame_ids)
    missing = about_missing(scene, keyframes, frame_ids)
    if missing:
        stages.note(missing)
    return frame_ids


def _refined(
    scene: Scene, frame_ids: list[int], pictures: Pictures, masks: list[Mask], stages: Stages, done: Done
) -> RefinedCameras:
    """`refine_cameras` as a stage, on coarse views."""
    found = stages.recall("refine")
    if found is not None:
        return RefinedCameras(**found | {"size": tuple(found["size"].tolist())})
    size = max(width for width, _ in pictures.sizes), max(height for _, height in pictures.sizes)
    glances = render_views(scene, frame_ids, small_size(size, _GLANCE))
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
    if keyframes == "all" or (keyframes == "auto" and len(scene.frames) <= ALL_PHOTOS):
        return [frame.id for frame in scene.frames]
    if keyframes == "auto":
        return select_keyframes(scene, looks=LOOKS)
    by_sight: dict[str, Any] = {"sharpness": photos, "connected": not photos} if "count" in asked else {}
    return select_keyframes(scene, **asked, **by_sight)


def about_missing(scene: Scene, keyframes: str, frame_ids: list[int]) -> str | None:
    """What the user should know of frames that were asked for by number, but are not there."""
    count = read_keyframes(keyframes, "keyframes").get("count", 0)
    if len(frame_ids) >= count:
        return None
    return f"{count} keyframes asked for, but there are {len(scene.frames)} frames; {len(frame_ids)} were taken"


def open_photos(scene: Scene, frame_ids: list[int]) -> Pictures:
    """The frames' photos, each of its own size, read when they are looked at; what masks hide has colours of beside.

    Reading one raises InputError where it is absent or damaged, or where its mask is.
    """
    frames = [scene.frame(i) for i in frame_ids]

    def read(i: int) -> np.ndarray:
        return mask_image(frames[i].read_color(), frames[i].read_mask())

    return Pictures([frame.camera.size for frame in frames], read)


def look_through(scene: Scene, frame_ids: list[int], done: Done = lambda: None) -> tuple[Pictures, list[Mask]]:
    """`open_photos`, each of which was read once and is kept small; and which of the pixels of these count.

    Raises:
        InputError: a frame has no photo, or it cannot be read; a mask that cannot be read or is of another size; masks
            that leave nothing.
    """
    pictures = open_photos(scene, frame_ids)
    largest = max((width * height for width, height in pictures.sizes), default=0)
    need(_READ * pictures.at_once * largest, f"{len(pictures)} photos:")

    def look(i: int) -> Mask:
        # A photo is told to be damaged before its mask is.
        small = pictures.small[i]
        mask = scene.frame(frame_ids[i]).read_mask()
        done()
        return mask if mask is None else resize_mask(mask, (small.shape[1], small.shape[0]))

    with ThreadPoolExecutor(pictures.at_once) as pool:
        masks = list(pool.map(look, range(len(pictures))))
    _refuse_nothing(scene, masks)
    return pictures, masks


def _refuse_nothing(scene: Scene, masks: list[Mask]) -> None:
    if not any(mask is None or mask.any() for mask in masks):
        where = scene.path or scene.name
        raise InputError(f"{where}: masks leave nothing of any photo; black hides, so turn black and white around")


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
    _refuse_nothing(scene, masks)
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
