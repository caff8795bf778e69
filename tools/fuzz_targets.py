"""Every reader of files that come from elsewhere, with valid small files to start from, made in memory."""

import io
import json
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import trimesh

from scenetex.batch.scenes import find_scenes
from scenetex.batch.store import DiskStore
from scenetex.panorama_command import read_square
from scenetex.scene.image_source import ImageSource, decode_color, decode_depth, decode_gray, image_size
from scenetex.scene.load import load_scene
from scenetex.scene.mesh_file import read_mesh
from scenetex.scene.ply import ply_face_count
from scenetex.scene.pose import read_extrinsic, read_intrinsics, read_pose, rigid
from scenetex.scene.scan_info import read_scan_info

MEGABYTE = 1 << 20
_SHOWN = 3  # frames of a scene whose pixels are read
_KEY = "0" * 32

# A floor of two triangles, seen from two places.
_VERTICES = np.array([[0.0, 0, 0], [3, 0, 0], [3, 2, 0.5], [0, 2, 0.5]])
_FACES = np.array([[0, 1, 2], [0, 2, 3]])
_COLORS = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255], [9, 9, 9]], np.uint8)
_POSE = np.array([[1.0, 0, 0, 0.25], [0, 0, 1, -2], [0, -1, 0, 1.5], [0, 0, 0, 1]])
_INTRINSICS = np.array([[30.0, 0, 15.5, 0], [0, 30, 11.5, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
_SIZE = (32, 24)
_PHOTO = np.linspace(0, 255, 32 * 24 * 3).astype(np.uint8).reshape(24, 32, 3)
_DEPTH = np.linspace(500, 4000, 32 * 24).astype("<u2").reshape(24, 32)


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
        Target("ply", "mesh.ply", _ply_seeds(), _read_ply, 192, words=_PLY_WORDS),
        Target("obj", "mesh.obj", _OBJ_SEEDS, read_mesh, 192, words=_OBJ_WORDS),
        Target("glb", "mesh.glb", _glb_seeds(), read_mesh, 192, 4 * MEGABYTE, kind="glb"),
        Target("sens", "scan/scan.sens", _sens_seeds(), _read_scan, pixels, 2 * MEGABYTE, prepare=_put_mesh),
        Target("pose", "0.txt", _matrix_seeds(), _read_matrix, 64),
        Target("info", "scan/scan.txt", _INFO_SEEDS, lambda path: read_scan_info(path.parent, ["scan"]), 64),
        Target(
            *("transforms", "scan/transforms.json", _transforms_seeds(), _read_scan, 512, 4 * MEGABYTE),
            words=_TRANSFORMS_WORDS,
            kind="json",
            prepare=_put_photos,
        ),
        Target("colmap", "scan/cameras.txt", (_COLMAP_CAMERAS,), _read_folder, 512, 4 * MEGABYTE, prepare=_put_colmap),
        Target(
            *("colmap-images", "scan/sparse/0/images.bin", _colmap_images(), _read_colmap, 512, 4 * MEGABYTE),
            prepare=_put_colmap_binary,
        ),
        Target("tum", "scan/groundtruth.txt", _TUM_SEEDS, _read_folder, 512, 4 * MEGABYTE, prepare=_put_tum),
        Target("photo", "0.jpg", _photo_seeds(), _read_photo, pixels, kind="png"),
        Target("depth", "0.png", _depth_seeds(), _read_depth, pixels, kind="png"),
        Target("square", "square.png", _square_seeds(), read_square, pixels, kind="png"),
        Target("list", "list.txt", _LIST_SEEDS, _read_list, 192, words=(b"..", b"/", b"#", b"\0", b".stages")),
        Target("stage", f"atlas-{_KEY}.npz", _stage_seeds(), _read_stage, 1100),
    )
    return {target.name: target for target in found}


def _ply_seeds() -> tuple[bytes, ...]:
    mesh = trimesh.Trimesh(_VERTICES, _FACES, vertex_colors=_COLORS, process=False)
    polygons = [[0, 1, 2], [0, 1, 2, 3]]
    seeds = [mesh.export(file_type="ply", encoding=encoding) for encoding in ("ascii", "binary")]
    for order, name in (("<", "little"), (">", "big")):
        head = f"ply\nformat binary_{name}_endian 1.0\nelement vertex 4\nproperty double x\nproperty double y\n"
        head += "property double z\nelement face 2\nproperty list uchar int vertex_index\nproperty short flag\n"
        head += "end_header\n"
        body = _VERTICES.astype(order + "f8").tobytes()
        for polygon in polygons:
            body += bytes([len(polygon)]) + np.array(polygon, order + "i4").tobytes() + b"\0\7"
        seeds.append(head.encode() + body)
    text = "ply\nformat ascii 1.0\ncomment x\nelement vertex 4\nproperty float x\nproperty float y\nproperty float z\n"
    text += "element face 2\nproperty list uchar uint vertex_indices\nend_header\n"
    text += "".join("{} {} {}\n".format(*vertex) for vertex in _VERTICES)
    text += "".join(f"{len(p)} {' '.join(map(str, p))}\n" for p in polygons)
    return (*seeds, text.encode())


_PLY_WORDS = (
    *(b"ascii", b"binary_little_endian", b"binary_big_endian", b"element ", b"property ", b"list ", b"vertex", b"face"),
    *(b"char", b"uchar", b"short", b"ushort", b"int", b"uint", b"int64", b"uint64", b"float", b"double", b"end_header"),
    *(b"vertex_indices", b"x", b"red", b"property list uint64 uint64 a\n", b"element other 1000000000000\n"),
)


def _read_ply(path: Path) -> None:
    ply_face_count(path)
    read_mesh(path)


_OBJ_SEEDS = (
    b"mtllib ../../x.mtl\nv 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 .5\nvt 0 0\nvn 0 0 1\nusemtl a\nf 1/1/1 2/1/1 3//1\n"
    b"f 1 2 \\\n 3 4\nf -1 -2 -3\n",
    b"v 0 0 0 1 0 0\r\nv 1 0 0 0 1 0\r\nv 1 1 0 0 0 1\r\nf 1 2 3\r\n",
)
_OBJ_WORDS = (b"v ", b"f ", b"vt ", b"vn ", b"\nv ", b"\nf ", b"/", b"//", b"\\\n", b"#", b"-1", b"mtllib /x\n")


def _glb_seeds() -> tuple[bytes, ...]:
    mesh = trimesh.Trimesh(_VERTICES, _FACES, vertex_colors=_COLORS, process=False)
    scene = trimesh.Scene(mesh)
    scene.add_geometry(trimesh.creation.box(), transform=trimesh.transformations.translation_matrix([5, 0, 0]))
    return trimesh.Scene(mesh).export(file_type="glb"), scene.export(file_type="glb")


def _sens_seeds() -> tuple[bytes, ...]:
    def stream(color_kind: int, depth_kind: int, color: bytes, depth: bytes) -> bytes:
        out = struct.pack("<IQ", 4, 6) + b"sensor"
        for matrix in (_INTRINSICS, np.eye(4), _INTRINSICS, np.eye(4)):
            out += matrix.astype("<f4").tobytes()
        out += struct.pack("<2i4IfQ", color_kind, depth_kind, *_SIZE, *_SIZE, 1000.0, 2)
        for pose in (_POSE, np.full((4, 4), -np.inf)):
            out += pose.astype("<f4").tobytes() + struct.pack("<4Q", 1, 2, len(color), len(depth)) + color + depth
        return out + struct.pack("<Q", 0)

    return (
        stream(2, 1, _encoded(".jpg", _PHOTO), zlib.compress(_DEPTH.tobytes())),
        stream(0, 0, _PHOTO.tobytes(), _DEPTH.tobytes()),
        stream(2, 1, b"", zlib.compress(_DEPTH.tobytes())),
    )


def _read_scan(path: Path) -> None:
    for frame in load_scene(path).frames[:_SHOWN]:
        if frame.color is not None:
            frame.read_color()
            frame.read_gray(4)
        if frame.depth is not None:
            frame.read_depth()


def _put_mesh(folder: Path) -> None:
    (folder / "scan").mkdir(exist_ok=True)
    (folder / "scan" / "mesh.ply").write_bytes(_ply_seeds()[1])


def _put_photos(folder: Path) -> None:
    _put_mesh(folder)
    for i in range(2):
        (folder / "scan" / f"{i}.jpg").write_bytes(_encoded(".jpg", _PHOTO))
        (folder / "scan" / f"{i}.png").write_bytes(_encoded(".png", _DEPTH))


def _read_folder(path: Path) -> None:
    _read_scan(path.parent)


def _read_colmap(path: Path) -> None:
    _read_scan(path.parents[2])


_COLMAP_CAMERAS = b"# cameras\n1 PINHOLE 32 24 30 30 16 12\n2 OPENCV 32 24 30 30 16 12 0.01 0 0 0\n"


def _put_colmap(folder: Path) -> None:
    _put_photos(folder)
    rows = (f"{i} 0.707107 0.707107 0 0 -0.25 1.5 2 {i} {i - 1}.jpg\n1 2 -1\n" for i in (1, 2))
    (folder / "scan" / "images.txt").write_text("# images\n" + "".join(rows))


def _colmap_images() -> tuple[bytes, ...]:
    out = struct.pack("<Q", 2)
    for i in range(2):
        out += struct.pack("<I7dI", i + 1, 0.707107, 0.707107, 0, 0, -0.25, 1.5, 2, 1) + f"{i}.jpg".encode() + b"\0"
        out += struct.pack("<QddQ", 1, 3.5, 4.5, 2**64 - 1)
    return (out,)


def _put_colmap_binary(folder: Path) -> None:
    _put_photos(folder)
    camera = struct.pack("<QIiQQ4d", 1, 1, 1, *_SIZE, 30, 30, 16, 12)
    (folder / "scan" / "sparse" / "0" / "cameras.bin").write_bytes(camera)


_TUM_SEEDS = (
    b"# time tx ty tz qx qy qz qw\n0.99 0.25 -2 1.5 0.7071 0 0 0.7071\n1.01 0.25 -2 1.5 0.7071 0 0 0.7071\n"
    b"2.0,0.3,-2,1.5,0.7071,0,0,0.7071\n",
)


def _put_tum(folder: Path) -> None:
    _put_photos(folder)
    (folder / "scan" / "rgb.txt").write_text("1.0 0.jpg\n2.0 1.jpg\n")
    (folder / "scan" / "depth.txt").write_text("1.0 0.png\n2.0 1.png\n")
    (folder / "scan" / "calibration.txt").write_text("30 30 15.5 11.5 0.01 0 0 0\n")


def _matrix_seeds() -> tuple[bytes, ...]:
    def text(matrix: np.ndarray) -> bytes:
        return "\n".join(" ".join(f"{x:.6g}" for x in row) for row in matrix).encode()

    return text(_POSE), text(_INTRINSICS), text(_INTRINSICS[:3, :3]), text(np.full((4, 4), -np.inf))


def _read_matrix(path: Path) -> None:
    """All that read such a file, so that one which refuses does not keep the others from it."""
    for read in (lambda: rigid(read_pose(path), f"{path}: pose"), lambda: read_extrinsic(path)):
        try:
            read()
        except ValueError as error:
            if type(error).__name__ != "InputError":
                raise
    read_intrinsics(path)


_INFO_SEEDS = (
    b"appVersionId = 299\naxisAlignment = 0 -1 0 2 1 0 0 -1 0 0 1 0.1 0 0 0 1\ncolorHeight = 968\ncolorWidth = 1296\n"
    b"depthHeight = 480\ndepthWidth = 640\nfx_color = 1170.187988\n",
    b"colorWidth=32\r\ncolorHeight=24\r\n",
)


def _transforms_seeds() -> tuple[bytes, ...]:
    flip = np.diag([1.0, -1, -1, 1])
    frames = [
        {"file_path": f"{i}.jpg", "depth_file_path": f"{i}.png", "transform_matrix": (_POSE @ flip).tolist()}
        for i in range(2)
    ]
    common = {"fl_x": 30.0, "fl_y": 30.0, "cx": 16.0, "cy": 12.0, "w": 32, "h": 24, "k1": 0.01, "mesh": "mesh.ply"}
    plain = {"camera_angle_x": 0.9, "camera_model": "OPENCV", "frames": [frames[0] | {"file_path": "./0"}]}
    return tuple(json.dumps(tree).encode() for tree in (common | {"frames": frames}, plain))


_TRANSFORMS_WORDS = (
    *(b'"k1": ', b'"w": ', b'"camera_angle_x": ', b'"depth_unit_scale_factor": ', b'"ply_file_path": "mesh.ply",'),
    *(b'"k4": 1,', b'"mesh": "../../x.ply",', b'"transform_matrix": ', b"null", b"NaN", b"Infinity", b"[", b"{", b"}"),
)


def _encoded(suffix: str, image: np.ndarray, *options: int) -> bytes:
    return cv2.imencode(suffix, image, options)[1].tobytes()


def _photo_seeds() -> tuple[bytes, ...]:
    progressive = _encoded(".jpg", _PHOTO, cv2.IMWRITE_JPEG_PROGRESSIVE, 1)
    return (*(_encoded(f".{suffix}", _PHOTO) for suffix in ("jpg", "png", "webp", "bmp", "tiff", "ppm")), progressive)


def _read_photo(path: Path) -> None:
    source = ImageSource(path)
    size = image_size(source, str(path))
    decode_color(source, size, str(path))
    decode_gray(source, size, 8, str(path))


def _depth_seeds() -> tuple[bytes, ...]:
    flat = _encoded(".png", np.full((24, 32), 1000, np.uint16))
    return _encoded(".png", _DEPTH), flat, zlib.compress(_DEPTH.tobytes()), _DEPTH.tobytes()


def _read_depth(path: Path) -> None:
    image = path.read_bytes()[:4] == b"\x89PNG"
    for codec in ("image",) if image else ("zlib_ushort", "raw_ushort"):
        try:
            source = ImageSource(path, codec=codec, size=_SIZE)
            decode_depth(source, image_size(source, str(path)), str(path))
        except ValueError as error:
            if type(error).__name__ != "InputError":
                raise


def _square_seeds() -> tuple[bytes, ...]:
    square = np.ascontiguousarray(_PHOTO[:, :24])
    return tuple(_encoded(suffix, square) for suffix in (".jpg", ".png"))


_LIST_SEEDS = (b"# rooms\nscene0000_00\nscene0001_00  # good\n\n", b"a/b\r\nc\nd\n")


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


def _stage_seeds() -> tuple[bytes, ...]:
    seeds = []
    for save in (np.savez, np.savez_compressed):
        file = io.BytesIO()
        save(file, uv=np.zeros((6, 2), np.float32), page=np.arange(6, dtype=np.int32), size=np.asarray(64))
        seeds.append(file.getvalue())
    return tuple(seeds)


def _read_stage(path: Path) -> None:
    DiskStore(path.parent, {"atlas": _KEY}).read("atlas")
