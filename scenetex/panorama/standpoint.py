"""The ring of views from a point inside a scene, with the depth that a panorama of the scene is conditioned on."""

import numpy as np
from numpy.typing import ArrayLike

from ..errors import InputError
from ..scene.scene import Scene
from ..views.viewset import ViewSet, cast_views
from .ring import VIEWS, ring_intrinsics, ring_rotations

_CANDIDATES = 64  # camera positions of the trajectory that are looked around from
_GLANCE = 12  # pixels along each side of the eight views that are cast from each
_ROOM = 0.9  # radii of the mesh, about 2 m in a room; things nearer than that hide the room behind them


def panorama_views(scene: Scene, position: ArrayLike | None = None, size: int = 512) -> ViewSet:
    """Ray-casts the eight views of a panorama from a point in the scene.

    The ring is level. Its first view looks where the trajectory's camera nearest to the point looks.

    Args:
        scene: the scene.
        position: (3,) metres, in the scene's frame; default `choose_position`.
        size: side of the views, pixels.

    Returns:
        Eight views, `frame_ids` 0 to 7, each 45 degrees to the right of the one before. Views may see nothing, where
        the scan has holes.

    Raises:
        InputError: a position that is not three numbers or sees nothing of the mesh, a size that is not positive.

    Example:
        >>> import scenetex
        >>> scene = scenetex.load_scene("scenes/sample_room")
        >>> scenetex.panorama_views(scene, position=(0, 0, 1.5), size=32)
        ViewSet(8 views of 32 x 32, frames 0 to 7)
    """
    if size < 1:
        raise InputError(f"panorama_views: size {size} is not a positive number of pixels")
    place = choose_position(scene) if position is None else _checked(position)
    views = _look_around(scene, place[None], size)
    if not (views.face_id >= 0).any():
        said = ",".join(f"{x:g}" for x in place)
        raise InputError(f"{scene.name}: nothing of the mesh is seen from position {said}; choose one inside the room")
    return views


def choose_position(scene: Scene) -> np.ndarray:
    """The camera position of the trajectory with the most room around it: (3,) float64, metres.

    Cameras were where nothing else is, but may have passed close to furniture. Compared is how far one sees to all
    sides, up to about two metres in a room, seeing nothing of the mesh counting as nothing; of equals the most central
    one is taken.

    Raises:
        InputError: no camera sees anything of the mesh.
    """
    if not scene.frames:
        raise InputError(f"{scene.name}: has no frames; give the position to look around from")
    centers = np.stack([frame.cam_to_world[:3, 3] for frame in scene.frames])
    chosen = centers[np.unique(np.linspace(0, len(centers) - 1, _CANDIDATES).round().astype(int))]
    depth = _look_around(scene, chosen, _GLANCE).depth
    room = np.minimum(depth, _ROOM * scene.mesh.extent.radius).reshape(len(chosen), -1).mean(1)
    if not room.any():
        raise InputError(f"{scene.name}: no frame sees the mesh; poses and mesh have to share one frame and unit")
    off_centre = np.linalg.norm(chosen - np.median(centers, 0), axis=1)
    return chosen[np.argmax(room - 0.001 * off_centre)]


def _look_around(scene: Scene, positions: np.ndarray, size: int) -> ViewSet:
    """The rings of views from all `positions` (n, 3), one after the other."""
    poses = np.tile(np.eye(4), (len(positions), VIEWS, 1, 1))
    poses[..., :3, :3] = [_level(scene, position) @ ring_rotations() for position in positions]
    poses[..., :3, 3] = positions[:, None]
    m = len(positions) * VIEWS
    intrinsics = np.repeat(ring_intrinsics(size)[None], m, 0)
    return cast_views(scene.mesh, intrinsics, poses.reshape(m, 4, 4), (size, size), tuple(range(m)))


def _level(scene: Scene, position: np.ndarray) -> np.ndarray:
    """(3, 3) camera to world of a level camera that heads where the frame nearest to the position does."""
    down = -scene.axis_alignment[2, :3] / np.linalg.norm(scene.axis_alignment[2, :3])
    forward = down @ [[0, 0, 1], [1, 0, 0], [0, 1, 0]]
    if scene.frames:
        nearest = min(scene.frames, key=lambda frame: np.linalg.norm(frame.cam_to_world[:3, 3] - position))
        _, up_down, forward = nearest.cam_to_world[:3, :3].T
        if abs(forward @ down) > 0.99:  # it looks straight down or up: then the top of its image is where it heads
            forward = -up_down
    forward = forward - (forward @ down) * down
    forward /= np.linalg.norm(forward)
    return np.stack([np.cross(down, forward), down, forward], 1)


def _checked(given: ArrayLike) -> np.ndarray:
    try:
        position = np.asarray(given, np.float64)
    except (TypeError, ValueError):
        position = np.empty(0)
    if position.shape != (3,) or not np.isfinite(position).all():
        raise InputError("panorama_views: the position has to be three numbers x, y, z in metres, in the scene's frame")
    return position
