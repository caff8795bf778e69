"""Record3D's recordings: `metadata` with a camera and a pose for each photo, photos in `rgbd/` or `rgb/`.

`metadata.json`, `rgb/0.jpg` and `depth/0.exr` are the export "EXR + JPG"; a `.r3d` file is a ZIP archive of `metadata`
and of `rgbd/0.jpg` with `0.depth`. Poses are `qx qy qz qw tx ty tz` in ARKit's axes (see `arkit`); `K` is a matrix by
columns, `perFrameIntrinsicCoeffs` is `fx fy cx cy` for each photo, which differ where the lens was focused; all of
them are for photos of `w` times `h`, and photos may be larger (nerfstudio's `record3d_utils`, viser's `_record3d`).
Depth is in metres, as floats: EXR, or `dw` times `dh` numbers that LZFSE has compressed.
"""

import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np

from ..errors import InputError, InputWarning, extra
from .arkit import Y_UP_TO_Z_UP, Shot, find_app_mesh, numbers, pinhole, read_frames, read_record
from .image_header import PHOTO_SUFFIXES
from .image_source import ImageSource
from .lzfse_depth import can_decode
from .mesh_file import read_mesh
from .quaternion import rotation_matrices
from .scannet import numbered_files
from .scene import Scene
from .tsdf_fusion import read_or_fuse_mesh

_NAMES = ("metadata.json", "metadata")
_PHOTOS = ("rgbd", "rgb")
_LARGEST_SIDE = 1 << 16


def find_metadata(folder: Path) -> Path | None:
    """The metadata of a recording of Record3D, or None for another folder."""
    if not any((folder / part).is_dir() for part in _PHOTOS):
        return None
    return next((folder / part for part in _NAMES if (folder / part).is_file()), None)


def load_record3d(folder: Path, metadata: Path, name: str) -> Scene:
    """Reads a recording and the mesh that was put beside it; ids are the numbers of its photos.

    Depth that LZFSE has compressed is read where its decoder is installed; where there is no mesh, one is fused.

    Raises:
        InputError: what `load_scene` says of this layout.
    """
    record = read_record(metadata)
    poses, coefficients = record.get("poses"), record.get("perFrameIntrinsicCoeffs")
    if not isinstance(poses, list) or not poses:
        raise InputError(f"{metadata}: holds no poses; record with the LiDAR camera and a recent Record3D")
    if not isinstance(coefficients, list) or len(coefficients) != len(poses):
        if coefficients:
            said = "has no perFrameIntrinsicCoeffs for each of its poses; K is taken for all"
            warnings.warn(f"{metadata}: {said}, which is less exact", InputWarning, stacklevel=3)
        coefficients = None
    size, depth = _size(record, ("w", "h"), str(metadata)), _depths(folder, record)
    shared = None if coefficients else _matrix(record, metadata)
    photos = next(folder / part for part in _PHOTOS if (folder / part).is_dir())
    found = numbered_files(photos, PHOTO_SUFFIXES)
    if not found:
        raise InputError(f"{photos}: holds no photos; export the recording again")

    def read(i: int) -> Shot:
        if i >= len(poses):
            raise InputError(
                f"{metadata}: has {len(poses)} poses, none for {found[i].name}; export the recording again"
            )
        if i not in found:
            raise InputError(f"{photos / f'{i}.jpg'}: no such photo; export the recording again")
        where = f"{metadata}: frame {i}"
        intrinsics = shared
        if coefficients:
            intrinsics = pinhole(*numbers(coefficients[i], 4, f"{where}: perFrameIntrinsicCoeffs"))
        return Shot(_pose(numbers(poses[i], 7, f"{where}: pose")), intrinsics, where, found[i], size, depth(i))

    files = {i: _files(found.get(i), depth(i)) for i in {*range(len(poses)), *found}}
    frames, skipped, damaged = read_frames(files, read, folder)
    chosen = find_app_mesh(folder, name, ("mesh.ply",))
    if not chosen and not any(frame.depth for frame in frames):
        raise InputError(
            f"{folder}: no mesh, and no depth that is read, to fuse one; {extra('fusion')}, which reads "
            "rgbd/*.depth, export EXR + JPG, or put a mesh in the frame of the poses there as mesh.ply"
        )
    mesh = read_mesh(chosen) if chosen else read_or_fuse_mesh(folder, name, frames)
    return Scene(name, mesh.with_axis_alignment(Y_UP_TO_Z_UP), frames, skipped, folder, damaged=damaged)


def _files(photo: Path | None, depth: ImageSource | None) -> list[Path]:
    return [path for path in (photo, depth and depth.path) if path is not None]


def _depths(folder: Path, record: dict) -> Callable[[int], ImageSource | None]:
    """What gives the depth image of a photo by its number, metres, where there is one that can be read."""
    try:
        size = _size(record, ("dw", "dh"), "") if can_decode() else None
    except InputError:  # without its size, what was compressed is no image
        size = None

    def depth(i: int) -> ImageSource | None:
        exr, packed = folder / "depth" / f"{i}.exr", folder / "rgbd" / f"{i}.depth"
        if exr.is_file():
            return ImageSource(exr, codec="exr", depth_unit=1.0)
        return ImageSource(packed, codec="lzfse", size=size, depth_unit=1.0) if size and packed.is_file() else None

    return depth


def _size(record: dict, keys: tuple[str, str], where: str) -> tuple[int, int]:
    sides = numbers([record.get(key) for key in keys], 2, f"{where}: {', '.join(keys)}")
    if not all(0 < side < _LARGEST_SIDE and side == int(side) for side in sides):
        raise InputError(f"{where}: {' and '.join(keys)} are not an image size; export the recording again")
    return int(sides[0]), int(sides[1])


def _matrix(record: dict, metadata: Path) -> np.ndarray:
    return numbers(record.get("K"), 9, f"{metadata}: K").reshape(3, 3).T


def _pose(stored: np.ndarray) -> np.ndarray:
    """(4, 4) float64 of quaternion and translation; NaN for a quaternion that is none."""
    pose = np.full((4, 4), np.nan)
    largest = np.abs(stored[:4]).max()
    if 0 < largest < np.inf:
        pose[:] = np.eye(4)
        pose[:3, :3], pose[:3, 3] = rotation_matrices(stored[:4] / largest), stored[4:]
    return pose
