"""A scan as phone apps export it, written from exact cameras, photos, depth and mesh in a world with z up."""

import json
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import trimesh
from exact_scans import quaternion, write_image
from scipy.spatial.transform import Rotation
from tiny_scan import write_ply

# Phones keep y up.
TO_PHONE = np.array([[1.0, 0, 0, 0], [0, 0, 1, 0], [0, -1, 0, 0], [0, 0, 0, 1]])
# Where Polycam moves its mesh: walls along the axes, the corner near the origin.
ALIGNMENT = np.eye(4)
ALIGNMENT[:3, :3] = Rotation.from_rotvec([0, 0.7, 0]).as_matrix()
ALIGNMENT[:3, 3] = 1.5, -0.25, 3.0
FIRST = 71_234_567_890  # microseconds


def arkit_pose(pose: np.ndarray) -> np.ndarray:
    """ARKit's camera to world of a pose with OpenCV axes in a world with z up."""
    return TO_PHONE @ pose @ np.diag([1.0, -1, -1, 1])


def stamp(i: int) -> int:
    return FIRST + 250_000 * i


def phone_vertices(vertices: np.ndarray, transform: np.ndarray = TO_PHONE) -> np.ndarray:
    return vertices @ transform[:3, :3].T + transform[:3, 3]


def write_obj(path: Path, vertices: np.ndarray, faces: np.ndarray) -> None:
    lines = ["v " + " ".join(f"{x:.17g}" for x in v) for v in vertices]
    path.write_text("\n".join(lines + ["f " + " ".join(f"{i + 1}" for i in f) for f in faces]) + "\n")


def write_glb(path: Path, vertices: np.ndarray, faces: np.ndarray) -> None:
    path.write_bytes(trimesh.Trimesh(vertices, faces, process=False).export(file_type="glb"))


def _millimetres(depth: np.ndarray) -> np.ndarray:
    return np.rint(depth * 1000).astype(np.uint16)


def write_polycam(folder: Path, poses, k, photos, mesh, depths=(), alignment=ALIGNMENT, corrected="corrected_") -> Path:
    keyframes = folder / "keyframes"
    for part in (f"{corrected}images", f"{corrected}cameras", "depth", "confidence"):
        (keyframes / part).mkdir(parents=True, exist_ok=True)
    for i, (pose, photo) in enumerate(zip(poses, photos, strict=True)):
        rows = {f"t_{r}{c}": float(arkit_pose(pose)[r, c]) for r in range(3) for c in range(4)}
        camera = dict(fx=k[0, 0], fy=k[1, 1], cx=k[0, 2] + 0.5, cy=k[1, 2] + 0.5, blur_score=80.5, timestamp=stamp(i))
        camera |= dict(width=photo.shape[1], height=photo.shape[0], **rows)
        (keyframes / f"{corrected}cameras" / f"{stamp(i)}.json").write_text(json.dumps(camera))
        write_image(keyframes / f"{corrected}images" / f"{stamp(i)}.jpg", photo)
    for i, depth in enumerate(depths):
        write_image(keyframes / "depth" / f"{stamp(i)}.png", _millimetres(depth))
        write_image(keyframes / "confidence" / f"{stamp(i)}.png", np.full(depth.shape, 255, np.uint8))
    write_glb(folder / "raw.glb", phone_vertices(mesh.vertices, alignment @ TO_PHONE), mesh.faces)
    info = dict(
        vertexCount=len(mesh.vertices), faceCount=len(mesh.faces), alignmentTransform=alignment.T.ravel().tolist()
    )
    (folder / "mesh_info.json").write_text(json.dumps(info))
    (folder / "thumbnail.jpg").write_bytes(b"")
    (folder / "polycam.mp4").write_bytes(b"")
    return folder


def exr_bytes(depth: np.ndarray, channels=("B", "G", "R"), kind="<f4", compression=3, first_line=0, told=None) -> bytes:
    """An OpenEXR file of scan lines; depth is in `told`, R, or the first channel, and the others are 0."""
    height, width = depth.shape
    lines = 16 if compression == 3 else 1

    def attribute(name: str, what: str, value: bytes) -> bytes:
        return f"{name}\0{what}\0".encode() + struct.pack("<i", len(value)) + value

    number = {"<u4": 0, "<f2": 1, "<f4": 2}[kind]
    listed = b"".join(name.encode() + b"\0" + struct.pack("<iI2i", number, 0, 1, 1) for name in channels) + b"\0"
    window = struct.pack("<4i", 0, first_line, width - 1, first_line + height - 1)
    head = struct.pack("<II", 20000630, 2) + attribute("channels", "chlist", listed)
    head += attribute("compression", "compression", bytes([compression]))
    head += attribute("dataWindow", "box2i", window) + attribute("displayWindow", "box2i", window)
    head += attribute("lineOrder", "lineOrder", b"\0") + b"\0"
    told = told or ("R" if "R" in channels else channels[0])
    rows = [
        [(depth if name == told else np.zeros_like(depth))[y].astype(kind).tobytes() for name in channels]
        for y in range(height)
    ]
    blocks = []
    for top in range(0, height, lines):
        plain = b"".join(part for row in rows[top : top + lines] for part in row)
        blocks.append(struct.pack("<i", first_line + top) + _zipped(plain, compression))
    at = len(head) + 8 * len(blocks)
    offsets = np.cumsum([at, *(len(block) for block in blocks[:-1])])
    return head + struct.pack(f"<{len(blocks)}Q", *offsets) + b"".join(blocks)


def _zipped(plain: bytes, compression: int) -> bytes:
    """A block as the library stores it, after its length: ZIP only where that is shorter."""
    halves = np.frombuffer(plain[::2] + plain[1::2], np.uint8).astype(np.int64)
    steps = (np.diff(halves, prepend=halves[:1] + 128 - halves[:1]) + 128).astype(np.uint8)
    steps[0] = halves[0]
    packed = zlib.compress(steps.tobytes())
    data = packed if compression and len(packed) < len(plain) else plain
    return struct.pack("<i", len(data)) + data


def stored_lzfse(depth: np.ndarray) -> bytes:
    """Floats as LZFSE stores what it cannot make shorter."""
    plain = depth.astype("<f4").tobytes()
    return b"bvx-" + struct.pack("<I", len(plain)) + plain + b"bvx$"


def write_record3d(
    folder: Path, poses, k, photos, mesh, depths=(), native=False, factor=1, per_frame=False, pack=stored_lzfse
) -> Path:
    """`native`: as `.r3d` holds it, else EXR + JPG; the metadata is for photos `factor` times smaller."""
    height, width = photos[0].shape[:2]
    fx, fy, cx, cy = np.array([k[0, 0], k[1, 1], k[0, 2] + 0.5, k[1, 2] + 0.5]) / factor
    stored = [arkit_pose(pose) for pose in poses]
    metadata = dict(w=width / factor, h=height / factor, fps=60, dw=256, dh=192, initPose=[0, 0, 0, 1, 0, 0, 0])
    metadata |= dict(K=[fx, 0, 0, 0, fy, 0, cx, cy, 1])
    metadata["poses"] = [[*quaternion(pose[:3, :3]), *pose[:3, 3]] for pose in stored]
    if per_frame:
        metadata |= dict(K=[1, 0, 0, 0, 1, 0, 1, 1, 1], perFrameIntrinsicCoeffs=[[fx, fy, cx, cy]] * len(poses))
    for i, photo in enumerate(photos):
        write_image(folder / ("rgbd" if native else "rgb") / f"{i}.jpg", photo)
    for i, depth in enumerate(depths):
        metadata |= dict(dw=depth.shape[1], dh=depth.shape[0])
        (folder / "depth").mkdir(exist_ok=True)
        path = folder / (f"rgbd/{i}.depth" if native else f"depth/{i}.exr")
        path.write_bytes(pack(depth) if native else exr_bytes(depth))
    (folder / ("metadata" if native else "metadata.json")).write_text(json.dumps(metadata))
    if mesh is not None:
        write_ply(folder / "mesh.ply", phone_vertices(mesh.vertices), mesh.faces)
    return folder


def write_scanner_app(folder: Path, poses, k, photos, mesh, depths=()) -> Path:
    """Every second frame of the app's has no photo."""
    folder.mkdir(parents=True, exist_ok=True)
    matrix = k + np.array([[0, 0, 0.5], [0, 0, 0.5], [0, 0, 0]])
    for i in range(2 * len(poses)):
        pose = arkit_pose(poses[i // 2])
        frame = dict(frame_index=i, time=1000.5 + i / 60, motionQuality=1, exposureDuration=0.01)
        frame |= dict(cameraPoseARFrame=pose.ravel().tolist(), intrinsics=matrix.ravel().tolist())
        (folder / f"frame_{i:05}.json").write_text(json.dumps(frame))
        if i % 2 == 0:
            write_image(folder / f"frame_{i:05}.jpg", photos[i // 2])
            write_image(folder / f"thumb_{i:05}.jpg", cv2.resize(photos[i // 2], (32, 24)))
    for i, depth in enumerate(depths):
        write_image(folder / f"depth_{2 * i:05}.png", _millimetres(depth))
        write_image(folder / f"conf_{2 * i:05}.png", np.full(depth.shape, 2, np.uint8))
    (folder / "info.json").write_text(json.dumps(dict(title="room", device="iPhone")))
    for name in ("textured_output", "export_refined", "export"):
        write_obj(folder / f"{name}.obj", phone_vertices(mesh.vertices), mesh.faces)
    return folder
