"""Every reader of files that come from elsewhere: what it is fed with, and what it may allocate."""

import json
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import fuzz_seeds as seeds
import numpy as np

from scenetex.batch.scenes import find_scenes
from scenetex.cli.panorama import read_square
from scenetex.cli.view import collect
from scenetex.job.stage_cache import StageCache
from scenetex.scene.image_source import (
    ImageSource,
    decode_alpha,
    decode_color,
    decode_depth,
    decode_gray,
    decode_mask,
    image_size,
)
from scenetex.scene.load import load_scene
from scenetex.scene.mesh_file import read_mesh
from scenetex.scene.ply import ply_face_count
from scenetex.scene.pose import read_extrinsic, read_intrinsics, read_pose, rigid
from scenetex.scene.scan_info import read_scan_info

MEGABYTE = 1 << 20
_SHOWN = 3  # frames of a scene whose pixels are read
_KEY = "0" * 32


@dataclass(frozen=True)
class Target:
    """A reader.

    Attributes:
        name: of the reader.
        file: where the fuzzed file lies within the working folder.
        seeds: valid files.
        read: reads the file at a path; returns, or raises InputError.
        times: bytes that may be allocated for each byte of the file.
        floor: bytes that may be allocated for any file.
        words: what means something to the reader.
        kind: of structure, see `mutate`.
        prepare: puts other files the reader wants into the working folder.
    """

    name: str
    file: str
    seeds: tuple[bytes, ...]
    read: Callable[[Path], object]
    times: int
    floor: int = 2 * MEGABYTE
    words: tuple[bytes, ...] = ()
    kind: str = "bytes"
    prepare: Callable[[Path], None] = lambda folder: None


def targets() -> dict[str, Target]:
    """All readers by name."""
    # What images may take: 2,048 pixels a byte, in colours of three bytes, twice over while channels change places.
    pixels = 2 * 3 * 2048
    found = (
        Target("ply", "mesh.ply", seeds.ply_seeds(), _read_ply, 192, words=seeds.PLY_WORDS),
        Target("obj", "mesh.obj", seeds.OBJ_SEEDS, read_mesh, 192, words=seeds.OBJ_WORDS),
        Target("glb", "mesh.glb", seeds.glb_seeds(), read_mesh, 192, 4 * MEGABYTE, kind="glb"),
        Target(
            *("gltf", "mesh.gltf", seeds.gltf_seeds(), read_mesh, 512, 4 * MEGABYTE),
            words=seeds.GLTF_WORDS,
            kind="json",
        ),
        Target("stl", "mesh.stl", seeds.stl_seeds(), read_mesh, 256, words=(b"solid", b"vertex ", b"endsolid")),
        Target("sens", "scan/scan.sens", seeds.sens_seeds(), _read_scan, pixels, 2 * MEGABYTE, prepare=_put_mesh),
        Target("pose", "0.txt", seeds.matrix_seeds(), _read_matrix, 64),
        Target("info", "scan/scan.txt", seeds.INFO_SEEDS, _read_scan_info, 64),
        Target(
            *("transforms", "scan/transforms.json", seeds.transforms_seeds(), _read_scan, 512, 4 * MEGABYTE),
            words=seeds.TRANSFORMS_WORDS,
            kind="json",
            prepare=_put_photos,
        ),
        Target(
            "colmap", "scan/cameras.txt", (seeds.COLMAP_CAMERAS,), _read_folder, 512, 4 * MEGABYTE, prepare=_put_colmap
        ),
        Target(
            *("colmap-images", "scan/sparse/0/images.bin", seeds.colmap_images(), _read_colmap, 512, 4 * MEGABYTE),
            prepare=_put_colmap_binary,
        ),
        Target("tum", "scan/groundtruth.txt", seeds.TUM_SEEDS, _read_folder, 512, 4 * MEGABYTE, prepare=_put_tum),
        *_phone_targets(),
        Target("photo", "0.jpg", seeds.photo_seeds(), _read_photo, pixels, kind="png"),
        Target("depth", "0.png", seeds.depth_seeds(), _read_depth, pixels, kind="png"),
        Target("npy", "0.npy", seeds.npy_seeds(), _read_npy, 192),
        Target("square", "square.png", seeds.square_seeds(), read_square, pixels, kind="png"),
        Target("list", "list.txt", seeds.LIST_SEEDS, _read_list, 192, words=(b"..", b"/", b"#", b"\0", b".stages")),
        Target(
            *("cameras", "result/views/cameras.json", (seeds.CAMERAS,), _read_result, 512, 8 * MEGABYTE),
            words=(b'"width": ', b'"cam_to_world": ', b"1e400", b"9" * 400, b"NaN"),
            kind="json",
            prepare=_put_result,
        ),
        Target("stage", f"atlas-{_KEY}.npz", seeds.stage_seeds(), _read_stage, 1100),
    )
    return {target.name: target for target in found}


def _phone_targets() -> list[Target]:
    files = {
        "polycam": ("scan/keyframes/cameras/0.json", (seeds.polycam_camera(),), 3, _put_polycam),
        "polycam-mesh": ("scan/mesh_info.json", (seeds.MESH_INFO,), 1, _put_polycam),
        "record3d": ("scan/metadata", seeds.record3d_metadata(), 1, _put_record3d),
        "scanner-app": ("scan/frame_00000.json", (seeds.scanner_app_frame(),), 1, _put_scanner_app),
    }
    return [
        Target(
            *(name, file, given, lambda path, up=up: _read_scan(path.parents[up - 1]), 512, 4 * MEGABYTE),
            words=seeds.PHONE_WORDS,
            kind="json",
            prepare=prepare,
        )
        for name, (file, given, up, prepare) in files.items()
    ]


def _read_npy(path: Path) -> None:
    source = ImageSource(path, codec="npy")
    decode_depth(source, image_size(source, str(path)), str(path))


def _read_scan_info(path: Path):
    info = read_scan_info(path.parent, ["scan"])
    return info.axis_alignment, info.color_size, info.depth_size


def _read_ply(path: Path) -> None:
    ply_face_count(path)
    read_mesh(path)


def _read_scan(path: Path) -> None:
    for frame in load_scene(path).frames[:_SHOWN]:
        if frame.color is not None:
            frame.read_color()
            frame.read_gray(4)
            frame.read_mask()
        if frame.depth is not None:
            frame.read_depth()


def _put_mesh(folder: Path) -> None:
    (folder / "scan").mkdir(exist_ok=True)
    (folder / "scan" / "mesh.ply").write_bytes(seeds.ply_seeds()[1])


def _put_photos(folder: Path) -> None:
    _put_mesh(folder)
    for i in range(2):
        (folder / "scan" / f"{i}.jpg").write_bytes(seeds.encoded(".jpg", seeds.PHOTO))
        (folder / "scan" / f"{i}.png").write_bytes(seeds.encoded(".png", seeds.DEPTH))


def _read_folder(path: Path) -> None:
    _read_scan(path.parent)


def _read_colmap(path: Path) -> None:
    _read_scan(path.parents[2])


def _put_colmap(folder: Path) -> None:
    _put_photos(folder)
    rows = (f"{i} 0.707107 0.707107 0 0 -0.25 1.5 2 {i} {i - 1}.jpg\n1 2 -1\n" for i in (1, 2))
    (folder / "scan" / "images.txt").write_text("# images\n" + "".join(rows))


def _put_colmap_binary(folder: Path) -> None:
    _put_photos(folder)
    camera = struct.pack("<QIiQQ4d", 1, 1, 1, *seeds.SIZE, 30, 30, 16, 12)
    (folder / "scan" / "sparse" / "0" / "cameras.bin").write_bytes(camera)


def _put_polycam(folder: Path) -> None:
    keyframes = folder / "scan" / "keyframes"
    for part in ("images", "cameras", "depth"):
        (keyframes / part).mkdir(parents=True, exist_ok=True)
    for i in range(2):
        (keyframes / "images" / f"{i}.jpg").write_bytes(seeds.encoded(".jpg", seeds.PHOTO))
        (keyframes / "depth" / f"{i}.png").write_bytes(seeds.encoded(".png", seeds.DEPTH))
        (keyframes / "cameras" / f"{i}.json").write_bytes(seeds.polycam_camera())
    (folder / "scan" / "raw.glb").write_bytes(seeds.glb_seeds()[0])


def _put_record3d(folder: Path) -> None:
    _put_mesh(folder)
    (folder / "scan" / "rgbd").mkdir(exist_ok=True)
    for i in range(2):
        (folder / "scan" / "rgbd" / f"{i}.jpg").write_bytes(seeds.encoded(".jpg", seeds.PHOTO))


def _put_scanner_app(folder: Path) -> None:
    _put_mesh(folder)
    for i in range(2):
        (folder / "scan" / f"frame_0000{i}.jpg").write_bytes(seeds.encoded(".jpg", seeds.PHOTO))
        (folder / "scan" / f"frame_0000{i}.json").write_bytes(seeds.scanner_app_frame())
        (folder / "scan" / f"depth_0000{i}.png").write_bytes(seeds.encoded(".png", seeds.DEPTH))


def _put_tum(folder: Path) -> None:
    _put_photos(folder)
    (folder / "scan" / "rgb.txt").write_text("1.0 0.jpg\n2.0 1.jpg\n")
    (folder / "scan" / "depth.txt").write_text("1.0 0.png\n2.0 1.png\n")
    (folder / "scan" / "calibration.txt").write_text("30 30 15.5 11.5 0.01 0 0 0\n")


def _read_matrix(path: Path) -> None:
    """All that read such a file, so that one which refuses does not keep the others from it."""
    for read in (lambda: rigid(read_pose(path), f"{path}: pose"), lambda: read_extrinsic(path)):
        try:
            read()
        except ValueError as error:
            if type(error).__name__ != "InputError":
                raise
    read_intrinsics(path)


def _read_photo(path: Path) -> None:
    source = ImageSource(path)
    size = image_size(source, str(path))
    decode_color(source, size, str(path))
    decode_gray(source, size, 8, str(path))
    decode_alpha(source, size, str(path))
    decode_mask(source, size, str(path))


def _read_depth(path: Path) -> None:
    image = path.read_bytes()[:4] == b"\x89PNG"
    for codec in ("image",) if image else ("zlib_ushort", "raw_ushort"):
        try:
            source = ImageSource(path, codec=codec, size=seeds.SIZE)
            decode_depth(source, image_size(source, str(path)), str(path))
        except ValueError as error:
            if type(error).__name__ != "InputError":
                raise


def _read_list(path: Path) -> None:
    for root in (None, path.parent):
        for scene in find_scenes((), path, root, None, path.parent / "out"):
            load_scene_or_refuse(scene)


def load_scene_or_refuse(path: Path) -> None:
    """Scenes of a list are not there: this is to be said, whatever their names are."""
    try:
        load_scene(path)
    except ValueError as error:
        if type(error).__name__ != "InputError":
            raise


def _read_result(path: Path) -> None:
    collect(path.parents[1])


def _put_result(folder: Path) -> None:
    result = folder / "result"
    (result / "views").mkdir(parents=True, exist_ok=True)
    (result / "textured.glb").write_bytes(seeds.glb_seeds()[0])
    (result / "report.json").write_text(json.dumps({"axis_alignment": np.eye(4).tolist()}))
    for i in range(2):
        (result / "views" / f"{i}.png").write_bytes(seeds.encoded(".png", seeds.PHOTO))


def _read_stage(path: Path) -> None:
    StageCache(path.parent, {"atlas": _KEY}).read("atlas")
