"""3D Scanner App's "All Data" export: `frame_00000.json` with its photo and depth, and the meshes that it made.

`cameraPoseARFrame` is the pose by rows in ARKit's axes (see `arkit`), `intrinsics` a 3x3 matrix by rows for the photo
beside it, `depth_00000.png` depth in millimetres; the meshes are in the frame of the poses. The app publishes no
description: this is how PSegs (github.com/pwais/psegs, `3DScannerApp Data Parsing`) and rtabmap read it. Of most frames
the app keeps a pose, but no photo; such frames are passed over.
"""

import re
from pathlib import Path

from ..errors import InputError
from .arkit import Y_UP_TO_Z_UP, Shot, files_by_suffix, find_app_mesh, numbers, read_frames, read_record
from .image_header import PHOTO_SUFFIXES
from .image_source import ImageSource
from .mesh_file import read_mesh
from .scene import Scene
from .tsdf_fusion import read_or_fuse_mesh

_FRAME = re.compile(r"frame_(\d{1,18})", re.ASCII)
# What the user sees in the app comes first: it was cut to size and cleaned there.
_MESHES = ("mesh.ply", "textured_output.obj", "export_refined.obj", "export.obj")


def is_scanner_app(folder: Path) -> bool:
    """Whether the folder is an export of 3D Scanner App with all its data."""
    return bool(_by_number(files_by_suffix(folder, (".json",))))


def load_scanner_app(folder: Path, name: str) -> Scene:
    """Reads an export of all data; ids are the numbers of its frames.

    The mesh is the first of `mesh.ply`, `textured_output.obj`, `export_refined.obj` and `export.obj`, then the
    folder's.

    Raises:
        InputError: what `load_scene` says of this layout.
    """
    cameras = _by_number(files_by_suffix(folder, (".json",)))
    photos = _by_number(files_by_suffix(folder, PHOTO_SUFFIXES))
    files = {
        i: (cameras[i], photos[i], folder / f"depth_{_FRAME.fullmatch(cameras[i].stem)[1]}.png")
        for i in cameras.keys() & photos.keys()
    }
    if not files:
        raise InputError(f"{folder}: no frame_*.jpg belongs to its frame_*.json; export the scan as All Data")
    frames, skipped, damaged = read_frames(files, lambda i: _shot(*files[i]), folder)
    chosen = find_app_mesh(folder, name, _MESHES)
    mesh = read_mesh(chosen) if chosen else read_or_fuse_mesh(folder, name, frames)
    return Scene(name, mesh.with_axis_alignment(Y_UP_TO_Z_UP), frames, skipped, folder, damaged=damaged)


def _by_number(files: list[Path]) -> dict[int, Path]:
    found = {}
    for path in files:
        if match := _FRAME.fullmatch(path.stem):
            found.setdefault(int(match[1]), path)
    return found


def _shot(camera: Path, photo: Path, depth: Path) -> Shot:
    record = read_record(camera)
    pose = numbers(record.get("cameraPoseARFrame"), 16, f"{camera}: cameraPoseARFrame").reshape(4, 4)
    intrinsics = numbers(record.get("intrinsics"), 9, f"{camera}: intrinsics").reshape(3, 3)
    return Shot(pose, intrinsics, str(camera), photo, depth=ImageSource(depth) if depth.is_file() else None)
