"""COLMAP's sparse model: its cameras and image poses, from text or binary files, without its points."""

import codecs
import math
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import InputError, shown
from ..files.reading import open_file
from .pose import checked_intrinsics
from .quaternion import rotation_matrices

# COLMAP's number of each model in binary files.
_MODELS = (
    "SIMPLE_PINHOLE",
    "PINHOLE",
    "SIMPLE_RADIAL",
    "RADIAL",
    "OPENCV",
    "OPENCV_FISHEYE",
    "FULL_OPENCV",
    "FOV",
    "SIMPLE_RADIAL_FISHEYE",
    "RADIAL_FISHEYE",
    "THIN_PRISM_FISHEYE",
    "RAD_TAN_THIN_PRISM_FISHEYE",
    "SIMPLE_DIVISION",
    "DIVISION",
    "SIMPLE_FISHEYE",
    "FISHEYE",
    "EUCM",
    "EQUIRECTANGULAR",
)
_PARAMETERS = dict(zip(_MODELS, (3, 4, 4, 5, 8, 8, 12, 5, 4, 5, 12, 16, 4, 5, 3, 4, 6, 2), strict=True))
# How many of the first parameters are focal lengths, for the models whose distortion OpenCV's covers.
_FOCAL_LENGTHS = {"SIMPLE_PINHOLE": 1, "PINHOLE": 2, "SIMPLE_RADIAL": 1, "RADIAL": 1, "OPENCV": 2, "FULL_OPENCV": 2}
_FISHEYES = {"OPENCV_FISHEYE": 2, "SIMPLE_RADIAL_FISHEYE": 1, "RADIAL_FISHEYE": 1, "SIMPLE_FISHEYE": 1, "FISHEYE": 2}
_LARGEST_SIDE = 1 << 16
_LONGEST_NAME = 4096
_LONGEST_LINE = 1 << 26  # bytes; the points of an image take a line
_POINT = 24  # bytes of an image point in images.bin


@dataclass(frozen=True)
class ColmapCamera:
    """A camera as COLMAP stores it.

    Attributes:
        model: COLMAP's name of it.
        size: (width, height), pixels.
        parameters: in COLMAP's order.
        where: how errors name it.
    """

    model: str
    size: tuple[int, int]
    parameters: tuple[float, ...]
    where: str

    @property
    def is_fisheye(self) -> bool:
        """Whether its distortion is that of OpenCV's fisheye model (k1, k2, k3, k4)."""
        return self.model in _FISHEYES

    def pinhole(self) -> tuple[np.ndarray, tuple[float, ...] | None]:
        """Intrinsics (3, 3) float64, pixels, with pixel centres at whole numbers, and OpenCV's distortion or None.

        COLMAP's centre of the top-left pixel is (0.5, 0.5).

        Raises:
            InputError: a model whose distortion OpenCV's two models do not cover; no focal length.
        """
        focal_lengths = _FOCAL_LENGTHS | _FISHEYES
        if self.model not in focal_lengths:
            raise InputError(
                f"{self.where}: camera model {shown(self.model, 40)} is not supported; undistort the photos first "
                "(colmap image_undistorter)"
            )
        count = focal_lengths[self.model]
        fx, fy = self.parameters[0], self.parameters[count - 1]
        cx, cy, *distortion = self.parameters[count:]
        matrix = np.array([[fx, 0, cx - 0.5], [0, fy, cy - 0.5], [0, 0, 1.0]])
        if not all(map(math.isfinite, distortion)):
            raise InputError(f"{self.where}: lens distortion is not finite; export the model again")
        # OpenCV wants 4, 5 or 8 coefficients: k1, k2, p1, p2, k3, k4, k5, k6. A fisheye is bent without any.
        distortion += [0.0] * (4 - len(distortion))
        bent = self.is_fisheye or any(distortion)
        return checked_intrinsics(matrix, self.where), tuple(distortion) if bent else None


@dataclass(frozen=True, eq=False)
class ColmapImage:
    """A registered image.

    Attributes:
        name: of its file, relative to the folder of images.
        camera: number of its camera.
        cam_to_world: (4, 4) float64, OpenCV axes; not finite, or a zero quaternion, as NaN.
        where: how errors name it.
    """

    name: str
    camera: int
    cam_to_world: np.ndarray
    where: str


def is_model(folder: Path) -> bool:
    """Whether the folder holds a COLMAP model."""
    return any(all((folder / f"{part}.{kind}").is_file() for part in ("cameras", "images")) for kind in ("bin", "txt"))


def read_model(folder: Path) -> tuple[dict[int, ColmapCamera], list[ColmapImage]]:
    """Cameras by number, and images in the file's order. Binary files come first, as for COLMAP itself.

    Raises:
        InputError: a file that cannot be read, is damaged or cut short; an image without its camera.
    """
    kind = "bin" if (folder / "cameras.bin").is_file() and (folder / "images.bin").is_file() else "txt"
    cameras_path, images_path = folder / f"cameras.{kind}", folder / f"images.{kind}"
    try:
        cameras = dict(_binary_cameras(cameras_path) if kind == "bin" else _text_cameras(cameras_path))
        images = list(_binary_images(images_path) if kind == "bin" else _text_images(images_path))
    except OSError as error:
        raise InputError(f"{error.filename or folder}: cannot be read ({error.strerror or error}); check it") from None
    if not images:
        raise InputError(f"{images_path}: holds no image; use the model that COLMAP registered images in")
    names: dict[str, ColmapImage] = {}
    for image in images:
        if not image.name.isprintable():
            raise InputError(f"{image.where}: {image.name[:60]!r} is no file name; rename the photo")
        if names.setdefault(image.name, image) is not image:
            raise InputError(f"{image.where}: {shown(image.name)} was there before; export the model again")
    lost = next((image for image in images if image.camera not in cameras), None)
    if lost:
        raise InputError(f"{lost.where}: its camera {lost.camera} is not in {cameras_path.name}; export both again")
    return cameras, images


def pose_of(quaternion: list[float], translation: list[float]) -> np.ndarray:
    """(4, 4) float64 camera to world, of COLMAP's world-to-camera quaternion (w x y z) and translation.

    NaN where a number is not finite or the quaternion is zero. Its length does not matter.
    """
    out = np.full((4, 4), np.nan)
    length = math.hypot(*quaternion)
    if not 0 < length < math.inf or not all(map(math.isfinite, translation)):
        return out
    w, x, y, z = (part / length for part in quaternion)
    rotation = rotation_matrices(np.array([x, y, z, w])).T
    out[:3, :3], out[:3, 3], out[3] = rotation, -rotation @ translation, (0, 0, 0, 1)
    return out


def _text_cameras(path: Path) -> Iterator[tuple[int, ColmapCamera]]:
    for number, line in _text_lines(path):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        where = f"{path}: line {number}"
        try:
            key, model, size = int(words[0]), words[1], (int(words[2]), int(words[3]))
            parameters = tuple(float(word) for word in words[4:])
        except (IndexError, ValueError):
            raise InputError(f"{where} is not 'id MODEL width height parameters'; export the model again") from None
        yield key, _checked_camera(model, size, parameters, where)


def _binary_cameras(path: Path) -> Iterator[tuple[int, ColmapCamera]]:
    with open_file(path) as file:
        for _ in range(_count(file, path)):
            key, model, width, height = _unpack("<IiQQ", file, path)
            where = f"{path}: camera {key}"
            if not 0 <= model < len(_MODELS):
                raise InputError(f"{where}: camera model {model} is not known; undistort the photos first")
            parameters = _unpack(f"<{_PARAMETERS[_MODELS[model]]}d", file, path)
            yield key, _checked_camera(_MODELS[model], (width, height), parameters, where)


def _checked_camera(model: str, size: tuple[int, int], parameters: tuple[float, ...], where: str) -> ColmapCamera:
    if not all(0 < side < _LARGEST_SIDE for side in size):
        raise InputError(f"{where}: {size[0]}x{size[1]} is not an image size; export the model again")
    wanted = _PARAMETERS.get(model, len(parameters))
    if len(parameters) != wanted:
        raise InputError(
            f"{where}: {shown(model, 40)} has {len(parameters)} parameters, not {wanted}; export the model again"
        )
    return ColmapCamera(model, size, parameters, where)


def _text_images(path: Path) -> Iterator[ColmapImage]:
    points = False
    for number, line in _text_lines(path):
        # An image's points are on the line after it, which may be empty; some writers leave it out altogether.
        if points and (not line.strip() or _is_number(line.rsplit(maxsplit=1)[-1])):
            points = False
            continue
        words = line.split(maxsplit=9)
        if not words or words[0].startswith("#"):
            continue
        where = f"{path}: line {number}"
        try:
            numbers = [float(word) for word in words[1:8]]
            camera, name = int(words[8]), words[9].strip()
        except (IndexError, ValueError):
            raise InputError(f"{where} is not 'id qw qx qy qz tx ty tz camera name'; export the model again") from None
        yield ColmapImage(name, camera, pose_of(numbers[:4], numbers[4:]), where)
        points = True


def _binary_images(path: Path) -> Iterator[ColmapImage]:
    with open_file(path) as file:
        end = os.fstat(file.fileno()).st_size
        for _ in range(_count(file, path)):
            key, *numbers = _unpack("<I7d", file, path)
            (camera,) = _unpack("<I", file, path)
            name = _name(file, path)
            (points,) = _unpack("<Q", file, path)
            if points * _POINT > end - file.tell():
                raise _cut_short(path)
            file.seek(points * _POINT, os.SEEK_CUR)
            yield ColmapImage(name, camera, pose_of(numbers[:4], numbers[4:]), f"{path}: image {key}")


def _name(file, path: Path) -> str:
    """Text up to a zero byte."""
    at, data = file.tell(), file.read(_LONGEST_NAME)
    length = data.find(b"\0")
    if length < 0:
        raise _cut_short(path)
    file.seek(at + length + 1)
    return os.fsdecode(data[:length])


def _count(file, path: Path) -> int:
    """How many records are announced; whether they are there, shows when they are read."""
    return _unpack("<Q", file, path)[0]


def _unpack(form: str, file, path: Path) -> tuple:
    size = struct.calcsize(form)
    data = file.read(size)
    if len(data) < size:
        raise _cut_short(path)
    return struct.unpack(form, data)


def _cut_short(path: Path) -> InputError:
    return InputError(f"{path}: not a COLMAP model file, or cut short; export the model again")


def _text_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Lines with their numbers; those of points, which may be millions of characters long, one at a time."""
    with open_file(path) as file:
        for number, line in enumerate(iter(lambda: file.readline(_LONGEST_LINE), b""), 1):
            if len(line) == _LONGEST_LINE:
                raise _cut_short(path)
            line = line.removeprefix(codecs.BOM_UTF8) if number == 1 else line
            yield number, line.decode("utf-8", "surrogateescape")


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True
