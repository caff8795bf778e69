"""Polycam's raw export: `keyframes/` with photos, cameras and depth, `mesh_info.json` and the mesh.

Layout and frames as Polycam describes them (README of github.com/PolyCam/polyform): names are time stamps, `t_00` to
`t_23` are the rows of the pose in ARKit's axes (see `arkit`), depth is in millimetres. `corrected_images/` are
undistorted and belong to `corrected_cameras/`, whose poses were optimised; where they are not, `images/` and
`cameras/` are what ARKit gave. `raw.glb` was moved by `alignmentTransform` of `mesh_info.json`, sixteen numbers by
columns; its inverse moves the mesh back to where the cameras are, as in nerfstudio's `ns-process-data polycam`.
"""

import warnings
from pathlib import Path

import numpy as np

from ..errors import InputError, InputWarning
from .arkit import (
    Y_UP_TO_Z_UP,
    Shot,
    files_by_suffix,
    find_app_mesh,
    numbers,
    pinhole,
    read_frames,
    read_record,
)
from .image_header import PHOTO_SUFFIXES
from .image_source import ImageSource
from .mesh import Mesh
from .mesh_file import read_mesh
from .pose import rigid
from .scene import Scene
from .transforms_json import frame_numbers
from .tsdf_fusion import read_or_fuse_mesh

_PAIRS = (("corrected_images", "corrected_cameras"), ("images", "cameras"))
_POSE = [f"t_{row}{column}" for row in range(3) for column in range(4)]
_CAMERA = ("fx", "fy", "cx", "cy", "width", "height")
_RIM = 15  # pixels, what nerfstudio cuts off corrected photos
_LARGEST_SIDE = 1 << 16


def is_polycam(folder: Path) -> bool:
    """Whether the folder is a raw export of Polycam."""
    return any((folder / "keyframes" / cameras).is_dir() for _, cameras in _PAIRS)


def load_polycam(folder: Path, name: str) -> Scene:
    """Reads a raw export; ids are the time stamps that its files are named by.

    The world is that of the cameras. The mesh is `mesh.ply` if there is one, taken to be in that world, then `raw.glb`,
    then the folder's mesh; `.glb` and `.obj` are moved by the inverse of `alignmentTransform`.

    Raises:
        InputError: what `load_scene` says of this layout.
    """
    keyframes = folder / "keyframes"
    pairs = [pair for pair in _PAIRS if all((keyframes / part).is_dir() for part in pair)]
    if not pairs:
        raise InputError(f"{keyframes}: needs images/ with cameras/, or corrected_ both; export the raw data again")
    photos, cameras = (keyframes / part for part in pairs[0])
    stems = [path.stem for path in files_by_suffix(cameras, (".json",))]
    if not stems:
        raise InputError(f"{cameras}: holds no cameras; export the raw data again")
    photo_of = {path.stem: path for path in reversed(files_by_suffix(photos, PHOTO_SUFFIXES))}
    files = {
        i: (cameras / f"{stem}.json", photo_of.get(stem, photos / f"{stem}.jpg"), keyframes / "depth" / f"{stem}.png")
        for i, stem in zip(frame_numbers(stems), stems, strict=True)
    }
    frames, skipped, damaged = read_frames(files, lambda i: _shot(*files[i]), keyframes)
    mesh = _mesh(folder, name, frames).with_axis_alignment(Y_UP_TO_Z_UP)
    return Scene(name, mesh, frames, skipped, folder, damaged=damaged)


def _shot(camera: Path, photo: Path, depth: Path) -> Shot:
    record = read_record(camera)
    absent = [key for key in (*_CAMERA, *_POSE) if key not in record]
    if absent:
        raise InputError(f"{camera}: has no {absent[0]}; export the raw data again")
    fx, fy, cx, cy, *size = numbers([record[key] for key in _CAMERA], 6, f"{camera}: {' '.join(_CAMERA)}")
    if not all(0 < side < _LARGEST_SIDE and side == int(side) for side in size):
        raise InputError(f"{camera}: width and height are not an image size; export the raw data again")
    pose = np.vstack([numbers([record[key] for key in _POSE], 12, f"{camera}: pose").reshape(3, 4), [0, 0, 0, 1]])
    if not photo.is_file():
        raise InputError(f"{photo}: no such photo; export the raw data again")
    return Shot(
        cam_to_world=pose,
        intrinsics=pinhole(fx, fy, cx, cy),
        where=str(camera),
        color=photo,
        size=(int(size[0]), int(size[1])),
        depth=ImageSource(depth) if depth.is_file() else None,
        black_rim=_RIM if photo.parent.name == _PAIRS[0][0] else 0,
    )


def _mesh(folder: Path, name: str, frames: tuple) -> Mesh:
    chosen = find_app_mesh(folder, name, ("mesh.ply", "raw.glb"))
    if chosen is None:
        return read_or_fuse_mesh(folder, name, frames)
    mesh = read_mesh(chosen)
    return mesh if chosen.suffix.lower() == ".ply" else mesh.transformed(np.linalg.inv(_alignment(folder, chosen)))


def _alignment(folder: Path, mesh: Path) -> np.ndarray:
    """(4, 4) float64, from the cameras' world to that of the mesh."""
    path = folder / "mesh_info.json"
    record = read_record(path) if path.is_file() else {}
    if "alignmentTransform" not in record:
        warnings.warn(
            f"{path}: {'has' if record else 'missing, so there is'} no alignmentTransform; {mesh.name} is taken to be "
            "in the frame of the cameras",
            InputWarning,
            stacklevel=4,
        )
        return np.eye(4)
    columns = numbers(record["alignmentTransform"], 16, f"{path}: alignmentTransform").reshape(4, 4)
    return rigid(columns.T, f"{path}: alignmentTransform")
