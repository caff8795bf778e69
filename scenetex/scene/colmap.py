"""A COLMAP model beside a mesh in its frame: `cameras` and `images` as .bin or .txt, photos in `images/`.

Frames of reference. COLMAP's cameras have OpenCV's axes; its poses lead from world to camera, its pixel centres lie at
0.5. Both are turned round here. A reconstruction has no scale of its own: units are taken as metres, and the world's z
as up, so a model of another scale or frame should be moved first, together with its mesh (colmap model_aligner).
"""

import os
import re
from pathlib import Path

import numpy as np

from ..errors import InputError, shown
from .camera import Camera
from .colmap_model import ColmapCamera, ColmapImage, is_model, read_model
from .frame import Frame
from .image_source import ImageSource, image_size
from .mesh_file import find_mesh, mesh_files, read_mesh
from .named_file import NamedFiles
from .ply import is_cloud
from .scannet import camera_for, split_lost
from .scene import Scene
from .transforms_json import frame_numbers

# Where the model lies in a scene's folder, and the photos it speaks of. Undistorted ones come first.
_PLACES = (
    ("dense/sparse", "dense/images"),
    ("dense/0/sparse", "dense/0/images"),
    ("0/sparse", "0/images"),
    ("", "images"),
    ("sparse/0", "images"),
    ("sparse", "images"),
    ("colmap/sparse/0", "images"),
    ("colmap", "images"),
)
_MODEL_FOLDER = re.compile(r"[/\\]sparse([/\\]\d+)?$", re.ASCII)
_MESHES = ("meshed-delaunay.ply", "meshed-poisson.ply")


def project_folder(folder: Path) -> Path:
    """The project that a model's own folder (`sparse/0`, `dense/0/sparse`) is a part of; any other folder is itself."""
    if not _MODEL_FOLDER.search(os.path.abspath(folder)) or not is_model(folder) or (folder / "images").is_dir():
        return folder
    path = Path(os.path.abspath(folder))
    project = path.parent if path.name == "sparse" else path.parent.parent
    return project if any((project / photos).is_dir() for _, photos in _PLACES) else folder


def find_model(folder: Path) -> tuple[Path, Path] | None:
    """Folder of the COLMAP model and folder of its photos, or None.

    A model of undistorted photos is never joined to the photos before that, nor the reverse.

    Raises:
        InputError: there are several models.
    """
    project = project_folder(folder)
    if project != folder:
        photos = project / "images"
        return (folder, photos) if photos.is_dir() else find_model(project)
    for place, images in _PLACES:
        model, photos = folder / place, folder / images
        if not is_model(model) or (images != "images" and not photos.is_dir()):
            continue
        before, numbered, after = place.rpartition("0")
        if numbered and is_model(folder / f"{before}1{after}"):
            raise InputError(f"{folder / before}: several models; keep the one that the mesh was made of, as 0")
        return model, photos if photos.is_dir() else folder
    return None


def load_colmap(folder: Path, model: Path, images: Path, name: str) -> Scene:
    """Reads the model's registered images and the mesh of `folder` (or of its `dense/`).

    Ids are the numbers photo names end with, or positions in order of the names if these are not unique. Images whose
    photo is not there are left out. Lens distortion is undone when a photo is read.

    Raises:
        InputError: what `load_scene` says of this layout.
    """
    cameras, registered = read_model(model)
    files = NamedFiles(images)
    photos = {image.name: files.find(image.name) for image in registered}
    kept = sorted((image for image in registered if photos[image.name]), key=lambda image: image.name)
    if not kept:
        first = shown(registered[0].name)
        raise InputError(f"{images}: none of the model's images is there, such as {first}; add the photos")
    numbers = dict(zip((image.name for image in kept), frame_numbers([image.name for image in kept]), strict=True))
    kept.sort(key=lambda image: numbers[image.name])
    poses = np.stack([image.cam_to_world for image in kept])
    tracked, skipped, poses = split_lost(range(len(kept)), poses, [f"{i.where}: pose" for i in kept], model)
    sizes: dict[int, tuple[int, int]] = {}
    frames = []
    for i, pose in zip(tracked, poses, strict=True):
        image = kept[i]
        camera, distortion = _camera(cameras[image.camera], image, photos[image.name], sizes)
        fisheye = cameras[image.camera].is_fisheye
        source = ImageSource(photos[image.name], distortion=distortion, fisheye=fisheye)
        frames.append(Frame(id=numbers[image.name], cam_to_world=pose, camera=camera, color=source))
    mesh = read_mesh(_find_mesh(folder, model, name))
    without_photo = tuple(sorted(image.name for image in registered if not photos[image.name]))
    return Scene(name, mesh, tuple(frames), tuple(numbers[kept[i].name] for i in skipped), folder, without_photo)


def _camera(
    stored: ColmapCamera, image: ColmapImage, photo: Path, sizes: dict[int, tuple[int, int]]
) -> tuple[Camera, tuple[float, ...] | None]:
    """The camera of photos as they are stored; of those with one camera only the first is opened to see its size."""
    if image.camera not in sizes:
        sizes[image.camera] = image_size(ImageSource(photo), str(photo), stored.size)
    intrinsics, distortion = stored.pinhole()
    found, given = sizes[image.camera], stored.size
    camera = camera_for(intrinsics, given, found, str(photo))
    # Undistorting crops by some pixels, which is not how photos are made smaller.
    if min(abs(found[0] * given[1] / given[0] - found[1]), abs(found[1] * given[0] / given[1] - found[0])) > 1:
        raise InputError(
            f"{photo}: photo is {found[0]}x{found[1]}, its camera {given[0]}x{given[1]}, which is no plain scaling; "
            "undistorted photos belong to the model beside them (dense/sparse), all others to sparse/0"
        )
    return camera, distortion


def _find_mesh(folder: Path, model: Path, name: str) -> Path:
    """The project's mesh; where it has none, that beside the model, or beside the undistorted photos.

    Of COLMAP's own meshes Poisson's comes first. Clouds of points are left out: `fused.ply` is COLMAP's dense cloud,
    which its meshes are made from.
    """
    clouds = []
    places = (folder, model.parent, model, folder / "dense" / "0", folder / "dense", folder / "0")
    has_others = any(mesh_files(place, place / "fused.ply") for place in places if place.is_dir())
    for place in places:
        cloud = place / "fused.ply"
        if cloud.is_file() and is_cloud(cloud, has_others):
            clouds.append(cloud)
        besides = cloud if cloud in clouds else None
        files = mesh_files(place, besides) if place.is_dir() else []
        if [path.name for path in files] == list(_MESHES):
            return place / _MESHES[1]
        if files:
            return find_mesh(place, name, besides)
    if clouds:
        raise InputError(
            f"{clouds[0]}: a cloud of points, and there is no mesh; make one beside it (colmap poisson_mesher "
            "--input_path fused.ply --output_path meshed-poisson.ply)"
        )
    return find_mesh(folder, name)
