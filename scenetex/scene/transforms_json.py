"""nerfstudio's `transforms.json`: posed photos in one JSON file, beside a mesh.

Frames of reference. nerfstudio's cameras look along -z with y up (OpenGL); they are turned to OpenCV axes here. Its
pixel centres lie at 0.5, so principal points move by half a pixel. `applied_transform` only records what nerfstudio
did to the original reconstruction when it wrote the file: the poses in the file, and the cloud under `ply_file_path`,
are in the frame after it. The mesh is taken to be in that frame too, and `applied_transform` is left alone. A mesh in
the frame of the original reconstruction (say COLMAP's) has to be moved by `applied_transform` first. Units are taken
as metres, and the world's z as up, as nerfstudio has it.
"""

import math
import re
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import InputError, InputWarning
from ..json_file import read_json
from .camera import Camera
from .frame import Frame
from .fusion import read_or_fuse_mesh
from .image_source import ImageSource, depth_size, image_size
from .mesh import Mesh
from .mesh_file import read_mesh
from .optional_depth import optional_depth
from .ply import ply_face_count
from .pose import checked_intrinsics
from .scannet import camera_for, split_lost
from .scene import Scene

_OPENGL_TO_OPENCV = np.diag([1.0, -1.0, -1.0, 1.0])
_PINHOLE_MODELS = {"OPENCV", "PINHOLE", "SIMPLE_PINHOLE", "PERSPECTIVE", "SIMPLE_RADIAL", "RADIAL"}
_FISHEYE = "OPENCV_FISHEYE"
_DISTORTION = ("k1", "k2", "p1", "p2", "k3")  # OpenCV's order
_FISHEYE_DISTORTION = ("k1", "k2", "k3", "k4")
_OTHER_LENSES = ("ftheta_p0", "latlong", "equirectangular", "orthographic")  # instant-ngp's
_MISSING_SUFFIXES = (".png", ".jpg", ".jpeg")
_LARGEST_SIDE = 1 << 16
_LONGEST_NAME = 1024
_UNITS = 1e-9, 1e3  # metres per unit of depth
_NARROWEST = 1e-6  # radians


@dataclass(frozen=True)
class _Fields:
    """One frame's entry, which falls back to the file's global one."""

    own: dict
    common: dict
    where: str

    def number(self, key: str, default: float | None = None) -> float | None:
        value = self.own.get(key, self.common.get(key))
        if value is None:
            return default
        try:
            number = float(value)
        except (TypeError, ValueError, OverflowError):
            number = math.nan
        if not math.isfinite(number):
            raise InputError(f"{self.where}: {key} is not a number; fix it")
        return number

    def flag(self, key: str) -> bool:
        value = self.own.get(key, self.common.get(key, False))
        if value not in (True, False, None):
            raise InputError(f"{self.where}: {key} is not true or false; fix it")
        return bool(value)

    def text(self, key: str) -> str | None:
        value = self.own.get(key)
        if value is not None and not _is_file_name(value):
            raise InputError(f"{self.where}: {key} is not a file name; fix it")
        return value


def _is_file_name(value) -> bool:
    """Whether a value of JSON, which can be any, is a name the system takes and a message can print in its line."""
    if not isinstance(value, str) or not value.isprintable():
        return False
    return 0 < len(value) <= _LONGEST_NAME and all(len(part.encode()) <= 250 for part in value.split("/"))


def load_transforms(path: Path, name: str) -> Scene:
    """Reads a `transforms.json` and the mesh beside it.

    Frames whose photo is not there are left out. Ids are the numbers photo names end with, or positions in the file if
    these are not unique. Lens distortion (k1, k2, k3, p1, p2; of a fisheye k1 to k4) is undone when a photo is read.
    The mesh is the file's "mesh", or its "ply_file_path" if that has faces, or the mesh file beside it. Depth images
    that cannot be read are left out where there is a mesh.

    Raises:
        InputError: what `load_scene` says of this layout.
    """
    meta, entries = _parse(path)
    folder = path.parent
    fields = [_Fields(entry, meta, f"{path}: frame {i}") for i, entry in enumerate(entries)]
    photos = [_existing(folder, f.text("file_path")) for f in fields]
    if not any(photos) and any("file_path" in entry for entry in entries):
        first = next(entry["file_path"] for entry in entries if "file_path" in entry)
        raise InputError(f"{path}: none of its photos is there, such as {first}; put them where file_path says")
    kept = [i for i in range(len(fields)) if photos[i] or not any(photos)]
    gone = sorted(set(range(len(fields))) - set(kept))
    without_photo = tuple(fields[i].text("file_path") or f"of frame {i}" for i in gone)
    numbers = dict(zip(kept, frame_numbers([entries[i].get("file_path") for i in kept]), strict=True))
    kept.sort(key=numbers.__getitem__)

    poses = np.stack([_matrix(fields[i]) for i in kept])
    names = [f"{fields[i].where}: transform_matrix" for i in kept]
    tracked, skipped, to_world = split_lost(kept, poses, names, path)
    sizes: dict = {}
    cameras = {i: _camera(fields[i], photos[i], sizes) for i in tracked}
    colors = {i: ImageSource(photos[i], **_lens(fields[i])) for i in tracked if photos[i]}
    given = {i: source for i in tracked if (source := _depth(fields[i], folder))}
    depths = optional_depth(folder, lambda: _depth_cameras(given, cameras)) or {}
    frames = [
        Frame(
            id=numbers[i],
            cam_to_world=pose,
            camera=cameras[i],
            color=colors.get(i),
            depth=given[i] if i in depths else None,
            depth_camera=depths.get(i),
            depth_cam_to_world=pose if i in depths else None,
        )
        for i, pose in zip(tracked, to_world @ _OPENGL_TO_OPENCV, strict=True)
    ]
    if any("mask_path" in part for part in (meta, *entries)):
        said = "its masks (mask_path) are not read, and what they hide is painted, too; leave such frames out"
        warnings.warn(f"{path}: {said}, or paint the photos over there", InputWarning, stacklevel=2)
    lost = tuple(numbers[i] for i in skipped)
    return Scene(name, _mesh(meta, path, name, frames), tuple(frames), lost, folder, without_photo)


def _parse(path: Path) -> tuple[dict, list[dict]]:
    try:
        # Poses of frames whose tracking was lost are NaN, or infinite.
        meta = read_json(path, finite=False)
    except InputError:
        raise
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error}); check the file") from None
    except ValueError as error:
        raise InputError(f"{path}: {error}; write it again") from None
    entries = meta.get("frames") if isinstance(meta, dict) else None
    if not isinstance(entries, list) or not entries or not all(isinstance(entry, dict) for entry in entries):
        raise InputError(f'{path}: has no list of "frames"; scenetex reads nerfstudio\'s transforms.json')
    for part in (meta, *entries):
        model = part.get("camera_model", _FISHEYE)
        if not isinstance(model, str) or model not in _PINHOLE_MODELS | {_FISHEYE}:
            said = repr(model[:40]) if isinstance(model, str) else f"of {type(model).__name__}"
            raise InputError(f"{path}: camera model {said} is not a pinhole; {_cure(model)}")
        other = next((key for key in _OTHER_LENSES if part.get(key)), None)
        if other:
            raise InputError(f"{path}: the lens that {other} says is no pinhole; {_cure(other)}")
    return meta, entries


def _cure(model) -> str:
    """What can be done about photos of a camera that is no pinhole."""
    if str(model).lower() in ("equirectangular", "latlong"):
        return "cut views out of the panoramas first (ns-process-data images --camera-type equirectangular)"
    return "undistort the photos first"


def frame_numbers(names: list[str | None]) -> list[int]:
    """The number each file name ends with, if all have one and they differ; else positions."""
    found = [re.search(r"(\d{1,18})$", Path(name).stem, re.ASCII) if name else None for name in names]
    numbers = [int(match[1]) for match in found if match]
    return numbers if len(set(numbers)) == len(names) else list(range(len(names)))


def _existing(folder: Path, name: str | None) -> Path | None:
    """The file of that name, with the suffix that Blender's exporter leaves off, or None."""
    if name is None:
        return None
    path = folder / name
    candidates = [path] if path.suffix else [path, *(Path(f"{path}{suffix}") for suffix in _MISSING_SUFFIXES)]
    return next((candidate for candidate in candidates if candidate.is_file()), None)


def _matrix(fields: _Fields) -> np.ndarray:
    """`transform_matrix` as stored: (4, 4) float64; 3x4 gets its last row."""
    try:
        matrix = np.array(fields.own["transform_matrix"], np.float64)
        if matrix.shape == (3, 4):
            matrix = np.vstack([matrix, [0, 0, 0, 1]])
        if matrix.shape == (4, 4):
            return matrix
    except (KeyError, TypeError, ValueError, OverflowError):
        pass
    raise InputError(f"{fields.where}: transform_matrix is not a 4x4 matrix; write the file again")


def _is_fisheye(fields: _Fields) -> bool:
    return fields.flag("is_fisheye") or fields.own.get("camera_model", fields.common.get("camera_model")) == _FISHEYE


def _lens(fields: _Fields) -> dict:
    """Its distortion for OpenCV, as `ImageSource` keeps it."""
    if _is_fisheye(fields):
        return {"distortion": tuple(fields.number(key, 0.0) for key in _FISHEYE_DISTORTION), "fisheye": True}
    if fields.number("k4", 0.0):
        raise InputError(f"{fields.where}: lens distortion k4 is not supported; undistort the photos first")
    distortion = tuple(fields.number(key, 0.0) for key in _DISTORTION)
    return {"distortion": distortion if any(distortion) else None}


def _depth(fields: _Fields, folder: Path) -> ImageSource | None:
    path = _existing(folder, fields.text("depth_file_path"))
    unit = fields.number("depth_unit_scale_factor", 0.001)
    if not _UNITS[0] <= unit <= _UNITS[1]:
        raise InputError(f"{fields.where}: depth_unit_scale_factor {unit:g} is no unit of depth; fix it")
    if path is None:
        return None
    codec = {".npy": "npy", ".exr": "exr"}.get(path.suffix.lower(), "image")
    return ImageSource(path, codec=codec, depth_unit=unit, **_lens(fields))


def _depth_cameras(depths: dict[int, ImageSource], cameras: dict[int, Camera]) -> dict[int, Camera]:
    """Cameras of the depth images; of those whose photos have one size only the first is opened."""
    sizes: dict[tuple[int, int], tuple[int, int]] = {}
    for i, source in depths.items():
        if cameras[i].size not in sizes:
            sizes[cameras[i].size] = depth_size(source, str(source.path))
    return {i: cameras[i].resized(sizes[cameras[i].size]) for i in depths}


def _camera(fields: _Fields, photo: Path | None, sizes: dict) -> Camera:
    """The camera of the photo as it is stored, or as its orientation tag turns it if only that fits w and h."""
    given = fields.number("w"), fields.number("h")
    if None in given:
        if photo is None:
            raise InputError(f"{fields.where}: has no w and h; add the image size")
        given = _size_once(photo, "w and h unknown", sizes)
    width, height = given
    if not all(0 < side < _LARGEST_SIDE and side == int(side) for side in given):
        raise InputError(f"{fields.where}: w and h are not an image size; fix them")
    angles = fields.number("camera_angle_x"), fields.number("camera_angle_y")
    fx, fy = fields.number("fl_x"), fields.number("fl_y")
    fx = _focal(angles[0], width) if fx is None else fx
    fy = _focal(angles[1], height) if fy is None else fy
    if fx is None and fy is None:
        raise InputError(f"{fields.where}: has no focal length; add fl_x or camera_angle_x")
    fx, fy = fy if fx is None else fx, fx if fy is None else fy
    cx, cy = fields.number("cx", width / 2) - 0.5, fields.number("cy", height / 2) - 0.5
    matrix = checked_intrinsics(np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1.0]]), fields.where)
    size = int(width), int(height)
    found = _size_once(photo, size, sizes, size) if photo else size
    return camera_for(matrix, size, found, fields.where)


def _focal(angle: float | None, side: float) -> float | None:
    return None if angle is None or not _NARROWEST < angle < math.pi else 0.5 * side / math.tan(0.5 * angle)


def _size_once(path: Path, key, sizes: dict, like: tuple[int, int] | None = None) -> tuple[int, int]:
    """The image's size; of images with one `key` only the first is opened, the rest are checked when they are read."""
    if key not in sizes:
        sizes[key] = image_size(ImageSource(path), str(path), like)
    return sizes[key]


def _mesh(meta: dict, path: Path, name: str, frames: list[Frame]) -> Mesh:
    own = _Fields(meta, {}, str(path))
    named, cloud = own.text("mesh"), own.text("ply_file_path")
    if named:
        return read_mesh(path.parent / named)
    if cloud:
        cloud = path.parent / cloud
        # nerfstudio means the sparse points that splats start from, which have no faces.
        if not cloud.is_file() or (cloud.suffix.lower() == ".ply" and not ply_face_count(cloud)):
            return read_or_fuse_mesh(path.parent, name, frames, besides=cloud)
        return read_mesh(cloud)
    return read_or_fuse_mesh(path.parent, name, frames)
