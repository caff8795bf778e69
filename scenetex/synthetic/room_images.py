"""Pictures of a room: colour, depth and face ids, ray-cast from its exact mesh."""

import numpy as np

from ..scene.camera import Camera
from .room import Room


def render_room(
    room: Room, camera: Camera, cam_to_room: np.ndarray, samples: int = 1, filtered: bool | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Renders views of a room.

    Args:
        room: the room.
        camera: the camera of all views.
        cam_to_room: (m, 4, 4) or (4, 4) float, camera poses in the room's frame (OpenCV axes).
        samples: colour is the mean of samples x samples rays a pixel; depth and faces are those of its centre.
        filtered: average the materials over a sample's width, so that they do not alias. Default: only for one sample.

    Returns:
        Colour (m, h, w, 3) uint8 sRGB; depth (m, h, w) float32, camera z in metres, 0 = nothing there; face ids
        (m, h, w) int32, -1 = nothing there.
    """
    poses = np.asarray(cam_to_room, np.float64).reshape(-1, 4, 4)
    width, height = camera.size
    filtered = samples == 1 if filtered is None else filtered
    color = np.empty((len(poses), height, width, 3), np.uint8)
    depth = np.empty((len(poses), height, width), np.float32)
    face = np.empty((len(poses), height, width), np.int32)
    center = _camera_rays(camera, 0.0, 0.0)
    offsets = (np.arange(samples) + 0.5) / samples - 0.5
    for i, pose in enumerate(poses):
        middle = _cast(room, pose, center)
        depth[i], face[i] = middle[1].reshape(height, width), middle[0].reshape(height, width)
        if samples == 1:
            total = _shade(room, middle, camera, filtered, samples)
        else:
            total = np.zeros((height * width, 3), np.float32)
            for dy in offsets:
                for dx in offsets:
                    total += _shade(room, _cast(room, pose, _camera_rays(camera, dx, dy)), camera, filtered, samples)
            total /= samples * samples
        color[i] = (total + np.float32(0.5)).astype(np.uint8).reshape(height, width, 3)
    return color, depth, face


def _camera_rays(camera: Camera, dx: float, dy: float) -> np.ndarray:
    """(h * w, 3) float32 directions of unit z through all pixels, shifted by (dx, dy) pixels; camera frame."""
    k = camera.intrinsics
    u = (np.arange(camera.width) + dx - k[0, 2]) / k[0, 0]
    v = (np.arange(camera.height) + dy - k[1, 2]) / k[1, 1]
    out = np.ones((camera.height, camera.width, 3), np.float32)
    out[..., 0], out[..., 1] = u, v[:, None]
    return out.reshape(-1, 3)


def _cast(room: Room, pose: np.ndarray, rays: np.ndarray):
    """Faces (n,), depths (n,), directions (n, 3) and the common origin (3,) in the room's frame."""
    directions = rays @ pose[:3, :3].T.astype(np.float32)
    origin = pose[:3, 3].astype(np.float32)
    hit = room.caster.cast(np.broadcast_to(origin, directions.shape), directions)
    # Directions have unit camera z, so the ray parameter is the depth itself.
    return hit["face"], np.where(hit["face"] >= 0, hit["distance"], np.float32(0)), directions, origin


def _shade(room: Room, rays, camera: Camera, filtered: bool, samples: int) -> np.ndarray:
    """(n, 3) float32 colours of cast rays; black where nothing is hit."""
    face, depth, directions, origin = rays
    points = origin + depth[:, None] * directions
    footprint = depth * np.float32(1 / (camera.intrinsics[0, 0] * samples)) if filtered else None
    color = room.surface_color(points, np.maximum(face, 0), footprint)
    if (face < 0).any():
        color[face < 0] = 0
    return color
