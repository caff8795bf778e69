"""Rooms that are quick to build, for the tests of `scenetex.synthetic`."""

from functools import cache

import numpy as np

from scenetex.scene.camera import Camera
from scenetex.synthetic import Room, RoomSettings, make_room

QUICK = RoomSettings(texel=0.016, light_texel=0.3, light_rays=3, shadow_rays=2)


@cache
def quick_room(seed: int = 3, **changes) -> Room:
    """A coarse room; the same object for the same arguments."""
    return make_room(seed, QUICK, **changes)


def small_camera(width: int = 64, height: int = 48) -> Camera:
    """A camera of 64 degrees whose centre is not the image's."""
    focal = 0.8 * width
    return Camera(np.array([[focal, 0, width / 2 + 0.7], [0, focal, height / 2 - 1.3], [0, 0, 1.0]]), width, height)


def psnr(image: np.ndarray, other: np.ndarray) -> float:
    """Decibels between two arrays of 0..255."""
    return float(10 * np.log10(255**2 / np.mean((np.asarray(image, float) - np.asarray(other, float)) ** 2)))
