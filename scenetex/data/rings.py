"""The stream of rooms looked at all around from one point: what panoramas are trained on."""

from dataclasses import dataclass

import numpy as np

from ..errors import InputError
from ..panorama.ring import VIEWS, ring_intrinsics, ring_rotations
from ..scene.camera import Camera
from ..synthetic import Room, walk
from .rooms import RoomStream


@dataclass(frozen=True)
class RingStream(RoomStream):
    """The same rooms, each seen by a level ring of eight square views from a point where someone would stand.

    Raises:
        InputError: another number of views, views that are not square.
    """

    views: int = VIEWS
    size: tuple[int, int] = (256, 256)

    def __post_init__(self):
        super().__post_init__()
        if self.views != VIEWS or self.size[0] != self.size[1]:
            raise InputError(f"stream of rings: {self.views} views of {self.size}; panoramas are {VIEWS} square views")

    def look(self, room: Room, rng: np.random.Generator) -> tuple[Camera, np.ndarray]:
        """See `RoomStream`; the first view looks in any direction."""
        yaw = rng.uniform(0, 2 * np.pi)
        forward, down = np.array([np.cos(yaw), np.sin(yaw), 0]), np.array([0, 0, -1.0])
        poses = np.tile(np.eye(4), (VIEWS, 1, 1))
        poses[:, :3, :3] = np.stack([np.cross(down, forward), down, forward], 1) @ ring_rotations()
        poses[:, :3, 3] = walk(room, 1, rng)[0, :3, 3]
        side = self.size[0]
        return Camera(ring_intrinsics(side), side, side), poses
