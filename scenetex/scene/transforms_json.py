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
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..json_file import read_json
from .camera import Camera
from .frame import Frame
from .fusion import read_or_fuse_mesh
from .image_source import ImageSource, image_size
from .mesh import Mesh
from .mesh_file import read_mesh
from .ply import ply_face_count
from .pose import checked_intrinsics
from .scannet import camera_for, split_lost
from .scene import Scene

_OPENGL_TO_OPENCV = np.diag([1.0, -1.0, -1.0, 1.0])
_PINHOLE_MODELS = {"OPENCV", "PINHOLE", "SIMPLE_PINHOLE", "PERSPECTIVE", "SIMPLE_RADIAL", "RADIAL"}
_DISTORTION = ("k1", "k2", "p1", "p2", "k3")  # OpenCV's order
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
    these are not unique. Lens distortion (k1, k2, k3, p1, p2) is undone when a photo is read. The mesh is the file's
    "mesh", or its "ply_file_path" if that has faces, or the mesh file beside it.

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
    frames = []
    for i, pose in zip(tracked, to_world @ _OPENGL_TO_OPENCV, strict=True):
        camera, distortion = _camera(fields[i], photos[i], sizes)
        depth = _existing(folder, fields[i].text("depth_file_path"))
        unit = fields[i].number("depth_unit_scale_factor", 0.001)
        if not _UNITS[0] <= unit <= _UNITS[1]:
            raise InputError(f"{fields[i].where}: depth_unit_scale_factor {unit:g} is no unit of depth; fix it")
        frames.append(
            Frame(
                id=numbers[i],
                cam_to_world=pose,
                camera=camera,
                color=ImageSource(photos[i], distortion=distortion) if photos[i] else None,
                depth=ImageSource(depth, distortion=distortion, depth_unit=unit) if depth else None,
                depth_camera=camera.resized(_size_once(depth, ("depth", *camera.size), sizes)) if depth else None,
                depth_cam_to_world=pose if depth else None,
            )
        )
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
    models = [part["camera_model"] for part in (meta, *entries) if "camera_model" in part]
    for model in models:
        if not isinstance(model, str) or model not in _PINHOLE_MODELS:
            said = repr(model[:40]) if isinstance(model, str) else f"of {type(model).__name__}"
            raise InputError(f"{path}: camera model {said} is not a pinhole; undistort the photos first")
    return meta, entries


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


def _camera(fields: _Fields, photo: Path | None, sizes: dict) -> tuple[Camera, tuple[float, ...] | None]:
    """The camera of the photo as it is stored, and its lens distortion for OpenCV."""
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
    distortion = tuple(fields.number(key, 0.0) for key in _DISTORTION)
    if fields.number("k4", 0.0):
        raise InputError(f"{fields.where}: lens distortion k4 is not supported; undistort the photos first")
    size = int(width), int(height)
    found = _size_once(photo, size, sizes) if photo else size
    return camera_for(matrix, size, found, fields.where), distortion if any(distortion) else None


def _focal(angle: float | None, side: float) -> float | None:
    return None if angle is None or not _NARROWEST < angle < math.pi else 0.5 * side / math.tan(0.5 * angle)


def _size_once(path: Path, key, sizes: dict) -> tuple[int, int]:
    """The image's size; of images with one `key` only the first is opened, the rest are checked when they are read."""
    if key not in sizes:
        sizes[key] = image_size(ImageSource(path), str(path))
    return sizes[key]


def _mesh(meta: dict, path: Path, name: str, frames: list[Frame]) -> Mesh:
    own = _Fields(meta, {}, str(path))
    named, cloud = own.text("mesh"), own.text("ply_file_path")
    if named:
        return read_mesh(path.parent / named)
    if cloud:
        cloud = path.parent / cloud
        # nerfstudio means the sparse points that splats start from, which have no faces.
        if cloud.is_file() and cloud.suffix.lower() == ".ply" and not ply_face_count(cloud):
            return read_or_fuse_mesh(path.parent, name, frames, besides=cloud)
        return read_mesh(cloud)
    return read_or_fuse_mesh(path.parent, name, frames)
