"""A scan's photos and cameras as other programs want them, written by `bench_peers.py`."""

import json
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from scipy.spatial.transform import Rotation

from scenetex.scene.mesh import Mesh


@dataclass(frozen=True, eq=False)
class Shot:
    """A photo without distortion: its number, (h, w, 3) uint8, (3, 3) intrinsics with pixel centres at whole numbers,
    and (4, 4) camera to world, OpenCV axes, metres."""

    id: int
    photo: np.ndarray
    intrinsics: np.ndarray
    cam_to_world: np.ndarray


def write_nerfstudio(folder: Path, shots: Sequence[Shot], mesh: Mesh) -> None:
    """`transforms.json`, `images/` and `mesh.ply`: what scenetex and its baselines read."""
    frames = []
    for shot in shots:
        k, (height, width) = shot.intrinsics, shot.photo.shape[:2]
        _write_photo(folder / "images" / f"{shot.id:06d}.png", shot.photo)
        pose = shot.cam_to_world @ np.diag([1.0, -1, -1, 1])
        own = {"fl_x": k[0, 0], "fl_y": k[1, 1], "cx": k[0, 2] + 0.5, "cy": k[1, 2] + 0.5, "w": width, "h": height}
        frames.append({"file_path": f"images/{shot.id:06d}.png", "transform_matrix": pose.tolist(), **own})
    (folder / "transforms.json").write_text(json.dumps({"frames": frames}))
    write_ply(folder / "mesh.ply", mesh)


def write_cam_folder(folder: Path, shots: Sequence[Shot]) -> None:
    """Photos with a `.cam` file each, as mvs-texturing reads a folder: the pose from world to camera, then focal length
    over the longer side, two coefficients, the pixels' aspect, and the principal point over the sides."""
    for shot in shots:
        k, (height, width) = shot.intrinsics, shot.photo.shape[:2]
        _write_photo(folder / f"{shot.id:06d}.png", shot.photo)
        pose = np.linalg.inv(shot.cam_to_world)
        inside = [k[0, 0] / max(width, height), 0, 0, k[1, 1] / k[0, 0]]
        inside += [(k[0, 2] + 0.5) / width, (k[1, 2] + 0.5) / height]
        lines = [[*pose[:3, 3], *pose[:3, :3].ravel()], inside]
        text = "".join(" ".join(f"{value:.10g}" for value in line) + "\n" for line in lines)
        (folder / f"{shot.id:06d}.cam").write_text(text)


def write_colmap(folder: Path, shots: Sequence[Shot]) -> None:
    """A workspace of undistorted photos as COLMAP has it: `images/`, and `sparse/` with one camera for each."""
    sparse = folder / "sparse"
    sparse.mkdir(parents=True)
    cameras, images = struct.pack("<Q", len(shots)), struct.pack("<Q", len(shots))
    for number, shot in enumerate(shots, 1):
        k, (height, width) = shot.intrinsics, shot.photo.shape[:2]
        name = f"{shot.id:06d}.png"
        _write_photo(folder / "images" / name, shot.photo)
        pinhole = 1  # COLMAP's number of that model
        values = k[0, 0], k[1, 1], k[0, 2] + 0.5, k[1, 2] + 0.5
        cameras += struct.pack("<IiQQ4d", number, pinhole, width, height, *values)
        pose = np.linalg.inv(shot.cam_to_world)
        x, y, z, w = Rotation.from_matrix(pose[:3, :3]).as_quat()
        images += struct.pack("<I7dI", number, w, x, y, z, *pose[:3, 3], number)
        images += name.encode() + b"\0" + struct.pack("<Q", 0)
    (sparse / "cameras.bin").write_bytes(cameras)
    (sparse / "images.bin").write_bytes(images)
    (sparse / "points3D.bin").write_bytes(struct.pack("<Q", 0))


def write_ply(path: Path, mesh: Mesh) -> None:
    """The mesh as a binary PLY, in single precision, as all of them read it."""
    head = "ply\nformat binary_little_endian 1.0\n"
    head += f"element vertex {len(mesh.vertices)}\nproperty float x\nproperty float y\nproperty float z\n"
    head += f"element face {len(mesh.faces)}\nproperty list uchar int vertex_indices\nend_header\n"
    rows = np.empty(len(mesh.faces), [("count", "u1"), ("corners", "<i4", 3)])
    rows["count"], rows["corners"] = 3, mesh.faces
    path.write_bytes(head.encode() + mesh.vertices.astype("<f4").tobytes() + rows.tobytes())


def _write_photo(path: Path, photo: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), photo[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 1])
