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
from ..files.json_file import read_json, read_named
from .camera import Camera
from .frame import Frame
from .image_source import ImageSource, depth_size, image_size
from .mesh import Mesh
from .mesh_file import mesh_files, read_mesh
from .named_file import NamedFiles
from .optional_depth import optional_depth
from .photo_masks import named_masks
from .ply import is_cloud
from .pose import checked_intrinsics
from .scannet import camera_for, registered, split_lost
from .scene import Scene
from .tsdf_fusion import read_or_fuse_mesh

_OPENGL_TO_OPENCV = np.diag([1.0, -1.0, -1.0, 1.0])
_PINHOLE_MODELS = {"OPENCV", "PINHOLE", "SIMPLE_PINHOLE", "PERSPECTIVE", "SIMPLE_RADIAL", "RADIAL"}
_FISHEYE = "OPENCV_FISHEYE"
_DISTORTION = ("k1", "k2", "p1", "p2", "k3")  # OpenCV's order
_FISHEYE_DISTORTION = ("k1", "k2", "k3", "k4")
_ALL_DISTORTION = ("k1", "k2", "k3", "k4", "k5", "k6", "p1", "p2")
_LIST = "distortion_params"
_LISTED = ("k1", "k2", "k3", "k4", "p1", "p2")  # nerfstudio's order (cameras/camera_utils.py)
_OTHER_LENSES = ("ftheta_p0", "latlong", "equirectangular", "orthographic")  # instant-ngp's
_CROP = "fisheye_crop_radius"
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

    def value(self, key: str):
        """What JSON has there, None for what is null or absent."""
        own = self.own.get(key)
        return self.common.get(key) if own is None else own

    def number(self, key: str, default: float | None = None) -> float | None:
        value = self.value(key)
        if value is None:
            return default
        try:
            number = math.nan if isinstance(value, bool) else float(value)
        except (TypeError, ValueError, OverflowError):
            number = math.nan
        if not math.isfinite(number):
            raise InputError(f"{self.where}: {key} is not a number; fix it")
        return number

    def levels(self) -> tuple["_Fields", "_Fields"]:
        """What the frame says by itself, and what all share."""
        return _Fields(self.own, {}, self.where), _Fields({}, self.common, self.where)

    def flag(self, key: str) -> bool:
        value = self.value(key)
        if value not in (True, False, None):
            raise InputError(f"{self.where}: {key} is not true or false; fix it")
        return bool(value)

    def text(self, key: str, shared: bool = False) -> str | None:
        """A file's name that the frame gives, or, if that may be `shared`, the file for all."""
        value = self.value(key) if shared else self.own.get(key)
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
    files = NamedFiles(folder, _MISSING_SUFFIXES)
    names = [f.text("file_path") for f in fields]
    photos = [name and files.find(name) for name in names]
    if not any(photos) and any(names):
        first = next(name for name in names if name)
        raise InputError(f"{path}: none of its photos is there, such as {first}; put them where file_path says")
    masked = {i: mask for i, f in enumerate(fields) if photos[i] and (mask := f.text("mask_path", shared=True))}
    masks, bare = named_masks(masked, files, path)
    kept = [i for i in range(len(fields)) if (photos[i] or not any(photos)) and i not in bare]
    gone = sorted(set(range(len(fields))) - set(kept) - set(bare))
    without_photo = tuple(fields[i].text("file_path") or f"of frame {i}" for i in gone)
    numbers = dict(zip(kept, frame_numbers([names[i] for i in kept]), strict=True))
    kept.sort(key=numbers.__getitem__)

    poses = np.stack([_matrix(fields[i]) for i in kept])
    where = [f"{fields[i].where}: transform_matrix" for i in kept]
    tracked, skipped, to_world = split_lost(kept, poses, where, path)
    sizes: dict = {}
    cameras = {i: _camera(fields[i], photos[i], sizes) for i in tracked}
    lenses = {i: _lens(fields[i]) for i in tracked}
    colors = {i: ImageSource(photos[i], **lenses[i]) for i in tracked if photos[i]}
    given: dict[int, ImageSource] = {}

    def depth_cameras() -> dict[int, Camera]:
        given.update({i: source for i in tracked if (source := _depth(fields[i], files, lenses[i]))})
        return _depth_cameras(given, cameras)

    depths = optional_depth(folder, depth_cameras) or {}
    frames = [
        Frame(
            id=numbers[i],
            cam_to_world=pose,
            camera=cameras[i],
            color=colors.get(i),
            depth=given[i] if i in depths else None,
            depth_camera=depths.get(i),
            depth_cam_to_world=pose if i in depths else None,
            mask=masks.get(i),
        )
        for i, pose in zip(tracked, to_world @ _OPENGL_TO_OPENCV, strict=True)
    ]
    if any(part.get(_CROP) for part in (meta, *entries)):
        said = f"{_CROP} is not heeded, and what it hides is painted, too; hide it by masks (mask_path)"
        warnings.warn(f"{path}: {said}", InputWarning, stacklevel=2)
    lost = tuple(numbers[i] for i in skipped)
    mesh = _mesh(meta, path, name, frames)
    return Scene(name, mesh, tuple(frames), lost, folder, without_photo, tuple(bare.values()))


def _parse(path: Path) -> tuple[dict, list[dict]]:
    # Poses of frames whose tracking was lost are NaN, or infinite.
    meta = read_named(path, "write it again", "check the file", read_json, finite=False)
    entries = meta.get("frames") if isinstance(meta, dict) else None
    if not isinstance(entries, list) or not entries or not all(isinstance(entry, dict) for entry in entries):
        raise InputError(f'{path}: has no list of "frames"; scenetex reads nerfstudio\'s transforms.json')
    for part in (meta, *entries):
        model = part.get("camera_model")
        model = _FISHEYE if model is None else model
        if not isinstance(model, str) or model not in _PINHOLE_MODELS | {_FISHEYE}:
            said = repr(model[:40]) if isinstance(model, str) else f"of {type(model).__name__}"
            raise InputError(f"{path}: camera model {said} is not a pinhole; {_cure(model)}")
        if part.get("from_mitsuba"):
            raise InputError(f"{path}: poses in Mitsuba's axes (from_mitsuba) are not read; turn them to OpenGL's")
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
    return fields.flag("is_fisheye") or fields.value("camera_model") == _FISHEYE


def _lens(fields: _Fields) -> dict:
    """Its distortion for OpenCV, as `ImageSource` keeps it."""
    given = _distortion(fields)
    fisheye = _is_fisheye(fields)
    known = _FISHEYE_DISTORTION if fisheye else _DISTORTION
    # Of a fisheye nerfstudio and instant-ngp, too, pass over p1 and p2, which the camera may have from another model.
    passed_over = ("p1", "p2") if fisheye else ()
    other = next((key for key in given if given[key] and key not in (*known, *passed_over)), None)
    if other:
        raise InputError(f"{fields.where}: lens distortion {other} is not supported; undistort the photos first")
    distortion = tuple(given[key] for key in known)
    if fisheye:
        return {"distortion": distortion, "fisheye": True}
    return {"distortion": distortion if any(distortion) else None}


def _distortion(fields: _Fields) -> dict[str, float]:
    """Coefficients by name; a list of them goes before single ones, as in nerfstudio's `nerfstudio_dataparser.py`."""
    own, common = (_coefficients(level) for level in fields.levels())
    return dict.fromkeys(_ALL_DISTORTION, 0.0) | common | own


def _coefficients(fields: _Fields) -> dict[str, float]:
    """Those that one level gives."""
    given = {key: fields.number(key) for key in _ALL_DISTORTION}
    given = {key: value for key, value in given.items() if value is not None}
    listed = fields.value(_LIST)
    if listed is None:
        return given
    right = isinstance(listed, list) and len(listed) == len(_LISTED) and all(type(k) in (int, float) for k in listed)
    if not right:
        order = " ".join(_LISTED)
        raise InputError(f"{fields.where}: {_LIST} is not the numbers {order}; fix it, or undistort the photos first")
    listed = _Fields(dict(zip(_LISTED, listed, strict=True)), {}, f"{fields.where}: {_LIST}")
    return given | {key: listed.number(key) for key in _LISTED}


def _depth(fields: _Fields, files: NamedFiles, lens: dict) -> ImageSource | None:
    name = fields.text("depth_file_path")
    path = name and files.find(name)
    if not path:
        return None
    unit = fields.number("depth_unit_scale_factor", 0.001)
    if not _UNITS[0] <= unit <= _UNITS[1]:
        raise InputError(f"{fields.where}: depth_unit_scale_factor {unit:g} is no unit of depth; fix it")
    codec = {".npy": "npy", ".exr": "exr"}.get(path.suffix.lower(), "image")
    return ImageSource(path, codec=codec, depth_unit=unit, **lens)


def _depth_cameras(depths: dict[int, ImageSource], cameras: dict[int, Camera]) -> dict[int, Camera]:
    """Cameras of the depth images; of those whose photos have one size only the first is opened.

    Raises `InputError` for depth of another shape than its photo.
    """
    sizes: dict[tuple[int, int], tuple[int, int]] = {}
    for i, source in depths.items():
        if cameras[i].size not in sizes:
            sizes[cameras[i].size] = depth_size(source, str(source.path))
    return {i: registered(cameras[i], sizes[cameras[i].size], str(source.path)) for i, source in depths.items()}


def _camera(fields: _Fields, photo: Path | None, sizes: dict) -> Camera:
    """The camera of the photo as it is stored, or as its orientation tag turns it if only that fits w and h."""
    given = fields.number("w"), fields.number("h")
    if None in given:
        if photo is None:
            raise InputError(f"{fields.where}: has no w and h; add the image size")
        centre = fields.number("cx"), fields.number("cy")
        centre = None if None in centre else (centre[0] - 0.5, centre[1] - 0.5)
        given = _size_once(photo, ("w and h unknown", centre), sizes, centre=centre)
    width, height = given
    if not all(0 < side < _LARGEST_SIDE and side == int(side) for side in given):
        raise InputError(f"{fields.where}: w and h are not an image size; fix them")
    fx, fy = _focal(fields, "x", width), _focal(fields, "y", height)
    if fx is None and fy is None:
        raise InputError(f"{fields.where}: has no focal length; add fl_x, or camera_angle_x in radians, below pi")
    fx, fy = fy if fx is None else fx, fx if fy is None else fy
    cx, cy = fields.number("cx", width / 2) - 0.5, fields.number("cy", height / 2) - 0.5
    matrix = checked_intrinsics(np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1.0]]), fields.where)
    size = int(width), int(height)
    found = _size_once(photo, size, sizes, size) if photo else size
    return camera_for(matrix, size, found, fields.where)


def _focal(fields: _Fields, axis: str, side: float) -> float | None:
    """Pixels along an axis; what a frame says by itself goes before what all share, whichever way it is said."""
    for level in fields.levels():
        length = level.number(f"fl_{axis}")
        if length is not None:
            return length
        degrees = level.number(f"{axis}_fov")
        angle = level.number(f"camera_angle_{axis}", None if degrees is None else math.radians(degrees))
        if angle is not None and _NARROWEST < angle < math.pi:
            return 0.5 * side / math.tan(0.5 * angle)
    return None


def _size_once(
    path: Path, key, sizes: dict, like: tuple[int, int] | None = None, centre: tuple[float, float] | None = None
) -> tuple[int, int]:
    """The image's size; of images with one `key` only the first is opened, the rest are checked when they are read."""
    if key not in sizes:
        sizes[key] = image_size(ImageSource(path), str(path), like, centre)
    return sizes[key]


def _mesh(meta: dict, path: Path, name: str, frames: list[Frame]) -> Mesh:
    own, files = _Fields(meta, {}, str(path)), NamedFiles(path.parent)
    if named := own.text("mesh"):
        return read_mesh(files.find(named) or path.parent / named)
    listed = own.text("ply_file_path")
    cloud = listed and files.find(listed)
    # nerfstudio means the sparse points that splats start from, which have no faces.
    if not cloud or (cloud.suffix.lower() == ".ply" and is_cloud(cloud, bool(mesh_files(path.parent, cloud)))):
        return read_or_fuse_mesh(path.parent, name, frames, besides=cloud or None)
    return read_mesh(cloud)
