"""Writes a room as a scan in ScanNet's layout, labels included, together with the recipe that rebuilds it exactly."""

import json
import os
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import cv2
import numpy as np
from scipy.spatial.transform import Rotation, Slerp

from ..errors import InputError
from ..files.json_file import read_object
from ..files.output import output_folder
from ..process.console import bar
from ..scene.camera import Camera
from ..scene.mesh import Mesh
from .labels import write_labels
from .room import Room, RoomSettings, make_room
from .room_images import render_room
from .scan_noise import ScanNoise, scan_mesh
from .walk import walk

RECIPE = "room.json"


@dataclass(frozen=True)
class ScanSettings:
    """How a room is scanned.

    Attributes:
        frames: number of photos along the walk.
        step: difference between the ids of neighbouring frames, as when a video is thinned out.
        color_size: width and height of the photos, pixels.
        depth_size: width and height of the depth images, pixels.
        focal: focal length of the colour camera over its width.
        samples: photos average samples x samples rays per pixel.
        quality: of the JPEG files, 1 to 100.
        exposure_jitter: standard deviation of the photos' exposure, as a share; 0 for one exposure.
        noise: how the mesh departs from the exact room.
    """

    frames: int = 36
    step: int = 12
    color_size: tuple[int, int] = (640, 480)
    depth_size: tuple[int, int] = (320, 240)
    focal: float = 0.82
    samples: int = 3
    quality: int = 92
    exposure_jitter: float = 0.0
    noise: ScanNoise = field(default_factory=ScanNoise)

    def color_camera(self) -> Camera:
        """The photos' camera; its centre lies off the image's by a little, as real ones do."""
        w, h = self.color_size
        f = self.focal * w
        center = (w - 1) / 2 + 0.004 * w, (h - 1) / 2 - 0.006 * h
        return Camera(np.array([[f, 0, center[0]], [0, f, center[1]], [0, 0, 1.0]]), w, h)

    def depth_camera(self) -> Camera:
        """The depth camera sees a little less."""
        w, h = self.depth_size
        f = 1.06 * self.focal * w
        return Camera(np.array([[f, 0, (w - 1) / 2 - 0.003 * w], [0, f, (h - 1) / 2 + 0.004 * h], [0, 0, 1.0]]), w, h)


def write_scan(room: Room, folder: str | Path, settings: ScanSettings | None = None, progress: bool = False) -> Room:
    """Scans a room along a walk and writes the scan.

    The scan's world frame is that of its first camera, as trackers have it; ``axisAlignment`` leads back to the room's
    frame, whose z is up. The folder appears whole or not at all; an earlier scan of this function's making is replaced.

    Args:
        room: the room.
        folder: where to write; its name is the scene's.
        settings: how to scan; default `ScanSettings()`.
        progress: show a progress bar.

    Returns:
        The room with `world_from_room` as the scan has it, so that its `true_color` takes points of the written mesh.

    Raises:
        InputError: a setting out of range, or `folder` holds something else or cannot be written.
    """
    settings = settings or ScanSettings()
    _check(settings)
    folder = Path(folder)
    with output_folder(folder, "scan") as partial:
        return _write_all(room, partial, os.path.basename(os.path.realpath(folder)), settings, progress)


def read_room(folder: str | Path) -> Room:
    """Rebuilds the room that `write_scan` scanned into `folder`, with the scan's world frame.

    Raises:
        InputError: the folder has no recipe, or one that cannot be read.
    """
    path = Path(folder) / RECIPE
    try:
        recipe = read_object(path)
        settings = RoomSettings(**recipe["settings"])
        world_from_room = np.array(recipe["world_from_room"], np.float64).reshape(4, 4)
        seed = recipe["seed"]
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); expected a folder made by make_room") from None
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path}: is no recipe of a room ({type(error).__name__}: {error}); write the scan anew"
        ) from None
    return replace(make_room(seed, settings), world_from_room=world_from_room)


def _check(settings: ScanSettings) -> None:
    positive = {
        "frames": settings.frames,
        "step": settings.step,
        "color_size": min(settings.color_size),
        "depth_size": min(settings.depth_size),
        "focal": settings.focal,
        "samples": settings.samples,
        "spacing": settings.noise.spacing,
        "wall_spacing": settings.noise.wall_spacing,
    }
    for name, value in positive.items():
        if not value > 0:
            raise InputError(f"write_scan: {name} {value} must be greater than 0")
    for name in ("noise", "holes", "hole_size", "floaters", "duplicates"):
        if not getattr(settings.noise, name) >= 0:
            raise InputError(f"write_scan: {name} {getattr(settings.noise, name)} must not be negative")
    if not 1 <= settings.quality <= 100:
        raise InputError(f"write_scan: quality {settings.quality} must lie between 1 and 100")


def _write_all(room: Room, folder: Path, name: str, settings: ScanSettings, progress: bool) -> Room:
    color_camera, depth_camera = settings.color_camera(), settings.depth_camera()
    rng = np.random.default_rng([room.seed, 1000])
    poses = walk(room, settings.frames, rng, color_camera)
    room = replace(room, world_from_room=np.linalg.inv(poses[0]))
    for sub in ("color", "depth", "pose", "intrinsic"):
        (folder / sub).mkdir()
    mesh = scan_mesh(room, _between(poses, 3), color_camera, settings.noise, rng, progress)
    world = room.world_from_room
    write_ply(folder / f"{name}_vh_clean_2.ply", replace(mesh, vertices=mesh.vertices @ world[:3, :3].T + world[:3, 3]))
    write_labels(room, mesh.vertices, folder, name)
    exposure = np.exp(settings.exposure_jitter * rng.standard_normal(len(poses)))
    glass = room.face_part == room.parts.index("window")
    glass &= room.surface.glow[room.surface.face_patch] > 0
    for i, pose in enumerate(bar("photos", iterable=poses, unit="photo", disable=not progress)):
        number = i * settings.step
        photo = render_room(room, color_camera, pose, settings.samples)[0][0]
        if settings.exposure_jitter:
            photo = np.clip(photo * exposure[i] + 0.5, 0, 255).astype(np.uint8)
        _, depth, face = render_room(room, depth_camera, pose)
        # Depth sensors get nothing back from a window.
        depth = np.where((face >= 0) & ~glass[face], depth, 0)[0]
        _write_image(folder / "color" / f"{number}.jpg", photo[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, settings.quality])
        millimetres = np.rint(depth * 1000).astype(np.uint16)
        _write_image(folder / "depth" / f"{number}.png", millimetres, [cv2.IMWRITE_PNG_COMPRESSION, 9])
        _write_matrix(folder / "pose" / f"{number}.txt", world @ pose)
    for kind, camera in (("color", color_camera), ("depth", depth_camera)):
        intrinsics = np.eye(4)
        intrinsics[:3, :3] = camera.intrinsics
        _write_matrix(folder / "intrinsic" / f"intrinsic_{kind}.txt", intrinsics)
        _write_matrix(folder / "intrinsic" / f"extrinsic_{kind}.txt", np.eye(4))
    (folder / f"{name}.txt").write_text(_scene_text(room, settings, color_camera, depth_camera), encoding="utf-8")
    recipe = {
        "seed": int(room.seed),
        "description": room.description,
        "settings": asdict(room.settings),
        "scan": asdict(settings),
        "world_from_room": world.tolist(),
    }
    (folder / RECIPE).write_text(json.dumps(recipe, indent=1) + "\n", encoding="utf-8")
    return room


def _between(poses: np.ndarray, count: int) -> np.ndarray:
    """The poses and `count` more between each two: a scanner looks all along its way."""
    if len(poses) < 2:
        return poses
    at = np.arange(len(poses))
    where = np.linspace(0, len(poses) - 1, (len(poses) - 1) * (count + 1) + 1)
    out = np.tile(np.eye(4), (len(where), 1, 1))
    out[:, :3, :3] = Slerp(at, Rotation.from_matrix(poses[:, :3, :3]))(where).as_matrix()
    for k in range(3):
        out[:, k, 3] = np.interp(where, at, poses[:, k, 3])
    return out


def _scene_text(room: Room, settings: ScanSettings, color: Camera, depth: Camera) -> str:
    """ScanNet's description of a scene, which carries the axis alignment."""
    alignment = " ".join(f"{v:.6f}" for v in np.linalg.inv(room.world_from_room).ravel())
    lines = {
        "axisAlignment": alignment,
        "colorHeight": color.height,
        "colorWidth": color.width,
        "depthHeight": depth.height,
        "depthWidth": depth.width,
        "fx_color": f"{color.intrinsics[0, 0]:.6f}",
        "fx_depth": f"{depth.intrinsics[0, 0]:.6f}",
        "fy_color": f"{color.intrinsics[1, 1]:.6f}",
        "fy_depth": f"{depth.intrinsics[1, 1]:.6f}",
        "mx_color": f"{color.intrinsics[0, 2]:.6f}",
        "mx_depth": f"{depth.intrinsics[0, 2]:.6f}",
        "my_color": f"{color.intrinsics[1, 2]:.6f}",
        "my_depth": f"{depth.intrinsics[1, 2]:.6f}",
        "numColorFrames": settings.frames,
        "numDepthFrames": settings.frames,
        "sceneType": room.facts.kind.capitalize(),
    }
    return "".join(f"{key} = {value}\n" for key, value in lines.items())


def write_ply(path: Path, mesh: Mesh) -> None:
    """Writes a mesh as binary PLY with ScanNet's properties: float positions, uchar colours."""
    header = (
        "ply\nformat binary_little_endian 1.0\ncomment made by scenetex\n"
        f"element vertex {len(mesh.vertices)}\nproperty float x\nproperty float y\nproperty float z\n"
        "property uchar red\nproperty uchar green\nproperty uchar blue\n"
        f"element face {len(mesh.faces)}\nproperty list uchar int vertex_indices\nend_header\n"
    )
    vertex = np.empty(len(mesh.vertices), [("position", "<f4", 3), ("color", "u1", 3)])
    vertex["position"], vertex["color"] = mesh.vertices, mesh.colors
    face = np.empty(len(mesh.faces), [("count", "u1"), ("corner", "<i4", 3)])
    face["count"], face["corner"] = 3, mesh.faces
    path.write_bytes(header.encode() + vertex.tobytes() + face.tobytes())


def _write_matrix(path: Path, matrix: np.ndarray) -> None:
    path.write_text("".join(" ".join(f"{v:.6f}" for v in row) + "\n" for row in matrix), encoding="utf-8")


def _write_image(path: Path, image: np.ndarray, options: list[int]) -> None:
    """OpenCV's own writer says nothing when the disk is full."""
    _, data = cv2.imencode(path.suffix, image, options)
    path.write_bytes(data.tobytes())
