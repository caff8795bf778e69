"""The folder ScanNet releases: `<scene>.sens` with all frames, beside the mesh and `<scene>.txt`."""

from pathlib import Path

import numpy as np

from ..errors import InputError
from .camera import Camera
from .frame import Frame
from .image_source import ImageSource, image_size
from .optional_depth import optional_depth
from .pose import checked_intrinsics, rigid
from .scan_info import read_scan_info
from .scannet import camera_for, split_lost
from .scene import Scene
from .sens import SensIndex, read_sens_index
from .tsdf_fusion import read_or_fuse_mesh

_LARGEST_SIDE = 1 << 16


def find_sens(folder: Path, name: str) -> Path | None:
    """The folder's `<name>.sens`, or its only `.sens` file, or None. Raises `InputError` for several."""
    files = sorted(path for path in folder.glob("*.sens") if path.is_file())
    named = [path for path in files if path.stem == name]
    if len(files) > 1 and not named:
        raise InputError(f"{folder}: several .sens files; keep the one of this scan, or name it {name}.sens")
    return (named or files or [None])[0]


def load_release(folder: Path, sens: Path, name: str) -> Scene:
    """Reads a ScanNet release folder; frame ids are positions in the stream, pixels are read when asked for.

    Raises:
        InputError: what `load_scene` says of this layout.
    """
    index = read_sens_index(sens)
    where = str(sens)
    has_color = bool(index.color_at[:, 1].any())
    numbers = np.flatnonzero(index.color_at[:, 1]) if has_color else np.arange(len(index.poses))
    names = [f"{sens}: pose of frame {i}" for i in numbers]
    ids, skipped, rig = split_lost(numbers.tolist(), index.poses[numbers], names, sens)

    camera = _camera(index, "color", ids, sens)
    with_depth = [i for i in ids if index.depth_at[i, 1]]
    on_rig = rigid(index.extrinsic_color, f"{where}: colour extrinsic matrix")
    seen = optional_depth(folder, lambda: _depth_camera(index, with_depth, sens)) if with_depth else None
    depth_camera, depth_on_rig = seen or (None, None)
    frames = []
    for i, pose in zip(ids, rig, strict=True):
        depth = _source(index, sens, "depth", i) if index.depth_at[i, 1] and depth_camera else None
        frames.append(
            Frame(
                id=i,
                cam_to_world=pose @ on_rig,
                camera=camera,
                color=_source(index, sens, "color", i) if has_color else None,
                depth=depth,
                depth_camera=depth_camera if depth else None,
                depth_cam_to_world=pose @ depth_on_rig if depth else None,
            )
        )
    mesh = read_or_fuse_mesh(folder, name, frames)
    info = read_scan_info(folder, [sens.stem, name])
    return Scene(name, mesh.with_axis_alignment(info.axis_alignment), tuple(frames), skipped, folder)


def _source(index: SensIndex, sens: Path, kind: str, frame: int) -> ImageSource:
    offset, length = (int(n) for n in getattr(index, f"{kind}_at")[frame])
    codec, size = getattr(index, f"{kind}_codec"), getattr(index, f"{kind}_size")
    return ImageSource(sens, offset, length, codec, size, depth_unit=index.depth_unit)


def _depth_camera(index: SensIndex, ids: list[int], sens: Path) -> tuple[Camera, np.ndarray]:
    """The depth camera and its place on the rig, (4, 4) float64. Raises `InputError` for depth that cannot be read."""
    if not all(0 < side < _LARGEST_SIDE for side in index.depth_size) or not np.isfinite(index.depth_unit):
        raise InputError(f"{sens}: size or unit of depth in its header makes no sense; download the scan again")
    return _camera(index, "depth", ids, sens), rigid(index.extrinsic_depth, f"{sens}: depth extrinsic matrix")


def _camera(index: SensIndex, kind: str, ids: list[int], sens: Path) -> Camera:
    """The stream's camera; compressed photos may be of another size than its header says."""
    matrix = checked_intrinsics(getattr(index, f"intrinsic_{kind}")[:3, :3], f"{sens}: {kind}")
    given = getattr(index, f"{kind}_size")
    first = _source(index, sens, kind, ids[0])
    found = image_size(first, first.label(ids[0]), given) if first.length else given
    return camera_for(matrix, given, found, str(sens))
