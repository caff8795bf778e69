"""A TUM RGB-D folder: `rgb.txt`, `depth.txt` and `groundtruth.txt` with time stamps, and a mesh in the same frame.

Each line of `groundtruth.txt` is `time tx ty tz qx qy qz qw`, the colour camera's place in the world (OpenCV axes,
metres); those of the others are `time file`. A camera's pose at the time of its image lies between the two poses
around that time if both are within 20 ms, and is that of the nearer one if only it is; without any, the frame is left
out. The depth image within 20 ms of a photo goes with it, at the pose of its own time. Depth is in 1/5000 m and
registered to the photo, so that both have one camera: that of `calibration.txt` (`fx fy cx cy`, then perhaps OpenCV's
`k1 k2 p1 p2 k3`, or a matrix; pixel centres at whole numbers), or the published one of TUM's own recordings, told by
`freiburg1` to `freiburg3` in the folder's name.
"""

import codecs
import math
import os
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import InputError, shown
from ..files.reading import open_file
from .camera import Camera
from .frame import Frame
from .image_source import ImageSource, depth_size, image_size
from .named_file import NamedFiles
from .optional_depth import optional_depth
from .pose import checked_intrinsics, read_numbers
from .quaternion import rotation_matrices, slerp
from .scannet import camera_for, registered
from .scene import Scene
from .tsdf_fusion import read_or_fuse_mesh

TRAJECTORY = "groundtruth.txt"
_TOLERANCE = 0.02  # seconds
_ROUNDING = 1e-6  # of time stamps that count from 1970
_DEPTH_UNIT = 1 / 5000
_LARGEST_TEXT = 1 << 28
_QUATERNION_TOLERANCE = 0.05
_OUT_OF_RANGE = 1e11  # later than the year 5000, and no room
_FREIBURG = {
    "1": (517.3, 516.5, 318.6, 255.3, 0.2624, -0.9531, -0.0054, 0.0026, 1.1633),
    "2": (520.9, 521.0, 325.1, 249.7, 0.2312, -0.7849, -0.0033, -0.0001, 0.9172),
    "3": (535.4, 539.2, 320.1, 247.6),
}
_FREIBURG_SIZE = 640, 480
_NONE: tuple[np.ndarray, list[Path], tuple[str, ...]] = (np.empty(0), [], ())  # times, files, names of those gone


def is_tum(folder: Path) -> bool:
    """Whether the folder holds a TUM trajectory and a list of images."""
    return (folder / TRAJECTORY).is_file() and any((folder / f"{kind}.txt").is_file() for kind in ("rgb", "depth"))


def load_tum(folder: Path, name: str) -> Scene:
    """Reads a TUM RGB-D folder. Ids are positions in `rgb.txt`, or in `depth.txt` where there are no photos.

    Raises:
        InputError: what `load_scene` says of this layout.
    """
    trajectory = read_trajectory(folder / TRAJECTORY)
    *photos, without_photo = _images(folder, "rgb")
    *depths, _ = optional_depth(folder, lambda: _images(folder, "depth"), needed=not len(photos[0])) or _NONE
    times, files = photos if len(photos[0]) else depths
    poses = trajectory.at(times)
    kept = np.flatnonzero(np.isfinite(poses).all((1, 2)))
    if not len(kept):
        raise InputError(f"{folder / TRAJECTORY}: no pose within 20 ms of an image; all lists must go by one clock")
    at = nearest(depths[0], times[kept])
    depth_poses = trajectory.at(depths[0])
    at = [j if j >= 0 and np.isfinite(depth_poses[j]).all() else None for j in at]
    camera, distortion = _camera(folder, files[kept[0]])
    first = next((depths[1][j] for j in at if j is not None), None)
    depth_camera = optional_depth(folder, lambda: _depth_camera(camera, first), needed=not len(photos[0]))
    at = at if depth_camera else [None] * len(at)
    frames = tuple(
        Frame(
            id=int(i),
            cam_to_world=poses[i],
            camera=camera,
            color=ImageSource(files[i], distortion=distortion) if len(photos[0]) else None,
            depth=None if j is None else ImageSource(depths[1][j], distortion=distortion, depth_unit=_DEPTH_UNIT),
            depth_camera=None if j is None else depth_camera,
            depth_cam_to_world=None if j is None else depth_poses[j],
        )
        for i, j in zip(kept, at, strict=True)
    )
    skipped = tuple(int(i) for i in np.setdiff1d(np.arange(len(times)), kept))
    return Scene(name, read_or_fuse_mesh(folder, name, frames), frames, skipped, folder, without_photo)


@dataclass(frozen=True, eq=False)
class Trajectory:
    """Poses by time.

    Attributes:
        times: (n,) float64, seconds, strictly ascending.
        positions: (n, 3) float64, metres, world frame.
        quaternions: (n, 4) float64, x y z w, camera to world.
    """

    times: np.ndarray
    positions: np.ndarray
    quaternions: np.ndarray

    def at(self, times: np.ndarray) -> np.ndarray:
        """(m, 4, 4) float64 camera-to-world poses at `times` (m,), seconds; NaN where no pose is within 20 ms."""
        right = np.clip(np.searchsorted(self.times, times), 0, len(self.times) - 1)
        left = np.maximum(right - 1, 0)
        before, after = times - self.times[left], self.times[right] - times
        near = np.stack([np.abs(before), np.abs(after)]) <= _TOLERANCE + _ROUNDING
        # Past an end, or beside a gap, the one pose that is near stands for itself.
        between = near.all(0) & (before >= 0) & (after >= 0) & (left != right)
        share = np.where(near[1] & ~between, 1.0, 0.0)
        share[between] = before[between] / (before + after)[between]
        out = np.tile(np.eye(4), (len(times), 1, 1))
        out[:, :3, :3] = rotation_matrices(slerp(self.quaternions[left], self.quaternions[right], share))
        out[:, :3, 3] = self.positions[left] + share[:, None] * (self.positions[right] - self.positions[left])
        out[~near.any(0)] = np.nan
        return out


def read_trajectory(path: Path) -> Trajectory:
    """Reads lines of `time tx ty tz qx qy qz qw`. Lines with NaN, and zero quaternions, count as lost tracking.

    Raises:
        InputError: a line that is no pose, a quaternion that is off unit length by more than 5 %, no pose at all.
    """
    rows = []
    for number, words in _lines(path):
        try:
            row = [float(word) for word in words]
        except ValueError:
            row = []
        if len(row) != 8:
            raise InputError(f"{path}: line {number} is not 'time tx ty tz qx qy qz qw'; export the trajectory again")
        length = math.hypot(*row[4:])
        if not all(map(math.isfinite, row)) or length == 0:
            continue
        if abs(length - 1) > _QUATERNION_TOLERANCE:
            raise InputError(f"{path}: line {number} has no unit quaternion (qx qy qz qw); export the trajectory again")
        if max(map(abs, row)) > _OUT_OF_RANGE:
            raise InputError(f"{path}: line {number} is out of range; time is in seconds, places are in metres")
        rows.append(row)
    if not rows:
        raise InputError(f"{path}: holds no pose; export the trajectory again")
    table = np.array(rows)
    times, first = np.unique(table[:, 0], return_index=True)
    return Trajectory(times, table[first, 1:4], table[first, 4:])


def nearest(times: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """(m,) int64 position in ascending `times` (n,) nearest to each of `wanted` (m,), -1 if none is within 20 ms."""
    if not len(times):
        return np.full(len(wanted), -1)
    right = np.clip(np.searchsorted(times, wanted), 0, len(times) - 1)
    left = np.maximum(right - 1, 0)
    best = np.where(np.abs(times[left] - wanted) <= np.abs(times[right] - wanted), left, right)
    return np.where(np.abs(times[best] - wanted) <= _TOLERANCE + _ROUNDING, best, -1)


def _images(folder: Path, kind: str) -> tuple[np.ndarray, list[Path], tuple[str, ...]]:
    """Times (n,) float64, ascending, and files of `<kind>.txt`; names of files that are not there and left out."""
    path = folder / f"{kind}.txt"
    if not path.is_file():
        return _NONE
    found = []
    for number, words in _lines(path):
        try:
            time = float(words[0])
        except ValueError:
            time = np.nan
        if not np.isfinite(time) or len(words) < 2 or not "".join(words).isprintable():
            raise InputError(f"{path}: line {number} is not 'time file'; write the list again")
        found.append((time, " ".join(words[1:])))
    files = NamedFiles(folder)
    file_of = {name: files.find(name) for _, name in found}
    there = sorted((time, file_of[name]) for time, name in found if file_of[name])
    if not there:
        first = (
            f"none of its images is there, such as {shown(str(folder / found[0][1]))}" if found else "lists no image"
        )
        raise InputError(f"{path}: {first}; put the files where the list says")
    gone = tuple(sorted({str(Path(name)) for name, file in file_of.items() if not file}))
    return np.array([time for time, _ in there]), [file for _, file in there], gone


def _lines(path: Path) -> list[tuple[int, list[str]]]:
    """Number and words of each line that is not a comment; commas separate like blanks, as in TUM's own tools."""
    try:
        with open_file(path) as file:
            # Asked for more than there is, Python makes room for all of it first.
            data = file.read(min(_LARGEST_TEXT, os.fstat(file.fileno()).st_size) + 1)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error}); check the file") from None
    if len(data) > _LARGEST_TEXT or b"\0" in data:
        raise InputError(f"{path}: not a list of lines with time stamps; export it again")
    lines = enumerate(os.fsdecode(data.removeprefix(codecs.BOM_UTF8)).replace(",", " ").split("\n"), 1)
    return [(number, words) for number, line in lines if (words := line.split()) and words[0][0] != "#"]


def _depth_camera(camera: Camera, first: Path | None) -> Camera | None:
    """The camera of depth images like the first, which are registered to the photos."""
    return registered(camera, depth_size(ImageSource(first), str(first)), str(first)) if first else None


def _camera(folder: Path, image: Path) -> tuple[Camera, tuple[float, ...] | None]:
    """The camera of images like this one, and its lens distortion for OpenCV."""
    path = folder / "calibration.txt"
    recording = re.search(r"freiburg([123])", os.path.basename(os.path.realpath(folder)))
    if path.is_file():
        numbers, given = read_numbers(path, "calibration"), None
    elif recording:
        numbers, given = list(_FREIBURG[recording[1]]), _FREIBURG_SIZE
    else:
        raise InputError(f"{path}: missing; write the camera's fx fy cx cy there, pixel centres at whole numbers")
    if len(numbers) in (9, 16) and numbers[1] == 0:
        side = 3 if len(numbers) == 9 else 4
        matrix, distortion = np.array(numbers).reshape(side, side)[:3, :3], ()
    elif len(numbers) in (4, 8, 9):
        fx, fy, cx, cy, *distortion = numbers
        matrix = np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1.0]])
    else:
        raise InputError(f"{path}: not fx fy cx cy, with or without k1 k2 p1 p2 k3, nor a 3x3 matrix; fix it")
    if not np.isfinite(distortion).all():
        raise InputError(f"{path}: lens distortion is not finite; fix it")
    found = image_size(ImageSource(image), str(image), given, tuple(matrix[:2, 2]))
    camera = camera_for(checked_intrinsics(matrix, str(path)), given, found, str(image))
    return camera, tuple(distortion) if any(distortion) else None
