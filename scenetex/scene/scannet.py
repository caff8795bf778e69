"""The extracted ScanNet folder: color/, depth/, pose/, intrinsic/, a mesh and `<scene>.txt`."""

import os
from pathlib import Path

import numpy as np

from ..errors import InputError
from .camera import Camera
from .frame import Frame
from .image_header import PHOTO_SUFFIXES
from .image_source import ImageSource, depth_size, image_size
from .mesh_file import find_mesh, mesh_files
from .optional_depth import optional_depth
from .orientation import same_shape
from .pose import read_extrinsic, read_intrinsics, read_pose, rigid_all
from .scan_info import ScanInfo, read_scan_info
from .scene import Scene
from .tsdf_fusion import read_or_fuse_mesh

_MOST_DIGITS = 18
_DEPTH_SUFFIXES = (".png", ".tif", ".tiff", ".pgm")
# Of images, but not read in these folders: where there are no others, nothing would say that there are any.
_UNREAD_SUFFIXES = (
    *(".jxl", ".jp2", ".gif", ".tga", ".dng", ".raw", ".bin"),
    *(".exr", ".hdr", ".pfm", ".npy", ".npz"),
)


def load_extracted(folder: Path, name: str) -> Scene:
    """Reads an extracted ScanNet folder.

    Files are `<number>.<suffix>` and belong together by number. Photos may be absent altogether; where there are any, a
    frame needs a photo and a pose. Depth images are optional, each by itself, and left out where they cannot be read
    and there is a mesh. `pose/` is the pose of the rig;
    `extrinsic_color.txt` and `extrinsic_depth.txt` (sensor to rig) place the cameras on it.

    Raises:
        InputError: what `load_scene` says of this layout.
    """
    colors = numbered_files(folder / "color", PHOTO_SUFFIXES)
    depths = optional_depth(folder, lambda: numbered_files(folder / "depth", _DEPTH_SUFFIXES)) or {}
    poses = numbered_files(folder / "pose", (".txt",))
    if not (folder / "pose").is_dir():
        raise InputError(f"{folder / 'pose'}: missing; a scene needs its camera poses there, as <frame>.txt")
    if not poses:
        raise InputError(f"{folder / 'pose'}: holds no poses; put one <frame>.txt per frame there")
    ids = sorted(poses.keys() & colors.keys() if colors else poses)
    without_photo = tuple(f"color/{i}.jpg" for i in sorted(poses.keys() - colors.keys())) if colors else ()
    if not ids:
        raise InputError(f"{folder}: no photo in color/ has the number of a pose in pose/; name both <frame number>.*")
    # Where there is no mesh, one is fused from the depth images in the end.
    mesh_path = find_mesh(folder, name) if mesh_files(folder) or not depths else None
    info = read_scan_info(folder, [name, mesh_path.stem.split("_vh_clean")[0] if mesh_path else name])
    ids, skipped, rig = _read_poses(ids, poses, folder)

    color_camera, color_rig = _color_camera(folder, info, colors, depths, ids)
    on_rig = read_extrinsic(folder / "intrinsic" / color_rig)
    seen = optional_depth(folder, lambda: _depth_camera_on_rig(folder, info, depths, ids))
    depth_camera, depth_on_rig = seen or (None, None)
    depths = depths if depth_camera else {}
    frames = tuple(
        Frame(
            id=i,
            cam_to_world=pose @ on_rig,
            camera=color_camera,
            color=ImageSource(colors[i]) if i in colors else None,
            depth=ImageSource(depths[i]) if i in depths else None,
            depth_camera=depth_camera if i in depths else None,
            depth_cam_to_world=pose @ depth_on_rig if i in depths else None,
        )
        for i, pose in zip(ids, rig, strict=True)
    )
    mesh = read_or_fuse_mesh(folder, name, frames)
    return Scene(name, mesh.with_axis_alignment(info.axis_alignment), frames, skipped, folder, without_photo)


def numbered_files(folder: Path, suffixes: tuple[str, ...]) -> dict[int, Path]:
    """The files `<number>.<suffix>` of a folder by number; none where there is no such folder.

    Other things with such names (folders, pipes, which would be waited for) are passed over, and so are numbers beyond
    what fits in 64 bits. Of several files with one number that whose suffix comes first counts.

    Raises:
        InputError: the folder has files of that kind, but none is named by a number; all its images are of other kinds.
    """
    found, others, unread = {}, [], []
    names = sorted(entry.name for entry in os.scandir(folder) if entry.is_file()) if folder.is_dir() else []
    parts = [(*os.path.splitext(name), name) for name in names]
    kinds = {suffix: rank for rank, suffix in enumerate(suffixes)}
    for stem, suffix, file_name in sorted(parts, key=lambda part: kinds.get(part[1].lower(), 0)):
        if suffix.lower() not in kinds:
            unread += [file_name] * (suffix.lower() in _UNREAD_SUFFIXES)
            continue
        if stem.isascii() and stem.isdigit() and len(stem) <= _MOST_DIGITS:
            found.setdefault(int(stem), folder / file_name)
        else:
            others.append(file_name)
    if others and not found:
        raise InputError(f"{folder}: {others[0]} is not named <frame number>{suffixes[0]}; rename the files")
    if unread and not found:
        raise InputError(
            f"{folder}: {unread[0]} is of a kind that is not read there; convert the files to {suffixes[0]}"
        )
    return found


def camera_for(intrinsics: np.ndarray, given: tuple[int, int] | None, found: tuple[int, int], where: str) -> Camera:
    """The camera of images of `found` (width, height) whose intrinsics refer to images of the `given` size.

    Raises:
        InputError: sizes of different shape: such images were cropped, which no scaling undoes.
    """
    if given is None or tuple(given) == tuple(found):
        return Camera(intrinsics, *found)
    if same_shape(found[::-1], given) and not same_shape(found, given):
        raise InputError(
            f"{where}: images are {found[0]}x{found[1]}, the intrinsics for {given[0]}x{given[1]}: rotated by 90 "
            "degrees, and no orientation tag (EXIF) says so; rotate the images or fix the intrinsics"
        )
    if not same_shape(found, given):
        raise InputError(
            f"{where}: images are {found[0]}x{found[1]}, the intrinsics for {given[0]}x{given[1]}, another shape; "
            "use uncropped images or fix the intrinsics"
        )
    return Camera(intrinsics, *given).resized(found)


def registered(camera: Camera, found: tuple[int, int], where: str) -> Camera:
    """The camera of depth images of `found` (width, height), which see what the photos of `camera` see.

    Raises:
        InputError: they are of another shape, and so see something else.
    """
    if same_shape(found, camera.size):
        return camera.resized(found)
    size, wanted = (f"{w}x{h}" for w, h in (found, camera.size))
    raise InputError(
        f"{where}: depth is {size}, its photo {wanted}, another shape, so they do not see the same; register and turn "
        "depth images as the photos are"
    )


def _read_poses(ids: list[int], files: dict[int, Path], folder: Path) -> tuple[list[int], tuple[int, ...], np.ndarray]:
    poses = np.stack([read_pose(files[i]) for i in ids])
    return split_lost(ids, poses, [f"{files[i]}: pose" for i in ids], folder / "pose")


def split_lost(
    ids: list[int], poses: np.ndarray, names: list[str], where: Path
) -> tuple[list[int], tuple[int, ...], np.ndarray]:
    """Ids with a finite pose, ids without (tracking was lost), and the former's poses (n, 4, 4), checked to be rigid.

    Raises:
        InputError: no pose is finite, or one is not rigid; `names` are the poses' names and `where` the place of all.
    """
    tracked = np.isfinite(poses).all(axis=(1, 2))
    if not tracked.any():
        raise InputError(f"{where}: tracking was lost in all {len(ids)} frames (no pose is finite); use another scan")
    kept = [i for i, ok in zip(ids, tracked, strict=True) if ok]
    lost = tuple(i for i, ok in zip(ids, tracked, strict=True) if not ok)
    return kept, lost, rigid_all(poses[tracked], [n for n, ok in zip(names, tracked, strict=True) if ok])


def _color_camera(
    folder: Path, info: ScanInfo, colors: dict[int, Path], depths: dict[int, Path], ids: list[int]
) -> tuple[Camera, str]:
    """The camera that frames are seen through, and the name of its extrinsic file."""
    path = folder / "intrinsic" / "intrinsic_color.txt"
    if colors:
        intrinsics, photo = read_intrinsics(path), colors[ids[0]]
        size = image_size(ImageSource(photo), str(photo), info.color_size, tuple(intrinsics[:2, 2]))
        return camera_for(intrinsics, info.color_size, size, str(photo)), "extrinsic_color.txt"
    if info.color_size:
        return Camera(read_intrinsics(path), *info.color_size), "extrinsic_color.txt"
    depth_camera = _depth_camera(folder, info, depths, ids)
    if depth_camera:
        # Nothing says how large the colour images were: the depth camera is the one known in full.
        return depth_camera, "extrinsic_depth.txt"
    read_intrinsics(path)
    raise InputError(f"{folder}: image size unknown; add photos, or colorWidth and colorHeight to {folder.name}.txt")


def _depth_camera_on_rig(
    folder: Path, info: ScanInfo, depths: dict[int, Path], ids: list[int]
) -> tuple[Camera, np.ndarray] | None:
    """The depth camera and its place on the rig, (4, 4) float64; None where there is no depth image."""
    camera = _depth_camera(folder, info, depths, ids)
    return camera and (camera, read_extrinsic(folder / "intrinsic" / "extrinsic_depth.txt"))


def _depth_camera(folder: Path, info: ScanInfo, depths: dict[int, Path], ids: list[int]) -> Camera | None:
    first = next((depths[i] for i in ids if i in depths), None)
    if first is None:
        return None
    intrinsics = read_intrinsics(folder / "intrinsic" / "intrinsic_depth.txt")
    return camera_for(intrinsics, info.depth_size, depth_size(ImageSource(first), str(first)), str(first))
