"""What a panorama shows where no view of the ring looks, around the poles: eight more views, or the rim's colours run
together."""

import cv2
import numpy as np

from ..scene.mesh import Mesh
from ..views.viewset import ViewSet, cast_views
from .ring import VIEWS, pole_rotations, ring_intrinsics, ring_rotations, view_weight


def pole_views(mesh: Mesh, ring: ViewSet) -> ViewSet:
    """Ray-casts the views that look up and down from where a ring looks around.

    Args:
        mesh: what the ring's views see.
        ring: from `panorama_views`.

    Returns:
        Eight views of the ring's size, `frame_ids` 8 to 15, see `pole_rotations`.

    Example:
        >>> import scenetex
        >>> scene = scenetex.load_scene("scenes/sample_room")
        >>> scenetex.pole_views(scene.mesh, scenetex.panorama_views(scene, size=32))
        ViewSet(8 views of 32 x 32, frames 8 to 15)
    """
    poses = np.repeat(ring.cam_to_world[:1], VIEWS, 0)
    poses[:, :3, :3] = poses[:, :3, :3] @ pole_rotations()
    intrinsics = np.repeat(ring_intrinsics(ring.size[0])[None], VIEWS, 0)
    return cast_views(mesh, intrinsics, poses, ring.size, tuple(range(VIEWS, 2 * VIEWS)))


def shown_at_poles(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What a ring's images show of the views around the poles.

    Args:
        images: (8, s, s, 3) float32.

    Returns:
        (8, s, s, 3) float32, 0 where they show nothing; and (8, s, s) bool, where they do.
    """
    size = images.shape[1]
    pixel = np.stack([*np.meshgrid(np.arange(size), np.arange(size)), np.ones((size, size))], -1)
    ray = pixel @ np.linalg.inv(ring_intrinsics(size)).T
    found = [_shown(images, ring_rotations(), ray @ rotation.T) for rotation in pole_rotations()]
    return np.stack([color for color, _ in found]), np.stack([weight > 0 for _, weight in found])


def place_pole(color: np.ndarray, seen: np.ndarray, images: np.ndarray, below: bool) -> None:
    """Puts what views show that look up, or down, into the half of a panorama that they are in, where nothing is seen,
    in place; that is seen then.

    Args:
        color: (h, 2 h, 3) float, equirectangular.
        seen: (h, 2 h) bool.
        images: (4, s, s, 3) float32 of the views up or down.
        below: they look down.
    """
    h, w = seen.shape
    longitude = (np.arange(w) + 0.5) * (2 * np.pi / w) - np.pi
    half = np.arange(h // 2, h) if below else np.arange(h // 2)
    rows = half[~seen[half].all(1)]
    latitude = np.pi / 2 - (rows[:, None] + 0.5) * (np.pi / h)
    flat, down = np.cos(latitude), np.broadcast_to(-np.sin(latitude), (len(rows), w))
    direction = np.stack([np.sin(longitude) * flat, down, np.cos(longitude) * flat], -1)
    shown, weight = _shown(images, np.split(pole_rotations(), 2)[int(below)], direction)
    color[rows] = np.where(seen[rows][..., None], color[rows], shown)
    seen[rows] |= weight > 0


def _shown(images: np.ndarray, rotations: np.ndarray, direction: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What square images of 90 degrees show in directions (h, w, 3), and how much that counts, (h, w) float32."""
    size = images.shape[1]
    focal, _, middle = ring_intrinsics(size)[0]
    total, weight = np.zeros(direction.shape, np.float32), np.zeros(direction.shape[:2], np.float32)
    for image, rotation in zip(images, rotations, strict=True):
        turned = direction @ rotation
        ahead = turned[..., 2] > 1e-6
        flat = turned[..., :2] / np.where(ahead, turned[..., 2], 1)[..., None]
        column, row = np.moveaxis((flat * focal + middle).astype(np.float32), -1, 0)
        counts = ahead * view_weight(column, row, size)
        pixels = cv2.remap(image, column, row, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
        total += counts[..., None] * pixels
        weight += counts
    return total / np.where(weight > 0, weight, 1)[..., None], weight


def fill_pole(color: np.ndarray, seen: np.ndarray) -> None:
    """Lets the colours of the rim run smoothly together at the pole above it, in place.

    Seen from the pole in stereographic projection the unseen cap is about a disc. On a disc the smoothest surface with
    given values at the rim is known in closed form: the rim's k-th harmonic, times the radius to the power k.

    Args:
        color: (h, w, c) float, equirectangular; row 0 is next to the pole.
        seen: (h, w) bool. Where the upper half of a column is not seen at all, it is left as it is.
    """
    h, w = seen.shape
    rim = np.argmax(seen, 0)
    if not seen[: h // 2].any(0).all() or not rim.any():
        return
    radius = np.tan((np.arange(h) + 0.5) * (np.pi / h) / 2)
    harmonics = np.fft.rfft(color[rim, np.arange(w)], axis=0)
    # At radii as far apart as rows are; in between, linearly.
    levels = np.linspace(0, 1, int(rim.max()) + 2)
    fade = levels[:, None] ** np.arange(len(harmonics))
    disc = np.fft.irfft(fade[:, :, None] * harmonics, n=w, axis=1)
    for column in range(w):
        rows = np.arange(rim[column])
        place = radius[rows] / radius[rim[column]] * (len(levels) - 1)
        below = np.floor(place).astype(int)
        part = (place - below)[:, None]
        color[rows, column] = (1 - part) * disc[below, column] + part * disc[below + 1, column]
