"""The scene's cameras as scans have them: pinholes in pixels, poses in metres, exactly as Blender renders."""

from dataclasses import dataclass

import bpy
import numpy as np

from .errors import AddonError
from .photos import Photo, photo_of

_RIGID = 1e-4  # how far axes may be off right angles


@dataclass(frozen=True)
class View:
    """A camera at one time.

    Attributes:
        name: of the camera.
        size: (width, height) in pixels.
        focal: (x, y) in pixels.
        centre: principal point (x, y) in pixels from the top left corner of the image, where nerfstudio has it.
        pose: (4, 4), camera to world; metres; OpenGL axes (x right, y up, z back), which are Blender's.
        photo: what it shows, or None.
    """

    name: str
    size: tuple[int, int]
    focal: tuple[float, float]
    centre: tuple[float, float]
    pose: np.ndarray
    photo: Photo | None = None

    def entry(self) -> dict:
        """The frame of `transforms.json`, without its photo."""
        names = ("w", "h", "fl_x", "fl_y", "cx", "cy")
        numbers = dict(zip(names, (*self.size, *self.focal, *self.centre), strict=True))
        return numbers | {"transform_matrix": self.pose.tolist()}


def views_of(context, settings) -> list[View]:
    """The cameras that the settings name: all, those selected, or the active one along the timeline.

    Raises:
        AddonError: there is none, or one that is no pinhole.
    """
    with_photos = settings.images == "PHOTOS"
    if settings.cameras == "PATH":
        if with_photos:
            raise AddonError("photos are those of single cameras (their background images); choose Cameras: All")
        return _along_timeline(context, settings.frame_step)
    found = [o for o in context.view_layer.objects if o.type == "CAMERA" and o.visible_get()]
    if settings.cameras == "SELECTED":
        found = [camera for camera in found if camera.select_get()]
    if not found:
        what = "no camera is selected" if settings.cameras == "SELECTED" else "the scene has no camera"
        raise AddonError(f"{what}; add cameras that look at what is to be painted, or animate one and choose Path")
    found.sort(key=lambda camera: camera.name)
    views = [view_of(context, camera, photo_of(camera) if with_photos else None) for camera in found]
    if with_photos and not any(view.photo for view in views):
        raise AddonError("no camera has a photo; give the cameras background images, or paint from a prompt")
    return [view for view in views if view.photo or not with_photos]


def _along_timeline(context, step: int) -> list[View]:
    scene, views = context.scene, []
    before = scene.frame_current, scene.frame_subframe
    try:
        for frame in range(scene.frame_start, scene.frame_end + 1, step):
            scene.frame_set(frame)
            if scene.camera is None:  # markers may bind another to each time
                raise AddonError("the scene has no active camera; choose one (Ctrl+Numpad 0)")
            views.append(view_of(context, scene.camera))
    finally:
        scene.frame_set(before[0], subframe=before[1])
    return views


def view_of(context, camera: bpy.types.Object, photo: Photo | None = None) -> View:
    """A camera as it is now, with sensor fit, shift, pixel aspect and resolution; in the pixels of its photo if it has
    one, else of a render.

    Raises:
        AddonError: a camera that is no pinhole, or is scaled so that its axes are not at right angles; a photo of
            another shape than the render.
    """
    if camera.data.type != "PERSP":
        raise AddonError(f"camera '{camera.name}' is {camera.data.type.lower()}, not perspective; change or hide it")
    render = context.scene.render
    width = max(1, render.resolution_x * render.resolution_percentage // 100)
    height = max(1, render.resolution_y * render.resolution_percentage // 100)
    depsgraph = context.evaluated_depsgraph_get()
    # Of OpenGL: where x, y, -z of a camera land between -1 and 1.
    projection = np.array(
        camera.evaluated_get(depsgraph).calc_matrix_camera(
            depsgraph, x=width, y=height, scale_x=render.pixel_aspect_x, scale_y=render.pixel_aspect_y
        ),
        np.float64,
    )
    size = (width, height) if photo is None else photo.size
    if abs(size[0] * height / width - size[1]) > 1:
        raise AddonError(
            f"camera '{camera.name}': its photo has {size[0]} x {size[1]} pixels, a render {width} x {height}; give "
            "the render the photos' resolution"
        )
    focal = projection[0, 0] * size[0] / 2, projection[1, 1] * size[1] / 2
    centre = (1 - projection[0, 2]) * size[0] / 2, (1 + projection[1, 2]) * size[1] / 2
    return View(camera.name, size, focal, centre, _pose(context, camera, depsgraph), photo)


def _pose(context, camera: bpy.types.Object, depsgraph) -> np.ndarray:
    """(4, 4) float64, in metres; the scale of a camera and its parents does not count."""
    world = np.array(camera.evaluated_get(depsgraph).matrix_world, np.float64)
    axes = world[:3, :3] / np.linalg.norm(world[:3, :3], axis=0)
    if not np.allclose(axes.T @ axes, np.eye(3), atol=_RIGID) or np.linalg.det(axes) < 0:
        raise AddonError(f"camera '{camera.name}' is sheared or mirrored by a scale; apply the scale of its parents")
    left, _, right = np.linalg.svd(axes)  # single precision is not rigid enough
    pose = np.eye(4)
    pose[:3, :3] = left @ right
    pose[:3, 3] = world[:3, 3] * context.scene.unit_settings.scale_length
    return pose
