"""The images of a result folder: read back with their cameras, and measured beside the scene's photos."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from ..errors import InputError
from ..files.output import check_file
from ..files.reading import only_inside
from ..job.result_folder import ImageCamera, ResultFolder
from ..scene.load import load_scene
from ..scene.scene import Scene
from ..texture.bake import bake
from ..texture.unwrap import unwrap
from ..views.masking import Mask, mask_image, mask_views
from ..views.viewset import ViewSet, cast_views
from .atlas_scores import measure_atlas
from .detail_scores import edge_agreement, measure_detail
from .overlap import overlap_scores
from .score_table import Figure


@dataclass(frozen=True, eq=False)
class ImageFolder:
    """Images and what belongs to them.

    Attributes:
        scene: the scene they show.
        views: m views of the images' size.
        images: m images (h, w, 3) uint8 sRGB.
        photos: the same frames' photos at that size, or None where the scene does not have them all.
        prompt: what they were generated from, or None.
    """

    scene: Scene
    views: ViewSet
    images: list[np.ndarray]
    photos: list[np.ndarray] | None
    prompt: str | None


def read_images(folder: Path, scene_path: Path, allow_outside: bool = False, output: Path | None = None) -> ImageFolder:
    """Reads what `scenetex texture` wrote.

    Args:
        folder: the result folder of a scene, or its views folder.
        scene_path: the scene.
        allow_outside: read files outside both folders where names or symlinks in them lead there.
        output: file that will be written; none that is read, wherever it lies.

    Raises:
        InputError: no images or cameras there, cameras that are no cameras, images of different sizes, a scene that
            cannot be loaded, `output` among what is read.
    """
    folder = Path(folder)
    result = ResultFolder.around(folder)
    with only_inside(None if allow_outside else result.report_path.parent.absolute()):
        cameras = result.read_cameras()
        known = result.read_report() if result.report_path.is_file() else {}
        settings = known.get("settings")
        scene = _scene(scene_path, settings if isinstance(settings, dict) else {}, allow_outside)
        if output is not None:
            check_file(output, [*scene.places(), *result.views.glob("*"), result.report_path])
        if not cameras:
            raise InputError(f"{result.cameras_path}: names no camera; texture the scene again")
        images = _read_all(result, cameras)
    ids = [camera.frame_id for camera in cameras]
    intrinsics, poses = (
        np.stack([getattr(camera, name) for camera in cameras]) for name in ("intrinsics", "cam_to_world")
    )
    views = cast_views(scene.mesh, intrinsics, poses, images[0].shape[1::-1], tuple(ids))
    if not (views.depth > 0).any():
        raise InputError(f"{folder}: its cameras do not see the mesh of {scene.name}; pass the scene that was textured")
    prompt = known.get("prompt")
    photos, masks = _photos(scene, ids, images[0].shape[1::-1])
    views = mask_views(views, masks)
    return ImageFolder(scene, views, images, photos, prompt if isinstance(prompt, str) else None)


def _scene(path: Path, settings: dict, allow_outside: bool) -> Scene:
    """The scene as it was textured."""
    scale = settings.get("mesh_scale", 1.0)
    if not isinstance(scale, int | float) or isinstance(scale, bool):
        raise InputError(f"{path}: the result's mesh_scale is no number; texture the scene again")
    closed = settings.get("close_holes")
    if closed is not None and (not isinstance(closed, int | float) or isinstance(closed, bool) or closed <= 0):
        raise InputError(f"{path}: the result's close_holes is no size; texture the scene again")
    align, flip = bool(settings.get("align")), bool(settings.get("flip_faces"))
    return load_scene(path, align, allow_outside, float(scale), flip, closed)


def _read_all(result: ResultFolder, cameras: Sequence[ImageCamera]) -> list[np.ndarray]:
    """Images (h, w, 3) of one size."""
    images: list[np.ndarray] = []
    for camera in cameras:
        images.append(result.read_image(camera))
        if images[-1].shape != images[0].shape:
            path = result.image_path(camera)
            raise InputError(f"{path}: is not of the first image's size; all have to be of one size")
    return images


def score_images(
    found: ImageFolder, texture_size: int | None = None, done: Callable[[], None] = lambda: None
) -> list[Figure]:
    """The figures of a folder's images.

    Args:
        found: from `read_images`.
        texture_size: side of the page to bake the images on for the atlas's figures; None = none of these.
        done: called after each pair of views.
    """
    views, sets = found.views, [found.images] if found.photos is None else [found.images, found.photos]
    overlaps = overlap_scores(views, sets, done=done)
    masks = [depth > 0 for depth in views.depth]
    details, edges = [measure_detail(s, masks) for s in sets], [edge_agreement(views, s) for s in sets]
    figures = [
        Figure("pairs", "pairs of overlapping views", float(len(overlaps[0].pairs))),
        Figure("psnr", "overlap PSNR", overlaps[0].mean, "dB"),
        Figure("sharpness", "sharpness", details[0].sharpness, "grey levels / pixel"),
        Figure("contrast", "standard deviation", details[0].contrast, "grey levels"),
        Figure("edges", "edge agreement with the depth", edges[0]),
    ]
    if found.photos is not None:
        figures += [
            Figure("psnr_photos", "overlap PSNR of the photos", overlaps[1].mean, "dB"),
            Figure("psnr_ratio", "overlap PSNR / photos'", _ratio(overlaps[0].mean, overlaps[1].mean)),
            Figure("sharpness_ratio", "sharpness / photos'", _ratio(details[0].sharpness, details[1].sharpness)),
            Figure("contrast_ratio", "standard deviation / photos'", _ratio(details[0].contrast, details[1].contrast)),
            Figure("edges_ratio", "edge agreement / photos'", _ratio(edges[0], edges[1])),
        ]
    if texture_size is not None:
        mesh = found.scene.mesh
        textured = bake(mesh, unwrap(mesh, texture_size), views, found.images)
        atlas = measure_atlas(textured, views, found.images)
        figures += [
            Figure("coverage", "atlas: texels that a view saw", atlas.coverage),
            Figure("seam_difference", "atlas: difference across chart seams", atlas.seam_difference, "grey levels"),
            Figure("inner_difference", "atlas: difference inside charts", atlas.inner_difference, "grey levels"),
            Figure("seam_energy", "atlas: seam energy, 1 = no seam shows", atlas.seam_energy),
            Figure("atlas_sharpness", "atlas: sharpness of renders / images'", atlas.sharpness),
        ]
    return figures


def _photos(scene: Scene, ids: list[int], size: tuple[int, int]) -> tuple[list[np.ndarray] | None, list[Mask]]:
    """The frames' photos, resized, and which of their pixels count; no photos unless all are there."""
    frames = {frame.id: frame for frame in scene.frames}
    if not all(i in frames and frames[i].color is not None for i in ids):
        return None, [None] * len(ids)
    masks = [frames[i].read_mask() for i in ids]
    photos = [mask_image(frames[i].read_color(), mask) for i, mask in zip(ids, masks, strict=True)]
    return [cv2.resize(photo, size, interpolation=cv2.INTER_AREA) for photo in photos], masks


def _ratio(value: float, reference: float) -> float:
    return value / reference if reference and np.isfinite(reference) else float("nan")
