"""What scans by phone have in common: ARKit's axes, a camera for each photo, depth of fewer pixels than the photo has.

Frames of reference. ARKit's world is in metres with y up (ARConfiguration.WorldAlignment.gravity); its cameras look
along -z, x runs along the photo's rows and y up (ARCamera.transform). They are turned to OpenCV axes here, the world
stays as it is, and the mesh knows the way to z up. A principal point counts from the photo's top left corner
(ARCamera.intrinsics), so that pixel centres lie at 0.5, and moves by half a pixel.
"""

import os
import warnings
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import InputError, InputWarning
from ..files.json_file import read_named
from ..files.reading import check_inside
from .camera import Camera
from .frame import Frame
from .image_source import ImageSource, image_size
from .mesh_file import find_mesh, mesh_files
from .pose import checked_intrinsics
from .scannet import camera_for, split_lost

Y_UP_TO_Z_UP = np.array([[1.0, 0, 0, 0], [0, 0, -1, 0], [0, 1, 0, 0], [0, 0, 0, 1]])
_ARKIT_TO_OPENCV = np.diag([1.0, -1.0, -1.0, 1.0])
_SAME_SHAPE = 0.02
_OFF_CENTRE = 0.15  # of the photo's side; a phone's principal point is off by a hundredth


@dataclass(frozen=True, eq=False)
class Shot:
    """A photo as a phone exported it.

    Attributes:
        cam_to_world: (4, 4) float64, ARKit's axes; not finite where tracking was lost.
        intrinsics: (3, 3) float64, pixels, centres at 0.5.
        where: how errors call the place that says so.
        size: (width, height) the intrinsics refer to, or None for the photo's own.
        color: the photo.
        depth: sensor depth that shows what the photo shows, or None.
        black_rim: see `ImageSource`.
    """

    cam_to_world: np.ndarray
    intrinsics: np.ndarray
    where: str
    color: Path
    size: tuple[int, int] | None = None
    depth: ImageSource | None = None
    black_rim: int = 0


def read_frames(
    files: dict[int, Iterable[Path]], read: Callable[[int], Shot], where: Path
) -> tuple[tuple[Frame, ...], tuple[int, ...], tuple[str, ...]]:
    """Frames in order of their ids, the ids of those whose tracking was lost, and `Scene.damaged`.

    One damaged file does not cost the scan: frames that cannot be read are left out, and an `InputWarning` says how
    many, and what is wrong with the first. The same goes for depth images.

    Args:
        files: ids, and what belongs to each.
        read: what an id's files say; raises InputError if they do not.
        where: what errors about all frames name.

    Raises:
        InputError: no frame is left, a pose is not rigid, a file leads out of the scene's folder.
    """
    shots, cameras, depths = {}, {}, {}
    why_frame, why_depth = [], []
    for i in sorted(files):
        for path in files[i]:
            check_inside(path)
        try:
            shot = read(i)
            shots[i], cameras[i] = shot, _camera(shot)
        except InputError as error:
            why_frame.append(str(error))
            shots.pop(i, None)
            continue
        try:
            depths[i] = _depth_camera(shot, cameras[i])
        except InputError as error:
            why_depth.append(str(error))
    if not shots:
        raise InputError(f"{why_frame[0]} (and so with all {len(files)} frames)" if why_frame else f"{where}: no frame")
    _say(where, "frames", why_frame, len(files))
    _say(where, "depth images", why_depth, len(shots))
    names = [f"{shot.where}: pose" for shot in shots.values()]
    tracked, lost, poses = split_lost(list(shots), np.stack([s.cam_to_world for s in shots.values()]), names, where)
    frames = []
    for i, pose in zip(tracked, poses @ _ARKIT_TO_OPENCV, strict=True):
        depth = shots[i].depth if depths.get(i) else None
        frames.append(
            Frame(
                id=i,
                cam_to_world=pose,
                camera=cameras[i],
                color=ImageSource(shots[i].color, black_rim=shots[i].black_rim),
                depth=depth,
                depth_camera=depths[i] if depth else None,
                depth_cam_to_world=pose if depth else None,
            )
        )
    return tuple(frames), lost, (*why_frame, *why_depth)


def files_by_suffix(folder: Path, suffixes: tuple[str, ...]) -> list[Path]:
    """The regular files of a folder with such a suffix, by name; none where there is no such folder."""
    entries = os.scandir(folder) if folder.is_dir() else ()
    names = (entry.name for entry in entries if entry.name.lower().endswith(suffixes) and entry.is_file())
    return [folder / name for name in sorted(names)]


def find_app_mesh(folder: Path, name: str, names: tuple[str, ...]) -> Path | None:
    """The first of `names` that the folder has, else its mesh as anywhere (see `find_mesh`), or None if it has none."""
    named = next((folder / part for part in names if (folder / part).is_file()), None)
    return named or (find_mesh(folder, name) if mesh_files(folder) else None)


def read_record(path: Path) -> dict:
    """The JSON object that a file holds; poses may be NaN. Raises `InputError` for anything else."""
    return read_named(path, "export the scan again", finite=False)


def numbers(value, count: int, where: str) -> np.ndarray:
    """(count,) float64 of a flat list of numbers, or InputError that says what `where` should hold."""
    if isinstance(value, list) and len(value) == count and all(type(number) in (int, float) for number in value):
        with suppress(OverflowError):
            return np.array(value, np.float64)
    raise InputError(f"{where} is not {count} numbers; export the scan again")


def pinhole(fx: float, fy: float, cx: float, cy: float) -> np.ndarray:
    """(3, 3) float64 camera matrix."""
    return np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1.0]])


def _camera(shot: Shot) -> Camera:
    cx, cy = shot.intrinsics[:2, 2]
    found = image_size(ImageSource(shot.color), str(shot.color), shot.size, (cx - 0.5, cy - 0.5))
    if shot.size is None:
        fits, turned = _is_centre(cx, cy, found), _is_centre(cx, cy, found[::-1])
    else:
        fits, turned = _is_shape(shot.size, found), _is_shape(shot.size[::-1], found)
    if turned and not fits:
        raise InputError(
            f"{shot.color}: photo is {found[0]}x{found[1]}, turned against its camera; use it as the app wrote it"
        )
    if shot.size is None and not fits:
        raise InputError(
            f"{shot.where}: principal point {cx:g}, {cy:g} is not that of a {found[0]}x{found[1]} photo; use the "
            "photos as the app wrote them"
        )
    matrix = checked_intrinsics(shot.intrinsics - [[0, 0, 0.5], [0, 0, 0.5], [0, 0, 0]], shot.where)
    return camera_for(matrix, shot.size, found, str(shot.color))


def _depth_camera(shot: Shot, camera: Camera) -> Camera | None:
    if shot.depth is None:
        return None
    where = str(shot.depth.path)
    return camera_for(camera.intrinsics, camera.size, image_size(shot.depth, where), where)


def _is_shape(size: tuple[int, int], found: tuple[int, int]) -> bool:
    return abs(found[0] * size[1] / (found[1] * size[0]) - 1) <= _SAME_SHAPE


def _is_centre(cx: float, cy: float, size: tuple[int, int]) -> bool:
    return max(abs(cx / size[0] - 0.5), abs(cy / size[1] - 0.5)) < _OFF_CENTRE


def _say(where: Path, what: str, why: list[str], count: int) -> None:
    if why:
        warnings.warn(
            f"{where}: {len(why)} of {count} {what} left out, the first because of {why[0]}", InputWarning, stacklevel=4
        )
