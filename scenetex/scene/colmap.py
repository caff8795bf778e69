"""A COLMAP model beside a mesh in its frame: `cameras` and `images` as .bin or .txt, photos in `images/`.

Frames of reference. COLMAP's cameras have OpenCV's axes; its poses lead from world to camera, its pixel centres lie at
0.5. Both are turned round here. A reconstruction has no scale of its own: units are taken as metres, and the world's z
as up, so a model of another scale or frame should be moved first, together with its mesh (colmap model_aligner).
"""

from pathlib import Path

import numpy as np

from ..errors import InputError, shown
from .camera import Camera
from .colmap_model import ColmapCamera, ColmapImage, is_model, read_model
from .frame import Frame
from .image_source import ImageSource, image_size
from .mesh_file import find_mesh, mesh_files, read_mesh
from .ply import ply_face_count
from .scannet import camera_for, split_lost
from .scene import Scene
from .transforms_json import frame_numbers

# Where the model lies in a scene's folder, and the photos it speaks of. Undistorted ones come first.
_PLACES = (
    ("dense/sparse", "dense/images"),
    ("dense/0/sparse", "dense/0/images"),
    ("", "images"),
    ("sparse/0", "images"),
    ("sparse", "images"),
    ("colmap/sparse/0", "images"),
    ("colmap", "images"),
)


def find_model(folder: Path) -> tuple[Path, Path] | None:
    """Folder of the COLMAP model and folder of its photos, or None.

    Raises:
        InputError: `sparse/` holds several models.
    """
    for place, images in _PLACES:
        model, photos = folder / place, folder / images
        if not is_model(model) or (images != "images" and not photos.is_dir()):
            continue
        if model.name == "0" and is_model(model.parent / "1"):
            raise InputError(f"{model.parent}: several models; keep the one that the mesh was made of, as 0")
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
    photos = {image.name: _photo(images, image.name) for image in registered}
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
        source = ImageSource(photos[image.name], distortion=distortion)
        frames.append(Frame(id=numbers[image.name], cam_to_world=pose, camera=camera, color=source))
    mesh = read_mesh(_find_mesh(folder, model, name))
    without_photo = tuple(sorted(image.name for image in registered if not photos[image.name]))
    return Scene(name, mesh, tuple(frames), tuple(numbers[kept[i].name] for i in skipped), folder, without_photo)


def _photo(images: Path, name: str) -> Path | None:
    try:
        return images / name if (images / name).is_file() else None
    except OSError:  # a name that no file can have
        return None


def _camera(
    stored: ColmapCamera, image: ColmapImage, photo: Path, sizes: dict[int, tuple[int, int]]
) -> tuple[Camera, tuple[float, ...] | None]:
    """The camera of photos as they are stored; of those with one camera only the first is opened to see its size."""
    if image.camera not in sizes:
        sizes[image.camera] = image_size(ImageSource(photo), str(photo))
    intrinsics, distortion = stored.pinhole()
    return camera_for(intrinsics, stored.size, sizes[image.camera], str(photo)), distortion


def _find_mesh(folder: Path, model: Path, name: str) -> Path:
    """The folder's mesh; where it has none, that beside the undistorted photos. Clouds of points are left out."""
    place = folder if mesh_files(folder) else next((p for p in (model.parent, model) if mesh_files(p)), folder)
    # `fused.ply` is COLMAP's dense cloud; the mesh was made from it and has another name.
    cloud = place / "fused.ply"
    return find_mesh(place, name, besides=cloud if cloud.is_file() and not ply_face_count(cloud) else None)
