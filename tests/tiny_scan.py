"""A room of eight corners and cameras inside it: exact data for the readers' tests."""

import struct
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

# 4 x 4 x 2 m around the origin, open above; z is up.
ROOM_VERTICES = np.array([[x, y, z] for x in (-2.0, 2.0) for y in (-2.0, 2.0) for z in (-1.0, 1.0)])
ROOM_FACES = np.array(
    [
        [0, 1, 3],
        [0, 3, 2],
        [4, 6, 7],
        [4, 7, 5],
        [0, 4, 5],
        [0, 5, 1],
        [2, 3, 7],
        [2, 7, 6],
        [0, 2, 6],
        [0, 6, 4],
    ]
)
INTRINSICS = np.array([[40.0, 0, 31.5], [0, 40.0, 23.5], [0, 0, 1]])


def look(yaw: float, position=(0.0, 0.0, 0.0)) -> np.ndarray:
    """Camera-to-world pose (OpenCV axes) of a level camera that looks along (cos yaw, sin yaw, 0)."""
    forward = np.array([np.cos(yaw), np.sin(yaw), 0])
    down = np.array([0, 0, -1.0])
    pose = np.eye(4)
    pose[:3, :3] = np.stack([np.cross(down, forward), down, forward], 1)
    pose[:3, 3] = position
    return pose


def write_ply(path: Path, vertices: np.ndarray = ROOM_VERTICES, faces: np.ndarray = ROOM_FACES) -> None:
    """A plain ascii PLY of triangles."""
    header = f"ply\nformat ascii 1.0\nelement vertex {len(vertices)}\n"
    header += "property double x\nproperty double y\nproperty double z\n"
    header += f"element face {len(faces)}\nproperty list uchar int vertex_indices\nend_header\n"
    rows = [" ".join(f"{x:.17g}" for x in v) for v in vertices]
    rows += ["3 " + " ".join(str(i) for i in f) for f in faces]
    path.write_text(header + "\n".join(rows) + "\n")


def write_extracted(
    folder: Path,
    poses: dict[int, np.ndarray] | None = None,
    color: bool = True,
    depth: bool = True,
    size: tuple[int, int] = (64, 48),
    info: str | None = None,
) -> Path:
    """An extracted ScanNet folder: the room, photos whose red is the frame's id, depth images of 1,000 + id mm.

    `poses` default to ids 2, 10 and 100 looking around; `size` is the photos' (width, height); `info` is the text of
    ``<name>.txt``.
    """
    if poses is None:
        poses = {i: look(k * np.pi / 6) for k, i in enumerate((2, 10, 100))}
    for part in ("pose", "intrinsic", *["color"] * color, *["depth"] * depth):
        (folder / part).mkdir(parents=True)
    full = np.eye(4)
    full[:3, :3] = INTRINSICS
    np.savetxt(folder / "intrinsic" / "intrinsic_color.txt", full)
    if depth:
        np.savetxt(folder / "intrinsic" / "intrinsic_depth.txt", full)
    for i, pose in poses.items():
        np.savetxt(folder / "pose" / f"{i}.txt", pose, fmt="%.17g")
        if color:
            photo = np.full((size[1], size[0], 3), (40, 90, i % 256), np.uint8)
            cv2.imwrite(str(folder / "color" / f"{i}.jpg"), photo, [cv2.IMWRITE_JPEG_QUALITY, 98])
        if depth:
            cv2.imwrite(str(folder / "depth" / f"{i}.png"), np.full((48, 64), 1000 + i, np.uint16))
    write_ply(folder / f"{folder.name}_vh_clean_2.ply")
    if info is not None:
        (folder / f"{folder.name}.txt").write_text(info)
    return folder


def sens_bytes(
    frames: list[tuple[np.ndarray, bytes, bytes]],
    color_kind: int = 2,
    depth_kind: int = 1,
    color_size: tuple[int, int] = (64, 48),
    depth_size: tuple[int, int] = (32, 24),
    shift: float = 1000.0,
    extrinsic_color: np.ndarray | None = None,
) -> bytes:
    """A `.sens` stream of (pose, colour bytes, depth bytes), as ScanNet's own writer lays it out."""
    intrinsic = np.eye(4, dtype="<f4")
    intrinsic[:3, :3] = INTRINSICS
    eye = np.eye(4, dtype="<f4")
    out = struct.pack("<IQ", 4, 12) + b"StructureIO "
    for matrix in (intrinsic, eye if extrinsic_color is None else extrinsic_color, intrinsic, eye):
        out += np.asarray(matrix, "<f4").tobytes()
    out += struct.pack("<ii", color_kind, depth_kind) + struct.pack("<4I", *color_size, *depth_size)
    out += struct.pack("<fQ", shift, len(frames))
    for pose, color, depth in frames:
        out += np.asarray(pose, "<f4").tobytes() + struct.pack("<4Q", 7, 8, len(color), len(depth)) + color + depth
    return out + struct.pack("<Q", 0)


def jpeg(image: np.ndarray) -> bytes:
    """JPEG bytes of an RGB image."""
    return cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 98])[1].tobytes()


def deflated(depth: np.ndarray) -> bytes:
    """`zlib_ushort` bytes of a (h, w) uint16 image."""
    return zlib.compress(depth.astype("<u2").tobytes())


def peak_bytes(action: Callable[[], object]) -> int:
    """Most memory that Python and NumPy held at once during `action`."""
    tracemalloc.start()
    try:
        action()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
